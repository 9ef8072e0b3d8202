//! Open descriptors: their kinds and rights.

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
    /// Shared by all descriptors with the same hold. The last one releases it.
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

/// The object of a descriptor.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A standard stream, with the host's number 0, 1 or 2.
    Stream(u64),
    /// A file.
    File {
        held: HeldInode,
        /// The offset of the next read or write, at most `i64::MAX`.
        position: u64,
    },
    /// A directory.
    Directory {
        held: HeldInode,
        /// Whether it is a preopen, which has the mount's path.
        preopened: bool,
    },
    /// A listening socket, with the system's number.
    Listener(u64),
    /// A connected socket, with the system's number.
    Connection(u64),
}

/// An open descriptor.
#[derive(Debug, Clone)]
pub(crate) struct Descriptor {
    pub kind: Kind,
    pub flags: Fdflags,
    /// The rights of the descriptor.
    pub base: Rights,
    /// The rights that descriptors opened through it can have.
    pub inheriting: Rights,
}

impl Descriptor {
    pub(crate) fn new(kind: Kind, flags: Fdflags, base: Rights) -> Self {
        Descriptor { kind, flags, base, inheriting: Rights::empty() }
    }

    /// A preopen of a mount.
    pub(crate) fn preopened(held: HeldInode) -> Self {
        let kind = Kind::Directory { held, preopened: true };
        let mut descriptor = Descriptor::new(kind, Fdflags::empty(), rights::directory());
        descriptor.inheriting = rights::directory() | rights::file();
        descriptor
    }

    pub(super) fn stream(number: u64, direction: Rights) -> Self {
        Descriptor::new(Kind::Stream(number), Fdflags::empty(), rights::stream(direction))
    }

    pub(crate) fn nonblocking(&self) -> bool {
        self.flags.contains(Fdflags::NONBLOCK)
    }

    /// Checks that it has a right. If reading or writing is missing, the errno is the one of POSIX
    /// for a descriptor that is not open in that direction.
    pub(crate) fn check(&self, right: Rights) -> Result<(), Errno> {
        if self.base.contains(right) {
            Ok(())
        } else if right.intersects(Rights::FD_READ | Rights::FD_WRITE) {
            Err(Errno::Badf)
        } else {
            Err(Errno::Notcapable)
        }
    }

    /// Whether it is a device of the system, which has a position, and has this right.
    pub(crate) fn is_device(&self, right: Rights) -> bool {
        matches!(self.kind, Kind::Stream(_)) && self.base.contains(right)
    }

    /// Returns its file, if it has this right. `other` is the errno of streams and sockets.
    pub(crate) fn file(&self, right: Rights, other: Errno) -> Result<&HeldInode, Errno> {
        match &self.kind {
            Kind::File { held, .. } => self.check(right).map(|()| held),
            Kind::Directory { .. } => Err(Errno::Badf),
            Kind::Stream(_) | Kind::Listener(_) | Kind::Connection(_) => Err(other),
        }
    }

    /// Returns its directory, if it has this right.
    pub(crate) fn directory(&self, right: Rights) -> Result<&HeldInode, Errno> {
        match &self.kind {
            Kind::Directory { held, .. } => self.check(right).map(|()| held),
            _ => Err(Errno::Notdir),
        }
    }

    /// Returns its file or directory, if it has this right. `other` is the errno of streams and
    /// sockets.
    pub(crate) fn inode(&self, right: Rights, other: Errno) -> Result<&HeldInode, Errno> {
        match &self.kind {
            Kind::File { held, .. } | Kind::Directory { held, .. } => {
                self.check(right).map(|()| held)
            }
            Kind::Stream(_) | Kind::Listener(_) | Kind::Connection(_) => Err(other),
        }
    }
}
