//! What the enclave keeps in the host's state folder: records, and storages that are opened by name.

use crate::{Boundary, HostSlice, MappedFile, count, status};
use twine_protocol::calls::{RawCall, stub};
use twine_protocol::state::{self, MAX_NAME, MAX_RECORDS};
use twine_protocol::wire::{Status, TRANSFER_BUFFER_LENGTH};

/// The access to a storage that is opened by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read an existing storage.
    Read,
    /// Read and write an existing storage.
    Write,
    /// Read and write the storage; create it if it does not exist. If it is new, or holds an
    /// unfinished volume, the host says that it is empty.
    Create,
}

impl Access {
    fn flags(self) -> u64 {
        match self {
            Access::Read => state::open::READ_ONLY,
            Access::Write => 0,
            Access::Create => state::open::CREATE,
        }
    }
}

impl<R: RawCall> Boundary<R> {
    /// Copies a name to the start of the transfer buffer.
    fn put_name(&self, name: &str) -> Result<HostSlice, Status> {
        self.put_whole(state::name(name.as_bytes()).ok_or(Status::Invalid)?.as_bytes())
    }

    /// Opens a storage of the state folder. It is closed when the file is dropped.
    ///
    /// # Errors
    /// The host's status: [`Status::Missing`] if there is no such storage; [`Status::InUse`] if it
    /// is open already, here or in another process. [`Status::Invalid`] for an impossible name.
    pub fn open_storage(&self, name: &str, access: Access) -> Result<MappedFile<'_, R>, Status> {
        let part = self.put_name(name)?;
        let (raw, length) = (&self.raw, part.len() as u64);
        let (code, number) = stub::storage_open(raw, part.address(), length, access.flags());
        status(code)?;
        Ok(MappedFile::opened(self, number))
    }

    /// Removes a storage of the state folder that is not open, durably.
    ///
    /// # Errors
    /// The host's status: [`Status::Missing`] if there is no such storage; [`Status::InUse`] if it
    /// is open. [`Status::Invalid`] for an impossible name.
    pub fn remove_storage(&self, name: &str) -> Result<(), Status> {
        let part = self.put_name(name)?;
        status(stub::storage_remove(&self.raw, part.address(), part.len() as u64).0)
    }

    /// Reads a record of at most `most` bytes. `None` if the host says that there is none. The
    /// contents are not trusted.
    ///
    /// # Errors
    /// The host's status; [`Status::FileTooBig`] if the record is longer than `most`;
    /// [`Status::NoMemory`] if the enclave has too little memory for it; [`Status::Invalid`] for an
    /// impossible name; [`Status::Io`] if the host's answer is invalid.
    pub fn record(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = Vec::new();
        loop {
            let part = self.put_name(name)?;
            let (raw, offset) = (&self.raw, bytes.len() as u64);
            let (code, counted) = stub::record_read(raw, part.address(), part.len() as u64, offset);
            match status(code) {
                Err(Status::Missing) if bytes.is_empty() => return Ok(None),
                result => result?,
            }
            let part = self.transfer_of(count(counted, TRANSFER_BUFFER_LENGTH)?)?;
            if part.len() as u64 != counted {
                return Err(Status::Io);
            }
            if part.is_empty() {
                return Ok(Some(bytes));
            }
            let start = bytes.len();
            let end = start.checked_add(part.len()).filter(|&end| end <= most);
            let end = end.ok_or(Status::FileTooBig)?;
            bytes.try_reserve(part.len()).map_err(|_| Status::NoMemory)?;
            bytes.resize(end, 0);
            part.copy_in(bytes.get_mut(start..).ok_or(Status::Io)?);
        }
    }

    /// Writes a record: replaces its content by `bytes`, and returns when they are durable. After a
    /// crash the record has the old content or the new one, whole.
    ///
    /// # Errors
    /// The host's status. The record may then have the old content or the new one.
    /// [`Status::Invalid`] for an impossible name.
    pub fn write_record(&self, name: &str, bytes: &[u8]) -> Result<(), Status> {
        let name = state::name(name.as_bytes()).ok_or(Status::Invalid)?.as_bytes();
        let at = name.len().next_multiple_of(8);
        let room = TRANSFER_BUFFER_LENGTH - at;
        let mut rest = bytes;
        let mut flags = state::write::FIRST;
        loop {
            let (piece, after) = rest.split_at(rest.len().min(room));
            if after.is_empty() {
                flags |= state::write::LAST;
            }
            let buffer = self.transfer_of(at + piece.len())?;
            let head = buffer.part(0, name.len()).ok_or(Status::Io)?;
            let tail = buffer.part(at as u64, piece.len()).ok_or(Status::Io)?;
            head.copy_out(name);
            tail.copy_out(piece);
            let (named, written) = (head.len() as u64, tail.len() as u64);
            status(stub::record_write(&self.raw, head.address(), named, written, flags).0)?;
            if after.is_empty() {
                return Ok(());
            }
            (rest, flags) = (after, 0);
        }
    }

    /// Removes a record, durably.
    ///
    /// # Errors
    /// The host's status: [`Status::Missing`] if there is no such record. [`Status::Invalid`] for
    /// an impossible name.
    pub fn remove_record(&self, name: &str) -> Result<(), Status> {
        let part = self.put_name(name)?;
        status(stub::record_remove(&self.raw, part.address(), part.len() as u64).0)
    }

    /// Returns the names of all records that the host lists, in the order of their bytes. The host
    /// can leave out records, and add names of records that do not exist.
    ///
    /// # Errors
    /// The host's status; [`Status::Io`] if the host lists impossible names, or names out of order,
    /// or more than [`MAX_RECORDS`].
    pub fn records(&self) -> Result<Vec<String>, Status> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let last = names.last().map_or("", |name| name);
            let part = self.put_whole(last.as_bytes())?;
            let (code, counted) = stub::record_next(&self.raw, part.address(), part.len() as u64);
            status(code)?;
            let part = self.transfer_of(count(counted, MAX_NAME)?)?;
            if part.is_empty() {
                return Ok(names);
            }
            let mut bytes = [0; MAX_NAME];
            let bytes = bytes.get_mut(..part.len()).ok_or(Status::Io)?;
            part.copy_in(bytes);
            let name = state::name(bytes).filter(|name| *name > last).ok_or(Status::Io)?;
            if names.len() == MAX_RECORDS {
                return Err(Status::Io);
            }
            names.push(name.to_owned());
        }
    }
}
