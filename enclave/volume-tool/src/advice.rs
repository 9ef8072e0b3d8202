//! Converts errors of volumes to causes and remedies for a user.

use crate::error::Error;
use twine_protocol::key::{Scope, Sealing, VolumeKey};
use twine_protocol::task::OpenVolume;
use twine_volume::{Error as VolumeError, SlotFailure, SlotKind, StorageError};

/// The command that uses the volume. The remedies name its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedBy {
    /// `twine run` and `twine sqlite`, for a program.
    Program,
    /// `twine volume`.
    VolumeCommand,
}

/// The cause and the remedy for an error of a volume, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// The cause, without the volume's name.
    pub cause: String,
    /// The remedy.
    pub remedy: String,
}

impl Advice {
    fn new(cause: impl ToString, remedy: impl Into<String>) -> Self {
        Advice { cause: cause.to_string(), remedy: remedy.into() }
    }

    /// For a volume that does not open with this key.
    pub fn refused(key: &VolumeKey, error: &VolumeError, used_by: UsedBy) -> Self {
        match error {
            VolumeError::NoSlotOpens(failures) => no_key(key, failures),
            error => Advice::failed(error, used_by),
        }
    }

    /// For a volume that could not be made.
    pub(crate) fn not_made(error: &VolumeError) -> Self {
        match error {
            VolumeError::Invalid(_) => Advice::new(
                error,
                "name the program that it is for with --for, or choose another --key",
            ),
            error => Advice::failed(error, UsedBy::VolumeCommand),
        }
    }

    /// For a volume that failed.
    pub fn failed(error: &VolumeError, used_by: UsedBy) -> Self {
        let by_program = used_by == UsedBy::Program;
        let remedy = match error {
            VolumeError::NotAVolume if by_program => {
                "name a file that `twine` made, or one that does not exist"
            }
            VolumeError::NotAVolume => "name a file that `twine` made",
            VolumeError::UnknownVersion(_) => "use the version of Twine that made it",
            VolumeError::Older { .. } | VolumeError::Diverged { .. } => {
                "an old copy was put back: restore the newest one"
            }
            VolumeError::Lossy(_) | VolumeError::NoState if by_program => {
                "restore a copy; or mount it read-only (`:ro`) to read what is there, and \
                 `twine volume check --repair` to go on without what is lost"
            }
            VolumeError::Lossy(_) | VolumeError::NoState => {
                "restore a copy; or read what is there (`twine volume ls`, `cp -r`), and \
                 `twine volume check --repair` to go on without what is lost"
            }
            VolumeError::Unfinished if by_program => {
                "mount it without `ro`, which makes it anew, or delete the file"
            }
            VolumeError::Unfinished => "delete the file, and make the volume again",
            VolumeError::HeaderForeign => {
                "put back the header that belongs to it, or a copy of the file"
            }
            VolumeError::Storage { error: StorageError::NoSpace, .. } => {
                "make room on the host's disk; the volume is as its last sync left it"
            }
            VolumeError::Storage { error: StorageError::TooBig, .. } => {
                "raise the limit on file sizes, `ulimit -f unlimited`; the volume is as its last \
                 sync left it"
            }
            VolumeError::Storage { error: StorageError::ReadOnly, .. } => {
                "the volume's file can't be written: check its permissions"
            }
            VolumeError::Storage { error: StorageError::Short, .. } => {
                "the file was cut: restore a copy, or see what is left: `twine volume check`"
            }
            VolumeError::Storage { .. } | VolumeError::Stopped => {
                "check the host's disk; the volume is as its last sync left it"
            }
            VolumeError::File(twine_vfs::Error::NoMemory) if by_program => {
                "use a smaller --cache, or an image with a larger heap"
            }
            VolumeError::File(twine_vfs::Error::NoMemory) => "use an image with a larger heap",
            VolumeError::Invalid(_) if by_program => "choose another --key",
            VolumeError::Invalid(_) => "see `twine volume key ls`",
            VolumeError::NotAuthentic { .. } | VolumeError::Damaged { .. } => {
                "see what is lost, and copy out what is not: `twine volume check`"
            }
            VolumeError::NoRandom => "this CPU gave no random bytes: try again",
            _ => "the file was changed or damaged: restore a copy of it",
        };
        Advice::new(error, remedy)
    }

    /// Makes the error for the volume with this name.
    pub(crate) fn on(self, which: &OpenVolume) -> Error {
        Error::Volume { cause: format!("{}: {}", which.name, self.cause), remedy: self.remedy }
    }
}

/// Makes the error for a volume that does not open.
pub(crate) fn refused(which: &OpenVolume, error: &VolumeError) -> Error {
    Advice::refused(&which.key, error, UsedBy::VolumeCommand).on(which)
}

/// Makes the error for a volume that could not be made.
pub(crate) fn not_made(which: &OpenVolume, error: &VolumeError) -> Error {
    Advice::not_made(error).on(which)
}

/// Makes the error for a volume that failed.
pub(crate) fn failed(which: &OpenVolume, error: &VolumeError) -> Error {
    Advice::failed(error, UsedBy::VolumeCommand).on(which)
}

/// Returns the kind of slot that a key opens.
pub(crate) fn kind(key: &VolumeKey) -> SlotKind {
    match key {
        VolumeKey::Sealed(_) => SlotKind::Sealed,
        VolumeKey::File(_) => SlotKind::KeyFile,
        VolumeKey::Passphrase(_) => SlotKind::Passphrase,
    }
}

fn no_key(key: &VolumeKey, failures: &[SlotFailure]) -> Advice {
    let wanted = kind(key);
    let tried = failures.iter().find(|failure| failure.kind == wanted);
    match (wanted, tried) {
        (SlotKind::Sealed, Some(failure)) => Advice::new(
            format_args!("its sealing key is not available: {}", failure.reason),
            match key {
                VolumeKey::Sealed(Sealing { scope: Scope::Deployment, .. }) => {
                    "open it as it was made: by a manifest of the same owner, name and generation, \
                     in the same image, at the same path"
                }
                _ => {
                    "run the program that it is sealed to, with its manifest if it has one; or \
                     give another key of the volume's, as --key passphrase"
                }
            },
        ),
        (_, Some(_)) => Advice::new(
            format_args!("this {wanted} does not open it"),
            "give the right one; `twine volume info` says what kinds of keys it has",
        ),
        (_, None) => Advice::new(
            format_args!("no {wanted} opens it, only: {}", kinds(failures)),
            format!("give what opens it: {}", ways(failures)),
        ),
    }
}

/// Returns the options that give the keys of these slots.
fn ways(failures: &[SlotFailure]) -> String {
    let way = |failure: &SlotFailure| match failure.kind {
        SlotKind::Sealed => "--key sealed",
        SlotKind::KeyFile => "--key file:PATH",
        _ => "--key passphrase",
    };
    let mut ways: Vec<&str> = failures.iter().map(way).collect();
    ways.dedup();
    ways.join(" or ")
}

fn kinds(failures: &[SlotFailure]) -> String {
    let mut kinds: Vec<String> = failures.iter().map(|failure| failure.kind.to_string()).collect();
    kinds.dedup();
    if kinds.is_empty() { "nothing, for it has no key slots".into() } else { kinds.join(", ") }
}
