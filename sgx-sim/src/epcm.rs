//! The Enclave Page Cache Map: the processor's record of each page (SDM Vol. 3D, "Enclave Page
//! Cache Map") and the permissions in Linux's page tables, in four bytes per page.

use std::sync::atomic::{AtomicU32, Ordering};

use sgx_isa::PageType;

use crate::error::Error;
use crate::memory::zeroed_slice;

/// The size of a page, in bytes.
pub(crate) const PAGE: usize = 4096;

/// Read, write, execute: SECINFO's bits 0 to 2, which are also `PROT_READ`, `PROT_WRITE`
/// EPCM.VALID; 16: the driver's file is mapped there; 17: no ETRACK has followed the last EMODPR or
/// EMODT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions(u32);

impl Permissions {
    /// No access.
    pub const NONE: Self = Permissions(0);
    /// Readable.
    pub const R: Self = Permissions(1);
    /// Writable. EADD does not add such pages, but accesses ask for this permission.
    pub(crate) const W: Self = Permissions(2);
    /// Executable.
    pub(crate) const X: Self = Permissions(4);
    /// Readable and writable.
    pub const RW: Self = Permissions(3);
    /// Readable and executable.
    pub const RX: Self = Permissions(5);
    /// Readable, writable and executable.
    pub const RWX: Self = Permissions(7);

    /// Takes the low three bits of SECINFO.FLAGS or of `PROT_*`.
    pub const fn from_bits_truncate(bits: u64) -> Self {
        Permissions((bits & 7) as u32)
    }

    /// Returns the low three bits of SECINFO.FLAGS, or `PROT_*`.
    pub const fn bits(self) -> u64 {
        self.0 as u64
    }

    /// Whether this allows all of `other`.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the permissions that both allow.
    pub const fn intersection(self, other: Self) -> Self {
        Permissions(self.0 & other.0)
    }

    /// Returns the permissions that either allows.
    pub const fn union(self, other: Self) -> Self {
        Permissions(self.0 | other.0)
    }

    /// Whether this allows writing but not reading, which the processor refuses.
    pub(crate) const fn writable_only(self) -> bool {
        self.0 & 3 == 2
    }
}

/// The EPCM entry of one page.
///
/// Bits 0 to 2: EPCM.R/W/X; 3 PENDING, 4 MODIFIED, 5 PR (all as in SECINFO.FLAGS); 6 to 8: the page
/// table's permissions; 9 to 11: the limit of those permissions in Linux; 12 to 14: EPCM.PT; bit
/// 15: EPCM.VALID; 16: the driver's file is mapped there; 17: no ETRACK has followed the last
/// EMODPR or EMODT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(u32);

impl Entry {
    pub(crate) const PENDING: u32 = 1 << 3;
    pub(crate) const MODIFIED: u32 = 1 << 4;
    pub(crate) const PR: u32 = 1 << 5;
    const STATE: u32 = Self::PENDING | Self::MODIFIED | Self::PR;
    const TABLE_SHIFT: u32 = 6;
    const MAX_SHIFT: u32 = 9;
    const TYPE_SHIFT: u32 = 12;
    const VALID: u32 = 1 << 15;
    const MAPPED: u32 = 1 << 16;
    const UNTRACKED: u32 = 1 << 17;
    const INVALID: Self = Entry(0);

    /// Returns the entry of a page added before EINIT. Linux limits its page table permissions to
    /// those in SECINFO. For a TCS, which only the processor uses, the limit is RW.
    pub(crate) fn added(page_type: PageType, permissions: Permissions) -> Self {
        let max =
            if page_type as u8 == PageType::Tcs as u8 { Permissions::RW } else { permissions };
        Entry(
            permissions.0
                | permissions.0 << Self::TABLE_SHIFT
                | max.0 << Self::MAX_SHIFT
                | (page_type as u32) << Self::TYPE_SHIFT
                | Self::VALID
                | Self::MAPPED,
        )
    }

    /// Returns the same page, with the mapping of `other`.
    pub(crate) fn mapped_as(self, other: Self) -> Self {
        let mapping = Self::MAPPED | 7 << Self::TABLE_SHIFT;
        Entry(self.0 & !mapping | other.0 & mapping)
    }

    /// Returns the entry of a page that EAUG added: the enclave must accept it. Linux allows all
    /// page table permissions, since the EPCM decides.
    pub(crate) fn augmented() -> Self {
        Entry(
            Permissions::RW.0
                | Self::PENDING
                | Permissions::RW.0 << Self::TABLE_SHIFT
                | Permissions::RWX.0 << Self::MAX_SHIFT
                | (PageType::Reg as u32) << Self::TYPE_SHIFT
                | Self::VALID
                | Self::MAPPED,
        )
    }

    /// Whether the driver's file is mapped there, with or without a page.
    pub(crate) fn mapped(self) -> bool {
        self.0 & Self::MAPPED != 0
    }

    /// Returns the same page, mapped with these permissions.
    pub(crate) fn map(self, permissions: Permissions) -> Self {
        Entry(self.with_table(permissions).0 | Self::MAPPED)
    }

    /// Returns the entry without its page. The mapping stays.
    pub(crate) fn removed(self) -> Self {
        Entry(self.0 & (Self::MAPPED | 7 << Self::TABLE_SHIFT))
    }

    /// Whether ETRACK has followed the last change that requires it.
    pub(crate) fn tracked(self) -> bool {
        self.0 & Self::UNTRACKED == 0
    }

    pub(crate) fn with_tracking(self, tracked: bool) -> Self {
        Entry(self.0 & !Self::UNTRACKED | if tracked { 0 } else { Self::UNTRACKED })
    }

    pub(crate) fn valid(self) -> bool {
        self.0 & Self::VALID != 0
    }

    pub(crate) fn permissions(self) -> Permissions {
        Permissions(self.0 & 7)
    }

    pub(crate) fn table(self) -> Permissions {
        Permissions(self.0 >> Self::TABLE_SHIFT & 7)
    }

    pub(crate) fn max(self) -> Permissions {
        Permissions(self.0 >> Self::MAX_SHIFT & 7)
    }

    pub(crate) fn is(self, page_type: PageType) -> bool {
        self.valid() && self.0 >> Self::TYPE_SHIFT & 7 == page_type as u32
    }

    /// Returns the bits PENDING, MODIFIED and PR.
    pub(crate) fn state(self) -> u32 {
        self.0 & Self::STATE
    }

    /// Returns the low 16 bits that SECINFO.FLAGS would have for this page.
    pub(crate) fn secinfo_flags(self) -> u64 {
        u64::from(self.0 & 7 | self.state()) | u64::from(self.0 >> Self::TYPE_SHIFT & 7) << 8
    }

    pub(crate) fn with_permissions(self, permissions: Permissions) -> Self {
        Entry(self.0 & !7 | permissions.0)
    }

    pub(crate) fn with_table(self, permissions: Permissions) -> Self {
        Entry(self.0 & !(7 << Self::TABLE_SHIFT) | permissions.0 << Self::TABLE_SHIFT)
    }

    pub(crate) fn with_type(self, page_type: PageType) -> Self {
        Entry(self.0 & !(7 << Self::TYPE_SHIFT) | (page_type as u32) << Self::TYPE_SHIFT)
    }

    pub(crate) fn with_state(self, state: u32) -> Self {
        Entry(self.0 & !Self::STATE | state)
    }

    /// Returns the entry after EMODPR: at most `permissions`, until the enclave accepts it.
    pub(crate) fn restricted(self, permissions: Permissions) -> Self {
        let left = self.permissions().intersection(permissions);
        self.with_permissions(left).with_state(Self::PR)
    }

    /// Returns the entry after EMODT with PT_TRIM, until the enclave accepts it.
    pub(crate) fn trimmed(self) -> Self {
        let trimmed = self.with_type(PageType::Trim).with_permissions(Permissions::NONE);
        trimmed.with_state(Self::MODIFIED)
    }

    /// Whether this is a regular page that the enclave may use.
    pub(crate) fn usable(self) -> bool {
        self.is(PageType::Reg) && self.0 & (Self::PENDING | Self::MODIFIED) == 0
    }

    /// Returns the permissions of code inside the enclave.
    pub(crate) fn effective(self) -> Permissions {
        if self.usable() {
            self.permissions().intersection(self.table())
        } else {
            Permissions::NONE
        }
    }
}

/// The entries of an enclave's pages, by page number from its base.
pub(crate) struct Epcm {
    entries: Box<[AtomicU32]>,
}

impl Epcm {
    /// Makes a map of invalid pages. Its memory is not touched until pages are added.
    pub(crate) fn new(pages: usize) -> Result<Self, Error> {
        // SAFETY: zero is a valid `AtomicU32`.
        Ok(Epcm { entries: unsafe { zeroed_slice(pages) }? })
    }

    /// Returns the entry of a page. Pages beyond the enclave are invalid.
    pub(crate) fn get(&self, page: usize) -> Entry {
        match self.entries.get(page) {
            Some(entry) => Entry(entry.load(Ordering::Acquire)),
            None => Entry::INVALID,
        }
    }

    pub(crate) fn set(&self, page: usize, entry: Entry) {
        if let Some(slot) = self.entries.get(page) {
            slot.store(entry.0, Ordering::Release);
        }
    }

    pub(crate) fn remove(&self, page: usize) {
        self.set(page, self.get(page).removed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pending_page_is_inaccessible_until_accepted() {
        let page = Entry::augmented();
        assert_eq!(page.effective(), Permissions::NONE);
        assert_eq!(page.with_state(0).effective(), Permissions::RW);
        assert_eq!(page.max(), Permissions::RWX);
    }

    #[test]
    fn secinfo_flags_read_back_as_they_were_added() {
        let page = Entry::added(PageType::Reg, Permissions::RX);
        assert_eq!(page.secinfo_flags(), 0x205);
        assert_eq!(page.with_state(Entry::PR).secinfo_flags(), 0x225);
        assert_eq!(page.with_type(PageType::Trim).secinfo_flags(), 0x405);
    }

    #[test]
    fn thread_control_structures_are_never_accessible() {
        let page = Entry::added(PageType::Tcs, Permissions::RW);
        assert_eq!(page.effective(), Permissions::NONE);
    }
}
