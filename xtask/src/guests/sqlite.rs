//! SQLite as its authors ship it: its shell, its own benchmark, and this project's programs that
//! use it, for WASI and for this machine.

use super::{Guests, LINK, clang};
use crate::debian::packages;
use crate::process::{Failure, Result, checked, command, output, say, succeed, succeeds};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The features that WASI has and SQLite does not detect.
pub(super) const SYSTEM: &[&str] = &[
    "-DSQLITE_THREADSAFE=0",
    "-DSQLITE_OMIT_LOAD_EXTENSION",
    "-DHAVE_FDATASYNC=1",
    "-DHAVE_GMTIME_R=1",
    "-DHAVE_ISNAN=1",
    "-DHAVE_LOCALTIME_R=1",
    "-DHAVE_PREAD=1",
    "-DHAVE_PWRITE=1",
    "-DHAVE_STRERROR_R=1",
    "-DHAVE_USLEEP=1",
];

/// The features of the shell beyond SQLite's defaults.
const FEATURES: &[&str] = &[
    "-DSQLITE_DQS=0",
    "-DSQLITE_ENABLE_BYTECODE_VTAB",
    "-DSQLITE_ENABLE_CARRAY",
    "-DSQLITE_ENABLE_COLUMN_METADATA",
    "-DSQLITE_ENABLE_DBPAGE_VTAB",
    "-DSQLITE_ENABLE_DBSTAT_VTAB",
    "-DSQLITE_ENABLE_EXPLAIN_COMMENTS",
    "-DSQLITE_ENABLE_FTS3",
    "-DSQLITE_ENABLE_FTS3_PARENTHESIS",
    "-DSQLITE_ENABLE_FTS4",
    "-DSQLITE_ENABLE_FTS5",
    "-DSQLITE_ENABLE_GEOPOLY",
    "-DSQLITE_ENABLE_MATH_FUNCTIONS",
    "-DSQLITE_ENABLE_OFFSET_SQL_FUNC",
    "-DSQLITE_ENABLE_PERCENTILE",
    "-DSQLITE_ENABLE_PREUPDATE_HOOK",
    "-DSQLITE_ENABLE_RTREE",
    "-DSQLITE_ENABLE_SESSION",
    "-DSQLITE_ENABLE_STAT4",
    "-DSQLITE_ENABLE_STMTVTAB",
    "-DSQLITE_ENABLE_UNKNOWN_SQL_FUNCTION",
];

/// Replacements for what WASI lacks: no shell and no pipes to one, libraries that emulate clocks,
/// signals and process numbers, and locks in `guests/sqlite/locks.c`. The numbers are SQLite's own
/// defaults; both files must agree on them.
const WASI: &[&str] = &[
    "-DSQLITE_NOHAVE_SYSTEM",
    "-DSQLITE_OMIT_POPEN",
    "-D_WASI_EMULATED_GETPID",
    "-D_WASI_EMULATED_PROCESS_CLOCKS",
    "-D_WASI_EMULATED_SIGNAL",
    "-DSQLITE_DEFAULT_UNIX_VFS=\"unix\"",
    "-DSQLITE_EXTRA_INIT=grant_file_locks",
    "-DF_RDLCK=0",
    "-DF_WRLCK=1",
    "-DF_UNLCK=2",
    "-DF_GETLK=12",
    "-DF_SETLK=13",
    "-DF_SETLKW=14",
];

const LINKED: &[&str] = &[
    "-lwasi-emulated-getpid",
    "-lwasi-emulated-process-clocks",
    "-lwasi-emulated-signal",
    "-Wl,-z,stack-size=1048576",
];

/// Lets the runtime raise a signal in the shell, which has a handler for SIGINT.
const INTERRUPTED: &[&str] = &["-Wl,--export=raise"];

/// The optimization of all programs but the shell.
pub(super) const FAST: &[&str] = &["-O2"];

/// The optimization of the shell, for people. The shell starts in two thirds of the time that it
/// takes with `-O2`, since the enclave compiles it, and runs a tenth slower.
const SMALL: &[&str] = &["-Os"];

/// Builds all programs with SQLite in them.
pub(super) fn programs(guests: &Guests) -> Result<()> {
    shell(guests)?;
    program(guests, "speedtest", &[], || speedtest_source(guests))?;
    let own = |name: &str| guests.source(name).join(name).with_extension("c");
    program(guests, "micro", &["micro"], || Ok(own("micro")))?;
    program(guests, "commits", &["commits"], || Ok(own("commits")))
}

/// Returns the folder of `sqlite3.c` and `shell.c`, version 3.52.0.
pub(super) fn source(guests: &Guests) -> Result<PathBuf> {
    const SHA256: &str = "ab8d044a93e05bd031d7ea75547c7fa60387cdc259d27f93c0e3e2832c4b1df9";
    let archive = "package/deps/sqlite-autoconf-3520000.tar.gz";
    let archive = guests.npm("sqlite3@6.0.1", SHA256, "3 MB", archive)?;
    let folder = guests.build.join("sqlite-source");
    if let Some(missing) = guests.missing("sqlite-source", SHA256)? {
        let folder = guests.fresh_folder("sqlite-source")?;
        succeed(command("tar", &folder).args(["--strip-components=1", "-xf"]).arg(archive))?;
        missing.made()?;
    }
    Ok(folder)
}

/// Returns `speedtest1.c` of SQLite 3.40.1, from the source package in Debian's pool.
///
/// apt knows the pool's address, so no index of source packages must be fetched.
pub(super) fn speedtest_source(guests: &Guests) -> Result<PathBuf> {
    const SHA256: &str = "aaa776260ab4dc976db34aa7891819484c8676b5b2783123ebc6301e2ca5d655";
    const ARCHIVE: &str = "sqlite3_3.40.1.orig.tar.xz";
    const FILE: &str = "sqlite3-3.40.1/test/speedtest1.c";
    let file = guests.build.join("speedtest-source").join(FILE);
    let Some(missing) = guests.missing("speedtest-source", SHA256)? else { return Ok(file) };
    say("fetching SQLite's benchmark with Debian's source package sqlite3 (8 MB)");
    let folder = guests.fresh_folder("speedtest-source")?;
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", "$(REPO_URI)"]);
    let pools = output(apt.args(["Created-By: Packages", "Origin: Debian", "Component: main"]))?;
    let mut pools: Vec<&str> = pools.lines().collect();
    pools.sort_unstable();
    pools.dedup();
    let archive = folder.join(ARCHIVE);
    // The archive of security updates has only some packages.
    let fetched = pools.iter().any(|pool| {
        let mut helper = Command::new("/usr/lib/apt/apt-helper");
        helper.args(["-o", "APT::Sandbox::User=root", "download-file"]);
        helper.arg(format!("{pool}pool/main/s/sqlite3/{ARCHIVE}")).arg(&archive);
        succeeds(helper.arg(format!("SHA256:{SHA256}")))
    });
    if !fetched {
        return Err(Failure::new(format!(
            "{ARCHIVE} is in no Debian archive that apt knows; `apt-get update` may help"
        )));
    }
    checked(&archive, SHA256)?;
    packages(&["xz-utils"])?;
    succeed(command("tar", &folder).args(["-xf", ARCHIVE, FILE]))?;
    fs::remove_file(archive)?;
    missing.made()?;
    Ok(file)
}

/// Builds SQLite's own shell.
pub(super) fn shell(guests: &Guests) -> Result<()> {
    let flags = [SMALL, SYSTEM, FEATURES, WASI].concat();
    let linked = [&flags[..], INTERRUPTED].concat();
    let recipe = [&linked[..], LINKED].concat().join(" ");
    let Some(stale) = guests.stale("sqlite", &recipe, &["sqlite"])? else { return Ok(()) };
    let source = source(guests)?;
    let objects = objects(guests, "sqlite-shell", &flags)?;
    link(guests, "sqlite", &linked, &source.join("shell.c"), &objects)?;
    stale.made()
}

/// Builds a program whose source is one file.
fn program(
    guests: &Guests,
    name: &str,
    sources: &[&str],
    file: impl FnOnce() -> Result<PathBuf>,
) -> Result<()> {
    let flags = [FAST, SYSTEM, WASI].concat();
    let warnings: &[&str] = if sources.is_empty() { &[] } else { &["-Wall", "-Wextra"] };
    let recipe = [&flags[..], LINKED].concat().join(" ");
    let stale = guests.stale(name, &recipe, &[sources, &["sqlite"]].concat())?;
    let Some(stale) = stale else { return Ok(()) };
    let objects = objects(guests, "sqlite-plain", &flags)?;
    link(guests, name, &[&flags, warnings].concat(), &file()?, &objects)?;
    stale.made()
}

/// Returns `clang` for WASI, with SQLite's header in its path.
fn compiler(guests: &Guests, flags: &[&str]) -> Result<Command> {
    let mut clang = clang(guests)?;
    clang.arg(format!("-I{}", source(guests)?.display())).args(flags);
    Ok(clang)
}

/// Compiles SQLite and its locks once for all programs with the same flags.
fn objects(guests: &Guests, name: &str, flags: &[&str]) -> Result<[PathBuf; 2]> {
    let library = source(guests)?.join("sqlite3.c");
    let locks = guests.source("sqlite").join("locks.c");
    let folder = guests.build.join(name);
    let objects = [folder.join("sqlite3.o"), folder.join("locks.o")];
    let newest = super::last_change(&locks)?;
    let made = folder.exists();
    let stale = guests.unless_made(made, name, &flags.join(" "), newest)?;
    let Some(stale) = stale else { return Ok(objects) };
    say(format_args!("compiling SQLite for WASI with {}", flags[0]));
    guests.fresh_folder(name)?;
    for (file, object) in [library, locks].iter().zip(&objects) {
        succeed(compiler(guests, flags)?.arg("-c").arg(file).arg("-o").arg(object))?;
    }
    stale.made()?;
    Ok(objects)
}

fn link(
    guests: &Guests,
    name: &str,
    flags: &[&str],
    file: &Path,
    objects: &[PathBuf],
) -> Result<()> {
    say(format_args!("building {} with clang", guests.shown(name)));
    let mut clang = compiler(guests, flags)?;
    clang.arg(LINK).args(LINKED).arg(file).args(objects);
    succeed(clang.arg("-o").arg(guests.out(name)))
}
