//! The sockets of programs: listening sockets, connections, and what wakes those that wait for them.

use crate::network::{self, Network, code_of};
use rustix::event::{EventfdFlags, eventfd};
use rustix::net::sockopt;
use std::collections::HashMap;
use std::io::Error;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use twine_protocol::network::{Connect, Listen};
use twine_protocol::wire::{FIRST_SOCKET, SocketStatus, Status, socket};

/// A socket. It is closed when the last reference is dropped.
#[derive(Debug)]
pub(crate) enum Socket {
    Listener(TcpListener),
    Connection(TcpStream),
    /// A connection that is not there yet: the end of a pipe, whose other end is closed once it is.
    Connecting(OwnedFd),
    /// A connection that could not be made, for this reason (a status code).
    Failed(u64, OwnedFd),
    /// A counter of the system (eventfd).
    Waker(OwnedFd),
}

/// Limit on the connections that are being made at one time.
const MAX_CONNECTING: usize = 128;

impl Socket {
    pub(crate) fn descriptor(&self) -> RawFd {
        match self {
            Socket::Listener(listener) => listener.as_raw_fd(),
            Socket::Connection(connection) => connection.as_raw_fd(),
            Socket::Connecting(end) | Socket::Failed(_, end) => end.as_raw_fd(),
            Socket::Waker(counter) => counter.as_raw_fd(),
        }
    }

    /// After the wait for it has ended: makes a waker wait for the next call.
    pub(crate) fn reset(&self) {
        if let Socket::Waker(counter) = self {
            // Without a wake-up there is nothing to read.
            let _ = rustix::io::read(counter, &mut [0; 8]);
        }
    }
}

/// The open sockets, by the numbers that the enclave uses.
#[derive(Debug)]
pub(crate) struct Sockets(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    open: HashMap<u64, Arc<Socket>>,
    next: u64,
}

/// A status and a value, or the status code of an error.
type Answer = Result<(u64, u64), u64>;

fn done(value: u64) -> (u64, u64) {
    (Status::Ok.code(), value)
}

/// Returns the status code of the system's last error.
fn failed() -> u64 {
    code_of(&Error::last_os_error())
}

/// Repeats a call if a signal interrupts it.
fn uninterrupted(mut call: impl FnMut() -> libc::ssize_t) -> Result<u64, u64> {
    loop {
        match call() {
            ..0 if failed() == Status::Interrupted.code() => {}
            ..0 => return Err(failed()),
            count => return Ok(count as u64),
        }
    }
}

/// How long a connection may be silent until the system asks whether the other end is there, how
/// long it waits between questions, and how often it asks, in seconds and times.
const KEEP_ALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);

/// Has small pieces sent at once, and has the system notice if the other end is gone. Without either
/// the connection works too.
fn set_up(connection: &TcpStream) {
    let (idle, interval, count) = KEEP_ALIVE;
    let _ = connection.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(connection, true);
    let _ = sockopt::set_tcp_keepidle(connection, idle);
    let _ = sockopt::set_tcp_keepintvl(connection, interval);
    let _ = sockopt::set_tcp_keepcnt(connection, count);
}

impl Table {
    fn add(&mut self, socket: Socket) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open.insert(number, Arc::new(socket));
        number
    }
}

impl Sockets {
    /// Takes the listening sockets of a launch request. They get the first numbers.
    pub(crate) fn new(listeners: Vec<TcpListener>) -> Self {
        let sockets = listeners.into_iter().map(|listener| Arc::new(Socket::Listener(listener)));
        let open: HashMap<u64, _> = (FIRST_SOCKET..).zip(sockets).collect();
        let next = FIRST_SOCKET + open.len() as u64;
        Sockets(Arc::new(Mutex::new(Table { open, next })))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, number: u64) -> Option<Arc<Socket>> {
        self.table().open.get(&number).cloned()
    }

    fn connection(&self, number: u64) -> Result<Arc<Socket>, u64> {
        let socket = self.get(number).ok_or(Status::BadStream.code())?;
        match &*socket {
            Socket::Connection(_) => Ok(socket),
            Socket::Connecting(_) => Err(Status::WouldBlock.code()),
            Socket::Failed(code, _) => Err(*code),
            Socket::Listener(_) | Socket::Waker(_) => Err(Status::BadStream.code()),
        }
    }

    fn add(&self, socket: Socket) -> u64 {
        self.table().add(socket)
    }

    /// Makes a listening socket.
    pub(crate) fn listen(&self, network: &Network, request: &Listen) -> Answer {
        Ok(done(self.add(Socket::Listener(network.listen(request)?))))
    }

    /// Begins to connect, on a thread of its own: names are resolved by calls that wait.
    pub(crate) fn connect(&self, network: &Network, request: Connect) -> Answer {
        if !network.allows(&request) {
            return Err(Status::Denied.code());
        }
        if request.check {
            return Ok(done(0));
        }
        let is_connecting = |socket: &&Arc<Socket>| matches!(***socket, Socket::Connecting(_));
        if self.table().open.values().filter(is_connecting).count() >= MAX_CONNECTING {
            return Err(SocketStatus::TooManyOpen.code());
        }
        let (end, other) = std::io::pipe().map_err(|error| code_of(&error))?;
        let failed = OwnedFd::from(end.try_clone().map_err(|error| code_of(&error))?);
        let number = self.add(Socket::Connecting(end.into()));
        let table = self.0.clone();
        let connect = move || {
            let made = match network::connect(&request.host, request.port) {
                Ok(connection) => {
                    set_up(&connection);
                    Socket::Connection(connection)
                }
                Err(code) => Socket::Failed(code, failed),
            };
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            // The program may have closed it.
            if let Some(socket) = table.open.get_mut(&number) {
                *socket = Arc::new(made);
            }
            drop(table);
            // Ends the waits for it.
            drop(other);
        };
        if thread::Builder::new().spawn(connect).is_err() {
            self.close(number);
            return Err(SocketStatus::TooManyOpen.code());
        }
        Ok(done(number))
    }

    pub(crate) fn waker(&self) -> Answer {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let counter = eventfd(0, flags).map_err(|error| code_of(&error.into()))?;
        Ok(done(self.add(Socket::Waker(counter))))
    }

    pub(crate) fn wake(&self, number: u64) -> Answer {
        match self.get(number).as_deref() {
            Some(Socket::Waker(counter)) => {
                // If the counter is full, it is ready.
                let _ = rustix::io::write(counter, &1_u64.to_ne_bytes());
                Ok(done(0))
            }
            _ => Err(Status::BadStream.code()),
        }
    }

    pub(crate) fn accept(&self, listener: u64, wait: bool) -> Answer {
        let socket = self.get(listener).ok_or(Status::BadStream.code())?;
        let Socket::Listener(listener) = &*socket else { return Err(Status::Invalid.code()) };
        let fd = listener.as_raw_fd();
        listener.set_nonblocking(!wait).map_err(|_| failed())?;
        // SAFETY: `socket` keeps the socket open; the null pointers mean that no address is requested.
        let accepted = uninterrupted(|| unsafe {
            let flags = libc::SOCK_CLOEXEC;
            libc::accept4(fd, std::ptr::null_mut(), std::ptr::null_mut(), flags) as libc::ssize_t
        })?;
        // SAFETY: the system has just opened this descriptor, and nothing else owns it.
        let connection = unsafe { TcpStream::from_raw_fd(accepted as RawFd) };
        set_up(&connection);
        Ok(done(self.add(Socket::Connection(connection))))
    }

    pub(crate) fn receive(&self, number: u64, bytes: &mut [u8], flags: u64) -> Answer {
        let socket = self.connection(number)?;
        let mut how = if flags & socket::WAIT == 0 { libc::MSG_DONTWAIT } else { 0 };
        if flags & socket::PEEK != 0 {
            how |= libc::MSG_PEEK;
        }
        // SAFETY: the slice is valid for writes of its length.
        uninterrupted(|| unsafe {
            libc::recv(socket.descriptor(), bytes.as_mut_ptr().cast(), bytes.len(), how)
        })
        .map(done)
    }

    pub(crate) fn send(&self, number: u64, bytes: &[u8], flags: u64) -> Answer {
        let socket = self.connection(number)?;
        let wait = if flags & socket::WAIT == 0 { libc::MSG_DONTWAIT } else { 0 };
        // SAFETY: the slice is valid for reads of its length.
        uninterrupted(|| unsafe {
            let how = wait | libc::MSG_NOSIGNAL;
            libc::send(socket.descriptor(), bytes.as_ptr().cast(), bytes.len(), how)
        })
        .map(done)
    }

    pub(crate) fn shut_down(&self, number: u64, flags: u64) -> Answer {
        let socket = self.connection(number)?;
        let Socket::Connection(connection) = &*socket else {
            return Err(Status::BadStream.code());
        };
        let how = match (flags & socket::RECEIVING != 0, flags & socket::SENDING != 0) {
            (true, true) => Shutdown::Both,
            (true, false) => Shutdown::Read,
            (false, true) => Shutdown::Write,
            (false, false) => return Err(Status::Invalid.code()),
        };
        connection.shutdown(how).map(|()| done(0)).map_err(|_| failed())
    }

    pub(crate) fn close(&self, number: u64) {
        self.table().open.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_connection_is_accepted_used_and_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sockets = Sockets::new(vec![listener]);
        assert_eq!(sockets.accept(3, false), Err(Status::WouldBlock.code()));
        assert_eq!(sockets.accept(4, false), Err(Status::BadStream.code()));
        let mut client = TcpStream::connect(address).unwrap();
        let (code, number) = sockets.accept(3, true).unwrap();
        assert_eq!((code, number), (Status::Ok.code(), 4));
        let mut bytes = [0; 8];
        assert_eq!(sockets.receive(number, &mut bytes, 0), Err(Status::WouldBlock.code()));
        client.write_all(b"hello").unwrap();
        let peek = socket::WAIT | socket::PEEK;
        assert_eq!(sockets.receive(number, &mut bytes, peek), Ok(done(5)));
        assert_eq!(sockets.receive(number, &mut bytes, socket::WAIT), Ok(done(5)));
        assert_eq!(&bytes[..5], b"hello");
        assert_eq!(sockets.send(number, b"world", socket::WAIT), Ok(done(5)));
        assert_eq!(sockets.shut_down(number, socket::SENDING), Ok(done(0)));
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "world");
        drop(client);
        assert_eq!(sockets.receive(number, &mut bytes, socket::WAIT), Ok(done(0)));
        sockets.close(number);
        assert_eq!(sockets.receive(number, &mut bytes, 0), Err(Status::BadStream.code()));
    }
    /// Waits until the system says that a socket is ready.
    fn wait(sockets: &Sockets, number: u64) {
        let socket = sockets.get(number).unwrap();
        let events = libc::POLLIN | libc::POLLOUT;
        let mut poll = libc::pollfd { fd: socket.descriptor(), events, revents: 0 };
        // SAFETY: one valid record.
        assert_eq!(unsafe { libc::poll(&raw mut poll, 1, -1) }, 1);
    }

    fn connects(host: &str, port: u16) -> Connect {
        let text = String::new();
        Connect { deployment: text.clone(), socket: text, host: host.into(), port, check: false }
    }

    fn to(host: &str) -> Network {
        Network { connect: vec![host.parse().unwrap()], ..Network::default() }
    }

    #[test]
    fn a_connection_is_made_without_a_wait_and_its_failure_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sockets, network) = (Sockets::new(Vec::new()), to("localhost"));
        let (_, number) = sockets.connect(&network, connects("localhost", port)).unwrap();
        let mut server = listener.accept().unwrap().0;
        server.write_all(b"hello").unwrap();
        let mut bytes = [0; 8];
        loop {
            wait(&sockets, number);
            match sockets.receive(number, &mut bytes, 0) {
                Err(code) => assert_eq!(code, Status::WouldBlock.code()),
                Ok(received) => break assert_eq!(received, done(5)),
            }
        }
        drop((listener, server));
        let (_, number) = sockets.connect(&network, connects("localhost", port)).unwrap();
        wait(&sockets, number);
        let refused = SocketStatus::Refused.code();
        assert_eq!(sockets.receive(number, &mut bytes, 0), Err(refused));
        assert_eq!(sockets.send(number, &bytes, 0), Err(refused));
        sockets.close(number);
        assert_eq!(sockets.send(number, &bytes, 0), Err(Status::BadStream.code()));
    }

    #[test]
    fn what_the_operator_does_not_allow_is_denied_and_a_check_connects_to_nobody() {
        let sockets = Sockets::new(Vec::new());
        let denied = Err(Status::Denied.code());
        assert_eq!(sockets.connect(&Network::default(), connects("localhost", 1)), denied);
        assert_eq!(sockets.connect(&to("localhost:2"), connects("localhost", 1)), denied);
        let check = Connect { check: true, ..connects("localhost", 1) };
        assert_eq!(sockets.connect(&to("localhost:1"), check), Ok(done(0)));
        let unknown = sockets.connect(&to("*"), connects("does-not-exist.invalid", 1));
        let (_, number) = unknown.unwrap();
        wait(&sockets, number);
        let unreachable = SocketStatus::Unreachable.code();
        assert_eq!(sockets.receive(number, &mut [0; 1], 0), Err(unreachable));
    }

    #[test]
    fn a_waker_is_ready_once_after_it_was_woken() {
        let sockets = Sockets::new(Vec::new());
        let (_, number) = sockets.waker().unwrap();
        let socket = sockets.get(number).unwrap();
        let is_ready = || {
            let mut poll =
                libc::pollfd { fd: socket.descriptor(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one valid record.
            unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
        };
        assert!(!is_ready());
        sockets.wake(number).unwrap();
        sockets.wake(number).unwrap();
        assert!(is_ready());
        socket.reset();
        assert!(!is_ready());
        assert_eq!(sockets.wake(99), Err(Status::BadStream.code()));
        assert_eq!(sockets.receive(number, &mut [0; 8], 0), Err(Status::BadStream.code()));
    }
}
