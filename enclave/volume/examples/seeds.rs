//! Writes the seeds of the fuzz targets into a folder, as `TARGET/NUMBER`. They depend on the
//! format, so they are written again when it changes: `cargo xtask fuzz --seeds`.

fn main() -> std::io::Result<()> {
    twine_fuzz_input::write_seeds(twine_volume::fuzzing::seeds())
}
