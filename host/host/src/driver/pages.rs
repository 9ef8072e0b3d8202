//! The memory of a loaded enclave, and what the enclave asks to have done to it: EMODPR, new pages,
//! permissions of mappings.

use super::load::Refusal;
use super::{EnclaveFile, abi};
use crate::elrange::Elrange;
use crate::streams::status_of;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use twine_protocol::wire::Status;

/// Addresses that are reserved for an enclave, aligned to their size as ECREATE wants it. They are
/// given back when this is dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    base: usize,
    size: usize,
}

impl Reserved {
    /// Reserves `size` bytes, a power of two. They cost no memory, also where the kernel counts what
    /// it commits: nothing can be written to them.
    pub(super) fn new(size: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let twice = size.checked_mul(2).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), twice, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = start as usize;
        let base = start.next_multiple_of(size);
        for unused in [start..base, base + size..start + twice] {
            if !unused.is_empty() {
                // SAFETY: the ends of the mapping just made, which nothing refers to.
                unsafe { libc::munmap(unused.start as *mut _, unused.len()) };
            }
        }
        Ok(Reserved { base, size })
    }

    pub(super) fn base(&self) -> usize {
        self.base
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // SAFETY: the range is this one's, and who had it for the enclave is gone.
        unsafe { libc::munmap(self.base as *mut _, self.size) };
    }
}

/// How often a call is made again that the driver could not do at once, because it was writing a
/// page out (EAGAIN) or did something else to the enclave (EBUSY).
const TRIES: u32 = 1000;

/// The memory of a loaded enclave.
#[derive(Debug)]
pub(crate) struct Memory {
    // Before the addresses, so that it is gone when they are given back.
    file: Box<dyn EnclaveFile>,
    reserved: Reserved,
    /// Whether pages can be added and changed: the processor has SGX2 and the driver uses it.
    changes: bool,
    /// Held around each call: the driver does one at a time for an enclave, and says EBUSY to others.
    calls: Mutex<()>,
    /// What was mapped for pages to be added.
    added: Mutex<Vec<Range<usize>>>,
    /// There was no memory for pages that the enclave asked for.
    short: AtomicBool,
}

impl Memory {
    /// Of an enclave that is initialized.
    pub(super) fn new(file: Box<dyn EnclaveFile>, reserved: Reserved) -> Result<Self, Refusal> {
        let changes = knows_sgx2(&*file).map_err(Refusal::of(&*file))?;
        let (calls, added) = (Mutex::default(), Mutex::default());
        Ok(Memory { file, reserved, changes, calls, added, short: AtomicBool::new(false) })
    }

    /// Where it begins.
    pub(crate) fn base(&self) -> usize {
        self.reserved.base
    }

    /// Bytes of its addresses (ELRANGE).
    pub(crate) fn size(&self) -> usize {
        self.reserved.size
    }

    /// Its addresses.
    pub(crate) fn elrange(&self) -> Elrange {
        Elrange { base: self.base(), size: self.size() }
    }

    /// Whether pages were asked for at this address: if it faults all the same, there was none.
    pub(crate) fn was_added(&self, address: u64) -> bool {
        self.added().iter().any(|range| range.contains(&(address as usize)))
    }

    /// Whether the enclave has asked for pages for which there was no memory.
    pub(crate) fn was_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    /// Takes permissions from pages (EMODPR). `offset` is from the enclave's base.
    pub(crate) fn restrict(&self, offset: u64, length: u64, permissions: u64) -> Status {
        if !self.changes {
            return Status::NotSupported;
        }
        let _call = self.lock();
        let (mut done, mut tries) = (0, 0);
        while done < length {
            let mut request = abi::RestrictPermissions {
                offset: offset + done,
                length: length - done,
                permissions,
                ..Default::default()
            };
            let answer = restrict(&*self.file, &mut request);
            done += request.count;
            let Err(error) = answer else {
                if request.count == 0 {
                    return Status::Io;
                }
                continue;
            };
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN | libc::EBUSY) if request.count > 0 => tries = 0,
                Some(libc::EAGAIN | libc::EBUSY) if tries < TRIES => {
                    tries += 1;
                    thread::sleep(Duration::from_micros(100));
                }
                _ => return status(&error),
            }
        }
        Status::Ok
    }

    /// Lets the driver add pages (EAUG): it does so when the enclave first touches one, with EACCEPT,
    /// in a mapping of the file. The addresses lie in the enclave.
    pub(crate) fn add(&self, address: u64, length: u64) -> Status {
        if !self.changes {
            return Status::NotSupported;
        }
        let (start, length) = (address as usize, length as usize);
        let _call = self.lock();
        // SAFETY: the addresses are the enclave's, which has asked for it.
        match unsafe { self.file.map(start, length, libc::PROT_READ | libc::PROT_WRITE) } {
            Ok(()) => {
                self.added().push(start..start + length);
                Status::Ok
            }
            Err(error) => {
                let status = status(&error);
                self.short.fetch_or(status == Status::NoMemory, Ordering::Relaxed);
                status
            }
        }
    }

    /// Sets the page tables' permissions. The addresses lie in the enclave.
    pub(crate) fn protect(&self, address: u64, length: u64, permissions: u64) -> Status {
        let _call = self.lock();
        // The bits of SECINFO are those of PROT_*.
        let protection = (permissions & 7) as i32;
        // SAFETY: the pages are the enclave's, which has asked for it.
        match unsafe { self.file.protect(address as usize, length as usize, protection) } {
            Ok(()) => Status::Ok,
            Err(error) => status(&error),
        }
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn added(&self) -> MutexGuard<'_, Vec<Range<usize>>> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether pages can be added and changed. The driver says ENODEV where the processor has no SGX2, and
/// ENOTTY where it does not know the request (before Linux 6.0); else it finds that a range of no bytes
/// is no range.
fn knows_sgx2(file: &dyn EnclaveFile) -> io::Result<bool> {
    match restrict(file, &mut abi::RestrictPermissions::default()) {
        Ok(()) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::EINVAL) => Ok(true),
            Some(libc::ENODEV | libc::ENOTTY) => Ok(false),
            _ => Err(error),
        },
    }
}

fn restrict(file: &dyn EnclaveFile, request: &mut abi::RestrictPermissions) -> io::Result<()> {
    let request = std::ptr::from_mut(request);
    // SAFETY: the request's structure. It changes pages that their owner, the enclave, has asked to
    // have changed.
    unsafe { file.ioctl(abi::RESTRICT_PERMISSIONS, request.cast()) }
}

/// What the enclave is told of an error. That the machine has no SGX2 was asked before.
fn status(error: &io::Error) -> Status {
    match status_of(error) {
        Status::NotSupported => Status::Io,
        status => status,
    }
}
