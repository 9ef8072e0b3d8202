//! The files of this machine in a copy to a host or from it.
//!
//! Each folder is held open, and names are looked up in it alone, without following symbolic links:
//! nothing that comes from a volume leads out of the folder that the user named.

mod pack;
mod unpack;

pub(super) use pack::{Packer, Source};
pub(super) use unpack::Unpacker;

use crate::failure::Failure;
use crate::print::foreign;
use rustix::fs::Stat;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use twine_channel::parcel::Entry;

/// Zeros of this size, in bytes, are not written: a file reads as zero there, and uses no space.
const HOLE: usize = 4096;

/// What could not be copied. The rest of a copy goes on, and this is told at the end.
#[derive(Debug, Clone, Default)]
pub(super) struct Problems(Arc<Mutex<Vec<Failure>>>);

impl Problems {
    fn add(&self, failure: Failure) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
    }

    /// Takes what was added.
    pub(super) fn take(&self) -> Vec<Failure> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The failure of something at a path.
fn failed(path: &Path, error: impl Into<io::Error>) -> Failure {
    let error = error.into();
    let shown = foreign(&path.display().to_string());
    Failure::system(format!("{shown}: {error}"), &error, "check the path and its permissions")
}

/// The attributes of a file for a parcel.
fn entry(name: &str, stat: &Stat) -> Entry {
    let time = |seconds: i64, nanoseconds: u64| {
        let seconds = u64::try_from(seconds).unwrap_or_default();
        seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
    };
    Entry {
        name: name.to_owned(),
        mode: Some(stat.st_mode & 0o777),
        accessed: time(stat.st_atime, stat.st_atime_nsec),
        modified: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}
