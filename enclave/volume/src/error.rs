//! Errors of volumes.

use crate::anchor::AnchorError;
use crate::dropped::Dropped;
use crate::format::mark::Mark;
use crate::format::slot_kind::SlotKind;
use crate::storage::StorageError;

/// The result of this crate's own operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A call of the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// [`Storage::size`](crate::Storage::size)
    Size,
    /// [`Storage::set_size`](crate::Storage::set_size)
    SetSize,
    /// [`Storage::read`](crate::Storage::read)
    Read,
    /// [`Storage::write`](crate::Storage::write)
    Write,
    /// [`Storage::sync`](crate::Storage::sync)
    Sync,
}

impl Operation {
    /// Describes the call with its arguments.
    fn describe(self, offset: u64, bytes: u64) -> String {
        match self {
            Operation::Size => "asking for the size of the storage".into(),
            Operation::SetSize => format!("making the storage {offset} bytes long"),
            Operation::Read => format!("reading {bytes} bytes at {offset} of the storage"),
            Operation::Write => format!("writing {bytes} bytes at {offset} of the storage"),
            Operation::Sync => "making durable what was written to the storage".into(),
        }
    }
}

/// The reason why a key slot did not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotFailure {
    /// The kind of key that the slot needs.
    pub kind: SlotKind,
    /// The reason, in words.
    pub reason: String,
}

/// The reason why an operation on a volume failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An ordinary error of a file system.
    #[error("{0}")]
    File(#[from] twine_vfs::Error),
    /// The storage does not begin like a volume.
    #[error("this is not a volume")]
    NotAVolume,
    /// The volume has a format that this version of Twine does not know.
    #[error("this volume has version {0} of the format; version {known} is known", known = crate::VERSION)]
    UnknownVersion(u32),
    /// Both copies of the header are damaged.
    #[error("the header of the volume is damaged: {0}")]
    HeaderDamaged(&'static str),
    /// The key in a slot does not belong to the header around the slot.
    #[error("the header of the volume is not authentic: it was changed, or is another volume's")]
    HeaderForged,
    /// The newest state names another header. This header comes from a clone or a backup, or the
    /// opened key slot comes from a change that was never completed.
    #[error(
        "the header of the volume is not the one that its contents name: its key slots are an \
         older copy's or a clone's"
    )]
    HeaderForeign,
    /// The storage holds nothing but a volume whose creation was interrupted.
    #[error("this is a volume whose creation was cut short; nothing was ever in it")]
    Unfinished,
    /// The end of the log is damaged: durable commits are no longer complete.
    #[error("the end of the volume is damaged: {0}")]
    Lossy(Dropped),
    /// None of the key slots opened.
    #[error("no key slot of the volume opens: {}", list(.0))]
    NoSlotOpens(Vec<SlotFailure>),
    /// No state of the volume is whole.
    #[error("the log of the volume holds no state that is whole")]
    NoState,
    /// The storage ends before the volume does.
    #[error("the volume is cut off: {size} bytes are there, {needed} were written")]
    Truncated {
        /// Size of the storage in bytes.
        size: u64,
        /// Size of the volume in bytes.
        needed: u64,
    },
    /// The anchor remembers a newer state.
    #[error(
        "this is an older state of the volume: number {found}, where number {} is known",
        .mark.sequence
    )]
    Older {
        /// Sequence number of the state that was found.
        found: u64,
        /// The anchor's mark.
        mark: Mark,
    },
    /// The volume does not continue from the state that the anchor remembers.
    #[error(
        "this state of the volume, number {found}, does not go on from number {}, which is known",
        .mark.sequence
    )]
    Diverged {
        /// Sequence number of the state that was found.
        found: u64,
        /// The anchor's mark.
        mark: Mark,
    },
    /// The anchor failed.
    #[error("the anchor of the volume failed: {0}")]
    Anchor(#[from] AnchorError),
    /// A block differs from what was written to it.
    #[error("block {block} is damaged: its {kind} is not authentic")]
    NotAuthentic {
        /// The block's number.
        block: u64,
        /// The kind of block that was expected.
        kind: String,
    },
    /// A block is authentic, but malformed.
    #[error("the volume is damaged: {what}")]
    Damaged {
        /// The defect, in words.
        what: String,
    },
    /// The storage failed.
    #[error("{} failed: {error}", .operation.describe(*.offset, *.bytes))]
    Storage {
        /// The call that failed.
        operation: Operation,
        /// Offset of the first byte.
        offset: u64,
        /// Number of bytes.
        bytes: u64,
        /// The storage's error.
        error: StorageError,
    },
    /// The volume has stopped: a sync failed earlier, or an operation failed halfway.
    #[error("the volume takes no more changes since something failed; open it again")]
    Stopped,
    /// The request is not possible.
    #[error("{0}")]
    Invalid(&'static str),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandom,
}

impl Error {
    /// Returns the corresponding error of the file system's interface.
    pub fn errno(&self) -> twine_vfs::Error {
        match self {
            Error::File(error) => *error,
            Error::Storage { error: StorageError::NoSpace, .. } => twine_vfs::Error::NoSpace,
            Error::Storage { error: StorageError::TooBig, .. } => twine_vfs::Error::FileTooBig,
            Error::Storage { error: StorageError::ReadOnly, operation, .. }
                if *operation != Operation::Read =>
            {
                twine_vfs::Error::ReadOnly
            }
            Error::Invalid(_) => twine_vfs::Error::Invalid,
            _ => twine_vfs::Error::Io,
        }
    }

    /// Whether the cause is a lack of space of any kind.
    pub(crate) fn is_full(&self) -> bool {
        matches!(
            self,
            Error::File(twine_vfs::Error::NoSpace)
                | Error::Storage { error: StorageError::NoSpace | StorageError::TooBig, .. }
        )
    }

    /// An error for something that is authentic but malformed.
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Error::Damaged { what: what.into() }
    }
}

fn list(failures: &[SlotFailure]) -> String {
    if failures.is_empty() {
        return "it has none".into();
    }
    let words: Vec<String> =
        failures.iter().map(|slot| format!("{}: {}", slot.kind, slot.reason)).collect();
    words.join("; ")
}
