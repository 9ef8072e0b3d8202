//! Plain values that calls pass in registers or in host memory.

/// Limit on the size of a launch request, in bytes.
pub const MAX_LAUNCH: u64 = 4 << 20;

/// Limit on the size of a program, in bytes.
pub const MAX_PROGRAM: u64 = 1 << 30;

/// Limit on the size of a program's sealed compiled code, in bytes.
pub const MAX_CODE: u64 = 1 << 30;

/// Size of the TARGETINFO of a quoting enclave, in bytes.
pub const TARGETINFO_SIZE: usize = 512;

/// Limit on the size of a quote, in bytes.
pub const MAX_QUOTE: u64 = 64 << 10;

/// Limit on the size of a request to an older image, in bytes: a signed manifest, and a record with
/// one and with secrets.
pub const MAX_HANDOVER_REQUEST: u64 = 4 << 20;

/// Limit on the size of the answer, in bytes.
pub const MAX_HANDOVER_ANSWER: u64 = 64 << 10;

/// Limit on the size of evidence, in bytes.
pub const MAX_EVIDENCE: u64 = TRANSFER_BUFFER_SIZE;

/// Limit on the size of collateral, in bytes.
pub const MAX_COLLATERAL: u64 = 4 << 20;

/// Size of the transfer buffer that the host gives to each thread, in bytes.
pub const TRANSFER_BUFFER_SIZE: u64 = TRANSFER_BUFFER_LENGTH as u64;

/// The same size, as the length of a slice.
pub const TRANSFER_BUFFER_LENGTH: usize = 256 << 10;

/// Limit on the number of poll records in one call.
pub const MAX_POLL_RECORDS: u64 = 2048;

/// Limit on the size of an encoded outcome, in bytes.
pub const MAX_OUTCOME: u64 = TRANSFER_BUFFER_SIZE;

macro_rules! coded {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u64)]
        pub enum $name { $($(#[$doc])* $variant = $code,)+ }

        impl $name {
            /// All values, in the order of their codes.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// The value with this code. `None` if no value has it.
            pub fn from_code(code: u64) -> Option<Self> {
                match code {
                    $($code => Some($name::$variant),)+
                    _ => None,
                }
            }

            /// The code of this value.
            pub fn code(self) -> u64 {
                self as u64
            }
        }
    };
}

coded! {
    /// How a host call ended. The enclave treats an unknown code as [`Status::Io`].
    Status {
        /// The call succeeded.
        Ok = 0,
        /// An input or output error.
        Io = 1,
        /// The stream is not open.
        BadStream = 2,
        /// The other end of the pipe or connection is closed.
        BrokenPipe = 3,
        /// No space left on the device.
        NoSpace = 4,
        /// The call would have to wait.
        WouldBlock = 5,
        /// A signal interrupted the call.
        Interrupted = 6,
        /// An argument is wrong.
        Invalid = 7,
        /// This host or machine does not support the call.
        NotSupported = 8,
        /// Not permitted.
        Denied = 9,
        /// The host is out of memory.
        NoMemory = 10,
        /// The file cannot grow any more.
        FileTooBig = 11,
        /// The file ends before the bytes to read.
        Short = 12,
        /// There is nothing of this name.
        Missing = 13,
        /// It is in use: another process, or the enclave itself, has opened it.
        InUse = 14,
    }
}

coded! {
    /// How a call on a socket failed, if no [`Status`] says it.
    SocketStatus {
        /// The other end reset the connection.
        Reset = 32,
        /// The connection was aborted before it was accepted.
        Aborted = 33,
        /// The socket is not connected any more.
        NotConnected = 34,
        /// The host cannot open more sockets.
        TooManyOpen = 35,
        /// Nobody listens there.
        Refused = 36,
        /// The name is not known, or no way leads there.
        Unreachable = 37,
        /// Nobody answered in time.
        TimedOut = 38,
    }
}

/// Bits of the `flags` of socket calls.
pub mod socket {
    /// Wait until the call can receive or send.
    pub const WAIT: u64 = 1;
    /// Leave the bytes in the socket, to be received again.
    pub const PEEK: u64 = 2;
    /// Shut down receiving.
    pub const RECEIVING: u64 = 4;
    /// Shut down sending.
    pub const SENDING: u64 = 8;
}

/// The number of the first listening socket. The standard streams have the numbers below it.
pub const FIRST_SOCKET: u64 = 3;

coded! {
    /// The kind of file that a stream is connected to.
    StreamKind {
        /// A terminal.
        Terminal = 0,
        /// A regular file.
        File = 1,
        /// A pipe or a socket.
        Pipe = 2,
        /// Another character device, such as `/dev/null`.
        Device = 3,
    }
}

coded! {
    /// The clocks of WASI preview 1 (`clockid` in its witx).
    Clock {
        /// Time since the Unix epoch.
        Realtime = 0,
        /// A clock that never goes back.
        Monotonic = 1,
        /// CPU time of the process.
        ProcessCpu = 2,
        /// CPU time of the thread.
        ThreadCpu = 3,
    }
}

coded! {
    /// The unit of the progress of long work.
    Unit {
        /// Bytes of files.
        Bytes = 0,
        /// Files, directories and links.
        Files = 1,
        /// Blocks of a volume.
        Blocks = 2,
    }
}

coded! {
    /// Who certified the key of a platform.
    Issuer {
        /// Intel's authority for platforms with one processor package.
        Processor = 0,
        /// Intel's authority for platforms with several.
        Platform = 1,
        /// The simulation, whose platforms are all alike.
        Simulation = 2,
    }
}

/// Bits of page permissions, as in `SECINFO.FLAGS` (SDM Vol. 3D, 34.11).
pub mod permission {
    /// Readable.
    pub const READ: u64 = 1;
    /// Writable.
    pub const WRITE: u64 = 2;
    /// Executable.
    pub const EXECUTE: u64 = 4;
}

/// Reads the first `N` little-endian words of `bytes`, with 0 for words that `bytes` does not have.
fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// One stream or socket to wait for: three little-endian words in host memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollRecord {
    /// The number of the stream or socket.
    pub stream: u64,
    /// Bits of [`poll`]: before the call the events to wait for, after it those that are ready.
    pub events: u64,
    /// After the call, the number of bytes ready to be read, or 1 if it is not known.
    pub bytes: u64,
}

/// The place of a piece of a write with several pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The offset of its first byte in the file.
    pub offset: u64,
    /// Its size in bytes.
    pub length: u64,
}

impl Piece {
    /// The size of one in host memory, in bytes.
    pub const SIZE: usize = 16;

    /// Encodes the place for host memory.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        (u128::from(self.length) << 64 | u128::from(self.offset)).to_le_bytes()
    }

    /// Decodes a place.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let [offset, length] = words(bytes);
        Piece { offset, length }
    }
}

/// The part of a file that contains the pages of its mapping that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unread {
    /// The offset of its first byte in the file.
    pub from: u64,
    /// The offset after its last byte. If it is not above `from`, all pages could be read.
    pub to: u64,
}

impl Unread {
    /// The size of one in host memory, in bytes.
    pub const SIZE: u64 = 16;

    /// Encodes the part for host memory.
    pub fn to_words(self) -> [u64; 2] {
        [self.from, self.to]
    }

    /// Decodes a part.
    pub fn from_words([from, to]: [u64; 2]) -> Self {
        Unread { from, to }
    }

    /// Whether any of the `length` bytes from `offset` on are in this part.
    pub fn overlaps(self, offset: u64, length: u64) -> bool {
        offset.max(self.from) < offset.saturating_add(length).min(self.to)
    }
}

/// The number of bytes at the start of a mapping that the host enters into the page tables without
/// being asked.
pub const AHEAD: u64 = 256 << 20;

/// Bits of [`PollRecord::events`].
pub mod poll {
    /// Bytes can be read, or the end was reached.
    pub const READ: u64 = 1;
    /// Bytes can be written.
    pub const WRITE: u64 = 2;
    /// The other end is closed (result only).
    pub const HANGUP: u64 = 4;
    /// The stream is not open (result only).
    pub const BAD: u64 = 8;
}

impl PollRecord {
    /// The size of one record in host memory, in bytes.
    pub const SIZE: usize = 24;

    /// Encodes the record for host memory.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&self.stream.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.events.to_le_bytes());
        bytes[16..].copy_from_slice(&self.bytes.to_le_bytes());
        bytes
    }

    /// Decodes a record.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let [stream, events, bytes] = words(bytes);
        PollRecord { stream, events, bytes }
    }
}
