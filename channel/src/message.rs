//! The messages, in deterministic CBOR ([`twine_evidence::cbor`]).

use crate::frame::{HEAD_BYTES, Kind, MAX_MESSAGE, head};
use crate::volume::Work;
use minicbor::{Decode, Encode};
use std::fmt;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::cbor;

/// A message of the client.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// The first message: asks for evidence.
    #[n(0)]
    Hello {
        /// The version that the client speaks ([`crate::VERSION`]).
        #[n(0)]
        version: u32,
        /// [`crate::NONCE_BYTES`] random bytes.
        #[n(1)]
        nonce: Bytes,
    },
    /// Proves who the client is.
    #[n(1)]
    Prove {
        /// The client's public key: a DER-encoded SubjectPublicKeyInfo of P-256 or Ed25519.
        #[n(0)]
        key: Bytes,
        /// Its signature of [`twine_evidence::channel::owner_message`].
        #[n(1)]
        signature: Bytes,
    },
    /// Starts a deployment.
    #[n(2)]
    Deploy(#[n(0)] Deploy),
    /// Answers [`Answer::Wanted`]. Frames of kind [`Kind::Program`] with this many bytes follow.
    #[n(3)]
    Upload {
        /// The size of the program in bytes.
        #[n(0)]
        length: u64,
    },
    /// Asks for the deployments that the client may look at.
    #[n(4)]
    List,
    /// Asks for what a deployment wrote to its streams.
    #[n(5)]
    Logs {
        /// The deployment.
        #[n(0)]
        which: Which,
        /// Whether to wait for what it writes later.
        #[n(1)]
        follow: bool,
    },
    /// Connects to the streams of a deployment.
    #[n(6)]
    Attach {
        /// The deployment.
        #[n(0)]
        which: Which,
        /// How much of its output the client has got already, if it was attached before.
        #[n(1)]
        from: Option<Position>,
    },
    /// Ends a deployment.
    #[n(7)]
    Stop {
        /// The deployment.
        #[n(0)]
        which: Which,
        /// Whether to end it at once, without a chance to end by itself.
        #[n(1)]
        kill: bool,
    },
    /// Removes a deployment that has ended, with its logs.
    #[n(8)]
    Remove {
        /// The deployment.
        #[n(0)]
        which: Which,
        /// Whether to remove its volumes too.
        #[n(1)]
        volumes: bool,
    },
    /// The program's standard input ends here.
    #[n(9)]
    InputEnd,
    /// Raises SIGINT in the program to which the client is attached.
    #[n(10)]
    Interrupt,
    /// The client has got this much of the program's output, all together.
    #[n(11)]
    Received(#[n(0)] Position),
    /// The client has got the end of the program.
    #[n(12)]
    Thanks,
    /// Works on a volume of a deployment that does not run. The answers are those to
    /// [`Request::Deploy`], and the streams are those of the work.
    #[n(13)]
    Volume(#[n(0)] OnVolume),
}

/// A request to start a deployment.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Deploy {
    /// The manifest, with its owner's signature.
    #[n(0)]
    pub manifest: Bytes,
    /// The secrets that the manifest names.
    #[n(1)]
    pub secrets: Vec<Secret>,
    /// Whether the program runs on without the client.
    #[n(2)]
    pub detach: bool,
    /// Whether to replace an older version that runs.
    #[n(3)]
    pub replace: bool,
    /// Whether the client's standard input, output and error are terminals.
    #[n(4)]
    pub terminals: [bool; 3],
}

impl fmt::Debug for Deploy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deploy").field("detach", &self.detach).finish_non_exhaustive()
    }
}

/// A request to work on a volume.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct OnVolume {
    /// The manifest, with its owner's signature.
    #[n(0)]
    pub manifest: Bytes,
    /// The path at which the manifest mounts the volume.
    #[n(1)]
    pub mount: String,
    /// The work.
    #[n(2)]
    pub work: Work,
    /// Whether the client's standard input, output and error are terminals.
    #[n(3)]
    pub terminals: [bool; 3],
}

/// A secret of a program: an environment variable.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Secret {
    /// Its name.
    #[n(0)]
    pub name: Bytes,
    /// Its value.
    #[n(1)]
    pub value: Bytes,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)
    }
}

/// Names a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Which {
    /// Its owner: the SHA-256 of the owner's public key. `None`: the client is its owner.
    #[n(0)]
    pub owner: Option<Digest>,
    /// Its name.
    #[n(1)]
    pub name: String,
}

/// A place in the output of a program: how much of it came before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Position {
    /// Bytes of its standard output.
    #[n(0)]
    pub output: u64,
    /// Bytes of its standard error.
    #[n(1)]
    pub errors: u64,
}

/// A message of the enclave.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// Evidence of the enclave, made for this connection and this nonce.
    #[n(0)]
    Evidence {
        /// The evidence in CBOR.
        #[n(0)]
        evidence: Bytes,
    },
    /// The client is who it says.
    #[n(1)]
    Welcome,
    /// The request was refused, or failed. The connection ends.
    #[n(2)]
    Refused {
        /// The cause, in one line.
        #[n(0)]
        cause: String,
        /// The remedy, in one line.
        #[n(1)]
        remedy: String,
    },
    /// The enclave has not got the program.
    #[n(3)]
    Wanted,
    /// The program was started, or the client is attached to it.
    #[n(4)]
    Started {
        /// Where the output that follows begins.
        #[n(0)]
        from: Position,
        /// How many bytes of standard input the program's side has got.
        #[n(1)]
        input: u64,
    },
    /// The client may send this many more bytes of standard input.
    #[n(5)]
    Credit {
        /// The number of bytes.
        #[n(0)]
        bytes: u64,
    },
    /// The program has ended.
    #[n(6)]
    Ended(#[n(0)] End),
    /// The deployments that the client may look at.
    #[n(7)]
    Listing(#[n(0)] Vec<Entry>),
    /// The request was done, and no more follows.
    #[n(8)]
    Done,
    /// The program waits for input from the client's terminal, after all output that came.
    #[n(9)]
    Reads,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum End {
    /// It returned or called `proc_exit`.
    #[n(0)]
    Exited {
        /// The exit code.
        #[n(0)]
        code: u32,
        /// The results of the exported function, as text.
        #[n(1)]
        results: Vec<String>,
    },
    /// It trapped.
    #[n(1)]
    Trapped {
        /// The cause, in one line.
        #[n(0)]
        cause: String,
        /// The WebAssembly frames, innermost first, one line each, if the manifest allows them.
        #[n(1)]
        backtrace: Vec<String>,
    },
    /// It never started.
    #[n(2)]
    Refused {
        /// The cause, in one line.
        #[n(0)]
        cause: String,
        /// The remedy, in one line.
        #[n(1)]
        remedy: String,
    },
    /// Somebody stopped it.
    #[n(3)]
    Stopped,
    /// Somebody interrupted it, and it does not handle that.
    #[n(4)]
    Interrupted,
}

/// The state of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum State {
    /// It waits for a thread, or its program is compiled.
    #[n(0)]
    Starting,
    /// Its program runs.
    #[n(1)]
    Running,
    /// Its program has ended.
    #[n(2)]
    Ended,
}

/// A deployment in a [`Answer::Listing`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    /// The owner: the SHA-256 of the owner's public key.
    #[n(0)]
    pub owner: Digest,
    /// The name.
    #[n(1)]
    pub name: String,
    /// The version of its manifest.
    #[n(2)]
    pub version: u64,
    /// The program's SHA-256.
    #[n(3)]
    pub program: Digest,
    /// What it does.
    #[n(4)]
    pub state: State,
    /// How it ended, if it has, without results and backtrace.
    #[n(5)]
    pub end: Option<End>,
    /// How long it has been in this state, in seconds, by the host's clock.
    #[n(6)]
    pub seconds: u64,
    /// Whether a client is attached.
    #[n(7)]
    pub attached: bool,
}

/// A message as a frame.
pub(crate) trait Framed: Encode<()> {
    fn frame(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEAD_BYTES];
        minicbor::encode(self, &mut bytes).expect("writing to a Vec has no error of its own");
        let length = bytes.len() - HEAD_BYTES;
        if let Some(start) = bytes.first_chunk_mut() {
            *start = head(Kind::Message, length);
        }
        bytes
    }
}

impl Framed for Request {}
impl Framed for Answer {}

impl Request {
    /// The message as a frame.
    pub fn to_frame(&self) -> Vec<u8> {
        self.frame()
    }

    /// Decodes the body of a frame, which must be a message in its one encoding.
    ///
    /// # Errors
    /// It is something else.
    pub fn decode(body: &[u8]) -> Result<Self, cbor::Error> {
        cbor::decode(body, MAX_MESSAGE)
    }
}

impl Answer {
    /// The message as a frame.
    pub fn to_frame(&self) -> Vec<u8> {
        self.frame()
    }

    /// Decodes the body of a frame, which must be a message in its one encoding.
    ///
    /// # Errors
    /// It is something else.
    pub fn decode(body: &[u8]) -> Result<Self, cbor::Error> {
        cbor::decode(body, MAX_MESSAGE)
    }

    /// Makes a refusal.
    pub fn refused(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Answer::Refused { cause: cause.into(), remedy: remedy.into() }
    }
}
