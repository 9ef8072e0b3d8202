//! Programs with SQLite in them and their rivals: each run new, in an empty folder.

use crate::error::{Error, Result, about};
use crate::process::Place;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Who runs a program that keeps a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// `twine run`, on a protected volume.
    Twine,
    /// The program built for this machine with SQLCipher, which encrypts each page.
    SqlCipher,
    /// The program built for this machine with the same SQLite, on a plain file.
    Native,
    /// The same program for WASI, by wasmtime with its own settings and WASI on a plain folder.
    Wasmtime,
}

/// A key as it is: SQLCipher would make one of a password with each start, which takes as long
/// as a password should and is nothing that is measured here.
const KEY: &str = "x'3f0e6b1d5c7a29488b10f4e2d3c6a5975e8f7061524334a5b6c7d8e9fa0b1c2d'";

impl Keeper {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Keeper::Twine => "in the enclave",
            Keeper::SqlCipher => "SQLCipher, native",
            Keeper::Native => "SQLite, native",
            Keeper::Wasmtime => "outside, wasmtime",
        }
    }

    fn command(self, place: &Place, program: &str, folder: &Path) -> Result<Command> {
        let mut command;
        match self {
            Keeper::Twine => {
                command = place.twine();
                command.args(["run", "--quiet", "--dir"]).arg(folder.join("volume"));
                command.arg(place.guest(program)?);
            }
            Keeper::SqlCipher => {
                command = Command::new(place.rival(&format!("{program}-sqlcipher"))?);
                // One of them puts the key between quotation marks as it is.
                let doubled = KEY.replace('\'', "''");
                command.args(["--key", if program == "speedtest" { &doubled } else { KEY }]);
            }
            Keeper::Native => command = Command::new(place.rival(&format!("{program}-native"))?),
            Keeper::Wasmtime => {
                command = Command::new(place.rival("outside")?);
                command.arg("--own-settings").arg(folder).arg(place.guest(program)?);
            }
        }
        command.current_dir(folder).stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a program in an empty folder, which its relative paths mean; what it prints.
    pub(crate) fn run(self, place: &Place, program: &str, arguments: &[&str]) -> Result<String> {
        let folder = Folder::new(place)?;
        let mut command = self.command(place, program, &folder.0)?;
        let output = about(self.name(), command.args(arguments).output())?;
        if !output.status.success() {
            return Err(Error::Failed {
                command: format!("{program}, {}", self.name()),
                why: crate::process::cause(&output.stderr, output.status),
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// A folder for one run.
struct Folder(PathBuf);

impl Folder {
    /// In the checkout: the folder for temporary files may be one in memory, where nothing is
    /// ever written to a disk.
    fn new(place: &Place) -> Result<Self> {
        let folder = place.root.join(format!("target/tmp/bench-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        about(folder.display(), fs::create_dir_all(&folder))?;
        Ok(Folder(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
