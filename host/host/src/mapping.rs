//! Maps a file into memory for the enclave to read. This process never makes a reference to the
//! mapping.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use twine_protocol::calls::HostRange;

pub(crate) const PAGE: u64 = 4096;

/// A shared, read-only mapping of a file.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: usize,
    length: usize,
}

impl Mapping {
    /// Maps the first `length` bytes of a file. The file may be shorter: address space costs nothing.
    pub(crate) fn new(file: &File, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // SAFETY: a new mapping, at an address of the system's choice. This process never makes a
        // reference to it.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_SHARED | libc::MAP_NORESERVE,
                file.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping { address: address as usize, length })
    }

    pub(crate) fn address(&self) -> usize {
        self.address
    }

    pub(crate) fn length(&self) -> u64 {
        self.length as u64
    }

    /// The addresses, for the enclave.
    pub(crate) fn range(&self) -> HostRange {
        HostRange { pointer: self.address as u64, length: self.length as u64 }
    }

    /// Enters all pages of the file into the page tables. If that fails, each page is entered when it
    /// is first read.
    pub(crate) fn populate(&self) {
        populate(self.address, self.length);
    }

    /// Replaces the page at an address by zeros, after an access to it failed because the file was
    /// truncated or the page can't be read. Returns the page's offset in the file, or `None` if the
    /// address is not in this mapping.
    pub(crate) fn patch(&self, address: u64) -> Option<u64> {
        let offset = (address & !(PAGE - 1)).checked_sub(self.address as u64)?;
        let zeros = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        self.place(offset, zeros, -1).then_some(offset)
    }

    /// Maps the file's page at `offset` again, in place of zeros. Returns whether that succeeded.
    pub(crate) fn mend(&self, file: &File, offset: u64) -> bool {
        self.place(offset, libc::MAP_SHARED | libc::MAP_NORESERVE, file.as_raw_fd())
    }

    /// Replaces the page at `offset` by another mapping. Returns whether the page is in this mapping
    /// and was replaced.
    fn place(&self, offset: u64, flags: libc::c_int, file: libc::c_int) -> bool {
        if offset >= self.length() {
            return false;
        }
        let from = if file < 0 { 0 } else { offset.cast_signed() };
        // SAFETY: the page belongs to this mapping, to which no reference was made.
        let placed = unsafe {
            libc::mmap(
                (self.address + offset as usize) as *mut libc::c_void,
                PAGE as usize,
                libc::PROT_READ,
                flags | libc::MAP_FIXED,
                file,
                from,
            )
        };
        placed != libc::MAP_FAILED
    }
}

/// Enters the pages of an existing mapping into the page tables. Returns whether that succeeded.
pub(crate) fn populate(address: usize, length: usize) -> bool {
    // SAFETY: the call reads no memory of this process, and changes nothing but the page tables.
    unsafe { libc::madvise(address as *mut libc::c_void, length, libc::MADV_POPULATE_READ) == 0 }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the enclave that read the mapping is gone, and nothing else has its address.
        unsafe { libc::munmap(self.address as *mut libc::c_void, self.length) };
    }
}
