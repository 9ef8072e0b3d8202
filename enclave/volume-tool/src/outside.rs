//! What the tool needs from the enclave around it.

use twine_protocol::key::{Sealing, VolumeKey};
use twine_protocol::task::OpenVolume;
use twine_vfs::FileSystem;
use twine_volume::{Error, NewSlot, Storage, Volume};

/// How a volume is opened. See [`Options`](twine_volume::Options).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// To be changed.
    ReadWrite,
    /// To be read only.
    ReadOnly,
    /// To be changed, though what was durable is lost.
    Repair,
}

impl Opening {
    /// How one is opened that may be written, or not.
    pub fn of(read_only: bool) -> Self {
        if read_only { Opening::ReadOnly } else { Opening::ReadWrite }
    }
}

/// What the tool needs from the enclave around it: the host's files, and keys.
pub trait Outside {
    /// Opens a volume with the key that is named, on behalf of no program: what is sealed
    /// to one stays closed.
    ///
    /// # Errors
    /// As [`Volume::open`].
    fn open(&mut self, volume: &OpenVolume, opening: Opening) -> Result<Volume, Error>;

    /// Makes a volume in a storage, whatever that holds, with the (first) key that is named.
    ///
    /// # Errors
    /// As [`Volume::create`].
    fn create(&mut self, volume: &OpenVolume) -> Result<Volume, Error>;

    /// A slot for a new key.
    ///
    /// # Errors
    /// When there is no such key: no program came with the request that it could be sealed
    /// to, or no randomness.
    fn new_slot(&mut self, key: &VolumeKey) -> Result<NewSlot, Error>;

    /// Who can derive the sealing key with these parameters, if they make sense.
    fn sealing(&self, parameters: &[u8]) -> Option<Sealing>;

    /// The bytes of a storage of the launch request's.
    fn storage(&mut self, number: u64) -> Box<dyn Storage>;

    /// A folder of the launch request's.
    ///
    /// # Errors
    /// When the host has no such folder.
    fn folder(
        &mut self,
        number: u64,
        read_only: bool,
    ) -> Result<Box<dyn FileSystem>, twine_vfs::Error>;
}
