//! Enters the pages of a mapping that are in the page cache into the page tables, so that the
//! enclave has no fault at each of them. The enclave's reads decide how many pages are entered.

use crate::mapping::{self, PAGE};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// The number of bytes that are entered at once, if all of them are in the page cache. Nothing is read
/// from a disk.
const STEP: u64 = 2 << 20;

/// Limit on the bytes of a mapping that are entered: this is 8 MiB of page tables.
const MAX_WANTED: u64 = 4 << 30;

/// Enters pages, from the start of a mapping on, in a thread that lives while it has work.
#[derive(Debug)]
pub(crate) struct Prefault {
    address: usize,
    state: Arc<Mutex<State>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of bytes to enter, from the start of the mapping on.
    wanted: u64,
    /// The number of bytes that the thread has processed.
    entered: u64,
    /// Whether a thread is running.
    working: bool,
    /// Whether to enter no more pages.
    stopped: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Prefault {
    /// Makes a value for the mapping at `address`, which must outlive this.
    pub(crate) fn new(address: usize) -> Self {
        Prefault { address, state: Arc::default(), thread: Mutex::default() }
    }

    /// Enters the rest of the first `length` bytes, which must be in the mapping. Does nothing if no
    /// thread can be started.
    pub(crate) fn enter(&self, length: u64) {
        // Held until the thread is started, so that there is at most one.
        let mut thread = lock(&self.thread);
        let mut state = lock(&self.state);
        state.wanted = state.wanted.max(length.min(MAX_WANTED));
        if state.working || state.stopped || state.entered >= state.wanted {
            return;
        }
        state.working = true;
        drop(state);
        if let Some(ended) = thread.take() {
            // The thread has set `working` to false, and returns at once.
            let _ = ended.join();
        }
        let (address, state) = (self.address, Arc::clone(&self.state));
        let work = move || work(address, &state);
        *thread = thread::Builder::new().name("twine-prefault".into()).spawn(work).ok();
        if thread.is_none() {
            lock(&self.state).stopped = true;
        }
    }

    #[cfg(test)]
    fn entered(&self) -> u64 {
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
        lock(&self.state).entered
    }
}

impl Drop for Prefault {
    fn drop(&mut self) {
        lock(&self.state).stopped = true;
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

/// Enters pages until all that are wanted are entered.
fn work(address: usize, state: &Mutex<State>) {
    let mut cached = vec![0; (STEP / PAGE) as usize];
    loop {
        let (start, length) = {
            let mut state = lock(state);
            if state.stopped || state.entered >= state.wanted {
                state.working = false;
                return;
            }
            (state.entered, STEP.min(state.wanted - state.entered))
        };
        let goes_on = enter(address + start as usize, length as usize, &mut cached);
        let mut state = lock(state);
        state.entered = start + length;
        state.stopped |= !goes_on;
    }
}

/// Enters a range of pages if all of them are in the page cache. Returns whether to continue.
fn enter(address: usize, length: usize, cached: &mut [u8]) -> bool {
    // SAFETY: the range is part of an existing mapping, and `cached` has a byte for each page.
    if unsafe { libc::mincore(address as *mut libc::c_void, length, cached.as_mut_ptr()) } != 0 {
        return false;
    }
    if !cached[..length.div_ceil(PAGE as usize)].iter().all(|page| page & 1 != 0) {
        return true;
    }
    mapping::populate(address, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;
    use std::fs::{self, File};

    /// Returns the bytes of the mapping that are in the page tables (proc_pid_smaps(5)).
    fn resident(mapping: &Mapping) -> u64 {
        let start = format!("{:x}-", mapping.address());
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
        let of_it = smaps.lines().skip_while(|line| !line.starts_with(&start));
        let rss = of_it.into_iter().find_map(|line| line.strip_prefix("Rss:")).unwrap();
        rss.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
    }

    #[test]
    fn only_the_wanted_pages_are_entered() {
        const SIZE: u64 = 64 << 20;
        let path = std::env::temp_dir().join(format!("twine-prefault-{}", std::process::id()));
        fs::write(&path, vec![1; SIZE as usize]).unwrap();
        let mapping = Mapping::new(&File::open(&path).unwrap(), SIZE).unwrap();
        let prefault = Prefault::new(mapping.address());
        for wanted in [8 << 20, 4 << 20, 20 << 20, SIZE] {
            prefault.enter(wanted);
            let most = prefault.entered();
            assert!(wanted <= most && most <= wanted.max(8 << 20), "{most} for {wanted}");
            assert_eq!(resident(&mapping), most);
        }
        drop((prefault, mapping));
        fs::remove_file(path).unwrap();
    }
}
