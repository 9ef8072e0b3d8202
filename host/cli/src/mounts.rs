//! Mounts: `--dir`, `--plain-dir`, `--tmpfs` and what goes with them.

use crate::failure::Failure;
use crate::key::Key;
use crate::print::print_error;
use crate::size;
use clap::Args;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use twine_host::{Access, Folder, Resources, Storage};
use twine_protocol::launch::{MainFile, Mount, Source, VolumeSource};

/// The files a program sees.
#[derive(Debug, Args)]
pub(crate) struct Mounts {
    /// Give the program a protected volume, kept in the file HOST, at GUEST (/ if not named);
    /// it is made if it is not there. For this one alone: ,ro or ,rw, ,key=KEY and ,cache=SIZE
    #[arg(long = "dir", value_name = "HOST[::GUEST][,OPTION...]")]
    volumes: Vec<String>,

    /// Give the program an ordinary folder of this machine, which may read and change all of
    /// it: nothing in it is protected. For this one alone: ,ro or ,rw
    #[arg(long = "plain-dir", value_name = "HOST[::GUEST][,OPTION...]")]
    folders: Vec<String>,

    /// As other runtimes call it, and write it the other way round.
    #[arg(long, hide = true)]
    mapdir: Vec<String>,

    /// Give the program a file tree in the enclave's memory, gone at the end
    #[arg(long = "tmpfs", value_name = "GUEST[=SIZE]")]
    memories: Vec<String>,

    /// What opens the volumes, and is their key if they are made: sealed, sealed:image,
    /// sealed:any-program, file:PATH, passphrase, passphrase:env:NAME or passphrase:file:PATH
    #[arg(long, value_name = "KEY", default_value = "sealed")]
    key: Key,

    /// Refuse all changes to volumes and folders
    #[arg(long)]
    read_only: bool,

    /// Enclave memory for the cache of each volume [default: 32MiB]
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    cache: Option<u64>,
}

/// Bytes of a tree in memory when nothing is said.
const MEMORY_SIZE: u64 = 64 << 20;

/// Mounts, and what of this machine they need.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    pub mounts: Vec<Mount>,
    pub resources: Resources,
    /// The files of all volumes.
    files: Vec<PathBuf>,
    /// Files that were made for volumes that don't exist yet.
    pub made: Made,
}

/// Files that were made for volumes: removed again if no volume came to be in them.
#[derive(Debug, Default)]
pub(crate) struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.0 {
            twine_host::remove_unmade(path);
        }
    }
}

/// How one volume or folder is mounted.
#[derive(Clone)]
struct How {
    read_only: bool,
    key: Key,
    cache: Option<u64>,
}

impl How {
    /// Takes the options from the end of `text`; what is left of it. A comma before anything else
    /// belongs to the path. Only a volume has a key and a cache.
    fn take<'a>(&mut self, mut text: &'a str, of_volume: bool) -> Result<&'a str, Failure> {
        while let Some((rest, option)) = text.rsplit_once(',') {
            let wrong = |error: String| {
                Failure::new(format!("--dir {text}: {error}"), "write key=KEY or cache=SIZE")
            };
            match option.split_once('=') {
                None if option == "ro" => self.read_only = true,
                None if option == "rw" => self.read_only = false,
                Some(("key" | "cache", _)) if !of_volume => {
                    return Err(Failure::new(
                        format!("--plain-dir {text}: only a volume has a key and a cache"),
                        "leave it out, or mount a volume with --dir",
                    ));
                }
                Some(("key", key)) => self.key = key.parse().map_err(wrong)?,
                Some(("cache", size)) => self.cache = Some(size::bytes(size).map_err(wrong)?),
                _ => break,
            }
            text = rest;
        }
        Ok(text)
    }
}

/// `HOST::GUEST`, or HOST alone.
pub(crate) fn split(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once("::") {
        Some((host, guest)) => (host, Some(guest)),
        None => (text, None),
    }
}

impl Mounts {
    /// How a mount is made that says nothing else.
    fn how(&self) -> How {
        How { read_only: self.read_only, key: self.key.clone(), cache: self.cache }
    }

    /// Opens what the mounts need. What is new is told, unless `quiet`.
    pub(crate) fn prepare(&self, quiet: bool) -> Result<Prepared, Failure> {
        if let Some(text) = self.mapdir.first() {
            return Err(Failure::new(
                format!("--mapdir {text}: there is no such option"),
                "write --plain-dir HOST::GUEST for an ordinary folder, --dir VOLUME::GUEST for a \
                 protected volume",
            ));
        }
        let mut prepared = Prepared::default();
        for text in &self.volumes {
            let mut how = self.how();
            let (host, guest) = split(how.take(text, true)?);
            if guest.is_none() && host.contains(":/") && !Path::new(host).exists() {
                return Err(Failure::new(
                    format!("--dir {text}: there is no file {host}"),
                    "write two colons before the program's path: my.vol::/data",
                ));
            }
            prepared.mount_volume(Path::new(host), guest.unwrap_or("/"), None, how, quiet)?;
        }
        for text in &self.folders {
            let mut how = self.how();
            let (host, guest) = split(how.take(text, false)?);
            prepared.folder(Path::new(host), guest.unwrap_or(host), how.read_only)?;
        }
        for text in &self.memories {
            let (guest, size) = match text.split_once('=') {
                Some((guest, size)) => {
                    (guest, size::bytes(size).map_err(|error| bad_size(text, &error))?)
                }
                None => (text.as_str(), MEMORY_SIZE),
            };
            prepared.mount(guest, Source::Memory(size), false)?;
        }
        Ok(prepared)
    }
}

/// Whether both paths lead to one file.
pub(crate) fn same_file(a: &Path, b: &Path) -> bool {
    let inode = |path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    inode(a).is_some_and(|a| Some(a) == inode(b))
}

fn bad_size(text: &str, error: &str) -> Failure {
    Failure::new(format!("--tmpfs {text}: {error}"), "give it as --tmpfs /tmp=64MiB")
}

impl Prepared {
    fn mount(&mut self, guest: &str, source: Source, read_only: bool) -> Result<(), Failure> {
        if guest.is_empty() || guest.contains('\0') {
            return Err(Failure::new(
                format!("{guest:?} is no path for a program"),
                "name it as HOST::GUEST",
            ));
        }
        if self.mounts.iter().any(|mount| mount.guest == guest) {
            return Err(Failure::new(
                format!("two mounts have the same path {guest}"),
                "give each its own, as HOST::GUEST",
            ));
        }
        self.mounts.push(Mount { guest: guest.to_owned(), source, read_only });
        Ok(())
    }

    /// Adds the volume in the file `host` at `/`, as the arguments say. It may be about one file,
    /// `main`.
    pub(crate) fn volume(
        &mut self,
        host: &Path,
        main: Option<MainFile>,
        arguments: &Mounts,
        quiet: bool,
    ) -> Result<(), Failure> {
        self.mount_volume(host, "/", main, arguments.how(), quiet)
    }

    /// Adds the volume in the file `host`, which is made if it may be and is not there.
    fn mount_volume(
        &mut self,
        host: &Path,
        guest: &str,
        main: Option<MainFile>,
        how: How,
        quiet: bool,
    ) -> Result<(), Failure> {
        let How { read_only, key: named, cache } = how;
        if self.files.iter().any(|mounted| same_file(mounted, host)) {
            return Err(Failure::new(
                format!("{} is mounted twice", host.display()),
                "give a program each volume in one place",
            ));
        }
        let access = if read_only { Access::Read } else { Access::Create };
        // If it can't be told, opening it says why.
        let new = host.try_exists().is_ok_and(|there| !there);
        let mut storage = Storage::open(host, access)?;
        let create = storage.is_empty() && access == Access::Create;
        if new {
            self.made.0.push(host.to_owned());
        }
        self.files.push(host.to_owned());
        let key = named.get(host, create)?;
        if create && !quiet {
            let host = host.to_owned();
            storage.when_made(move || {
                print_error!("twine: {} is made: a new volume, {named}", host.display());
            });
        }
        let number = self.resources.storages.len() as u64;
        self.resources.storages.push(storage);
        let source = VolumeSource { storage: number, key, create, cache, main };
        self.mount(guest, Source::Volume(source), read_only)
    }

    fn folder(&mut self, host: &Path, guest: &str, read_only: bool) -> Result<(), Failure> {
        let folder = Folder::open(host, read_only).map_err(|error| {
            Failure::system(
                format!("the folder {} can't be opened: {error}", host.display()),
                &error,
                "check the path; it must be a folder that you may read",
            )
        })?;
        let number = self.resources.folders.len() as u64;
        self.resources.folders.push(folder);
        self.mount(guest, Source::Folder(number), read_only)
    }
}
