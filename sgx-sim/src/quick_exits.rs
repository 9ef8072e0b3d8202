//! Cheaper traps for exits, if the owner of the [`Device`](crate::Device) wants them.
//!
//! An invalid opcode is an expensive trap if a hypervisor intercepts it, as KVM does on AMD
//! processors: it decodes the instruction to see whether it should emulate it. HLT, which user mode
//! may not execute, is one byte long and raises #GP without that detour. So the first byte of an
//! ENCLU that has executed EEXIT is overwritten with HLT, and its address remembered. This changes
//! measured code after it was measured, and the enclave could read the change. So it is optional.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use crate::enclave::Enclave;
use crate::epcm::Permissions;

const HLT: u8 = 0xf4;
/// The most exits of an enclave. EDP's entry code has one, other code few.
const SITES: usize = 8;

/// The places where an enclave exits by HLT.
pub(crate) struct QuickExits {
    wanted: bool,
    /// The addresses of the places; zero if free.
    sites: [AtomicUsize; SITES],
}

impl QuickExits {
    pub(crate) fn new(wanted: bool) -> Self {
        QuickExits { wanted, sites: [const { AtomicUsize::new(0) }; SITES] }
    }

    /// Whether HLT at `address` stands for ENCLU.
    #[inline(always)]
    pub(crate) fn contains(&self, address: usize) -> bool {
        self.wanted && self.sites.iter().any(|site| site.load(Ordering::Acquire) == address)
    }

    /// Makes the ENCLU at `address` trap by HLT from now on, if that is wanted and possible.
    #[inline(always)]
    pub(crate) fn learn(&self, enclave: &Enclave, address: usize) {
        if self.wanted && !self.contains(address) {
            self.replace(enclave, address);
        }
    }

    #[cold]
    fn replace(&self, enclave: &Enclave, address: usize) {
        let _paging = enclave.lock_paging();
        let page = enclave.page(address);
        let permissions = enclave.epcm.get(page).effective();
        let known = self.contains(address);
        let free = |site: &&AtomicUsize| site.load(Ordering::Relaxed) == 0;
        let Some(site) = self.sites.iter().find(free).filter(|_| !known) else {
            return;
        };
        let writable = permissions.union(Permissions::RW);
        if enclave.protect_temporarily(page, writable).is_err() {
            return;
        }
        // The address is registered before HLT can trap. Only one byte changes, so other threads
        // see one instruction or the other.
        site.store(address, Ordering::Release);
        // SAFETY: the byte lies in the enclave, in a page that is writable now.
        unsafe { (*(address as *const AtomicU8)).store(HLT, Ordering::Release) };
        let _ = enclave.protect_temporarily(page, permissions);
    }
}
