//! The file systems that a program sees.

use crate::fd::descriptor::{Descriptor, HeldInode, Kind};
use crate::fd::rights;
use crate::types::{Errno, Fdflags};
use crate::{SetupError, SyncError, Wasi};
use twine_vfs::{FileSystem, Inode};

/// A file system and where the program sees it.
pub(crate) struct Mount {
    pub path: String,
    pub files: Box<dyn FileSystem>,
}

impl Wasi {
    /// Gives the program a file system: a preopened directory at `guest_path`. The first one
    /// is descriptor 3, the next one 4 and so on.
    ///
    /// # Errors
    /// When a path can't be handed to a program, or there are thousands of them.
    pub fn mount(
        &mut self,
        guest_path: &str,
        files: Box<dyn FileSystem>,
    ) -> Result<(), SetupError> {
        if guest_path.contains('\0') {
            return Err(SetupError::Nul(format!("{guest_path:?}, where a file system appears,")));
        }
        let held = HeldInode::new(self.mounts.len(), files.root());
        let mut descriptor = Descriptor::new(
            Kind::Directory { held, preopened: true },
            Fdflags::empty(),
            rights::directory(),
        );
        descriptor.inheriting = rights::directory() | rights::file();
        self.descriptors.insert(descriptor).map_err(|_| SetupError::Descriptors)?;
        self.mounts.push(Mount { path: guest_path.into(), files });
        Ok(())
    }

    /// Closes all descriptors and makes all that the program wrote durable. To be called when
    /// the program has ended in any way.
    ///
    /// # Errors
    /// The first mount that could not say that its data are durable. The others were
    /// synced all the same.
    pub fn finish(&mut self) -> Result<(), SyncError> {
        for descriptor in self.descriptors.take() {
            self.close(descriptor);
        }
        let mut result = Ok(());
        for mount in &mut self.mounts {
            if let Err(error) = mount.files.sync_all()
                && result.is_ok()
            {
                result = Err(SyncError { path: mount.path.clone(), error });
            }
        }
        result
    }

    /// Hands on what the program has changed in its file systems. To be called before it
    /// writes or sends anything, and before it waits: so nobody has ever seen it say
    /// something about files that the end of this process could undo.
    pub(crate) fn hand_over(&mut self) {
        self.mounts.iter_mut().for_each(|mount| mount.files.hand_over());
    }

    /// To be called before a change in a file system: in one that others see, it can't be before
    /// the changes that the program made earlier.
    pub(crate) fn will_change(&mut self, mount: usize) {
        if self.mounts.get(mount).is_some_and(|mount| mount.files.is_shared()) {
            self.hand_over();
        }
    }

    /// The file system of a mount.
    pub(crate) fn files(&mut self, mount: usize) -> Result<&mut (dyn FileSystem + '_), Errno> {
        match self.mounts.get_mut(mount) {
            Some(mount) => Ok(&mut *mount.files),
            None => Err(Errno::Badf),
        }
    }

    /// A held inode's file system, and its number there.
    pub(crate) fn at(
        &mut self,
        held: &HeldInode,
    ) -> Result<(&mut (dyn FileSystem + '_), Inode), Errno> {
        Ok((self.files(held.mount)?, held.inode))
    }

    /// Gives back what a descriptor held.
    pub(crate) fn close(&mut self, descriptor: Descriptor) {
        match descriptor.kind {
            Kind::Stream(_) => {}
            Kind::File { held, .. } | Kind::Directory { held, .. } => {
                if held.is_last()
                    && let Ok(files) = self.files(held.mount)
                {
                    files.release(held.inode);
                }
            }
            Kind::Listener(socket) | Kind::Connection(socket) => self.system.close(socket),
        }
    }
}
