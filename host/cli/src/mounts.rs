//! Mounts: `--dir`, `--plain-dir`, `--tmpfs` and their options.

use crate::failure::Failure;
use crate::key::{Key, key_forms};
use crate::oci::Files;
use crate::output::Kind;
use crate::print::print_error;
use crate::size;
use clap::Args;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use twine_host::{Access, Folder, Resources, Storage};
use twine_protocol::key::{Scope, Sealing};
use twine_protocol::launch::{MainFile, Mount, Source, VolumeSource};

/// The files a program sees.
#[derive(Debug, Args)]
pub(crate) struct Mounts {
    /// Mount the protected volume in the file HOST at GUEST [default: /]; create it if it does not
    /// exist. Options for this mount: ,ro ,rw ,key=KEY ,cache=SIZE
    #[arg(long = "dir", value_name = "HOST[::GUEST][,OPTION...]")]
    volumes: Vec<String>,

    /// Mount a folder of this machine at GUEST [default: HOST]. It is not protected: the host can
    /// read and change all of it. Options for this mount: ,ro ,rw ,without=PATH, which refuses the
    /// program a path below HOST
    #[arg(long = "plain-dir", value_name = "HOST[::GUEST][,OPTION...]")]
    folders: Vec<String>,

    /// An option of other runtimes, with GUEST before HOST. It is refused with a remedy.
    #[arg(long, hide = true)]
    mapdir: Vec<String>,

    /// Mount an empty file tree in the enclave's memory, gone when the program ends [default size:
    /// 64MiB]
    #[arg(long = "tmpfs", value_name = "GUEST[=SIZE]")]
    memories: Vec<String>,

    #[arg(
        long,
        value_name = "KEY",
        help = concat!(
            "Key that opens the volumes, and that new volumes get: ",
            key_forms!(),
            " [default: sealed]"
        )
    )]
    key: Option<Key>,

    /// Mount volumes and folders read-only, except those with ,rw
    #[arg(long)]
    read_only: bool,

    /// Size of the cache of each volume, in the enclave's memory [default: 32MiB]
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    cache: Option<u64>,
}

/// The default size of a file tree in memory, in bytes.
const DEFAULT_TMPFS_SIZE: u64 = 64 << 20;

/// Mounts, and the resources of this machine that they need.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    pub mounts: Vec<Mount>,
    pub resources: Resources,
    /// The files of all volumes.
    files: Vec<PathBuf>,
    /// The files that were created for new volumes.
    pub made: Made,
    /// The files of an OCI image.
    pub image: Option<Files>,
}

/// Files that were created for new volumes. When this is dropped, it removes those in which no
/// volume was created.
#[derive(Debug, Default)]
pub(crate) struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.0 {
            twine_host::remove_unmade(path);
        }
    }
}

/// The options of one mount, as far as they are given.
#[derive(Debug, Clone, Default)]
pub(crate) struct MountOptions {
    pub read_only: Option<bool>,
    pub key: Option<Key>,
    cache: Option<u64>,
    /// Paths below a folder that the program must not reach.
    pub without: Vec<PathBuf>,
}

/// A mount, as `--dir` or `--plain-dir` gives it.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    /// What the user wrote.
    pub text: &'a str,
    /// The file or folder of this machine.
    pub host: &'a Path,
    /// The path at which the program sees it.
    pub guest: &'a str,
    /// Its options.
    pub options: MountOptions,
}

impl MountOptions {
    /// Refuses a key that only a run under a manifest can have.
    fn check_key(&self) -> Result<(), Failure> {
        match self.key {
            Some(Key::Sealed(Sealing { scope: Scope::Deployment, .. })) => Err(Failure::usage(
                "a key that is sealed to a deployment is for runs under its signed manifest",
                "name the manifest, which decides the keys: twine run --manifest FILE",
            )),
            _ => Ok(()),
        }
    }

    /// Takes the options from the end of `text`, and returns the rest. A comma that no option
    /// follows belongs to the path. Only a volume has a key and a cache.
    fn take<'a>(&mut self, mut text: &'a str, of_volume: bool) -> Result<&'a str, Failure> {
        while let Some((rest, option)) = text.rsplit_once(',') {
            let wrong = |error: String| {
                Failure::new(format!("--dir {text}: {error}"), "write key=KEY or cache=SIZE")
            };
            match option.split_once('=') {
                None if option == "ro" => self.read_only = Some(true),
                None if option == "rw" => self.read_only = Some(false),
                Some(("key" | "cache", _)) if !of_volume => {
                    return Err(Failure::new(
                        format!("--plain-dir {text}: a folder has neither key nor cache"),
                        "leave the option out, or mount a volume with --dir",
                    ));
                }
                Some(("without", path)) if !of_volume => self.without.push(path.into()),
                Some(("without", _)) => {
                    return Err(Failure::new(
                        format!("--dir {text}: a volume has no path without which it is mounted"),
                        "leave ,without=PATH out",
                    ));
                }
                Some(("key", key)) => self.key = Some(key.parse().map_err(wrong)?),
                Some(("cache", size)) => self.cache = Some(size::bytes(size).map_err(wrong)?),
                _ => break,
            }
            text = rest;
        }
        Ok(text)
    }
}

/// Splits `HOST::GUEST`, or HOST alone.
pub(crate) fn split(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once("::") {
        Some((host, guest)) => (host, Some(guest)),
        None => (text, None),
    }
}

/// Splits the text of `--tmpfs` into the path and the size in bytes.
pub(crate) fn memory(text: &str) -> Result<(&str, u64), Failure> {
    match text.split_once('=') {
        Some((guest, size)) => {
            Ok((guest, size::bytes(size).map_err(|error| bad_size(text, &error))?))
        }
        None => Ok((text, DEFAULT_TMPFS_SIZE)),
    }
}

impl Mounts {
    /// Adds the options for all mounts to those of one mount.
    pub(crate) fn with_defaults(&self, options: MountOptions) -> MountOptions {
        let MountOptions { read_only, key, cache, without } = options;
        MountOptions {
            read_only: read_only.or(Some(self.read_only)),
            key: key.or_else(|| self.key.clone()),
            cache: cache.or(self.cache),
            without,
        }
    }

    /// The volumes, as `--dir` gives them.
    pub(crate) fn volumes(&self) -> Result<Vec<Given<'_>>, Failure> {
        let volume = |text| {
            let mut options = MountOptions::default();
            let (host, guest) = split(options.take(text, true)?);
            if guest.is_none() && host.contains(":/") && !Path::new(host).exists() {
                return Err(Failure::new(
                    format!("--dir {text}: there is no file {host}"),
                    "write two colons before the program's path: my.vol::/data",
                ));
            }
            Ok(Given { text, host: Path::new(host), guest: guest.unwrap_or("/"), options })
        };
        self.volumes.iter().map(|text| volume(text)).collect()
    }

    /// The folders, as `--plain-dir` gives them.
    pub(crate) fn folders(&self) -> Result<Vec<Given<'_>>, Failure> {
        let folder = |text| {
            let mut options = MountOptions::default();
            let (host, guest) = split(options.take(text, false)?);
            Ok(Given { text, host: Path::new(host), guest: guest.unwrap_or(host), options })
        };
        self.folders.iter().map(|text| folder(text)).collect()
    }

    /// The file trees in memory, as `--tmpfs` gives them.
    pub(crate) fn memories(&self) -> &[String] {
        &self.memories
    }

    /// The key of the volumes that have none of their own.
    pub(crate) fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// Whether the mounts are read-only that do not say otherwise.
    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Refuses the option of other runtimes.
    pub(crate) fn check_mapdir(&self) -> Result<(), Failure> {
        match self.mapdir.first() {
            None => Ok(()),
            Some(text) => Err(Failure::new(
                format!("--mapdir {text}: there is no such option"),
                "use --plain-dir HOST::GUEST for an ordinary folder, or --dir VOLUME::GUEST for a \
                 protected volume",
            )),
        }
    }

    /// Opens the files and folders of the mounts. Unless `quiet`, prints a note about each volume
    /// that is created.
    pub(crate) fn prepare(&self, quiet: bool) -> Result<Prepared, Failure> {
        self.check_mapdir()?;
        let mut prepared = Prepared::default();
        for Given { host, guest, options, .. } in self.volumes()? {
            let options = self.with_defaults(options);
            options.check_key()?;
            prepared.mount_volume(host, guest, None, options, quiet)?;
        }
        for Given { host, guest, options, .. } in self.folders()? {
            let MountOptions { read_only, without, .. } = self.with_defaults(options);
            prepared.folder(host, guest, read_only.unwrap_or_default(), &without)?;
        }
        for text in &self.memories {
            let (guest, size) = memory(text)?;
            prepared.mount(guest, Source::Memory(size), false)?;
        }
        Ok(prepared)
    }
}

/// Whether both paths name the same file.
pub(crate) fn same_file(a: &Path, b: &Path) -> bool {
    let inode = |path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    inode(a).is_some_and(|a| Some(a) == inode(b))
}

fn bad_size(text: &str, error: &str) -> Failure {
    Failure::new(format!("--tmpfs {text}: {error}"), "write it as --tmpfs /tmp=64MiB")
}

impl Prepared {
    /// Checks that a file of this kind, which the run is to write, overwrites nothing but an older
    /// one, and no volume of the run. These are empty where they are new.
    ///
    /// # Errors
    /// It would, or the file can't be read.
    pub(crate) fn check_output(&self, kind: &Kind, path: Option<&Path>) -> Result<(), Failure> {
        let Some(path) = path else { return Ok(()) };
        match self.files.iter().any(|volume| same_file(volume, path)) {
            true => Err(kind.refused(path)),
            false => kind.check(path),
        }
    }

    /// Mounts `source` at `guest`.
    pub(crate) fn mount(
        &mut self,
        guest: &str,
        source: Source,
        read_only: bool,
    ) -> Result<(), Failure> {
        if guest.is_empty() || guest.contains('\0') {
            return Err(Failure::new(
                format!("{guest:?} is not a valid path in the program"),
                "write the mount as HOST::GUEST",
            ));
        }
        if self.mounts.iter().any(|mount| mount.guest == guest) {
            return Err(Failure::new(
                format!("two mounts have the same path {guest}"),
                "give each mount its own path: HOST::GUEST",
            ));
        }
        self.mounts.push(Mount { guest: guest.to_owned(), source, read_only });
        Ok(())
    }

    /// Mounts the volume in the file `host` at `/` with the options in `arguments`. `main` is the
    /// name of its main file, if it has one.
    pub(crate) fn volume(
        &mut self,
        host: &Path,
        main: Option<MainFile>,
        arguments: &Mounts,
        quiet: bool,
    ) -> Result<(), Failure> {
        let options = arguments.with_defaults(MountOptions::default());
        options.check_key()?;
        self.mount_volume(host, "/", main, options, quiet)
    }

    /// Mounts the volume in the file `host`. If it does not exist, it is created, unless the mount
    /// is read-only.
    pub(crate) fn mount_volume(
        &mut self,
        host: &Path,
        guest: &str,
        main: Option<MainFile>,
        options: MountOptions,
        quiet: bool,
    ) -> Result<(), Failure> {
        let MountOptions { read_only, key, cache, .. } = options;
        let read_only = read_only.unwrap_or_default();
        let named = key.unwrap_or(Key::Sealed(Sealing::default()));
        if self.files.iter().any(|mounted| same_file(mounted, host)) {
            return Err(Failure::new(
                format!("{} is mounted twice", host.display()),
                "mount each volume once",
            ));
        }
        let access = if read_only { Access::Read } else { Access::Create };
        // After an error here, opening the file fails too, and says why.
        let new = host.try_exists().is_ok_and(|exists| !exists);
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
                print_error!("twine: created {}: a new volume, {named}", host.display());
            });
        }
        let number = self.resources.storages.len() as u64;
        self.resources.storages.push(storage);
        let source = VolumeSource { storage: number, key, create, cache, main };
        self.mount(guest, Source::Volume(source), read_only)
    }

    /// Mounts the files of an OCI image at `/`. The program can only read them.
    pub(crate) fn image(&mut self, files: Files) -> Result<(), Failure> {
        self.folder(files.folder(), "/", true, &[])?;
        self.image = Some(files);
        Ok(())
    }

    /// Mounts a folder, without the paths below it in `without`.
    pub(crate) fn folder(
        &mut self,
        host: &Path,
        guest: &str,
        read_only: bool,
        without: &[PathBuf],
    ) -> Result<(), Failure> {
        let mut folder = Folder::open(host, read_only).map_err(|error| {
            Failure::system(
                format!("the folder {} can't be opened: {error}", host.display()),
                &error,
                "check the path: it must be a folder that this user can read",
            )
        })?;
        for path in without {
            // The root of `/` is no name below it.
            let path = host.join(path.strip_prefix("/").unwrap_or(path));
            folder.refuse(&path).map_err(|error| {
                Failure::system(
                    format!("--plain-dir without={}: {error}", path.display()),
                    &error,
                    "name a path below the folder that is there, or leave the option out",
                )
            })?;
        }
        let number = self.resources.folders.len() as u64;
        self.resources.folders.push(folder);
        self.mount(guest, Source::Folder(number), read_only)
    }
}
