//! Plain values that cross the boundary in registers or in host memory.

/// Most bytes of a launch request.
pub const MAX_LAUNCH: u64 = 4 << 20;

/// Most bytes of a program.
pub const MAX_PROGRAM: u64 = 1 << 30;

/// Most bytes of a program's compiled code.
pub const MAX_CODE: u64 = 1 << 30;

/// Bytes of the transfer buffer that the host gives to each thread.
pub const TRANSFER_BUFFER_SIZE: u64 = TRANSFER_BUFFER_LENGTH as u64;

/// The same, as the length of a slice.
pub const TRANSFER_BUFFER_LENGTH: usize = 256 << 10;

/// Most poll records in one call.
pub const MAX_POLL_RECORDS: u64 = 1024;

/// Most bytes of an encoded outcome.
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

            /// The value with that code, if there is one.
            pub fn from_code(code: u64) -> Option<Self> {
                match code {
                    $($code => Some($name::$variant),)+
                    _ => None,
                }
            }

            /// The code that is sent.
            pub fn code(self) -> u64 {
                self as u64
            }
        }
    };
}

coded! {
    /// How a host call ended. What the enclave does not know it takes for [`Status::Io`].
    Status {
        /// It was done.
        Ok = 0,
        /// An input or output error.
        Io = 1,
        /// The stream is not open.
        BadStream = 2,
        /// Nobody reads the other end.
        BrokenPipe = 3,
        /// No space left on the device.
        NoSpace = 4,
        /// It would have to wait.
        WouldBlock = 5,
        /// A signal came first.
        Interrupted = 6,
        /// An argument is wrong.
        Invalid = 7,
        /// This host or machine can't do it.
        NotSupported = 8,
        /// Not permitted.
        Denied = 9,
        /// The host is out of memory.
        NoMemory = 10,
        /// The file may not grow any more.
        FileTooBig = 11,
        /// The file ends before what was to be read.
        Short = 12,
    }
}

coded! {
    /// How a call on a socket failed where [`Status`] has no word for it.
    SocketStatus {
        /// The other end broke the connection off.
        Reset = 32,
        /// The other end was gone before the connection was accepted.
        Aborted = 33,
        /// The socket has no connection any more.
        NotConnected = 34,
        /// The host can't open more sockets.
        TooManyOpen = 35,
    }
}

/// Bits of the calls on sockets.
pub mod socket {
    /// Wait until something can be done.
    pub const WAIT: u64 = 1;
    /// Leave the bytes to be received again.
    pub const PEEK: u64 = 2;
    /// End receiving.
    pub const RECEIVING: u64 = 4;
    /// End sending.
    pub const SENDING: u64 = 8;
}

/// The number of the first listening socket: those before are the standard streams.
pub const FIRST_SOCKET: u64 = 3;

coded! {
    /// What a stream is connected to.
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
        /// Never goes back.
        Monotonic = 1,
        /// CPU time of the process.
        ProcessCpu = 2,
        /// CPU time of the thread.
        ThreadCpu = 3,
    }
}

coded! {
    /// What the progress of long work is counted in.
    Unit {
        /// Bytes of files.
        Bytes = 0,
        /// Files, directories and links.
        Files = 1,
        /// Blocks of a volume.
        Blocks = 2,
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

/// The first little-endian words of `bytes`; 0 where there are no more.
fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// One stream to wait for: three little-endian words in host memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollRecord {
    /// The stream, or a socket.
    pub stream: u64,
    /// What is waited for, and after the call what is ready: bits of [`poll`].
    pub events: u64,
    /// After the call: bytes ready to be read, where that is known, else 1.
    pub bytes: u64,
}

/// Where bytes go that are written together with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The first byte in the file.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

impl Piece {
    /// Bytes of one in host memory.
    pub const SIZE: usize = 16;

    /// As it lies in memory.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        (u128::from(self.length) << 64 | u128::from(self.offset)).to_le_bytes()
    }

    /// What lies in these bytes.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let [offset, length] = words(bytes);
        Piece { offset, length }
    }
}

/// A part of a file within which pages of its mapping could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unread {
    /// Its first byte in the file.
    pub from: u64,
    /// The byte behind its last one. If it is not behind `from`, there is no such page.
    pub to: u64,
}

impl Unread {
    /// Bytes of one in host memory.
    pub const SIZE: u64 = 16;

    /// As it lies in memory.
    pub fn to_words(self) -> [u64; 2] {
        [self.from, self.to]
    }

    /// What lies in these words.
    pub fn from_words([from, to]: [u64; 2]) -> Self {
        Unread { from, to }
    }

    /// Whether any of the `length` bytes from `offset` on lies in it.
    pub fn overlaps(self, offset: u64, length: u64) -> bool {
        offset.max(self.from) < offset.saturating_add(length).min(self.to)
    }
}

/// Bytes at the start of a mapping that the host enters into the page tables before the enclave
/// asks for more.
pub const AHEAD: u64 = 256 << 20;

/// Bits of [`PollRecord::events`].
pub mod poll {
    /// There is something to read, or the end was reached.
    pub const READ: u64 = 1;
    /// There is room to write.
    pub const WRITE: u64 = 2;
    /// The other end is gone (result only).
    pub const HANGUP: u64 = 4;
    /// The stream is not open (result only).
    pub const BAD: u64 = 8;
}

impl PollRecord {
    /// Bytes of one record in host memory.
    pub const SIZE: usize = 24;

    /// The record as it lies in memory.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&self.stream.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.events.to_le_bytes());
        bytes[16..].copy_from_slice(&self.bytes.to_le_bytes());
        bytes
    }

    /// The record that lies in these bytes.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let [stream, events, bytes] = words(bytes);
        PollRecord { stream, events, bytes }
    }
}
