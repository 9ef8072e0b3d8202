//! Copies contents from one file to another.

use super::meter::Meter;
use crate::console::Console;
use crate::error::{At, Error, Result};
use crate::job::Tree;
use twine_vfs::{FileSystem, Inode};

/// Number of bytes that are read and written at a time.
const PIECE: usize = 1 << 20;

/// The size of the largest file that every file system can hold, FAT too.
const TAKEN_EVERYWHERE: u64 = (1 << 32) - 1;

/// Limit on the zeros, in bytes, that a file may have in a stream if its size shows that it has a
/// hole.
const LONG_HOLE: u64 = 1 << 40;

/// Zeros of this size, in bytes, are not written: the file reads as zero there, and uses no space.
const HOLE: usize = 4096;

/// A file, and its name in messages.
pub(crate) struct File<'t> {
    pub(crate) inode: Inode,
    pub(crate) shown: &'t str,
}

/// Makes the buffer for contents.
pub(crate) fn buffer() -> Vec<u8> {
    vec![0; PIECE]
}

/// Writes `bytes` at `offset` except long runs of zeros. The file must read as zero there, or have
/// the same contents.
pub(crate) fn write_sparse(
    files: &mut dyn FileSystem,
    inode: Inode,
    offset: u64,
    bytes: &[u8],
) -> twine_vfs::Result<()> {
    let empty = |piece: &[u8]| piece.iter().all(|&byte| byte == 0);
    let mut at = 0;
    while at < bytes.len() {
        let mut end = at;
        let mut rest = bytes.get(at..).unwrap_or_default().chunks(HOLE);
        while let Some(piece) = rest.next().filter(|piece| !empty(piece)) {
            end += piece.len();
        }
        if let Some(run) = bytes.get(at..end).filter(|run| !run.is_empty()) {
            files.write(inode, offset + at as u64, run)?;
        }
        // The piece that ended the run is zero.
        at = end + HOLE;
    }
    Ok(())
}

/// Fails if the file system cannot hold a file of this size, before much is written. The file is
/// empty, and stays empty.
pub(crate) fn check_size(
    files: &mut dyn FileSystem,
    inode: Inode,
    size: u64,
) -> twine_vfs::Result<()> {
    if size <= TAKEN_EVERYWHERE {
        return Ok(());
    }
    files.set_size(inode, size)?;
    files.set_size(inode, 0)
}

/// Copies all of a file into an empty one. The trees are those of the two files, or one that has
/// both.
#[expect(clippy::indexing_slicing, reason = "`found` returns only numbers of existing trees")]
pub(crate) fn copy(
    trees: &mut [Tree<'_>],
    (from_tree, from): (usize, File<'_>),
    (to_tree, to): (usize, File<'_>),
    console: &mut dyn Console,
    meter: &mut Meter,
    buffer: &mut [u8],
) -> Result<()> {
    let mut offset = 0;
    loop {
        let source = &mut *trees[from_tree].files;
        let (at, count) =
            read_next(source, from.inode, offset, buffer).at(|| from.shown.to_owned())?;
        let target = &mut *trees[to_tree].files;
        let read = buffer.get(..count).unwrap_or_default();
        write_sparse(target, to.inode, at, read).at(|| to.shown.to_owned())?;
        let end = at + count as u64;
        meter.bytes(console, end - offset);
        if count < buffer.len() {
            return target.set_size(to.inode, end).at(|| to.shown.to_owned());
        }
        offset = end;
    }
}

/// Reads the next bytes of a file after a hole. Returns their offset and their number. If they do
/// not fill the buffer, they reach to the end of the file.
fn read_next(
    files: &mut dyn FileSystem,
    inode: Inode,
    offset: u64,
    buffer: &mut [u8],
) -> twine_vfs::Result<(u64, usize)> {
    match files.next_data(inode, offset)? {
        Some(at) => Ok((at, files.read(inode, at, buffer)?)),
        None => Ok((offset.max(files.attributes(inode)?.size), 0)),
    }
}

/// Writes all of standard input into an empty file.
pub(crate) fn from_stream(
    files: &mut dyn FileSystem,
    to: &File<'_>,
    console: &mut dyn Console,
    meter: &mut Meter,
    buffer: &mut [u8],
) -> Result<()> {
    let mut offset = 0;
    loop {
        let mut filled = 0;
        // A pipe returns few bytes at a time.
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match console.read(rest)? {
                0 => break,
                count => filled += count.min(rest.len()),
            }
        }
        if filled == 0 {
            return files.set_size(to.inode, offset).at(|| to.shown.to_owned());
        }
        let read = buffer.get(..filled).unwrap_or_default();
        write_sparse(files, to.inode, offset, read).at(|| to.shown.to_owned())?;
        offset += filled as u64;
        meter.bytes(console, filled as u64);
    }
}

/// Writes all of a file to standard output. Holes become zeros in the output, so a file is refused
/// if its size shows that it is nearly all hole.
pub(crate) fn to_stream(
    files: &mut dyn FileSystem,
    from: &File<'_>,
    console: &mut dyn Console,
    buffer: &mut [u8],
) -> Result<()> {
    let place = || from.shown.to_owned();
    let size = files.attributes(from.inode).at(place)?.size;
    if size > LONG_HOLE && size - LONG_HOLE > files.usage().at(place)?.used {
        return Err(Error::LongHole { place: place(), size });
    }
    let mut offset = 0;
    loop {
        let count = files.read(from.inode, offset, buffer).at(|| from.shown.to_owned())?;
        if count == 0 {
            return Ok(());
        }
        console.write(buffer.get(..count).unwrap_or_default())?;
        offset += count as u64;
    }
}
