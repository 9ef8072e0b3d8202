//! A system in memory: streams, clocks and sockets.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use twine_protocol::wire::{Clock, PollRecord, Status, StreamKind, poll};
use twine_wasi::{SocketError, System};

/// A connection as its other end and the system see it.
#[derive(Debug, Default)]
pub struct Connection {
    pub incoming: VecDeque<u8>,
    /// Nothing more will come.
    pub ended: bool,
    pub sent: Vec<u8>,
    /// Most bytes of one call.
    pub most: Option<usize>,
    pub failure: Option<SocketError>,
    /// What was shut down: receiving, sending.
    pub down: Vec<(bool, bool)>,
}

/// What a test sees of the system.
#[derive(Debug, Default)]
pub struct World {
    pub input: VecDeque<u8>,
    /// Each write, as it arrived.
    pub writes: Vec<(u64, Vec<u8>)>,
    /// The most bytes that one write takes.
    pub accepts: Option<usize>,
    pub failure: Option<Status>,
    pub now: u64,
    pub slept: Vec<u64>,
    pub yields: u32,
    /// Connections that wait at the listening socket 100.
    pub pending: VecDeque<Connection>,
    pub accept_failure: Option<SocketError>,
    /// Accepted connections, numbered from 101.
    pub connections: BTreeMap<u64, Connection>,
    pub closed: Vec<u64>,
    /// How often something was to wait.
    pub waits: u32,
    /// A stream that is a device.
    pub device: Option<u64>,
    /// How much more than the truth every count says.
    pub lie: usize,
}

/// The number of the listening socket.
pub const LISTENER: u64 = 100;

impl World {
    /// What is ready of a socket: events and bytes.
    fn ready(&self, socket: u64, events: u64) -> (u64, u64) {
        if socket == LISTENER {
            return if self.pending.is_empty() { (0, 0) } else { (poll::READ, 1) };
        }
        let Some(connection) = self.connections.get(&socket) else { return (poll::BAD, 0) };
        let bytes = connection.incoming.len() as u64;
        match events & poll::READ != 0 {
            true if connection.ended => (poll::READ | poll::HANGUP, bytes),
            true if bytes > 0 => (poll::READ, bytes),
            true => (0, 0),
            false => (poll::WRITE, 1),
        }
    }

    fn connection(&mut self, socket: u64) -> Result<&mut Connection, SocketError> {
        let connection = self.connections.get_mut(&socket).ok_or(Status::BadStream)?;
        connection.failure.map_or(Ok(connection), Err)
    }
}

/// The system that a program has; a test holds the same.
#[derive(Debug, Clone, Default)]
pub struct Outside(Arc<Mutex<World>>);

impl Outside {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

impl System for Outside {
    fn read(&mut self, stream: u64, bytes: &mut [u8]) -> Result<usize, Status> {
        let mut world = self.world();
        assert_eq!(stream, 0);
        let length = bytes.len().min(world.input.len());
        for (byte, read) in bytes.iter_mut().zip(world.input.drain(..length)) {
            *byte = read;
        }
        world.failure.map_or(Ok(length + world.lie), Err)
    }

    fn write(&mut self, stream: u64, bytes: &[u8]) -> Result<usize, Status> {
        let mut world = self.world();
        if let Some(failure) = world.failure {
            return Err(failure);
        }
        let length = bytes.len().min(world.accepts.unwrap_or(usize::MAX));
        world.writes.push((stream, bytes[..length].to_vec()));
        Ok(length + world.lie)
    }

    fn kind(&mut self, stream: u64) -> Result<StreamKind, Status> {
        if self.world().device == Some(stream) {
            return Ok(StreamKind::Device);
        }
        [StreamKind::Pipe, StreamKind::Terminal, StreamKind::File]
            .get(stream as usize)
            .copied()
            .ok_or(Status::BadStream)
    }

    fn accept(&mut self, listener: u64, wait: bool) -> Result<u64, SocketError> {
        let mut world = self.world();
        assert_eq!(listener, LISTENER);
        world.waits += u32::from(wait);
        if let Some(failure) = world.accept_failure {
            return Err(failure);
        }
        let connection = world.pending.pop_front().ok_or(Status::WouldBlock)?;
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
            return Err(Status::WouldBlock.into());
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

    fn poll(&mut self, records: &mut [PollRecord], timeout: u64) -> Result<(), Status> {
        let mut world = self.world();
        let ready = world.input.len() as u64;
        let mut any = false;
        for record in &mut *records {
            let reads = record.events & poll::READ != 0;
            (record.events, record.bytes) = match reads {
                _ if record.stream > 2 => world.ready(record.stream, record.events),
                true if ready > 0 => (poll::READ, ready),
                true => (0, 0),
                false => (poll::WRITE, 1),
            };
            any |= record.events != 0;
        }
        if !any {
            world.slept.push(timeout);
            world.now = world.now.saturating_add(timeout);
        }
        Ok(())
    }

    fn time(&mut self, clock: Clock) -> Result<u64, Status> {
        let now = self.world().now;
        Ok(match clock {
            Clock::Monotonic => now,
            Clock::Realtime => 1_000_000_000_000 + now,
            Clock::ProcessCpu => 7,
            Clock::ThreadCpu => 8,
        })
    }

    fn resolution(&mut self, _: Clock) -> Result<u64, Status> {
        Ok(3)
    }

    fn yield_now(&mut self) {
        self.world().yields += 1;
    }
}
