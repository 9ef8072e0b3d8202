//! Checks a volume: reads and opens every block, checks every item, and compares the blocks in use
//! with the bitmaps.
//!
//! The check trusts nothing that it finds, because whoever has the key can make any volume. It
//! visits each node once, however many pointers lead to it. Its memory is bounded by the size of
//! the contents, not by numbers in them.

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

/// Limit on the findings in a report. Further ones are only counted.
const MAX_FINDINGS: usize = 1000;

/// The progress of a check, or of compacting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Number of blocks that were checked or moved.
    pub done: u64,
    /// Number of blocks in use, or to be moved.
    pub total: u64,
}

/// A defect of the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The path of the file or directory, if it is known. Of a long path, only the end.
    pub path: Option<String>,
    /// Whether data were lost. If not, only the volume's bookkeeping is wrong.
    pub lost: bool,
    /// The defect, in words.
    pub what: String,
}

/// The result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Number of intact nodes.
    pub nodes: u64,
    /// Number of intact blocks of files.
    pub data_blocks: u64,
    /// Number of regular files.
    pub files: u64,
    /// Number of directories.
    pub directories: u64,
    /// Number of symbolic links.
    pub symbolic_links: u64,
    /// The defects, at most 1,000.
    pub findings: Vec<Finding>,
    /// Number of all defects.
    pub finding_count: u64,
}

/// A check in progress. It takes some bits of memory for each block in use, and about 150 bytes for
/// each inode.
struct Check<'a> {
    engine: &'a mut Engine,
    progress: &'a mut dyn FnMut(Progress),
    total: u64,
    done: u64,
    /// Blocks to which a pointer leads.
    seen: Blocks,
    /// Regions with a bitmap in the tree.
    regions: BTreeSet<u64>,
    names: Names,
    inodes: BTreeMap<InodeNo, Known>,
    target: targets::Target,
    /// Further names of directories. A directory can have only one name.
    more_names: Vec<names::Spot>,
    /// Findings about inodes, before the paths of the inodes are known.
    about: Vec<(Option<InodeNo>, bool, String)>,
    count: u64,
    /// Whether parts of the tree could not be read. Items that seem to be missing may be there.
    torn: bool,
    report: Report,
}

impl Volume {
    /// Checks every block, the tree and the free space. If the volume can be written, makes changes
    /// durable first.
    ///
    /// # Errors
    /// Fails if those changes cannot be written. Damage is not an error: the report lists it.
    pub fn check(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<Report> {
        let names = self.files().names();
        let engine = self.engine_mut();
        if engine.check_writable().is_ok() {
            engine.commit()?;
            // A mount that has written nothing takes no blocks: damage may make blocks look free.
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

    /// Counts a block as in use. Returns whether it may be read: it must belong to the volume and
    /// not have been read before.
    fn sees(&mut self, block: BlockNo, kind: Kind, inode: Option<InodeNo>) -> bool {
        self.done += 1;
        if self.done.is_multiple_of(4096) {
            (self.progress)(Progress { done: self.done, total: self.total });
        }
        if kind == Kind::Data && is_in_ring(block) {
            // A damaged block in the ring keeps its pointer, while others use the block.
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

    /// Checks a node and all nodes below it. Its keys must lie in `range`.
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
        // Malformed attributes count as present, too.
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

    /// Counts a name. A damaged name counts too, but no path contains it.
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

    /// Checks an inline item.
    fn inline(&mut self, key: &Key) -> Result<()> {
        let known = self.known(key.inode);
        known.has_data = true;
        known.blocks |= 1;
        match key.offset {
            0 => Ok(()),
            _ => Err(Error::damaged("there are bytes that nobody looks at")),
        }
    }

    /// Checks a piece of a symbolic link's target.
    fn target(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        let known = self.known(key.inode);
        known.has_target = true;
        known.target_bytes += value.len() as u64;
        // A target that is too long is another finding.
        let is_astray =
            key.offset >= TARGET_PIECES && known.target_bytes <= MAX_TARGET_BYTES as u64;
        let ended = self.target.add(key.inode, value);
        self.no_text(ended);
        match is_astray {
            false => Ok(()),
            true => Err(Error::damaged("there is a piece of a target that nobody removes")),
        }
    }

    /// Reports that a symbolic link's target is not UTF-8, so that nobody can follow the link.
    fn no_text(&mut self, inode: Option<InodeNo>) {
        if inode.is_some() {
            self.find(inode, true, "its target is not valid");
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

    /// Adds paths to the findings.
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
