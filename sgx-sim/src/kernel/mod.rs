//! Linux's SGX driver, modelled in this process over the simulated processor: opening
//! `/dev/sgx_enclave`, its ioctls, and its part in `mmap`, `mprotect` and page faults (Linux
//! `arch/x86/kernel/cpu/sgx`, `Documentation/arch/x86/sgx.rst`).
//!
//! This serves to test programs that load enclaves through the driver: they make the same calls
//! with the same structures and get the same answers, as far as the driver's own checks go. A test
//! can replace answers by faults ([`Kernel::inject`]).
//!
//! The model lacks: the check that a page's source may be executed (`EACCES` from a noexec
//! mapping); reclaim; more than one process; `/dev/sgx_provision` and the permission for
//! EINITTOKENKEY; a second INIT after a refused one; `mmap` before CREATE; the effect of `mprotect`
//! on unmapped addresses; pages that are added under a mapping with more permissions than theirs;
//! and threads that are added or removed. An invalid pointer other than null makes the caller
//! fault, instead of `EFAULT`.

mod abi;
mod fault;
mod file;

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::builder::Policy;
use crate::device::Device;
use crate::epcm::{PAGE, Permissions};
use crate::error::Error;
use crate::leaf::key::Platform;

pub(crate) use fault::page_fault;
pub use file::EnclaveFile;

/// An operation on an enclave through the driver. Ranges are offsets from the enclave's base, in
/// bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The device is opened.
    Open,
    /// `SGX_IOC_ENCLAVE_CREATE`.
    Create,
    /// `SGX_IOC_ENCLAVE_ADD_PAGES`.
    Add(Range<u64>),
    /// `SGX_IOC_ENCLAVE_INIT`.
    Init,
    /// `SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS`.
    Restrict(Range<u64>),
    /// `SGX_IOC_ENCLAVE_MODIFY_TYPES`.
    ModifyTypes(Range<u64>),
    /// `SGX_IOC_ENCLAVE_REMOVE_PAGES`.
    Remove(Range<u64>),
    /// `mmap` of the file.
    Map(Range<u64>),
    /// `mprotect` of a mapping of the file.
    Protect(Range<u64>),
    /// A page is added at a fault (EAUG).
    Augment(Range<u64>),
    /// The enclave has extended a page's permissions (EMODPE), to these. This event only informs:
    /// no fault can replace it.
    Extended(Range<u64>, Permissions),
}

/// The fault that replaces an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing happens except this error (`errno`). At [`Event::Augment`]: SIGBUS.
    Refused(i32),
    /// The operation is done for this many pages, and then ends with this error, or, as after a
    /// signal, without one if `errno` is 0. Only for calls that work on pages and count them.
    Partly {
        /// The number of pages that are done.
        pages: usize,
        /// The error with which the call ends.
        errno: i32,
    },
    /// The operation is done for this many pages. Then a signal arrives, after which the kernel
    /// makes the whole call again, and finds the first page present (EBUSY).
    Restarted {
        /// The number of pages that are done.
        pages: usize,
    },
    /// All of it is done, but no ETRACK follows: EACCEPT finds SGX_NOT_TRACKED.
    Untracked,
}

/// Returns the fault that replaces an event, if one does. The thread that caused the event calls
/// it, and holds locks of the enclave: it must not do anything to that enclave. At
/// [`Event::Augment`] and [`Event::Extended`] it runs in a signal handler, which has interrupted
/// only the enclave.
pub type Injection = dyn Fn(&Event) -> Option<Fault> + Send + Sync;

/// A kernel with a driver for SGX, on a simulated machine.
#[derive(Clone)]
pub struct Kernel {
    driver: Driver,
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel")
            .field("version", &self.driver.version)
            .field("sgx2", &self.driver.sgx2)
            .finish_non_exhaustive()
    }
}

/// The abilities of a kernel's driver, by version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// Since Linux 5.11: the host adds pages before the enclave runs.
    Sgx1,
    /// Since Linux 6.0: the host can also add and change pages while it runs.
    Sgx2,
}

/// The driver's part in an enclave.
#[derive(Clone)]
pub(crate) struct Driver {
    platform: Platform,
    policy: Policy,
    version: Version,
    sgx2: bool,
    /// The number of EPC pages that an enclave may still take.
    epc: Arc<AtomicUsize>,
    injection: Option<Arc<Injection>>,
}

impl Driver {
    /// Whether the processor has SGX2.
    pub(crate) fn sgx2(&self) -> bool {
        self.sgx2
    }

    /// Reports a page whose permissions the enclave has extended.
    pub(crate) fn extended(&self, page: usize, permissions: Permissions) {
        let offset = (page * PAGE) as u64;
        let _ = self.injected(&Event::Extended(offset..offset + PAGE as u64, permissions));
    }

    /// Whether a fault adds pages to a running enclave.
    fn augments(&self) -> bool {
        self.sgx2 && self.version == Version::Sgx2
    }

    /// Returns the fault that replaces `event`, if there is one.
    fn injected(&self, event: &Event) -> Option<Fault> {
        self.injection.as_ref().and_then(|injection| injection(event))
    }

    /// Takes a page of the EPC. Returns whether one was left.
    fn take_page(&self) -> bool {
        let take = |left: usize| left.checked_sub(1);
        self.epc.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn give_back(&self, pages: usize) {
        self.epc.fetch_add(pages, Ordering::Relaxed);
    }
}

impl Kernel {
    /// Returns Linux 6.0 or later, on a machine that has SGX2 and otherwise equals `device`.
    pub fn new(device: &Device) -> Self {
        let (platform, policy) = device.parts();
        let epc = Arc::new(AtomicUsize::new(usize::MAX >> 1));
        let (version, sgx2) = (Version::Sgx2, true);
        Kernel { driver: Driver { platform, policy, version, sgx2, epc, injection: None } }
    }

    /// Returns the same on a machine whose processor has SGX1 only.
    pub fn without_sgx2(mut self) -> Self {
        self.driver.sgx2 = false;
        self
    }

    /// Returns the same with Linux 5.11 to 5.19: a running enclave gets no pages, and none is
    /// changed.
    pub fn before_sgx2(mut self) -> Self {
        self.driver.version = Version::Sgx1;
        self
    }

    /// Returns the same with this many pages of EPC for each enclave. There is no reclaim.
    pub fn with_epc(mut self, pages: usize) -> Self {
        self.driver.epc = Arc::new(AtomicUsize::new(pages));
        self
    }

    /// Returns the same with faults that replace answers.
    pub fn inject(mut self, injection: Arc<Injection>) -> Self {
        self.driver.injection = Some(injection);
        self
    }

    /// Opens the device. Each open file is an enclave that is not created yet.
    ///
    /// # Errors
    /// The error that `inject` has set.
    pub fn open(&self) -> io::Result<EnclaveFile> {
        if let Some(Fault::Refused(errno)) = self.driver.injected(&Event::Open) {
            return Err(io::Error::from_raw_os_error(errno));
        }
        crate::fault::adopt_signal_handlers().map_err(errno_of)?;
        let epc = AtomicUsize::new(self.driver.epc.load(Ordering::Relaxed));
        Ok(EnclaveFile::new(Driver { epc: Arc::new(epc), ..self.driver.clone() }))
    }
}

/// Converts an error to that of the system call.
fn errno_of(error: Error) -> io::Error {
    let errno = match error {
        Error::System { source, .. } | Error::AddressSpace { source, .. } => {
            return source;
        }
        Error::Memory { .. } => libc::ENOMEM,
        Error::TooManyEnclaves => libc::ENOSPC,
        _ => libc::EIO,
    };
    io::Error::from_raw_os_error(errno)
}
