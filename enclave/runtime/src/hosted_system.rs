//! The system of a deployment's program: its streams lead to its owner, its sockets to the host's
//! network, with TLS that ends here, and clocks to the host.

use crate::host_system::{system_error, wire_clock};
use std::sync::Arc;
use std::time::Duration;
use twine_hosting::{Failure, Over, Polled, Ready, Request, Sockets, Stdio, WINDOW};
use twine_sgx::host;
use twine_wasi::{
    Clock, Interest, PollRequest, Readiness, SocketError, StreamKind, System, SystemError,
};

/// The system of one program.
#[derive(Debug)]
pub(crate) struct HostedSystem {
    stdio: Arc<Stdio>,
    sockets: Sockets,
}

/// What the streams of the owner are ready for.
fn readiness(stdio: &Stdio, ready: &Ready, request: &PollRequest) -> Readiness {
    let Ready { input, input_ends, takes: [output, errors] } = *ready;
    let of_output = |takes| match takes {
        true => Readiness::Ready { bytes: WINDOW as u64, hangup: false },
        false => Readiness::Pending,
    };
    match (request.stream, request.interest) {
        (0..=2, _) if !stdio.leads_to_owner(request.stream) => {
            Readiness::Ready { bytes: 0, hangup: false }
        }
        (0, Interest::Read) if input > 0 || input_ends => {
            Readiness::Ready { bytes: input as u64, hangup: input_ends }
        }
        (0, Interest::Read) => Readiness::Pending,
        (1, Interest::Write) => of_output(output),
        (2, Interest::Write) => of_output(errors),
        _ => Readiness::Bad,
    }
}

/// A program that must end is interrupted, and traps instead of going on.
fn over(Over: Over) -> SystemError {
    SystemError::Interrupted
}

fn socket_error(failure: Failure) -> SocketError {
    match failure {
        Failure::WouldBlock => SystemError::WouldBlock.into(),
        Failure::Interrupted => SystemError::Interrupted.into(),
        Failure::Reset => SocketError::Reset,
        Failure::Aborted => SocketError::Aborted,
        Failure::NotConnected => SocketError::NotConnected,
        Failure::TooManyOpen => SocketError::TooManyOpen,
        Failure::Refused => SocketError::Refused,
        Failure::Unreachable => SocketError::Unreachable,
        Failure::TimedOut => SocketError::TimedOut,
        Failure::Protocol => SocketError::Protocol,
        Failure::Denied => SystemError::Denied.into(),
        Failure::BrokenPipe => SystemError::BrokenPipe.into(),
        Failure::BadSocket => SystemError::BadStream.into(),
        Failure::InUse | Failure::Io => SystemError::Io.into(),
    }
}

/// Whether this is the number of a standard stream.
fn is_stream(number: u64) -> bool {
    number <= 2
}

impl HostedSystem {
    pub(crate) fn new(stdio: Arc<Stdio>, sockets: Sockets) -> Self {
        HostedSystem { stdio, sockets }
    }

    /// Waits for sockets and streams together.
    fn poll_all(
        &mut self,
        requests: &[PollRequest],
        timeout: Option<u64>,
    ) -> Result<Vec<Readiness>, SystemError> {
        let wanted = requests.iter().filter(|request| self.sockets.has(request.stream));
        let wanted: Vec<Request> = wanted
            .map(|request| Request {
                socket: request.stream,
                write: request.interest == Interest::Write,
            })
            .collect();
        let stdio = &*self.stdio;
        let of_stream = |request: &PollRequest| readiness(stdio, &stdio.ready(), request);
        let is_not_a_socket = |request: &&PollRequest| {
            is_stream(request.stream)
                || !wanted.iter().any(|wanted| wanted.socket == request.stream)
        };
        let enough = || {
            let mut others = requests.iter().filter(is_not_a_socket);
            others.any(|request| !matches!(of_stream(request), Readiness::Pending))
        };
        let time = timeout.map(Duration::from_nanos);
        let polled = self.sockets.poll(&wanted, time, enough).map_err(|failure| match failure {
            Failure::Interrupted => SystemError::Interrupted,
            _ => SystemError::Io,
        })?;
        let mut polled = polled.into_iter();
        let answer = |request: &PollRequest| match is_not_a_socket(&request) {
            true => of_stream(request),
            false => match polled.next().flatten() {
                Some(Polled { bytes, hangup }) => Readiness::Ready { bytes, hangup },
                None => Readiness::Pending,
            },
        };
        Ok(requests.iter().map(answer).collect())
    }
}

impl System for HostedSystem {
    fn read(&mut self, stream: u64, bytes: &mut [u8]) -> Result<usize, SystemError> {
        if stream != 0 {
            return Err(SystemError::BadStream);
        }
        let input = [PollRequest { stream, interest: Interest::Read }];
        while self.sockets.is_busy()
            && matches!(self.poll_all(&input, None)?[..], [Readiness::Pending])
        {}
        self.stdio.read(bytes).map_err(over)
    }

    fn write(&mut self, stream: u64, bytes: &[u8]) -> Result<usize, SystemError> {
        if !matches!(stream, 1 | 2) {
            return Err(SystemError::BadStream);
        }
        // All of it, as a pipe that waits takes it: programs rely on that.
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.stdio.write(stream, rest) {
                Ok(count) => written += count,
                Err(_) if written > 0 => break,
                Err(error) => return Err(over(error)),
            }
        }
        Ok(written)
    }

    fn kind(&mut self, stream: u64) -> Result<StreamKind, SystemError> {
        Ok(match stream {
            0..=2 if !self.stdio.leads_to_owner(stream) => StreamKind::Device,
            0..=2 if self.stdio.is_terminal(stream) => StreamKind::Terminal,
            0..=2 => StreamKind::Pipe,
            _ => return Err(SystemError::BadStream),
        })
    }

    fn accept(&mut self, listener: u64, wait: bool) -> Result<u64, SocketError> {
        self.sockets.accept(listener, wait).map_err(socket_error)
    }

    fn receive(
        &mut self,
        connection: u64,
        bytes: &mut [u8],
        peek: bool,
        wait: bool,
    ) -> Result<usize, SocketError> {
        self.sockets.receive(connection, bytes, peek, wait).map_err(socket_error)
    }

    fn send(&mut self, connection: u64, bytes: &[u8], wait: bool) -> Result<usize, SocketError> {
        self.sockets.send(connection, bytes, wait).map_err(socket_error)
    }

    fn shut_down(
        &mut self,
        connection: u64,
        receiving: bool,
        sending: bool,
    ) -> Result<(), SocketError> {
        self.sockets.shut_down(connection, receiving, sending).map_err(socket_error)
    }

    fn close(&mut self, socket: u64) {
        self.sockets.close(socket);
    }

    fn poll(
        &mut self,
        requests: &[PollRequest],
        timeout: Option<u64>,
    ) -> Result<Vec<Readiness>, SystemError> {
        let of_sockets = requests.iter().any(|request| self.sockets.has(request.stream));
        if of_sockets || self.sockets.is_busy() {
            return self.poll_all(requests, timeout);
        }
        let stdio = &*self.stdio;
        let is_pending = |readiness: &Readiness| matches!(readiness, Readiness::Pending);
        let enough = |ready: &Ready| {
            let mut all = requests.iter().map(|request| readiness(stdio, ready, request));
            all.any(|readiness| !is_pending(&readiness))
        };
        let ready = stdio.wait(timeout.map(Duration::from_nanos), enough).map_err(over)?;
        Ok(requests.iter().map(|request| readiness(stdio, &ready, request)).collect())
    }

    fn time(&mut self, clock: Clock) -> Result<u64, SystemError> {
        twine_sgx::time(wire_clock(clock)).map_err(system_error)
    }

    fn resolution(&mut self, clock: Clock) -> Result<u64, SystemError> {
        host().resolution(wire_clock(clock)).map_err(system_error)
    }

    fn is_over(&self) -> bool {
        self.stdio.is_over()
    }

    fn yield_now(&mut self) {
        host().yield_now();
    }
}
