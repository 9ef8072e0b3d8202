//! The simulated quoting enclave as an enclave: the fields of its SECS.

use crate::NOTICE;
use crate::key::sha256;

/// INIT, MODE64BIT and PROVISIONKEY, which Intel's quoting enclave has too; and x87 and SSE.
const FLAGS: u64 = 0x15;
const XFRM: u64 = 0x3;

/// ISVPRODID of Intel's quoting enclave for ECDSA.
pub(crate) const PRODUCT: u16 = 1;

/// The flags that QE identity fixes, and those of them that are set: all but MODE64BIT.
pub(crate) const FLAGS_MASK: u64 = !0x4;
pub(crate) const FLAGS_MASKED: u64 = FLAGS & FLAGS_MASK;

/// MRSIGNER. It is the hash of no key, so nobody can sign an enclave for it.
pub(crate) fn mrsigner() -> [u8; 32] {
    sha256(&[NOTICE.as_bytes(), b": signer of the quoting enclave"])
}

/// MRENCLAVE of the version with this ISVSVN.
fn mrenclave(isvsvn: u16) -> [u8; 32] {
    sha256(&[NOTICE.as_bytes(), b": quoting enclave ", &isvsvn.to_le_bytes()])
}

/// Returns the TARGETINFO (SDM Vol. 3D, "Report Target Info").
pub(crate) fn target_info(isvsvn: u16) -> [u8; 512] {
    let mut target = [0; 512];
    target[..32].copy_from_slice(&mrenclave(isvsvn));
    target[32..48].copy_from_slice(&attributes());
    target
}

/// Returns the body of a report by the quoting enclave (SDM Vol. 3D, "Report").
pub(crate) fn report_body(cpusvn: &[u8; 16], isvsvn: u16, reportdata: &[u8; 32]) -> [u8; 384] {
    let mut body = [0; 384];
    body[..16].copy_from_slice(cpusvn);
    body[48..64].copy_from_slice(&attributes());
    body[64..96].copy_from_slice(&mrenclave(isvsvn));
    body[128..160].copy_from_slice(&mrsigner());
    body[256..258].copy_from_slice(&PRODUCT.to_le_bytes());
    body[258..260].copy_from_slice(&isvsvn.to_le_bytes());
    body[320..352].copy_from_slice(reportdata);
    body
}

fn attributes() -> [u8; 16] {
    let mut attributes = [0; 16];
    attributes[..8].copy_from_slice(&FLAGS.to_le_bytes());
    attributes[8..].copy_from_slice(&XFRM.to_le_bytes());
    attributes
}
