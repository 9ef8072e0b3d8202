//! The launch request, and the outcome of the run.

use crate::key::VolumeKey;
use crate::task::Task;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Why bytes are not a launch request or an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes start with another version of the protocol.
    Version(u32),
    /// The bytes are not in the encoding of this version.
    Malformed,
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            DecodeError::Version(found) => {
                write!(f, "protocol version {found} where {} is spoken", crate::VERSION)
            }
            DecodeError::Malformed => f.write_str("bytes that are not a message of the protocol"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// A launch request: which program to run and how, or other work to do. The program itself comes
/// with the host call `program`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The work to do. Work on a volume uses nothing else of the request.
    pub task: Task,
    /// The arguments that the program sees, its name first. They are bytes, as in the operating
    /// system.
    pub arguments: Vec<Vec<u8>>,
    /// The environment that the program sees, as names and values, also in bytes.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// The exported function to call instead of `_start`.
    pub invoke: Option<Invoke>,
    /// The file trees that the program sees.
    pub mounts: Vec<Mount>,
    /// The number of listening sockets that the program gets, after its mounts.
    pub listeners: u64,
    /// Limits that the enclave enforces on the program.
    pub limits: Limits,
    /// Whether to compile explicit bounds checks even if guard pages are possible.
    pub explicit_checks: bool,
    /// The compiler for the program.
    pub compiler: Compiler,
    /// Limit on the threads that compile at once. The number of the image's threads is another
    /// limit.
    pub compile_threads: u64,
    /// Whether to have the host cache the program's compiled code, sealed, for later runs.
    pub cache_code: bool,
    /// Names of variables in the environment whose values are secret. Evidence has only the names.
    pub secrets: Vec<Vec<u8>>,
    /// Where the program's standard streams lead.
    pub streams: Streams,
    /// What the outcome tells of the run.
    pub diagnostics: Diagnostics,
    /// A manifest with its owner's signature, which the launch must follow.
    pub manifest: Option<Vec<u8>>,
    /// The evidence to make before the program starts.
    pub evidence: Option<EvidenceRequest>,
}

/// Where the program's standard streams lead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streams {
    /// Standard input.
    pub stdin: Stream,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
}

/// Where a standard stream leads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// To the host.
    #[default]
    Host,
    /// Nowhere: the input is empty, and output is dropped inside the enclave.
    None,
}

/// What the outcome tells of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// Backtraces of traps.
    pub backtraces: bool,
    /// Times of the run's phases, and counts of its volumes.
    pub statistics: bool,
}

/// A request for evidence of the launch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceRequest {
    /// The TARGETINFO of the quoting enclave (SDM Vol. 3D, table 37-20): 512 bytes.
    pub target: Vec<u8>,
    /// The nonce of whoever asks for the evidence.
    pub nonce: Option<Vec<u8>>,
    /// The form of the evidence.
    pub form: EvidenceForm,
}

/// A form of evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EvidenceForm {
    /// CBOR: the quote and the claims.
    #[default]
    Cbor,
    /// An X.509 certificate in DER, with the same as an extension.
    Certificate,
}

/// A compiler for programs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Compiler {
    /// Cranelift: compiles slowly, and makes fast code.
    #[default]
    Optimizing,
    /// Winch: compiles in a fraction of that time, and makes slower code.
    Baseline,
    /// Winch, or Cranelift for programs that Winch does not support.
    BaselineIfPossible,
}

/// A file tree for the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The path at which the program sees it.
    pub guest: String,
    /// The place of its files.
    pub source: Source,
    /// Whether the mount refuses all changes.
    pub read_only: bool,
}

/// The place of a mount's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// In a protected volume.
    Volume(VolumeSource),
    /// In a folder of the host, which protects nothing. The value is the number for
    /// `calls::folder`.
    Folder(u64),
    /// In the enclave's memory, of which they use at most this many bytes.
    Memory(u64),
}

/// A protected volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSource {
    /// The number, for the `storage_...` calls, of the storage that holds it.
    pub storage: u64,
    /// The key that opens it.
    pub key: VolumeKey,
    /// Whether to make the volume, because the storage is empty.
    pub create: bool,
    /// Enclave memory for its cache, in bytes. `None`: the enclave decides.
    pub cache: Option<u64>,
    /// The main file of the volume, if it has one.
    pub main: Option<MainFile>,
}

/// The main file of a volume, such as a database. It is in the volume's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainFile {
    /// The name that it has, or gets before the program starts.
    pub name: String,
    /// Another name that it may have until then.
    pub former: String,
}

/// A call of an exported function (`--invoke`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoke {
    /// The name of the export.
    pub function: String,
    /// One text for each parameter: a number in the notation of Rust or C.
    pub arguments: Vec<String>,
}

/// Limits of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Limit on the size of all linear memories together, in bytes. `None`: as much as the enclave
    /// has.
    pub memory: Option<u64>,
    /// Units of fuel (wasmtime's: about one for each instruction).
    pub fuel: Option<u64>,
    /// Nanoseconds after which the program is interrupted, by the host's clock.
    pub timeout: Option<u64>,
    /// Whether the host may interrupt the program, by ending a wait without a limit with
    /// [`Interrupted`](crate::wire::Status::Interrupted). At the program's next loop or call, the
    /// enclave then calls its function `raise` with SIGINT.
    pub interrupts: bool,
}

impl Limits {
    /// Whether compiled loops and calls check if they must stop.
    pub fn epochs(&self) -> bool {
        self.timeout.is_some() || self.interrupts
    }
}

/// Returns the remedy for an image that has too little memory for a program, in one line: commands
/// that make an image with all the addresses that SGX has room for, and at least `code` bytes for
/// code.
pub fn larger_image(code: u64) -> String {
    const MIB: u64 = 1 << 20;
    let code = code.max(1 << 30).div_ceil(64 * MIB) * 64;
    format!(
        "build an image with more memory: `twine image build --heap-growth-size 12GiB \
         --code-arena-size {code}MiB --output more.sgxs && twine image sign more.sgxs`, and run the \
         program with --image more.sgxs; for a machine without SGX2, build it with --heap-size 4GiB \
         --heap-growth-size 0 --code-arena-at-start {code}MiB --guard-size 0 instead"
    )
}

/// The outcome of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How the run ended.
    pub end: End,
    /// Nanoseconds by phase, if the launch asked for statistics.
    pub timings: Option<Timings>,
    /// Problems with the program's files that are not part of its end, one line each.
    pub troubles: Vec<String>,
    /// Statistics of its volumes, in the order of the mounts, if the launch asked for them.
    pub volumes: Vec<VolumeStatistics>,
    /// The answer to the request of [`Task::Handover`], for the enclave that made the request.
    pub answer: Vec<u8>,
}

/// Statistics of a volume in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeStatistics {
    /// The path at which the program saw it.
    pub guest: String,
    /// Names and values.
    pub counts: Vec<(String, u64)>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The program returned or called `proc_exit`. With `--invoke`, the results as text.
    Exited {
        /// The exit code.
        code: u32,
        /// Results of the invoked function.
        results: Vec<String>,
    },
    /// The program trapped.
    Trapped {
        /// The cause, in one line.
        cause: String,
        /// The WebAssembly frames, innermost first, one line each.
        backtrace: Vec<String>,
    },
    /// The program never started.
    Refused {
        /// The cause, in one line.
        cause: String,
        /// The remedy, in one line.
        remedy: String,
    },
}

/// Nanoseconds that the phases of a run took, by the host's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// Copying and hashing the program.
    pub receive: u64,
    /// Compiling it, or opening cached code.
    pub compile: u64,
    /// Linking and instantiating it.
    pub instantiate: u64,
    /// Running it.
    pub run: u64,
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let bytes = crate::VERSION.to_le_bytes().to_vec();
    postcard::to_extend(value, bytes).expect("writing to a Vec has no error of its own")
}

fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    let (version, rest) = bytes.split_first_chunk::<4>().ok_or(DecodeError::Malformed)?;
    let version = u32::from_le_bytes(*version);
    if version != crate::VERSION {
        return Err(DecodeError::Version(version));
    }
    match postcard::take_from_bytes(rest) {
        Ok((value, [])) => Ok(value),
        _ => Err(DecodeError::Malformed),
    }
}

impl Launch {
    /// The request as bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes a request, which must be all of `bytes`.
    ///
    /// # Errors
    /// The bytes are of another version, or not a launch request.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

impl Outcome {
    /// Makes an outcome of which only the end is known.
    pub fn new(end: End) -> Self {
        Outcome {
            end,
            timings: None,
            troubles: Vec::new(),
            volumes: Vec::new(),
            answer: Vec::new(),
        }
    }

    /// The outcome as bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes an outcome, which must be all of `bytes`.
    ///
    /// # Errors
    /// The bytes are of another version, or not an outcome.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn launch() -> Launch {
        Launch {
            task: Task::Program,
            arguments: vec!["app".into(), "--flag".into()],
            environment: vec![("HOME".into(), "/".into())],
            invoke: Some(Invoke { function: "add".into(), arguments: vec!["1".into()] }),
            mounts: vec![Mount {
                guest: "/data".into(),
                source: Source::Volume(VolumeSource {
                    storage: 0,
                    key: VolumeKey::Sealed(crate::key::Sealing::default()),
                    create: true,
                    cache: Some(1 << 24),
                    main: Some(MainFile { name: "main.db".into(), former: "my.db".into() }),
                }),
                read_only: false,
            }],
            listeners: 1,
            limits: Limits {
                memory: Some(1 << 20),
                fuel: None,
                timeout: Some(5),
                interrupts: true,
            },
            explicit_checks: true,
            compiler: Compiler::BaselineIfPossible,
            compile_threads: 2,
            cache_code: true,
            secrets: vec!["TOKEN".into()],
            streams: Streams { stdin: Stream::None, ..Streams::default() },
            diagnostics: Diagnostics { backtraces: true, statistics: false },
            manifest: Some(vec![0xd2]),
            evidence: Some(EvidenceRequest {
                target: vec![1; 512],
                nonce: Some(vec![2; 32]),
                form: EvidenceForm::Certificate,
            }),
        }
    }

    #[test]
    fn a_launch_request_survives_the_wire() {
        assert_eq!(Launch::decode(&launch().encode()), Ok(launch()));
    }

    #[test]
    fn another_version_is_refused_by_name() {
        let mut bytes = launch().encode();
        bytes[0] = 99;
        assert_eq!(Launch::decode(&bytes), Err(DecodeError::Version(99)));
    }

    #[test]
    fn every_prefix_and_every_extension_of_a_request_is_refused() {
        let bytes = launch().encode();
        for length in 0..bytes.len() {
            assert!(Launch::decode(&bytes[..length]).is_err(), "prefix of {length} bytes");
        }
        let mut longer = bytes;
        longer.push(0);
        assert_eq!(Launch::decode(&longer), Err(DecodeError::Malformed));
    }
}
