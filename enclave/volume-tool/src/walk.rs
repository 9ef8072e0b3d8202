//! Walks a directory and everything below it without recursion: a tree may be deeper than a stack.

use std::collections::{HashSet, VecDeque};
use twine_vfs::{Error, FileKind, FileSystem, Inode, Result};

/// Number of names that are read at a time if the order does not matter.
const AT_ONCE: usize = 256;

/// Limit on the names that wait, of all directories of the walk: a tree may have more than there is
/// memory. Beyond it, sorted names come in runs, each of which is sorted.
const MAX_WAITING: usize = 1 << 16;

/// Limit on the size of a path in messages, in bytes. Only the end of a longer path is shown.
const MAX_SHOWN: usize = 4096;

/// Why the walk does not enter a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It cannot be read, or is not a directory.
    Files(Error),
    /// The walk is inside it: the directory is below itself.
    InItself,
    /// The walk was inside it before. A directory must have only one name.
    Again,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused::Files(error)
    }
}

/// For callers without an error for it: it is damage.
impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Files(error) => error,
            Refused::InItself | Refused::Again => Error::Io,
        }
    }
}

/// An entry of a directory; not held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) inode: Inode,
    pub(crate) kind: FileKind,
    /// Whether it is the last entry of its directory. Only known if names are sorted.
    pub(crate) last: bool,
}

/// A step of the walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// An entry of the present directory.
    Item(Item),
    /// The walk left the directory with this name, and is in its parent.
    Left(String),
}

struct Level {
    directory: Inode,
    name: String,
    ahead: VecDeque<Item>,
    cookie: u64,
    read: bool,
}

/// A walk through a directory and the directories below it that the caller enters. It ends in any
/// tree, even if somebody has made cycles, because it enters no directory twice.
pub(crate) struct Walk {
    levels: Vec<Level>,
    /// The directories of `levels`.
    inside: HashSet<Inode>,
    /// The directories that the walk has left. Not recorded on a shared file system, where others
    /// can reuse an inode, and which itself ensures that a directory has one name.
    left: HashSet<Inode>,
    /// The path from the first directory, with a slash after each name.
    path: String,
    sorted: bool,
    /// How many names were read and not returned yet.
    waiting: usize,
    most: usize,
}

impl Walk {
    /// Starts in `directory`, and takes over the caller's hold on it.
    pub(crate) fn new(directory: Inode, sorted: bool) -> Self {
        let mut walk = Walk {
            levels: Vec::new(),
            inside: HashSet::new(),
            left: HashSet::new(),
            path: String::new(),
            sorted,
            waiting: 0,
            most: MAX_WAITING,
        };
        walk.push(directory, String::new());
        walk
    }

    fn push(&mut self, directory: Inode, name: String) {
        if !self.levels.is_empty() {
            self.path.push_str(&name);
            self.path.push('/');
        }
        self.inside.insert(directory);
        self.levels.push(Level { directory, name, ahead: VecDeque::new(), cookie: 0, read: false });
    }

    /// The present directory. `None` at the end of the walk.
    pub(crate) fn directory(&self) -> Option<Inode> {
        self.levels.last().map(|level| level.directory)
    }

    /// The path from the first directory to `name` in the present one, or the end of a long path.
    pub(crate) fn path(&self, name: &str) -> String {
        let most = self.path.len().saturating_sub(MAX_SHOWN);
        let cut = (most..self.path.len()).find(|&at| self.path.is_char_boundary(at));
        match self.path.get(cut.unwrap_or_default()..) {
            Some(end) if most > 0 => format!("...{end}{name}"),
            _ => format!("{}{name}", self.path),
        }
    }

    /// Returns the next step. After an error, continues with the other readable entries of its
    /// directory.
    pub(crate) fn next(&mut self, files: &mut dyn FileSystem) -> Result<Option<Step>> {
        loop {
            let sorted = self.sorted;
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            if let Some(item) = level.ahead.pop_front() {
                self.waiting = self.waiting.saturating_sub(1);
                return Ok(Some(Step::Item(item)));
            }
            if !level.read {
                let room = self.most.saturating_sub(self.waiting).max(1);
                let most = if sorted { room } else { room.min(AT_ONCE) };
                let result = level.read_on(files, sorted, most);
                self.waiting += level.ahead.len();
                result?;
                continue;
            }
            let left = self.skip(files);
            return Ok(left.filter(|_| !self.levels.is_empty()).map(Step::Left));
        }
    }

    /// Enters a directory that [`next`](Self::next) has just returned.
    pub(crate) fn enter(&mut self, files: &mut dyn FileSystem, name: &str) -> Result<(), Refused> {
        let Some(directory) = self.directory() else { return Err(Error::NotFound.into()) };
        let inode = files.lookup(directory, name)?;
        let entered = match files.attributes(inode) {
            Ok(attributes) if attributes.kind != FileKind::Directory => {
                Err(Error::NotDirectory.into())
            }
            Ok(_) if self.inside.contains(&inode) => Err(Refused::InItself),
            Ok(_) if self.left.contains(&inode) => Err(Refused::Again),
            Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        };
        match entered {
            Ok(()) => self.push(inode, name.to_owned()),
            Err(_) => files.release(inode),
        }
        entered
    }

    /// Leaves the present directory, and returns its name.
    pub(crate) fn skip(&mut self, files: &mut dyn FileSystem) -> Option<String> {
        let level = self.levels.pop()?;
        self.waiting = self.waiting.saturating_sub(level.ahead.len());
        self.inside.remove(&level.directory);
        if !files.is_shared() {
            self.left.insert(level.directory);
        }
        files.release(level.directory);
        self.path.truncate(self.path.len().saturating_sub(level.name.len() + 1));
        Some(level.name)
    }

    /// Ends the walk before its end.
    pub(crate) fn end(self, files: &mut dyn FileSystem) {
        for level in self.levels {
            files.release(level.directory);
        }
    }
}

impl Level {
    /// Reads at most `most` names.
    fn read_on(&mut self, files: &mut dyn FileSystem, sorted: bool, most: usize) -> Result<()> {
        let mut more = false;
        let (ahead, mut cookie) = (&mut self.ahead, self.cookie);
        let result = files.entries(self.directory, self.cookie, &mut |entry| {
            if ahead.len() == most {
                more = true;
                return false;
            }
            let (name, inode, kind) = (entry.name.to_owned(), entry.inode, entry.kind);
            ahead.push_back(Item { name, inode, kind, last: false });
            cookie = entry.cookie;
            true
        });
        // Entries before an error are returned too. After the error the directory has no more.
        self.read = result.is_err() || !more;
        self.cookie = cookie;
        if sorted {
            ahead.make_contiguous().sort_unstable_by(|one, other| one.name.cmp(&other.name));
            if let Some(last) = ahead.back_mut() {
                last.last = self.read;
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twine_vfs::Memory;

    /// Walks everything, with at most so many names at a time. Returns names and whether each is the
    /// last of its directory.
    fn walked(files: &mut Memory, sorted: bool, most: usize) -> Vec<(String, bool)> {
        let mut walk = Walk { most, ..Walk::new(files.root(), sorted) };
        let mut found = Vec::new();
        while let Some(step) = walk.next(files).unwrap() {
            let Step::Item(item) = step else { continue };
            found.push((walk.path(&item.name), item.last));
            if item.kind == FileKind::Directory {
                walk.enter(files, &item.name).unwrap();
            }
            let waiting: usize = walk.levels.iter().map(|level| level.ahead.len()).sum();
            assert_eq!(waiting, walk.waiting);
            assert!(waiting <= most.max(walk.levels.len()), "{waiting} names wait");
        }
        found
    }

    #[test]
    fn a_walk_has_few_names_in_memory_and_finds_each_once() {
        let mut files = Memory::new(1 << 20, Box::new(|| 7));
        let root = files.root();
        for name in ["c", "a", "e", "b", "d"] {
            files.create_directory(root, name).unwrap();
            let inner = files.lookup(root, name).unwrap();
            for name in ["3", "1", "2"] {
                let file = files.create_file(inner, name).unwrap();
                files.release(file);
            }
            files.release(inner);
        }
        let all = walked(&mut files, true, 1 << 16);
        assert_eq!(all.len(), 20);
        assert!(all.is_sorted(), "{all:?}");
        let last = |found: &[(String, bool)]| found.iter().filter(|(_, last)| *last).count();
        assert_eq!(last(&all), 6);
        for sorted in [true, false] {
            for most in [1, 2, 3, 7, 1 << 16] {
                let mut found = walked(&mut files, sorted, most);
                assert_eq!(last(&found), if sorted { 6 } else { 0 }, "{most}");
                found.sort();
                assert!(found.iter().map(|(name, _)| name).eq(all.iter().map(|(name, _)| name)));
            }
        }
    }
}
