//! What WASI needs of the world outside.

use twine_protocol::wire::{Clock, PollRecord, Status, StreamKind};

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
    /// What can fail for streams too; [`Status::WouldBlock`] for a call that was told not to
    /// wait.
    #[error("{0:?}")]
    System(Status),
}

impl From<Status> for SocketError {
    fn from(status: Status) -> Self {
        SocketError::System(status)
    }
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
    fn read(&mut self, stream: u64, bytes: &mut [u8]) -> Result<usize, Status>;

    /// Writes some of `bytes`; how many.
    ///
    /// # Errors
    /// How it failed.
    fn write(&mut self, stream: u64, bytes: &[u8]) -> Result<usize, Status>;

    /// What a stream is connected to.
    ///
    /// # Errors
    /// How it failed; [`Status::BadStream`] for one that is not open.
    fn kind(&mut self, stream: u64) -> Result<StreamKind, Status>;

    /// Accepts a connection on a listening socket; its number. With `wait` it waits for one.
    ///
    /// # Errors
    /// How it failed.
    fn accept(&mut self, _listener: u64, _wait: bool) -> Result<u64, SocketError> {
        Err(Status::NotSupported.into())
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
        Err(Status::NotSupported.into())
    }

    /// Sends some of `bytes`, which are not empty, on a connection; how many. With `wait` it
    /// waits until some can go.
    ///
    /// # Errors
    /// How it failed; [`Status::BrokenPipe`] when the other end receives no more.
    fn send(&mut self, _connection: u64, _bytes: &[u8], _wait: bool) -> Result<usize, SocketError> {
        Err(Status::NotSupported.into())
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
        Err(Status::NotSupported.into())
    }

    /// Closes a listening socket or a connection.
    fn close(&mut self, _socket: u64) {}

    /// Waits until a record, of a stream or a socket, is ready or `timeout` nanoseconds
    /// (`u64::MAX`: no limit) have gone by, and fills the records in. A listening socket is
    /// ready for reading when a connection waits. Without records it sleeps.
    ///
    /// # Errors
    /// How it failed.
    fn poll(&mut self, records: &mut [PollRecord], timeout: u64) -> Result<(), Status>;

    /// The time of a clock in nanoseconds; the monotonic one never goes back.
    ///
    /// # Errors
    /// How it failed.
    fn time(&mut self, clock: Clock) -> Result<u64, Status>;

    /// The resolution of a clock in nanoseconds.
    ///
    /// # Errors
    /// How it failed.
    fn resolution(&mut self, clock: Clock) -> Result<u64, Status>;

    /// Lets others run.
    fn yield_now(&mut self);
}
