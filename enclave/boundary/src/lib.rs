//! The enclave's checked side of the host calls.
//!
//! [`Boundary`] is the only thing in the enclave that talks to the host. Each method
//! makes one host call, checks what came back and returns a value of a type that can
//! only hold what was checked: a pointer becomes a [`HostSlice`] once it is known to lie
//! outside the enclave, a count is compared with what was asked for, a code is looked up.
//! What lies behind a pointer is copied in once and read from the copy alone.
//!
//! The crate builds natively too, where its tests play a hostile host.
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
    reason = "a panic of what only fuzz targets call is a find"
)]
pub mod fuzzing;
mod memory;
mod socket;
mod storage;

pub use folder::FolderError;
pub use memory::{HostSlice, PointerError};
pub use socket::SocketError;
pub use storage::MappedFile;

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use twine_protocol::calls::{HostRange, RawCall, stub};
use twine_protocol::launch::{DecodeError, Launch, Outcome};
use twine_protocol::wire::{
    Clock, MAX_CODE, MAX_LAUNCH, MAX_OUTCOME, MAX_POLL_RECORDS, MAX_PROGRAM, PollRecord, Status,
    StreamKind, TRANSFER_BUFFER_SIZE, Unit,
};

/// Why something that the host should have given could not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A pointer or length of the host's was refused.
    #[error("the host gave a bad address for {what}: {source}")]
    Pointer {
        /// What the pointer was for.
        what: &'static str,
        /// Why it was refused.
        source: PointerError,
    },
    /// The launch request could not be decoded.
    #[error("the host's launch request can't be read: {0}")]
    Launch(#[from] DecodeError),
    /// Enclave memory does not suffice for a copy.
    #[error("{what} of {length} bytes is larger than the enclave memory that is free")]
    Memory {
        /// What was to be copied.
        what: &'static str,
        /// Its size.
        length: usize,
    },
    /// The host refused a call.
    #[error("the host refused {what}: {status:?}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Its answer.
        status: Status,
    },
}

/// The host, as seen from inside.
#[derive(Debug)]
pub struct Boundary<R> {
    raw: R,
    /// Tells this boundary's kept transfer buffers from another's.
    id: u64,
    enclave: Range<usize>,
    /// The latest monotonic time that was given to anyone.
    monotonic: AtomicU64,
}

thread_local! {
    /// The transfer buffer of this thread, and of which boundary it is.
    static TRANSFER: Cell<Option<(u64, HostSlice)>> = const { Cell::new(None) };
}

/// Bytes of a program that are copied at a time where it is not kept: they stay in the processor's
/// cache until they are used.
const PIECE: usize = 64 << 10;

static BOUNDARIES: AtomicU64 = AtomicU64::new(0);

fn status(code: u64) -> Result<(), Status> {
    match Status::from_code(code) {
        Some(Status::Ok) => Ok(()),
        Some(other) => Err(other),
        None => Err(Status::Io),
    }
}

/// A count of the host's is believed only when it is at most what was asked for.
fn count(count: u64, asked: usize) -> Result<usize, Status> {
    usize::try_from(count).ok().filter(|&count| count <= asked).ok_or(Status::Io)
}

/// Copies what the host has put into `part`, by its own count, to the start of `bytes`; how many.
fn taken(part: HostSlice, counted: u64, bytes: &mut [u8]) -> Result<usize, Status> {
    let taken = count(counted, part.len())?;
    part.first(taken).copy_in(bytes.get_mut(..taken).ok_or(Status::Io)?);
    Ok(taken)
}

/// Room for a copy.
fn zeros(what: &'static str, length: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Error::Memory { what, length })?;
    bytes.resize(length, 0);
    Ok(bytes)
}

impl<R: RawCall> Boundary<R> {
    /// The host behind `raw`, of an enclave that occupies the addresses `enclave`
    /// (ELRANGE).
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

    /// This thread's transfer buffer. The host gives it once; it is kept.
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

    /// Copies as many of `bytes` as fit into the transfer buffer; where they are.
    fn put(&self, bytes: &[u8]) -> Result<HostSlice, Status> {
        let part = self.transfer_of(bytes.len())?;
        part.copy_out(bytes.get(..part.len()).ok_or(Status::Io)?);
        Ok(part)
    }

    /// Leaves and comes back, for nothing.
    pub fn nothing(&self) {
        stub::nothing(&self.raw);
    }

    /// The launch request.
    ///
    /// # Errors
    /// When its address is refused or it can't be decoded.
    pub fn launch(&self) -> Result<Launch, Error> {
        let bytes = self.copy("the launch request", stub::launch_request(&self.raw), MAX_LAUNCH)?;
        Ok(Launch::decode(&bytes)?)
    }

    /// A copy of the program's bytes, in enclave memory.
    ///
    /// # Errors
    /// When its address is refused or the enclave has no memory for it.
    pub fn program(&self) -> Result<Vec<u8>, Error> {
        self.copy("the program", stub::program(&self.raw), MAX_PROGRAM)
    }

    /// Hands the program's bytes to `take`, piece by piece, each a copy in enclave memory that is
    /// gone afterwards.
    ///
    /// # Errors
    /// When its address is refused or the enclave has no memory for a piece.
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

    /// The sealed code that an earlier run has kept, in host memory; `None` if there is none.
    ///
    /// # Errors
    /// When its address is refused.
    pub fn kept_code(&self) -> Result<Option<HostSlice>, Error> {
        match stub::code_load(&self.raw) {
            HostRange { length: 0, .. } => Ok(None),
            answer => self.slice("compiled code", answer, MAX_CODE).map(Some),
        }
    }

    /// Gives the host `length` bytes of sealed code to keep, which come in pieces: all but the last
    /// are whole words.
    ///
    /// # Errors
    /// When the host has no room for it or does not keep it.
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

    /// Reports what came of the run.
    ///
    /// # Errors
    /// When the host takes no report.
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

    /// Tells that an allocation of `size` bytes failed. Allocates nothing itself.
    pub fn memory_exhausted(&self, size: usize) {
        stub::memory_exhausted(&self.raw, size as u64);
    }

    /// Tells where in its source the enclave panicked: the place, never the message, for
    /// a message may hold what the program keeps secret.
    pub fn panicked(&self, place: &str) {
        if let Ok(part) = self.put(place.as_bytes()) {
            stub::panicked(&self.raw, part.address(), part.len() as u64);
        }
    }

    /// Tells how far long work has come: `done` of `total` (0: not known) units.
    pub fn progress(&self, done: u64, total: u64, unit: Unit) {
        stub::progress(&self.raw, done, total, unit.code());
    }

    /// Reads from a stream into `bytes`: at least one byte, or none at the end.
    ///
    /// # Errors
    /// The host's status; [`Status::Io`] when its answer makes no sense.
    pub fn read(&self, stream: u64, bytes: &mut [u8]) -> Result<usize, Status> {
        let part = self.transfer_of(bytes.len())?;
        let (code, read) = stub::stream_read(&self.raw, stream, part.address(), part.len() as u64);
        status(code)?;
        taken(part, read, bytes)
    }

    /// Writes `bytes` to a stream; how many were taken.
    ///
    /// # Errors
    /// The host's status; [`Status::Io`] when its answer makes no sense.
    pub fn write(&self, stream: u64, bytes: &[u8]) -> Result<usize, Status> {
        let part = self.put(bytes)?;
        let (code, written) =
            stub::stream_write(&self.raw, stream, part.address(), part.len() as u64);
        status(code)?;
        count(written, part.len())
    }

    /// What a stream is connected to.
    ///
    /// # Errors
    /// The host's status; [`Status::Io`] when its answer makes no sense.
    pub fn stream_kind(&self, stream: u64) -> Result<StreamKind, Status> {
        let (code, kind) = stub::stream_kind(&self.raw, stream);
        status(code)?;
        StreamKind::from_code(kind).ok_or(Status::Io)
    }

    /// Waits for streams, at most `timeout` nanoseconds, and fills in `records`: only
    /// their `events` and `bytes` are taken from the host's answer.
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

    /// The time of a clock in nanoseconds, as the host says it; the monotonic clock never
    /// goes back, whatever the host says.
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

    /// The resolution of a clock in nanoseconds; never 0.
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

    /// Asks for fewer permissions on pages of the enclave. EACCEPT tells if it was done.
    ///
    /// # Errors
    /// The host's status.
    pub fn restrict_pages(&self, pages: Range<usize>, permissions: u64) -> Result<(), Status> {
        let length = (pages.end - pages.start) as u64;
        status(stub::restrict_pages(&self.raw, pages.start as u64, length, permissions).0)
    }

    /// Asks for pages where there are none. They are there once EACCEPT says so.
    ///
    /// # Errors
    /// The host's status.
    pub fn add_pages(&self, pages: Range<usize>) -> Result<(), Status> {
        let length = (pages.end - pages.start) as u64;
        status(stub::add_pages(&self.raw, pages.start as u64, length).0)
    }

    /// Asks for page tables that allow what the enclave has extended.
    ///
    /// # Errors
    /// The host's status.
    pub fn extend_pages(&self, pages: Range<usize>, permissions: u64) -> Result<(), Status> {
        let length = (pages.end - pages.start) as u64;
        status(stub::extend_pages(&self.raw, pages.start as u64, length, permissions).0)
    }
}
