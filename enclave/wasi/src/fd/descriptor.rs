//! Open descriptors: their kinds, and what may be done with them.

use super::rights;
use crate::types::{Errno, Fdflags, Rights};
use std::sync::Arc;
use twine_vfs::Inode;

/// An inode of a mount that descriptors hold.
#[derive(Debug, Clone)]
pub(crate) struct HeldInode {
    /// Index of the mount.
    pub mount: usize,
    pub inode: Inode,
    /// Shared by all that have the same hold: the last one gives it back.
    hold: Arc<()>,
}

impl HeldInode {
    /// Takes over one hold on `inode`.
    pub(crate) fn new(mount: usize, inode: Inode) -> Self {
        HeldInode { mount, inode, hold: Arc::new(()) }
    }

    /// Whether no other descriptor shares the hold.
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
        held: HeldInode,
        /// Where the next read or write goes; at most `i64::MAX`.
        position: u64,
    },
    /// A directory.
    Directory {
        held: HeldInode,
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

    pub(super) fn stream(number: u64, direction: Rights) -> Self {
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
    pub(crate) fn file(&self, right: Rights, other: Errno) -> Result<&HeldInode, Errno> {
        match &self.kind {
            Kind::File { held, .. } => self.check(right).map(|()| held),
            Kind::Directory { .. } => Err(Errno::Badf),
            Kind::Stream(_) | Kind::Listener(_) | Kind::Connection(_) => Err(other),
        }
    }

    /// Its directory, if it may be used so.
    pub(crate) fn directory(&self, right: Rights) -> Result<&HeldInode, Errno> {
        match &self.kind {
            Kind::Directory { held, .. } => self.check(right).map(|()| held),
            _ => Err(Errno::Notdir),
        }
    }

    /// Its file or directory, if it may be used so; `other` is the errno of the rest.
    pub(crate) fn inode(&self, right: Rights, other: Errno) -> Result<&HeldInode, Errno> {
        match &self.kind {
            Kind::File { held, .. } | Kind::Directory { held, .. } => {
                self.check(right).map(|()| held)
            }
            Kind::Stream(_) | Kind::Listener(_) | Kind::Connection(_) => Err(other),
        }
    }
}
