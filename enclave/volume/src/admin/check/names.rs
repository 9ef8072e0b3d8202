//! Compares inodes with their names and their items, and finds their paths.

use super::Check;
use crate::format::attributes::Attributes;
use crate::format::block::blocks_of;
use crate::format::dirent;
use crate::format::item::{Key, Subject};
use crate::format::numbers::InodeNo;
use std::collections::{HashMap, HashSet};
use twine_vfs::FileKind;

/// Limit on the length of a path in bytes. Of a longer path, only the end is shown.
const MAX_PATH_BYTES: usize = 4096;

/// The place of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    /// The inode to which the name leads.
    pub(super) inode: InodeNo,
    pub(super) directory: InodeNo,
    pub(super) cookie: u64,
}

/// The attributes of an inode that the check compares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Says {
    kind: FileKind,
    links: u64,
    size: u64,
    parent: InodeNo,
}

impl From<Attributes> for Says {
    fn from(attributes: Attributes) -> Self {
        let Attributes { kind, links, size, parent, .. } = attributes;
        Says { kind, links, size, parent }
    }
}

/// The state of an inode in the search for circles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Way {
    #[default]
    Unknown,
    /// The inode is on the path that is being followed.
    Here,
    /// The path from this inode upwards was followed to its end.
    Ends,
}

/// What the check has found about an inode.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Whether there are attributes.
    pub(super) is_there: bool,
    /// The attributes, if they are valid.
    pub(super) says: Option<Says>,
    pub(super) names: u64,
    /// The kind of the inode according to the last of its names.
    pub(super) named_kind: Option<FileKind>,
    /// The place of its first name. For a directory, the place with which its attributes agree, if
    /// there is one.
    pub(super) spot: Option<Spot>,
    pub(super) marked: bool,
    /// Index of the block after its last one.
    pub(super) blocks: u64,
    pub(super) target_bytes: u64,
    pub(super) has_entries: bool,
    /// Whether there are items that only a file or only a symbolic link can have, even without
    /// contents.
    pub(super) has_data: bool,
    pub(super) has_target: bool,
    way: Way,
}

impl Known {
    fn is_directory(&self) -> bool {
        self.says.is_some_and(|says| says.kind == FileKind::Directory)
    }
}

impl Check<'_> {
    /// Checks each inode, and then how directories contain each other.
    pub(super) fn inodes(&mut self) {
        let next = self.engine.inodes().next();
        if next <= InodeNo::ROOT || next.0 == u64::MAX {
            self.find(None, false, format!("the number of the next inode is {next}"));
        }
        if !self.torn && !self.inodes.get(&InodeNo::ROOT).is_some_and(Known::is_directory) {
            self.find(None, true, "there is no root directory");
        }
        self.choose_spots();
        // Findings about an inode do not change what is known of it.
        let inodes = std::mem::take(&mut self.inodes);
        for (&inode, known) in &inodes {
            if inode >= next {
                self.find(
                    Some(inode),
                    false,
                    format!("its number was never given: {next} is next"),
                );
            }
            match &known.says {
                Some(says) => self.inode(inode, known, *says),
                None if known.is_there => {}
                None => self.missing(inode, known),
            }
        }
        self.inodes = inodes;
        self.circles();
        for spot in std::mem::take(&mut self.more_names) {
            self.one_more_name(spot);
        }
    }

    /// For a directory with several names, chooses the one with which its attributes agree.
    fn choose_spots(&mut self) {
        let mut spots = std::mem::take(&mut self.more_names);
        for other in &mut spots {
            let Some(known) = self.inodes.get_mut(&other.inode) else { continue };
            let parent = known.says.map(|says| says.parent);
            let Some(first) = known.spot.as_mut() else { continue };
            if Some(first.directory) != parent && Some(other.directory) == parent {
                std::mem::swap(first, other);
            }
        }
        self.more_names = spots;
    }

    /// Reports an inode that has no attributes.
    fn missing(&mut self, inode: InodeNo, known: &Known) {
        if known.names > 0 {
            self.find(Some(inode), true, "there is a name for it, but it is gone");
        } else if self.torn {
            // Its attributes may be in an unreadable part.
        } else if known.marked {
            self.find(Some(inode), false, "it is to be removed, but it is gone");
        } else {
            self.find(Some(inode), true, "something of it is there, but it is gone");
        }
    }

    /// Compares an inode with its names and its items.
    fn inode(&mut self, inode: InodeNo, known: &Known, says: Says) {
        if known.named_kind.is_some_and(|kind| kind != says.kind) {
            self.find(Some(inode), false, "its name says that it is of another kind");
        }
        let names = known.names + u64::from(inode == InodeNo::ROOT);
        if names != says.links || names == 0 && !known.marked {
            let uncertain = if self.torn { ", as far as can be read" } else { "" };
            let links = says.links;
            let what = format!("it has {names} names{uncertain}, and counts {links}");
            self.find(Some(inode), names == 0, what);
        }
        let (file, directory, link) = match says.kind {
            FileKind::File => (true, false, false),
            FileKind::Directory => (false, true, false),
            FileKind::SymbolicLink => (false, false, true),
        };
        let strange =
            known.has_entries && !directory || known.has_data && !file || known.has_target && !link;
        if strange {
            self.find(Some(inode), false, "it has what nothing of its kind can have");
        }
        if file && known.blocks > blocks_of(says.size) && !known.marked {
            self.find(Some(inode), false, "it has blocks beyond its end");
        }
        if link && known.target_bytes != says.size && !self.torn {
            self.find(Some(inode), true, "what it leads to is not as long as it should be");
        }
        if inode == InodeNo::ROOT {
            if known.names > 0 || says.parent != InodeNo::ROOT {
                self.find(Some(inode), true, "the root directory is in another one");
            }
        } else if directory
            && let Some(spot) = known.spot
            && spot.directory != says.parent
        {
            let Spot { directory, .. } = spot;
            let what =
                format!("it is in directory {directory}, and says that it is in {}", says.parent);
            self.find(Some(inode), true, what);
        }
    }

    /// Finds directories that contain each other and are in no others. Visits each inode once.
    fn circles(&mut self) {
        let directories: Vec<InodeNo> = self
            .inodes
            .iter()
            .filter(|(_, known)| known.is_directory())
            .map(|(at, _)| *at)
            .collect();
        let mut way = Vec::new();
        for directory in directories {
            let mut at = directory;
            while at != InodeNo::ROOT {
                let Some(known) = self.inodes.get_mut(&at) else { break };
                match known.way {
                    Way::Unknown => known.way = Way::Here,
                    Way::Here => {
                        let what = "the directory is below itself, and nowhere else";
                        self.find(Some(at), true, what);
                        break;
                    }
                    Way::Ends => break,
                }
                way.push(at);
                let Some(known) = self.inodes.get(&at) else { break };
                let Some(spot) = known.spot else { break };
                at = spot.directory;
            }
            for passed in way.drain(..) {
                self.known(passed).way = Way::Ends;
            }
        }
    }

    /// Reports a further name of a directory.
    fn one_more_name(&mut self, spot: Spot) {
        let Spot { inode, directory, .. } = spot;
        let name = self.name(&spot).unwrap_or_default();
        let what = if inode == directory {
            format!("the directory is in itself, as {name:?}")
        } else if self.is_below(directory, inode) {
            format!("{name:?} in it leads to directory {inode}, which it is in: a circle")
        } else {
            format!("{name:?} in it leads to directory {inode}, which has another name")
        };
        self.find(Some(directory), true, what);
    }

    /// Whether a directory is below another one. The walk upwards ends: circles were found before,
    /// and a long path is given up.
    fn is_below(&self, directory: InodeNo, above: InodeNo) -> bool {
        let mut at = directory;
        for _ in 0..MAX_PATH_BYTES {
            if at == above {
                return true;
            }
            match self.inodes.get(&at).and_then(|known| known.spot) {
                Some(spot) if at != InodeNo::ROOT => at = spot.directory,
                _ => return false,
            }
        }
        false
    }

    /// Reads the name at a place, if possible.
    fn name(&mut self, spot: &Spot) -> Option<String> {
        let key = Key::new(spot.directory, Subject::Entry, spot.cookie);
        let name = |value: &[u8]| dirent::parse(value).map(|(.., name)| name.to_owned()).ok();
        self.engine.space_mut().get(&key, name).ok().flatten().flatten()
    }

    /// Returns the path of an inode, as far as the tree can be read, or the end of a long path.
    /// Returns `None` in a circle of directories.
    pub(super) fn path(&mut self, inode: InodeNo, paths: &mut Paths) -> Option<String> {
        let mut names: Vec<String> = Vec::new();
        let mut passed = HashSet::new();
        let mut bytes = 0;
        let mut at = inode;
        while at != InodeNo::ROOT {
            if !passed.insert(at) {
                return None;
            }
            let spot = self.inodes.get(&at)?.spot?;
            let name = match paths.0.get(&at) {
                Some(name) => name.clone(),
                None => {
                    let name = self.name(&spot);
                    paths.0.entry(at).or_insert(name).clone()
                }
            }?;
            bytes += 1 + name.len();
            names.push(name);
            if bytes > MAX_PATH_BYTES {
                names.push("...".into());
                names.reverse();
                return Some(names.join("/"));
            }
            at = spot.directory;
        }
        names.reverse();
        Some(format!("/{}", names.join("/")))
    }
}

/// The names of inodes on the paths so far.
#[derive(Default)]
pub(super) struct Paths(HashMap<InodeNo, Option<String>>);
