//! Checking a volume: every block is read and opened, every item looked at, and what is in
//! use compared with what is entered as in use.
//!
//! Nothing of what is found is relied on: who has the key can make a volume of anything. Each node
//! is looked at once, however many pointers lead to it, and what is remembered is bounded by what
//! is there, not by the numbers that it names.

mod books;
mod copies;
mod names;
mod targets;

use crate::commit::Engine;
use crate::durability::Durability;
use crate::error::{Error, Result};
use crate::format::attributes::Attributes;
use crate::format::block::{BLOCK_BYTES, BlockNo, Kind, is_in_ring, may_hold_node, zeroed};
use crate::format::item::{GROUP, Key, Subject};
use crate::format::limits::MAX_TARGET_BYTES;
use crate::format::numbers::InodeNo;
use crate::format::pointer::Pointer;
use crate::format::{dirent, extents};
use crate::fs::{Names, TARGET_PIECES};
use crate::tree::Range;
use crate::volume::Volume;
use books::Blocks;
use names::Known;
use std::collections::{BTreeMap, BTreeSet};
use twine_vfs::FileKind;

/// More findings than this are counted, not listed.
const MAX_FINDINGS: usize = 1000;

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
    /// The path of what it is about, where that can be told; the end of it where it is long.
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

/// A check that is going on. It takes some bits for each block in use, and about 150 bytes for
/// each inode.
struct Check<'a> {
    engine: &'a mut Engine,
    progress: &'a mut dyn FnMut(Progress),
    total: u64,
    done: u64,
    /// Blocks that something leads to.
    seen: Blocks,
    /// Regions that have a bitmap.
    regions: BTreeSet<u64>,
    names: Names,
    inodes: BTreeMap<InodeNo, Known>,
    target: targets::Target,
    /// Further names of directories, of which each can have one.
    more_names: Vec<names::Spot>,
    /// What was found about inodes, before their paths are known.
    about: Vec<(Option<InodeNo>, bool, String)>,
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
        let names = self.files().names();
        let engine = self.engine_mut();
        if engine.check_writable().is_ok() {
            engine.commit()?;
            // If this mount has written nothing, it takes no space that damage may be in.
            if engine.commits() > 0 {
                engine.commit_tree(Durability::Synced)?;
            }
        }
        let mut check = Check {
            total: engine.space().in_use(),
            engine,
            progress,
            done: 0,
            seen: Blocks::default(),
            regions: BTreeSet::new(),
            names,
            inodes: BTreeMap::new(),
            target: targets::Target::new(InodeNo::NONE),
            more_names: Vec::new(),
            about: Vec::new(),
            count: 0,
            torn: false,
            report: Report::default(),
        };
        let root = check.engine.space().tree().root();
        check.node(&root.pointer, root.levels - 1, Range::default());
        let last = std::mem::replace(&mut check.target, targets::Target::new(InodeNo::NONE));
        check.no_text(last.end());
        check.copies();
        check.inodes();
        check.books();
        check.finish()
    }
}

impl Check<'_> {
    fn find(&mut self, inode: Option<InodeNo>, lost: bool, what: impl Into<String>) {
        self.count += 1;
        if self.about.len() < MAX_FINDINGS {
            self.about.push((inode, lost, what.into()));
        }
    }

    /// Counts a block as in use; whether it may be looked at: it is one of the volume's, and was
    /// not looked at before.
    fn sees(&mut self, block: BlockNo, kind: Kind, inode: Option<InodeNo>) -> bool {
        self.done += 1;
        if self.done.is_multiple_of(4096) {
            (self.progress)(Progress { done: self.done, total: self.total });
        }
        if kind == Kind::Data && is_in_ring(block) {
            // What was damaged there keeps its pointer while others have the block.
            return true;
        }
        if !may_hold_node(block, self.engine.space().blocks()) {
            self.find(inode, true, format!("a pointer leads to block {block}, out of the volume"));
            return false;
        }
        let first = self.seen.insert(block);
        if !first {
            self.find(inode, true, format!("block {block} is in use twice"));
        }
        first
    }

    /// Looks at a node and all below. Its keys lie between two of its parent's.
    fn node(&mut self, pointer: &Pointer, level: u8, range: Range) {
        if !self.sees(pointer.block, Kind::Node, None) {
            self.torn = true;
            return;
        }
        let node = match self.engine.space_mut().tree_mut().load_node(pointer, level) {
            Ok(node) => node,
            Err(error) => {
                self.torn = true;
                let from = range.least.map_or(InodeNo::ROOT, |key| key.inode.max(InodeNo::ROOT));
                let to = range.end.map_or_else(|| "the last".into(), |key| key.inode.to_string());
                self.find(None, true, format!("what is of inodes {from} to {to}: {error}"));
                return;
            }
        };
        self.report.nodes += 1;

        for index in 0..node.count() {
            let key = node.key(index);
            if !range.has(&key, level, index) {
                self.find(Some(key.inode), true, "an item is in the wrong part of the tree");
            }
            if level == 0 {
                self.item(&key, node.value(index));
                continue;
            }
            let child = node.child(index);
            self.node(&child, level - 1, range.of_child(&node, index));
        }
    }

    fn item(&mut self, key: &Key, value: &[u8]) {
        let of_volume = matches!(key.subject, Subject::Region | Subject::Orphan);
        if of_volume != (key.inode == InodeNo::NONE) {
            self.find(Some(key.inode), false, "an item is of an inode that can't have it");
            return;
        }
        let looked = match key.subject {
            Subject::Attributes => self.attributes(key, value),
            Subject::Extents => self.extents(key, value),
            Subject::Entry => self.entry(key, value),
            Subject::Target => self.target(key, value),
            Subject::Inline => self.inline(key),
            Subject::Region => {
                self.regions.insert(key.offset);
                Ok(())
            }
            Subject::Orphan => {
                self.known(InodeNo(key.offset)).marked = true;
                Ok(())
            }
        };
        if let Err(error) = looked {
            self.find(Some(key.inode), true, error.to_string());
        }
    }

    fn known(&mut self, inode: InodeNo) -> &mut Known {
        self.inodes.entry(inode).or_default()
    }

    fn attributes(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        // Also where they make no sense they are there.
        self.known(key.inode).is_there = true;
        if key.offset != 0 {
            return Err(Error::damaged("there are attributes that nobody looks at"));
        }
        let attributes = Attributes::decode(value)?;
        match attributes.kind {
            FileKind::File => self.report.files += 1,
            FileKind::Directory => self.report.directories += 1,
            FileKind::SymbolicLink => self.report.symbolic_links += 1,
        }
        self.known(key.inode).says = Some(attributes.into());
        Ok(())
    }

    /// Counts a name. One that is damaged is a name too, but nothing is called by it.
    fn entry(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.known(key.inode).has_entries = true;
        let read = self.names.read(key, value).map(|_| ());
        if let Ok((inode, kind, _)) = dirent::parse(value) {
            let spot = names::Spot { inode, directory: key.inode, cookie: key.offset };
            let known = self.known(inode);
            known.names += 1;
            known.named_kind = Some(kind);
            if read.is_ok() {
                let first = *known.spot.get_or_insert(spot);
                let again = first != spot && kind == FileKind::Directory;
                if again && self.more_names.len() < MAX_FINDINGS {
                    self.more_names.push(spot);
                }
            }
        }
        read
    }

    /// Looks at bytes of a file that lie in the tree.
    fn inline(&mut self, key: &Key) -> Result<()> {
        let known = self.known(key.inode);
        known.has_data = true;
        known.blocks |= 1;
        match key.offset {
            0 => Ok(()),
            _ => Err(Error::damaged("there are bytes that nobody looks at")),
        }
    }

    /// Looks at a piece of what a symbolic link holds.
    fn target(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        let known = self.known(key.inode);
        known.has_target = true;
        known.target_bytes += value.len() as u64;
        // One that is too long is found as such.
        let is_astray =
            key.offset >= TARGET_PIECES && known.target_bytes <= MAX_TARGET_BYTES as u64;
        let ended = self.target.add(key.inode, value);
        self.no_text(ended);
        match is_astray {
            false => Ok(()),
            true => Err(Error::damaged("there is a piece of a target that nobody removes")),
        }
    }

    /// What a symbolic link holds is no text, and so nobody can follow it.
    fn no_text(&mut self, inode: Option<InodeNo>) {
        if inode.is_some() {
            self.find(inode, true, "what it leads to makes no sense");
        }
    }

    /// Opens the blocks of a group.
    fn extents(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.known(key.inode).has_data = true;
        let first = extents::first_block(key)?;
        let group = extents::decode(value)?;
        let mut bytes = zeroed();
        for (index, pointer) in (first..).zip(&group) {
            let Some(pointer) = pointer else { continue };
            let known = self.known(key.inode);
            known.blocks = known.blocks.max(index + 1);
            if !self.sees(pointer.block, Kind::Data, Some(key.inode)) {
                continue;
            }
            match self.engine.store_mut().load(Kind::Data, pointer, &mut bytes) {
                Ok(()) => self.report.data_blocks += 1,
                Err(error) => {
                    let at = index * BLOCK_BYTES as u64;
                    let end = at + BLOCK_BYTES as u64;
                    self.find(Some(key.inode), true, format!("bytes {at} to {end}: {error}"));
                }
            }
        }
        debug_assert!(group.len() as u64 == GROUP);
        Ok(())
    }

    /// Puts paths to what was found.
    fn finish(mut self) -> Result<Report> {
        (self.progress)(Progress { done: self.done, total: self.done });
        let about = std::mem::take(&mut self.about);
        let mut paths = names::Paths::default();
        let findings = about.into_iter().map(|(inode, lost, what)| {
            let path = inode.and_then(|inode| self.path(inode, &mut paths));
            let what = match inode {
                Some(inode) if path.is_none() => format!("inode {inode}: {what}"),
                _ => what,
            };
            Finding { path, lost, what }
        });
        let findings = findings.collect();
        Ok(Report { findings, finding_count: self.count, ..self.report })
    }
}
