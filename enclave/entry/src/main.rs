//! The Twine enclave: takes one launch request, runs one program or works on one volume,
//! reports its outcome.
#![forbid(unsafe_code)]

#[cfg(target_env = "sgx")]
mod launch;
#[cfg(target_env = "sgx")]
mod mounts;
#[cfg(target_env = "sgx")]
mod task;

#[cfg(target_env = "sgx")]
fn main() {
    launch::main();
}

#[cfg(not(target_env = "sgx"))]
fn main() {
    eprintln!(
        "twine-enclave: this builds for x86_64-fortanix-unknown-sgx; `cargo xtask image` does it"
    );
    std::process::exit(2);
}
