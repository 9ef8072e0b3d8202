//! `fd_readdir`: the entries of a directory.

use super::stat::file_type;
use crate::Wasi;
use crate::transfer::length_of;
use crate::types::Result;
use crate::types::{Dircookie, Fd, Filetype, Rights, Size};
use twine_vfs::Inode;
use wiggle::{GuestMemory, GuestPtr};

/// Cookies after `.` and `..`. The file system's cookies are higher.
const AFTER_SELF: Dircookie = 1;
const AFTER_PARENT: Dircookie = 2;

/// A program's buffer, to fill with entries.
struct Filling<'a, 'b> {
    memory: &'a mut GuestMemory<'b>,
    buffer: GuestPtr<u8>,
    /// Size of the buffer, and of its filled part, in bytes.
    size: Size,
    filled: Size,
}

impl Filling<'_, '_> {
    /// Writes as many of `bytes` as fit.
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let length = length_of(bytes).min(self.size - self.filled);
        let target = self.buffer.add(self.filled)?.as_array(length);
        self.memory.copy_from_slice(bytes.split_at(length as usize).0, target)?;
        self.filled += length;
        Ok(())
    }

    /// Writes an entry, as much of it as fits. Returns whether more would fit.
    fn entry(&mut self, next: Dircookie, inode: Inode, kind: Filetype, name: &str) -> Result<bool> {
        // A `dirent` of the witx.
        let mut head = [0; 24];
        head[..8].copy_from_slice(&next.to_le_bytes());
        head[8..16].copy_from_slice(&inode.0.to_le_bytes());
        head[16..20].copy_from_slice(&length_of(name.as_bytes()).to_le_bytes());
        head[20] = kind as u8;
        self.put(&head)?;
        self.put(name.as_bytes())?;
        Ok(self.filled < self.size)
    }
}

impl Wasi {
    pub(crate) fn read_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        buffer: GuestPtr<u8>,
        size: Size,
        cookie: Dircookie,
    ) -> Result<Size> {
        let held = self.descriptors.get(fd)?.directory(Rights::FD_READDIR)?.clone();
        memory.as_slice(buffer.as_array(size))?;
        if size == 0 {
            return Ok(0);
        }
        let mut filling = Filling { memory, buffer, size, filled: 0 };
        let (files, inode) = self.at(&held)?;
        // Both get the inode of the directory: a program may not learn what is above a directory
        // that it has open.
        let dots = [(".", AFTER_SELF), ("..", AFTER_PARENT)];
        for (name, next) in dots.into_iter().skip(cookie.min(AFTER_PARENT) as usize) {
            if !filling.entry(next, inode, Filetype::Directory, name)? {
                return Ok(size);
            }
        }
        let after = if cookie <= AFTER_PARENT { 0 } else { cookie };
        let mut result = Ok(true);
        files.entries(inode, after, &mut |entry| {
            result = filling.entry(entry.cookie, entry.inode, file_type(entry.kind), entry.name);
            matches!(result, Ok(true))
        })?;
        result?;
        Ok(filling.filled)
    }
}
