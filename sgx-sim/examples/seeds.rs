//! Writes the first inputs of the fuzz targets into a folder, as `TARGET/NUMBER`. The inputs follow
//! the format: when it changes, write them again with `cargo xtask fuzz --seeds`.

fn main() -> std::io::Result<()> {
    twine_fuzz_input::write_seeds(sgx_sim::fuzzing::seeds())
}
