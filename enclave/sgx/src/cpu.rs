//! What the processor can do, as far as the enclave can know.

use sgx_isa::Report;

/// The state of AVX-512 in XFRM: opmask, upper halves of ZMM0 to ZMM15, and ZMM16 to ZMM31 (SDM
/// Vol. 1, 13.1).
const AVX512: u64 = 0b111 << 5;

/// Lets sealing and opening use AVX-512 and VAES, where this enclave may. To be called once, before
/// anything is sealed.
///
/// CPUID is not to be had in an enclave and the host's word is not to be relied upon; what EREPORT
/// says of XFRM is the processor's own.
pub fn use_processor() {
    if Report::for_self().attributes.xfrm & AVX512 == AVX512 {
        // SAFETY: XFRM has the state. Images are built for processors with SHA: of those, the ones
        // that have AVX-512 are Ice Lake, Zen 4 and later, with VAES and the others. (Cannon
        // Lake, a single chip for laptops, is the exception: images do not support it.)
        unsafe { graviola::util::set_enclave_has_avx512() };
    }
}
