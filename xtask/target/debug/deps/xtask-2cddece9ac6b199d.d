/work/main/xtask/target/debug/deps/xtask-2cddece9ac6b199d.d: src/main.rs src/bench.rs src/check.rs src/debian.rs src/demo.rs src/deny.rs src/enclave.rs src/fresh.rs src/guests.rs src/guests/polybench.rs src/guests/ripgrep.rs src/guests/rivals.rs src/guests/sqlite.rs src/patches.rs src/process.rs src/published.rs src/remap.rs src/reproduce.rs src/toolchain.rs Cargo.toml

/work/main/xtask/target/debug/deps/libxtask-2cddece9ac6b199d.rmeta: src/main.rs src/bench.rs src/check.rs src/debian.rs src/demo.rs src/deny.rs src/enclave.rs src/fresh.rs src/guests.rs src/guests/polybench.rs src/guests/ripgrep.rs src/guests/rivals.rs src/guests/sqlite.rs src/patches.rs src/process.rs src/published.rs src/remap.rs src/reproduce.rs src/toolchain.rs Cargo.toml

src/main.rs:
src/bench.rs:
src/check.rs:
src/debian.rs:
src/demo.rs:
src/deny.rs:
src/enclave.rs:
src/fresh.rs:
src/guests.rs:
src/guests/polybench.rs:
src/guests/ripgrep.rs:
src/guests/rivals.rs:
src/guests/sqlite.rs:
src/patches.rs:
src/process.rs:
src/published.rs:
src/remap.rs:
src/reproduce.rs:
src/toolchain.rs:
Cargo.toml:

# env-dep:CARGO_MANIFEST_DIR=/work/main/xtask
# env-dep:CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__
# env-dep:CLIPPY_CONF_DIR
