//! The host as the world outside of a program: streams, sockets, clocks.

use twine_protocol::wire::{Clock, PollRecord, SocketStatus, Status, StreamKind};
use twine_sgx::host;
use twine_wasi::{SocketError, System};

fn socket_error(error: twine_boundary::SocketError) -> SocketError {
    match error {
        twine_boundary::SocketError::Socket(status) => match status {
            SocketStatus::Reset => SocketError::Reset,
            SocketStatus::Aborted => SocketError::Aborted,
            SocketStatus::NotConnected => SocketError::NotConnected,
            SocketStatus::TooManyOpen => SocketError::TooManyOpen,
        },
        twine_boundary::SocketError::Status(status) => SocketError::System(status),
    }
}

/// The host as the world outside of a program.
#[derive(Debug)]
pub(crate) struct HostSystem;

impl System for HostSystem {
    fn read(&mut self, stream: u64, bytes: &mut [u8]) -> Result<usize, Status> {
        host().read(stream, bytes)
    }

    fn write(&mut self, stream: u64, bytes: &[u8]) -> Result<usize, Status> {
        host().write(stream, bytes)
    }

    fn kind(&mut self, stream: u64) -> Result<StreamKind, Status> {
        host().stream_kind(stream)
    }

    fn accept(&mut self, listener: u64, wait: bool) -> Result<u64, SocketError> {
        host().accept(listener, wait).map_err(socket_error)
    }

    fn receive(
        &mut self,
        connection: u64,
        bytes: &mut [u8],
        peek: bool,
        wait: bool,
    ) -> Result<usize, SocketError> {
        host().receive(connection, bytes, peek, wait).map_err(socket_error)
    }

    fn send(&mut self, connection: u64, bytes: &[u8], wait: bool) -> Result<usize, SocketError> {
        host().send(connection, bytes, wait).map_err(socket_error)
    }

    fn shut_down(
        &mut self,
        connection: u64,
        receiving: bool,
        sending: bool,
    ) -> Result<(), SocketError> {
        host().shut_down(connection, receiving, sending).map_err(socket_error)
    }

    fn close(&mut self, socket: u64) {
        host().close(socket);
    }

    fn poll(&mut self, records: &mut [PollRecord], timeout: u64) -> Result<(), Status> {
        host().poll(records, timeout)
    }

    fn time(&mut self, clock: Clock) -> Result<u64, Status> {
        twine_sgx::time(clock)
    }

    fn resolution(&mut self, clock: Clock) -> Result<u64, Status> {
        host().resolution(clock)
    }

    fn yield_now(&mut self) {
        host().yield_now();
    }
}
