//! What the sockets of programs need of the host, which is not trusted.

use std::time::Duration;

/// Why a call on a socket failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It would have to wait.
    WouldBlock,
    /// The program was interrupted, or must end.
    Interrupted,
    /// The other end reset the connection, or cut it off.
    Reset,
    /// The connection was aborted before it was accepted.
    Aborted,
    /// The socket is not connected.
    NotConnected,
    /// No more sockets can be opened.
    TooManyOpen,
    /// Nobody listens there.
    Refused,
    /// The name is not known, or no way leads there.
    Unreachable,
    /// The other end did not answer in time.
    TimedOut,
    /// The other end breaks the rules of TLS or of what follows.
    Protocol,
    /// The operator does not allow it, or one end is not satisfied with who the other is.
    Denied,
    /// The port is taken.
    InUse,
    /// Nothing more can be sent.
    BrokenPipe,
    /// There is no such socket.
    BadSocket,
    /// Another error.
    Io,
}

/// What a socket is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polled {
    /// The number of bytes that can be read, or 1 if it is not known.
    pub bytes: u64,
    /// Whether the other end is closed.
    pub hangup: bool,
}

/// A socket or waker of the host to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// The host's number.
    pub socket: u64,
    /// Whether to wait until it can be written to, or else until it can be read.
    pub write: bool,
    /// What it is ready for. Filled in by [`Network::poll`].
    pub ready: Option<Polled>,
}

/// A host to connect to.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The name of the socket.
    pub socket: &'a str,
    /// The name or address of the host.
    pub host: &'a str,
    /// The port.
    pub port: u16,
}

/// The host's network, for one deployment. No call but [`poll`](Network::poll) waits.
pub trait Network: Send + Sync {
    /// Makes a listening socket with this name, on this port if one is given, and returns the host's
    /// number for it.
    ///
    /// # Errors
    /// The host's.
    fn listen(&self, name: &str, port: Option<u16>) -> Result<u64, Failure>;

    /// Asks whether a connection is allowed.
    ///
    /// # Errors
    /// The host's: it is not.
    fn may_connect(&self, target: Target<'_>) -> Result<(), Failure>;

    /// Begins to connect, and returns the host's number for the socket. Until the connection is there,
    /// calls on the socket would have to wait.
    ///
    /// # Errors
    /// The host's.
    fn connect(&self, target: Target<'_>) -> Result<u64, Failure>;

    /// Accepts a connection, and returns the host's number for it.
    ///
    /// # Errors
    /// The host's.
    fn accept(&self, listener: u64) -> Result<u64, Failure>;

    /// Receives bytes, and returns their number, which is 0 only at the end. If `peek` is set, they
    /// remain to be received again.
    ///
    /// # Errors
    /// The host's.
    fn receive(&self, socket: u64, bytes: &mut [u8], peek: bool) -> Result<usize, Failure>;

    /// Sends some bytes, and returns their number.
    ///
    /// # Errors
    /// The host's.
    fn send(&self, socket: u64, bytes: &[u8]) -> Result<usize, Failure>;

    /// Shuts down receiving, sending or both.
    ///
    /// # Errors
    /// The host's.
    fn shut_down(&self, socket: u64, receiving: bool, sending: bool) -> Result<(), Failure>;

    /// Closes a socket or a waker.
    fn close(&self, socket: u64);

    /// Waits until one is ready, or the time is over.
    ///
    /// # Errors
    /// The host can't wait.
    fn poll(&self, waits: &mut [Wait], time: Option<Duration>) -> Result<(), Failure>;

    /// Makes a waker, and returns the host's number for it.
    ///
    /// # Errors
    /// The host's.
    fn waker(&self) -> Result<u64, Failure>;

    /// Makes a waker ready to be read once.
    fn wake(&self, waker: u64);

    /// The time of a clock that never goes back. The host decides how fast it runs.
    fn now(&self) -> Duration;

    /// The time since the Unix epoch, by the host's clock. `None` if it has none.
    fn date(&self) -> Option<Duration>;
}
