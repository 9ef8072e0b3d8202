//! The host as a program's system: streams, sockets, clocks.

use twine_protocol::launch::{Stream, Streams};
use twine_protocol::wire::{self, PollRecord, SocketStatus, Status, poll};
use twine_sgx::host;
use twine_wasi::{
    Clock, Interest, MAX_STREAM_BYTES, MAX_SUBSCRIPTIONS, PollRequest, Readiness, SocketError,
    StreamKind, System, SystemError,
};

// Each call of the `System` must fit into one host call.
const _: () = assert!(MAX_STREAM_BYTES as u64 <= wire::TRANSFER_BUFFER_SIZE);
const _: () = assert!(MAX_SUBSCRIPTIONS as u64 <= wire::MAX_POLL_RECORDS);

pub(crate) fn system_error(status: Status) -> SystemError {
    match status {
        // The boundary never returns success as an error. Only calls on files by name return the
        // last two.
        Status::Ok | Status::Io | Status::Short | Status::Missing | Status::InUse => {
            SystemError::Io
        }
        Status::BadStream => SystemError::BadStream,
        Status::BrokenPipe => SystemError::BrokenPipe,
        Status::NoSpace => SystemError::NoSpace,
        Status::WouldBlock => SystemError::WouldBlock,
        Status::Interrupted => SystemError::Interrupted,
        Status::Invalid => SystemError::Invalid,
        Status::NotSupported => SystemError::NotSupported,
        Status::Denied => SystemError::Denied,
        Status::NoMemory => SystemError::NoMemory,
        Status::FileTooBig => SystemError::FileTooBig,
    }
}

pub(crate) fn socket_error(error: twine_boundary::SocketError) -> SocketError {
    match error {
        twine_boundary::SocketError::Socket(status) => match status {
            SocketStatus::Reset => SocketError::Reset,
            SocketStatus::Aborted => SocketError::Aborted,
            SocketStatus::NotConnected => SocketError::NotConnected,
            SocketStatus::TooManyOpen => SocketError::TooManyOpen,
            SocketStatus::Refused => SocketError::Refused,
            SocketStatus::Unreachable => SocketError::Unreachable,
            SocketStatus::TimedOut => SocketError::TimedOut,
        },
        twine_boundary::SocketError::Status(status) => system_error(status).into(),
    }
}

pub(crate) fn wire_clock(clock: Clock) -> wire::Clock {
    match clock {
        Clock::Realtime => wire::Clock::Realtime,
        Clock::Monotonic => wire::Clock::Monotonic,
        Clock::ProcessCpu => wire::Clock::ProcessCpu,
        Clock::ThreadCpu => wire::Clock::ThreadCpu,
    }
}

fn record(request: &PollRequest) -> PollRecord {
    let events = match request.interest {
        Interest::Read => poll::READ,
        Interest::Write => poll::WRITE,
    };
    PollRecord { stream: request.stream, events, bytes: 0 }
}

fn readiness(record: &PollRecord) -> Readiness {
    match record.events {
        0 => Readiness::Pending,
        events if events & poll::BAD != 0 => Readiness::Bad,
        events => Readiness::Ready { bytes: record.bytes, hangup: events & poll::HANGUP != 0 },
    }
}

/// The host as a program's system. Streams that lead nowhere never leave the enclave: they behave
/// as `/dev/null` does.
#[derive(Debug)]
pub(crate) struct HostSystem {
    /// Whether standard stream 0, 1 or 2 leads nowhere.
    closed: [bool; 3],
}

impl HostSystem {
    /// Makes the system of a program with these streams.
    pub(crate) fn new(streams: Streams) -> Self {
        let Streams { stdin, stdout, stderr } = streams;
        HostSystem { closed: [stdin, stdout, stderr].map(|stream| stream == Stream::None) }
    }

    fn is_closed(&self, stream: u64) -> bool {
        let stream = usize::try_from(stream).ok();
        stream.and_then(|stream| self.closed.get(stream)).is_some_and(|closed| *closed)
    }
}

impl System for HostSystem {
    fn read(&mut self, stream: u64, bytes: &mut [u8]) -> Result<usize, SystemError> {
        if self.is_closed(stream) {
            return Ok(0);
        }
        host().read(stream, bytes).map_err(system_error)
    }

    fn write(&mut self, stream: u64, bytes: &[u8]) -> Result<usize, SystemError> {
        if self.is_closed(stream) {
            return Ok(bytes.len());
        }
        host().write(stream, bytes).map_err(system_error)
    }

    fn kind(&mut self, stream: u64) -> Result<StreamKind, SystemError> {
        if self.is_closed(stream) {
            return Ok(StreamKind::Device);
        }
        match host().stream_kind(stream).map_err(system_error)? {
            wire::StreamKind::Pipe => Ok(StreamKind::Pipe),
            wire::StreamKind::Terminal => Ok(StreamKind::Terminal),
            wire::StreamKind::File => Ok(StreamKind::File),
            wire::StreamKind::Device => Ok(StreamKind::Device),
        }
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

    fn poll(
        &mut self,
        requests: &[PollRequest],
        timeout: Option<u64>,
    ) -> Result<Vec<Readiness>, SystemError> {
        let is_closed = |request: &&PollRequest| self.is_closed(request.stream);
        let mut records: Vec<PollRecord> =
            requests.iter().filter(|request| !is_closed(request)).map(record).collect();
        // A stream that leads nowhere is always ready.
        let timeout = match records.len() == requests.len() {
            true => timeout.unwrap_or(u64::MAX),
            false => 0,
        };
        host().poll(&mut records, timeout).map_err(system_error)?;
        let mut answers = records.iter().map(readiness);
        let answer = |request: &PollRequest| match is_closed(&request) {
            true => Readiness::Ready { bytes: 0, hangup: false },
            false => answers.next().unwrap_or(Readiness::Pending),
        };
        Ok(requests.iter().map(answer).collect())
    }

    fn time(&mut self, clock: Clock) -> Result<u64, SystemError> {
        twine_sgx::time(wire_clock(clock)).map_err(system_error)
    }

    fn resolution(&mut self, clock: Clock) -> Result<u64, SystemError> {
        host().resolution(wire_clock(clock)).map_err(system_error)
    }

    fn yield_now(&mut self) {
        host().yield_now();
    }
}
