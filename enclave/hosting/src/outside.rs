//! What the hosting of deployments needs of the enclave around it.

use crate::deployment::{Control, Job, Kept};
use crate::volume_job::VolumeJob;
use graviola::signing::ecdsa::{P256, SigningKey};
use std::sync::Arc;
use std::time::Duration;
use twine_channel::message::End;
use twine_evidence::bytes::Digest;
use twine_evidence::manifest::Identity;

/// A connection that can't be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// A socket to wait for, and what it is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The host's number of the socket.
    pub socket: u64,
    /// Whether to wait until it can be written to, or else until it can be read.
    pub write: bool,
    /// Whether it is ready, or broken. Filled in by [`Outside::poll`].
    pub ready: bool,
}

/// A key for TLS, with a certificate that has evidence in it.
pub struct TlsIdentity {
    /// The certificate in DER.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Arc<SigningKey<P256>>,
    /// The SHA-256 of the public key, as a DER-encoded SubjectPublicKeyInfo.
    pub public: Digest,
}

impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsIdentity").field("public", &self.public).finish_non_exhaustive()
    }
}

/// How important a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warning,
    /// Something happened.
    Info,
}

/// The enclave around the hosting, and through it the host, which is not trusted.
pub trait Outside: Send + Sync {
    /// Accepts a connection, and returns the host's number for it. `None` if there is none. The host
    /// should notice when the other end is gone (TCP keep-alive): a client that is attached may be
    /// silent for as long as it likes.
    ///
    /// # Errors
    /// The host can open no more, or the listening socket is broken.
    fn accept(&self, listener: u64) -> Result<Option<u64>, Lost>;

    /// Receives bytes without waiting, and returns their number, which is 0 only at the end. `None`
    /// if there are none yet.
    ///
    /// # Errors
    /// The connection is lost.
    fn receive(&self, socket: u64, bytes: &mut [u8]) -> Result<Option<usize>, Lost>;

    /// Sends some bytes without waiting, and returns their number. `None` if it would have to wait.
    ///
    /// # Errors
    /// The connection is lost.
    fn send(&self, socket: u64, bytes: &[u8]) -> Result<Option<usize>, Lost>;

    /// Closes a socket.
    fn close(&self, socket: u64);

    /// Waits until a socket is ready, the host asks for the end, or the time is over. Returns
    /// whether the host asks for the end.
    fn poll(&self, waiting: &mut [Waiting], time: Option<Duration>) -> bool;

    /// Makes something to wait for as for a socket, and returns the host's number for it.
    ///
    /// # Errors
    /// The host makes none.
    fn waker(&self) -> Result<u64, Lost>;

    /// Makes it ready to be read once.
    fn wake(&self, waker: u64);

    /// The time of a clock that never goes back. The host decides how fast it runs.
    fn now(&self) -> Duration;

    /// Writes a line to the host's log, which must not have anything secret in it.
    fn log(&self, level: Level, line: &str);

    /// Makes a key for TLS and a certificate with evidence of this enclave.
    ///
    /// # Errors
    /// The cause, in one line.
    fn tls_identity(&self) -> Result<TlsIdentity, String>;

    /// Makes evidence of this enclave for a public key, a client's nonce and a connection. It is called
    /// on a thread of its own, once at a time.
    ///
    /// # Errors
    /// The cause, in one line.
    fn evidence(&self, key: Digest, nonce: &[u8], channel: Digest) -> Result<Vec<u8>, String>;

    /// The identity of this enclave.
    fn identity(&self) -> Identity;

    /// Whether this enclave can run the program that an owner sent before.
    fn has_program(&self, owner: Digest, program: Digest) -> bool;

    /// Runs a deployment's program to its end, on the thread that calls. Passes what ends it early
    /// to `started` once the program can be ended.
    fn run(&self, job: &Job, started: &mut dyn FnMut(Box<dyn Control>)) -> End;

    /// Works on a volume of a deployment that does not run, on the thread that calls, until it is done
    /// or the calls of its streams fail.
    fn work(&self, job: &VolumeJob) -> End;

    /// Keeps a deployment with its secrets, so that it can be started again without its owner.
    ///
    /// # Errors
    /// The cause, in one line.
    fn keep(&self, job: &Job) -> Result<(), String>;

    /// The deployments that were kept by earlier enclaves of this image, or of older ones that hand them
    /// over; or why one of them is not there, in one line.
    fn kept(&self) -> Vec<Result<Kept, String>>;

    /// Removes the program of an owner, which no deployment here names any more.
    fn forget_program(&self, owner: Digest, program: Digest);

    /// Removes what is kept of a deployment, and with `volumes` its volumes.
    ///
    /// # Errors
    /// The cause, in one line.
    fn forget(&self, job: &Job, volumes: bool) -> Result<(), String>;
}
