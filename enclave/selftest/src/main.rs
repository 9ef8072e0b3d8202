//! The enclave program that runs the tests.

#[cfg(target_env = "sgx")]
mod echo;
#[cfg(target_env = "sgx")]
mod fatal;
#[cfg(target_env = "sgx")]
mod setup;
#[cfg(target_env = "sgx")]
mod state;
#[cfg(target_env = "sgx")]
mod suite;
#[cfg(target_env = "sgx")]
mod unit;

#[cfg(target_env = "sgx")]
fn main() {
    suite::main();
}

#[cfg(not(target_env = "sgx"))]
fn main() {
    eprintln!(
        "twine-selftest: this builds for x86_64-fortanix-unknown-sgx; `cargo xtask test` does it"
    );
    std::process::exit(2);
}
