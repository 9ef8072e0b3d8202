//! Keys that only this enclave, or its signer's newer ones, can derive (EGETKEY, SDM Vol. 3D,
//! 38.17). What they are for is for others to say.

use sgx_isa::{ErrorCode, Keyname, Keypolicy, Keyrequest, Report};
use zeroize::Zeroizing;

/// Attributes that a key depends on: INIT, DEBUG and the reserved bits, as Intel's SDK has it.
/// MODE64BIT, PROVISIONKEY and the others say nothing of who may know the key.
const ATTRIBUTE_FLAGS: u64 = 0xff00_0000_0000_000b;

/// Bits of MISCSELECT that a key depends on: the reserved ones, as Intel's SDK has it.
const MISC_MASK: u32 = 0xf000_0000;

/// Which enclaves derive the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Those of this image (KEYPOLICY.MRENCLAVE).
    Image,
    /// Those of this image's signer whose ISVSVN is not smaller (KEYPOLICY.MRSIGNER).
    Signer,
}

/// The security versions of the enclave and of the processor's firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Svn {
    /// ISVSVN, by SIGSTRUCT.
    pub isvsvn: u16,
    /// CPUSVN.
    pub cpusvn: [u8; 16],
}

impl Svn {
    /// Those of now, as EREPORT says.
    pub fn present() -> Self {
        let Report { isvsvn, cpusvn, .. } = Report::for_self();
        Svn { isvsvn, cpusvn }
    }
}

/// Which key is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRequest {
    /// Who derives the same.
    pub holder: Holder,
    /// The versions under which it was made first.
    pub svn: Svn,
    /// KEYID: a number for each key.
    pub keyid: [u8; 32],
}

/// Why there is no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRefused {
    /// It is of an enclave with a larger ISVSVN.
    NewerIsvsvn,
    /// It is of a processor with a larger CPUSVN, or of another processor.
    NewerCpusvn,
    /// Another error code of EGETKEY's.
    Other(u32),
}

impl KeyRequest {
    /// The sealing key.
    ///
    /// # Errors
    /// What EGETKEY says.
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
