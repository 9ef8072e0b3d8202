//! The terms of a launch: everything that whoever starts a program decides, and that decides what
//! the program does. A manifest fixes them, and a launch statement records them.

use crate::bytes::{Bytes, Digest};
use crate::sockets::Socket;
use minicbor::{Decode, Encode};
use std::fmt;

/// The terms of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Terms {
    /// The program's bytes.
    #[n(0)]
    pub program: Digest,
    /// The arguments that the program sees, its name first.
    #[n(1)]
    pub arguments: Vec<Bytes>,
    /// The environment that the program sees, in this order. Secrets are not in it.
    #[n(2)]
    pub environment: Vec<Variable>,
    /// The names of the variables with secret values, which follow the others.
    #[n(3)]
    pub secrets: Vec<Bytes>,
    /// The exported function to call instead of `_start`.
    #[n(4)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub export: Option<Export>,
    /// The standard streams.
    #[n(5)]
    pub streams: Streams,
    /// The file trees that the program sees, in this order.
    #[n(6)]
    pub mounts: Vec<Mount>,
    /// The sockets that the program gets, in this order.
    #[n(7)]
    pub sockets: Vec<Socket>,
    /// Limits that the enclave enforces.
    #[n(8)]
    pub limits: Limits,
    /// What the enclave tells its host of the program.
    #[n(9)]
    pub diagnostics: Diagnostics,
}

/// An environment variable.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(array)]
pub struct Variable {
    /// Its name.
    #[n(0)]
    pub name: Bytes,
    /// Its value.
    #[n(1)]
    pub value: Bytes,
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?}", self.name.escaped(), self.value)
    }
}

/// An exported function, and the arguments of its call.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Export {
    /// The name of the export.
    #[n(0)]
    pub function: String,
    /// One text for each parameter.
    #[n(1)]
    pub arguments: Vec<String>,
}

/// Where the standard streams lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Streams {
    /// Standard input.
    #[n(0)]
    pub stdin: Stream,
    /// Standard output.
    #[n(1)]
    pub stdout: Stream,
    /// Standard error.
    #[n(2)]
    pub stderr: Stream,
}

/// Where a standard stream leads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(index_only)]
pub enum Stream {
    /// Nowhere: the input is empty, and output is dropped inside the enclave.
    #[default]
    #[n(0)]
    None,
    /// To the host, which reads and writes it.
    #[n(1)]
    Host,
    /// To the owner of the deployment, or to whom he lets start it, through an attested channel. The
    /// host sees nothing of it. A local launch has no such stream.
    #[n(2)]
    Owner,
}

impl Streams {
    /// The streams, each with its name.
    pub fn named(&self) -> [(&'static str, Stream); 3] {
        [("stdin", self.stdin), ("stdout", self.stdout), ("stderr", self.stderr)]
    }

    /// The names of those that lead to the owner.
    pub fn to_owner(&self) -> impl Iterator<Item = &'static str> {
        self.named().into_iter().filter(|(_, to)| *to == Stream::Owner).map(|(name, _)| name)
    }
}

impl fmt::Display for Stream {
    /// Writes the word of a manifest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stream::None => "none",
            Stream::Host => "host",
            Stream::Owner => "owner",
        })
    }
}

impl fmt::Display for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Streams { stdin, stdout, stderr } = self;
        write!(f, "stdin {stdin}, stdout {stdout}, stderr {stderr}")
    }
}

/// A file tree.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Mount {
    /// The path at which the program sees it.
    #[n(0)]
    pub guest: String,
    /// Where the files are.
    #[n(1)]
    pub kind: MountKind,
    /// Who can open the volume. Other kinds have no key.
    #[n(2)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub key: Option<KeyPolicy>,
    /// Whether the mount refuses all changes.
    #[n(3)]
    pub read_only: bool,
    /// Limit on the size of a tree in memory, in bytes. Other kinds have no size.
    #[n(4)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub size: Option<u64>,
    /// The name of the volume's main file, such as a database, if the launch names one.
    #[n(5)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub main: Option<String>,
    /// Another name that the main file may have until then. A manifest allows neither.
    #[n(6)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub former: Option<String>,
}

/// Where the files of a mount are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(index_only)]
pub enum MountKind {
    /// In a protected volume.
    #[n(0)]
    Volume,
    /// In a folder of the host, which reads and changes them.
    #[n(1)]
    Folder,
    /// In the enclave's memory, for the time of the run.
    #[n(2)]
    Memory,
}

/// Who can open a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(index_only)]
pub enum KeyPolicy {
    /// This deployment, in this image.
    #[n(0)]
    Deployment,
    /// Whoever runs this program, in this image.
    #[n(1)]
    ProgramInImage,
    /// Whoever runs this program, in images of this signer.
    #[n(2)]
    Program,
    /// Whoever runs any program, in this image.
    #[n(3)]
    AnyProgramInImage,
    /// Whoever runs any program, in images of this signer.
    #[n(4)]
    AnyProgram,
    /// Whoever has the key file. The host passes it to the enclave.
    #[n(5)]
    KeyFile,
    /// Whoever has the passphrase. The host passes it to the enclave.
    #[n(6)]
    Passphrase,
}

/// Limits that the enclave enforces on the program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Limits {
    /// Limit on the size of all linear memories together, in bytes.
    #[n(0)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub memory: Option<u64>,
    /// Units of fuel (wasmtime's: about one for each instruction).
    #[n(1)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub fuel: Option<u64>,
    /// Nanoseconds after which the program is interrupted, by the host's clock.
    #[n(2)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub timeout: Option<u64>,
    /// Whether the host may call the program's signal handler at any time.
    #[n(3)]
    pub interrupts: bool,
}

/// What the enclave tells its host of the program, apart from what the program itself tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Diagnostics {
    /// Backtraces of traps, with the names of functions.
    #[n(0)]
    pub backtraces: bool,
    /// Times of the run's phases, and counts of the volumes.
    #[n(1)]
    pub statistics: bool,
}

/// A term in which a launch differs from what was allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The term, in the words of a manifest.
    pub term: &'static str,
    /// What is allowed.
    pub allowed: String,
    /// What was asked for.
    pub asked: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { term, allowed, asked } = self;
        write!(f, "{term}: {asked} was asked for, and {allowed} is allowed")
    }
}

/// Shows a list, or `none`.
fn list<T: fmt::Debug>(items: &[T]) -> String {
    if items.is_empty() { "none".into() } else { format!("{items:?}") }
}

fn optional<T: fmt::Debug>(value: Option<&T>) -> String {
    value.map_or_else(|| "none".into(), |value| format!("{value:?}"))
}

impl Terms {
    /// Compares the terms of a launch with these, which are allowed. Names each difference.
    pub fn differences(&self, asked: &Terms) -> Vec<Difference> {
        // A field that is added must be compared.
        let Terms {
            program,
            arguments,
            environment,
            secrets,
            export,
            streams,
            mounts,
            sockets,
            limits,
            diagnostics,
        } = self;
        let mut found = Vec::new();
        let mut compare = |term, same: bool, allowed: String, asked: String| {
            if !same {
                found.push(Difference { term, allowed, asked });
            }
        };
        compare(
            "program",
            *program == asked.program,
            program.to_string(),
            asked.program.to_string(),
        );
        compare(
            "arguments",
            *arguments == asked.arguments,
            list(arguments),
            list(&asked.arguments),
        );
        compare(
            "environment",
            *environment == asked.environment,
            list(environment),
            list(&asked.environment),
        );
        compare("secrets", *secrets == asked.secrets, list(secrets), list(&asked.secrets));
        compare(
            "export",
            *export == asked.export,
            optional(export.as_ref()),
            optional(asked.export.as_ref()),
        );
        compare(
            "streams",
            *streams == asked.streams,
            format!("({streams})"),
            format!("({})", asked.streams),
        );
        compare("mounts", *mounts == asked.mounts, list(mounts), list(&asked.mounts));
        compare("sockets", *sockets == asked.sockets, list(sockets), list(&asked.sockets));
        compare(
            "limits",
            *limits == asked.limits,
            format!("{limits:?}"),
            format!("{:?}", asked.limits),
        );
        compare(
            "diagnostics",
            *diagnostics == asked.diagnostics,
            format!("{diagnostics:?}"),
            format!("{:?}", asked.diagnostics),
        );
        found
    }
}
