//! A folder in which collateral is kept.

use super::{FetchError, Update};
use crate::collateral::{Collateral, MAX_COLLATERAL_BYTES};
use crate::evidence::{Ca, Platform};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process;

/// A folder with a file of collateral for each kind of platform, as [`Collateral::to_json`] writes it.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub(super) fn new(folder: &Path) -> Cache {
        Cache { folder: folder.to_owned() }
    }

    /// Returns what is kept for a platform. A file that can't be read is as good as none.
    pub(super) fn read(&self, platform: &Platform, update: Update) -> Option<Collateral> {
        let limit = u64::try_from(MAX_COLLATERAL_BYTES).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        let file = File::open(self.folder.join(name(platform, update))).ok()?;
        file.take(limit + 1).read_to_end(&mut bytes).ok()?;
        Collateral::from_json(&bytes).ok()
    }

    /// Keeps collateral for a platform. Another process sees the whole of it or nothing.
    pub(super) fn write(
        &self,
        platform: &Platform,
        update: Update,
        collateral: &Collateral,
    ) -> Result<(), FetchError> {
        let name = name(platform, update);
        let path = self.folder.join(&name);
        let unfinished = self.folder.join(format!(".{name}.{}", process::id()));
        let result = fs::create_dir_all(&self.folder)
            .and_then(|()| fs::write(&unfinished, collateral.to_json()))
            .and_then(|()| fs::rename(&unfinished, &path));
        result.map_err(|source| {
            // What is left is of no use, and failing to remove it changes nothing.
            let _ = fs::remove_file(&unfinished);
            FetchError::Cache { path, source }
        })
    }
}

/// The name of the file for a platform.
fn name(platform: &Platform, update: Update) -> String {
    let ca = match platform.ca {
        Ca::Processor => "processor",
        Ca::Platform => "platform",
    };
    format!("{}-{ca}-{}.json", hex::encode(platform.fmspc), update.name())
}
