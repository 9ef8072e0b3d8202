//! A system in memory: streams, clocks and sockets.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use twine_wasi::{
    Clock, Interest, PollRequest, Readiness, SocketError, StreamKind, System, SystemError,
};

/// Both ends of a connection.
#[derive(Debug, Default)]
pub struct Connection {
    pub incoming: VecDeque<u8>,
    /// Whether the other end sends no more.
    pub ended: bool,
    pub sent: Vec<u8>,
    /// Limit on the bytes of one call.
    pub most: Option<usize>,
    pub failure: Option<SocketError>,
    /// The shutdowns: of receiving, of sending.
    pub down: Vec<(bool, bool)>,
}

/// The state of the system, for a test.
#[derive(Debug, Default)]
pub struct World {
    pub input: VecDeque<u8>,
    /// Each write, in the order of arrival.
    pub writes: Vec<(u64, Vec<u8>)>,
    /// Limit on the bytes that one write accepts.
    pub accepts: Option<usize>,
    pub failure: Option<SystemError>,
    pub now: u64,
    pub slept: Vec<u64>,
    pub yields: u32,
    /// Connections that wait at the listening socket.
    pub pending: VecDeque<Connection>,
    pub accept_failure: Option<SocketError>,
    /// Accepted connections, numbered from 101.
    pub connections: BTreeMap<u64, Connection>,
    pub closed: Vec<u64>,
    /// The number of calls that were told to wait.
    pub waits: u32,
    /// The stream that is a device.
    pub device: Option<u64>,
    /// The number that is added to every count.
    pub lie: usize,
}

/// The number of the listening socket.
pub const LISTENER: u64 = 100;

impl World {
    fn readiness(&self, request: PollRequest) -> Readiness {
        let ready = |bytes| Readiness::Ready { bytes, hangup: false };
        let when = |bytes: usize| if bytes > 0 { ready(bytes as u64) } else { Readiness::Pending };
        let reads = request.interest == Interest::Read;
        match request.stream {
            0..=2 if reads => when(self.input.len()),
            0..=2 => ready(1),
            LISTENER => when(self.pending.len().min(1)),
            socket => match self.connections.get(&socket) {
                None => Readiness::Bad,
                Some(_) if !reads => ready(1),
                Some(Connection { ended: true, incoming, .. }) => {
                    Readiness::Ready { bytes: incoming.len() as u64, hangup: true }
                }
                Some(connection) => when(connection.incoming.len()),
            },
        }
    }

    fn connection(&mut self, socket: u64) -> Result<&mut Connection, SocketError> {
        let connection = self.connections.get_mut(&socket).ok_or(SystemError::BadStream)?;
        connection.failure.map_or(Ok(connection), Err)
    }
}

/// The system of a program, which a test shares.
#[derive(Debug, Clone, Default)]
pub struct Outside(Arc<Mutex<World>>);

impl Outside {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

impl System for Outside {
    fn read(&mut self, stream: u64, bytes: &mut [u8]) -> Result<usize, SystemError> {
        let mut world = self.world();
        assert_eq!(stream, 0);
        let length = bytes.len().min(world.input.len());
        for (byte, read) in bytes.iter_mut().zip(world.input.drain(..length)) {
            *byte = read;
        }
        world.failure.map_or(Ok(length + world.lie), Err)
    }

    fn write(&mut self, stream: u64, bytes: &[u8]) -> Result<usize, SystemError> {
        let mut world = self.world();
        if let Some(failure) = world.failure {
            return Err(failure);
        }
        let length = bytes.len().min(world.accepts.unwrap_or(usize::MAX));
        world.writes.push((stream, bytes[..length].to_vec()));
        Ok(length + world.lie)
    }

    fn kind(&mut self, stream: u64) -> Result<StreamKind, SystemError> {
        if self.world().device == Some(stream) {
            return Ok(StreamKind::Device);
        }
        [StreamKind::Pipe, StreamKind::Terminal, StreamKind::File]
            .get(stream as usize)
            .copied()
            .ok_or(SystemError::BadStream)
    }

    fn accept(&mut self, listener: u64, wait: bool) -> Result<u64, SocketError> {
        let mut world = self.world();
        assert_eq!(listener, LISTENER);
        world.waits += u32::from(wait);
        if let Some(failure) = world.accept_failure {
            return Err(failure);
        }
        let connection = world.pending.pop_front().ok_or(SystemError::WouldBlock)?;
        let number = world.connections.keys().last().map_or(LISTENER + 1, |last| last + 1);
        world.connections.insert(number, connection);
        Ok(number)
    }

    fn receive(
        &mut self,
        connection: u64,
        bytes: &mut [u8],
        peek: bool,
        wait: bool,
    ) -> Result<usize, SocketError> {
        let mut world = self.world();
        world.waits += u32::from(wait);
        let lie = world.lie;
        let connection = world.connection(connection)?;
        let most = connection.most.unwrap_or(usize::MAX);
        let length = bytes.len().min(connection.incoming.len()).min(most);
        if length == 0 && !connection.ended {
            return Err(SystemError::WouldBlock.into());
        }
        for (byte, &came) in bytes.iter_mut().zip(connection.incoming.iter().take(length)) {
            *byte = came;
        }
        if !peek {
            connection.incoming.drain(..length);
        }
        Ok(length + lie)
    }

    fn send(&mut self, connection: u64, bytes: &[u8], wait: bool) -> Result<usize, SocketError> {
        let mut world = self.world();
        world.waits += u32::from(wait);
        let lie = world.lie;
        let connection = world.connection(connection)?;
        let length = bytes.len().min(connection.most.unwrap_or(usize::MAX));
        connection.sent.extend(&bytes[..length]);
        Ok(length + lie)
    }

    fn shut_down(
        &mut self,
        connection: u64,
        receiving: bool,
        sending: bool,
    ) -> Result<(), SocketError> {
        self.world().connection(connection)?.down.push((receiving, sending));
        Ok(())
    }

    fn close(&mut self, socket: u64) {
        self.world().closed.push(socket);
    }

    fn poll(
        &mut self,
        requests: &[PollRequest],
        timeout: Option<u64>,
    ) -> Result<Vec<Readiness>, SystemError> {
        let mut world = self.world();
        let readiness: Vec<_> = requests.iter().map(|request| world.readiness(*request)).collect();
        if readiness.iter().all(|readiness| *readiness == Readiness::Pending) {
            let timeout = timeout.unwrap_or(u64::MAX);
            world.slept.push(timeout);
            world.now = world.now.saturating_add(timeout);
        }
        Ok(readiness)
    }

    fn time(&mut self, clock: Clock) -> Result<u64, SystemError> {
        let now = self.world().now;
        Ok(match clock {
            Clock::Monotonic => now,
            Clock::Realtime => 1_000_000_000_000 + now,
            Clock::ProcessCpu => 7,
            Clock::ThreadCpu => 8,
        })
    }

    fn resolution(&mut self, _: Clock) -> Result<u64, SystemError> {
        Ok(3)
    }

    fn yield_now(&mut self) {
        self.world().yields += 1;
    }
}
