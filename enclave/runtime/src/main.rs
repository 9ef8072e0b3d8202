//! The Twine enclave: handles one launch request, which runs one program, works on one volume or
//! holds deployments, and reports the outcome.
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        unreachable_pub,
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

#[cfg(target_env = "sgx")]
mod attestation;
#[cfg(target_env = "sgx")]
mod certificate;
#[cfg(target_env = "sgx")]
#[expect(unsafe_code, reason = "code that this image sealed runs unchecked")]
mod code_cache;
#[cfg(target_env = "sgx")]
mod guest;
#[cfg(target_env = "sgx")]
mod host_storage;
#[cfg(target_env = "sgx")]
mod host_system;
#[cfg(target_env = "sgx")]
mod hosted;
#[cfg(target_env = "sgx")]
mod hosted_system;
#[cfg(target_env = "sgx")]
mod hosted_volume;
#[cfg(target_env = "sgx")]
mod hosting;
#[cfg(target_env = "sgx")]
mod kept_programs;
#[cfg(target_env = "sgx")]
mod launch;
#[cfg(target_env = "sgx")]
mod mounts;
#[cfg(target_env = "sgx")]
mod network;
#[cfg(target_env = "sgx")]
mod peer;
#[cfg(target_env = "sgx")]
mod peering;
#[cfg(target_env = "sgx")]
mod record;
#[cfg(target_env = "sgx")]
mod sealing_keys;
#[cfg(target_env = "sgx")]
mod state;
#[cfg(target_env = "sgx")]
mod takeover;
#[cfg(target_env = "sgx")]
mod task;
#[cfg(target_env = "sgx")]
mod terms;
#[cfg(target_env = "sgx")]
mod volume_file;

#[cfg(target_env = "sgx")]
fn main() {
    launch::main();
}

#[cfg(not(target_env = "sgx"))]
#[expect(clippy::print_stderr, reason = "this build is not an enclave")]
fn main() {
    eprintln!(
        "twine-runtime: this builds for x86_64-fortanix-unknown-sgx; `cargo xtask image` does it"
    );
    std::process::exit(2);
}
