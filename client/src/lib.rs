//! The owner's side of the connection to an enclave that holds deployments (`twine host`).
//!
//! ```text
//! Connection::open(..)?           TLS 1.3, with any certificate
//!     .evidence()?                fresh evidence, bound to this connection: verify it now
//!     .prove(..)?                 says who the client is
//!     .ask(..)                    makes one request
//! ```
//!
//! This crate does not verify evidence; `twine-verifier` does. Whoever uses this crate must verify
//! [`Fresh`] before the call of [`Unproven::prove`], because what follows is for the enclave only.
#![forbid(unsafe_code)]

mod attached;
mod connection;
mod error;
mod tls;

pub use attached::{Attached, Event, Streams};
pub use connection::{Connection, Fresh, Proven, Unproven};
pub use error::Error;
pub use tls::{Opened, TimeLimit, config, open};
