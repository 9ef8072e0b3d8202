//! For programs in enclaves of Twine: a program proves itself to its peers, verifies them, and seals
//! bytes for its own use. It has no dependencies. `docs/guest-api.md` of Twine describes what each
//! function promises.
//!
//! ```no_run
//! use twine_attestation::{evidence, verify};
//!
//! # fn receive() -> Vec<u8> { Vec::new() }
//! # fn main() -> Result<(), twine_attestation::Error> {
//! // The peer sends a nonce, and gets evidence of who says this.
//! let mine = evidence(&receive(), b"shop-v1 server, my key is ...")?;
//! // It answers with evidence over a nonce of ours.
//! let nonce = [7; 32]; // random, and never used before
//! verify(&receive(), "root = 'intel' ...", &nonce, b"shop-v1 client, my key is ...")?;
//! # Ok(())
//! # }
//! ```

use std::fmt;

mod imports {
    #[link(wasm_import_module = "twine:attestation")]
    unsafe extern "C" {
        pub(crate) fn evidence(
            nonce: *const u8,
            nonce_length: usize,
            data: *const u8,
            data_length: usize,
            buffer: *mut u8,
            buffer_length: usize,
            size: *mut usize,
        ) -> i32;
        pub(crate) fn verify(
            evidence: *const u8,
            evidence_length: usize,
            policy: *const u8,
            policy_length: usize,
            nonce: *const u8,
            nonce_length: usize,
            data: *const u8,
            data_length: usize,
            buffer: *mut u8,
            buffer_length: usize,
            size: *mut usize,
        ) -> i32;
        pub(crate) fn own_policy(
            root: *const u8,
            root_length: usize,
            buffer: *mut u8,
            buffer_length: usize,
            size: *mut usize,
        ) -> i32;
        pub(crate) fn seal(
            context: *const u8,
            context_length: usize,
            bytes: *const u8,
            bytes_length: usize,
            buffer: *mut u8,
            buffer_length: usize,
            size: *mut usize,
        ) -> i32;
        pub(crate) fn unseal(
            context: *const u8,
            context_length: usize,
            sealed: *const u8,
            sealed_length: usize,
            buffer: *mut u8,
            buffer_length: usize,
            size: *mut usize,
        ) -> i32;
    }
}

/// Why a function has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An argument is longer or shorter than allowed.
    Invalid,
    /// This machine, or this kind of run, can't do it.
    NotSupported,
    /// Too many calls in a short time: try again later.
    Again,
    /// The host failed: it made no quote, gave no collateral, or no time.
    Host,
    /// The evidence is refused. This is the verdict, in JSON.
    Refused(String),
    /// The policy can't be read: where and why.
    Policy(String),
    /// The bytes were not sealed here with this context, or they were changed.
    Damaged,
    /// The launch statement is too long for evidence.
    TooBig,
    /// A number that this crate does not know.
    Unknown(i32),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid => f.write_str("an argument is too long or too short"),
            Error::NotSupported => f.write_str("this machine, or this kind of run, can't do it"),
            Error::Again => f.write_str("too many calls in a short time"),
            Error::Host => f.write_str("the host made no quote, or gave no collateral or time"),
            Error::Refused(verdict) => match reason(verdict) {
                Some(reason) => write!(f, "the evidence is refused: {reason}"),
                None => f.write_str("the evidence is refused"),
            },
            Error::Policy(problem) => write!(f, "the policy: {problem}"),
            Error::Damaged => f.write_str("it was not sealed here for this, or it was changed"),
            Error::TooBig => f.write_str("the launch has too many arguments for evidence"),
            Error::Unknown(number) => write!(f, "error {number}"),
        }
    }
}

impl std::error::Error for Error {}

/// Returns the reason of a refusal, as the verdict has it: text in JSON, with its escapes.
fn reason(verdict: &str) -> Option<&str> {
    let (_, rest) = verdict.split_once("\"refused\":\"")?;
    let mut escaped = false;
    let end = rest.find(|letter| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    })?;
    rest.get(..end)
}

/// `nobufs` of the witx.
const NOT_ENOUGH: i32 = 2;
/// `refused` of the witx.
const REFUSED: i32 = 6;
/// `policy` of the witx.
const POLICY: i32 = 7;

/// Calls a function with a buffer, and with a larger one if that is too small. Returns its number and
/// what it wrote.
fn with_buffer(first: usize, call: impl Fn(*mut u8, usize, *mut usize) -> i32) -> (i32, Vec<u8>) {
    let mut buffer = vec![0; first];
    loop {
        let mut size = 0;
        let number = call(buffer.as_mut_ptr(), buffer.len(), &mut size);
        if size <= buffer.len() {
            buffer.truncate(size);
            return (number, buffer);
        }
        match number {
            0 | NOT_ENOUGH | REFUSED | POLICY => buffer = vec![0; size],
            _ => return (number, Vec::new()),
        }
    }
}

/// Converts the number that a function returned. `text` is what it wrote.
fn result(number: i32, text: impl FnOnce() -> String) -> Result<(), Error> {
    Err(match number {
        0 => return Ok(()),
        1 => Error::Invalid,
        3 => Error::NotSupported,
        4 => Error::Again,
        5 => Error::Host,
        REFUSED => Error::Refused(text()),
        POLICY => Error::Policy(text()),
        8 => Error::Damaged,
        9 => Error::TooBig,
        number => Error::Unknown(number),
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Makes evidence that this program, as it was launched, wants to say `data` to whoever chose the nonce:
/// 8 to 64 bytes, or none. `data` has at most 1,024 bytes.
///
/// # Errors
/// [`Error`].
pub fn evidence(nonce: &[u8], data: &[u8]) -> Result<Vec<u8>, Error> {
    let (number, evidence) = with_buffer(8192, |buffer, length, size| {
        // SAFETY: all pointers lead to memory of these lengths.
        unsafe {
            imports::evidence(
                nonce.as_ptr(),
                nonce.len(),
                data.as_ptr(),
                data.len(),
                buffer,
                length,
                size,
            )
        }
    });
    result(number, String::new).map(|()| evidence)
}

/// Verifies that a program which the policy accepts says `data`, all of it, to this nonce. Returns the
/// verdict in JSON.
///
/// # Errors
/// [`Error::Refused`] if the evidence is refused; the other errors say that there is no verdict.
pub fn verify(evidence: &[u8], policy: &str, nonce: &[u8], data: &[u8]) -> Result<String, Error> {
    let (number, verdict) = with_buffer(16384, |buffer, length, size| {
        // SAFETY: all pointers lead to memory of these lengths.
        unsafe {
            imports::verify(
                evidence.as_ptr(),
                evidence.len(),
                policy.as_ptr(),
                policy.len(),
                nonce.as_ptr(),
                nonce.len(),
                data.as_ptr(),
                data.len(),
                buffer,
                length,
                size,
            )
        }
    });
    result(number, || text(&verdict)).map(|()| text(&verdict))
}

/// Returns a policy that accepts programs that run as this one does, under a root: `intel`, `simulation`,
/// or a certificate in PEM.
///
/// # Errors
/// [`Error`].
pub fn own_policy(root: &str) -> Result<String, Error> {
    let (number, policy) = with_buffer(2048, |buffer, length, size| {
        // SAFETY: all pointers lead to memory of these lengths.
        unsafe { imports::own_policy(root.as_ptr(), root.len(), buffer, length, size) }
    });
    result(number, String::new).map(|()| text(&policy))
}

/// Seals bytes, at most 262,144. Only this program, or this deployment, unseals them, with the same
/// context of at most 1,024 bytes.
///
/// # Errors
/// [`Error`].
pub fn seal(context: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let (number, sealed) = with_buffer(bytes.len() + 128, |buffer, length, size| {
        // SAFETY: all pointers lead to memory of these lengths.
        unsafe {
            imports::seal(
                context.as_ptr(),
                context.len(),
                bytes.as_ptr(),
                bytes.len(),
                buffer,
                length,
                size,
            )
        }
    });
    result(number, String::new).map(|()| sealed)
}

/// Unseals bytes.
///
/// # Errors
/// [`Error::Damaged`] if they were not sealed here with this context, or were changed.
pub fn unseal(context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let (number, bytes) = with_buffer(sealed.len(), |buffer, length, size| {
        // SAFETY: all pointers lead to memory of these lengths.
        unsafe {
            imports::unseal(
                context.as_ptr(),
                context.len(),
                sealed.as_ptr(),
                sealed.len(),
                buffer,
                length,
                size,
            )
        }
    });
    result(number, String::new).map(|()| bytes)
}
