//! Keys that only this enclave, or newer enclaves of its signer, can derive (EGETKEY, SDM Vol. 3D,
//! 38.17). The callers decide what they use the keys for.

use sgx_isa::{ErrorCode, Keyname, Keypolicy, Keyrequest, Report};
use zeroize::Zeroizing;

/// Attributes that a key depends on: INIT, DEBUG and the reserved bits, as in Intel's SDK.
/// MODE64BIT, PROVISIONKEY and the others do not affect who may know the key.
const ATTRIBUTE_FLAGS: u64 = 0xff00_0000_0000_000b;

/// Bits of MISCSELECT that a key depends on: the reserved bits, as in Intel's SDK.
const MISC_MASK: u32 = 0xf000_0000;

/// Which enclaves derive the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Enclaves of this image (KEYPOLICY.MRENCLAVE).
    Image,
    /// Enclaves of this image's signer whose ISVSVN is not smaller (KEYPOLICY.MRSIGNER).
    Signer,
}

/// The security versions of the enclave and of the processor's firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Svn {
    /// ISVSVN, from SIGSTRUCT.
    pub isvsvn: u16,
    /// CPUSVN.
    pub cpusvn: [u8; 16],
}

impl Svn {
    /// Returns the present versions, from EREPORT.
    pub fn present() -> Self {
        let Report { isvsvn, cpusvn, .. } = Report::for_self();
        Svn { isvsvn, cpusvn }
    }
}

/// A request for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRequest {
    /// The enclaves that derive the same key.
    pub holder: Holder,
    /// The versions under which the key was first derived.
    pub svn: Svn,
    /// KEYID: a different number for each key.
    pub keyid: [u8; 32],
}

/// Why EGETKEY refuses a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRefused {
    /// The key belongs to an enclave with a larger ISVSVN.
    NewerIsvsvn,
    /// The key belongs to a processor with a larger CPUSVN, or to another processor.
    NewerCpusvn,
    /// Another error code of EGETKEY.
    Other(u32),
}

impl KeyRequest {
    /// Derives the sealing key.
    ///
    /// # Errors
    /// EGETKEY's error.
    pub fn derive(&self) -> Result<Zeroizing<[u8; 16]>, KeyRefused> {
        let policy = match self.holder {
            Holder::Image => Keypolicy::MRENCLAVE,
            Holder::Signer => Keypolicy::MRSIGNER,
        };
        let request = Keyrequest {
            keyname: Keyname::Seal as u16,
            keypolicy: policy,
            isvsvn: self.svn.isvsvn,
            cpusvn: self.svn.cpusvn,
            attributemask: [ATTRIBUTE_FLAGS, 0],
            keyid: self.keyid,
            miscmask: MISC_MASK,
            ..Keyrequest::default()
        };
        request.egetkey().map(Zeroizing::new).map_err(|error| match error {
            ErrorCode::InvalidIsvsvn => KeyRefused::NewerIsvsvn,
            ErrorCode::InvalidCpusvn => KeyRefused::NewerCpusvn,
            error => KeyRefused::Other(error as u32),
        })
    }
}
