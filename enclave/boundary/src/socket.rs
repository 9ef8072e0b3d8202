//! Sockets of the host.

use crate::{Boundary, count, taken};
use twine_protocol::calls::{RawCall, stub};
use twine_protocol::network::{Connect, Listen};
use twine_protocol::wire::{SocketStatus, Status, socket};

/// Why a call on a socket failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// An error that only sockets have.
    #[error("{0:?}")]
    Socket(SocketStatus),
    /// An error that streams have too.
    #[error("{0:?}")]
    Status(Status),
}

impl From<Status> for SocketError {
    fn from(status: Status) -> Self {
        SocketError::Status(status)
    }
}

fn status(code: u64) -> Result<(), SocketError> {
    match SocketStatus::from_code(code) {
        Some(failure) => Err(SocketError::Socket(failure)),
        None => Ok(crate::status(code)?),
    }
}

fn flag(wanted: bool, flag: u64) -> u64 {
    if wanted { flag } else { 0 }
}

impl<R: RawCall> Boundary<R> {
    /// Accepts a connection, and returns the host's number for it. If `wait` is set, waits for one.
    ///
    /// # Errors
    /// The host's status.
    pub fn accept(&self, listener: u64, wait: bool) -> Result<u64, SocketError> {
        let (code, number) = stub::socket_accept(&self.raw, listener, wait.into());
        status(code)?;
        Ok(number)
    }

    /// Receives bytes, and returns their number, which is 0 only at the end. If `peek` is set, they
    /// remain to be received again. If `wait` is set, waits for bytes.
    ///
    /// # Errors
    /// The host's status; [`Status::Io`] if its answer is invalid.
    pub fn receive(
        &self,
        connection: u64,
        bytes: &mut [u8],
        peek: bool,
        wait: bool,
    ) -> Result<usize, SocketError> {
        let part = self.transfer_of(bytes.len())?;
        let flags = flag(peek, socket::PEEK) | flag(wait, socket::WAIT);
        let (code, received) =
            stub::socket_receive(&self.raw, connection, part.address(), part.len() as u64, flags);
        status(code)?;
        Ok(taken(part, received, bytes)?)
    }

    /// Sends some of `bytes`, and returns their number. If `wait` is set, waits until it can send
    /// some.
    ///
    /// # Errors
    /// The host's status; [`Status::Io`] if its answer is invalid.
    pub fn send(&self, connection: u64, bytes: &[u8], wait: bool) -> Result<usize, SocketError> {
        let part = self.put(bytes)?;
        let flags = flag(wait, socket::WAIT);
        let (code, sent) =
            stub::socket_send(&self.raw, connection, part.address(), part.len() as u64, flags);
        status(code)?;
        Ok(count(sent, part.len())?)
    }

    /// Shuts down receiving, sending or both.
    ///
    /// # Errors
    /// The host's status.
    pub fn shut_down(
        &self,
        connection: u64,
        receiving: bool,
        sending: bool,
    ) -> Result<(), SocketError> {
        let flags = flag(receiving, socket::RECEIVING) | flag(sending, socket::SENDING);
        status(stub::socket_shut_down(&self.raw, connection, flags).0)
    }

    /// Makes a listening socket, and returns the host's number for it.
    ///
    /// # Errors
    /// The host's status.
    pub fn listen(&self, request: &Listen) -> Result<u64, SocketError> {
        let part = self.put_whole(&request.encode())?;
        let (code, number) = stub::socket_listen(&self.raw, part.address(), part.len() as u64);
        status(code)?;
        Ok(number)
    }

    /// Begins to connect to a host, and returns the host's number for the socket.
    ///
    /// # Errors
    /// The host's status.
    pub fn connect(&self, request: &Connect) -> Result<u64, SocketError> {
        let part = self.put_whole(&request.encode())?;
        let (code, number) = stub::socket_connect(&self.raw, part.address(), part.len() as u64);
        status(code)?;
        Ok(number)
    }

    /// Makes a waker, and returns the host's number for it.
    ///
    /// # Errors
    /// The host's status.
    pub fn waker(&self) -> Result<u64, SocketError> {
        let (code, number) = stub::waker_open(&self.raw);
        status(code)?;
        Ok(number)
    }

    /// Ends the wait of another thread for a waker.
    pub fn wake(&self, waker: u64) {
        stub::waker_wake(&self.raw, waker);
    }

    /// Closes a socket or a waker. The enclave does not rely on it.
    pub fn close(&self, socket: u64) {
        stub::socket_close(&self.raw, socket);
    }
}
