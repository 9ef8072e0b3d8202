//! The launch statement: what an enclave really launched, or that it waits for deployments.
//!
//! The enclave makes it in one place, from the checked launch request and from what it found out
//! itself. Evidence carries the whole statement.

use crate::bytes::{Bytes, Digest};
use crate::cbor;
use crate::manifest::is_name;
use crate::terms::Terms;
use minicbor::{Decode, Encode};
use std::borrow::Cow;

/// The version of the statement's encoding.
pub const VERSION: u32 = 1;

/// Limit on the size of an encoded statement, in bytes. With it and a quote, evidence fits into
/// one message of an enclave to its host.
pub const MAX_BYTES: usize = 160 << 10;

/// Limit on the size of a nonce, in bytes.
pub const MAX_NONCE_BYTES: usize = 64;

/// Limit on what a program says of itself, in bytes.
pub const MAX_DATA_BYTES: usize = 1024;

/// A launch statement.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub struct Statement {
    /// The version of the encoding: [`VERSION`].
    pub version: u32,
    /// What the enclave does.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub subject: Subject,
    /// The image's own traits.
    pub image: Image,
    /// What only this run has.
    pub run: Run,
}

/// What an enclave does. Only the runtime makes statements, so a program cannot choose it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "kind", rename_all = "kebab-case")
)]
pub enum Subject {
    /// It runs a program for whoever started it, on his terms.
    Local(Program),
    /// It runs a program on the terms of a manifest that its owner has signed.
    Deployment {
        /// The program.
        #[cfg_attr(feature = "serde", serde(flatten))]
        program: Program,
        /// The manifest.
        deployment: Deployment,
    },
    /// It waits for deployments, and runs no program itself.
    Host,
    /// It runs a program, which says something of itself. Everything but `said` is as in the statement
    /// of the program's launch.
    Guest {
        /// The program.
        #[cfg_attr(feature = "serde", serde(flatten))]
        program: Program,
        /// The manifest, if the program runs on the terms of one.
        #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
        deployment: Option<Deployment>,
        /// What the program says.
        said: Said,
    },
}

/// What a program says of itself: the one part of statements that a program chooses.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Said {
    /// The nonce of whoever asked the program, at most [`MAX_NONCE_BYTES`] bytes, and not empty.
    #[n(0)]
    #[cfg_attr(
        feature = "serde",
        serde(
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::bytes::as_hex_if_any"
        )
    )]
    pub nonce: Option<Bytes>,
    /// What it says, at most [`MAX_DATA_BYTES`] bytes.
    #[n(1)]
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::bytes::as_hex"))]
    pub data: Bytes,
}

impl Said {
    /// Whether each part has a possible length.
    pub fn fits(&self) -> bool {
        let nonce = self.nonce.as_ref().map_or(1, |Bytes(nonce)| nonce.len());
        (1..=MAX_NONCE_BYTES).contains(&nonce) && self.data.0.len() <= MAX_DATA_BYTES
    }
}

/// The name of a [`Subject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
#[cbor(index_only)]
pub enum Kind {
    /// [`Subject::Local`].
    #[n(0)]
    Local,
    /// [`Subject::Deployment`].
    #[n(1)]
    Deployment,
    /// [`Subject::Host`].
    #[n(2)]
    Host,
    /// [`Subject::Guest`].
    #[n(3)]
    Guest,
}

/// A program that was launched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub struct Program {
    /// The terms of the launch.
    pub terms: Terms,
    /// How the program's code came to be, and what guards it.
    pub engine: Engine,
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
    /// The connection that the evidence was made for
    /// ([`channel::binder`](crate::channel::binder)).
    #[n(2)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub channel: Option<Digest>,
}

/// A statement as it is encoded. Which parts there are depends on the kind.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Encoded<'a> {
    #[n(0)]
    version: u32,
    #[n(1)]
    kind: Kind,
    #[n(2)]
    terms: Option<Cow<'a, Terms>>,
    #[n(3)]
    deployment: Option<Cow<'a, Deployment>>,
    #[n(4)]
    engine: Option<Engine>,
    #[n(5)]
    image: Cow<'a, Image>,
    #[n(6)]
    run: Cow<'a, Run>,
    #[n(7)]
    said: Option<Cow<'a, Said>>,
}

impl<'a> From<&'a Statement> for Encoded<'a> {
    fn from(statement: &'a Statement) -> Self {
        let Statement { version, subject, image, run } = statement;
        let program = subject.program();
        Encoded {
            version: *version,
            kind: subject.kind(),
            terms: program.map(|program| Cow::Borrowed(&program.terms)),
            deployment: subject.deployment().map(Cow::Borrowed),
            engine: program.map(|program| program.engine),
            image: Cow::Borrowed(image),
            run: Cow::Borrowed(run),
            said: subject.said().map(Cow::Borrowed),
        }
    }
}

impl Encoded<'_> {
    /// The statement. `None` if it has the parts of another kind.
    fn into_statement(self) -> Option<Statement> {
        let program = match (self.terms, self.engine) {
            (Some(terms), Some(engine)) => Some(Program { terms: terms.into_owned(), engine }),
            (None, None) => None,
            _ => return None,
        };
        let (image, run) = (self.image.into_owned(), self.run.into_owned());
        let deployment = self.deployment.map(Cow::into_owned);
        // No channel leads from a local launch to an owner.
        let is_possible = deployment.is_some()
            || program.as_ref().is_none_or(|program| program.terms.streams.to_owner().count() == 0);
        let said = self.said.map(Cow::into_owned);
        let subject = match (self.kind, program, deployment, said) {
            _ if !is_possible => return None,
            (Kind::Local, Some(program), None, None) => Subject::Local(program),
            (Kind::Deployment, Some(program), Some(deployment), None) => {
                Subject::Deployment { program, deployment }
            }
            (Kind::Host, None, None, None) => Subject::Host,
            // A program has neither a key nor a connection of the runtime's, nor a nonce for them.
            (Kind::Guest, Some(program), deployment, Some(said))
                if run == Run::default() && said.fits() =>
            {
                Subject::Guest { program, deployment, said }
            }
            _ => return None,
        };
        Some(Statement { version: self.version, subject, image, run })
    }
}

impl Subject {
    /// Its name.
    pub fn kind(&self) -> Kind {
        match self {
            Subject::Local(_) => Kind::Local,
            Subject::Deployment { .. } => Kind::Deployment,
            Subject::Host => Kind::Host,
            Subject::Guest { .. } => Kind::Guest,
        }
    }

    /// The kind of the launch. A program that says something was launched before.
    fn launch_kind(&self) -> Kind {
        match self {
            Subject::Guest { deployment: None, .. } => Kind::Local,
            Subject::Guest { deployment: Some(_), .. } => Kind::Deployment,
            _ => self.kind(),
        }
    }

    /// The program that runs, if one does.
    pub fn program(&self) -> Option<&Program> {
        match self {
            Subject::Local(program)
            | Subject::Deployment { program, .. }
            | Subject::Guest { program, .. } => Some(program),
            Subject::Host => None,
        }
    }

    /// The manifest on whose terms the program runs, if it does.
    pub fn deployment(&self) -> Option<&Deployment> {
        match self {
            Subject::Deployment { deployment, .. } => Some(deployment),
            Subject::Guest { deployment, .. } => deployment.as_ref(),
            Subject::Local(_) | Subject::Host => None,
        }
    }

    /// What a program says of itself, if it does.
    pub fn said(&self) -> Option<&Said> {
        match self {
            Subject::Guest { said, .. } => Some(said),
            Subject::Local(_) | Subject::Deployment { .. } | Subject::Host => None,
        }
    }
}

impl Kind {
    /// What the enclave does, as the end of a sentence that begins with `it is`.
    pub fn description(self) -> &'static str {
        match self {
            Kind::Local => "a local launch, on the terms of whoever started it",
            Kind::Deployment => "a launch on the terms of a signed manifest",
            Kind::Host => "an enclave that waits for deployments",
            Kind::Guest => "what a program says of itself",
        }
    }
}

impl Statement {
    /// The statement as bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&Encoded::from(self))
    }

    /// The SHA-256 of the statement without what only this run has. Two launches on the same terms,
    /// in images of the same traits, have the same one. What a program says of itself has that of its
    /// launch.
    pub fn launch(&self) -> Digest {
        Digest::of(&cbor::encode(&Encoded {
            kind: self.subject.launch_kind(),
            run: Cow::Owned(Run::default()),
            said: None,
            ..Encoded::from(self)
        }))
    }

    /// Decodes a statement, which must be all of `bytes`.
    ///
    /// # Errors
    /// The bytes are not a statement of this version in its one encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, cbor::Error> {
        let encoded: Encoded<'_> = cbor::decode(bytes, MAX_BYTES)?;
        if encoded.version != VERSION {
            return Err(cbor::Error::Malformed(format!(
                "statement version {} where {VERSION} is known",
                encoded.version
            )));
        }
        let named = encoded.deployment.as_ref().is_none_or(|part| is_name(&part.name));
        if !named {
            return Err(cbor::Error::Malformed("the deployment has no possible name".into()));
        }
        encoded.into_statement().ok_or_else(|| {
            cbor::Error::Malformed("a statement of one kind with the parts of another".into())
        })
    }
}
