//! Extended processor state in SSA frames (SDM Vol. 1, "Managing State Using the XSAVE
//! Feature Set"; Vol. 3D, "State Save Area").
//!
//! The kernel leaves the interrupted thread's state in the signal frame, in the standard format of
//! XSAVE. AEX copies the components in XFRM from there. ERESUME checks an SSA frame as XRSTOR
//! would, and leaves a copy for XRSTOR to load.

use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::sync::OnceLock;

use crate::error::Error;

/// x87 and SSE: the legacy region, which every enclave's XFRM includes.
pub(crate) const LEGACY_FEATURES: u64 = 3;
const LEGACY_SIZE: usize = 512;
const HEADER_SIZE: usize = 64;
/// Bytes 464 to 511 of the legacy region belong to software: XSAVE leaves them alone, and Linux
/// describes the signal frame there.
const SOFTWARE_BYTES: usize = 464;
/// `FP_XSTATE_MAGIC1` of Linux's `struct _fpx_sw_bytes`: an XSAVE image follows.
const MAGIC1: u32 = 0x4650_5853;
const MXCSR_OFFSET: usize = 24;
const MXCSR_MASK_OFFSET: usize = 28;
/// The MXCSR_MASK of processors that report zero (SDM Vol. 1, "Guidelines for Writing to the MXCSR
/// Register").
const DEFAULT_MXCSR_MASK: u32 = 0xffbf;
/// FCW and MXCSR in their initial configuration.
const INITIAL_FCW: u16 = 0x37f;
const INITIAL_MXCSR: u32 = 0x1f80;

/// The size of the largest XSAVE image that fits into frames and buffers, in bytes.
pub(crate) const MAX_SIZE: usize = 16 * 1024;

/// The place of each state component in this processor's standard format.
pub(crate) struct Layout {
    xcr0: u64,
    /// The offset and size of each component.
    components: [(usize, usize); 63],
    mxcsr_mask: u32,
}

/// Returns the layout of this processor, which is determined once.
pub(crate) fn layout() -> Result<&'static Layout, Error> {
    static LAYOUT: OnceLock<Option<Layout>> = OnceLock::new();
    LAYOUT
        .get_or_init(Layout::detect)
        .as_ref()
        .ok_or(Error::Unsupported("the processor lacks XSAVE"))
}

impl Layout {
    fn detect() -> Option<Self> {
        if !std::is_x86_feature_detected!("xsave") {
            return None;
        }
        // SAFETY: std reports XSAVE only if the processor has it and the kernel has enabled it.
        let xcr0 = unsafe { xcr0() };
        let mut components = [(0, 0); 63];
        for (index, component) in components.iter_mut().enumerate().skip(2) {
            if xcr0 >> index & 1 == 1 {
                let leaf = __cpuid_count(0xd, index as u32);
                *component = (leaf.ebx as usize, leaf.eax as usize);
            }
        }
        Some(Layout { xcr0, components, mxcsr_mask: mxcsr_mask() })
    }

    /// Whether ECREATE accepts `xfrm` as ATTRIBUTES.XFRM on this processor.
    pub(crate) fn permits(&self, xfrm: u64) -> bool {
        const AVX: u64 = 1 << 2;
        const MPX: u64 = 0b11 << 3;
        const AVX512: u64 = 0b111 << 5;
        const AMX: u64 = 0b11 << 17;
        // These are XCR0's own rules (SDM Vol. 1, "Enabling the XSAVE Feature Set").
        let whole = |group| xfrm & group == 0 || xfrm & group == group;
        xfrm & LEGACY_FEATURES == LEGACY_FEATURES
            && xfrm & !self.xcr0 == 0
            && [MPX, AVX512, AMX].into_iter().all(whole)
            && (xfrm & AVX512 == 0 || xfrm & AVX != 0)
            && self.size(xfrm) <= MAX_SIZE
    }

    /// Returns the size of the XSAVE area for `xfrm`, in bytes.
    pub(crate) fn size(&self, xfrm: u64) -> usize {
        self.extended(xfrm)
            .map(|(_, offset, size)| offset + size)
            .fold(LEGACY_SIZE + HEADER_SIZE, usize::max)
    }

    /// Returns bit, offset and size of the components of `features` beyond the legacy region.
    fn extended(&self, features: u64) -> impl Iterator<Item = (u64, usize, usize)> + '_ {
        (2..63)
            .map(move |index| (1 << index, self.components[index]))
            .filter(move |(bit, _)| features & bit != 0)
            .map(|(bit, (offset, size))| (bit, offset, size))
    }

    /// Does AEX's part: writes to `area`, which has [`Self::size`] bytes, what XSAVE would write
    /// with `xfrm` in XCR0.
    pub(crate) fn save(&self, signal_frame: &SignalFrame<'_>, xfrm: u64, area: &mut [u8]) {
        area.fill(0);
        area[..SOFTWARE_BYTES].copy_from_slice(&signal_frame.image[..SOFTWARE_BYTES]);
        let present = signal_frame.features() & xfrm;
        area[LEGACY_SIZE..LEGACY_SIZE + 8].copy_from_slice(&present.to_le_bytes());
        for (_, offset, size) in self.extended(present) {
            if let Some(component) = signal_frame.image.get(offset..offset + size) {
                area[offset..offset + size].copy_from_slice(component);
            }
        }
    }

    /// Does ERESUME's part: whether XRSTOR would accept `area` with `xfrm` in XCR0.
    pub(crate) fn restorable(&self, area: &[u8], xfrm: u64) -> bool {
        let header = &area[LEGACY_SIZE..LEGACY_SIZE + HEADER_SIZE];
        let xstate_bv = u64_at(header, 0);
        // XCOMP_BV and the bytes after it must be zero in the standard format.
        xstate_bv & !xfrm == 0
            && header[8..24].iter().all(|b| *b == 0)
            && u32_at(area, MXCSR_OFFSET) & !self.mxcsr_mask == 0
    }
}

/// The extended state that the kernel saved when it delivered a signal, in XSAVE's standard
/// format or, on kernels without XSAVE, the legacy region alone.
pub(crate) struct SignalFrame<'a> {
    image: &'a mut [u8],
}

impl<'a> SignalFrame<'a> {
    /// # Safety
    /// `context` is what the kernel gave to a signal handler that is running.
    pub(crate) unsafe fn of(context: &'a mut libc::ucontext_t) -> Option<Self> {
        let start = context.uc_mcontext.fpregs.cast::<u8>();
        if start.is_null() {
            return None;
        }
        // SAFETY: a non-null `fpregs` points to at least the legacy region; when its software
        // bytes carry the magic number, to `xstate_size` bytes (Linux `sigcontext.h`).
        let image = unsafe {
            let software = start.add(SOFTWARE_BYTES).cast::<u32>();
            let size = if software.read_unaligned() == MAGIC1 {
                software.add(4).read_unaligned() as usize
            } else {
                LEGACY_SIZE
            };
            std::slice::from_raw_parts_mut(start, size)
        };
        Some(SignalFrame { image })
    }

    /// Returns XSTATE_BV.
    fn features(&self) -> u64 {
        if self.image.len() >= LEGACY_SIZE + HEADER_SIZE {
            u64_at(self.image, LEGACY_SIZE)
        } else {
            LEGACY_FEATURES
        }
    }

    /// Sets the components of `xfrm` to their initial configuration, as AEX does. The kernel loads
    /// them when the handler returns.
    pub(crate) fn reset(&mut self, xfrm: u64) {
        self.image[..SOFTWARE_BYTES].fill(0);
        self.image[..2].copy_from_slice(&INITIAL_FCW.to_le_bytes());
        self.image[MXCSR_OFFSET..MXCSR_OFFSET + 4].copy_from_slice(&INITIAL_MXCSR.to_le_bytes());
        if self.image.len() >= LEGACY_SIZE + HEADER_SIZE {
            let kept = self.features() & !xfrm;
            self.image[LEGACY_SIZE..LEGACY_SIZE + 8].copy_from_slice(&kept.to_le_bytes());
        }
    }
}

/// Returns the size of the extended state in a signal frame, in bytes, from its start to the end of
/// the second magic number; zero for a null pointer.
///
/// # Safety
/// `start` is null, or the pointer that the kernel gave to a running signal handler.
pub(crate) unsafe fn signal_frame_size(start: *const u8) -> usize {
    if start.is_null() {
        return 0;
    }
    // SAFETY: as in `SignalFrame::of`.
    unsafe {
        let software = start.add(SOFTWARE_BYTES).cast::<u32>();
        if software.read_unaligned() == MAGIC1 {
            software.add(1).read_unaligned() as usize
        } else {
            LEGACY_SIZE
        }
    }
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(value)
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(value)
}

#[target_feature(enable = "xsave")]
unsafe fn xcr0() -> u64 {
    // SAFETY: the caller has checked for XSAVE.
    unsafe { _xgetbv(0) }
}

fn mxcsr_mask() -> u32 {
    #[repr(C, align(16))]
    struct Legacy([u8; LEGACY_SIZE]);
    let mut area = Legacy([0; LEGACY_SIZE]);
    // SAFETY: FXSAVE is part of x86-64; the area has its size and alignment.
    unsafe { core::arch::x86_64::_fxsave(area.0.as_mut_ptr()) };
    match u32_at(&area.0, MXCSR_MASK_OFFSET) {
        0 => DEFAULT_MXCSR_MASK,
        mask => mask,
    }
}
