//! The volume as a file system.

use crate::error::{Error, Result};
use crate::format::attributes::ROOT;
use crate::format::block::offset;
use crate::volume::Volume;
use twine_files::{
    Attributes, Change, Entry, FileKind, FileSystem, Inode, Mode, Result as FileResult, Stamp,
    Usage,
};

impl Volume {
    /// Turns a result into what the interface knows, and keeps the words.
    fn answer<T>(&mut self, result: Result<T>) -> FileResult<T> {
        result.map_err(|error| {
            self.record_error(&error);
            error.errno()
        })
    }

    fn look_up(&mut self, directory: u64, name: &str) -> Result<u64> {
        let inode = self.entry(directory, name)?.inode;
        self.inodes.hold(inode);
        Ok(inode)
    }
}

impl FileSystem for Volume {
    fn root(&self) -> Inode {
        Inode(ROOT)
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn lookup(&mut self, directory: Inode, name: &str) -> FileResult<Inode> {
        let result = self.look_up(directory.0, name);
        self.answer(result).map(Inode)
    }

    fn release(&mut self, inode: Inode) {
        if !self.inodes.release(inode.0) || self.check_writable().is_err() {
            return;
        }
        match self.inode(inode.0) {
            Ok(attributes) if attributes.links == 0 => self.destroy(inode.0),
            Ok(_) => {}
            Err(error) => self.record_error(&error),
        }
    }

    fn attributes(&mut self, inode: Inode) -> FileResult<Attributes> {
        let result = self.settled(inode.0).map(|known| Attributes {
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
        let result = self.set_stamps(inode.0, accessed, modified);
        self.answer(result)
    }

    fn set_mode(&mut self, inode: Inode, mode: Mode) -> FileResult<()> {
        let result = self.set_permissions(inode.0, mode);
        self.answer(result)
    }

    fn create_file(&mut self, directory: Inode, name: &str) -> FileResult<Inode> {
        let result = self.make(directory.0, name, FileKind::File, "");
        if let Ok(inode) = &result {
            self.inodes.hold(*inode);
        }
        self.answer(result).map(Inode)
    }

    fn create_directory(&mut self, directory: Inode, name: &str) -> FileResult<()> {
        let result = self.make(directory.0, name, FileKind::Directory, "");
        self.answer(result).map(drop)
    }

    fn create_symbolic_link(
        &mut self,
        directory: Inode,
        name: &str,
        target: &str,
    ) -> FileResult<()> {
        let result = self.make(directory.0, name, FileKind::SymbolicLink, target);
        self.answer(result).map(drop)
    }

    fn read_link(&mut self, inode: Inode) -> FileResult<String> {
        let result = self.target(inode.0);
        self.answer(result)
    }

    fn link(&mut self, inode: Inode, directory: Inode, name: &str) -> FileResult<()> {
        let result = self.make_link(inode.0, directory.0, name);
        self.answer(result)
    }

    fn unlink(&mut self, directory: Inode, name: &str) -> FileResult<()> {
        let result = self.remove_name(directory.0, name, false);
        self.answer(result)
    }

    fn remove_directory(&mut self, directory: Inode, name: &str) -> FileResult<()> {
        let result = self.remove_name(directory.0, name, true);
        self.answer(result)
    }

    fn rename(&mut self, from: Inode, from_name: &str, to: Inode, to_name: &str) -> FileResult<()> {
        let result = self.rename_entry(from.0, from_name, to.0, to_name);
        self.answer(result)
    }

    fn entries(
        &mut self,
        directory: Inode,
        cookie: u64,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> FileResult<()> {
        let result = self.list(directory.0, cookie, each);
        self.answer(result)
    }

    fn read(&mut self, inode: Inode, offset: u64, bytes: &mut [u8]) -> FileResult<usize> {
        let result = self.read_file(inode.0, offset, bytes);
        self.answer(result)
    }

    fn next_data(&mut self, inode: Inode, offset: u64) -> FileResult<Option<u64>> {
        let result = self.data_from(inode.0, offset);
        self.answer(result)
    }

    fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8]) -> FileResult<usize> {
        let result = self.write_file(inode.0, offset, bytes);
        self.answer(result)
    }

    fn set_size(&mut self, inode: Inode, size: u64) -> FileResult<()> {
        let result = self.resize(inode.0, size);
        self.answer(result)
    }

    fn allocate(&mut self, inode: Inode, offset: u64, length: u64) -> FileResult<()> {
        let result = self.allocate_range(inode.0, offset, length);
        self.answer(result)
    }

    /// A sync makes the whole volume durable, whatever it is of: there is one log.
    fn sync(&mut self, inode: Inode, _change: Change) -> FileResult<()> {
        let result = self.inode(inode.0).map(drop);
        self.answer(result)?;
        self.sync_all()
    }

    fn sync_all(&mut self) -> FileResult<()> {
        let result = if self.read_only { Ok(()) } else { self.commit() };
        self.answer(result)
    }

    fn settle(&mut self) {
        if let Err(error) = self.settle_changes() {
            self.record_error(&error);
        }
    }

    fn usage(&mut self) -> FileResult<Usage> {
        Ok(Usage { used: offset(self.space.in_use()), size: self.bytes() })
    }
}

impl From<Error> for twine_files::Error {
    fn from(error: Error) -> Self {
        error.errno()
    }
}
