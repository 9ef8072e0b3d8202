//! The host's file that holds a volume, as a storage of the volume.

use twine_boundary::MappedFile;
use twine_protocol::wire::Status;
use twine_sgx::{Outside, host};
use twine_volume::{Piece, Storage, StorageError};

/// A storage of the launch request.
#[derive(Debug)]
pub(crate) struct HostStorage(MappedFile<'static, Outside>);

impl HostStorage {
    /// The storage with this number.
    pub(crate) fn new(number: u64) -> Self {
        HostStorage(MappedFile::new(host(), number))
    }
}

fn failed(status: Status) -> StorageError {
    match status {
        Status::NoSpace => StorageError::NoSpace,
        Status::FileTooBig => StorageError::TooBig,
        Status::Denied => StorageError::ReadOnly,
        Status::Short => StorageError::Short,
        _ => StorageError::Io,
    }
}

impl Storage for HostStorage {
    fn size(&mut self) -> Result<u64, StorageError> {
        self.0.size().map_err(failed)
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        self.0.resize(size).map_err(failed)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        self.0.read(offset, bytes).map_err(failed)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.0.write(offset, bytes).map_err(failed)
    }

    fn write_pieces(&mut self, pieces: &[Piece], bytes: &[u8]) -> Result<(), StorageError> {
        self.0.write_pieces(&Piece::split(pieces, bytes)?).map_err(failed)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.0.sync().map_err(failed)
    }

    fn write_through(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.0.write_through(offset, bytes).map_err(failed)
    }
}
