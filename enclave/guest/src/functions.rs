//! The functions, which check their arguments and call a [`Proof`].

use crate::proof::{Failure, Peer, Proof, Verified};
use crate::types::{Errno, Error, twine_attestation};
use std::fmt;
use wiggle::{GuestMemory, GuestPtr};

/// The least size of a nonce, in bytes. Shorter ones can be guessed.
pub const MIN_NONCE_BYTES: u32 = 8;
/// Limit on the size of a nonce, in bytes.
pub const MAX_NONCE_BYTES: u32 = 64;
/// Limit on what a program says in evidence, in bytes.
pub const MAX_DATA_BYTES: u32 = 1024;
/// Limit on the size of evidence, in bytes.
pub const MAX_EVIDENCE_BYTES: u32 = 256 << 10;
/// Limit on the size of a policy, in bytes.
pub const MAX_POLICY_BYTES: u32 = 64 << 10;
/// Limit on the size of a policy's root, in bytes.
pub const MAX_ROOT_BYTES: u32 = 16 << 10;
/// Limit on the size of what says what sealed bytes are, in bytes.
pub const MAX_CONTEXT_BYTES: u32 = 1024;
/// Limit on the bytes that are sealed at once.
pub const MAX_SEALED_BYTES: u32 = 256 << 10;
/// Limit on how many bytes more than the bytes themselves their sealed form has.
pub const SEAL_BYTES: u32 = 128;

type Result<T, E = Error> = std::result::Result<T, E>;

/// What serves the calls of one program.
#[derive(Default)]
pub struct Guest {
    proof: Option<Box<dyn Proof>>,
    /// Evidence that did not fit into the program's buffer.
    kept: Option<Kept>,
}

/// Evidence, with what it was asked for with.
struct Kept {
    nonce: Vec<u8>,
    data: Vec<u8>,
    evidence: Vec<u8>,
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").finish_non_exhaustive()
    }
}

impl Guest {
    /// Serves a program with what does the work. Without it ([`Guest::default`]), each call says that it is
    /// not supported.
    pub fn new(proof: Box<dyn Proof>) -> Self {
        Guest { proof: Some(proof), kept: None }
    }

    fn proof(&mut self) -> Result<&mut (dyn Proof + 'static)> {
        Ok(self.proof.as_deref_mut().ok_or(Errno::Notsup)?)
    }

    /// Returns evidence: that of the last call, if it had these arguments and the program got nothing.
    fn make_evidence(&mut self, nonce: Vec<u8>, data: Vec<u8>) -> Result<Vec<u8>> {
        match self.kept.take() {
            Some(kept) if kept.nonce == nonce && kept.data == data => Ok(kept.evidence),
            _ => {
                let evidence = self.proof()?.evidence(given(&nonce), &data);
                let evidence = evidence.map_err(|failure| Errno::from(&failure))?;
                Ok(evidence)
            }
        }
    }
}

/// Where a result goes: a buffer of the program, its length, and the place for the length of the result.
struct Destination {
    buffer: GuestPtr<u8>,
    length: u32,
    size: GuestPtr<u32>,
}

impl Destination {
    /// Writes the size of a result, and the result if it fits. Returns whether it does.
    fn write(&self, memory: &mut GuestMemory<'_>, bytes: &[u8]) -> Result<bool> {
        let size = u32::try_from(bytes.len()).map_err(|_| Errno::Io)?;
        memory.write(self.size, size)?;
        let fits = size <= self.length;
        if fits {
            memory.copy_from_slice(bytes, self.buffer.as_array(size))?;
        }
        Ok(fits)
    }

    /// Writes a result, or says that it does not fit.
    fn put(&self, memory: &mut GuestMemory<'_>, bytes: &[u8]) -> Result<()> {
        if self.write(memory, bytes)? { Ok(()) } else { Err(Errno::Nobufs.into()) }
    }
}

/// Copies bytes of the program, at most so many.
fn bytes(memory: &GuestMemory<'_>, list: GuestPtr<[u8]>, most: u32) -> Result<Vec<u8>> {
    if list.len() > most {
        return Err(Errno::Inval.into());
    }
    Ok(memory.to_vec(list)?)
}

fn nonce(memory: &GuestMemory<'_>, list: GuestPtr<[u8]>) -> Result<Vec<u8>> {
    match list.len() {
        0 | MIN_NONCE_BYTES..=MAX_NONCE_BYTES => bytes(memory, list, MAX_NONCE_BYTES),
        _ => Err(Errno::Inval.into()),
    }
}

/// A nonce of no bytes is none.
fn given(nonce: &[u8]) -> Option<&[u8]> {
    Some(nonce).filter(|nonce| !nonce.is_empty())
}

/// Copies text of the program.
fn text(memory: &GuestMemory<'_>, list: GuestPtr<[u8]>, most: u32) -> Result<String> {
    Ok(String::from_utf8(bytes(memory, list, most)?).map_err(|_| Errno::Inval)?)
}

impl twine_attestation::TwineAttestation for Guest {
    fn evidence(
        &mut self,
        memory: &mut GuestMemory<'_>,
        asked: GuestPtr<[u8]>,
        data: GuestPtr<[u8]>,
        buffer: GuestPtr<u8>,
        length: u32,
        size: GuestPtr<u32>,
    ) -> Result<()> {
        let nonce = nonce(memory, asked)?;
        let data = bytes(memory, data, MAX_DATA_BYTES)?;
        let evidence = self.make_evidence(nonce.clone(), data.clone())?;
        let put = Destination { buffer, length, size }.put(memory, &evidence);
        if put.is_err() {
            self.kept = Some(Kept { nonce, data, evidence });
        }
        put
    }

    fn verify(
        &mut self,
        memory: &mut GuestMemory<'_>,
        evidence: GuestPtr<[u8]>,
        policy: GuestPtr<[u8]>,
        asked: GuestPtr<[u8]>,
        data: GuestPtr<[u8]>,
        buffer: GuestPtr<u8>,
        length: u32,
        size: GuestPtr<u32>,
    ) -> Result<()> {
        let to = Destination { buffer, length, size };
        let evidence = bytes(memory, evidence, MAX_EVIDENCE_BYTES)?;
        let policy = text(memory, policy, MAX_POLICY_BYTES)?;
        let nonce = nonce(memory, asked)?;
        let data = bytes(memory, data, MAX_DATA_BYTES)?;
        let peer = Peer { evidence: &evidence, policy: &policy, nonce: given(&nonce), data: &data };
        match self.proof()?.verify(peer) {
            Ok(Verified { accepted, json }) => {
                to.write(memory, &json)?;
                if accepted { Ok(()) } else { Err(Errno::Refused.into()) }
            }
            Err(failure) => {
                if let Failure::Policy(problem) = &failure {
                    to.write(memory, problem.as_bytes())?;
                }
                Err(Errno::from(&failure).into())
            }
        }
    }

    fn own_policy(
        &mut self,
        memory: &mut GuestMemory<'_>,
        root: GuestPtr<[u8]>,
        buffer: GuestPtr<u8>,
        length: u32,
        size: GuestPtr<u32>,
    ) -> Result<()> {
        let root = text(memory, root, MAX_ROOT_BYTES)?;
        let is_plain =
            |byte: u8| matches!(byte, b' '..=b'~' | b'\n') && byte != b'"' && byte != b'\\';
        if root.is_empty() || !root.bytes().all(is_plain) {
            return Err(Errno::Inval.into());
        }
        let policy = self.proof()?.own_policy(&root).map_err(|failure| Errno::from(&failure))?;
        Destination { buffer, length, size }.put(memory, policy.as_bytes())
    }

    fn seal(
        &mut self,
        memory: &mut GuestMemory<'_>,
        context: GuestPtr<[u8]>,
        plain: GuestPtr<[u8]>,
        buffer: GuestPtr<u8>,
        length: u32,
        size: GuestPtr<u32>,
    ) -> Result<()> {
        let context = bytes(memory, context, MAX_CONTEXT_BYTES)?;
        let plain = bytes(memory, plain, MAX_SEALED_BYTES)?;
        let sealed =
            self.proof()?.seal(&context, &plain).map_err(|failure| Errno::from(&failure))?;
        Destination { buffer, length, size }.put(memory, &sealed)
    }

    fn unseal(
        &mut self,
        memory: &mut GuestMemory<'_>,
        context: GuestPtr<[u8]>,
        sealed: GuestPtr<[u8]>,
        buffer: GuestPtr<u8>,
        length: u32,
        size: GuestPtr<u32>,
    ) -> Result<()> {
        let context = bytes(memory, context, MAX_CONTEXT_BYTES)?;
        let sealed = bytes(memory, sealed, MAX_SEALED_BYTES + SEAL_BYTES)?;
        let plain =
            self.proof()?.unseal(&context, &sealed).map_err(|failure| Errno::from(&failure))?;
        Destination { buffer, length, size }.put(memory, &plain)
    }
}
