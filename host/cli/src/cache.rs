//! `twine cache`, and the files of the code cache.

use crate::failure::Failure;
use crate::hash_cache;
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
use twine_evidence::bytes::to_hex;
use twine_host::{CodeFile, Image};
use twine_protocol::code::CodeSettings;

/// Limit on the size of the code cache, in bytes. Beyond it, the least recently used files are
/// removed.
const MAX_BYTES: u64 = 2 << 30;

const EXTENSION: &str = "code";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the cached code, by the SHA-256 of each program
    Ls(Ls),
    /// Delete all cached code: programs are compiled again at their next start
    Clear,
}

#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A file of the code cache.
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

/// Returns the folder of the code cache: `TWINE_CACHE`, or the one of the XDG base directory
/// specification.
fn folder() -> Option<PathBuf> {
    let named = env::var_os("TWINE_CACHE").filter(|value| !value.is_empty()).map(PathBuf::from);
    named.or_else(|| xdg::folder("XDG_CACHE_HOME", ".cache").map(|folder| folder.join("twine")))
}

/// Returns the failure if the code cache has no folder.
pub(crate) fn no_folder() -> Failure {
    Failure::new(
        "the code cache has no folder: this user has no home",
        "set TWINE_CACHE to a folder that this user can write",
    )
}

/// Returns the failure if code could not be stored in this file.
pub(crate) fn cannot_store(path: &Path, error: &io::Error) -> Failure {
    Failure::system(
        format!("compiled code can't be stored in {}: {error}", path.display()),
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

/// Returns the file for the code of a program that runs in `image`. It may not exist yet.
pub(crate) fn code_file(
    image: &Image,
    program: &Program,
    settings: CodeSettings,
) -> Option<CodeFile> {
    let folder = folder()?;
    let program = hash_cache::sha256(program, &folder).ok()?;
    let mrenclave = &image.sigstruct().enclavehash;
    let mut name = format!("{}-{}", to_hex(&program), to_hex(&mrenclave[..8]));
    settings.names().for_each(|setting| name.extend(["-", setting]));
    let path = folder.join(name).with_extension(EXTENSION);
    evict(&folder);
    touch(&path);
    Some(CodeFile::new(path))
}

/// Marks a file as used now.
fn touch(path: &Path) {
    if let Ok(file) = fs::File::options().append(true).open(path) {
        // An error only changes the order in which files are removed.
        let _ = file.set_modified(SystemTime::now());
    }
}

fn evict(folder: &Path) {
    let mut bytes = 0;
    for file in list(folder).unwrap_or_default() {
        bytes += file.bytes;
        if bytes > MAX_BYTES {
            // Another process may have removed the file already.
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
            "check its permissions, or set TWINE_CACHE to another folder",
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
