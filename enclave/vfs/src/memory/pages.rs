//! The contents of a file in memory, in pages of 4 KiB. Parts that were never written have no
//! pages.

use crate::{Error, Result};
use std::collections::HashMap;

/// Size of a page in bytes.
const PAGE: u64 = PAGE_LENGTH as u64;
/// The same size, as the length of a slice.
const PAGE_LENGTH: usize = 4096;
/// The cost of a page in bytes: its contents, and its entry in the map.
pub(super) const PAGE_COST: u64 = PAGE + 64;
/// Limit on the size of a file, in bytes: offsets of programs are signed.
pub(super) const MAX_SIZE: u64 = i64::MAX as u64;

/// The contents of a file. Absent pages read as zero.
#[derive(Debug, Default)]
pub(super) struct Pages {
    size: u64,
    pages: HashMap<u64, Vec<u8>>,
}

/// New pages that are not part of a file yet.
pub(super) struct Fresh(Vec<(u64, Vec<u8>)>);

/// The part of page `number` that is within `offset..end`.
#[expect(clippy::cast_possible_truncation, reason = "an offset within a page")]
fn part(number: u64, offset: u64, end: u64) -> std::ops::Range<usize> {
    let start = number * PAGE;
    (offset.max(start) - start) as usize..(end.min(start + PAGE) - start) as usize
}

impl Pages {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The cost of all pages in bytes.
    pub(super) fn cost(&self) -> u64 {
        self.pages.len() as u64 * PAGE_COST
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "pages are whole, and all parts together are as long as the bytes to read"
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

    /// Makes the absent pages of `offset..end`, if they cost at most `budget`.
    pub(super) fn prepare(&mut self, offset: u64, end: u64, budget: u64) -> Result<Fresh> {
        if end > MAX_SIZE {
            return Err(Error::FileTooBig);
        }
        let range = offset / PAGE..end.div_ceil(PAGE);
        let all = range.end - range.start;
        // Count the pages of a large range only if they could fit, so that no range makes this
        // slow.
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

    /// Adds new pages, and makes the file at least `end` bytes long.
    pub(super) fn take(&mut self, fresh: Fresh, end: u64) {
        self.pages.extend(fresh.0);
        self.size = self.size.max(end);
    }

    /// Writes to existing pages.
    #[expect(
        clippy::indexing_slicing,
        reason = "pages are whole, and all parts together are as long as the bytes to write"
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
            // Bytes that are cut off must read as zero if the file grows again.
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
