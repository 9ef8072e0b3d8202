//! What one enclave is served with, and what it said.

use crate::code::CodeFile;
use crate::driver::Memory;
use crate::elrange::Elrange;
use crate::folder::Folder;
use crate::mapping::PAGE;
use crate::program::{Program, words};
use crate::sockets::Sockets;
use crate::stats::{Counters, Stats};
use crate::storage::Storage;
use crate::streams;
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;
use twine_protocol::wire::{PollRecord, Status, TRANSFER_BUFFER_SIZE, Unit};

/// A year: the system's clocks can't add much more.
const LONGEST_SLEEP: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// One host call, as an [`Interposer`] sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call {
    /// The TCS of the thread that made it.
    pub tcs: u64,
    /// Its number, one of [`twine_protocol::calls::number`].
    pub number: u64,
    /// Its arguments.
    pub arguments: [u64; 4],
    /// The addresses of the enclave.
    pub elrange: std::ops::Range<usize>,
}

/// Sees every host call after it was served, and may answer otherwise: for tracing, and for
/// tests that play a hostile host.
pub trait Interposer: Send + Sync {
    /// The answer that the enclave gets, where the host itself would have given `honest`.
    fn answer(&self, call: &Call, honest: (u64, u64)) -> (u64, u64);
}

impl std::fmt::Debug for dyn Interposer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interposer")
    }
}

/// How an enclave ended when it did not end well.
#[derive(Debug, Clone)]
pub(crate) enum Abnormal {
    /// It made EDP's `exit` call with `panic` set.
    Panicked,
    /// An exception that it does not handle.
    Exception { vector: u16, address: u64 },
    /// The driver had no page for what it touched.
    NoPage { address: u64 },
    /// It could not be entered.
    NotEntered(i32),
}

/// What an enclave said of itself.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub outcome: Option<Vec<u8>>,
    pub exhausted: Option<u64>,
    pub panic_place: Option<String>,
    pub abnormal: Option<Abnormal>,
    /// Interrupts that the enclave has not been told of.
    pub interrupts: u32,
}

/// Host memory, aligned to words, that stays where it is.
type Buffer = Box<[u64]>;

/// What of this machine an enclave may use, by the numbers that the launch request has for it.
#[derive(Debug, Default)]
pub struct Resources {
    /// Files that hold volumes.
    pub storages: Vec<Storage>,
    /// Ordinary folders.
    pub folders: Vec<Folder>,
    /// Listening sockets.
    pub listeners: Vec<TcpListener>,
    /// Where the program's compiled code is kept.
    pub code: Option<CodeFile>,
    /// Where the program's standard input comes from, instead of this process's.
    pub input: Option<Box<dyn Input>>,
    /// Who wants to know how far long work has come.
    pub progress: Option<Box<dyn Progress>>,
    /// What interrupts the program, if [`Limits::interrupts`](twine_protocol::launch::Limits) is
    /// set.
    pub interrupts: Interrupts,
}

/// Interrupts a program that runs, from another thread.
#[derive(Debug, Clone, Default)]
pub struct Interrupts(Arc<OnceLock<Weak<Service>>>);

impl Interrupts {
    /// Tells the enclave, if it runs.
    pub fn send(&self) {
        if let Some(service) = self.0.get().and_then(Weak::upgrade) {
            service.interrupt();
        }
    }

    /// Sends them there from now on.
    pub(crate) fn lead_to(&self, service: &Arc<Service>) {
        let _ = self.0.set(Arc::downgrade(service));
    }
}

/// Is told how far long work has come.
pub trait Progress: Send + Sync {
    /// So much is done of `total`, or of what is not known.
    fn progress(&self, done: u64, total: Option<u64>, unit: Unit);
}

impl std::fmt::Debug for dyn Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}

/// A standard input other than this process's: a line editor on a terminal.
pub trait Input: Send + Sync {
    /// Reads at least one byte, or none at the end. `line` is what the program has written
    /// to its standard output since it last began a line: its prompt.
    ///
    /// # Errors
    /// How it failed.
    fn read(&self, line: &str, bytes: &mut [u8]) -> std::io::Result<usize>;
}

impl std::fmt::Debug for dyn Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Input")
    }
}

/// Most bytes of a prompt.
const MAX_PROMPT: usize = 4096;

/// What one enclave is served with.
#[derive(Debug)]
pub(crate) struct Service {
    resources: Resources,
    sockets: Sockets,
    launch: Buffer,
    launch_length: u64,
    program: Program,
    /// One transfer buffer for each TCS, for the life of the enclave.
    transfers: Mutex<HashMap<u64, Buffer>>,
    said: Mutex<Said>,
    /// The run has ended, or was interrupted: who sleeps looks.
    changed: Condvar,
    /// What was written to the standard output since the last new line.
    line: Mutex<Vec<u8>>,
    pub counters: Counters,
    /// The enclave's, once it is loaded.
    pub memory: OnceLock<Arc<Memory>>,
    pub interposer: Option<Arc<dyn Interposer>>,
}

impl Service {
    pub(crate) fn new(
        launch: &[u8],
        program: Program,
        mut resources: Resources,
        interposer: Option<Arc<dyn Interposer>>,
    ) -> Self {
        let sockets = Sockets::new(std::mem::take(&mut resources.listeners));
        Service {
            resources,
            sockets,
            launch: words(launch),
            launch_length: launch.len() as u64,
            program,
            transfers: Mutex::default(),
            said: Mutex::default(),
            changed: Condvar::new(),
            line: Mutex::default(),
            counters: Counters::new(),
            memory: OnceLock::new(),
            interposer,
        }
    }

    pub(crate) fn interrupts(&self) -> Interrupts {
        self.resources.interrupts.clone()
    }

    /// Notes how the run has ended.
    pub(crate) fn end(&self, note: impl FnOnce(&mut Said)) {
        note(&mut self.said());
        self.changed.notify_all();
    }

    /// Notes an interrupt.
    fn interrupt(&self) {
        self.said().interrupts += 1;
        self.changed.notify_all();
    }

    /// Sleeps for so many nanoseconds, or until the run has ended. A sleep without an end is
    /// interrupted.
    pub(crate) fn sleep(&self, nanoseconds: u64) -> Result<(), Status> {
        let endless = nanoseconds == u64::MAX;
        let goes_on = |said: &mut Said| {
            let interrupted = endless && said.interrupts > 0;
            said.outcome.is_none() && said.abnormal.is_none() && !interrupted
        };
        let time = Duration::from_nanos(nanoseconds).min(LONGEST_SLEEP);
        // Whoever wanted to sleep longer asks again.
        let waited = self.changed.wait_timeout_while(self.said(), time, goes_on);
        let (mut said, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if endless && said.interrupts > 0 {
            said.interrupts -= 1;
            return Err(Status::Interrupted);
        }
        Ok(())
    }

    /// The answer to a call, once the host itself has served it.
    pub(crate) fn answer(
        &self,
        tcs: u64,
        number: u64,
        arguments: [u64; 4],
        honest: (u64, u64),
    ) -> (u64, u64) {
        match (&self.interposer, self.memory.get()) {
            (Some(interposer), Some(memory)) => {
                let elrange = memory.base()..memory.base() + memory.size();
                interposer.answer(&Call { tcs, number, arguments, elrange }, honest)
            }
            _ => honest,
        }
    }

    pub(crate) fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn launch(&self) -> (u64, u64) {
        (self.launch.as_ptr() as u64, self.launch_length)
    }

    pub(crate) fn program(&self) -> (u64, u64) {
        self.program.give()
    }

    pub(crate) fn storage(&self, number: u64) -> Result<&Storage, Status> {
        let number = usize::try_from(number).ok();
        number.and_then(|number| self.resources.storages.get(number)).ok_or(Status::Invalid)
    }

    pub(crate) fn folder(&self, number: u64) -> Result<&Folder, Status> {
        let number = usize::try_from(number).ok();
        number.and_then(|number| self.resources.folders.get(number)).ok_or(Status::Invalid)
    }

    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Waits for streams and sockets; how many are ready.
    pub(crate) fn poll(&self, records: &mut [PollRecord], timeout: u64) -> Result<u64, Status> {
        // Open until the wait is over, whatever another thread closes.
        let sockets: Vec<_> =
            records.iter().map(|record| self.sockets.get(record.stream)).collect();
        let numbers: Vec<u64> = records.iter().map(|record| record.stream).collect();
        streams::poll(records, timeout, |stream| {
            let at = numbers.iter().position(|&number| number == stream)?;
            Some(sockets[at].as_ref()?.descriptor())
        })
    }

    /// Reads from a stream of the program's.
    pub(crate) fn read(&self, stream: u64, bytes: &mut [u8]) -> Result<u64, Status> {
        let Some(input) = self.resources.input.as_ref().filter(|_| stream == 0) else {
            return streams::read(stream, bytes);
        };
        let line = std::mem::take(&mut *self.line());
        let read = input.read(&String::from_utf8_lossy(&line), bytes);
        read.map(|count| count as u64).map_err(|_| Status::Io)
    }

    /// Writes to a stream of the program's.
    pub(crate) fn write(&self, stream: u64, bytes: &[u8]) -> Result<u64, Status> {
        let written = streams::write(stream, bytes)?;
        if stream == 1 && self.resources.input.is_some() {
            let bytes = bytes.get(..written as usize).unwrap_or(bytes);
            let mut line = self.line();
            match bytes.iter().rposition(|&byte| byte == b'\n') {
                Some(end) => *line = bytes[end + 1..].to_vec(),
                None => line.extend_from_slice(bytes),
            }
            line.truncate(MAX_PROMPT);
        }
        Ok(written)
    }

    pub(crate) fn progress(&self, done: u64, total: u64, unit: u64) {
        if let (Some(progress), Some(unit)) = (&self.resources.progress, Unit::from_code(unit)) {
            progress.progress(done, (total != 0).then_some(total), unit);
        }
    }

    fn line(&self) -> MutexGuard<'_, Vec<u8>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn code(&self) -> Option<&CodeFile> {
        self.resources.code.as_ref()
    }

    /// Whether a fault at this address was in a mapping of a file, and zeros are there now. The
    /// enclave is told where they are, or the user is.
    pub(crate) fn patch(&self, address: u64) -> bool {
        if self.resources.storages.iter().any(|storage| storage.patch(address)) {
            return true;
        }
        if self.resources.code.as_ref().is_some_and(|code| code.patch(address)) {
            self.counters.unread_code();
            return true;
        }
        let of_program = self.program.patch(address);
        if of_program {
            self.counters.unread_program();
        }
        of_program
    }

    /// What was counted.
    pub(crate) fn stats(&self) -> Stats {
        let storages = self.resources.storages.iter();
        self.counters.read(storages.map(|storage| storage.unread().count()).sum())
    }

    /// The transfer buffer of the thread with that TCS.
    pub(crate) fn transfer(&self, tcs: u64) -> (u64, u64) {
        let mut transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        let words = (TRANSFER_BUFFER_SIZE + PAGE) as usize / 8;
        let buffer = transfers.entry(tcs).or_insert_with(|| vec![0; words].into());
        // At the start of a page, where it can be written to a file from directly.
        let start = (buffer.as_ptr() as u64).next_multiple_of(PAGE);
        (start, TRANSFER_BUFFER_SIZE)
    }

    /// Whether these bytes lie in the transfer buffer of that TCS: a host call of a sane
    /// enclave names no others.
    pub(crate) fn in_transfer(&self, tcs: u64, pointer: u64, length: u64) -> bool {
        let (start, size) = self.transfer(tcs);
        pointer >= start && pointer.checked_add(length).is_some_and(|end| end <= start + size)
    }
}

static SERVICES: RwLock<Vec<(Elrange, Arc<Service>)>> = RwLock::new(Vec::new());

/// Serves the enclave at these addresses from now on, until the guard is dropped.
pub(crate) struct Registered(usize);

pub(crate) fn register(elrange: Elrange, service: Arc<Service>) -> Registered {
    SERVICES.write().unwrap_or_else(PoisonError::into_inner).push((elrange, service));
    Registered(elrange.base)
}

impl Drop for Registered {
    fn drop(&mut self) {
        SERVICES
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(elrange, _)| elrange.base != self.0);
    }
}

/// The service of the enclave that this TCS belongs to.
pub(crate) fn of_tcs(tcs: u64) -> Option<Arc<Service>> {
    SERVICES
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .find(|(elrange, _)| (tcs as usize).wrapping_sub(elrange.base) < elrange.size)
        .map(|(_, service)| service.clone())
}
