//! Linux's SGX driver, modelled in this process over the simulated processor: what opening
//! `/dev/sgx_enclave` gives, its ioctls, and what it does at `mmap`, `mprotect` and page faults
//! (Linux `arch/x86/kernel/cpu/sgx`, `Documentation/arch/x86/sgx.rst`).
//!
//! Programs that load enclaves through the driver can be tested with it: they make the same calls
//! with the same structures and get the same answers, as far as the driver's own checks go. Faults
//! can be put in the place of answers ([`Kernel::inject`]).
//!
//! What it does not model: the check that a page's source may be executed (`EACCES` from a noexec
//! mapping), reclaim, more than one process, `/dev/sgx_provision` and the permission for
//! EINITTOKENKEY; INIT a second time after it was refused; `mmap` before CREATE; what `mprotect` does to
//! addresses where nothing is mapped; pages that are added under a mapping that allows more than they do;
//! and threads that are added or removed. A pointer that leads nowhere is a fault of the caller's, not
//! `EFAULT`, but for a null pointer.

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

/// What is done to an enclave through the driver. Ranges are offsets from the enclave's base, in
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
    /// The enclave has extended a page's permissions (EMODPE), to these. That is told, and nothing can
    /// be put in its place.
    Extended(Range<u64>, Permissions),
}

/// What happens in the place of an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing but this error (`errno`). At [`Event::Augment`]: SIGBUS.
    Refused(i32),
    /// So many pages of it, then this error; none where it is 0, as after a signal. For calls that
    /// work on pages and count them.
    Partly {
        /// Pages that are done.
        pages: usize,
        /// What the call ends with.
        errno: i32,
    },
    /// So many pages of it, then a signal, after which the kernel makes the whole call again: the first
    /// page is there already (EBUSY).
    Restarted {
        /// Pages that are done.
        pages: usize,
    },
    /// All of it, but no ETRACK follows: EACCEPT finds SGX_NOT_TRACKED.
    Untracked,
}

/// Says which fault happens in the place of an event, if one does. It is called by the thread that
/// caused the event, under locks of the enclave's: it must not do anything to that enclave. At
/// [`Event::Augment`] and [`Event::Extended`] that is in a signal handler which has interrupted the enclave
/// alone.
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

/// What a kernel's driver knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// Since Linux 5.11: pages are added before the enclave runs.
    Sgx1,
    /// Since Linux 6.0: they can also be added and changed while it runs.
    Sgx2,
}

/// What a kernel's driver does for an enclave.
#[derive(Clone)]
pub(crate) struct Driver {
    platform: Platform,
    policy: Policy,
    version: Version,
    sgx2: bool,
    /// EPC pages that are left to an enclave.
    epc: Arc<AtomicUsize>,
    injection: Option<Arc<Injection>>,
}

impl Driver {
    /// Whether the processor has SGX2.
    pub(crate) fn sgx2(&self) -> bool {
        self.sgx2
    }

    /// Tells of a page whose permissions the enclave has extended.
    pub(crate) fn extended(&self, page: usize, permissions: Permissions) {
        let offset = (page * PAGE) as u64;
        let _ = self.injected(&Event::Extended(offset..offset + PAGE as u64, permissions));
    }

    /// Whether pages are added to a running enclave, at a fault.
    fn augments(&self) -> bool {
        self.sgx2 && self.version == Version::Sgx2
    }

    /// The fault in the place of `event`, if there is one.
    fn injected(&self, event: &Event) -> Option<Fault> {
        self.injection.as_ref().and_then(|injection| injection(event))
    }

    /// Takes a page of the EPC; whether there was one.
    fn take_page(&self) -> bool {
        let take = |left: usize| left.checked_sub(1);
        self.epc.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn give_back(&self, pages: usize) {
        self.epc.fetch_add(pages, Ordering::Relaxed);
    }
}

impl Kernel {
    /// Linux 6.0 or later, on a machine that has SGX2 and is `device` otherwise.
    pub fn new(device: &Device) -> Self {
        let (platform, policy) = device.parts();
        let epc = Arc::new(AtomicUsize::new(usize::MAX >> 1));
        let (version, sgx2) = (Version::Sgx2, true);
        Kernel { driver: Driver { platform, policy, version, sgx2, epc, injection: None } }
    }

    /// The same on a machine whose processor has SGX1 alone.
    pub fn without_sgx2(mut self) -> Self {
        self.driver.sgx2 = false;
        self
    }

    /// The same, as of Linux 5.11 to 5.19: no page is added or changed in a running enclave.
    pub fn before_sgx2(mut self) -> Self {
        self.driver.version = Version::Sgx1;
        self
    }

    /// The same with so many pages of EPC for each enclave. There is no reclaim.
    pub fn with_epc(mut self, pages: usize) -> Self {
        self.driver.epc = Arc::new(AtomicUsize::new(pages));
        self
    }

    /// The same with faults in the place of answers.
    pub fn inject(mut self, injection: Arc<Injection>) -> Self {
        self.driver.injection = Some(injection);
        self
    }

    /// Opens the device: each open file is an enclave, yet to be made.
    ///
    /// # Errors
    /// What is injected.
    pub fn open(&self) -> io::Result<EnclaveFile> {
        if let Some(Fault::Refused(errno)) = self.driver.injected(&Event::Open) {
            return Err(io::Error::from_raw_os_error(errno));
        }
        crate::fault::adopt_signal_handlers().map_err(errno_of)?;
        let epc = AtomicUsize::new(self.driver.epc.load(Ordering::Relaxed));
        Ok(EnclaveFile::new(Driver { epc: Arc::new(epc), ..self.driver.clone() }))
    }
}

/// What a system call would say of the same.
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
