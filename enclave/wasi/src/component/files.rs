//! `wasi:filesystem`: descriptors and their paths. Each descriptor of a component is one of the
//! program's descriptor table, so that paths, rights and limits are those of modules.

use super::command::bindings::wasi::filesystem::{preopens, types};
use super::command::datetime;
use super::streams::{Held, InputStream, OutputStream, piece};
use super::{Failed, Failure};
use crate::Wasi;
use crate::fd::descriptor::{Descriptor, HeldInode, Kind};
use crate::path::open::Opening;
use crate::types::{
    Errno, Fd, Fdflags, Filestat, Filetype, Fstflags, Lookupflags, Oflags, Rights, Timestamp,
};
use twine_vfs::{Change, FileKind};
use types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime::component::Resource;

/// A descriptor of a component.
#[derive(Debug)]
pub struct OpenFile(Fd);

/// The entries of a directory that were not read yet.
#[derive(Debug)]
pub struct Listing {
    pub(super) held: Held,
    /// The place after the last entry that was read.
    cookie: u64,
    /// Entries that were read ahead, the next one last.
    ahead: Vec<DirectoryEntry>,
}

/// The number of entries that are read at once.
const AHEAD: usize = 64;

fn kind_of(kind: FileKind) -> DescriptorType {
    match kind {
        FileKind::File => DescriptorType::RegularFile,
        FileKind::Directory => DescriptorType::Directory,
        FileKind::SymbolicLink => DescriptorType::SymbolicLink,
    }
}

fn type_of(filetype: Filetype) -> DescriptorType {
    match filetype {
        Filetype::RegularFile => DescriptorType::RegularFile,
        Filetype::Directory => DescriptorType::Directory,
        Filetype::SymbolicLink => DescriptorType::SymbolicLink,
        Filetype::CharacterDevice => DescriptorType::CharacterDevice,
        Filetype::BlockDevice => DescriptorType::BlockDevice,
        Filetype::SocketStream | Filetype::SocketDgram => DescriptorType::Socket,
        Filetype::Unknown => DescriptorType::Unknown,
    }
}

fn stat_of(stat: &Filestat) -> DescriptorStat {
    DescriptorStat {
        type_: type_of(stat.filetype),
        link_count: stat.nlink,
        size: stat.size,
        data_access_timestamp: Some(datetime(stat.atim)),
        data_modification_timestamp: Some(datetime(stat.mtim)),
        status_change_timestamp: Some(datetime(stat.ctim)),
    }
}

/// Names a file: the same one has the same value, and another one another.
fn hash_of(stat: &Filestat) -> MetadataHashValue {
    MetadataHashValue { lower: stat.ino, upper: stat.dev }
}

fn lookup(flags: PathFlags) -> Lookupflags {
    match flags.contains(PathFlags::SYMLINK_FOLLOW) {
        true => Lookupflags::SYMLINK_FOLLOW,
        false => Lookupflags::empty(),
    }
}

/// Converts the times to set.
fn times(
    accessed: NewTimestamp,
    modified: NewTimestamp,
) -> Result<(Timestamp, Timestamp, Fstflags), Errno> {
    let one = |time, set, now| match time {
        NewTimestamp::NoChange => Ok((0, Fstflags::empty())),
        NewTimestamp::Now => Ok((0, now)),
        NewTimestamp::Timestamp(time) => {
            let nanoseconds = time
                .seconds
                .checked_mul(1_000_000_000)
                .and_then(|time_| time_.checked_add(time.nanoseconds.into()));
            nanoseconds.map(|nanoseconds| (nanoseconds, set)).ok_or(Errno::Overflow)
        }
    };
    let (accessed, first) = one(accessed, Fstflags::ATIM, Fstflags::ATIM_NOW)?;
    let (modified, second) = one(modified, Fstflags::MTIM, Fstflags::MTIM_NOW)?;
    Ok((accessed, modified, first | second))
}

/// Converts an errno to the code of the interface.
fn code_of(errno: Errno) -> ErrorCode {
    match errno {
        Errno::Acces => ErrorCode::Access,
        Errno::Again => ErrorCode::WouldBlock,
        Errno::Already => ErrorCode::Already,
        Errno::Badf => ErrorCode::BadDescriptor,
        Errno::Busy => ErrorCode::Busy,
        Errno::Deadlk => ErrorCode::Deadlock,
        Errno::Dquot => ErrorCode::Quota,
        Errno::Exist => ErrorCode::Exist,
        Errno::Fbig => ErrorCode::FileTooLarge,
        Errno::Ilseq => ErrorCode::IllegalByteSequence,
        Errno::Inprogress => ErrorCode::InProgress,
        Errno::Intr => ErrorCode::Interrupted,
        Errno::Inval => ErrorCode::Invalid,
        Errno::Isdir => ErrorCode::IsDirectory,
        Errno::Loop => ErrorCode::Loop,
        Errno::Mlink => ErrorCode::TooManyLinks,
        Errno::Msgsize => ErrorCode::MessageSize,
        Errno::Nametoolong => ErrorCode::NameTooLong,
        Errno::Nodev => ErrorCode::NoDevice,
        Errno::Noent => ErrorCode::NoEntry,
        Errno::Nolck => ErrorCode::NoLock,
        // The interface has no code for too many open files.
        Errno::Nomem | Errno::Mfile | Errno::Nfile => ErrorCode::InsufficientMemory,
        Errno::Nospc => ErrorCode::InsufficientSpace,
        Errno::Notdir => ErrorCode::NotDirectory,
        Errno::Notempty => ErrorCode::NotEmpty,
        Errno::Notrecoverable => ErrorCode::NotRecoverable,
        Errno::Notsup | Errno::Nosys => ErrorCode::Unsupported,
        Errno::Notty => ErrorCode::NoTty,
        Errno::Nxio => ErrorCode::NoSuchDevice,
        Errno::Overflow => ErrorCode::Overflow,
        Errno::Perm | Errno::Notcapable => ErrorCode::NotPermitted,
        Errno::Pipe => ErrorCode::Pipe,
        Errno::Rofs => ErrorCode::ReadOnly,
        Errno::Spipe => ErrorCode::InvalidSeek,
        Errno::Txtbsy => ErrorCode::TextFileBusy,
        Errno::Xdev => ErrorCode::CrossDevice,
        _ => ErrorCode::Io,
    }
}

type Answer<T> = Result<T, Failed>;

impl Wasi {
    fn fd(&self, file: &Resource<OpenFile>) -> Answer<Fd> {
        Ok(self.resources.get(file)?.0)
    }

    /// Returns the file of a descriptor with a right to read or write.
    fn file(&self, file: &Resource<OpenFile>, right: Rights) -> Answer<HeldInode> {
        let descriptor = self.descriptors.get(self.fd(file)?)?;
        Ok(descriptor.file(right, Errno::Badf)?.clone())
    }

    /// Gives the component a descriptor.
    fn give_file(&mut self, fd: Fd) -> Answer<Resource<OpenFile>> {
        match self.give(OpenFile(fd)) {
            Ok(resource) => Ok(resource),
            Err(error) => {
                self.close_number(fd)?;
                Err(error.into())
            }
        }
    }
}

impl types::Host for Wasi {
    fn convert_error_code(&mut self, error: Failed) -> wasmtime::Result<ErrorCode> {
        match error {
            Failed::Errno(errno) => Ok(code_of(errno)),
            Failed::Trap(error) => Err(error),
        }
    }

    fn filesystem_error_code(
        &mut self,
        failure: Resource<Failure>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let Failure(errno) = *self.resources.get(&failure)?;
        Ok(Some(code_of(errno)))
    }
}

impl preopens::Host for Wasi {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<OpenFile>, String)>> {
        let mut directories = Vec::new();
        for at in 0..self.mounts.len() {
            let Some(mount) = self.mounts.get(at) else { break };
            let path = mount.path.clone();
            let descriptor = Descriptor::preopened(HeldInode::new(at, mount.files.root()));
            let fd = self
                .descriptors
                .insert(descriptor)
                .map_err(|_| wasmtime::format_err!("the component has too many descriptors"))?;
            directories.push((self.give(OpenFile(fd))?, path));
        }
        Ok(directories)
    }
}

impl types::HostDirectoryEntryStream for Wasi {
    fn read_directory_entry(
        &mut self,
        listing: Resource<Listing>,
    ) -> Answer<Option<DirectoryEntry>> {
        let open = self.resources.get_mut(&listing)?;
        if let Some(entry) = open.ahead.pop() {
            return Ok(Some(entry));
        }
        let (held, mut cookie) = (open.held.0.clone(), open.cookie);
        let mut entries = Vec::new();
        let (files, inode) = self.at(&held)?;
        files.entries(inode, cookie, &mut |entry| {
            if entries.len() == AHEAD {
                return false;
            }
            cookie = entry.cookie;
            entries.push(DirectoryEntry { type_: kind_of(entry.kind), name: entry.name.into() });
            true
        })?;
        entries.reverse();
        let next = entries.pop();
        let open = self.resources.get_mut(&listing)?;
        open.cookie = cookie;
        open.ahead = entries;
        Ok(next)
    }

    fn drop(&mut self, listing: Resource<Listing>) -> wasmtime::Result<()> {
        let Listing { held: Held(held), .. } = self.resources.delete(listing)?;
        self.release(&held);
        Ok(())
    }
}

impl types::HostDescriptor for Wasi {
    fn read_via_stream(
        &mut self,
        file: Resource<OpenFile>,
        offset: u64,
    ) -> Answer<Resource<InputStream>> {
        let held = Held(self.file(&file, Rights::FD_READ)?);
        Ok(self.give(InputStream::File { held, position: offset })?)
    }

    fn write_via_stream(
        &mut self,
        file: Resource<OpenFile>,
        offset: u64,
    ) -> Answer<Resource<OutputStream>> {
        let held = Held(self.file(&file, Rights::FD_WRITE)?);
        Ok(self.give(OutputStream::File { held, position: offset })?)
    }

    fn append_via_stream(&mut self, file: Resource<OpenFile>) -> Answer<Resource<OutputStream>> {
        let held = Held(self.file(&file, Rights::FD_WRITE)?);
        Ok(self.give(OutputStream::Append(held))?)
    }

    fn advise(&mut self, file: Resource<OpenFile>, _: u64, _: u64, _: Advice) -> Answer<()> {
        self.file(&file, Rights::FD_ADVISE)?;
        Ok(())
    }

    fn sync_data(&mut self, file: Resource<OpenFile>) -> Answer<()> {
        Ok(self.file_sync(self.fd(&file)?, Rights::FD_DATASYNC, Change::Data)?)
    }

    fn get_flags(&mut self, file: Resource<OpenFile>) -> Answer<DescriptorFlags> {
        let fd = self.fd(&file)?;
        let mutable = match &self.descriptors.get(fd)?.kind {
            Kind::Directory { held, .. } => {
                let mount = held.mount;
                Some(!self.files(mount)?.read_only())
            }
            _ => None,
        };
        let descriptor = self.descriptors.get(fd)?;
        let is_directory = mutable.is_some();
        let mut flags = DescriptorFlags::empty();
        let has = |right| descriptor.base.contains(right);
        for (flag, set) in [
            (DescriptorFlags::READ, is_directory || has(Rights::FD_READ)),
            (DescriptorFlags::WRITE, !is_directory && has(Rights::FD_WRITE)),
            (DescriptorFlags::MUTATE_DIRECTORY, mutable == Some(true)),
            (DescriptorFlags::FILE_INTEGRITY_SYNC, descriptor.flags.contains(Fdflags::SYNC)),
            (DescriptorFlags::DATA_INTEGRITY_SYNC, descriptor.flags.contains(Fdflags::DSYNC)),
            (DescriptorFlags::REQUESTED_WRITE_SYNC, descriptor.flags.contains(Fdflags::RSYNC)),
        ] {
            flags |= if set { flag } else { DescriptorFlags::empty() };
        }
        Ok(flags)
    }

    fn get_type(&mut self, file: Resource<OpenFile>) -> Answer<DescriptorType> {
        Ok(match self.descriptors.get(self.fd(&file)?)?.kind {
            Kind::Directory { .. } => DescriptorType::Directory,
            _ => DescriptorType::RegularFile,
        })
    }

    fn set_size(&mut self, file: Resource<OpenFile>, size: u64) -> Answer<()> {
        Ok(Wasi::set_size(self, self.fd(&file)?, size)?)
    }

    fn set_times(
        &mut self,
        file: Resource<OpenFile>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Answer<()> {
        let (accessed, modified, flags) = times(accessed, modified)?;
        Ok(Wasi::set_times(self, self.fd(&file)?, accessed, modified, flags)?)
    }

    fn read(
        &mut self,
        file: Resource<OpenFile>,
        length: u64,
        offset: u64,
    ) -> Answer<(Vec<u8>, bool)> {
        let held = self.file(&file, Rights::FD_READ)?;
        let length = piece(length);
        let bytes = self.read_at(&held, offset, length)?;
        let end = bytes.len() < length;
        Ok((bytes, end))
    }

    fn write(&mut self, file: Resource<OpenFile>, bytes: Vec<u8>, offset: u64) -> Answer<u64> {
        let held = self.file(&file, Rights::FD_WRITE)?;
        self.write_at(&held, Some(offset), &bytes)?;
        Ok(bytes.len() as u64)
    }

    fn read_directory(&mut self, directory: Resource<OpenFile>) -> Answer<Resource<Listing>> {
        let descriptor = self.descriptors.get(self.fd(&directory)?)?;
        let held = Held(descriptor.directory(Rights::FD_READDIR)?.clone());
        Ok(self.give(Listing { held, cookie: 0, ahead: Vec::new() })?)
    }

    fn sync(&mut self, file: Resource<OpenFile>) -> Answer<()> {
        Ok(self.file_sync(self.fd(&file)?, Rights::FD_SYNC, Change::All)?)
    }

    fn create_directory_at(&mut self, directory: Resource<OpenFile>, path: String) -> Answer<()> {
        Ok(self.create_directory(self.fd(&directory)?, &path)?)
    }

    fn stat(&mut self, file: Resource<OpenFile>) -> Answer<DescriptorStat> {
        Ok(stat_of(&self.descriptor_filestat(self.fd(&file)?)?))
    }

    fn stat_at(
        &mut self,
        directory: Resource<OpenFile>,
        flags: PathFlags,
        path: String,
    ) -> Answer<DescriptorStat> {
        Ok(stat_of(&self.path_filestat(self.fd(&directory)?, lookup(flags), &path)?))
    }

    fn set_times_at(
        &mut self,
        directory: Resource<OpenFile>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Answer<()> {
        let times = times(accessed, modified)?;
        Ok(self.set_path_times(self.fd(&directory)?, lookup(flags), &path, times)?)
    }

    fn link_at(
        &mut self,
        from: Resource<OpenFile>,
        flags: PathFlags,
        old: String,
        to: Resource<OpenFile>,
        new: String,
    ) -> Answer<()> {
        let (from, to) = (self.fd(&from)?, self.fd(&to)?);
        Ok(self.link((from, lookup(flags), &old), (to, &new))?)
    }

    fn open_at(
        &mut self,
        directory: Resource<OpenFile>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Answer<Resource<OpenFile>> {
        let mut rights = Rights::empty();
        rights.set(Rights::FD_READ, flags.contains(DescriptorFlags::READ));
        rights.set(Rights::FD_WRITE, flags.contains(DescriptorFlags::WRITE));
        let mut oflags = Oflags::empty();
        for (flag, oflag) in [
            (OpenFlags::CREATE, Oflags::CREAT),
            (OpenFlags::DIRECTORY, Oflags::DIRECTORY),
            (OpenFlags::EXCLUSIVE, Oflags::EXCL),
            (OpenFlags::TRUNCATE, Oflags::TRUNC),
        ] {
            oflags.set(oflag, open_flags.contains(flag));
        }
        let mut descriptor_flags = Fdflags::empty();
        for (flag, fdflag) in [
            (DescriptorFlags::FILE_INTEGRITY_SYNC, Fdflags::SYNC),
            (DescriptorFlags::DATA_INTEGRITY_SYNC, Fdflags::DSYNC),
            (DescriptorFlags::REQUESTED_WRITE_SYNC, Fdflags::RSYNC),
        ] {
            descriptor_flags.set(fdflag, flags.contains(flag));
        }
        let opening =
            Opening { lookup: lookup(path_flags), flags: oflags, rights, descriptor_flags };
        let opened = self.open(self.fd(&directory)?, &path, &opening)?;
        self.give_file(opened)
    }

    fn readlink_at(&mut self, directory: Resource<OpenFile>, path: String) -> Answer<String> {
        Ok(self.link_target(self.fd(&directory)?, &path)?)
    }

    fn remove_directory_at(&mut self, directory: Resource<OpenFile>, path: String) -> Answer<()> {
        Ok(self.remove_directory(self.fd(&directory)?, &path)?)
    }

    fn rename_at(
        &mut self,
        from: Resource<OpenFile>,
        old: String,
        to: Resource<OpenFile>,
        new: String,
    ) -> Answer<()> {
        let (from, to) = (self.fd(&from)?, self.fd(&to)?);
        Ok(self.rename((from, &old), (to, &new))?)
    }

    fn symlink_at(
        &mut self,
        directory: Resource<OpenFile>,
        target: String,
        path: String,
    ) -> Answer<()> {
        Ok(self.symlink(&target, self.fd(&directory)?, &path)?)
    }

    fn unlink_file_at(&mut self, directory: Resource<OpenFile>, path: String) -> Answer<()> {
        Ok(self.unlink(self.fd(&directory)?, &path)?)
    }

    fn is_same_object(
        &mut self,
        one: Resource<OpenFile>,
        other: Resource<OpenFile>,
    ) -> wasmtime::Result<bool> {
        let mut identity = |file: &Resource<OpenFile>| -> wasmtime::Result<Option<(u64, u64)>> {
            let OpenFile(fd) = *self.resources.get(file)?;
            Ok(self.descriptor_filestat(fd).ok().map(|stat| (stat.dev, stat.ino)))
        };
        let one = identity(&one)?;
        Ok(one.is_some() && one == identity(&other)?)
    }

    fn metadata_hash(&mut self, file: Resource<OpenFile>) -> Answer<MetadataHashValue> {
        Ok(hash_of(&self.descriptor_filestat(self.fd(&file)?)?))
    }

    fn metadata_hash_at(
        &mut self,
        directory: Resource<OpenFile>,
        flags: PathFlags,
        path: String,
    ) -> Answer<MetadataHashValue> {
        Ok(hash_of(&self.path_filestat(self.fd(&directory)?, lookup(flags), &path)?))
    }

    fn drop(&mut self, file: Resource<OpenFile>) -> wasmtime::Result<()> {
        let OpenFile(fd) = self.resources.delete(file)?;
        // Resources and descriptors come and go together.
        if let Ok(descriptor) = self.descriptors.remove(fd) {
            self.close(descriptor);
        }
        Ok(())
    }
}
