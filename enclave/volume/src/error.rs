//! Why something about a volume failed.

use crate::anchor::AnchorError;
use crate::dropped::Dropped;
use crate::format::mark::Mark;
use crate::format::slot_kind::SlotKind;
use crate::storage::StorageError;

/// What this crate's own operations give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was asked of the storage.
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
    /// What was asked, with the numbers that it was asked with.
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

/// Why one key slot did not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotFailure {
    /// What kind of key it wants.
    pub kind: SlotKind,
    /// Why it did not open, in words.
    pub reason: String,
}

/// Why something about a volume failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An answer that a file system gives every day.
    #[error("{0}")]
    File(#[from] twine_vfs::Error),
    /// The storage does not start as a volume does.
    #[error("this is not a volume")]
    NotAVolume,
    /// The volume has a format that this version of Twine does not know.
    #[error("this volume has version {0} of the format; version {known} is known", known = crate::VERSION)]
    UnknownVersion(u32),
    /// Both copies of the header are damaged.
    #[error("the header of the volume is damaged: {0}")]
    HeaderDamaged(&'static str),
    /// The key that a slot holds does not belong to the header around it.
    #[error("the header of the volume is not authentic: it was changed, or is another volume's")]
    HeaderForged,
    /// The header is not the one that the newest state names: it is of a clone or of a backup, or the
    /// key slot that was opened is of a change that was never completed.
    #[error(
        "the header of the volume is not the one that its contents name: its key slots are an \
         older copy's or a clone's"
    )]
    HeaderForeign,
    /// The storage holds a volume that was never completed, and nothing else.
    #[error("this is a volume whose creation was cut short; nothing was ever in it")]
    Unfinished,
    /// The end of the log is damaged: commits that were durable are not whole any more.
    #[error("the end of the volume is damaged: {0}")]
    Lossy(Dropped),
    /// None of the key slots opened.
    #[error("no key slot of the volume opens: {}", list(.0))]
    NoSlotOpens(Vec<SlotFailure>),
    /// No state is left that is whole.
    #[error("the log of the volume holds no state that is whole")]
    NoState,
    /// The storage ends before the volume does.
    #[error("the volume is cut off: {size} bytes are there, {needed} were written")]
    Truncated {
        /// Bytes of the storage.
        size: u64,
        /// Bytes of the volume.
        needed: u64,
    },
    /// The anchor remembers a newer state.
    #[error(
        "this is an older state of the volume: number {found}, where number {} is known",
        .mark.sequence
    )]
    Older {
        /// Number of the state that was found.
        found: u64,
        /// The mark that is known.
        mark: Mark,
    },
    /// The volume does not go on from the state that the anchor remembers.
    #[error(
        "this state of the volume, number {found}, does not go on from number {}, which is known",
        .mark.sequence
    )]
    Diverged {
        /// Number of the state that was found.
        found: u64,
        /// The mark that is known.
        mark: Mark,
    },
    /// The anchor failed.
    #[error("the anchor of the volume failed: {0}")]
    Anchor(#[from] AnchorError),
    /// A block is not what it was when it was written.
    #[error("block {block} is damaged: its {kind} is not authentic")]
    NotAuthentic {
        /// The block's number.
        block: u64,
        /// What it should hold.
        kind: String,
    },
    /// A block is authentic, and makes no sense.
    #[error("the volume is damaged: {what}")]
    Damaged {
        /// What was found.
        what: String,
    },
    /// The storage failed.
    #[error("{} failed: {error}", .operation.describe(*.offset, *.bytes))]
    Storage {
        /// What was asked of it.
        operation: Operation,
        /// From which byte.
        offset: u64,
        /// How many bytes.
        bytes: u64,
        /// What it answered.
        error: StorageError,
    },
    /// A sync failed before, or an operation in its middle.
    #[error("the volume takes no more changes since something failed; open it again")]
    Stopped,
    /// Something that was asked for can't be.
    #[error("{0}")]
    Invalid(&'static str),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandom,
}

impl Error {
    /// The error that the file system's interface knows for it.
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

    /// Whether there is no room for more, for whatever reason.
    pub(crate) fn is_full(&self) -> bool {
        matches!(
            self,
            Error::File(twine_vfs::Error::NoSpace)
                | Error::Storage { error: StorageError::NoSpace | StorageError::TooBig, .. }
        )
    }

    /// What is authentic and makes no sense.
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
