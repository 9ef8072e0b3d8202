//! Pages of enclaves on hardware: the ioctl of Linux's driver for EMODPR, `mprotect`, and mappings
//! in which the driver adds pages.

use crate::streams::last_status;
use std::fs;
use std::os::fd::RawFd;
use std::path::Path;
use twine_protocol::wire::Status;

/// `struct sgx_enclave_restrict_permissions` (Linux `arch/x86/include/uapi/asm/sgx.h`).
#[repr(C)]
struct RestrictPermissions {
    offset: u64,
    length: u64,
    permissions: u64,
    result: u64,
    count: u64,
}

/// `SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS`: `_IOWR(0xa4, 5, ...)`.
const RESTRICT_PERMISSIONS: libc::c_ulong =
    (3 << 30) | ((size_of::<RestrictPermissions>() as libc::c_ulong) << 16) | (0xa4 << 8) | 5;

/// The descriptor of the enclave: `sgxs-loaders` keeps it to itself, but it is the one of
/// this process that is open on the device.
fn enclave_descriptor() -> Option<RawFd> {
    fs::read_dir("/proc/self/fd").ok()?.flatten().find_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        (target == Path::new(crate::device::DEVICE))
            .then(|| entry.file_name())?
            .to_str()?
            .parse()
            .ok()
    })
}

/// Takes permissions from pages with EMODPR. `offset` is from the enclave's base.
pub(crate) fn restrict(offset: u64, length: u64, permissions: u64) -> Status {
    let Some(descriptor) = enclave_descriptor() else { return Status::NotSupported };
    let mut done = 0;
    while done < length {
        let mut request = RestrictPermissions {
            offset: offset + done,
            length: length - done,
            permissions,
            result: 0,
            count: 0,
        };
        // SAFETY: the ioctl reads and writes this structure and changes pages that their
        // owner, the enclave, has asked to have changed.
        if unsafe { libc::ioctl(descriptor, RESTRICT_PERMISSIONS, &raw mut request) } != 0 {
            match last_status() {
                // The kernel asks to be called again after part of the pages.
                Status::WouldBlock | Status::Interrupted if request.count > 0 => {}
                status => return status,
            }
        }
        if request.count == 0 {
            return Status::Io;
        }
        done += request.count;
    }
    Status::Ok
}

/// Lets the driver add pages (EAUG): it does so when the enclave first touches one, with EACCEPT,
/// in a mapping of the device. `address` lies in the enclave.
pub(crate) fn add(address: u64, length: u64) -> Status {
    let Some(descriptor) = enclave_descriptor() else { return Status::NotSupported };
    // Before Linux 6.0 the driver neither knew this ioctl nor added pages.
    let mut nothing =
        RestrictPermissions { offset: 0, length: 0, permissions: 0, result: 0, count: 0 };
    // SAFETY: an empty range is refused; the structure is as the ioctl has it.
    let refused = unsafe { libc::ioctl(descriptor, RESTRICT_PERMISSIONS, &raw mut nothing) } != 0;
    let unknown = std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOTTY);
    if refused && unknown || !crate::device::Machine::look().sgx2 {
        return Status::NotSupported;
    }
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the addresses are the enclave's, reserved by whoever loaded it and without pages;
    // no object of this process lies in them.
    let mapped = unsafe {
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        libc::mmap(address as *mut _, length as usize, protection, flags, descriptor, 0)
    };
    if mapped == libc::MAP_FAILED { last_status() } else { Status::Ok }
}

/// Sets the page tables' permissions.
pub(crate) fn protect(address: u64, length: u64, permissions: u64) -> Status {
    // SAFETY: the pages are the enclave's, which has asked for it; no object of this
    // process lies in them. The bits of SECINFO are those of PROT_*.
    match unsafe { libc::mprotect(address as *mut _, length as usize, permissions as i32) } {
        0 => Status::Ok,
        _ => last_status(),
    }
}
