//! Hosting: one enclave that holds deployments of many owners.
//!
//! [`serve`] accepts connections, ends TLS, proves to each client what it is connected to, learns
//! who the client is, and does what the manifests allow that client. Each deployment runs on a
//! thread of its own, with its own memories, mounts, limits and streams.
//!
//! The crate knows nothing of SGX: [`Outside`] is the enclave around it. So its tests run natively,
//! where they play hostile clients, networks and hosts.
#![forbid(unsafe_code)]
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

mod attester;
mod budget;
mod deployment;
mod deployments;
mod kept;
mod link;
mod outside;
mod pulse;
mod requests;
mod resume;
mod server;
mod session;
mod sockets;
mod stdio;
mod tls;
mod volume_job;

pub use deployment::{Control, Id, Job, Kept, Secrets};
pub use deployments::Admission;
pub use outside::{Level, Lost, Outside, TlsIdentity, Waiting};
pub use pulse::Pulse;
pub use server::{Settings, serve};
pub use sockets::{
    Attestation, Expected, Failure, Network, NoSockets, Polled, Request, Sockets, Target, Wait,
};
pub use stdio::{Over, Ready, Stdio};
pub use twine_channel::WINDOW;
pub use volume_job::VolumeJob;
