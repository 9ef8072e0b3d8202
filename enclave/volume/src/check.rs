//! Checking a volume: every block is read and opened, every item looked at, and what is in
//! use compared with what is entered as in use.

use crate::block::{BLOCK_BYTES, Bytes, Kind, RESERVED_BLOCKS, zeroed};
use crate::cache::Name;
use crate::directory;
use crate::error::{Error, Result};
use crate::extents::{self, GROUP};
use crate::inode::{Attributes, ROOT};
use crate::log;
use crate::page::{self, Key, Subject};
use crate::pointer::Pointer;
use crate::space::{REGION_BLOCKS, WORDS};
use crate::tree::Step;
use crate::volume::Volume;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use twine_files::FileKind;

/// More findings than this are counted, not listed.
const MOST_FINDINGS: usize = 1000;

/// How far a check, or a move of blocks, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Blocks that were looked at, or moved.
    pub done: u64,
    /// Blocks in use, or to be moved.
    pub total: u64,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The path of what it is about, where that can be told.
    pub path: Option<String>,
    /// Something was lost. Otherwise only the volume's books are wrong.
    pub lost: bool,
    /// What it is.
    pub what: String,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Nodes of the tree that are whole.
    pub nodes: u64,
    /// Blocks of files that are whole.
    pub data_blocks: u64,
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub symbolic_links: u64,
    /// What is wrong; at most 1,000 of it.
    pub findings: Vec<Finding>,
    /// How much is wrong.
    pub finding_count: u64,
}

/// What is known of an inode.
#[derive(Default)]
struct Known {
    attributes: Option<Attributes>,
    names: u64,
    named_kind: Option<FileKind>,
    marked: bool,
}

/// A check that is going on. It takes a bit for each block, and some dozen bytes for each
/// inode.
struct Check<'a> {
    volume: &'a mut Volume,
    progress: &'a mut dyn FnMut(Progress),
    total: u64,
    done: u64,
    seen: Vec<u64>,
    inodes: BTreeMap<u64, Known>,
    /// What was found about inodes, before their paths are known.
    about: Vec<(Option<u64>, bool, String)>,
    count: u64,
    /// Parts of the tree could not be read, so what seems to be missing may be there.
    torn: bool,
    report: Report,
}

impl Volume {
    /// Verifies every block, the tree and the free space. Changes are made durable first,
    /// where the volume can be written.
    ///
    /// # Errors
    /// When those changes can't be written. Damage is no error: it is in the report.
    pub fn check(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<Report> {
        if !self.read_only && !self.stopped {
            self.commit()?;
            // If this mount has written nothing, it takes no space that damage may be in.
            if self.store.statistics.commits > 0 {
                self.commit_tree(true)?;
            }
        }
        let total = self.space.in_use();
        let words = self.space.blocks.div_ceil(REGION_BLOCKS) as usize * WORDS;
        let mut check = Check {
            volume: self,
            progress,
            total,
            done: 0,
            seen: vec![0; words],
            inodes: BTreeMap::new(),
            about: Vec::new(),
            count: 0,
            torn: false,
            report: Report::default(),
        };
        let root = check.volume.root;
        let level = check.volume.levels - 1;
        check.node(&root, level, None, None);
        check.names();
        check.space();
        check.finish()
    }
}

impl Check<'_> {
    fn find(&mut self, inode: Option<u64>, lost: bool, what: impl Into<String>) {
        self.count += 1;
        if self.about.len() < MOST_FINDINGS {
            self.about.push((inode, lost, what.into()));
        }
    }

    /// Counts a block as in use.
    fn sees(&mut self, block: u64, inode: Option<u64>) {
        self.done += 1;
        if self.done.is_multiple_of(4096) {
            (self.progress)(Progress { done: self.done, total: self.total });
        }
        if log::is_in_ring(block) {
            return;
        }
        if block < RESERVED_BLOCKS || block >= self.volume.space.blocks {
            self.find(inode, true, format!("a pointer leads to block {block}, out of the volume"));
            return;
        }
        let bit = 1 << (block % 64);
        let word = &mut self.seen[(block / 64) as usize];
        if *word & bit != 0 {
            self.find(inode, true, format!("block {block} is in use twice"));
        } else {
            *word |= bit;
        }
    }

    /// The bytes of a node, from the storage if they should be there.
    fn load(&mut self, pointer: &Pointer, level: u8) -> Result<Box<Bytes>> {
        let mut bytes = zeroed();
        if pointer.is_sealed() {
            self.volume.store.load(Kind::Node, pointer, &mut bytes)?;
        } else {
            let frame = self.volume.cache.find(Name::Node(pointer.block));
            let frame = frame.ok_or_else(|| Error::damaged("a tree node is gone"))?;
            bytes.copy_from_slice(self.volume.cache.bytes(frame));
        }
        if pointer.is_sealed() {
            page::validate(&bytes, level).map_err(Error::damaged)?;
        }
        Ok(bytes)
    }

    /// Looks at a node and all below. Its keys lie between two of its parent's.
    fn node(&mut self, pointer: &Pointer, level: u8, least: Option<Key>, end: Option<Key>) {
        self.sees(pointer.block, None);
        let bytes = match self.load(pointer, level) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.torn = true;
                let from = least.map_or(ROOT, |key| key.inode.max(ROOT));
                let to = end.map_or_else(|| "the last".into(), |key| key.inode.to_string());
                self.find(None, true, format!("what is of inodes {from} to {to}: {error}"));
                return;
            }
        };
        self.report.nodes += 1;
        let items = page::count(&bytes);
        for index in 0..items {
            let key = page::key(&bytes, index);
            let below = level > 0 && index == 0;
            if end.is_some_and(|end| key >= end) || !below && least.is_some_and(|least| key < least)
            {
                self.find(Some(key.inode), true, "an item is in the wrong part of the tree");
            }
            if level == 0 {
                self.item(&key, page::value(&bytes, index));
                continue;
            }
            let child = page::child(&bytes, index);
            let from = if index == 0 { least } else { Some(key) };
            let to = if index + 1 < items { Some(page::key(&bytes, index + 1)) } else { end };
            self.node(&child, level - 1, from, to);
        }
    }

    fn item(&mut self, key: &Key, value: &[u8]) {
        match key.subject {
            Subject::Attributes => match Attributes::decode(value) {
                Ok(attributes) => {
                    match attributes.kind {
                        FileKind::File => self.report.files += 1,
                        FileKind::Directory => self.report.directories += 1,
                        FileKind::SymbolicLink => self.report.symbolic_links += 1,
                    }
                    self.inodes.entry(key.inode).or_default().attributes = Some(attributes);
                }
                Err(error) => self.find(Some(key.inode), true, error.to_string()),
            },
            Subject::Extents => match extents::decode(value) {
                Ok(group) => self.data(key, &group),
                Err(error) => self.find(Some(key.inode), true, error.to_string()),
            },
            Subject::Entry => match directory::parse(value) {
                Ok((inode, kind, _)) => {
                    let known = self.inodes.entry(inode).or_default();
                    known.names += 1;
                    known.named_kind = Some(kind);
                }
                Err(error) => self.find(Some(key.inode), true, error.to_string()),
            },
            Subject::Orphan => self.inodes.entry(key.offset).or_default().marked = true,
            Subject::Target | Subject::Inline | Subject::Region => {}
        }
    }

    /// Opens the blocks of a group.
    fn data(&mut self, key: &Key, group: &extents::Group) {
        let mut bytes = zeroed();
        for (place, pointer) in group.iter().enumerate() {
            let Some(pointer) = pointer else { continue };
            self.sees(pointer.block, Some(key.inode));
            match self.volume.store.load(Kind::Data, pointer, &mut bytes) {
                Ok(()) => self.report.data_blocks += 1,
                Err(error) => {
                    let at = (key.offset * GROUP + place as u64) * BLOCK_BYTES as u64;
                    let end = at + BLOCK_BYTES as u64;
                    self.find(Some(key.inode), true, format!("bytes {at} to {end}: {error}"));
                }
            }
        }
    }

    /// Compares inodes with the names that they have.
    fn names(&mut self) {
        for (inode, known) in std::mem::take(&mut self.inodes) {
            let Some(attributes) = known.attributes else {
                if known.names > 0 {
                    self.find(Some(inode), true, "there is a name for it, but it is gone");
                }
                continue;
            };
            if known.named_kind.is_some_and(|kind| kind != attributes.kind) {
                self.find(Some(inode), false, "its name says that it is of another kind");
            }
            let names = known.names + u64::from(inode == ROOT);
            if names == attributes.links && (names > 0 || known.marked) {
                continue;
            }
            let uncertain = if self.torn { ", as far as can be read" } else { "" };
            let links = attributes.links;
            let what = format!("it has {names} names{uncertain}, and counts {links}");
            self.find(Some(inode), names == 0, what);
        }
    }

    /// Compares the bitmaps with the blocks that were seen.
    fn space(&mut self) {
        let entered = self.volume.enter_freed().and_then(|()| self.volume.enter_waiting());
        if let Err(error) = entered {
            self.find(None, false, format!("free space: {error}"));
        }
        for block in (0..RESERVED_BLOCKS).chain(self.volume.space.ready()) {
            self.seen[(block / 64) as usize] |= 1 << (block % 64);
        }
        let (mut leaked, mut unguarded) = (0, 0);
        for number in 0..self.volume.space.blocks.div_ceil(REGION_BLOCKS) {
            let used = match self.volume.region_bits(number) {
                Ok(used) => used,
                Err(error) => {
                    self.find(None, false, format!("free space of region {number}: {error}"));
                    continue;
                }
            };
            let seen = &self.seen[number as usize * WORDS..][..WORDS];
            for (used, seen) in used.iter().zip(seen) {
                leaked += u64::from((used & !seen).count_ones());
                unguarded += u64::from((seen & !used).count_ones());
            }
        }
        if unguarded > 0 {
            self.find(None, true, format!("{unguarded} blocks in use are entered as free"));
        }
        if leaked > 0 {
            let what = format!("{leaked} blocks are entered as in use, and nothing refers to them");
            if !self.torn {
                self.find(None, false, what);
            }
        }
    }

    /// Puts paths to what was found.
    fn finish(self) -> Result<Report> {
        let Check { volume, progress, done, mut report, about, count, .. } = self;
        progress(Progress { done, total: done });
        let wanted: BTreeSet<u64> = about.iter().filter_map(|(inode, ..)| *inode).collect();
        let paths = volume.paths(&wanted);
        report.finding_count = count;
        report.findings = about
            .into_iter()
            .map(|(inode, lost, what)| match inode {
                None => Finding { path: None, lost, what },
                Some(inode) => match paths.get(&inode) {
                    Some(path) => Finding { path: Some(path.clone()), lost, what },
                    None => Finding { path: None, lost, what: format!("inode {inode}: {what}") },
                },
            })
            .collect();
        Ok(report)
    }
}

impl Volume {
    /// One path of each inode, as far as the tree can be read.
    fn paths(&mut self, wanted: &BTreeSet<u64>) -> HashMap<u64, String> {
        // Where each is, and where that is, up to the root: one look at all for each level.
        let mut places: HashMap<u64, (u64, String)> = HashMap::new();
        let mut next: BTreeSet<u64> =
            wanted.iter().copied().filter(|&inode| inode != ROOT).collect();
        while !next.is_empty() {
            let found = self.places(&next);
            next = found
                .values()
                .map(|(directory, _)| *directory)
                .filter(|inode| {
                    *inode != ROOT && !places.contains_key(inode) && !found.contains_key(inode)
                })
                .collect();
            places.extend(found);
        }
        let path = |&inode: &u64| {
            let mut names = Vec::new();
            let mut at = inode;
            while at != ROOT && names.len() <= places.len() {
                let (directory, name) = places.get(&at)?;
                names.push(name.as_str());
                at = *directory;
            }
            names.reverse();
            (at == ROOT).then(|| (inode, format!("/{}", names.join("/"))))
        };
        wanted.iter().filter_map(path).collect()
    }

    /// A directory and a name for each of some inodes.
    fn places(&mut self, wanted: &BTreeSet<u64>) -> HashMap<u64, (u64, String)> {
        let mut found = HashMap::new();
        let mut from = Key::LEAST;
        loop {
            let mut last = from;
            let result = self.scan(&from, |key, value| {
                last = *key;
                if key.subject == Subject::Entry
                    && let Ok((inode, _, name)) = directory::parse(value)
                    && wanted.contains(&inode)
                {
                    found.insert(inode, (key.inode, name.to_owned()));
                }
                Ok(Step::On)
            });
            // Behind what can't be read, go on with the next inode.
            match result {
                Ok(()) => return found,
                Err(_) if last.inode >= self.inodes.next => return found,
                Err(_) => from = Key::new(last.inode + 1, Subject::Attributes, 0),
            }
        }
    }
}
