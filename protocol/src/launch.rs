//! What the host asks the enclave to run, and what came of it.

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
    /// The bytes are not what this version writes.
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

/// A launch request: which program to run and how, or what else to do. The program itself
/// comes by the host call `program`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// What to do. All but the program's run uses nothing else of the request.
    pub task: Task,
    /// The arguments that the program sees, its name first: bytes, as a system has them.
    pub arguments: Vec<Vec<u8>>,
    /// The environment that the program sees, as names and values, likewise.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// The exported function to call instead of `_start`, its arguments as text.
    pub invoke: Option<Invoke>,
    /// The file trees that the program sees.
    pub mounts: Vec<Mount>,
    /// How many listening sockets the program gets, after its mounts.
    pub listeners: u64,
    /// Limits that the enclave holds the program to.
    pub limits: Limits,
    /// Compile explicit bounds checks, also where there can be guard pages.
    pub explicit_checks: bool,
    /// What compiles the program.
    pub compiler: Compiler,
    /// How many threads may compile at once; there are no more than the image has.
    pub compile_threads: u64,
    /// Keep the program's compiled code, sealed, for later runs.
    pub keep_code: bool,
    /// Report how long each phase took.
    pub timings: bool,
}

/// What compiles a program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Compiler {
    /// Cranelift: takes its time, and makes fast code.
    #[default]
    Optimizing,
    /// Winch: takes a fraction of that time, and makes slower code.
    Baseline,
    /// Winch, or Cranelift for what Winch does not know.
    BaselineIfPossible,
}

/// A file tree for the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The path at which the program sees it.
    pub guest: String,
    /// What it is.
    pub source: Source,
    /// Whether all changes are refused.
    pub read_only: bool,
}

/// Where the files of a mount are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// In a protected volume.
    Volume(VolumeSource),
    /// In a folder of the host's, which protects nothing: its number for `calls::folder`.
    Folder(u64),
    /// In the enclave's memory, at most this many bytes.
    Memory(u64),
}

/// A protected volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSource {
    /// The storage that holds it: its number for the `storage_...` calls.
    pub storage: u64,
    /// What opens it.
    pub key: VolumeKey,
    /// Make it, for the storage is empty.
    pub create: bool,
    /// Bytes of enclave memory for its cache; `None`: the enclave's own choice.
    pub cache: Option<u64>,
    /// The file that it is about, if it is about one.
    pub main: Option<MainFile>,
}

/// The file that a volume is about, at its root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainFile {
    /// Its name. A file that had another gets it before the program starts.
    pub name: String,
    /// A name that it may have had.
    pub former: String,
}

/// A call of an exported function (`--invoke`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoke {
    /// The name of the export.
    pub function: String,
    /// One text for each parameter: a number as Rust or C writes it.
    pub arguments: Vec<String>,
}

/// Limits of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Most bytes of all linear memories together; `None`: what the enclave has.
    pub memory: Option<u64>,
    /// Units of fuel (wasmtime's: about one for each instruction).
    pub fuel: Option<u64>,
    /// Nanoseconds after which the program is interrupted, by the host's clock.
    pub timeout: Option<u64>,
    /// Whether the host may interrupt the program, where a wait without an end is
    /// [`Interrupted`](crate::wire::Status::Interrupted): its function `raise` is called with
    /// SIGINT, at the next loop or call.
    pub interrupts: bool,
}

impl Limits {
    /// Whether loops and calls look whether they are to stop.
    pub fn epochs(&self) -> bool {
        self.timeout.is_some() || self.interrupts
    }
}

/// What to do where an image has too little memory for a program, in one line: commands that make
/// one with as many addresses as SGX has room for, and with so many bytes for code, at least.
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

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// Nanoseconds by phase, if the launch asked for them.
    pub timings: Option<Timings>,
    /// What went wrong with the program's files and is not part of its end: a line each.
    pub troubles: Vec<String>,
    /// What its volumes did, in the order of the mounts.
    pub volumes: Vec<VolumeStatistics>,
}

/// What a volume did in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeStatistics {
    /// Where the program saw it.
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
        /// What happened, in one line.
        cause: String,
        /// The WebAssembly frames, innermost first, a line each.
        backtrace: Vec<String>,
    },
    /// The program never started.
    Refused {
        /// What is wrong, in one line.
        cause: String,
        /// What to do about it, in one line.
        remedy: String,
    },
}

/// Nanoseconds that the phases of a run took, by the host's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// Copying and hashing the program.
    pub receive: u64,
    /// Compiling it, or opening the code that an earlier run has kept.
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

    /// The request in these bytes, all of them.
    ///
    /// # Errors
    /// When they are of another version or not a launch request.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

impl Outcome {
    /// An outcome of which only the end is known.
    pub fn new(end: End) -> Self {
        Outcome { end, timings: None, troubles: Vec::new(), volumes: Vec::new() }
    }

    /// The outcome as bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The outcome in these bytes, all of them.
    ///
    /// # Errors
    /// When they are of another version or not an outcome.
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
            keep_code: true,
            timings: true,
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
