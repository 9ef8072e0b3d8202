//! Implements the interface of file systems for a volume.

use super::directory::Removal;
use crate::error::{Error, Result};
use crate::format::block::bytes_of;
use crate::format::numbers::InodeNo;
use crate::volume::Volume;
use twine_vfs::{
    Attributes, Change, Entry, FileKind, FileSystem, Inode, Mode, Result as FileResult, Stamp,
    Usage,
};

impl Volume {
    /// Records an error with its words, and converts it to an error of the interface.
    fn answer<T>(&mut self, result: Result<T>) -> FileResult<T> {
        result.map_err(|error| {
            self.files_mut().engine_mut().health_mut().record_error(&error);
            error.errno()
        })
    }
}

fn number(inode: Inode) -> InodeNo {
    InodeNo(inode.0)
}

impl FileSystem for Volume {
    fn root(&self) -> Inode {
        Inode(InodeNo::ROOT.0)
    }

    fn read_only(&self) -> bool {
        self.is_read_only()
    }

    fn lookup(&mut self, directory: Inode, name: &str) -> FileResult<Inode> {
        let result = self.files_mut().look_up(number(directory), name);
        self.answer(result).map(|inode| Inode(inode.0))
    }

    fn release(&mut self, inode: Inode) {
        self.files_mut().release(number(inode));
    }

    fn attributes(&mut self, inode: Inode) -> FileResult<Attributes> {
        let result = self.files_mut().inodes().with_times(number(inode)).map(|known| Attributes {
            kind: known.kind,
            mode: known.mode,
            size: known.size,
            links: known.links,
            accessed: known.accessed,
            modified: known.modified,
            changed: known.changed,
        });
        self.answer(result)
    }

    fn set_times(&mut self, inode: Inode, accessed: Stamp, modified: Stamp) -> FileResult<()> {
        let result = self.files_mut().set_times(number(inode), accessed, modified);
        self.answer(result)
    }

    fn set_mode(&mut self, inode: Inode, mode: Mode) -> FileResult<()> {
        let result = self.files_mut().set_mode(number(inode), mode);
        self.answer(result)
    }

    fn create_file(&mut self, directory: Inode, name: &str) -> FileResult<Inode> {
        let result = self.files_mut().make(number(directory), name, FileKind::File, "");
        if let Ok(inode) = &result {
            self.files_mut().inodes().hold(*inode);
        }
        self.answer(result).map(|inode| Inode(inode.0))
    }

    fn create_directory(&mut self, directory: Inode, name: &str) -> FileResult<()> {
        let result = self.files_mut().make(number(directory), name, FileKind::Directory, "");
        self.answer(result).map(drop)
    }

    fn create_symbolic_link(
        &mut self,
        directory: Inode,
        name: &str,
        target: &str,
    ) -> FileResult<()> {
        let result = self.files_mut().make(number(directory), name, FileKind::SymbolicLink, target);
        self.answer(result).map(drop)
    }

    fn read_link(&mut self, inode: Inode) -> FileResult<String> {
        let result = self.files_mut().target(number(inode));
        self.answer(result)
    }

    fn link(&mut self, inode: Inode, directory: Inode, name: &str) -> FileResult<()> {
        let result = self.files_mut().make_link(number(inode), number(directory), name);
        self.answer(result)
    }

    fn unlink(&mut self, directory: Inode, name: &str) -> FileResult<()> {
        let result = self.files_mut().remove_name(number(directory), name, Removal::Name);
        self.answer(result)
    }

    fn remove_directory(&mut self, directory: Inode, name: &str) -> FileResult<()> {
        let result = self.files_mut().remove_name(number(directory), name, Removal::Directory);
        self.answer(result)
    }

    fn rename(&mut self, from: Inode, from_name: &str, to: Inode, to_name: &str) -> FileResult<()> {
        let result = self.files_mut().rename_entry(number(from), from_name, number(to), to_name);
        self.answer(result)
    }

    fn entries(
        &mut self,
        directory: Inode,
        cookie: u64,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> FileResult<()> {
        let result = self.files_mut().list(number(directory), cookie, each);
        self.answer(result)
    }

    fn read(&mut self, inode: Inode, offset: u64, bytes: &mut [u8]) -> FileResult<usize> {
        let result = self.files_mut().read_file(number(inode), offset, bytes);
        self.answer(result)
    }

    fn next_data(&mut self, inode: Inode, offset: u64) -> FileResult<Option<u64>> {
        let result = self.files_mut().data_from(number(inode), offset);
        self.answer(result)
    }

    fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8]) -> FileResult<usize> {
        let result = self.files_mut().write_file(number(inode), offset, bytes);
        self.answer(result)
    }

    fn set_size(&mut self, inode: Inode, size: u64) -> FileResult<()> {
        let result = self.files_mut().resize(number(inode), size);
        self.answer(result)
    }

    fn allocate(&mut self, inode: Inode, offset: u64, length: u64) -> FileResult<()> {
        let result = self.files_mut().allocate_range(number(inode), offset, length);
        self.answer(result)
    }

    /// Makes the whole volume durable, whatever the inode, because there is only one log.
    fn sync(&mut self, inode: Inode, _change: Change) -> FileResult<()> {
        let result = self.files_mut().inodes().get(number(inode)).map(drop);
        self.answer(result)?;
        self.sync_all()
    }

    fn sync_all(&mut self) -> FileResult<()> {
        let result = match self.is_read_only() {
            true => Ok(()),
            false => self.files_mut().engine_mut().commit(),
        };
        self.answer(result)
    }

    fn hand_over(&mut self) {
        let engine = self.files_mut().engine_mut();
        if let Err(error) = engine.hand_over() {
            engine.health_mut().record_error(&error);
        }
    }

    fn usage(&mut self) -> FileResult<Usage> {
        let space = self.files_mut().space();
        Ok(Usage { used: bytes_of(space.in_use()), size: bytes_of(space.blocks()) })
    }
}

impl From<Error> for twine_vfs::Error {
    fn from(error: Error) -> Self {
        error.errno()
    }
}
