//! The files of Twine on this machine.

use crate::devices::DEVICES;
use crate::error::{Error, Result};
use std::env;
use std::fs::{self, DirBuilder};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The dynamic loader of this machine's C library, by the x86-64 psABI.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// The default folder for the code cache and the state of software SGX on a node.
const STATE: &str = "/var/lib/twine/oci";

/// The paths of an installation of Twine.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The `twine` command.
    pub(crate) twine: PathBuf,
    /// The folder with the enclave images.
    pub(crate) images: PathBuf,
    /// The folder on the node for the code cache and the state of software SGX.
    state: PathBuf,
    /// The devices that a container gets, if this machine has them.
    pub(crate) devices: Vec<PathBuf>,
}

fn missing(path: &Path) -> Error {
    Error::Installation(format!("{} is missing", path.display()))
}

impl Installation {
    /// Finds the installation of this command: `twine` is beside it, and the images are in
    /// `../lib/twine`. The environment variable `TWINE_OCI_STATE` replaces `/var/lib/twine/oci`.
    ///
    /// # Errors
    /// An error if a part of it is missing.
    pub fn find() -> Result<Self> {
        let command = env::current_exe()
            .and_then(|path| path.canonicalize())
            .map_err(|source| Error::File { path: "/proc/self/exe".into(), source })?;
        let state = env::var_os("TWINE_OCI_STATE").filter(|folder| !folder.is_empty());
        let state = state.map_or_else(|| STATE.into(), PathBuf::from);
        Installation::at(command.parent().unwrap_or(Path::new("/")), &state, &DEVICES)
    }

    /// Returns the installation with its commands in a folder, with another folder for its state,
    /// and with other devices.
    ///
    /// # Errors
    /// An error if a part of it is missing.
    pub fn at(commands: &Path, state: &Path, devices: &[&str]) -> Result<Self> {
        let twine = commands.join("twine");
        if !twine.is_file() {
            return Err(missing(&twine));
        }
        let images = commands.join("../lib/twine");
        let images = images.canonicalize().map_err(|_| missing(&images))?;
        let devices = devices.iter().map(PathBuf::from).collect();
        Ok(Installation { twine, images, state: state.into(), devices })
    }

    /// Returns the dynamic loader and the libraries of the `twine` command: a container image may
    /// have others, or none.
    pub(crate) fn libraries(&self) -> Result<Vec<PathBuf>> {
        let listed = Command::new(LOADER).arg("--list").arg(&self.twine).output();
        let listed = listed.map_err(|source| Error::File { path: LOADER.into(), source })?;
        let text = String::from_utf8_lossy(&listed.stdout);
        let mut libraries = vec![PathBuf::from(LOADER)];
        for line in text.lines() {
            // The format is `NAME => PATH (ADDRESS)`; the lines of the kernel's own library and of
            // the loader have no arrow.
            if let Some((name, found)) = line.trim().split_once(" => ") {
                let path = found.rsplit_once(" (").map_or(found, |(path, _)| path);
                if !path.starts_with('/') {
                    return Err(Error::Installation(format!(
                        "the library {name} of {} is missing",
                        self.twine.display()
                    )));
                }
                libraries.push(path.into());
            }
        }
        if !listed.status.success() || libraries.len() == 1 {
            let said = String::from_utf8_lossy(&listed.stderr);
            return Err(Error::Installation(format!(
                "the libraries of {} can't be listed: {}",
                self.twine.display(),
                said.trim()
            )));
        }
        Ok(libraries)
    }

    /// Returns the folder on the node for the containers of one user. Only this user can read it.
    /// It is created if it is missing.
    pub(crate) fn state(&self, uid: u32, gid: u32) -> Result<PathBuf> {
        let folder = self.state.join(uid.to_string());
        let failed = |source| Error::File { path: folder.clone(), source };
        fs::create_dir_all(&self.state).map_err(failed)?;
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => chown(&folder, Some(uid), Some(gid)).map_err(failed)?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        Ok(folder)
    }
}

/// Returns the last part of a path, as text.
pub(crate) fn name(path: &Path) -> String {
    String::from_utf8_lossy(path.file_name().unwrap_or_default().as_bytes()).into_owned()
}
