//! `twine cache`, and where compiled code is kept.

use crate::failure::Failure;
use crate::hash_cache;
use crate::measure::hex;
use crate::print::print_line;
use crate::program::Program;
use crate::xdg;
use clap::{Args, Subcommand};
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;
use twine_host::{CodeFile, Image};

/// Most bytes that are kept; beyond, what was used longest ago goes first.
const MAX_BYTES: u64 = 2 << 30;

const EXTENSION: &str = "code";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the programs whose compiled code is kept, by their SHA-256
    Ls(Ls),
    /// Forget all compiled code: programs are compiled again at their next start
    Clear,
}

#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One kept file.
struct CachedFile {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl CachedFile {
    fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn to_json(&self) -> serde_json::Value {
        let name = self.name();
        let program = name.split('-').next().unwrap_or_default();
        let used = self.used.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        serde_json::json!({
            "name": name,
            "program_sha256": program,
            "bytes": self.bytes,
            "used_seconds_since_1970": used.as_secs(),
        })
    }
}

/// The folder: by `TWINE_CACHE`, else as the XDG base directory specification has it.
fn folder() -> Option<PathBuf> {
    let named = env::var_os("TWINE_CACHE").filter(|value| !value.is_empty()).map(PathBuf::from);
    named.or_else(|| xdg::folder("XDG_CACHE_HOME", ".cache").map(|folder| folder.join("twine")))
}

/// Nothing says where code is to be kept.
pub(crate) fn no_folder() -> Failure {
    Failure::new(
        "there is no folder for compiled code: this user has no home",
        "set TWINE_CACHE to a folder that this user can write",
    )
}

/// Code can't be kept in this file.
pub(crate) fn cannot_store(path: &Path, error: &io::Error) -> Failure {
    Failure::system(
        format!("compiled code can't be kept as {}: {error}", path.display()),
        error,
        "set TWINE_CACHE to a folder that this user can write",
    )
}

fn list(folder: &Path) -> io::Result<Vec<CachedFile>> {
    let mut all = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION)
            && let Ok(metadata) = path.metadata()
        {
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            all.push(CachedFile { path, bytes: metadata.len(), used });
        }
    }
    all.sort_by_key(|file| std::cmp::Reverse(file.used));
    Ok(all)
}

/// What compiled code depends on beside the program and the image.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings {
    pub fuel: bool,
    pub timeout: bool,
    pub explicit_checks: bool,
    pub baseline: bool,
}

/// Where the code of a program that runs in `image` is kept.
pub(crate) fn code_file(image: &Image, program: &Program, settings: Settings) -> Option<CodeFile> {
    let folder = folder()?;
    let program = hash_cache::sha256(program, &folder).ok()?;
    let mrenclave = &image.sigstruct().enclavehash;
    let mut name = format!("{}-{}", hex(&program), hex(&mrenclave[..8]));
    let Settings { fuel, timeout, explicit_checks, baseline } = settings;
    let words = [
        (fuel, "-fuel"),
        (timeout, "-timeout"),
        (explicit_checks, "-explicit"),
        (baseline, "-baseline"),
    ];
    words.iter().filter(|(set, _)| *set).for_each(|(_, word)| name += word);
    let path = folder.join(name).with_extension(EXTENSION);
    evict(&folder);
    touch(&path);
    Some(CodeFile::new(path))
}

/// Marks a file as used now.
fn touch(path: &Path) {
    if let Ok(file) = fs::File::options().append(true).open(path) {
        // Only the order of forgetting depends on it.
        let _ = file.set_modified(SystemTime::now());
    }
}

fn evict(folder: &Path) {
    let mut bytes = 0;
    for file in list(folder).unwrap_or_default() {
        bytes += file.bytes;
        if bytes > MAX_BYTES {
            // Another process may have removed it already.
            let _ = fs::remove_file(file.path);
        }
    }
}

pub(crate) fn run(command: &Command) -> Result<ExitCode, Failure> {
    let folder = folder().ok_or_else(no_folder)?;
    let unreadable = |error: io::Error| {
        Failure::system(
            format!("{} can't be read or changed: {error}", folder.display()),
            &error,
            "check its permissions, or name another folder by TWINE_CACHE",
        )
    };
    let all = list(&folder).map_err(unreadable)?;
    match command {
        Command::Ls(Ls { json: true }) => {
            let all: Vec<_> = all.iter().map(CachedFile::to_json).collect();
            print_line!("{:#}", serde_json::Value::from(all));
        }
        Command::Ls(Ls { json: false }) => {
            all.iter().for_each(|file| print_line!("{:>12} {}", file.bytes, file.name()));
        }
        Command::Clear => {
            for file in all {
                fs::remove_file(&file.path).map_err(unreadable)?;
            }
            hash_cache::clear(&folder).map_err(unreadable)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
