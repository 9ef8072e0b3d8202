//! `compact`: gives what is free back to the host.

use crate::console::{Console, Output};
use crate::copy::{read_next, write_sparse};
use crate::error::{At, Result};
use crate::job::{Job, Tree};
use crate::outside::Outside;
use crate::volume::{close, open, prefix};
use crate::walk::{Step, Walk};
use serde_json::json;
use twine_files::{FileKind, FileSystem, Inode, Stamp, Usage};
use twine_protocol::task::OpenVolume;
use twine_protocol::wire::Unit;

/// Bytes that are read and written at once.
const PIECE: usize = 1 << 20;

/// Writes all files anew, which a volume does into its first free blocks, and what is behind
/// them of the tree, and cuts off what is free at the end. At each moment the volume is whole.
pub(crate) fn compact(
    which: &OpenVolume,
    json: bool,
    outside: &mut dyn Outside,
    job: &mut Job<'_>,
) -> Result<()> {
    let size = |outside: &mut dyn Outside| outside.storage(which.storage).size().unwrap_or(0);
    let before = size(outside);
    let mut volume = open(which, outside, job)?;
    let tree = Tree { files: &mut volume, prefix: prefix(which), host: false };
    let result = rewrite_all(tree, job.console)
        .and_then(|()| volume.pack_nodes().map_err(|error| error.errno()).at(|| prefix(which)));
    close(which, volume, job);
    result?;
    let after = size(outside);
    let mut out = Output::new(&mut *job.console);
    out.text(&match json {
        true => format!("{:#}\n", json!({ "bytes_before": before, "bytes_now": after })),
        false => format!("{before} bytes before, {after} bytes now\n"),
    })?;
    Ok(out.flush()?)
}

fn rewrite_all(tree: Tree<'_>, console: &mut dyn Console) -> Result<()> {
    let Usage { used: total, size } = tree.files.usage().at(|| tree.prefix.clone())?;
    // What was rewritten since a sync keeps its old room, so that much is lost at the end;
    // but syncs take time.
    let sync_every = (size.saturating_sub(total) / 16).clamp(PIECE as u64, 64 << 20);
    let mut rewriter = Rewriter { buffer: vec![0; PIECE], sync_every, done: 0, unsynced: 0 };
    let mut walk = Walk::new(tree.files.root(), false);
    let mut result = Ok(());
    while let Some(step) = walk.next(tree.files).at(|| tree.place(&walk.path("")))? {
        let (Step::Item(item), Some(directory)) = (step, walk.directory()) else { continue };
        let shown = tree.place(&walk.path(&item.name));
        let place = || shown;
        let rewritten = tree.files.lookup(directory, &item.name).and_then(|inode| {
            let rewritten = rewriter.rewrite(tree.files, inode, item.kind);
            tree.files.release(inode);
            rewritten?;
            if item.kind == FileKind::Directory {
                Ok(walk.enter(tree.files, &item.name)?)
            } else {
                Ok(())
            }
        });
        result = rewritten.at(place);
        if result.is_err() {
            break;
        }
        if console.wants_progress() {
            console.progress(rewriter.done.min(total), total, Unit::Bytes);
        }
    }
    walk.end(tree.files);
    result
}

struct Rewriter {
    buffer: Vec<u8>,
    /// Bytes.
    sync_every: u64,
    done: u64,
    unsynced: u64,
}

impl Rewriter {
    /// Writes what a file holds once more, and its attributes.
    fn rewrite(
        &mut self,
        files: &mut dyn FileSystem,
        inode: Inode,
        kind: FileKind,
    ) -> twine_files::Result<()> {
        let attributes = files.attributes(inode)?;
        let mut offset = 0;
        loop {
            let (at, count) = match kind {
                FileKind::File => read_next(files, inode, offset, &mut self.buffer)?,
                _ => (offset, 0),
            };
            if count == 0 {
                break;
            }
            write_sparse(files, inode, at, self.buffer.get(..count).unwrap_or_default())?;
            offset = at + count as u64;
            self.done += count as u64;
            self.unsynced += count as u64;
            if self.unsynced >= self.sync_every {
                self.unsynced = 0;
                files.sync_all()?;
            }
        }
        let (accessed, modified) = (attributes.accessed, attributes.modified);
        files.set_times(inode, Stamp::At(accessed), Stamp::At(modified))
    }
}
