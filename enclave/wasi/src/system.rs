//! What WASI needs of the world outside.

/// Why a call of the [`System`] failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SystemError {
    /// An input/output error (`EIO`).
    #[error("input/output error")]
    Io,
    /// The stream or socket is not open, or not in this direction (`EBADF`).
    #[error("bad file descriptor")]
    BadStream,
    /// Nobody reads the other end (`EPIPE`).
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
    /// Memory is short (`ENOMEM`).
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
    /// The other end broke the connection off (`ECONNRESET`).
    #[error("the connection was reset")]
    Reset,
    /// The other end was gone before the connection was accepted (`ECONNABORTED`).
    #[error("the connection was aborted")]
    Aborted,
    /// The socket has no connection any more (`ENOTCONN`).
    #[error("the socket is not connected")]
    NotConnected,
    /// The system can't open more sockets (`ENFILE`).
    #[error("too many sockets are open")]
    TooManyOpen,
    /// What can fail for streams too; [`SystemError::WouldBlock`] for a call that was told not to
    /// wait.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// What a stream is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// A pipe, a socket, or something else without a position.
    Pipe,
    /// A terminal.
    Terminal,
    /// A regular file.
    File,
    /// A character device that is no terminal, such as `/dev/null`.
    Device,
}

/// The clocks of WASI preview 1 (`clockid` in its witx).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Time since the Unix epoch.
    Realtime,
    /// Never goes back.
    Monotonic,
    /// CPU time of the process.
    ProcessCpu,
    /// CPU time of the thread.
    ThreadCpu,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Bytes to be read, the end of them or, of a listening socket, a connection.
    Read,
    /// Room to write.
    Write,
}

/// A stream or socket to wait for ([`System::poll`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollRequest {
    /// The stream, or the socket.
    pub stream: u64,
    /// What is waited for.
    pub interest: Interest,
}

/// What became of a [`PollRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It is not ready yet.
    Pending,
    /// It is ready.
    Ready {
        /// Bytes that are ready to be read, where that is known, else 1.
        bytes: u64,
        /// The other end is gone.
        hangup: bool,
    },
    /// The stream is not open.
    Bad,
}

/// The world outside, as WASI needs it.
///
/// Streams are 0 (input), 1 (output) and 2 (error). Sockets have numbers from 3 on, which
/// the system chooses: those of listening sockets reach WASI by
/// [`Wasi::listen`](crate::Wasi::listen), those of connections by [`System::accept`].
/// A system that never gives a listening socket need not have the calls for sockets.
pub trait System: Send {
    /// Reads into `bytes`: at least one byte, or none at the end.
    ///
    /// # Errors
    /// How it failed.
    fn read(&mut self, stream: u64, bytes: &mut [u8]) -> Result<usize, SystemError>;

    /// Writes some of `bytes`; how many.
    ///
    /// # Errors
    /// How it failed.
    fn write(&mut self, stream: u64, bytes: &[u8]) -> Result<usize, SystemError>;

    /// What a stream is connected to.
    ///
    /// # Errors
    /// How it failed; [`SystemError::BadStream`] for one that is not open.
    fn kind(&mut self, stream: u64) -> Result<StreamKind, SystemError>;

    /// Accepts a connection on a listening socket; its number. With `wait` it waits for one.
    ///
    /// # Errors
    /// How it failed.
    fn accept(&mut self, _listener: u64, _wait: bool) -> Result<u64, SocketError> {
        Err(SystemError::NotSupported.into())
    }

    /// Receives from a connection into `bytes`, which are not empty: at least one byte, or
    /// none when the other end sends no more. With `peek` the bytes stay to be received; with
    /// `wait` it waits for some.
    ///
    /// # Errors
    /// How it failed.
    fn receive(
        &mut self,
        _connection: u64,
        _bytes: &mut [u8],
        _peek: bool,
        _wait: bool,
    ) -> Result<usize, SocketError> {
        Err(SystemError::NotSupported.into())
    }

    /// Sends some of `bytes`, which are not empty, on a connection; how many. With `wait` it
    /// waits until some can go.
    ///
    /// # Errors
    /// How it failed; [`SystemError::BrokenPipe`] when the other end receives no more.
    fn send(&mut self, _connection: u64, _bytes: &[u8], _wait: bool) -> Result<usize, SocketError> {
        Err(SystemError::NotSupported.into())
    }

    /// Ends receiving, sending or both on a connection.
    ///
    /// # Errors
    /// How it failed.
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

    /// Waits until at least one request is ready or `timeout` nanoseconds have passed, for ever if
    /// there is none. Returns the readiness of each request, in their order. Without requests it
    /// sleeps. It may return early.
    ///
    /// # Errors
    /// How it failed.
    fn poll(
        &mut self,
        requests: &[PollRequest],
        timeout: Option<u64>,
    ) -> Result<Vec<Readiness>, SystemError>;

    /// The time of a clock in nanoseconds; the monotonic one never goes back.
    ///
    /// # Errors
    /// How it failed.
    fn time(&mut self, clock: Clock) -> Result<u64, SystemError>;

    /// The resolution of a clock in nanoseconds.
    ///
    /// # Errors
    /// How it failed.
    fn resolution(&mut self, clock: Clock) -> Result<u64, SystemError>;

    /// Lets others run.
    fn yield_now(&mut self);
}
