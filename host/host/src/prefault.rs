//! Entering what the page cache holds of a mapping into the page tables, before the enclave
//! meets each page with a fault of its own. It goes as far as the enclave's reads are worth.

use crate::mapping::{self, PAGE};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Bytes that are entered at once, if all of them are in the page cache: nothing is read
/// from a disk for this.
const STEP: u64 = 2 << 20;

/// Most bytes of a mapping that are entered: 8 MiB of page tables.
const MAX_WANTED: u64 = 4 << 30;

/// Enters pages from the start of a mapping on, in a thread that is there while it has work.
#[derive(Debug)]
pub(crate) struct Prefault {
    address: usize,
    state: Arc<Mutex<State>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes that are to be entered, from the start of the mapping on.
    wanted: u64,
    /// How far the thread has come.
    entered: u64,
    /// Whether a thread works on it.
    working: bool,
    /// No more is to be done.
    stopped: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Prefault {
    /// For a mapping at `address`, which outlives this.
    pub(crate) fn new(address: usize) -> Self {
        Prefault { address, state: Arc::default(), thread: Mutex::default() }
    }

    /// Enters the first `length` bytes, all of them in the mapping, as far as that was not done.
    /// If there can be no thread, nothing is done.
    pub(crate) fn enter(&self, length: u64) {
        // Held until the thread is started, so that there is one at most.
        let mut thread = lock(&self.thread);
        let mut state = lock(&self.state);
        state.wanted = state.wanted.max(length.min(MAX_WANTED));
        if state.working || state.stopped || state.entered >= state.wanted {
            return;
        }
        state.working = true;
        drop(state);
        if let Some(ended) = thread.take() {
            // It said that it does no more work, and neither panics nor waits for anything.
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

/// Goes on until all that is wanted is entered.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;
    use std::fs::{self, File};

    /// Bytes of the mapping that are in the page tables (proc_pid_smaps(5)).
    fn resident(mapping: &Mapping) -> u64 {
        let start = format!("{:x}-", mapping.address());
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
        let of_it = smaps.lines().skip_while(|line| !line.starts_with(&start));
        let rss = of_it.into_iter().find_map(|line| line.strip_prefix("Rss:")).unwrap();
        rss.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
    }

    #[test]
    fn as_much_is_entered_as_was_wanted_and_no_more() {
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
