//! A host of the tests' own. It loads the image, enters it with arbitrary registers, and serves its
//! calls itself.

use crate::answers::{image, image_path, inspection, note_frame, note_frames};
use crate::child::Ending;
use crate::program;
use crate::scan::{Found, Search};
use sgxs::loader::{Load, Mapping, MappingInfo, Tcs};
use std::arch::global_asm;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use twine_protocol::calls::{HostCalls, HostRange, USER_DEFINED, dispatch, exception};
use twine_protocol::launch::{Launch, Outcome};
use twine_protocol::wire::{PollRecord, Status, StreamKind, TRANSFER_BUFFER_SIZE};

/// The ENCLU leaves (SDM Vol. 3D).
pub const EENTER: u64 = 2;
pub const ERESUME: u64 = 3;
const EEXIT: u32 = 4;

/// The vectors of the general protection exception, the page fault and the breakpoint.
pub const GP: u16 = 13;
pub const PF: u16 = 14;
pub const BP: u16 = 3;
pub const UD: u16 = 6;

/// EDP's usercalls that the image makes, by their numbers in EDP's ABI.
pub mod usercall {
    pub const LAUNCH_THREAD: u64 = 9;
    pub const EXIT: u64 = 10;
    pub const WAIT: u64 = 11;
    pub const SEND: u64 = 12;
    pub const INSECURE_TIME: u64 = 13;
    pub const ALLOC: u64 = 14;
}

/// The registers of an entry and of the exit.
#[repr(C)]
struct Registers {
    leaf: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    run: *mut sgx_sim::EnclaveRun,
    result: i64,
    stack: u64,
}

global_asm!(
    ".pushsection .text.twine_hostile_enter,\"ax\",@progbits",
    ".globl twine_hostile_enter",
    ".type twine_hostile_enter,@function",
    "twine_hostile_enter:",
    "push rbx",
    "push r12",
    "push rax",
    "mov rbx, rdi",
    "mov r12, rsp",
    "mov rax, [rbx + 72]",
    "test rax, rax",
    "cmovnz rsp, rax",
    "mov rcx, [rbx]",
    "mov rdi, [rbx + 8]",
    "mov rsi, [rbx + 16]",
    "mov rdx, [rbx + 24]",
    "mov r8, [rbx + 32]",
    "mov r9, [rbx + 40]",
    "mov r10, [rbx + 48]",
    "push rax",
    "push qword ptr [rbx + 56]",
    "call {enter}",
    "mov rsp, r12",
    "mov [rbx + 8], rdi",
    "mov [rbx + 16], rsi",
    "mov [rbx + 24], rdx",
    "mov [rbx + 32], r8",
    "mov [rbx + 40], r9",
    "movsxd rax, eax",
    "mov [rbx + 64], rax",
    "pop rax",
    "pop r12",
    "pop rbx",
    "ret",
    ".size twine_hostile_enter, . - twine_hostile_enter",
    ".popsection",
    enter = sym sgx_sim::sgx_sim_enter_enclave,
);

unsafe extern "C" {
    fn twine_hostile_enter(registers: *mut Registers);
}

/// The way in which a thread left the enclave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// By EEXIT, with these values in RDI and in RSI, RDX, R8, R9.
    Call(u64, [u64; 4]),
    /// By an exception. `inside` is false if the entry itself was refused.
    Exception { inside: bool, vector: u16 },
    /// The enclave was not entered.
    Error(i64),
}

/// Whether threads are entered from their own stacks. EDP leaves with the stack pointer that it was
/// entered with, even if it was resumed in between, so all entries need the same one.
pub static ONE_PLACE: AtomicBool = AtomicBool::new(false);

/// These stacks, by TCS, and whether they are in use. Software SGX keeps the registers to resume a
/// thread there.
static STACKS: Mutex<Option<HashMap<u64, (u64, bool)>>> = Mutex::new(None);

const STACK_SIZE: usize = 256 << 10;

/// Calls `run` with the stack for a TCS, or with 0 for the present one if that is in use.
fn on_stack<T>(tcs: u64, run: impl FnOnce(u64) -> T) -> T {
    if !ONE_PLACE.load(Ordering::Relaxed) {
        return run(0);
    }
    let stacks = || STACKS.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || {
        let stack = leak(&[], STACK_SIZE / 8).as_ptr_range();
        note_frame(stack.start as usize..stack.end as usize);
        (stack.end as u64 & !15, false)
    };
    let (stack, was_used) = {
        let mut stacks = stacks();
        let entry = stacks.get_or_insert_default().entry(tcs).or_insert_with(new);
        (entry.0, std::mem::replace(&mut entry.1, true))
    };
    if was_used {
        return run(0);
    }
    let result = run(stack);
    if let Some(entry) = stacks().get_or_insert_default().get_mut(&tcs) {
        entry.1 = false;
    }
    result
}

/// Enters with arbitrary registers: RDI, RSI, RDX, R8, R9, R10.
pub fn enter(tcs: u64, leaf: u64, registers: [u64; 6]) -> Exit {
    enter_with(tcs, leaf, registers, 0)
}

/// Enters with an exit handler of the vDSO's ABI, or 0 for none.
pub fn enter_with(tcs: u64, leaf: u64, registers: [u64; 6], handler: u64) -> Exit {
    note_frames();
    let mut run = sgx_sim::EnclaveRun::new(tcs as *mut _);
    run.user_handler = handler;
    let [rdi, rsi, rdx, r8, r9, r10] = registers;
    let run_pointer = &raw mut run;
    let registers = on_stack(tcs, |stack| {
        let mut registers =
            Registers { leaf, rdi, rsi, rdx, r8, r9, r10, run: run_pointer, result: 0, stack };
        // SAFETY: both structures are valid for the call. The test is what the enclave does.
        unsafe { twine_hostile_enter(&raw mut registers) };
        registers
    });
    note_frames();
    match registers.result {
        0 if run.function == EEXIT => {
            Exit::Call(registers.rdi, [registers.rsi, registers.rdx, registers.r8, registers.r9])
        }
        // The simulator reports EENTER for a refused entry, and ERESUME for an exception inside.
        0 => Exit::Exception {
            inside: u64::from(run.function) == ERESUME && leaf == EENTER,
            vector: run.exception_vector,
        },
        error => Exit::Error(error),
    }
}

/// A loaded image.
pub struct Enclave {
    pub range: Range<usize>,
    pub tcs: Vec<u64>,
    mapping: Option<Mapping<sgx_sim::Device>>,
}

/// The address ranges of all loaded enclaves of this module.
static LOADED: Mutex<Vec<Range<usize>>> = Mutex::new(Vec::new());

pub fn loaded() -> Vec<Range<usize>> {
    LOADED.lock().map(|loaded| loaded.clone()).unwrap_or_default()
}

impl Drop for Enclave {
    fn drop(&mut self) {
        drop(self.mapping.take());
        if let Ok(mut loaded) = LOADED.lock() {
            loaded.retain(|range| *range != self.range);
        }
    }
}

// SAFETY: the mapping is only kept alive; any thread may enter the simulator's enclaves.
unsafe impl Sync for Enclave {}
// SAFETY: as above.
unsafe impl Send for Enclave {}

#[target_feature(enable = "xsave")]
fn xcr0() -> u64 {
    // SAFETY: every processor with XSAVE has register 0.
    unsafe { std::arch::x86_64::_xgetbv(0) }
}

impl Enclave {
    pub fn load() -> Arc<Self> {
        let bytes = std::fs::read(image_path()).expect("the image exists");
        let image = image();
        let sigstruct = image.sigstruct();
        // SAFETY: every processor that the simulator runs on has XSAVE.
        let attributes = twine_image::launch_attributes(sigstruct, unsafe { xcr0() });
        let mapping = sgx_sim::Device::new()
            .expect("the simulator runs here")
            .load(
                &mut &bytes[..],
                sigstruct,
                attributes.expect("the processor has the features that the image requires"),
                sigstruct.miscselect,
            )
            .expect("the image is valid");
        let start = mapping.info.address() as usize;
        let range = start..start + mapping.info.size();
        if let Ok(mut loaded) = LOADED.lock() {
            loaded.push(range.clone());
        }
        let tcs = mapping.tcss.iter().map(|tcs| tcs.address() as u64).collect();
        Arc::new(Enclave { range, tcs, mapping: Some(mapping) })
    }

    /// Fills the pages whose contents MRENCLAVE does not cover, as a host that loads the image may:
    /// the first part of each region and its last pages.
    pub fn fill_unmeasured(&self, mut word: impl FnMut(u64) -> u64) {
        const FIRST: u64 = 48 << 20;
        const LAST: u64 = 1 << 20;
        let unmeasured = |region: &&twine_image::RegionInfo| {
            region.measured == twine_image::Coverage::None && region.page_type == "REG"
        };
        for region in inspection().regions.iter().filter(unmeasured) {
            let start = self.range.start as u64 + region.offset;
            let end = start + region.size;
            let first = start..end.min(start + FIRST);
            let last = first.end.max(end - LAST.min(region.size))..end;
            for address in first.step_by(8).chain(last.step_by(8)) {
                // SAFETY: the page is writable, and no thread has entered yet.
                unsafe { (address as *mut u64).write_volatile(word(address)) };
            }
        }
    }
}

/// Allocates words that are never freed, so that other threads may write to them at any time.
pub fn leak(bytes: &[u8], room: usize) -> &'static mut [u64] {
    let mut words = vec![0_u64; bytes.len().div_ceil(8) + room];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_le_bytes(whole);
    }
    words.leak()
}

/// The data with which the host serves the enclave.
pub struct Host {
    pub launch: HostRange,
    pub program: HostRange,
    pub search: &'static Search,
    transfers: Mutex<HashMap<u64, u64>>,
    input: AtomicUsize,
    state: Mutex<State>,
    events: Condvar,
    start: Instant,
}

#[derive(Default)]
struct State {
    output: Vec<u8>,
    outcome: Option<Vec<u8>>,
    events: HashMap<u64, u64>,
    threads: usize,
    found: Found,
    last_added: Option<Range<usize>>,
}

impl Host {
    pub fn new(launch: &Launch, program: &[u8], search: &'static Search) -> Arc<Self> {
        let launch = launch.encode();
        let place = |bytes: &[u8]| HostRange {
            pointer: leak(bytes, 1).as_ptr() as u64,
            length: bytes.len() as u64,
        };
        Arc::new(Host {
            launch: place(&launch),
            program: place(program),
            search,
            transfers: Mutex::default(),
            input: AtomicUsize::new(0),
            state: Mutex::default(),
            events: Condvar::new(),
            start: Instant::now(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn transfer(&self, tcs: u64) -> u64 {
        let mut transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        *transfers
            .entry(tcs)
            .or_insert_with(|| leak(&[], TRANSFER_BUFFER_SIZE as usize / 8).as_ptr() as u64)
    }

    pub fn output(&self) -> Vec<u8> {
        self.state().output.clone()
    }

    pub fn found(&self) -> Found {
        std::mem::take(&mut self.state().found)
    }

    pub fn reported(&self) -> Option<Ending> {
        let outcome = self.state().outcome.clone()?;
        Some(Outcome::decode(&outcome).map_or_else(
            |error| Ending::Failed(format!("the report can't be read: {error}")),
            Ending::from,
        ))
    }

    /// Serves EDP's own calls.
    fn usercall(
        self: &Arc<Self>,
        enclave: &Arc<Enclave>,
        tcs: u64,
        number: u64,
        arguments: [u64; 4],
        lie: &Arc<Lie>,
    ) -> (u64, u64) {
        const WOULD_BLOCK: u64 = fortanix_sgx_abi::Error::WouldBlock as u64;
        const TIMED_OUT: u64 = fortanix_sgx_abi::Error::TimedOut as u64;
        match number {
            usercall::LAUNCH_THREAD => {
                let mut state = self.state();
                state.threads += 1;
                let Some(&tcs) = enclave.tcs.get(state.threads) else {
                    return (WOULD_BLOCK, 0);
                };
                let (host, enclave, lie) = (self.clone(), enclave.clone(), lie.clone());
                thread::spawn(move || host.run(&enclave, tcs, [0; 6], &lie));
                (0, 0)
            }
            usercall::WAIT => {
                let [mask, timeout, ..] = arguments;
                let limit = match timeout {
                    0 => Duration::ZERO,
                    _ => Duration::from_nanos(timeout).min(Duration::from_secs(20)),
                };
                let begin = Instant::now();
                let mut state = self.state();
                loop {
                    let pending = state.events.entry(tcs).or_default();
                    let ready = *pending & mask;
                    if ready != 0 {
                        *pending &= !ready;
                        return (0, ready);
                    }
                    let left = limit.saturating_sub(begin.elapsed());
                    if left.is_zero() {
                        return (if timeout == 0 { WOULD_BLOCK } else { TIMED_OUT }, 0);
                    }
                    state = self
                        .events
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
            }
            usercall::SEND => {
                let [events, to, ..] = arguments;
                let mut state = self.state();
                for tcs in enclave.tcs.iter().filter(|tcs| to == 0 || **tcs == to) {
                    *state.events.entry(*tcs).or_default() |= events;
                }
                self.events.notify_all();
                (0, 0)
            }
            usercall::INSECURE_TIME => (self.start.elapsed().as_nanos() as u64, 0),
            usercall::ALLOC => (0, leak(&[], arguments[0] as usize / 8 + 1).as_ptr() as u64),
            _ => (0, 0),
        }
    }

    /// Runs a thread of the enclave to its end.
    pub fn run(
        self: &Arc<Self>,
        enclave: &Arc<Enclave>,
        tcs: u64,
        first: [u64; 6],
        lie: &Arc<Lie>,
    ) -> Ending {
        self.run_from(EENTER, enclave, tcs, first, lie)
    }

    /// Returns the adjacent added pages with the highest addresses.
    pub fn last_added(&self) -> Option<Range<usize>> {
        self.state().last_added.clone()
    }

    /// Resumes a thread of the enclave and runs it to its end.
    pub fn resume(self: &Arc<Self>, enclave: &Arc<Enclave>, tcs: u64, lie: &Arc<Lie>) -> Ending {
        self.run_from(ERESUME, enclave, tcs, [0; 6], lie)
    }

    /// Serves a call honestly.
    pub fn serve(
        self: &Arc<Self>,
        enclave: &Arc<Enclave>,
        tcs: u64,
        number: u64,
        arguments: [u64; 4],
        lie: &Arc<Lie>,
    ) -> (u64, u64) {
        if number < USER_DEFINED {
            return self.usercall(enclave, tcs, number, arguments, lie);
        }
        let mut caller = Caller { host: self, tcs };
        dispatch(&mut caller, number, arguments).unwrap_or((0, 0))
    }

    fn run_from(
        self: &Arc<Self>,
        mut leaf: u64,
        enclave: &Arc<Enclave>,
        tcs: u64,
        first: [u64; 6],
        lie: &Arc<Lie>,
    ) -> Ending {
        let mut registers = first;
        loop {
            match enter(tcs, std::mem::replace(&mut leaf, EENTER), registers) {
                Exit::Call(0, _) => return Ending::Failed("the thread ended".into()),
                Exit::Call(usercall::EXIT, [panicked, ..]) => {
                    return self.reported().unwrap_or_else(|| {
                        Ending::Failed(
                            match panicked {
                                0 => "the enclave exited without a report",
                                _ => "the enclave panicked",
                            }
                            .into(),
                        )
                    });
                }
                Exit::Call(number, arguments) => {
                    let hits = self.transfers.lock().map_or(Vec::new(), |transfers| {
                        let range = |at: &u64| *at as usize..(at + TRANSFER_BUFFER_SIZE) as usize;
                        transfers.values().flat_map(|at| self.search.range(range(at))).collect()
                    });
                    for hit in hits {
                        self.state().found.outside.push(format!("{hit:#x} (a transfer buffer)"));
                    }
                    registers = lie(self, enclave, tcs, number, arguments, &|| {
                        self.serve(enclave, tcs, number, arguments, lie)
                    });
                }
                // An honest host does the same: the enclave may handle it.
                Exit::Exception { inside: true, .. } => {
                    let dealt = Exit::Call(exception::DEALT_WITH, [0; 4]);
                    if enter(tcs, EENTER, [0; 6]) != dealt {
                        return Ending::Failed("an exception".into());
                    }
                    leaf = ERESUME;
                    continue;
                }
                Exit::Exception { vector, .. } => {
                    return self
                        .reported()
                        .unwrap_or_else(|| Ending::Failed(format!("exception {vector}")));
                }
                Exit::Error(error) => return Ending::Failed(format!("not entered: {error}")),
            }
        }
    }

    /// Searches the process while the enclave is loaded.
    pub fn search(&self) {
        let now = self.search.process(&loaded(), &crate::answers::frames());
        let found = &mut self.state().found;
        found.outside.extend(now.outside);
        found.frames += now.frames;
        found.searched += now.searched;
    }
}

/// Returns the registers to enter with after a call: RDI, RSI, RDX, R8, R9, R10. The last argument
/// serves the call honestly.
pub type Lie = dyn Fn(&Arc<Host>, &Arc<Enclave>, u64, u64, [u64; 4], &dyn Fn() -> (u64, u64)) -> [u64; 6]
    + Send
    + Sync;

/// Returns the registers of an honest answer.
pub fn plain((first, second): (u64, u64)) -> [u64; 6] {
    [0, first, second, 0, 0, 0]
}

/// Returns a function that does not lie.
pub fn honest() -> Arc<Lie> {
    Arc::new(|_, _, _, _, _, serve| plain(serve()))
}

struct Caller<'a> {
    host: &'a Host,
    tcs: u64,
}

impl Caller<'_> {
    fn bytes(&mut self, pointer: u64, length: u64) -> Option<&mut [u8]> {
        let start = self.host.transfer(self.tcs);
        let inside = pointer >= start
            && pointer.checked_add(length).is_some_and(|end| end <= start + TRANSFER_BUFFER_SIZE);
        // SAFETY: the range is within a buffer that is never freed. Other threads may only write
        // bytes to it meanwhile.
        inside
            .then(|| unsafe { std::slice::from_raw_parts_mut(pointer as *mut u8, length as usize) })
    }
}

const DONE: u64 = Status::Ok as u64;
const INVALID: (u64, u64) = (Status::Invalid as u64, 0);

fn simulated(result: Result<(), sgx_sim::Error>) -> (u64, u64) {
    (result.map_or(Status::Denied, |()| Status::Ok).code(), 0)
}

impl HostCalls for Caller<'_> {
    fn nothing(&mut self) -> (u64, u64) {
        (0, 0)
    }

    fn transfer_buffer(&mut self) -> HostRange {
        HostRange { pointer: self.host.transfer(self.tcs), length: TRANSFER_BUFFER_SIZE }
    }

    fn launch_request(&mut self) -> HostRange {
        self.host.launch
    }

    fn program(&mut self) -> HostRange {
        self.host.program
    }

    fn report(&mut self, pointer: u64, length: u64) -> (u64, u64) {
        let Some(bytes) = self.bytes(pointer, length) else { return INVALID };
        let bytes = bytes.to_vec();
        self.host.state().outcome = Some(bytes);
        (DONE, 0)
    }

    fn memory_exhausted(&mut self, _: u64) -> (u64, u64) {
        (0, 0)
    }

    fn panicked(&mut self, _: u64, _: u64) -> (u64, u64) {
        (0, 0)
    }

    fn progress(&mut self, _: u64, _: u64, _: u64) -> (u64, u64) {
        (0, 0)
    }

    fn stream_read(&mut self, _: u64, pointer: u64, length: u64) -> (u64, u64) {
        let input = program::input();
        let at = self.host.input.load(Ordering::Relaxed);
        let Some(bytes) = self.bytes(pointer, length) else { return INVALID };
        let count = bytes.len().min(input.len() - at);
        bytes[..count].copy_from_slice(&input[at..at + count]);
        self.host.input.store(at + count, Ordering::Relaxed);
        (DONE, count as u64)
    }

    fn stream_write(&mut self, stream: u64, pointer: u64, length: u64) -> (u64, u64) {
        let Some(bytes) = self.bytes(pointer, length) else { return INVALID };
        let bytes = bytes.to_vec();
        if stream == 1 {
            self.host.state().output.extend(bytes);
        }
        (DONE, length)
    }

    fn stream_kind(&mut self, _: u64) -> (u64, u64) {
        (DONE, StreamKind::Pipe.code())
    }

    fn poll(&mut self, pointer: u64, count: u64, timeout: u64) -> (u64, u64) {
        let length = count.saturating_mul(PollRecord::SIZE as u64);
        let Some(bytes) = self.bytes(pointer, length) else { return INVALID };
        for bytes in bytes.as_chunks_mut().0 {
            let record = PollRecord::from_bytes(bytes);
            *bytes = PollRecord { bytes: 1, ..record }.to_bytes();
        }
        if count == 0 {
            thread::sleep(Duration::from_nanos(timeout).min(Duration::from_secs(20)));
        }
        (DONE, count)
    }

    fn clock_time(&mut self, _: u64) -> (u64, u64) {
        (DONE, self.host.start.elapsed().as_nanos() as u64)
    }

    fn clock_resolution(&mut self, _: u64) -> (u64, u64) {
        (DONE, 1)
    }

    fn yield_now(&mut self) -> (u64, u64) {
        (DONE, 0)
    }

    // The program of these cases has no sockets and no files, its code is not cached, and nobody asks
    // for evidence.

    fn quote(&mut self, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn evidence(&mut self, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn quoting_target(&mut self) -> (u64, u64) {
        INVALID
    }

    fn collateral(&mut self, _: u64, _: u64) -> HostRange {
        HostRange::NONE
    }

    fn handover_target(&mut self, _: u64) -> (u64, u64) {
        INVALID
    }

    fn handover(&mut self, _: u64, _: u64, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn code_load(&mut self) -> HostRange {
        HostRange::NONE
    }

    fn code_buffer(&mut self, _: u64) -> HostRange {
        HostRange::NONE
    }

    fn code_store(&mut self, _: u64) -> (u64, u64) {
        INVALID
    }

    fn socket_accept(&mut self, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn socket_receive(&mut self, _: u64, _: u64, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn socket_send(&mut self, _: u64, _: u64, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn socket_shut_down(&mut self, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn socket_listen(&mut self, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn socket_connect(&mut self, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn waker_open(&mut self) -> (u64, u64) {
        INVALID
    }

    fn waker_wake(&mut self, _: u64) -> (u64, u64) {
        INVALID
    }

    fn socket_close(&mut self, _: u64) -> (u64, u64) {
        INVALID
    }

    fn storage_size(&mut self, _: u64) -> (u64, u64) {
        INVALID
    }

    fn storage_resize(&mut self, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn storage_map(&mut self, _: u64) -> HostRange {
        HostRange::NONE
    }

    fn storage_write(&mut self, _: u64, _: u64, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn storage_write_pieces(&mut self, _: u64, _: u64, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn storage_sync(&mut self, _: u64) -> (u64, u64) {
        INVALID
    }

    fn storage_write_through(&mut self, _: u64, _: u64, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn storage_unread(&mut self, _: u64) -> HostRange {
        HostRange::NONE
    }

    fn storage_read(&mut self, _: u64, _: u64, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn storage_ahead(&mut self, _: u64, _: u64) -> (u64, u64) {
        (DONE, 0)
    }

    fn storage_open(&mut self, _: u64, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn storage_close(&mut self, _: u64) -> (u64, u64) {
        INVALID
    }

    fn storage_remove(&mut self, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn record_read(&mut self, _: u64, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn record_write(&mut self, _: u64, _: u64, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn record_remove(&mut self, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn record_next(&mut self, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn folder(&mut self, _: u64, _: u64, _: u64) -> (u64, u64) {
        INVALID
    }

    fn restrict_pages(&mut self, address: u64, length: u64, permissions: u64) -> (u64, u64) {
        simulated(sgx_sim::restrict_permissions(
            address as usize,
            length as usize,
            sgx_sim::Permissions::from_bits_truncate(permissions),
        ))
    }

    fn add_pages(&mut self, address: u64, length: u64) -> (u64, u64) {
        let added = address as usize..(address + length) as usize;
        let last = &mut self.host.state().last_added;
        match last {
            // Adding one memory may take several steps.
            Some(last) if last.end == added.start => last.end = added.end,
            Some(last) if last.start > added.start => {}
            _ => *last = Some(added),
        }
        simulated(sgx_sim::augment(address as usize, length as usize))
    }

    fn extend_pages(&mut self, address: u64, length: u64, permissions: u64) -> (u64, u64) {
        simulated(sgx_sim::protect(
            address as usize,
            length as usize,
            sgx_sim::Permissions::from_bits_truncate(permissions),
        ))
    }
}
