//! What does the work of the functions.

/// Why a function has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// An argument is not as it has to be.
    Invalid,
    /// This machine, or this kind of run, can't do it.
    NotSupported,
    /// Too many calls in a short time.
    Again,
    /// The host failed.
    Host,
    /// The policy can't be read: where and why, in one line.
    Policy(String),
    /// The bytes were not sealed here, or were changed.
    Damaged,
    /// The launch statement is too long for evidence.
    TooBig,
}

/// What a program wants to know of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer<'a> {
    /// The peer's evidence.
    pub evidence: &'a [u8],
    /// What is accepted, in TOML.
    pub policy: &'a str,
    /// The nonce that the evidence must contain.
    pub nonce: Option<&'a [u8]>,
    /// What the evidence must say.
    pub data: &'a [u8],
}

/// A verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whether the evidence is accepted.
    pub accepted: bool,
    /// The verdict in JSON.
    pub json: Vec<u8>,
}

/// What does the work for one program. All lengths are within the limits of this crate.
pub trait Proof: Send {
    /// Makes evidence over a nonce and what the program says.
    ///
    /// # Errors
    /// [`Failure`].
    fn evidence(&mut self, nonce: Option<&[u8]>, data: &[u8]) -> Result<Vec<u8>, Failure>;

    /// Verifies evidence.
    ///
    /// # Errors
    /// [`Failure`]: there is no verdict.
    fn verify(&mut self, peer: Peer<'_>) -> Result<Verified, Failure>;

    /// Returns a policy that accepts programs that run as this one does, under a root that TOML has in
    /// quotes.
    ///
    /// # Errors
    /// [`Failure`].
    fn own_policy(&mut self, root: &str) -> Result<String, Failure>;

    /// Seals bytes.
    ///
    /// # Errors
    /// [`Failure`].
    fn seal(&mut self, context: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Failure>;

    /// Unseals bytes.
    ///
    /// # Errors
    /// [`Failure`].
    fn unseal(&mut self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Failure>;
}
