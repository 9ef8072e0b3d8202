//! What the measurements compare programs in the enclave with, in `target/rivals`: the same programs
//! built for this machine, with SQLite and with SQLCipher where they use it, and wasmtime with its
//! own WASI.

use super::sqlite::{FAST, SYSTEM, source, speedtest_source};
use super::{Guests, last_change};
use crate::debian::packages;
use crate::process::{Result, command, say, succeed};
use std::fs;
use std::path::{Path, PathBuf};

/// Makes all rivals that aren't there yet, or whose source has changed since.
pub(crate) fn all(root: &Path) -> Result<()> {
    packages(&["gcc", "libsqlcipher-dev"])?;
    let rivals = Rivals { guests: Guests::new(root)?, folder: root.join("target/rivals") };
    fs::create_dir_all(&rivals.folder)?;
    let speedtest = speedtest_source(&rivals.guests)?;
    let micro = rivals.guests.source("micro").join("micro.c");
    for (name, program) in [("speedtest", speedtest), ("micro", micro)] {
        rivals.native(name, &program)?;
        rivals.sqlcipher(name, &program)?;
    }
    super::polybench::native(&rivals.guests, &rivals.folder)?;
    rivals.outside()
}

struct Rivals {
    guests: Guests,
    folder: PathBuf,
}

impl Rivals {
    /// SQLite of the same source, version and settings as in the programs for WASI.
    fn native(&self, name: &str, program: &Path) -> Result<()> {
        let source = source(&self.guests)?;
        let include = format!("-I{}", source.display());
        let flags = [FAST, SYSTEM, &[&include]].concat();
        let object = self.guests.build.join("sqlite-native.o");
        if let Some(stale) = self.guests.missing("sqlite-native.o", &flags.join(" "))? {
            say("compiling SQLite for this machine");
            let mut gcc = command("gcc", &self.guests.root);
            gcc.args(&flags).arg("-c").arg(source.join("sqlite3.c"));
            succeed(gcc.arg("-o").arg(&object))?;
            stale.made()?;
        }
        self.build(&format!("{name}-native"), program, &flags, &[object], &["-lm"])
    }

    /// SQLCipher as Debian builds it: with settings of its own, and of an older version.
    fn sqlcipher(&self, name: &str, program: &Path) -> Result<()> {
        let flags = [
            FAST,
            &["-I/usr/include/sqlcipher"],
            // What an option asks for that is not used here.
            &["-DSQLITE_FCNTL_RESERVE_BYTES=38"],
        ];
        let set_up = self.guests.root.join("bench/sqlite/cipher.c");
        let name = format!("{name}-sqlcipher");
        self.build(&name, program, &flags.concat(), &[set_up], &["-lsqlcipher"])
    }

    fn build(
        &self,
        name: &str,
        program: &Path,
        flags: &[&str],
        others: &[PathBuf],
        libraries: &[&str],
    ) -> Result<()> {
        let out = self.folder.join(name);
        let mut newest = last_change(program)?;
        for other in others {
            newest = newest.max(last_change(other)?);
        }
        let recipe = [flags, libraries].concat().join(" ");
        let stale = self.guests.unless_made(out.exists(), name, &recipe, newest)?;
        let Some(stale) = stale else { return Ok(()) };
        say(format_args!("building target/rivals/{name} with gcc"));
        let mut gcc = command("gcc", &self.guests.root);
        gcc.args(flags).arg(program).args(others).args(libraries);
        succeed(gcc.arg("-o").arg(out))?;
        stale.made()
    }

    /// wasmtime with its own WASI, by a small program of `bench/outside`.
    fn outside(&self) -> Result<()> {
        let out = self.folder.join("outside");
        let folder = self.guests.root.join("bench/outside");
        let newest = last_change(&folder)?;
        let stale = self.guests.unless_made(out.exists(), "outside", "cargo build", newest)?;
        let Some(stale) = stale else { return Ok(()) };
        say("building target/rivals/outside: wasmtime with its own WASI");
        let built = self.guests.build.join("outside");
        let mut cargo = command("cargo", &folder);
        cargo.args(["build", "--release", "--locked", "--target-dir"]).arg(&built);
        succeed(&mut cargo)?;
        fs::copy(built.join("release/outside"), out)?;
        stale.made()
    }
}
