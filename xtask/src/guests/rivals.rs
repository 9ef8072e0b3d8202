//! The rivals of programs in the enclave, in `target/rivals`: the same programs built for this
//! machine, with SQLite and with two SQLCiphers if they use it, and wasmtime with its own WASI.

use super::sqlite::{FAST, SYSTEM, source, speedtest_source};
use super::{Guests, last_change};
use crate::debian::packages;
use crate::process::{Result, command, say, succeed};
use std::fs;
use std::path::{Path, PathBuf};

/// Makes all rivals that are missing, or whose source has changed.
pub(crate) fn all(root: &Path) -> Result<()> {
    // OpenSSL's build needs perl and make.
    packages(&["gcc", "libsqlcipher-dev", "make", "perl"])?;
    let rivals = Rivals { guests: Guests::new(root)?, folder: root.join("target/rivals") };
    fs::create_dir_all(&rivals.folder)?;
    let speedtest = speedtest_source(&rivals.guests)?;
    let micro = rivals.guests.source("micro").join("micro.c");
    for (name, program) in [("speedtest", speedtest), ("micro", micro)] {
        rivals.native(name, &program)?;
        rivals.debian_sqlcipher(name, &program)?;
        rivals.sqlcipher(name, &program)?;
    }
    super::polybench::native(&rivals.guests, &rivals.folder)?;
    super::large(&rivals.guests)?;
    rivals.outside()
}

struct Rivals {
    guests: Guests,
    folder: PathBuf,
}

impl Rivals {
    /// Builds with SQLite of the same source, version and settings as in the programs for WASI.
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

    /// Builds with Debian's SQLCipher: 3.4 of 2016, with its own settings.
    fn debian_sqlcipher(&self, name: &str, program: &Path) -> Result<()> {
        let flags = [
            FAST,
            &["-I/usr/include/sqlcipher", "-DCIPHER_VERSION=\"3.4\""],
            // An option that is not used here needs this constant.
            &["-DSQLITE_FCNTL_RESERVE_BYTES=38"],
        ];
        let set_up = self.guests.root.join("bench/sqlite/cipher.c");
        let name = format!("{name}-sqlcipher-3");
        self.build(&name, program, &flags.concat(), &[set_up], &["-lsqlcipher"])
    }

    /// Builds with SQLCipher 4 and the OpenSSL in its crate.
    fn sqlcipher(&self, name: &str, program: &Path) -> Result<()> {
        let (library, include) = self.sqlcipher_library()?;
        let include = format!("-I{}", include.display());
        let flags = [FAST, &[&include, "-DCIPHER_VERSION=\"4.\""]].concat();
        let set_up = self.guests.root.join("bench/sqlite/cipher.c");
        let name = format!("{name}-sqlcipher-4");
        self.build(&name, program, &flags, &[set_up, library], &["-lpthread", "-ldl", "-lm"])
    }

    /// Returns the static library and the folder of its header, from the crate in
    /// `bench/sqlcipher`.
    fn sqlcipher_library(&self) -> Result<(PathBuf, PathBuf)> {
        // These settings make it as fast as ours: without the crate's additions to SQLite's
        // defaults that cost time, and with the fewest locks that SQLCipher allows.
        const SETTINGS: &[&str] = &[
            "-USQLITE_DEFAULT_FOREIGN_KEYS",
            "-USQLITE_ENABLE_API_ARMOR",
            "-USQLITE_ENABLE_MEMORY_MANAGEMENT",
            "-USQLITE_ENABLE_STAT4",
            "-USQLITE_THREADSAFE",
            "-DSQLITE_THREADSAFE=2",
        ];
        let system = SYSTEM.iter().filter(|flag| !flag.contains("THREADSAFE"));
        let settings = SETTINGS.iter().chain(system).copied().collect::<Vec<_>>().join(" ");
        let folder = self.guests.root.join("bench/sqlcipher");
        let built = self.guests.build.join("sqlcipher");
        let (library, include) = (built.join("release/libsqlcipher.a"), built.join("include"));
        let made = library.exists() && include.join("sqlite3.h").exists();
        let newest = last_change(&folder)?;
        let stale = self.guests.unless_made(made, "sqlcipher-library", &settings, newest)?;
        if let Some(stale) = stale {
            say("building SQLCipher 4 and its OpenSSL with cargo, which takes minutes");
            let mut cargo = command("cargo", &folder);
            cargo.args(["build", "--release", "--locked", "--target-dir"]).arg(&built);
            cargo.env("LIBSQLITE3_FLAGS", &settings).env("SQLCIPHER_INCLUDE", &include);
            succeed(&mut cargo)?;
            stale.made()?;
        }
        Ok((library, include))
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

    /// Builds wasmtime with its own WASI, in a small program of `bench/outside`.
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
