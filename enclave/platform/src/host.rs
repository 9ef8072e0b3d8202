//! The host, as this enclave reaches it.

use crate::{clock, image};
use std::panic;
use std::sync::LazyLock;
use twine_boundary::Boundary;
use twine_protocol::calls::RawCall;
use twine_protocol::wire::{Clock, PollRecord, SocketStatus, Status, StreamKind};
use twine_wasi::{SocketError, System};

unsafe extern "C" {
    /// EDP's way out (`entry.S` of the target's `std`): leaves with EEXIT and comes back
    /// with two words of the host's. `abort` must be 0 to come back.
    fn usercall(number: u64, p1: u64, p2: u64, abort: u64, p3: u64, p4: u64) -> Words;
}

#[repr(C)]
struct Words(u64, u64);

/// The way out of this enclave.
#[derive(Debug)]
pub struct Outside(());

impl RawCall for Outside {
    fn raw_call(&self, number: u64, [a, b, c, d]: [u64; 4]) -> (u64, u64) {
        // SAFETY: `usercall` saves what the ABI says a callee saves and clears all other
        // registers on the way out; the numbers used here are those of `protocol`, none of
        // which ends the thread.
        let Words(first, second) = unsafe { usercall(number, a, b, 0, c, d) };
        (first, second)
    }
}

static HOST: LazyLock<Boundary<Outside>> =
    LazyLock::new(|| Boundary::new(Outside(()), image::elrange()));

/// The host of this enclave.
pub fn host() -> &'static Boundary<Outside> {
    &HOST
}

/// From now on, a panic tells the host where it happened. Its message stays inside.
pub fn report_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        host().panicked(&place);
    }));
}

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
pub struct HostSystem;

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
        clock::time(clock)
    }

    fn resolution(&mut self, clock: Clock) -> Result<u64, Status> {
        host().resolution(clock)
    }

    fn yield_now(&mut self) {
        host().yield_now();
    }
}
