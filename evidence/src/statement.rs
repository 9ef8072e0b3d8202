//! The launch statement: what an enclave really launched.
//!
//! The enclave makes it in one place, from the checked launch request and from what it found out
//! itself. Evidence carries the whole statement.

use crate::bytes::{Bytes, Digest};
use crate::cbor;
use crate::manifest::is_name;
use crate::terms::Terms;
use minicbor::{Decode, Encode};

/// The version of the statement's encoding.
pub const VERSION: u32 = 1;

/// Limit on the size of an encoded statement, in bytes. With it and a quote, evidence fits into
/// one message of an enclave to its host.
pub const MAX_BYTES: usize = 160 << 10;

/// Limit on the size of a nonce, in bytes.
pub const MAX_NONCE_BYTES: usize = 64;

/// A launch statement.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Statement {
    /// The version of the encoding: [`VERSION`].
    #[n(0)]
    pub version: u32,
    /// Who makes the statement, and for what.
    #[n(1)]
    pub kind: Kind,
    /// The terms of the launch.
    #[n(2)]
    pub terms: Terms,
    /// The deployment, for kind [`Kind::Deployment`].
    #[n(3)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub deployment: Option<Deployment>,
    /// How the program's code came to be, and what guards it.
    #[n(4)]
    pub engine: Engine,
    /// The image's own traits.
    #[n(5)]
    pub image: Image,
    /// What only this run has.
    #[n(6)]
    pub run: Run,
}

/// Who makes a statement, and for what. Only the runtime makes statements, so a program cannot
/// choose the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(index_only)]
pub enum Kind {
    /// A run by whoever started it, on his terms.
    #[n(0)]
    Local,
    /// A run on the terms of a manifest that its owner has signed.
    #[n(1)]
    Deployment,
}

/// A deployment: what an owner wants to run.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Deployment {
    /// The SHA-256 of the owner's public key ([`PublicKey::id`](crate::owner::PublicKey::id)).
    #[n(0)]
    pub owner: Digest,
    /// The name that the owner gave it.
    #[n(1)]
    pub name: String,
    /// The version of its manifest.
    #[n(2)]
    pub version: u64,
    /// The generation of its sealing keys.
    #[n(3)]
    pub generation: u64,
    /// The SHA-256 of the encoded manifest, without its signature.
    #[n(4)]
    pub manifest: Digest,
}

/// A compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(index_only)]
pub enum Compiler {
    /// Cranelift.
    #[n(0)]
    Optimizing,
    /// Winch.
    #[n(1)]
    Baseline,
}

/// How the program's code came to be, and what guards it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Engine {
    /// The compiler that made the code that runs.
    #[n(0)]
    pub compiler: Compiler,
    /// Whether guard pages catch accesses out of bounds. Else the code checks bounds itself.
    #[n(1)]
    pub guard_pages: bool,
    /// Whether pages were writable and executable at once while the code ran, because the machine
    /// or the image has no SGX2.
    #[n(2)]
    pub writable_code: bool,
}

/// Traits of the image, as the enclave sees itself.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Image {
    /// The version of the runtime, such as `0.1.0`.
    #[n(0)]
    pub runtime: String,
    /// Size of the heap with its growth, in bytes.
    #[n(1)]
    pub heap: u64,
    /// Size of the memory for code, in bytes.
    #[n(2)]
    pub code: u64,
    /// Size of the addresses for memories with guard pages, in bytes.
    #[n(3)]
    pub guards: u64,
}

/// What only this run has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Run {
    /// The nonce of whoever asked for evidence, at most [`MAX_NONCE_BYTES`] bytes.
    #[n(0)]
    #[cfg_attr(
        feature = "serde",
        serde(
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::bytes::as_hex_if_any"
        )
    )]
    pub nonce: Option<Bytes>,
    /// The SHA-256 of the run's public key, as a DER-encoded SubjectPublicKeyInfo (RFC 5280,
    /// section 4.1.2.7).
    #[n(1)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub key: Option<Digest>,
}

impl Statement {
    /// The statement as bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// The SHA-256 of the statement without what only this run has. Two launches on the same terms,
    /// in images of the same traits, have the same one.
    pub fn launch(&self) -> Digest {
        Digest::of(&Statement { run: Run::default(), ..self.clone() }.encode())
    }

    /// Decodes a statement, which must be all of `bytes`.
    ///
    /// # Errors
    /// The bytes are not a statement of this version in its one encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, cbor::Error> {
        let statement: Statement = cbor::decode(bytes, MAX_BYTES)?;
        if statement.version != VERSION {
            return Err(cbor::Error::Malformed(format!(
                "statement version {} where {VERSION} is known",
                statement.version
            )));
        }
        let named = statement.deployment.as_ref().is_none_or(|part| is_name(&part.name));
        if !named {
            return Err(cbor::Error::Malformed("the deployment has no possible name".into()));
        }
        if (statement.kind == Kind::Deployment) != statement.deployment.is_some() {
            return Err(cbor::Error::Malformed(
                "a statement of one kind with the parts of another".into(),
            ));
        }
        Ok(statement)
    }
}
