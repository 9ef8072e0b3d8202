//! Entering what the page cache holds of a mapping into the page tables, before the enclave
//! meets each page with a fault of its own.

use crate::mapping::{self, PAGE};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Bytes that are entered at once, if all of them are in the page cache: nothing is read
/// from a disk for this.
const STEP: usize = 2 << 20;

/// Most bytes of a mapping that are entered: 8 MiB of page tables.
const MOST: usize = 4 << 30;

/// A thread that does it, until it is done or this is dropped.
#[derive(Debug)]
pub(crate) struct Prefault {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Prefault {
    /// Begins with `length` bytes of a mapping at `address`, which outlives this. If there
    /// can be no thread, nothing is done.
    pub(crate) fn start(address: usize, length: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let work = move || {
            let mut cached = vec![0; STEP / PAGE as usize];
            for start in (0..length.min(MOST)).step_by(STEP) {
                let bytes = STEP.min(length - start);
                if seen.load(Ordering::Relaxed) || !enter(address + start, bytes, &mut cached) {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("twine-prefault".into()).spawn(work).ok();
        Prefault { stop, thread }
    }
}

impl Drop for Prefault {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It neither panics nor waits for anything.
            let _ = thread.join();
        }
    }
}

/// Enters some pages if all are in the page cache; whether to go on with others.
fn enter(address: usize, length: usize, cached: &mut [u8]) -> bool {
    // SAFETY: the range is of a mapping that is there, and `cached` has a byte for each of
    // its pages.
    if unsafe { libc::mincore(address as *mut libc::c_void, length, cached.as_mut_ptr()) } != 0 {
        return false;
    }
    if !cached[..length.div_ceil(PAGE as usize)].iter().all(|page| page & 1 != 0) {
        return true;
    }
    mapping::populate(address, length)
}
