//! The memory of a loaded enclave, and the operations that the enclave requests: EMODPR, adding pages,
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

/// The address range of an enclave, aligned to its size as ECREATE requires. It is unmapped when this
/// is dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    base: usize,
    size: usize,
}

impl Reserved {
    /// Reserves `size` bytes, a power of two. The range costs no memory, even under strict overcommit,
    /// because nothing can be written to it.
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
        // SAFETY: this owns the range, and the enclave is gone.
        unsafe { libc::munmap(self.base as *mut _, self.size) };
    }
}

/// Limit on the tries of a call while the driver writes a page out (EAGAIN) or serves another call
/// for the enclave (EBUSY).
const MAX_TRIES: u32 = 1000;

/// The memory of a loaded enclave.
#[derive(Debug)]
pub(crate) struct Memory {
    // This is dropped before the address range is unmapped.
    file: Box<dyn EnclaveFile>,
    reserved: Reserved,
    /// Whether pages can be added and changed: the processor has SGX2 and the driver uses it.
    changes: bool,
    /// Held during each call: the driver serves one call at a time for an enclave, and refuses others
    /// with EBUSY.
    calls: Mutex<()>,
    /// The ranges that were mapped for added pages.
    added: Mutex<Vec<Range<usize>>>,
    /// Whether there was no memory for pages that the enclave requested.
    short: AtomicBool,
}

impl Memory {
    /// Makes the memory of an initialized enclave.
    pub(super) fn new(file: Box<dyn EnclaveFile>, reserved: Reserved) -> Result<Self, Refusal> {
        let changes = supports_sgx2(&*file).map_err(Refusal::of(&*file))?;
        let (calls, added) = (Mutex::default(), Mutex::default());
        Ok(Memory { file, reserved, changes, calls, added, short: AtomicBool::new(false) })
    }

    /// Returns the first address.
    pub(crate) fn base(&self) -> usize {
        self.reserved.base
    }

    /// Returns the size of the address range (ELRANGE), in bytes.
    pub(crate) fn size(&self) -> usize {
        self.reserved.size
    }

    /// Returns the address range.
    pub(crate) fn elrange(&self) -> Elrange {
        Elrange { base: self.base(), size: self.size() }
    }

    /// Whether the enclave requested pages at this address. If it faults there, no page was available.
    pub(crate) fn was_added(&self, address: u64) -> bool {
        self.added().iter().any(|range| range.contains(&(address as usize)))
    }

    /// Whether the enclave requested pages for which there was no memory.
    pub(crate) fn was_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    /// Takes permissions away from pages (EMODPR). `offset` is relative to the enclave's base.
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
                Some(libc::EAGAIN | libc::EBUSY) if tries < MAX_TRIES => {
                    tries += 1;
                    thread::sleep(Duration::from_micros(100));
                }
                _ => return status(&error),
            }
        }
        Status::Ok
    }

    /// Maps addresses in the enclave, so that the driver can add pages there (EAUG). It adds a page when
    /// the enclave first touches it, with EACCEPT.
    pub(crate) fn add(&self, address: u64, length: u64) -> Status {
        if !self.changes {
            return Status::NotSupported;
        }
        let (start, length) = (address as usize, length as usize);
        let _call = self.lock();
        // SAFETY: the addresses are in the enclave, which requested this.
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

    /// Sets the permissions in the page tables, for addresses in the enclave.
    pub(crate) fn protect(&self, address: u64, length: u64, permissions: u64) -> Status {
        let _call = self.lock();
        // The bits of SECINFO are those of PROT_*.
        let protection = (permissions & 7) as i32;
        // SAFETY: the pages are in the enclave, which requested this.
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

/// Whether pages can be added and changed. The driver returns ENODEV if the processor has no SGX2, and
/// ENOTTY if it does not know the request (before Linux 6.0). Otherwise it returns EINVAL, because the
/// range is empty.
fn supports_sgx2(file: &dyn EnclaveFile) -> io::Result<bool> {
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
    // SAFETY: the structure belongs to the request, and the enclave requested the change of its pages.
    unsafe { file.ioctl(abi::RESTRICT_PERMISSIONS, request.cast()) }
}

/// Returns the status for an error. NotSupported is reserved for machines without SGX2, which was
/// checked before.
fn status(error: &io::Error) -> Status {
    match status_of(error) {
        Status::NotSupported => Status::Io,
        status => status,
    }
}
