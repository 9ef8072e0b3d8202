//! A file of this machine in memory, for the enclave to read. No reference to it is ever
//! made in this process.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

pub(crate) const PAGE: u64 = 4096;

/// Pages of a file, which can be read and change with it.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: usize,
    length: usize,
}

impl Mapping {
    /// The first bytes of a file; it may be shorter. Address space costs nothing.
    pub(crate) fn new(file: &File, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // SAFETY: a new mapping, at an address of the system's choice, that no reference of
        // this process is ever made to.
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

    /// Enters all pages into the page tables at once, as far as the file reaches. If that
    /// fails, each page is entered when it is read.
    pub(crate) fn populate(&self) {
        populate(self.address, self.length);
    }

    /// Puts a page of zeros where an access found no file, because somebody made it shorter.
    /// The enclave then finds that what it read is not authentic. Whether the address is of
    /// this mapping.
    pub(crate) fn patch(&self, address: u64) -> bool {
        let page = (address & !(PAGE - 1)) as usize;
        if page.wrapping_sub(self.address) >= self.length {
            return false;
        }
        // SAFETY: the page is one of this mapping, that no reference was made to.
        let patched = unsafe {
            libc::mmap(
                page as *mut libc::c_void,
                PAGE as usize,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                -1,
                0,
            )
        };
        patched != libc::MAP_FAILED
    }
}

/// Enters pages of a mapping that is there into the page tables; whether that could be done.
pub(crate) fn populate(address: usize, length: usize) -> bool {
    // SAFETY: it reads no memory of this process and changes nothing but the page tables.
    unsafe { libc::madvise(address as *mut libc::c_void, length, libc::MADV_POPULATE_READ) == 0 }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the enclave that read it is gone, and nobody else has its address.
        unsafe { libc::munmap(self.address as *mut libc::c_void, self.length) };
    }
}
