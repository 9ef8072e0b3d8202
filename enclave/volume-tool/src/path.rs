//! Resolves paths in a tree.

use std::collections::VecDeque;
use twine_vfs::{Error, FileKind, FileSystem, Inode, Result};

/// Limit on the symbolic links in a path (Linux's limit).
const MAX_LINKS: usize = 40;

/// The end of a path: a name in a directory, which may be free. Both inodes are held until
/// [`release`](Spot::release).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) directory: Inode,
    /// Empty if the path does not end with a name, but at the root, or in `.` or `..`.
    pub(crate) name: String,
    /// The inode with this name.
    pub(crate) inode: Option<Inode>,
    /// Whether the path ends with a slash, so that it can only lead to a directory.
    pub(crate) slash: bool,
}

impl Spot {
    pub(crate) fn release(self, files: &mut dyn FileSystem) {
        files.release(self.directory);
        if let Some(inode) = self.inode {
            files.release(inode);
        }
    }

    /// Returns the inode, still held, and releases the directory.
    pub(crate) fn found(self, files: &mut dyn FileSystem) -> Result<Inode> {
        files.release(self.directory);
        self.inode.ok_or(Error::NotFound)
    }
}

/// The last name of a path; empty if it has none.
pub(crate) fn last_name(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit('/').next() {
        None | Some("." | "..") => "",
        Some(name) => name,
    }
}

/// Resolves a path from the root. If `follow` is set, follows a symbolic link at its end. `..`
/// leads to the parent of the directory that the links led to, and stays at the root.
pub(crate) fn locate(files: &mut dyn FileSystem, path: &str, follow: bool) -> Result<Spot> {
    let mut way = Way { above: vec![files.root()], rest: names(path), links: 0 };
    let slash = path.ends_with('/') || path.ends_with("/.");
    let result = way.go(files, follow || slash);
    let directory = way.end(files);
    match result {
        Ok((name, inode)) => {
            let spot = Spot { directory, name, inode, slash };
            match is_file(files, &spot) {
                Ok(false) => Ok(spot),
                Ok(true) => {
                    spot.release(files);
                    Err(Error::NotDirectory)
                }
                Err(error) => {
                    spot.release(files);
                    Err(error)
                }
            }
        }
        Err(error) => {
            files.release(directory);
            Err(error)
        }
    }
}

/// Whether a path that can only lead to a directory leads to something else.
fn is_file(files: &mut dyn FileSystem, spot: &Spot) -> Result<bool> {
    match spot.inode {
        Some(inode) if spot.slash => Ok(files.attributes(inode)?.kind != FileKind::Directory),
        _ => Ok(false),
    }
}

fn names(path: &str) -> VecDeque<String> {
    path.split('/').filter(|name| !name.is_empty() && *name != ".").map(str::to_owned).collect()
}

/// The state of resolving a path.
struct Way {
    /// The root and the directories that were entered, all held.
    above: Vec<Inode>,
    rest: VecDeque<String>,
    links: usize,
}

impl Way {
    fn directory(&self, files: &dyn FileSystem) -> Inode {
        self.above.last().copied().unwrap_or_else(|| files.root())
    }

    /// Releases all directories but the last, and returns that one.
    fn end(&mut self, files: &mut dyn FileSystem) -> Inode {
        let last = self.directory(files);
        self.above.pop();
        for directory in self.above.drain(..) {
            files.release(directory);
        }
        last
    }

    /// Resolves the path to its end. Returns the last name, and the inode with that name.
    fn go(&mut self, files: &mut dyn FileSystem, follow: bool) -> Result<(String, Option<Inode>)> {
        while let Some(name) = self.rest.pop_front() {
            if name == ".." {
                if self.above.len() > 1 {
                    let directory = self.directory(files);
                    self.above.pop();
                    files.release(directory);
                }
                continue;
            }
            let last = self.rest.is_empty();
            let inode = match files.lookup(self.directory(files), &name) {
                Ok(inode) => inode,
                Err(Error::NotFound) if last => return Ok((name, None)),
                Err(error) => return Err(error),
            };
            let kind = files.attributes(inode).map(|attributes| attributes.kind);
            match kind {
                Ok(FileKind::SymbolicLink) if follow || !last => {
                    let target = files.read_link(inode);
                    files.release(inode);
                    self.turn(files, &target?)?;
                }
                Ok(_) if last => return Ok((name, Some(inode))),
                Ok(FileKind::Directory) => self.above.push(inode),
                other => {
                    files.release(inode);
                    other?;
                    return Err(Error::NotDirectory);
                }
            }
        }
        // The directory needs one hold, and the inode that was found another.
        let found = self.above.pop().unwrap_or_else(|| files.root());
        if self.above.is_empty() {
            self.above.push(files.root());
        }
        Ok((String::new(), Some(found)))
    }

    /// Continues with the target of a symbolic link.
    fn turn(&mut self, files: &mut dyn FileSystem, target: &str) -> Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Error::Loop);
        }
        if target.starts_with('/') {
            for directory in self.above.drain(1..).rev() {
                files.release(directory);
            }
        }
        for name in names(target).into_iter().rev() {
            self.rest.push_front(name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twine_vfs::Memory;

    fn tree() -> Memory {
        let mut files = Memory::new(1 << 20, Box::new(|| 7));
        let root = files.root();
        files.create_directory(root, "a").unwrap();
        let a = files.lookup(root, "a").unwrap();
        files.create_file(a, "file").unwrap();
        files.create_directory(a, "b").unwrap();
        for (name, target) in
            [("up", "../a/b/.."), ("abs", "/a/file"), ("loop", "loop"), ("gone", "no")]
        {
            files.create_symbolic_link(a, name, target).unwrap();
        }
        files
    }

    fn kind(path: &str, follow: bool) -> Result<FileKind> {
        let mut files = tree();
        let inode = locate(&mut files, path, follow)?.found(&mut files)?;
        Ok(files.attributes(inode)?.kind)
    }

    #[test]
    fn paths_are_followed_as_a_system_follows_them() {
        for (path, expected) in [
            ("", Ok(FileKind::Directory)),
            ("/", Ok(FileKind::Directory)),
            ("..//../a/./b", Ok(FileKind::Directory)),
            ("a/file", Ok(FileKind::File)),
            ("a/file/", Err(Error::NotDirectory)),
            ("a/file/x", Err(Error::NotDirectory)),
            ("a/up/file", Ok(FileKind::File)),
            ("a/abs", Ok(FileKind::File)),
            ("a/loop", Err(Error::Loop)),
            ("a/loop/x", Err(Error::Loop)),
            ("a/gone", Err(Error::NotFound)),
            ("a/no/x", Err(Error::NotFound)),
            ("a/b/..", Ok(FileKind::Directory)),
        ] {
            assert_eq!(kind(path, true), expected, "{path}");
        }
        assert_eq!(kind("a/loop", false), Ok(FileKind::SymbolicLink));
        assert_eq!(kind("a/up/", false), Ok(FileKind::Directory), "a slash follows");
    }

    #[test]
    fn a_missing_path_is_a_name_in_its_directory() {
        let mut files = tree();
        let spot = locate(&mut files, "a/up/new", true).unwrap();
        assert_eq!((spot.name.as_str(), spot.inode), ("new", None));
        files.create_file(spot.directory, &spot.name).unwrap();
        assert_eq!(locate(&mut files, "a/new", true).unwrap().name, "new");
        let dangling = locate(&mut files, "a/gone", true).unwrap();
        assert_eq!((dangling.name.as_str(), dangling.inode), ("no", None));
    }

    #[test]
    fn the_last_name_of_a_path_is_empty_where_it_names_none() {
        for (path, name) in
            [("a/b", "b"), ("a/b//", "b"), ("a", "a"), ("/", ""), ("", ""), (".", ""), ("a/..", "")]
        {
            assert_eq!(last_name(path), name, "{path}");
        }
    }
}
