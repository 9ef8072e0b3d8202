//! The file systems that a program sees.

use crate::fd::descriptor::{Descriptor, HeldInode, Kind};
use crate::types::Errno;
use crate::{SetupError, SyncError, Wasi};
use twine_vfs::{FileSystem, Inode};

/// A file system, and its guest path.
pub(crate) struct Mount {
    pub path: String,
    pub files: Box<dyn FileSystem>,
}

impl Wasi {
    /// Adds a file system as a preopen at `guest_path`. The first one gets descriptor 3, the next
    /// one 4, and so on.
    ///
    /// # Errors
    /// A path that cannot be passed to a program, or too many descriptors.
    pub fn mount(
        &mut self,
        guest_path: &str,
        files: Box<dyn FileSystem>,
    ) -> Result<(), SetupError> {
        if guest_path.contains('\0') {
            return Err(SetupError::Nul(format!("{guest_path:?}, where a file system appears,")));
        }
        let held = HeldInode::new(self.mounts.len(), files.root());
        self.descriptors
            .insert(Descriptor::preopened(held))
            .map_err(|_| SetupError::Descriptors)?;
        self.mounts.push(Mount { path: guest_path.into(), files });
        Ok(())
    }

    /// Closes all descriptors, and makes everything that the program wrote durable. Call it when
    /// the program has ended in any way.
    ///
    /// # Errors
    /// The error of the first mount whose data may not be durable. The others were synced anyway.
    pub fn finish(&mut self) -> Result<(), SyncError> {
        self.take_resources();
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

    /// Hands over the program's changes in its file systems. Call it before the program writes or
    /// sends anything, and before it waits. So nobody learns anything from the program about files
    /// that the end of this process could undo.
    pub(crate) fn hand_over(&mut self) {
        self.mounts.iter_mut().for_each(|mount| mount.files.hand_over());
    }

    /// Call this before a change in a file system. If others see that change at once, this hands
    /// over the program's earlier changes.
    pub(crate) fn will_change(&mut self, mount: usize) {
        if self.mounts.get(mount).is_some_and(|mount| mount.files.is_shared()) {
            self.hand_over();
        }
    }

    /// Returns the file system of a mount.
    pub(crate) fn files(&mut self, mount: usize) -> Result<&mut (dyn FileSystem + '_), Errno> {
        match self.mounts.get_mut(mount) {
            Some(mount) => Ok(&mut *mount.files),
            None => Err(Errno::Badf),
        }
    }

    /// Returns the file system of a held inode, and its number there.
    pub(crate) fn at(
        &mut self,
        held: &HeldInode,
    ) -> Result<(&mut (dyn FileSystem + '_), Inode), Errno> {
        Ok((self.files(held.mount)?, held.inode))
    }

    /// Releases an inode, if nothing else holds it. Call it before `held` is dropped.
    pub(crate) fn release(&mut self, held: &HeldInode) {
        if held.is_last()
            && let Ok(files) = self.files(held.mount)
        {
            files.release(held.inode);
        }
    }

    /// Releases the inode or socket of a descriptor.
    pub(crate) fn close(&mut self, descriptor: Descriptor) {
        match descriptor.kind {
            Kind::Stream(_) => {}
            Kind::File { held, .. } | Kind::Directory { held, .. } => self.release(&held),
            Kind::Listener(socket) | Kind::Connection(socket) => self.system.close(socket),
        }
    }
}
