//! A protected volume: a file tree in one file of encrypted, authenticated blocks.
//!
//! A [`Volume`] keeps a tree of files, directories and symbolic links in an untrusted [`Storage`].
//! Whoever holds the storage learns how many blocks it has and which blocks are accessed when, and
//! can destroy the data. They cannot read the data, and if they change data, each read of these
//! data fails. After a crash at any moment, the volume is in the state of its last completed sync
//! or of a later commit, whole.
//!
//! This crate does not depend on enclaves: an [`Unlock`] gives the keys, a function gives the time,
//! and an [`Anchor`] tells whether the storage holds the newest state. Without an anchor, a holder
//! of the storage can put back an older state of the whole volume unnoticed.
//! `docs/volume-format.md` specifies the format byte by byte, with the reasons.
//! `docs/storage-engine.md` describes the layers of this crate.
//!
//! ```
//! use twine_vfs::{Change, FileSystem};
//! use twine_volume::{MemoryStorage, NewSlot, Options, Secret, Volume};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let storage = MemoryStorage::default();
//! let key = [7; 32];
//! let slots = [NewSlot::key_file(&key)?];
//! let mut volume = Volume::create(Box::new(storage.clone()), &slots, Options::default())?;
//! let file = volume.create_file(volume.root(), "greeting")?;
//! volume.write(file, 0, b"hello")?;
//! volume.sync(file, Change::All)?;
//! volume.close()?;
//!
//! let mut secret = Secret::key_file(&key);
//! let mut volume = Volume::open(Box::new(storage), &mut secret, Options::default())?;
//! let file = volume.lookup(volume.root(), "greeting")?;
//! let mut bytes = [0; 5];
//! volume.read(file, 0, &mut bytes)?;
//! assert_eq!(&bytes, b"hello");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        unreachable_pub,
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

mod admin;
mod alloc;
mod anchor;
mod cache;
mod change_set;
mod commit;
mod crypto;
mod data;
mod dropped;
mod durability;
mod error;
mod fast_map;
mod format;
mod fs;
#[cfg(feature = "fuzzing")]
#[allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "only fuzz targets call this: a panic is a finding"
)]
mod fuzz_hooks;
#[cfg(feature = "fuzzing")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "only fuzz targets call this: a panic is a finding"
)]
pub mod fuzzing;
mod header;
mod health;
#[cfg(test)]
mod hostile;
mod inode_table;
mod log;
mod mount;
mod pool;
#[cfg(test)]
mod pseudorandom;
mod sealed_store;
mod statistics;
mod storage;
mod tree;
mod volume;

pub use admin::check::{Finding, Progress, Report};
pub use admin::compact::Packing;
pub use anchor::{Anchor, AnchorError};
pub use dropped::Dropped;
pub use error::{Error, Operation, Result, SlotFailure};
pub use format::block::BLOCK_BYTES;
pub use format::identity::VolumeId;
pub use format::mark::Mark;
pub use format::slot_kind::SlotKind;
pub use header::VERSION;
pub use header::describe::{Description, describe};
pub use header::key_slot::{
    Cost, KeyEncryptionKey, MAX_PARAMETER_BYTES, MIN_KEY_FILE_BYTES, NewSlot, Refusal, Secret,
    SlotInfo, Unlock,
};
pub use statistics::Statistics;
#[cfg(unix)]
pub use storage::FileStorage;
pub use storage::{MemoryStorage, Piece, Storage, StorageError};
pub use volume::{MIN_CACHE_BYTES, Options, Volume};
pub use zeroize::Zeroizing;
