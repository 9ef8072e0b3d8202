//! The functions on sockets. A program gets its sockets when it starts; no function makes one.

use crate::fd::descriptor::{Descriptor, Kind};
use crate::fd::rights;
use crate::transfer::{Buffers, MAX_STREAM_BYTES, MAX_WRITTEN_BYTES, counted};
use crate::types::Result;
use crate::types::{
    CiovecArray, Errno, Fd, Fdflags, IovecArray, Riflags, Rights, Roflags, Sdflags, Siflags, Size,
};
use crate::{SetupError, Wasi};
use wiggle::GuestMemory;

impl Wasi {
    /// Adds a listening socket with this number of the system. It gets the lowest free descriptor:
    /// the one after the mounts, if they are added first. As in wasmtime, it does not wait for
    /// connections until the program clears `NONBLOCK`: runtimes with their own scheduler rely on
    /// it.
    ///
    /// # Errors
    /// Too many descriptors.
    pub fn listen(&mut self, socket: u64) -> Result<(), SetupError> {
        let mut descriptor =
            Descriptor::new(Kind::Listener(socket), Fdflags::NONBLOCK, rights::listener());
        descriptor.inheriting = rights::connection();
        self.descriptors.insert(descriptor).map_err(|_| SetupError::Descriptors)?;
        Ok(())
    }

    /// Adds a connecting socket with this number of the system, in the same way. It is a connection,
    /// which the system makes at its first use. WASI has no call to connect, so `sock_accept` on it
    /// makes one more connection to the same host.
    ///
    /// # Errors
    /// Too many descriptors.
    pub fn dial(&mut self, socket: u64) -> Result<(), SetupError> {
        let mut descriptor =
            Descriptor::new(Kind::Connection(socket), Fdflags::empty(), rights::dialer());
        descriptor.inheriting = rights::connection();
        self.descriptors.insert(descriptor).map_err(|_| SetupError::Descriptors)?;
        Ok(())
    }

    /// Returns the number of a connection with this right, and whether its calls wait.
    fn connection(&self, fd: Fd, right: Rights) -> Result<(u64, bool)> {
        let descriptor = self.descriptors.get(fd)?;
        match descriptor.kind {
            Kind::Connection(socket) => {
                descriptor.check(right)?;
                Ok((socket, !descriptor.nonblocking()))
            }
            Kind::Listener(_) => Err(Errno::Notconn.into()),
            _ => Err(Errno::Notsock.into()),
        }
    }

    pub(crate) fn accept(&mut self, fd: Fd, flags: Fdflags) -> Result<Fd> {
        let descriptor = self.descriptors.get(fd)?;
        let listener = match descriptor.kind {
            Kind::Listener(socket) => socket,
            // Only a connecting socket has the right.
            Kind::Connection(socket) => {
                descriptor.check(Rights::SOCK_ACCEPT).map_err(|_| Errno::Inval)?;
                socket
            }
            _ => return Err(Errno::Notsock.into()),
        };
        descriptor.check(Rights::SOCK_ACCEPT)?;
        if !Fdflags::NONBLOCK.contains(flags) {
            return Err(Errno::Inval.into());
        }
        let (wait, inherited) = (!descriptor.nonblocking(), descriptor.inheriting);
        self.descriptors.check_room()?;
        self.hand_over();
        let socket = self.system.accept(listener, wait).map_err(Errno::from)?;
        let base = rights::connection() & inherited;
        let connection = Descriptor::new(Kind::Connection(socket), flags, base);
        Ok(self.descriptors.insert(connection)?)
    }

    fn receive_into(
        &mut self,
        socket: u64,
        bytes: &mut [u8],
        peek: bool,
        wait: bool,
    ) -> Result<usize, Errno> {
        self.hand_over();
        counted(self.system.receive(socket, bytes, peek, wait)?, bytes.len())
    }

    /// Receives as many bytes as fit into the buffers.
    pub(crate) fn receive(
        &mut self,
        memory: &mut GuestMemory<'_>,
        socket: u64,
        targets: &Buffers,
        peek: bool,
        wait: bool,
    ) -> Result<Size> {
        if targets.total == 0 {
            return Ok(0);
        }
        let mut bytes = vec![0; targets.total as usize];
        let received = self.receive_into(socket, &mut bytes, peek, wait)?;
        bytes.truncate(received);
        targets.scatter(memory, &bytes)
    }

    /// Sends the bytes in the buffers. If it may not wait, it may send only some of them.
    pub(crate) fn send(
        &mut self,
        memory: &GuestMemory<'_>,
        socket: u64,
        sources: &Buffers,
        wait: bool,
    ) -> Result<Size> {
        if sources.total == 0 {
            return Ok(0);
        }
        self.hand_over();
        sources.hand_on(memory, wait, |bytes| Ok(self.system.send(socket, bytes, wait)?))
    }

    /// Receives until the buffers are full, the other end sends no more, or a call fails.
    #[expect(clippy::indexing_slicing, reason = "`receive_into` receives no more than is left")]
    fn receive_all(
        &mut self,
        memory: &mut GuestMemory<'_>,
        socket: u64,
        targets: &Buffers,
        wait: bool,
    ) -> Result<Size> {
        let mut bytes = vec![0; targets.total as usize];
        let mut done = 0;
        while done < bytes.len() {
            match self.receive_into(socket, &mut bytes[done..], false, wait) {
                Ok(0) => break,
                Ok(received) => done += received,
                // Return the bytes received before the error. The next call gets the error again.
                Err(_) if done > 0 => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        bytes.truncate(done);
        targets.scatter(memory, &bytes)
    }

    pub(crate) fn socket_receive(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        vectors: IovecArray,
        flags: Riflags,
    ) -> Result<(Size, Roflags)> {
        let (socket, wait) = self.connection(fd, Rights::FD_READ)?;
        let targets = Buffers::targets(memory, vectors, MAX_STREAM_BYTES)?;
        let peek = flags.contains(Riflags::RECV_PEEK);
        // Peeking again would return the same bytes.
        let received = match flags.contains(Riflags::RECV_WAITALL) && !peek {
            true => self.receive_all(memory, socket, &targets, wait)?,
            false => self.receive(memory, socket, &targets, peek, wait)?,
        };
        Ok((received, Roflags::empty()))
    }

    pub(crate) fn socket_send(
        &mut self,
        memory: &GuestMemory<'_>,
        fd: Fd,
        vectors: CiovecArray,
        flags: Siflags,
    ) -> Result<Size> {
        let (socket, wait) = self.connection(fd, Rights::FD_WRITE)?;
        // WASI defines no flags yet.
        if flags != 0 {
            return Err(Errno::Inval.into());
        }
        let sources = Buffers::sources(memory, vectors, MAX_WRITTEN_BYTES)?;
        self.send(memory, socket, &sources, wait)
    }

    pub(crate) fn socket_shut_down(&mut self, fd: Fd, how: Sdflags) -> Result<()> {
        let (socket, _) = self.connection(fd, Rights::SOCK_SHUTDOWN)?;
        if how.is_empty() {
            return Err(Errno::Inval.into());
        }
        let (receiving, sending) = (how.contains(Sdflags::RD), how.contains(Sdflags::WR));
        self.hand_over();
        Ok(self.system.shut_down(socket, receiving, sending).map_err(Errno::from)?)
    }
}
