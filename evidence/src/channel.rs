//! What binds evidence, and the signature of an owner, to one TLS connection.
//!
//! A certificate with evidence shows neither that the enclave still runs, nor that it is at the other
//! end: evidence can be kept, and a connection relayed. So each side asks for new evidence over this
//! connection. Both sides compute the same exporter (RFC 8446, section 7.5), and nobody else can.

use crate::bytes::Digest;

/// The label of the exporter that evidence is bound to. Its context is the nonce of whoever asks for
/// the evidence.
pub const EVIDENCE_LABEL: &[u8] = b"EXPORTER-Twine-Evidence-v1";

/// The label of the exporter that a client's signature is bound to. Its context is the nonce of the
/// server.
pub const OWNER_LABEL: &[u8] = b"EXPORTER-Twine-Owner-v1";

/// The size of what an exporter returns, in bytes.
pub const EXPORTER_BYTES: usize = 32;

/// What a binder begins with.
const BINDER_PREFIX: &[u8] = b"twine-channel-v1";

/// What a message that a client signs begins with.
const OWNER_PREFIX: &[u8] = b"twine-owner-v1";

/// The side of a connection that makes evidence. With it in the binder, the evidence of one side can't
/// be sent back as that of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The side that accepted the connection.
    Server = 1,
    /// The side that opened it.
    Client = 2,
}

/// Returns what binds evidence to a connection:
/// `SHA-256("twine-channel-v1" || role || own || peer || exporter)`.
///
/// `role` is that of the side that makes the evidence, one byte. `own` and `peer` are the SHA-256 of
/// the SubjectPublicKeyInfo in the certificates of this side and of the other one, in DER; 32 zeros
/// take the place of `peer` if the other side has no certificate. `exporter` is that of
/// [`EVIDENCE_LABEL`].
pub fn binder(
    role: Role,
    own: Digest,
    peer: Option<Digest>,
    exporter: &[u8; EXPORTER_BYTES],
) -> Digest {
    let peer = peer.map_or([0; 32], |digest| digest.0);
    let parts: [&[u8]; 5] = [BINDER_PREFIX, &[role as u8], &own.0, &peer, exporter];
    Digest::of(&parts.concat())
}

/// Returns the message that a client signs, with the key of an owner or of whom a manifest names, to
/// show who it is: `"twine-owner-v1" || exporter`. `exporter` is that of [`OWNER_LABEL`].
pub fn owner_message(exporter: &[u8; EXPORTER_BYTES]) -> Vec<u8> {
    [OWNER_PREFIX, exporter].concat()
}
