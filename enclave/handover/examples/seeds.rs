//! Writes the first inputs of the fuzz target into a folder, as `TARGET/NUMBER`. The inputs follow
//! the format, so write them again when it changes: `cargo xtask fuzz --seeds`.

fn main() -> std::io::Result<()> {
    twine_fuzz_input::write_seeds(twine_handover::fuzzing::seeds())
}
