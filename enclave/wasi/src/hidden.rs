//! Finds names of one mount that another mount hides.

use twine_vfs::{Error, FileKind, FileSystem};

/// Whether a mount at the guest path `path` would hide a name of `files`, which is mounted at
/// `mounted_at`. Programs look a path up in the mount with the longest path that matches.
///
/// Guest paths are compared as in wasi-libc: `data`, `./data` and `/data` are the same path. A
/// symbolic link in the path counts as hidden, whatever its target.
///
/// # Errors
/// `files` cannot be read.
pub fn hides(files: &mut dyn FileSystem, mounted_at: &str, path: &str) -> Result<bool, Error> {
    let (above, names) = (names(mounted_at), names(path));
    let Some(below) = names.strip_prefix(&above[..]) else { return Ok(false) };
    let mut inode = files.root();
    for (at, name) in below.iter().enumerate() {
        let found = files.lookup(inode, name);
        files.release(inode);
        inode = match found {
            Ok(found) => found,
            Err(Error::NotFound | Error::Invalid | Error::NameTooLong) => return Ok(false),
            Err(error) => return Err(error),
        };
        let is_last = at + 1 == below.len();
        let verdict = match files.attributes(inode).map(|attributes| attributes.kind) {
            Ok(FileKind::Directory) => continue,
            Ok(FileKind::File) => Ok(is_last),
            Ok(FileKind::SymbolicLink) => Ok(true),
            Err(error) => Err(error),
        };
        files.release(inode);
        return verdict;
    }
    files.release(inode);
    Ok(true)
}

/// The names in a guest path from its root on, with `..` resolved.
fn names(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for name in path.split('/').filter(|name| !["", "."].contains(name)) {
        match name {
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            _ => names.push(name),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use twine_vfs::Memory;

    fn tree() -> Memory {
        let mut files = Memory::new(1 << 20, Box::new(|| 0));
        let root = files.root();
        files.create_directory(root, "keys").unwrap();
        let keys = files.lookup(root, "keys").unwrap();
        let inner = files.create_file(keys, "k.db").unwrap();
        files.release(inner);
        files.create_symbolic_link(root, "link", "nowhere").unwrap();
        files.release(keys);
        files
    }

    #[test]
    fn a_name_that_is_there_is_hidden_however_the_paths_are_written() {
        let mut files = tree();
        for (mounted_at, path) in [
            ("/data", "/data/keys"),
            ("/data", "/data/keys/"),
            ("/data", "data/keys"),
            ("data", "/data//./keys"),
            ("./data/", "/data/keys/k.db"),
            ("/data", "/data/gone/../keys"),
            ("/", "keys"),
            ("/", "/keys/k.db"),
            (".", "/keys"),
            ("/data", "/data"),
            ("/data", "data"),
            ("/data", "/data/link"),
            ("/data", "/data/link/new"),
        ] {
            assert_eq!(hides(&mut files, mounted_at, path), Ok(true), "{path} on {mounted_at}");
        }
    }

    #[test]
    fn nothing_is_hidden_by_new_names_and_elsewhere() {
        let mut files = tree();
        for (mounted_at, path) in [
            ("/data", "/data/new"),
            ("/data", "/data/new/keys"),
            ("/data", "/data/keys/new"),
            ("/data", "/data/keys/k.db/new"),
            ("/data", "/database/keys"),
            ("/data", "/keys"),
            ("/data", "/"),
            ("/data/keys", "/data"),
            ("/data", "/data/keys/../new"),
            ("/data", "/data/../keys"),
            ("/data", "../data/keys"),
        ] {
            assert_eq!(hides(&mut files, mounted_at, path), Ok(false), "{path} on {mounted_at}");
        }
        let long = format!("/data/{}", "n".repeat(300));
        assert_eq!(hides(&mut files, "/data", &long), Ok(false));
    }
}
