//! Programs with SQLite in them and their rivals. Each run starts in an empty folder.

use crate::error::{Error, Result, about};
use crate::process::Workspace;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The ways to run a program that keeps a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// `twine run`, on a protected volume.
    Twine,
    /// The program built for this machine with SQLCipher 4, which encrypts each page.
    SqlCipher4,
    /// The same program with Debian's SQLCipher 3.4.
    SqlCipher3,
    /// The program built for this machine with the same SQLite, on a plain file.
    Native,
    /// The same program for WASI, by wasmtime with its own settings and WASI on a plain folder.
    Wasmtime,
}

/// The two that encrypt a database by themselves.
const SQLCIPHERS: [Keeper; 2] = [Keeper::SqlCipher4, Keeper::SqlCipher3];

/// The facts that readers must know about them.
const NOTES: [&str; 2] = [
    "Both SQLCiphers get a key of 32 bytes as it is: neither takes time to make one of a password. From \
     it each makes its key for authentication, by PBKDF2 with two rounds. Pages have 4,096 bytes, sealed \
     with AES-256 in CBC mode and an HMAC: by SHA-512 in version 4, by SHA-1 in 3.4. Bars against \
     SQLCipher are against the faster of the two in that case.",
    "A run of SQLCipher fails, and its case with it, when its version is another one or its database \
     begins as SQLite's do, unencrypted.",
];

/// The start of a database file that is not encrypted.
const PLAIN: &[u8] = b"SQLite format 3\0";

/// A raw key. SQLCipher would derive one from a password at each start, which takes as long as a
/// password should, and is not what we measure.
const KEY: &str = "x'3f0e6b1d5c7a29488b10f4e2d3c6a5975e8f7061524334a5b6c7d8e9fa0b1c2d'";

impl Keeper {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Keeper::Twine => "in the enclave",
            Keeper::SqlCipher4 => "SQLCipher 4, native",
            Keeper::SqlCipher3 => "SQLCipher 3.4, native",
            Keeper::Native => "SQLite, native",
            Keeper::Wasmtime => "outside, wasmtime",
        }
    }

    fn command(self, workspace: &Workspace, program: &str, folder: &Path) -> Result<Command> {
        let mut command;
        match self {
            Keeper::Twine => {
                command = workspace.twine();
                command.args(["run", "--quiet", "--dir"]).arg(folder.join("volume"));
                command.arg(workspace.guest(program)?);
            }
            Keeper::SqlCipher4 | Keeper::SqlCipher3 => {
                let version = if self == Keeper::SqlCipher4 { 4 } else { 3 };
                command = Command::new(workspace.rival(&format!("{program}-sqlcipher-{version}"))?);
                // One of the programs puts the key between quotation marks unchanged.
                let doubled = KEY.replace('\'', "''");
                command.args(["--key", if program == "speedtest" { &doubled } else { KEY }]);
            }
            Keeper::Native => {
                command = Command::new(workspace.rival(&format!("{program}-native"))?)
            }
            Keeper::Wasmtime => {
                command = Command::new(workspace.rival("outside")?);
                command.arg("--own-settings").arg(folder).arg(workspace.guest(program)?);
            }
        }
        command.current_dir(folder).stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a program in an empty folder, to which its relative paths refer. Returns its output.
    /// Fails if a SQLCipher has left a database that is not encrypted.
    pub(crate) fn run(
        self,
        workspace: &Workspace,
        program: &str,
        arguments: &[&str],
    ) -> Result<String> {
        let folder = Folder::new(workspace)?;
        let mut command = self.command(workspace, program, &folder.0)?;
        let output = about(self.name(), command.args(arguments).output())?;
        if !output.status.success() {
            return Err(Error::Failed {
                command: format!("{program}, {}", self.name()),
                why: crate::process::cause(&output.stderr, output.status),
            });
        }
        if SQLCIPHERS.contains(&self) {
            check_encrypted(&folder.0, self)?;
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Returns the positions of the two SQLCiphers, to compare Twine with the faster one.
    pub(crate) fn sqlciphers(keepers: &[Keeper]) -> Vec<usize> {
        (0..keepers.len()).filter(|at| SQLCIPHERS.contains(&keepers[*at])).collect()
    }

    /// Returns the notes of a section that compares with SQLCipher.
    pub(crate) fn notes() -> Vec<String> {
        NOTES.map(ToOwned::to_owned).to_vec()
    }
}

/// Checks each file that a run has left: there must be one, and none may begin like a database that
/// is not encrypted.
fn check_encrypted(folder: &Path, keeper: Keeper) -> Result<()> {
    let mut databases = 0;
    for entry in about(folder.display(), fs::read_dir(folder))? {
        let path = about(folder.display(), entry)?.path();
        let mut start = Vec::new();
        let file = about(path.display(), File::open(&path))?;
        about(path.display(), file.take(PLAIN.len() as u64).read_to_end(&mut start))?;
        if start == PLAIN {
            let why = format!("{} has not encrypted {}", keeper.name(), path.display());
            return Err(Error::Program(why));
        }
        databases += usize::from(start.len() == PLAIN.len());
    }
    match databases {
        0 => Err(Error::Program(format!("{} has left no database", keeper.name()))),
        _ => Ok(()),
    }
}

/// A folder for one run.
struct Folder(PathBuf);

impl Folder {
    /// Makes a folder in the checkout. The folder for temporary files may be in memory, where
    /// nothing is ever written to a disk.
    fn new(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.root.join(format!("target/tmp/bench-{}", std::process::id()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unencrypted_and_missing_databases_are_detected() {
        let folder = std::env::temp_dir().join(format!("twine-encrypted-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let folder = Folder(folder);
        let check = || check_encrypted(&folder.0, Keeper::SqlCipher4).map_err(|e| e.to_string());
        assert!(check().unwrap_err().contains("left no database"));
        // An emptied journal does not count as a database.
        fs::write(folder.0.join("a.db-journal"), b"").unwrap();
        assert!(check().unwrap_err().contains("left no database"));
        fs::write(folder.0.join("a.db"), [0xa7; 4096]).unwrap();
        assert_eq!(check(), Ok(()));
        fs::write(folder.0.join("b.db"), [PLAIN, &[0; 4080]].concat()).unwrap();
        assert!(check().unwrap_err().contains("SQLCipher 4, native has not encrypted"));
    }

    #[test]
    fn the_two_sqlciphers_are_found_among_others() {
        let keepers = [
            Keeper::Twine,
            Keeper::SqlCipher4,
            Keeper::Native,
            Keeper::SqlCipher3,
            Keeper::Wasmtime,
        ];
        assert_eq!(Keeper::sqlciphers(&keepers), [1, 3]);
        assert_eq!(Keeper::sqlciphers(&[Keeper::Twine, Keeper::Native]), [0; 0]);
    }
}
