//! The layer with a program and its files: a tar archive.

use crate::WHITEOUT;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// What an archive has at a path.
enum Entry {
    Folder,
    File { bytes: Vec<u8>, executable: bool },
    Link(PathBuf),
}

/// The files of a layer, by their paths in the image.
#[derive(Default)]
pub(crate) struct Files(BTreeMap<PathBuf, Entry>);

impl Files {
    /// Adds a file, and the folders that it is in.
    ///
    /// # Errors
    /// When the path has no name, or leads out of the image.
    pub(crate) fn add(&mut self, path: &str, bytes: Vec<u8>, executable: bool) -> Result<()> {
        let inside = inside(path)?;
        if inside.as_os_str().is_empty() {
            return Err(Error::Recipe {
                cause: format!("{path:?} names no file in the image"),
                remedy: "write the path of a file".into(),
            });
        }
        self.insert(inside, Entry::File { bytes, executable })
    }

    /// Adds a file or a folder of this machine, with all that is in it. A symbolic link inside a
    /// folder stays a link.
    ///
    /// # Errors
    /// When something can't be read, or is neither file, folder nor link.
    pub(crate) fn add_tree(&mut self, host: &Path, path: &str) -> Result<()> {
        let path = inside(path)?;
        let metadata = fs::metadata(host).map_err(Error::at(host))?;
        self.add_found(host, path, &metadata)
    }

    fn add_found(&mut self, host: &Path, path: PathBuf, metadata: &fs::Metadata) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let entry = if metadata.is_dir() {
            let mut names = fs::read_dir(host)
                .and_then(|entries| entries.collect::<io::Result<Vec<_>>>())
                .map_err(Error::at(host))?;
            names.sort_by_key(fs::DirEntry::file_name);
            for name in names {
                let (host, path) = (name.path(), path.join(name.file_name()));
                let metadata = host.symlink_metadata().map_err(Error::at(&host))?;
                self.add_found(&host, path, &metadata)?;
            }
            Entry::Folder
        } else if metadata.is_file() {
            let bytes = fs::read(host).map_err(Error::at(host))?;
            Entry::File { bytes, executable: metadata.permissions().mode() & 0o111 != 0 }
        } else if metadata.is_symlink() {
            Entry::Link(fs::read_link(host).map_err(Error::at(host))?)
        } else {
            return Err(Error::Recipe {
                cause: format!("{} is neither a file, a folder nor a link", host.display()),
                remedy: "leave it out of the image".into(),
            });
        };
        self.insert(path, entry)
    }

    fn insert(&mut self, path: PathBuf, entry: Entry) -> Result<()> {
        if path.iter().any(|name| name.as_bytes().starts_with(WHITEOUT)) {
            return Err(Error::Recipe {
                cause: format!("/{} would remove a file of the image", path.display()),
                remedy: "give it a name that does not begin with .wh.".into(),
            });
        }
        for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
            let there = self.0.entry(folder.to_owned()).or_insert(Entry::Folder);
            if !matches!(there, Entry::Folder) {
                return Err(twice(folder));
            }
        }
        // The image has a root folder in any case.
        if path.as_os_str().is_empty() {
            return Ok(());
        }
        match (self.0.get(&path), &entry) {
            (None, _) => self.0.insert(path, entry),
            (Some(Entry::Folder), Entry::Folder) => None,
            _ => return Err(twice(&path)),
        };
        Ok(())
    }

    /// The archive. It depends on paths and contents alone: owners are 0, times are 1970.
    pub(crate) fn archive(&self) -> Vec<u8> {
        let mut archive = Builder::new(Vec::new());
        self.write(&mut archive)
            .and_then(|()| archive.into_inner())
            .expect("writing to memory does not fail")
    }

    fn write(&self, archive: &mut Builder<Vec<u8>>) -> io::Result<()> {
        for (path, entry) in &self.0 {
            let mut header = Header::new_gnu();
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            let (kind, mode, bytes) = match entry {
                Entry::Folder => (EntryType::Directory, 0o755, &[][..]),
                Entry::File { bytes, executable: true } => (EntryType::Regular, 0o755, &bytes[..]),
                Entry::File { bytes, executable: false } => (EntryType::Regular, 0o644, &bytes[..]),
                Entry::Link(_) => (EntryType::Symlink, 0o777, &[][..]),
            };
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_size(bytes.len() as u64);
            match entry {
                // A target stays as it is; only a long one gets an entry of its own.
                Entry::Link(target)
                    if header.set_link_name_literal(target.as_os_str().as_bytes()).is_err() =>
                {
                    archive.append_link(&mut header, path, target)?;
                }
                _ => archive.append_data(&mut header, path, bytes)?,
            }
        }
        Ok(())
    }
}

fn twice(path: &Path) -> Error {
    Error::Recipe {
        cause: format!("two files have the path /{} in the image", path.display()),
        remedy: "give each file its own path: --file HOST::GUEST".into(),
    }
}

/// A path in the image, without the slash in front.
fn inside(path: &str) -> Result<PathBuf> {
    let mut inside = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(Error::Recipe {
                    cause: format!("{path} leads out of the image"),
                    remedy: "write the path in the image without `..`".into(),
                });
            }
        }
    }
    Ok(inside)
}
