//! The function that the fuzz target in `fuzz/` calls.
//!
//! A host answers each call as the input says: with pointers to its own memory, to the enclave's,
//! to both and to neither, with codes, counts and bytes of all kinds. The function panics if the
//! boundary read or wrote the enclave's memory through such a pointer, or believed an impossible
//! answer. Only the fuzz target needs the feature of this module.

use crate::{Access, Boundary, MappedFile};
use std::cell::RefCell;
use std::ops::Range;
use twine_fuzz_input::Input;
use twine_protocol::calls::{RawCall, number};
use twine_protocol::folder::{MAX_DATA, MAX_MESSAGE, Request};
use twine_protocol::state::name;
use twine_protocol::wire::{
    Clock, Issuer, MAX_CODE, MAX_COLLATERAL, MAX_HANDOVER_ANSWER, MAX_LAUNCH, MAX_PROGRAM,
    MAX_QUOTE, PollRecord, TRANSFER_BUFFER_SIZE, Unit,
};

/// Sizes in words: the host's memory before the enclave, the enclave, the host's memory after it.
const BEFORE: usize = 512;
const ENCLAVE: usize = 512;
const BEHIND: usize = TRANSFER_BUFFER_SIZE as usize / 8 + 512;

/// The value of each word of the enclave.
const SECRET: u64 = 0x5ec2_e75e_c2e7_5ec2;

/// A length that exceeds every limit on host memory.
const MORE_THAN_ANY: u64 = 1 << 47;

/// Limit on the calls that one input makes.
const MAX_CALLS: usize = 24;

/// The memory of a host, with an enclave in the middle, and the input that decides the host's
/// answers.
struct Host<'a> {
    memory: RefCell<Vec<u64>>,
    input: RefCell<Input<'a>>,
}

impl Host<'_> {
    fn address(&self) -> usize {
        self.memory.borrow().as_ptr() as usize
    }

    fn enclave(&self) -> Range<usize> {
        let start = self.address() + 8 * BEFORE;
        start..start + 8 * ENCLAVE
    }

    /// Returns a pointer and a length. The boundary must refuse the range unless it is in this
    /// memory: the process could not read it. (A real host that passes such a range only ends its
    /// own process.)
    fn range(&self) -> (u64, u64) {
        let mut input = self.input.borrow_mut();
        let (start, words) = (self.address(), self.memory.borrow().len());
        let kind = input.u8();
        let length = match kind >> 4 {
            0 => TRANSFER_BUFFER_SIZE,
            1 => u64::MAX - input.number::<2>(),
            2 => MORE_THAN_ANY + input.number::<8>() / 2,
            _ => input.number::<3>(),
        };
        let pointer = match kind % 8 {
            0 => start + 8 * (BEFORE + ENCLAVE),
            1 => input.number::<8>() as usize % 4096,
            2 => 0usize.wrapping_sub(input.number::<2>() as usize),
            3 => (1 << 47) - (input.number::<2>() % 256) as usize,
            4 => start + 8 * BEFORE + input.number::<2>() as usize % (8 * ENCLAVE),
            _ => start + 8 * (input.number::<2>() as usize % words),
        };
        let ours = start..start + 8 * words;
        let length = match ours.contains(&pointer) && length <= MAX_PROGRAM {
            true => length.min((ours.end - pointer) as u64 / 8 * 8),
            // The range must not be readable: if the pointer is acceptable, make it too long.
            false if length <= MAX_PROGRAM && (8..1 << 47).contains(&pointer) => u64::MAX,
            false => length,
        };
        (pointer as u64, length)
    }

    /// Puts bytes into the buffer, which the enclave has just written.
    fn put(&self, at: u64, bytes: &[u8]) {
        let mut memory = self.memory.borrow_mut();
        let start = memory.as_ptr() as u64;
        let Some(at) = at.checked_sub(start).map(|at| at as usize / 8) else { return };
        let words = memory.get_mut(at..).unwrap_or_default();
        for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
            let mut wide = word.to_le_bytes();
            wide[..bytes.len()].copy_from_slice(bytes);
            // This host does not know the secret, even if the input contains it.
            *word = match u64::from_le_bytes(wide) {
                SECRET => !SECRET,
                other => other,
            };
        }
    }
}

impl RawCall for &Host<'_> {
    fn raw_call(&self, call: u64, arguments: [u64; 4]) -> (u64, u64) {
        let gives_memory = [
            number::transfer_buffer,
            number::launch_request,
            number::program,
            number::code_load,
            number::code_buffer,
            number::collateral,
            number::storage_map,
            number::storage_unread,
        ];
        if gives_memory.contains(&call) {
            return self.range();
        }
        // The address of the buffer, in calls that have one.
        let buffer = match call {
            number::poll
            | number::report
            | number::panicked
            | number::quote
            | number::evidence
            | number::storage_open
            | number::storage_remove
            | number::record_read
            | number::record_write
            | number::record_remove
            | number::record_next => arguments[0],
            number::storage_read => arguments[2],
            _ => arguments[1],
        };
        let mut input = self.input.borrow_mut();
        let kind = input.u8();
        let code = if kind.is_multiple_of(4) { u64::from(kind >> 2) } else { 0 };
        let value = if kind.is_multiple_of(2) { input.number::<8>() } else { input.number::<2>() };
        let length = usize::from(input.u8());
        let bytes = input.bytes(length);
        drop(input);
        let buffers = self.enclave().end as u64
            ..self.address() as u64 + 8 * (BEFORE + ENCLAVE + BEHIND) as u64;
        if buffers.contains(&buffer) {
            self.put(buffer, bytes);
        }
        (code, value)
    }
}

/// Makes calls to a host that gives any answer to any call.
pub fn host(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let calls = input.u8();
    let calls = input.bytes(usize::from(calls) % MAX_CALLS);
    let mut memory = vec![0; BEFORE + ENCLAVE + BEHIND];
    memory[BEFORE..BEFORE + ENCLAVE].fill(SECRET);
    let host = Host { memory: RefCell::new(memory), input: RefCell::new(input) };
    let boundary = Boundary::new(&host, host.enclave());
    let mut file = MappedFile::new(&boundary, 1);
    let mut last_time = 0;
    for call in calls {
        one(&boundary, &mut file, *call, &mut last_time);
    }
    let memory = host.memory.borrow();
    let (enclave, behind) = memory[BEFORE..].split_at(ENCLAVE);
    assert!(enclave.iter().all(|word| *word == SECRET), "the enclave's memory was written");
    let outside = memory[..BEFORE].iter().chain(behind);
    assert!(outside.clone().all(|word| *word != SECRET), "the enclave's memory was given away");
}

/// Checks that bytes that were read from the host contain no word of the enclave.
fn of_the_host(bytes: &[u8]) {
    assert!(bytes.as_chunks::<8>().0.iter().all(|word| *word != SECRET.to_le_bytes()));
}

/// The number of different calls in [`one`].
const KINDS: u8 = 32;

fn one<'a>(
    boundary: &Boundary<&'a Host<'a>>,
    file: &mut MappedFile<'_, &'a Host<'a>>,
    call: u8,
    last_time: &mut u64,
) {
    let mut buffer = [0xa5; 1024];
    let length = usize::from(call >> 5) * 100;
    let bytes = &mut buffer[..length];
    match call % KINDS {
        0 => {
            if let Ok(launch) = boundary.launch() {
                assert!(launch.encode().len() as u64 <= MAX_LAUNCH);
            }
        }
        1 => {
            if let Ok(program) = boundary.program() {
                of_the_host(&program);
            }
        }
        2 => {
            let mut total = 0;
            let pieces = boundary.program_in_pieces(|piece| {
                of_the_host(piece);
                total += piece.len() as u64;
            });
            assert!(pieces.is_err() || total <= MAX_PROGRAM);
        }
        3 => {
            if let Ok(Some(code)) = boundary.cached_code() {
                assert!(code.len() as u64 <= MAX_CODE);
                if let Some(part) = code.part(8 * u64::from(call >> 5), length) {
                    part.copy_in(bytes);
                    of_the_host(bytes);
                }
            }
        }
        4 => {
            drop(boundary.store_code(length, [&bytes[..length / 8 * 8], &bytes[length / 8 * 8..]]))
        }
        5 => {
            if let Ok(read) = boundary.read(0, bytes) {
                of_the_host(&bytes[..read]);
            }
        }
        6 => assert!(boundary.write(1, bytes).unwrap_or_default() <= length),
        7 => drop(boundary.stream_kind(2)),
        8 => {
            let record = PollRecord { stream: 4, events: 1, bytes: 0 };
            let mut records = vec![record; length / 50];
            let _ = boundary.poll(&mut records, 5);
            assert!(records.iter().all(|record| record.stream == 4));
        }
        9 => {
            if let Ok(time) = boundary.time(Clock::Monotonic) {
                assert!(time >= *last_time, "the monotonic clock went back");
                *last_time = time;
            }
        }
        10 => assert_ne!(boundary.resolution(Clock::Realtime), Ok(0)),
        11 => drop(boundary.accept(3, true)),
        12 => {
            if let Ok(count) = boundary.receive(4, bytes, false, true) {
                of_the_host(&bytes[..count]);
            }
        }
        13 => assert!(boundary.send(4, bytes, false).unwrap_or_default() <= length),
        14 => drop(boundary.shut_down(4, true, true)),
        15 => boundary.panicked("src/lib.rs:1"),
        16 => boundary.progress(1, 2, Unit::Files),
        17 => drop((file.size(), file.resize(9))),
        18..=20 => {
            let offset = 8 * u64::from(call >> 5);
            if file.read(offset, bytes).is_ok() {
                of_the_host(bytes);
            }
        }
        21 => drop((file.write(8, bytes), file.sync())),
        22 => {
            let (one, other) = bytes.split_at(length / 16 * 8);
            let _ = file.write_pieces(&[(0, one), (4096, &other[..other.len() / 8 * 8])]);
        }
        23 => drop(file.write_through(8, bytes)),
        24 => {
            if let Ok(quote) = boundary.quote(bytes) {
                assert!(quote.len() as u64 <= MAX_QUOTE);
                of_the_host(&quote);
            }
        }
        25 => {
            drop((boundary.evidence(bytes), boundary.quoting_target()));
            if let Ok(Some(collateral)) = boundary.collateral([1; 6], Issuer::Platform) {
                assert!(collateral.len() as u64 <= MAX_COLLATERAL);
                of_the_host(&collateral);
            }
        }
        26 => {
            if let Ok(mut file) = boundary.open_storage("name", Access::Create)
                && file.read(8, bytes).is_ok()
            {
                of_the_host(bytes);
            }
        }
        27 => {
            let most = 300 * length;
            if let Ok(Some(record)) = boundary.record("name", most) {
                assert!(record.len() <= most);
                of_the_host(&record);
            }
        }
        28 => drop(boundary.write_record("name", bytes)),
        29 => {
            let names = boundary.records().unwrap_or_default();
            assert!(names.is_sorted_by(|one, next| one < next));
            assert!(names.iter().all(|listed| name(listed.as_bytes()).is_some()));
        }
        30 => {
            let _ = (boundary.remove_record("name"), boundary.remove_storage("name"));
            if let (Ok(_), Ok(answer)) = (boundary.handover_target(1), boundary.handover(0, bytes))
            {
                assert!(answer.len() as u64 <= MAX_HANDOVER_ANSWER);
                of_the_host(&answer);
            }
        }
        _ => {
            let asked = bytes.len();
            let request = Request::Read(1, 2, asked as u64);
            if let Ok((_, taken)) = boundary.folder(0, &request, &[], bytes) {
                assert!(taken <= asked.min(MAX_DATA + MAX_MESSAGE));
                of_the_host(&bytes[..taken]);
            }
        }
    }
}

/// Inputs for the target: calls of all kinds, with correct and incorrect answers.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    let transfer = [0];
    for call in 0..KINDS {
        for size in [2, 6] {
            let mut seed = vec![2, call + KINDS * size, call];
            seed.extend_from_slice(&transfer);
            for answer in 0..4 {
                seed.extend_from_slice(&[1, 24 * answer, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
            }
            seeds.push(("host", seed));
        }
    }
    for kind in 0..8 {
        seeds.push(("host", vec![3, 0, 1, 18, kind, 0xf0, 7, kind + 0x30, 64, 0, 0, 16, kind]));
    }
    seeds
}
