//! The interface to the enclave around the tool.

use twine_protocol::key::{Sealing, VolumeKey};
use twine_protocol::task::OpenVolume;
use twine_vfs::FileSystem;
use twine_volume::{Error, NewSlot, Storage, Volume};

/// How to open a volume. See [`Options`](twine_volume::Options).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// For changes.
    ReadWrite,
    /// Only for reading.
    ReadOnly,
    /// For changes, even if durable commits are lost.
    Repair,
}

impl Opening {
    /// Returns how to open a volume that is read-only or not.
    pub fn of(read_only: bool) -> Self {
        if read_only { Opening::ReadOnly } else { Opening::ReadWrite }
    }
}

/// The enclave around the tool: the host's files, and keys.
pub trait Outside {
    /// Opens a volume with its key in the request. No program runs, so a volume that is sealed to
    /// one program does not open.
    ///
    /// # Errors
    /// As [`Volume::open`].
    fn open(&mut self, volume: &OpenVolume, opening: Opening) -> Result<Volume, Error>;

    /// Makes a volume in a storage with its first key. It overwrites the contents of the storage.
    ///
    /// # Errors
    /// As [`Volume::create`].
    fn create(&mut self, volume: &OpenVolume) -> Result<Volume, Error>;

    /// Makes a slot for a new key.
    ///
    /// # Errors
    /// The key cannot be derived: it would be sealed to a program and the request has none, or
    /// there is no randomness.
    fn new_slot(&mut self, key: &VolumeKey) -> Result<NewSlot, Error>;

    /// Returns who can derive the sealing key of a slot. `None` if the parameters are malformed.
    fn sealing(&self, parameters: &[u8]) -> Option<Sealing>;

    /// Returns a storage of the launch request.
    fn storage(&mut self, number: u64) -> Box<dyn Storage>;

    /// Returns a folder of the launch request.
    ///
    /// # Errors
    /// The host has no such folder.
    fn folder(
        &mut self,
        number: u64,
        read_only: bool,
    ) -> Result<Box<dyn FileSystem>, twine_vfs::Error>;
}
