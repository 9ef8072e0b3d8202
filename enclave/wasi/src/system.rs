//! The interface through which WASI reaches the outside.

/// Why a call of the [`System`] failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SystemError {
    /// An input/output error (`EIO`).
    #[error("input/output error")]
    Io,
    /// The stream or socket is not open, or not in this direction (`EBADF`).
    #[error("bad file descriptor")]
    BadStream,
    /// The other end of the pipe or connection is closed (`EPIPE`).
    #[error("broken pipe")]
    BrokenPipe,
    /// No space is left (`ENOSPC`).
    #[error("no space left on device")]
    NoSpace,
    /// The call would have to wait (`EAGAIN`).
    #[error("resource temporarily unavailable")]
    WouldBlock,
    /// A signal interrupted the call (`EINTR`).
    #[error("interrupted system call")]
    Interrupted,
    /// An argument is invalid (`EINVAL`).
    #[error("invalid argument")]
    Invalid,
    /// The system has no such call (`ENOTSUP`).
    #[error("operation not supported")]
    NotSupported,
    /// The system does not permit it (`EACCES`).
    #[error("permission denied")]
    Denied,
    /// The system is out of memory (`ENOMEM`).
    #[error("cannot allocate memory")]
    NoMemory,
    /// A file would be too large (`EFBIG`).
    #[error("file too large")]
    FileTooBig,
}

/// Why a call on a socket failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The other end reset the connection (`ECONNRESET`).
    #[error("the connection was reset")]
    Reset,
    /// The connection was aborted before it was accepted (`ECONNABORTED`).
    #[error("the connection was aborted")]
    Aborted,
    /// The socket is not connected any more (`ENOTCONN`).
    #[error("the socket is not connected")]
    NotConnected,
    /// The system cannot open more sockets (`ENFILE`).
    #[error("too many sockets are open")]
    TooManyOpen,
    /// Nobody listens there (`ECONNREFUSED`).
    #[error("the connection was refused")]
    Refused,
    /// The name is not known, or no way leads there (`EHOSTUNREACH`).
    #[error("the host is unreachable")]
    Unreachable,
    /// The other end did not answer in time (`ETIMEDOUT`).
    #[error("the connection timed out")]
    TimedOut,
    /// The other end breaks the rules of the protocol, or is not who it should be (`EPROTO`).
    #[error("the other end is not as it should be")]
    Protocol,
    /// An error that streams can have too; [`SystemError::WouldBlock`] from a call that may not
    /// wait but would have to.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// The kind of file that a stream is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// A pipe, a socket, or something else without a position.
    Pipe,
    /// A terminal.
    Terminal,
    /// A regular file.
    File,
    /// A character device other than a terminal, such as `/dev/null`.
    Device,
}

/// The clocks of WASI preview 1 (`clockid` in its witx).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Time since the Unix epoch.
    Realtime,
    /// A clock that never goes back.
    Monotonic,
    /// CPU time of the process.
    ProcessCpu,
    /// CPU time of the thread.
    ThreadCpu,
}

/// The event to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Bytes can be read, their end was reached, or a connection can be accepted.
    Read,
    /// Bytes can be written.
    Write,
}

/// A stream or socket to wait for ([`System::poll`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollRequest {
    /// The number of the stream or socket.
    pub stream: u64,
    /// The event to wait for.
    pub interest: Interest,
}

/// The result of a [`PollRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It is not ready yet.
    Pending,
    /// It is ready.
    Ready {
        /// The number of bytes ready to be read, or 1 if it is not known.
        bytes: u64,
        /// Whether the other end is closed.
        hangup: bool,
    },
    /// The stream is not open.
    Bad,
}

/// The outside, as WASI needs it.
///
/// Streams have the numbers 0 (input), 1 (output) and 2 (error). Sockets have numbers from 3 on,
/// which the system chooses. WASI learns the numbers of listening sockets by
/// [`Wasi::listen`](crate::Wasi::listen), and those of connections by [`System::accept`]. A system
/// without listening sockets need not implement the calls for sockets.
pub trait System: Send {
    /// Reads into `bytes`, and returns the number of bytes, which is 0 only at the end.
    ///
    /// # Errors
    /// The system's error.
    fn read(&mut self, stream: u64, bytes: &mut [u8]) -> Result<usize, SystemError>;

    /// Writes some of `bytes`, and returns their number.
    ///
    /// # Errors
    /// The system's error.
    fn write(&mut self, stream: u64, bytes: &[u8]) -> Result<usize, SystemError>;

    /// Returns the kind of file that a stream is connected to.
    ///
    /// # Errors
    /// The system's error; [`SystemError::BadStream`] if the stream is not open.
    fn kind(&mut self, stream: u64) -> Result<StreamKind, SystemError>;

    /// Accepts a connection on a listening socket, and returns its number. On a connecting socket
    /// ([`Wasi::dial`](crate::Wasi::dial)), makes one more connection. If `wait` is set, waits for it.
    ///
    /// # Errors
    /// The system's error.
    fn accept(&mut self, _listener: u64, _wait: bool) -> Result<u64, SocketError> {
        Err(SystemError::NotSupported.into())
    }

    /// Receives from a connection into `bytes`, which are not empty. Returns the number of bytes,
    /// which is 0 only if the other end sends no more. If `peek` is set, the bytes remain to be
    /// received again. If `wait` is set, waits for bytes.
    ///
    /// # Errors
    /// The system's error.
    fn receive(
        &mut self,
        _connection: u64,
        _bytes: &mut [u8],
        _peek: bool,
        _wait: bool,
    ) -> Result<usize, SocketError> {
        Err(SystemError::NotSupported.into())
    }

    /// Sends some of `bytes`, which are not empty, on a connection, and returns their number. If
    /// `wait` is set, waits until it can send some.
    ///
    /// # Errors
    /// The system's error; [`SystemError::BrokenPipe`] if the other end receives no more.
    fn send(&mut self, _connection: u64, _bytes: &[u8], _wait: bool) -> Result<usize, SocketError> {
        Err(SystemError::NotSupported.into())
    }

    /// Shuts down receiving, sending or both on a connection.
    ///
    /// # Errors
    /// The system's error.
    fn shut_down(
        &mut self,
        _connection: u64,
        _receiving: bool,
        _sending: bool,
    ) -> Result<(), SocketError> {
        Err(SystemError::NotSupported.into())
    }

    /// Closes a listening socket or a connection.
    fn close(&mut self, _socket: u64) {}

    /// Waits until at least one request is ready or `timeout` nanoseconds have passed. `None` is no
    /// limit. Returns the readiness of each request, in their order. Without requests it sleeps. It
    /// may return early.
    ///
    /// # Errors
    /// The system's error.
    fn poll(
        &mut self,
        requests: &[PollRequest],
        timeout: Option<u64>,
    ) -> Result<Vec<Readiness>, SystemError>;

    /// Returns the time of a clock in nanoseconds. The monotonic clock never goes back.
    ///
    /// # Errors
    /// The system's error.
    fn time(&mut self, clock: Clock) -> Result<u64, SystemError>;

    /// Returns the resolution of a clock in nanoseconds.
    ///
    /// # Errors
    /// The system's error.
    fn resolution(&mut self, clock: Clock) -> Result<u64, SystemError>;

    /// Whether the program must end now. Its next call traps, and so does one from which it returns.
    fn is_over(&self) -> bool {
        false
    }

    /// Lets other threads run.
    fn yield_now(&mut self);
}
