//! Features of the processor, as far as the enclave can know them.

use sgx_isa::Report;

/// The AVX-512 bits in XFRM: opmask, upper halves of ZMM0 to ZMM15, and ZMM16 to ZMM31 (SDM Vol. 1,
/// 13.1).
const AVX512: u64 = 0b111 << 5;

/// Lets sealing and opening use AVX-512 and VAES, if this enclave may. Call it once, before
/// anything is sealed.
///
/// CPUID is illegal in an enclave, and the host's answer is not trusted. XFRM in the result of
/// EREPORT comes from the processor itself.
pub fn use_processor() {
    if Report::for_self().attributes.xfrm & AVX512 == AVX512 {
        // SAFETY: XFRM enables the state. Images are built for processors with SHA. Processors with
        // SHA and AVX-512 are Ice Lake, Zen 4 and later; these have VAES and the other extensions.
        // (Cannon Lake, a single chip for laptops, is the exception: images do not support it.)
        unsafe { graviola::util::set_enclave_has_avx512() };
    }
}
