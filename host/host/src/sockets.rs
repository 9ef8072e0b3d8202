//! The sockets of a program: listening sockets, and the connections that they accepted.

use crate::streams::last_status;
use rustix::net::sockopt;
use std::collections::HashMap;
use std::io::Error;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use twine_protocol::wire::{FIRST_SOCKET, SocketStatus, Status, socket};

/// A socket. It is closed when the last reference is dropped.
#[derive(Debug)]
pub(crate) enum Socket {
    Listener(TcpListener),
    Connection(TcpStream),
}

impl Socket {
    pub(crate) fn descriptor(&self) -> RawFd {
        match self {
            Socket::Listener(listener) => listener.as_raw_fd(),
            Socket::Connection(connection) => connection.as_raw_fd(),
        }
    }
}

/// The open sockets, by the numbers that the enclave uses.
#[derive(Debug)]
pub(crate) struct Sockets(Mutex<Table>);

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
    match Error::last_os_error().raw_os_error() {
        Some(libc::ECONNRESET) => SocketStatus::Reset.code(),
        Some(libc::ECONNABORTED) => SocketStatus::Aborted.code(),
        Some(libc::ENOTCONN) => SocketStatus::NotConnected.code(),
        Some(libc::EMFILE | libc::ENFILE) => SocketStatus::TooManyOpen.code(),
        _ => last_status().code(),
    }
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

impl Sockets {
    /// Takes the listening sockets of a launch request. They get the first numbers.
    pub(crate) fn new(listeners: Vec<TcpListener>) -> Self {
        let sockets = listeners.into_iter().map(|listener| Arc::new(Socket::Listener(listener)));
        let open: HashMap<u64, _> = (FIRST_SOCKET..).zip(sockets).collect();
        let next = FIRST_SOCKET + open.len() as u64;
        Sockets(Mutex::new(Table { open, next }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, number: u64) -> Option<Arc<Socket>> {
        self.table().open.get(&number).cloned()
    }

    fn connection(&self, number: u64) -> Result<Arc<Socket>, u64> {
        let socket = self.get(number);
        socket
            .filter(|socket| matches!(**socket, Socket::Connection(_)))
            .ok_or(Status::BadStream.code())
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
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        table.open.insert(number, Arc::new(Socket::Connection(connection)));
        Ok(done(number))
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
}
