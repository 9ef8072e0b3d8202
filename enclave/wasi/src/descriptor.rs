//! The descriptor table of a program.

use crate::rights;
use crate::types::{Errno, Fd, Fdflags, Rights};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use twine_vfs::Inode;

/// Most descriptors that may be open at once.
pub(crate) const MOST_DESCRIPTORS: usize = 4096;

/// An inode of a mount that descriptors hold.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Index of the mount.
    pub mount: usize,
    pub inode: Inode,
    /// Shared by all that have the same hold: the last one gives it back.
    hold: Arc<()>,
}

impl Place {
    /// Takes over one hold on `inode`.
    pub(crate) fn new(mount: usize, inode: Inode) -> Self {
        Place { mount, inode, hold: Arc::new(()) }
    }

    /// Whether no other place has the same hold.
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.hold) == 1
    }
}

/// What a descriptor stands for.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A standard stream: the host's 0, 1 or 2.
    Stream(u64),
    /// A file.
    File {
        place: Place,
        /// Where the next read or write goes; at most `i64::MAX`.
        position: u64,
    },
    /// A directory.
    Directory {
        place: Place,
        /// Whether the program found it open: then it has the mount's path.
        preopened: bool,
    },
    /// A listening socket, by the number that the system has for it.
    Listener(u64),
    /// A connected socket, likewise.
    Connection(u64),
}

/// An open descriptor.
#[derive(Debug, Clone)]
pub(crate) struct Descriptor {
    pub kind: Kind,
    pub flags: Fdflags,
    /// What may be done with it.
    pub base: Rights,
    /// What may be done with what is opened through it.
    pub inheriting: Rights,
}

impl Descriptor {
    pub(crate) fn new(kind: Kind, flags: Fdflags, base: Rights) -> Self {
        Descriptor { kind, flags, base, inheriting: Rights::empty() }
    }

    fn stream(number: u64, direction: Rights) -> Self {
        Descriptor::new(Kind::Stream(number), Fdflags::empty(), rights::stream(direction))
    }

    pub(crate) fn nonblocking(&self) -> bool {
        self.flags.contains(Fdflags::NONBLOCK)
    }

    /// Checks that it has a right. Reading and writing have the errno that POSIX gives to
    /// descriptors that are not open for it.
    pub(crate) fn check(&self, right: Rights) -> Result<(), Errno> {
        if self.base.contains(right) {
            Ok(())
        } else if right.intersects(Rights::FD_READ | Rights::FD_WRITE) {
            Err(Errno::Badf)
        } else {
            Err(Errno::Notcapable)
        }
    }

    /// Whether it is a device of the system's that has a position, and may be used so.
    pub(crate) fn is_device(&self, right: Rights) -> bool {
        matches!(self.kind, Kind::Stream(_)) && self.base.contains(right)
    }

    /// Its file, if it may be used so; `other` is the errno of streams and sockets.
    pub(crate) fn file(&self, right: Rights, other: Errno) -> Result<&Place, Errno> {
        match &self.kind {
            Kind::File { place, .. } => self.check(right).map(|()| place),
            Kind::Directory { .. } => Err(Errno::Badf),
            Kind::Stream(_) | Kind::Listener(_) | Kind::Connection(_) => Err(other),
        }
    }

    /// Its directory, if it may be used so.
    pub(crate) fn directory(&self, right: Rights) -> Result<&Place, Errno> {
        match &self.kind {
            Kind::Directory { place, .. } => self.check(right).map(|()| place),
            _ => Err(Errno::Notdir),
        }
    }

    /// Its file or directory, if it may be used so; `other` is the errno of the rest.
    pub(crate) fn place(&self, right: Rights, other: Errno) -> Result<&Place, Errno> {
        match &self.kind {
            Kind::File { place, .. } | Kind::Directory { place, .. } => {
                self.check(right).map(|()| place)
            }
            Kind::Stream(_) | Kind::Listener(_) | Kind::Connection(_) => Err(other),
        }
    }
}

/// Numbers to descriptors.
#[derive(Debug)]
pub(crate) struct Descriptors {
    slots: Vec<Option<Descriptor>>,
    /// Every number below the length of `slots` that is free, once.
    free: BinaryHeap<Reverse<u32>>,
}

impl Descriptors {
    /// The three standard streams at 0, 1 and 2. Those that are devices have a position, if one
    /// without effect: C libraries take a character device without for a terminal.
    pub(crate) fn standard(mut is_device: impl FnMut(u64) -> bool) -> Self {
        let mut stream = |number, direction| {
            let position = match is_device(number) {
                true => Rights::FD_SEEK | Rights::FD_TELL,
                false => Rights::empty(),
            };
            Some(Descriptor::stream(number, direction | position))
        };
        let slots = vec![
            stream(0, Rights::FD_READ),
            stream(1, Rights::FD_WRITE),
            stream(2, Rights::FD_WRITE),
        ];
        Descriptors { slots, free: BinaryHeap::new() }
    }

    /// The descriptor with that number.
    pub(crate) fn get(&self, fd: Fd) -> Result<&Descriptor, Errno> {
        let slot = self.slots.get(u32::from(fd) as usize);
        slot.and_then(Option::as_ref).ok_or(Errno::Badf)
    }

    /// The descriptor with that number, to be changed.
    pub(crate) fn get_mut(&mut self, fd: Fd) -> Result<&mut Descriptor, Errno> {
        let slot = self.slots.get_mut(u32::from(fd) as usize);
        slot.and_then(Option::as_mut).ok_or(Errno::Badf)
    }

    /// Checks that there is a number for one more.
    pub(crate) fn check_room(&self) -> Result<(), Errno> {
        if self.free.is_empty() && self.slots.len() == MOST_DESCRIPTORS {
            return Err(Errno::Mfile);
        }
        Ok(())
    }

    /// Gives a descriptor the lowest free number.
    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Result<Fd, Errno> {
        self.check_room()?;
        let number = match self.free.pop() {
            Some(Reverse(number)) => {
                self.slots[number as usize] = Some(descriptor);
                number
            }
            None => {
                self.slots.push(Some(descriptor));
                self.slots.len() as u32 - 1
            }
        };
        Ok(number.into())
    }

    /// Frees a number; what it stood for.
    pub(crate) fn remove(&mut self, fd: Fd) -> Result<Descriptor, Errno> {
        let number = u32::from(fd);
        let slot = self.slots.get_mut(number as usize).ok_or(Errno::Badf)?;
        let descriptor = slot.take().ok_or(Errno::Badf)?;
        self.free.push(Reverse(number));
        Ok(descriptor)
    }

    /// Moves `from` to `to`, both of which must be open; what `to` stood for before, if that
    /// was something else (`fd_renumber`).
    pub(crate) fn renumber(&mut self, from: Fd, to: Fd) -> Result<Option<Descriptor>, Errno> {
        self.get(to)?;
        self.get(from)?;
        if u32::from(from) == u32::from(to) {
            return Ok(None);
        }
        let moved = self.remove(from)?;
        Ok(Some(std::mem::replace(self.get_mut(to)?, moved)))
    }

    /// Takes all out.
    pub(crate) fn take(&mut self) -> Vec<Descriptor> {
        self.free.clear();
        std::mem::take(&mut self.slots).into_iter().flatten().collect()
    }
}
