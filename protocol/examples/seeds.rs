//! Writes the inputs that the fuzz targets begin with into a folder: `TARGET/NUMBER`. They follow
//! the format, so they are written anew when it changes: `cargo xtask fuzz --seeds`.

fn main() -> std::io::Result<()> {
    twine_fuzz_input::write_seeds(twine_protocol::fuzzing::seeds())
}
