//! State Save Area frames (SDM Vol. 3D, "State Save Area (SSA) Frame").
//!
//! A frame holds the XSAVE area at its start, and GPRSGX at its end, with the MISC region just
//! before it.

use crate::enclave::{Enclave, ThreadControl};
use crate::epcm::{PAGE, Permissions};
use crate::error::Error;
use crate::memory;
use crate::xsave;

/// GPRSGX, with the fields in the SDM's order.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct GprSgx {
    pub(crate) rax: u64,
    pub(crate) rcx: u64,
    pub(crate) rdx: u64,
    pub(crate) rbx: u64,
    pub(crate) rsp: u64,
    pub(crate) rbp: u64,
    pub(crate) rsi: u64,
    pub(crate) rdi: u64,
    /// R8 to R15.
    pub(crate) r8_r15: [u64; 8],
    pub(crate) rflags: u64,
    pub(crate) rip: u64,
    /// RSP outside, saved by EENTER and ERESUME.
    pub(crate) ursp: u64,
    /// RBP outside, saved by EENTER and ERESUME.
    pub(crate) urbp: u64,
    pub(crate) exitinfo: u32,
    pub(crate) reserved: u32,
    pub(crate) fsbase: u64,
    pub(crate) gsbase: u64,
}

pub(crate) const GPRSGX_SIZE: usize = 184;
const _: () = assert!(size_of::<GprSgx>() == GPRSGX_SIZE);

/// MISC region component 0: the address and error code of a #PF or #GP.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct ExInfo {
    pub(crate) maddr: u64,
    pub(crate) errcd: u32,
    pub(crate) reserved: u32,
}

const EXINFO_SIZE: usize = size_of::<ExInfo>();
const URSP_OFFSET: usize = 144;

/// Returns the size of the smallest frame that ECREATE accepts, in bytes.
pub(crate) fn smallest_frame(xfrm: u64) -> Result<usize, Error> {
    Ok(xsave::layout()?.size(xfrm) + EXINFO_SIZE + GPRSGX_SIZE)
}

/// One SSA frame, which the processor may access.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    start: usize,
    size: usize,
}

impl Frame {
    /// Returns frame number `index` of `thread`, or the address of the page that is not a readable
    /// and writable regular page (#PF of EENTER and ERESUME).
    pub(crate) fn of(thread: &ThreadControl, index: u32) -> Result<Self, usize> {
        let enclave: &Enclave = thread.enclave();
        let start = thread.frame(index);
        let size = enclave.secs.ssa_frame;
        match (start..start + size)
            .step_by(PAGE)
            .find(|page| !enclave.entry(*page).effective().contains(Permissions::RW))
        {
            Some(page) => Err(page),
            None => Ok(Frame { start, size }),
        }
    }

    fn gpr(&self) -> usize {
        self.start + self.size - GPRSGX_SIZE
    }

    pub(crate) fn read_gpr(&self) -> Result<GprSgx, memory::Fault> {
        // SAFETY: `GprSgx` consists of integers.
        unsafe { memory::read(self.gpr()) }
    }

    pub(crate) fn write_gpr(&self, gpr: &GprSgx) -> Result<(), memory::Fault> {
        memory::write(self.gpr(), gpr)
    }

    pub(crate) fn write_exinfo(&self, exinfo: &ExInfo) -> Result<(), memory::Fault> {
        memory::write(self.gpr() - EXINFO_SIZE, exinfo)
    }

    /// Saves RSP and RBP where AEX will find them, as EENTER and ERESUME do.
    pub(crate) fn write_outside_stack(&self, ursp: u64, urbp: u64) -> Result<(), memory::Fault> {
        memory::write(self.gpr() + URSP_OFFSET, &[ursp, urbp])
    }

    pub(crate) fn read_xsave(&self, area: &mut [u8]) -> Result<(), memory::Fault> {
        memory::copy(area.as_mut_ptr() as usize, self.start, area.len())
    }

    pub(crate) fn write_xsave(&self, area: &[u8]) -> Result<(), memory::Fault> {
        memory::copy(self.start, area.as_ptr() as usize, area.len())
    }
}
