//! A loaded enclave: its SECS, its pages and its threads' control structures.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sgx_isa::{Attributes, Miscselect, PageType};

use crate::epcm::{Entry, Epcm, PAGE, Permissions};
use crate::error::Error;
use crate::kernel::Driver;
use crate::leaf::key::Platform;
use crate::quick_exits::QuickExits;
use crate::registry;

/// The fields of SECS that software can observe (SDM Vol. 3D, "SGX Enclave Control Structure").
#[derive(Clone, Debug)]
pub(crate) struct Secs {
    pub(crate) base: usize,
    pub(crate) size: usize,
    /// The size of one SSA frame (SSAFRAMESIZE pages), in bytes.
    pub(crate) ssa_frame: usize,
    pub(crate) miscselect: Miscselect,
    pub(crate) attributes: Attributes,
    pub(crate) mrenclave: [u8; 32],
    pub(crate) mrsigner: [u8; 32],
    pub(crate) isvprodid: u16,
    pub(crate) isvsvn: u16,
    pub(crate) isvextprodid: [u8; 16],
    pub(crate) isvfamilyid: [u8; 16],
    pub(crate) configid: [u8; 64],
    pub(crate) configsvn: u16,
}

/// A thread control structure after EADD. Only the processor may access its page, so its contents
/// live here.
#[derive(Debug)]
pub(crate) struct ThreadControl {
    pub(crate) address: usize,
    pub(crate) oentry: usize,
    pub(crate) fs_base: usize,
    pub(crate) gs_base: usize,
    /// The address of the first SSA frame.
    pub(crate) ossa: usize,
    pub(crate) nssa: u32,
    pub(crate) cssa: AtomicU32,
    /// STATE: whether a processor is inside with this TCS.
    pub(crate) busy: AtomicBool,
    /// The enclave that owns this structure. It is set once the enclave has its final address.
    pub(crate) enclave: *const Enclave,
}

// SAFETY: `enclave` points to the enclave that owns the structure, which is `Sync`, and is
// written only before the enclave is shared.
unsafe impl Send for ThreadControl {}
// SAFETY: as for `Send`; all fields that change are atomic.
unsafe impl Sync for ThreadControl {}

impl ThreadControl {
    pub(crate) fn enclave(&self) -> &Enclave {
        // SAFETY: `enclave` is the owner of `self`, so it is alive.
        unsafe { &*self.enclave }
    }

    /// Returns the address of SSA frame number `index`.
    pub(crate) fn frame(&self, index: u32) -> usize {
        self.ossa + index as usize * self.enclave().secs.ssa_frame
    }
}

/// The address space reserved for an enclave (ELRANGE).
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) base: usize,
    pub(crate) size: usize,
    /// Whether to unmap the range when this is dropped.
    ours: bool,
}

impl Reservation {
    /// Reserves `size` bytes, a power of two, naturally aligned as ECREATE demands.
    pub(crate) fn reserve(size: usize) -> Result<Self, Error> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let wanted =
            size.checked_mul(2).ok_or(Error::Create("SIZE is beyond the address space"))?;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), wanted, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(Error::AddressSpace { size, source: std::io::Error::last_os_error() });
        }
        let start = start as usize;
        let base = start.next_multiple_of(size);
        for (from, to) in [(start, base), (base + size, start + wanted)] {
            if from < to {
                // SAFETY: these are the ends of the mapping just made, and nothing refers to them.
                unsafe { libc::munmap(from as *mut _, to - from) };
            }
        }
        Ok(Reservation { base, size, ours: true }.advised())
    }

    /// Wraps a range that another owner has reserved, and keeps as long as this is used.
    pub(crate) fn of_another(base: usize, size: usize) -> Self {
        Reservation { base, size, ours: false }.advised()
    }

    fn advised(self) -> Self {
        // SAFETY: this is advice on a reserved range. Enclaves touch much of their memory at once,
        // and larger pages save a fault for each small one. Without them nothing is lost.
        unsafe { libc::madvise(self.base as *mut _, self.size, libc::MADV_HUGEPAGE) };
        self
    }

    /// Does what [`Self::protect`] does, for several ranges.
    pub(crate) fn protect_all(
        &self,
        ranges: &[Range<usize>],
        permissions: Permissions,
    ) -> Result<(), Error> {
        ranges.iter().try_for_each(|range| self.protect(range.clone(), permissions))
    }

    /// Sets the page table's permissions. Pages with X alone become readable too: the simulator
    /// must recognise ENCLU there, and Linux might use a protection key to prevent that.
    pub(crate) fn protect(
        &self,
        pages: Range<usize>,
        permissions: Permissions,
    ) -> Result<(), Error> {
        let address = (self.base + pages.start * PAGE) as *mut _;
        let bits = match permissions.bits() as libc::c_int {
            libc::PROT_EXEC => libc::PROT_EXEC | libc::PROT_READ,
            bits => bits,
        };
        // SAFETY: callers pass page numbers inside the reservation, which is ours.
        let done = unsafe { libc::mprotect(address, pages.len() * PAGE, bits) };
        if done == 0 { Ok(()) } else { Err(Error::last_os("mprotect of enclave pages")) }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.ours {
            // SAFETY: the reservation is ours, and its owner is gone.
            unsafe { libc::munmap(self.base as *mut _, self.size) };
        }
    }
}

/// A loaded enclave. Dropping it unregisters and unmaps it.
pub(crate) struct Enclave {
    pub(crate) secs: Secs,
    pub(crate) epcm: Epcm,
    /// Sorted by address.
    pub(crate) threads: Box<[ThreadControl]>,
    pub(crate) platform: Platform,
    pub(crate) quick_exits: QuickExits,
    /// The driver, which adds pages at faults. `None` without one.
    pub(crate) driver: Option<Driver>,
    range: Reservation,
    paging: Mutex<()>,
}

impl std::fmt::Debug for Enclave {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enclave")
            .field("secs", &self.secs)
            .field("threads", &self.threads.len())
            .finish_non_exhaustive()
    }
}

impl Enclave {
    /// Assembles the enclave. The caller has checked all parts.
    pub(crate) fn new(
        secs: Secs,
        epcm: Epcm,
        threads: Vec<ThreadControl>,
        platform: Platform,
        quick_exits: QuickExits,
        range: Reservation,
        driver: Option<Driver>,
    ) -> std::sync::Arc<Self> {
        std::sync::Arc::new_cyclic(|weak| {
            let mut threads = threads.into_boxed_slice();
            for thread in &mut threads {
                thread.enclave = weak.as_ptr();
            }
            Enclave {
                secs,
                epcm,
                threads,
                platform,
                quick_exits,
                driver,
                range,
                paging: Mutex::new(()),
            }
        })
    }

    pub(crate) fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.secs.base) < self.secs.size
    }

    /// Whether `len` bytes at `address` lie in ELRANGE.
    pub(crate) fn contains_range(&self, address: usize, len: usize) -> bool {
        self.contains(address) && len <= self.secs.size - (address - self.secs.base)
    }

    pub(crate) fn page(&self, address: usize) -> usize {
        address.wrapping_sub(self.secs.base) / PAGE
    }

    pub(crate) fn entry(&self, address: usize) -> Entry {
        self.epcm.get(self.page(address))
    }

    pub(crate) fn thread(&self, address: usize) -> Option<&ThreadControl> {
        let index = self.threads.binary_search_by_key(&address, |thread| thread.address).ok()?;
        self.threads.get(index)
    }

    /// Locks the paging: whoever changes EPCM entries and page tables together holds this lock.
    pub(crate) fn lock_paging(&self) -> MutexGuard<'_, ()> {
        self.paging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the page table differ from the EPCM. The caller holds [`Self::lock_paging`] until it
    /// has undone this.
    pub(crate) fn protect_temporarily(
        &self,
        page: usize,
        permissions: Permissions,
    ) -> Result<(), Error> {
        self.range.protect(page..page + 1, permissions)
    }

    /// Does what [`Changes::update`] does, for consecutive pages, with few system calls.
    pub(crate) fn update_all(
        &self,
        pages: Range<usize>,
        mut change: impl FnMut(Entry) -> Entry,
    ) -> Result<(), Error> {
        let mut run: Option<(usize, Permissions)> = None;
        for page in pages.clone() {
            let entry = change(self.epcm.get(page));
            self.epcm.set(page, entry);
            let permissions = entry.effective();
            match run {
                Some((_, same)) if same == permissions => {}
                Some((start, other)) => {
                    self.range.protect(start..page, other)?;
                    run = Some((page, permissions));
                }
                None => run = Some((page, permissions)),
            }
        }
        match run {
            Some((start, permissions)) => self.range.protect(start..pages.end, permissions),
            None => Ok(()),
        }
    }

    /// Makes pages read as zero again, as after EAUG.
    pub(crate) fn clear(&self, pages: Range<usize>) -> Result<(), Error> {
        let address = (self.range.base + pages.start * PAGE) as *mut _;
        // SAFETY: callers pass page numbers inside the reservation, which is ours.
        let done = unsafe { libc::madvise(address, pages.len() * PAGE, libc::MADV_DONTNEED) };
        if done == 0 { Ok(()) } else { Err(Error::last_os("madvise of enclave pages")) }
    }

    /// Whether page number `page` holds a thread control structure.
    pub(crate) fn is_thread_page(&self, page: usize) -> bool {
        self.epcm.get(page).is(PageType::Tcs)
    }
}

/// Changes of single pages that one thread makes in a row. The page tables follow once for each run
/// of pages, at the latest when this is dropped. Until then, other threads find a page unchanged.
pub(crate) struct Changes<'a> {
    enclave: &'a Enclave,
    /// The lock, held from the first change on.
    paging: Option<MutexGuard<'a, ()>>,
    /// Pages whose entries allow these permissions, and whose page tables do not yet.
    pending: Option<(Range<usize>, Permissions)>,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(enclave: &'a Enclave) -> Self {
        Changes { enclave, paging: None, pending: None }
    }

    /// Returns the entry of a page. No other thread changes it from now on.
    pub(crate) fn entry(&mut self, page: usize) -> Entry {
        self.paging.get_or_insert_with(|| self.enclave.lock_paging());
        self.enclave.epcm.get(page)
    }

    /// Stores an entry.
    pub(crate) fn update(&mut self, page: usize, entry: Entry) -> Result<(), Error> {
        let before = self.entry(page).effective();
        let now = entry.effective();
        match &mut self.pending {
            _ if before == now => {}
            Some((run, same)) if run.end == page && *same == now => run.end += 1,
            _ => {
                self.apply()?;
                self.pending = Some((page..page + 1, now));
            }
        }
        self.enclave.epcm.set(page, entry);
        Ok(())
    }

    /// Makes the page tables match the entries. Returns whether they differed.
    pub(crate) fn apply(&mut self) -> Result<bool, Error> {
        let Some((run, permissions)) = self.pending.clone() else { return Ok(false) };
        self.enclave.range.protect(run, permissions)?;
        self.pending = None;
        Ok(true)
    }
}

impl Drop for Changes<'_> {
    fn drop(&mut self) {
        // If the kernel cannot follow, the enclave gets a fault, as when EPC is taken away.
        let _ = self.apply();
    }
}

impl Drop for Enclave {
    fn drop(&mut self) {
        registry::remove(self.secs.base);
    }
}
