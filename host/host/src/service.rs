//! The state of the host for one enclave: its resources, and what the enclave reported.

use crate::code::CodeFile;
use crate::driver::Memory;
use crate::elrange::Elrange;
use crate::folder::Folder;
use crate::mapping::PAGE;
use crate::network::Network;
use crate::program::{Program, words};
use crate::sockets::Sockets;
use crate::state::State;
use crate::stats::{Counters, Stats};
use crate::storage::Storage;
use crate::storages::Storages;
use crate::streams;
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;
use twine_protocol::calls::HostRange;
use twine_protocol::state::write;
use twine_protocol::wire::{
    Issuer, MAX_HANDOVER_REQUEST, PollRecord, Status, TRANSFER_BUFFER_SIZE, Unit,
};

/// Limit on one sleep: a year. The system's clocks can't add much more.
const LONGEST_SLEEP: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// One host call, as an [`Interposer`] sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call {
    /// The TCS of the thread that made it.
    pub tcs: u64,
    /// The number, one of [`twine_protocol::calls::number`].
    pub number: u64,
    /// The arguments.
    pub arguments: [u64; 4],
    /// The address range of the enclave.
    pub elrange: std::ops::Range<usize>,
}

/// Sees every host call after it was served, and may replace the results. It is for tracing, and for
/// tests with a hostile host.
pub trait Interposer: Send + Sync {
    /// Returns the results for the enclave. The host's own results are `honest`.
    fn answer(&self, call: &Call, honest: (u64, u64)) -> (u64, u64);
}

impl std::fmt::Debug for dyn Interposer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interposer")
    }
}

/// An abnormal end of an enclave.
#[derive(Debug, Clone)]
pub(crate) enum Abnormal {
    /// The enclave made EDP's `exit` call with `panic` set.
    Panicked,
    /// The enclave did not handle an exception.
    Exception { vector: u16, address: u64 },
    /// The driver had no page for an address that the enclave touched.
    NoPage { address: u64 },
    /// The enclave could not be entered.
    NotEntered(i32),
}

/// The enclave's reports about the run.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub outcome: Option<Vec<u8>>,
    pub exhausted: Option<u64>,
    pub panic_place: Option<String>,
    pub abnormal: Option<Abnormal>,
    /// The number of interrupts that the enclave has not received yet.
    pub interrupts: u32,
}

/// Host memory that is aligned to words and never moves.
type Buffer = Box<[u64]>;

/// The resources of this machine that an enclave may use. The launch request refers to them by number.
#[derive(Debug, Default)]
pub struct Resources {
    /// Files that hold volumes.
    pub storages: Vec<Storage>,
    /// Ordinary folders.
    pub folders: Vec<Folder>,
    /// Listening sockets.
    pub listeners: Vec<TcpListener>,
    /// What programs of deployments may do on the network.
    pub network: Network,
    /// The folder for records, and for storages that the enclave opens by name.
    pub state: Option<State>,
    /// The file for the program's cached code.
    pub code: Option<CodeFile>,
    /// The program's standard input, in place of this process's.
    pub input: Option<Box<dyn Input>>,
    /// Receives the progress of long operations.
    pub progress: Option<Box<dyn Progress>>,
    /// The older images from whose enclaves this one takes deployments over.
    pub formers: Vec<Box<dyn Former>>,
    /// Makes quotes, and takes the evidence that the launch request asks for.
    pub attestation: Option<Box<dyn Attestation>>,
    /// Interrupts the program, if [`Limits::interrupts`](twine_protocol::launch::Limits) is set.
    pub interrupts: Interrupts,
}

/// Interrupts a running program, from another thread.
#[derive(Debug, Clone, Default)]
pub struct Interrupts(Arc<OnceLock<Weak<Service>>>);

impl Interrupts {
    /// Interrupts the program, if the enclave runs.
    pub fn send(&self) {
        if let Some(service) = self.0.get().and_then(Weak::upgrade) {
            service.interrupt();
        }
    }

    /// Sends interrupts to `service` from now on.
    pub(crate) fn connect(&self, service: &Arc<Service>) {
        let _ = self.0.set(Arc::downgrade(service));
    }
}

/// Receives the progress of long operations.
pub trait Progress: Send + Sync {
    /// Reports that `done` units of `total` are complete. The total may not be known.
    fn progress(&self, done: u64, total: Option<u64>, unit: Unit);
}

impl std::fmt::Debug for dyn Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}

/// The outside part of making evidence.
pub trait Attestation: Send + Sync {
    /// Has a quoting enclave turn a report of the enclave into a quote.
    ///
    /// # Errors
    /// There is no quote. The implementation keeps the cause for whoever made it.
    fn quote(&self, report: &[u8]) -> Result<Vec<u8>, NoQuote>;

    /// Takes the evidence, before the program starts.
    ///
    /// # Errors
    /// The evidence can't be kept. The enclave then refuses to start the program.
    fn evidence(&self, evidence: &[u8]) -> std::io::Result<()>;

    /// Returns the TARGETINFO of the quoting enclave.
    ///
    /// # Errors
    /// There is no quoting enclave. The implementation keeps the cause for whoever made it.
    fn target(&self) -> Result<Vec<u8>, NoQuote>;

    /// Returns collateral for platforms with this FMSPC, in JSON. `None` if there is none to be had; the
    /// implementation keeps the cause for whoever made it.
    fn collateral(&self, fmspc: [u8; 6], issuer: Issuer) -> Option<Vec<u8>>;
}

/// No quote was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoQuote;

impl std::fmt::Debug for dyn Attestation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attestation")
    }
}

/// An older image, whose enclave hands over what it keeps of a deployment.
pub trait Former: Send + Sync {
    /// The TARGETINFO of its enclaves.
    fn target(&self) -> [u8; 512];

    /// Has one of its enclaves answer a request.
    ///
    /// # Errors
    /// There is no answer. The implementation keeps the cause for the operator.
    fn answer(&self, request: Vec<u8>) -> Result<Vec<u8>, NoAnswer>;
}

/// An enclave of an older image did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAnswer;

impl std::fmt::Debug for dyn Former {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Former")
    }
}

/// A standard input other than this process's: a line editor on a terminal.
pub trait Input: Send + Sync {
    /// Reads at least one byte, or none at the end. `line` is the program's prompt: the text of the
    /// last, unfinished line of its standard output.
    ///
    /// # Errors
    /// If the input can't be read.
    fn read(&self, line: &str, bytes: &mut [u8]) -> std::io::Result<usize>;
}

impl std::fmt::Debug for dyn Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Input")
    }
}

/// Limit on the length of a prompt, in bytes.
const MAX_PROMPT: usize = 4096;

/// The state of the host for one enclave.
#[derive(Debug)]
pub(crate) struct Service {
    resources: Resources,
    storages: Storages,
    sockets: Sockets,
    launch: Buffer,
    launch_length: u64,
    program: Program,
    /// The transfer buffer of each TCS, until the enclave ends.
    transfers: Mutex<HashMap<u64, Buffer>>,
    /// The collateral that each TCS got last.
    collaterals: Mutex<HashMap<u64, Buffer>>,
    /// Requests to older images, of which pieces have come, by TCS.
    requests: Mutex<HashMap<u64, Vec<u8>>>,
    said: Mutex<Said>,
    /// Wakes threads that sleep, when the run has ended or was interrupted.
    changed: Condvar,
    /// The text that was written to the standard output since the last new line.
    line: Mutex<Vec<u8>>,
    pub counters: Counters,
    /// The enclave's memory, once the enclave is loaded.
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
        let storages = Storages::new(std::mem::take(&mut resources.storages));
        let sockets = Sockets::new(std::mem::take(&mut resources.listeners));
        Service {
            resources,
            storages,
            sockets,
            launch: words(launch),
            launch_length: launch.len() as u64,
            program,
            transfers: Mutex::default(),
            collaterals: Mutex::default(),
            requests: Mutex::default(),
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

    /// Records the end of the run.
    pub(crate) fn end(&self, record: impl FnOnce(&mut Said)) {
        record(&mut self.said());
        self.changed.notify_all();
    }

    /// Records an interrupt.
    fn interrupt(&self) {
        self.said().interrupts += 1;
        self.changed.notify_all();
    }

    /// Sleeps for this many nanoseconds, or until the run has ended. An interrupt ends a sleep without
    /// a limit (`u64::MAX`).
    pub(crate) fn sleep(&self, nanoseconds: u64) -> Result<(), Status> {
        let endless = nanoseconds == u64::MAX;
        let goes_on = |said: &mut Said| {
            let interrupted = endless && said.interrupts > 0;
            said.outcome.is_none() && said.abnormal.is_none() && !interrupted
        };
        let time = Duration::from_nanos(nanoseconds).min(LONGEST_SLEEP);
        // The enclave repeats a call for a longer sleep.
        let waited = self.changed.wait_timeout_while(self.said(), time, goes_on);
        let (mut said, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if endless && said.interrupts > 0 {
            said.interrupts -= 1;
            return Err(Status::Interrupted);
        }
        Ok(())
    }

    /// Returns the results of a call: the interposer's, if there is one, otherwise `honest`.
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

    pub(crate) fn launch(&self) -> HostRange {
        HostRange { pointer: self.launch.as_ptr() as u64, length: self.launch_length }
    }

    pub(crate) fn program(&self) -> HostRange {
        self.program.location()
    }

    pub(crate) fn storage(&self, number: u64) -> Result<Arc<Storage>, Status> {
        self.storages.get(number)
    }

    pub(crate) fn storages(&self) -> &Storages {
        &self.storages
    }

    pub(crate) fn state(&self) -> Result<&State, Status> {
        self.resources.state.as_ref().ok_or(Status::NotSupported)
    }

    pub(crate) fn folder(&self, number: u64) -> Result<&Folder, Status> {
        let number = usize::try_from(number).ok();
        number.and_then(|number| self.resources.folders.get(number)).ok_or(Status::Invalid)
    }

    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    pub(crate) fn network(&self) -> &Network {
        &self.resources.network
    }

    /// Waits for streams, sockets and wakers, and returns how many are ready.
    pub(crate) fn poll(&self, records: &mut [PollRecord], timeout: u64) -> Result<u64, Status> {
        // Keeps the sockets open during the wait, even if another thread closes them.
        let sockets: Vec<_> =
            records.iter().map(|record| self.sockets.get(record.stream)).collect();
        let numbers: Vec<u64> = records.iter().map(|record| record.stream).collect();
        let ready = streams::poll(records, timeout, |stream| {
            let at = numbers.iter().position(|&number| number == stream)?;
            Some(sockets[at].as_ref()?.descriptor())
        });
        let reported = sockets.iter().zip(records).filter(|(_, record)| record.events != 0);
        reported.filter_map(|(socket, _)| socket.as_ref()).for_each(|socket| socket.reset());
        ready
    }

    /// Reads from a stream of the program.
    pub(crate) fn read(&self, stream: u64, bytes: &mut [u8]) -> Result<u64, Status> {
        let Some(input) = self.resources.input.as_ref().filter(|_| stream == 0) else {
            return streams::read(stream, bytes);
        };
        let line = std::mem::take(&mut *self.line());
        let read = input.read(&String::from_utf8_lossy(&line), bytes);
        read.map(|count| count as u64).map_err(|_| Status::Io)
    }

    /// Writes to a stream of the program.
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

    pub(crate) fn attestation(&self) -> Option<&dyn Attestation> {
        self.resources.attestation.as_deref()
    }

    /// Returns collateral for the thread with this TCS, which is kept until its next call.
    pub(crate) fn collateral(&self, tcs: u64, fmspc: u64, issuer: u64) -> Option<HostRange> {
        let [0, 0, fmspc @ ..] = fmspc.to_be_bytes() else { return None };
        let found = self.attestation()?.collateral(fmspc, Issuer::from_code(issuer)?)?;
        let buffer = words(&found);
        let range = HostRange { pointer: buffer.as_ptr() as u64, length: found.len() as u64 };
        let mut collaterals = self.collaterals.lock().unwrap_or_else(PoisonError::into_inner);
        collaterals.insert(tcs, buffer);
        Some(range)
    }

    pub(crate) fn former(&self, number: u64) -> Result<&dyn Former, Status> {
        let number = usize::try_from(number).ok();
        let former = number.and_then(|number| self.resources.formers.get(number));
        former.map(|former| &**former).ok_or(Status::Missing)
    }

    /// Takes a piece of a request to an older image. Returns the whole request after its last piece.
    pub(crate) fn request_piece(
        &self,
        tcs: u64,
        piece: &[u8],
        flags: u64,
    ) -> Result<Option<Vec<u8>>, Status> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let mut request = match flags & write::FIRST {
            0 => requests.remove(&tcs).ok_or(Status::Invalid)?,
            _ => Vec::new(),
        };
        if (request.len() + piece.len()) as u64 > MAX_HANDOVER_REQUEST {
            return Err(Status::FileTooBig);
        }
        request.extend_from_slice(piece);
        if flags & write::LAST != 0 {
            return Ok(Some(request));
        }
        requests.insert(tcs, request);
        Ok(None)
    }

    pub(crate) fn code(&self) -> Option<&CodeFile> {
        self.resources.code.as_ref()
    }

    /// After a fault: if the address is in a mapping of a file, replaces the page by zeros and returns
    /// true. For a volume the enclave learns of it; for the program and cached code the report does.
    pub(crate) fn patch(&self, address: u64) -> bool {
        if self.storages.patch(address) {
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

    /// Returns the counts of the run.
    pub(crate) fn stats(&self) -> Stats {
        self.counters.read(self.storages.unread())
    }

    /// Returns the transfer buffer of the thread with this TCS.
    pub(crate) fn transfer(&self, tcs: u64) -> HostRange {
        let mut transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        let words = (TRANSFER_BUFFER_SIZE + PAGE) as usize / 8;
        let buffer = transfers.entry(tcs).or_insert_with(|| vec![0; words].into());
        // Aligned to a page, as direct writes to a file require.
        let pointer = (buffer.as_ptr() as u64).next_multiple_of(PAGE);
        HostRange { pointer, length: TRANSFER_BUFFER_SIZE }
    }
}

static SERVICES: RwLock<Vec<(Elrange, Arc<Service>)>> = RwLock::new(Vec::new());

/// Removes the registration when it is dropped.
pub(crate) struct Registered(usize);

/// Registers the service of the enclave at these addresses, until the guard is dropped.
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

/// Returns the service of the enclave that this TCS belongs to.
pub(crate) fn of_tcs(tcs: u64) -> Option<Arc<Service>> {
    SERVICES
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .find(|(elrange, _)| (tcs as usize).wrapping_sub(elrange.base) < elrange.size)
        .map(|(_, service)| service.clone())
}
