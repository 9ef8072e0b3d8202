//! Linux's SGX driver, as this host uses it: an open file for each enclave, its ioctls, and
//! mappings of it (Linux `Documentation/arch/x86/sgx.rst`).
//!
//! All operations on an enclave's memory go through the trait [`Kernel`], which has two
//! implementations: [`Linux`], and a model of it on software SGX. The code that uses the trait is the
//! same for both.

mod abi;
mod load;
mod pages;

pub(crate) use load::{LoadError, Refusal, load};
pub(crate) use pages::Memory;

use crate::limits::has_memory;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// The device.
pub(crate) const DEVICE: &str = "/dev/sgx_enclave";

/// A kernel with a driver.
pub(crate) trait Kernel {
    /// Opens the device, for one enclave.
    fn open(&self) -> io::Result<Box<dyn EnclaveFile>>;
}

/// The device, opened: an enclave.
pub(crate) trait EnclaveFile: Send + Sync + std::fmt::Debug {
    /// Calls `ioctl`.
    ///
    /// # Safety
    /// `argument` has the type that belongs to the request, and the pointers in it are valid.
    unsafe fn ioctl(&self, request: u64, argument: *mut libc::c_void) -> io::Result<()>;

    /// Calls `mmap` with MAP_SHARED and MAP_FIXED.
    ///
    /// # Safety
    /// The addresses are reserved for the enclave, and no object of this process lies in them.
    unsafe fn map(&self, address: usize, length: usize, protection: i32) -> io::Result<()>;

    /// Calls `mprotect`.
    ///
    /// # Safety
    /// The requirements of [`Self::map`].
    unsafe fn protect(&self, address: usize, length: usize, protection: i32) -> io::Result<()>;

    /// Returns the line of the kernel's log about the last refusal, if this process can know it.
    fn log(&self) -> Option<String>;
}

/// The kernel that this process runs on.
#[derive(Debug)]
pub(crate) struct Linux;

impl Kernel for Linux {
    fn open(&self) -> io::Result<Box<dyn EnclaveFile>> {
        Ok(Box::new(DeviceFile(File::options().read(true).write(true).open(DEVICE)?)))
    }
}

#[derive(Debug)]
struct DeviceFile(File);

/// Translates the result of a system call: 0, or -1 and an `errno`.
fn result(of: libc::c_int) -> io::Result<()> {
    if of == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl EnclaveFile for DeviceFile {
    unsafe fn ioctl(&self, request: u64, argument: *mut libc::c_void) -> io::Result<()> {
        // SAFETY: the caller's promise.
        result(unsafe { libc::ioctl(self.0.as_raw_fd(), request, argument) })
    }

    unsafe fn map(&self, address: usize, length: usize, protection: i32) -> io::Result<()> {
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        let descriptor = self.0.as_raw_fd();
        // SAFETY: the caller's promise.
        let mapped =
            unsafe { libc::mmap(address as *mut _, length, protection, flags, descriptor, 0) };
        if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    unsafe fn protect(&self, address: usize, length: usize, protection: i32) -> io::Result<()> {
        // SAFETY: the caller's promise.
        result(unsafe { libc::mprotect(address as *mut _, length, protection) })
    }

    fn log(&self) -> Option<String> {
        None
    }
}

/// The model of the driver.
impl Kernel for sgx_sim::Kernel {
    fn open(&self) -> io::Result<Box<dyn EnclaveFile>> {
        Ok(Box::new(sgx_sim::Kernel::open(self)?))
    }
}

/// Checks that this process can allocate the pages of a simulated enclave. The error has no `errno`,
/// because it is not the driver's.
fn check_memory(length: usize) -> io::Result<()> {
    if has_memory(length) { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) }
}

impl EnclaveFile for sgx_sim::EnclaveFile {
    unsafe fn ioctl(&self, request: u64, argument: *mut libc::c_void) -> io::Result<()> {
        if matches!(request, abi::CREATE | abi::ADD_PAGES) {
            check_memory(load::BATCH)?;
        }
        // SAFETY: the caller's promise.
        unsafe { sgx_sim::EnclaveFile::ioctl(self, request, argument) }
    }

    unsafe fn map(&self, address: usize, length: usize, protection: i32) -> io::Result<()> {
        check_memory(length)?;
        sgx_sim::EnclaveFile::map(self, address, length, permissions(protection))
    }

    unsafe fn protect(&self, address: usize, length: usize, protection: i32) -> io::Result<()> {
        sgx_sim::EnclaveFile::protect(self, address, length, permissions(protection))
    }

    fn log(&self) -> Option<String> {
        self.last_refusal()
    }
}

/// Converts permissions. The bits of PROT_* are those of SECINFO.
fn permissions(protection: i32) -> sgx_sim::Permissions {
    sgx_sim::Permissions::from_bits_truncate(protection as u64)
}
