//! The enclave's checked side of the host calls.
//!
//! Only [`Boundary`] talks to the host. Each method makes one host call, checks the answer, and
//! returns a value of a type that can only hold checked values. A pointer becomes a [`HostSlice`]
//! after a check that it leads outside the enclave. A count is compared with the requested one. A
//! code is looked up. Host memory is copied in once, and only the copy is read.
//!
//! The crate also builds natively, where its tests play a hostile host.
#![cfg_attr(
    not(test),
    warn(
        unreachable_pub,
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

mod folder;
#[cfg(feature = "fuzzing")]
#[allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "in a function for fuzz targets, a panic is a finding"
)]
pub mod fuzzing;
mod handover;
mod memory;
mod socket;
mod state;
mod storage;

pub use folder::FolderError;
pub use memory::{HostSlice, PointerError};
pub use socket::SocketError;
pub use state::Access;
pub use storage::MappedFile;

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use twine_protocol::calls::{HostRange, RawCall, stub};
use twine_protocol::launch::{DecodeError, Launch, Outcome};
use twine_protocol::wire::{
    Clock, Issuer, MAX_CODE, MAX_COLLATERAL, MAX_LAUNCH, MAX_OUTCOME, MAX_POLL_RECORDS,
    MAX_PROGRAM, MAX_QUOTE, PollRecord, Status, StreamKind, TARGETINFO_SIZE, TRANSFER_BUFFER_SIZE,
    Unit,
};

/// Why a host call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A pointer or length from the host was refused.
    #[error("the host gave a bad address for {what}: {source}")]
    Pointer {
        /// The memory that the pointer should lead to.
        what: &'static str,
        /// Why it was refused.
        source: PointerError,
    },
    /// The launch request could not be decoded.
    #[error("the host's launch request can't be read: {0}")]
    Launch(#[from] DecodeError),
    /// The enclave has too little memory for a copy.
    #[error("{what} of {length} bytes is larger than the enclave memory that is free")]
    Memory {
        /// The object to copy.
        what: &'static str,
        /// Its size in bytes.
        length: usize,
    },
    /// The host refused a call.
    #[error("the host refused {what}: {status:?}")]
    Refused {
        /// The request.
        what: &'static str,
        /// The host's answer.
        status: Status,
    },
}

/// The host, as seen from the enclave.
#[derive(Debug)]
pub struct Boundary<R> {
    raw: R,
    /// Distinguishes this boundary's cached transfer buffers from another boundary's.
    id: u64,
    enclave: Range<usize>,
    /// The latest monotonic time that was returned.
    monotonic: AtomicU64,
}

thread_local! {
    /// The transfer buffer of this thread, with the `id` of its boundary.
    static TRANSFER: Cell<Option<(u64, HostSlice)>> = const { Cell::new(None) };
}

/// Size, in bytes, of the pieces in which a program is copied when no copy is kept. A piece stays
/// in the processor's cache until it is used.
const PIECE: usize = 64 << 10;

static BOUNDARIES: AtomicU64 = AtomicU64::new(0);

fn status(code: u64) -> Result<(), Status> {
    match Status::from_code(code) {
        Some(Status::Ok) => Ok(()),
        Some(other) => Err(other),
        None => Err(Status::Io),
    }
}

/// Accepts a count from the host only if it is at most the requested count.
fn count(count: u64, asked: usize) -> Result<usize, Status> {
    usize::try_from(count).ok().filter(|&count| count <= asked).ok_or(Status::Io)
}

/// Copies as many bytes of `part` as the host counted to the start of `bytes`, and returns the
/// count.
fn taken(part: HostSlice, counted: u64, bytes: &mut [u8]) -> Result<usize, Status> {
    let taken = count(counted, part.len())?;
    part.first(taken).copy_in(bytes.get_mut(..taken).ok_or(Status::Io)?);
    Ok(taken)
}

/// Allocates memory for a copy.
fn zeros(what: &'static str, length: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Error::Memory { what, length })?;
    bytes.resize(length, 0);
    Ok(bytes)
}

impl<R: RawCall> Boundary<R> {
    /// Makes the boundary of an enclave at the addresses `enclave` (ELRANGE), with `raw` as its way
    /// to the host.
    pub fn new(raw: R, enclave: Range<usize>) -> Self {
        let id = BOUNDARIES.fetch_add(1, Ordering::Relaxed);
        Boundary { raw, id, enclave, monotonic: AtomicU64::new(0) }
    }

    /// Checks a range that the host gave.
    fn slice(&self, what: &'static str, range: HostRange, most: u64) -> Result<HostSlice, Error> {
        HostSlice::check(range, most, &self.enclave)
            .map_err(|source| Error::Pointer { what, source })
    }

    fn copy(&self, what: &'static str, answer: HostRange, most: u64) -> Result<Vec<u8>, Error> {
        let slice = self.slice(what, answer, most)?;
        let mut bytes = zeros(what, slice.len())?;
        slice.copy_in(&mut bytes);
        Ok(bytes)
    }

    /// Returns this thread's transfer buffer. Asks the host for it once, and caches it.
    fn transfer(&self) -> Result<HostSlice, Error> {
        TRANSFER.with(|kept| match kept.get() {
            Some((id, slice)) if id == self.id => Ok(slice),
            _ => {
                let answer = stub::transfer_buffer(&self.raw);
                let slice = self.slice("the transfer buffer", answer, TRANSFER_BUFFER_SIZE)?;
                kept.set(Some((self.id, slice)));
                Ok(slice)
            }
        })
    }

    fn transfer_of(&self, length: usize) -> Result<HostSlice, Status> {
        let buffer = self.transfer().map_err(|_| Status::Io)?;
        let part = buffer.first(length);
        if part.is_empty() && length != 0 { Err(Status::Io) } else { Ok(part) }
    }

    /// Copies as many of `bytes` as fit into the transfer buffer, and returns the part that holds
    /// them.
    fn put(&self, bytes: &[u8]) -> Result<HostSlice, Status> {
        let part = self.transfer_of(bytes.len())?;
        part.copy_out(bytes.get(..part.len()).ok_or(Status::Io)?);
        Ok(part)
    }

    /// Copies all of `bytes` into the transfer buffer.
    fn put_whole(&self, bytes: &[u8]) -> Result<HostSlice, Status> {
        let part = self.put(bytes)?;
        if part.len() == bytes.len() { Ok(part) } else { Err(Status::Invalid) }
    }

    /// Leaves the enclave and comes back, without doing anything.
    pub fn nothing(&self) {
        stub::nothing(&self.raw);
    }

    /// Returns the launch request.
    ///
    /// # Errors
    /// A refused address, or bytes that cannot be decoded.
    pub fn launch(&self) -> Result<Launch, Error> {
        let bytes = self.copy("the launch request", stub::launch_request(&self.raw), MAX_LAUNCH)?;
        Ok(Launch::decode(&bytes)?)
    }

    /// Returns a copy of the program's bytes, in enclave memory.
    ///
    /// # Errors
    /// A refused address, or too little enclave memory.
    pub fn program(&self) -> Result<Vec<u8>, Error> {
        self.copy("the program", stub::program(&self.raw), MAX_PROGRAM)
    }

    /// Passes the program's bytes to `take`, piece by piece. Each piece is a copy in enclave
    /// memory, which the next piece overwrites.
    ///
    /// # Errors
    /// A refused address, or too little enclave memory for a piece.
    pub fn program_in_pieces(&self, mut take: impl FnMut(&[u8])) -> Result<(), Error> {
        let what = "the program";
        let all = self.slice(what, stub::program(&self.raw), MAX_PROGRAM)?;
        let mut piece = zeros(what, all.len().min(PIECE))?;
        for start in (0..all.len()).step_by(PIECE) {
            let length = PIECE.min(all.len() - start);
            let refused = || Error::Refused { what, status: Status::Io };
            let piece = piece.get_mut(..length).ok_or_else(refused)?;
            all.part(start as u64, length).ok_or_else(refused)?.copy_in(piece);
            take(piece);
        }
        Ok(())
    }

    /// Returns the cached code of an earlier run, sealed, in host memory. `None` if there is none.
    ///
    /// # Errors
    /// A refused address.
    pub fn cached_code(&self) -> Result<Option<HostSlice>, Error> {
        match stub::code_load(&self.raw) {
            HostRange { length: 0, .. } => Ok(None),
            answer => self.slice("compiled code", answer, MAX_CODE).map(Some),
        }
    }

    /// Has the host store `length` bytes of sealed code, which come in pieces. The length of each
    /// piece but the last is a multiple of 8.
    ///
    /// # Errors
    /// The host has no memory for the code, or does not store it.
    pub fn store_code(
        &self,
        length: usize,
        pieces: impl IntoIterator<Item: AsRef<[u8]>>,
    ) -> Result<(), Error> {
        let what = "the compiled code";
        let refused = |status| Error::Refused { what, status };
        let buffer = self.slice(what, stub::code_buffer(&self.raw, length as u64), MAX_CODE)?;
        let mut at = 0;
        for piece in pieces {
            let piece = piece.as_ref();
            let part = buffer.part(at as u64, piece.len());
            part.ok_or(refused(Status::NoMemory))?.copy_out(piece);
            at += piece.len();
        }
        status(stub::code_store(&self.raw, length as u64).0).map_err(refused)
    }

    /// Reports the outcome of the run.
    ///
    /// # Errors
    /// The host does not accept the report.
    pub fn report(&self, outcome: &Outcome) -> Result<(), Error> {
        let bytes = outcome.encode();
        let refused = |status| Error::Refused { what: "the outcome", status };
        if bytes.len() as u64 > MAX_OUTCOME {
            return Err(refused(Status::Invalid));
        }
        let part = self.transfer()?.first(bytes.len());
        if part.len() != bytes.len() {
            return Err(refused(Status::Invalid));
        }
        part.copy_out(&bytes);
        let (code, _) = stub::report(&self.raw, part.address(), part.len() as u64);
        status(code).map_err(refused)
    }

    /// Has the quoting enclave turn a report of this enclave into a quote, which is not checked
    /// here: whoever verifies it does that.
    ///
    /// # Errors
    /// The host made no quote, or one of more than [`MAX_QUOTE`] bytes.
    pub fn quote(&self, report: &[u8]) -> Result<Vec<u8>, Error> {
        let refused = |status| Error::Refused { what: "a quote", status };
        let buffer = self.transfer()?;
        let part = self.put_whole(report).map_err(refused)?;
        let (code, length) = stub::quote(&self.raw, part.address(), part.len() as u64);
        status(code).map_err(refused)?;
        let most = usize::try_from(MAX_QUOTE).unwrap_or(usize::MAX).min(buffer.len());
        let mut quote = zeros("a quote", count(length, most).map_err(refused)?)?;
        taken(buffer.first(quote.len()), length, &mut quote).map_err(refused)?;
        Ok(quote)
    }

    /// Hands evidence over to the host.
    ///
    /// # Errors
    /// The evidence is larger than the transfer buffer, or the host does not take it.
    pub fn evidence(&self, evidence: &[u8]) -> Result<(), Error> {
        let refused = |status| Error::Refused { what: "the evidence", status };
        let part = self.put_whole(evidence).map_err(refused)?;
        status(stub::evidence(&self.raw, part.address(), part.len() as u64).0).map_err(refused)
    }

    /// Returns the TARGETINFO of the quoting enclave, which is not checked: a report for another enclave
    /// becomes no quote.
    ///
    /// # Errors
    /// The host has no quoting enclave.
    pub fn quoting_target(&self) -> Result<[u8; TARGETINFO_SIZE], Error> {
        let refused = |status| Error::Refused { what: "a quoting enclave", status };
        let buffer = self.transfer()?;
        let (code, length) = stub::quoting_target(&self.raw);
        status(code).map_err(refused)?;
        let mut target = [0; TARGETINFO_SIZE];
        match taken(buffer, length, &mut target).map_err(refused)? {
            TARGETINFO_SIZE => Ok(target),
            _ => Err(refused(Status::Io)),
        }
    }

    /// Returns a copy of the collateral for platforms with this FMSPC, which is not checked here:
    /// whoever verifies a quote with it does that. `None` if the host has none.
    ///
    /// # Errors
    /// A refused address, or too little enclave memory.
    pub fn collateral(&self, fmspc: [u8; 6], issuer: Issuer) -> Result<Option<Vec<u8>>, Error> {
        let [a, b, c, d, e, f] = fmspc;
        let fmspc = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        match stub::collateral(&self.raw, fmspc, issuer.code()) {
            HostRange { length: 0, .. } => Ok(None),
            answer => self.copy("the collateral", answer, MAX_COLLATERAL).map(Some),
        }
    }

    /// Reports that an allocation of `size` bytes failed. Allocates nothing itself.
    pub fn memory_exhausted(&self, size: usize) {
        stub::memory_exhausted(&self.raw, size as u64);
    }

    /// Reports the place in the source where the enclave panicked. Never reports the message,
    /// because it may contain secrets of the program.
    pub fn panicked(&self, place: &str) {
        if let Ok(part) = self.put(place.as_bytes()) {
            stub::panicked(&self.raw, part.address(), part.len() as u64);
        }
    }

    /// Reports the progress of long work: `done` of `total` units. A total of 0 is unknown.
    pub fn progress(&self, done: u64, total: u64, unit: Unit) {
        stub::progress(&self.raw, done, total, unit.code());
    }

    /// Reads from a stream into `bytes`, and returns the number of bytes, which is 0 only at the
    /// end.
    ///
    /// # Errors
    /// The host's status; [`Status::Io`] if its answer is invalid.
    pub fn read(&self, stream: u64, bytes: &mut [u8]) -> Result<usize, Status> {
        let part = self.transfer_of(bytes.len())?;
        let (code, read) = stub::stream_read(&self.raw, stream, part.address(), part.len() as u64);
        status(code)?;
        taken(part, read, bytes)
    }

    /// Writes `bytes` to a stream, and returns how many were written.
    ///
    /// # Errors
    /// The host's status; [`Status::Io`] if its answer is invalid.
    pub fn write(&self, stream: u64, bytes: &[u8]) -> Result<usize, Status> {
        let part = self.put(bytes)?;
        let (code, written) =
            stub::stream_write(&self.raw, stream, part.address(), part.len() as u64);
        status(code)?;
        count(written, part.len())
    }

    /// Returns the kind of file that a stream is connected to.
    ///
    /// # Errors
    /// The host's status; [`Status::Io`] if its answer is invalid.
    pub fn stream_kind(&self, stream: u64) -> Result<StreamKind, Status> {
        let (code, kind) = stub::stream_kind(&self.raw, stream);
        status(code)?;
        StreamKind::from_code(kind).ok_or(Status::Io)
    }

    /// Waits for streams, at most `timeout` nanoseconds, and fills in `records`. Only their
    /// `events` and `bytes` come from the host's answer.
    ///
    /// # Errors
    /// The host's status; [`Status::Invalid`] for too many records.
    pub fn poll(&self, records: &mut [PollRecord], timeout: u64) -> Result<(), Status> {
        if records.len() as u64 > MAX_POLL_RECORDS {
            return Err(Status::Invalid);
        }
        let bytes: Vec<u8> = records.iter().flat_map(|record| record.to_bytes()).collect();
        let part = self.transfer_of(bytes.len())?;
        if part.len() != bytes.len() {
            return Err(Status::Io);
        }
        part.copy_out(&bytes);
        let (code, _) = stub::poll(&self.raw, part.address(), records.len() as u64, timeout);
        status(code)?;
        let mut answer = bytes;
        part.copy_in(&mut answer);
        for (record, bytes) in records.iter_mut().zip(answer.as_chunks().0) {
            let answered = PollRecord::from_bytes(bytes);
            record.events = answered.events;
            record.bytes = answered.bytes;
        }
        Ok(())
    }

    /// Returns the time of a clock in nanoseconds, as the host reports it. The monotonic clock
    /// never goes back, whatever the host reports.
    ///
    /// # Errors
    /// The host's status.
    pub fn time(&self, clock: Clock) -> Result<u64, Status> {
        let (code, time) = stub::clock_time(&self.raw, clock.code());
        status(code)?;
        match clock {
            Clock::Monotonic => Ok(self.monotonic.fetch_max(time, Ordering::SeqCst).max(time)),
            _ => Ok(time),
        }
    }

    /// Returns the resolution of a clock in nanoseconds, never 0.
    ///
    /// # Errors
    /// The host's status.
    pub fn resolution(&self, clock: Clock) -> Result<u64, Status> {
        let (code, resolution) = stub::clock_resolution(&self.raw, clock.code());
        status(code)?;
        Ok(resolution.max(1))
    }

    /// Lets other threads run.
    pub fn yield_now(&self) {
        stub::yield_now(&self.raw);
    }

    /// Asks the host to restrict the permissions of enclave pages. Only EACCEPT shows that it did.
    ///
    /// # Errors
    /// The host's status.
    pub fn restrict_pages(&self, pages: Range<usize>, permissions: u64) -> Result<(), Status> {
        let length = (pages.end - pages.start) as u64;
        status(stub::restrict_pages(&self.raw, pages.start as u64, length, permissions).0)
    }

    /// Asks the host to add pages. Only EACCEPT shows that they exist.
    ///
    /// # Errors
    /// The host's status.
    pub fn add_pages(&self, pages: Range<usize>) -> Result<(), Status> {
        let length = (pages.end - pages.start) as u64;
        status(stub::add_pages(&self.raw, pages.start as u64, length).0)
    }

    /// Asks the host to allow in the page tables the permissions that the enclave has added.
    ///
    /// # Errors
    /// The host's status.
    pub fn extend_pages(&self, pages: Range<usize>, permissions: u64) -> Result<(), Status> {
        let length = (pages.end - pages.start) as u64;
        status(stub::extend_pages(&self.raw, pages.start as u64, length, permissions).0)
    }
}
