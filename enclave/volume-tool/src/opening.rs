//! Why a volume does not open, as a user can act on it.

use crate::error::Error;
use twine_protocol::key::VolumeKey;
use twine_protocol::task::OpenVolume;
use twine_volume::{Error as VolumeError, SlotFailure, SlotKind, StorageError};

/// The kind of slot that a key opens.
pub(crate) fn kind(key: &VolumeKey) -> SlotKind {
    match key {
        VolumeKey::Sealed(_) => SlotKind::Sealed,
        VolumeKey::File(_) => SlotKind::KeyFile,
        VolumeKey::Passphrase(_) => SlotKind::Passphrase,
    }
}

fn volume(which: &OpenVolume, what: impl std::fmt::Display, remedy: &str) -> Error {
    Error::Volume { cause: format!("{}: {what}", which.name), remedy: remedy.to_owned() }
}

/// A volume that does not open.
pub(crate) fn refused(which: &OpenVolume, error: &VolumeError) -> Error {
    match error {
        VolumeError::NoSlotOpens(failures) => no_key(which, failures),
        error => trouble(which, error),
    }
}

fn no_key(which: &OpenVolume, failures: &[SlotFailure]) -> Error {
    let wanted = kind(&which.key);
    let tried = failures.iter().find(|failure| failure.kind == wanted);
    match (wanted, tried) {
        (SlotKind::Sealed, Some(failure)) => volume(
            which,
            format_args!("its sealing key can't be had: {}", failure.reason),
            "run the program that it is sealed to, which alone has it; or give another key of \
             the volume's, as --key passphrase",
        ),
        (_, Some(_)) => volume(
            which,
            format_args!("this {wanted} does not open it"),
            "give the right one; `twine volume info` says what kinds of keys it has",
        ),
        (_, None) => volume(
            which,
            format_args!("no {wanted} opens it, only: {}", kinds(failures)),
            &format!("give what opens it: {}", ways(failures)),
        ),
    }
}

/// How the keys of these slots are given.
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

/// A volume that could not be made.
pub(crate) fn not_made(which: &OpenVolume, error: &VolumeError) -> Error {
    match error {
        VolumeError::Invalid(_) => volume(
            which,
            error,
            "name the program that it is for with --for, or choose another --key",
        ),
        error => trouble(which, error),
    }
}

/// A volume with which something is wrong.
pub(crate) fn trouble(which: &OpenVolume, error: &VolumeError) -> Error {
    let remedy = match error {
        VolumeError::NotAVolume => "name a file that `twine` made",
        VolumeError::UnknownVersion(_) => "open it with the version of Twine that made it",
        VolumeError::Older { .. } | VolumeError::Diverged { .. } => {
            "somebody put back an old copy: find the newest one"
        }
        VolumeError::Lossy(_) | VolumeError::NoState => {
            "restore a copy; or read what is there (`twine volume ls`, `cp -r`), and go on without what \
             is lost: `twine volume check --repair`"
        }
        VolumeError::Unfinished => "delete the file, and make the volume again",
        VolumeError::HeaderForeign => {
            "put back the header that belongs to it, or a copy of the file"
        }
        VolumeError::Storage { error: StorageError::NoSpace, .. } => {
            "make room on the host's disk; the volume is as its last sync left it"
        }
        VolumeError::Storage { error: StorageError::TooBig, .. } => {
            "raise the limit of the size of files: `ulimit -f unlimited`; the volume is as its last \
             sync left it"
        }
        VolumeError::Storage { error: StorageError::ReadOnly, .. } => {
            "the volume's file can't be written: check its permissions"
        }
        VolumeError::Storage { error: StorageError::Short, .. } => {
            "the file was cut: see what is lost, and copy out what is not: `twine volume check`"
        }
        VolumeError::Storage { .. } | VolumeError::Stopped => {
            "check the host's disk; the volume is as its last sync left it"
        }
        VolumeError::Invalid(_) => "see `twine volume key ls`",
        VolumeError::NotAuthentic { .. } | VolumeError::Damaged { .. } => {
            "see what is lost, and copy out what is not: `twine volume check`"
        }
        VolumeError::NoRandom => "this CPU gave no random bytes: try again",
        _ => "the file was changed or damaged: restore a copy of it",
    };
    volume(which, error, remedy)
}
