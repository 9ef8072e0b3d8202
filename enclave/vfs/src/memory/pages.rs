//! The contents of a file in memory: pages of 4 KiB where something was written, nothing
//! where nothing was.

use crate::{Error, Result};
use std::collections::HashMap;

/// Bytes of a page.
const PAGE: u64 = PAGE_LENGTH as u64;
/// The same, as the length of a slice.
const PAGE_LENGTH: usize = 4096;
/// What a page costs: its bytes, and its place in the map.
pub(super) const PAGE_COST: u64 = PAGE + 64;
/// Longest file: offsets are signed for programs.
pub(super) const MAX_SIZE: u64 = i64::MAX as u64;

/// Contents of a file. Pages that are absent read as zero.
#[derive(Debug, Default)]
pub(super) struct Pages {
    size: u64,
    pages: HashMap<u64, Vec<u8>>,
}

/// Pages that were made and don't belong to a file yet.
pub(super) struct Fresh(Vec<(u64, Vec<u8>)>);

/// The part of page `number` that lies in `offset..end`.
#[expect(clippy::cast_possible_truncation, reason = "a place within a page")]
fn part(number: u64, offset: u64, end: u64) -> std::ops::Range<usize> {
    let start = number * PAGE;
    (offset.max(start) - start) as usize..(end.min(start + PAGE) - start) as usize
}

impl Pages {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Cost of all pages.
    pub(super) fn cost(&self) -> u64 {
        self.pages.len() as u64 * PAGE_COST
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "pages are whole, and the parts of all pages are as long as what is read"
    )]
    pub(super) fn read(&self, offset: u64, bytes: &mut [u8]) -> usize {
        let length = (bytes.len() as u64).min(self.size.saturating_sub(offset));
        let end = offset + length;
        let mut done = 0;
        while (done as u64) < length {
            let at = offset + done as u64;
            let part = part(at / PAGE, at, end);
            let target = &mut bytes[done..done + part.len()];
            done += part.len();
            match self.pages.get(&(at / PAGE)) {
                Some(page) => target.copy_from_slice(&page[part]),
                None => target.fill(0),
            }
        }
        done
    }

    /// Makes the pages that are absent in `offset..end`, for at most `budget`.
    pub(super) fn prepare(&mut self, offset: u64, end: u64, budget: u64) -> Result<Fresh> {
        if end > MAX_SIZE {
            return Err(Error::FileTooBig);
        }
        let range = offset / PAGE..end.div_ceil(PAGE);
        let all = range.end - range.start;
        // All of a large range is counted only if it could fit, so that no range makes this slow.
        let missing = match all.saturating_sub(self.pages.len() as u64) > budget / PAGE_COST {
            true => return Err(Error::NoSpace),
            false => range.clone().filter(|number| !self.pages.contains_key(number)).count(),
        };
        if missing as u64 > budget / PAGE_COST {
            return Err(Error::NoSpace);
        }
        let mut fresh = Vec::new();
        fresh.try_reserve_exact(missing).map_err(|_| Error::NoMemory)?;
        self.pages.try_reserve(missing).map_err(|_| Error::NoMemory)?;
        for number in range.filter(|number| !self.pages.contains_key(number)) {
            let mut page = Vec::new();
            page.try_reserve_exact(PAGE_LENGTH).map_err(|_| Error::NoMemory)?;
            page.resize(PAGE_LENGTH, 0);
            fresh.push((number, page));
        }
        Ok(Fresh(fresh))
    }

    /// Takes pages in, and makes the file at least `end` bytes long.
    pub(super) fn take(&mut self, fresh: Fresh, end: u64) {
        self.pages.extend(fresh.0);
        self.size = self.size.max(end);
    }

    /// Writes where pages are.
    #[expect(
        clippy::indexing_slicing,
        reason = "pages are whole, and the parts of all pages are as long as what is written"
    )]
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let part = part(at / PAGE, at, end);
            let source = &bytes[done..done + part.len()];
            done += part.len();
            if let Some(page) = self.pages.get_mut(&(at / PAGE)) {
                page[part].copy_from_slice(source);
            }
        }
    }

    pub(super) fn set_size(&mut self, size: u64) -> Result<()> {
        if size > MAX_SIZE {
            return Err(Error::FileTooBig);
        }
        if size == 0 {
            self.pages = HashMap::new();
        } else if size < self.size {
            self.pages.retain(|&number, _| number < size.div_ceil(PAGE));
            // What is cut off must read as zero when the file grows again.
            if let Some(last) = self.pages.get_mut(&(size / PAGE))
                && let Some(cut) = last.get_mut(part(size / PAGE, size, u64::MAX))
            {
                cut.fill(0);
            }
        }
        self.size = size;
        Ok(())
    }
}
