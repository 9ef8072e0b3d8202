//! A network that is the machine's own, for the sockets of programs.

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::collections::HashMap;
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use twine_hosting::{Failure, Network, Polled, Target, Wait};

enum Socket {
    Listener(TcpListener),
    Connection(TcpStream),
    Waker(OwnedFd),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Listener(listener) => listener.as_fd(),
            Socket::Connection(stream) => stream.as_fd(),
            Socket::Waker(counter) => counter.as_fd(),
        }
    }
}

/// The network.
pub struct Net {
    open: Mutex<HashMap<u64, Arc<Socket>>>,
    next: AtomicU64,
    start: Instant,
    /// The port of the socket that listens.
    pub port: AtomicU64,
    /// What is added to the clock, in milliseconds.
    pub later: AtomicU64,
    /// How many waits there were.
    pub waits: AtomicU64,
    /// Whether the operator allows nothing.
    pub denied: bool,
}

fn failure(error: &Error) -> Failure {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Failure::WouldBlock,
        ErrorKind::ConnectionReset => Failure::Reset,
        ErrorKind::BrokenPipe => Failure::BrokenPipe,
        ErrorKind::ConnectionRefused => Failure::Refused,
        _ => Failure::Io,
    }
}

impl Net {
    pub fn new() -> Arc<Self> {
        Self::that(false)
    }

    /// One of an operator that allows nothing.
    pub fn denied() -> Arc<Self> {
        Self::that(true)
    }

    fn that(denied: bool) -> Arc<Self> {
        Arc::new(Net {
            open: Mutex::default(),
            next: AtomicU64::new(1000),
            start: Instant::now(),
            port: AtomicU64::new(0),
            later: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            denied,
        })
    }

    /// How many sockets are open.
    pub fn open(&self) -> usize {
        self.open.lock().unwrap().len()
    }

    /// The port of the socket that listens, once it does.
    pub fn port(&self) -> u16 {
        super::common::until("it listens", || self.port.load(Ordering::SeqCst) != 0);
        self.port.load(Ordering::SeqCst) as u16
    }

    fn add(&self, socket: Socket) -> u64 {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        self.open.lock().unwrap().insert(number, Arc::new(socket));
        number
    }

    fn get(&self, number: u64) -> Result<Arc<Socket>, Failure> {
        self.open.lock().unwrap().get(&number).cloned().ok_or(Failure::BadSocket)
    }
}

impl Network for Net {
    fn listen(&self, _: &str, port: Option<u16>) -> Result<u64, Failure> {
        if self.denied {
            return Err(Failure::Denied);
        }
        let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0))).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.port.store(listener.local_addr().unwrap().port().into(), Ordering::SeqCst);
        Ok(self.add(Socket::Listener(listener)))
    }

    fn may_connect(&self, _: Target<'_>) -> Result<(), Failure> {
        if self.denied { Err(Failure::Denied) } else { Ok(()) }
    }

    fn connect(&self, target: Target<'_>) -> Result<u64, Failure> {
        let stream =
            TcpStream::connect((target.host, target.port)).map_err(|error| failure(&error))?;
        stream.set_nonblocking(true).unwrap();
        Ok(self.add(Socket::Connection(stream)))
    }

    fn accept(&self, listener: u64) -> Result<u64, Failure> {
        match &*self.get(listener)? {
            Socket::Listener(listener) => {
                let (stream, _) = listener.accept().map_err(|error| failure(&error))?;
                stream.set_nonblocking(true).unwrap();
                Ok(self.add(Socket::Connection(stream)))
            }
            _ => Err(Failure::BadSocket),
        }
    }

    fn receive(&self, socket: u64, bytes: &mut [u8], peek: bool) -> Result<usize, Failure> {
        match &*self.get(socket)? {
            Socket::Connection(stream) if peek => {
                stream.peek(bytes).map_err(|error| failure(&error))
            }
            Socket::Connection(stream) => {
                (&mut &*stream).read(bytes).map_err(|error| failure(&error))
            }
            _ => Err(Failure::BadSocket),
        }
    }

    fn send(&self, socket: u64, bytes: &[u8]) -> Result<usize, Failure> {
        match &*self.get(socket)? {
            Socket::Connection(stream) => {
                (&mut &*stream).write(bytes).map_err(|error| failure(&error))
            }
            _ => Err(Failure::BadSocket),
        }
    }

    fn shut_down(&self, socket: u64, receiving: bool, sending: bool) -> Result<(), Failure> {
        let how = match (receiving, sending) {
            (true, true) => Shutdown::Both,
            (true, false) => Shutdown::Read,
            _ => Shutdown::Write,
        };
        match &*self.get(socket)? {
            Socket::Connection(stream) => stream.shutdown(how).map_err(|error| failure(&error)),
            _ => Err(Failure::BadSocket),
        }
    }

    fn close(&self, socket: u64) {
        self.open.lock().unwrap().remove(&socket);
    }

    fn poll(&self, waits: &mut [Wait], time: Option<Duration>) -> Result<(), Failure> {
        self.waits.fetch_add(1, Ordering::SeqCst);
        let sockets: Vec<_> =
            waits.iter().map(|wait| self.get(wait.socket)).collect::<Result<_, _>>()?;
        let mut descriptors: Vec<PollFd<'_>> = waits
            .iter()
            .zip(&sockets)
            .map(|(wait, socket)| {
                let flags = if wait.write { PollFlags::OUT } else { PollFlags::IN };
                PollFd::new(&**socket, flags)
            })
            .collect();
        let time = time.map(|time| Timespec::try_from(time).unwrap());
        poll(&mut descriptors, time.as_ref()).unwrap();
        let events: Vec<_> = descriptors.iter().map(PollFd::revents).collect();
        for ((wait, socket), events) in waits.iter_mut().zip(&sockets).zip(events) {
            let hangup = events.intersects(PollFlags::HUP | PollFlags::ERR);
            wait.ready = (!events.is_empty()).then_some(Polled { bytes: 1, hangup });
            if let (Socket::Waker(counter), true) = (&**socket, wait.ready.is_some()) {
                let _ = rustix::io::read(counter, &mut [0; 8]);
            }
        }
        Ok(())
    }

    fn waker(&self) -> Result<u64, Failure> {
        Ok(self.add(Socket::Waker(eventfd(0, EventfdFlags::NONBLOCK).unwrap())))
    }

    fn wake(&self, waker: u64) {
        if let Ok(socket) = self.get(waker)
            && let Socket::Waker(counter) = &*socket
        {
            rustix::io::write(counter, &1_u64.to_ne_bytes()).unwrap();
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed() + Duration::from_millis(self.later.load(Ordering::SeqCst))
    }

    fn date(&self) -> Option<Duration> {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()
    }
}
