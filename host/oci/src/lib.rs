//! `twine-oci`: an OCI runtime for containers that hold a WebAssembly program.
//!
//! containerd starts `twine-oci` instead of runc (`BinaryName` of `io.containerd.runc.v2`). If a
//! new container's process is a WebAssembly program, `twine-oci` changes the bundle's
//! `config.json`, so that the container's process is `twine run` on that program. Then it becomes
//! runc, with the same arguments. All other containers and commands go to runc unchanged.
//!
//! The program runs in an enclave inside an ordinary container: namespaces, limits, user, mounts
//! and signals are runc's.
#![forbid(unsafe_code)]

mod annotations;
mod bundle;
mod command;
mod containerd;
mod devices;
mod error;
mod installation;
mod manage;
mod program;
mod replace;
mod report;
mod runc;

pub use bundle::prepare;
pub use command::Command;
pub use error::Error;
pub use installation::Installation;
pub use manage::manage;
pub use report::report;
pub use runc::become_runc;
