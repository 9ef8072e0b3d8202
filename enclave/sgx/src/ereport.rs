//! Reports of this enclave (EREPORT, SDM Vol. 3D, 38.16).

use sgx_isa::{AttributesFlags, Keyname, Keyrequest, Report, Targetinfo};
use zeroize::Zeroizing;

/// Who this enclave is, from its own report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// MRENCLAVE.
    pub measurement: [u8; 32],
    /// MRSIGNER.
    pub signer: [u8; 32],
    /// ISVPRODID.
    pub product: u16,
    /// ISVSVN.
    pub svn: u16,
    /// ATTRIBUTES.DEBUG.
    pub debug: bool,
}

impl Identity {
    /// Returns the identity of this enclave.
    pub fn present() -> Self {
        let Report { mrenclave, mrsigner, isvprodid, isvsvn, attributes, .. } = Report::for_self();
        Identity {
            measurement: mrenclave,
            signer: mrsigner,
            product: isvprodid,
            svn: isvsvn,
            debug: attributes.flags.contains(AttributesFlags::DEBUG),
        }
    }
}

/// Makes a report with this REPORTDATA for the enclave that `target`, a TARGETINFO, names. `None`
/// if `target` has another size than 512 bytes.
pub fn report_for(target: &[u8], data: &[u8; 64]) -> Option<Vec<u8>> {
    let target = Targetinfo::try_copy_from(target)?;
    let report = Report::for_target(&target, data);
    let bytes: &[u8] = report.as_ref();
    Some(bytes.to_vec())
}

/// Returns the key with which reports for this enclave, with this KEYID, are made and verified (SDM
/// Vol. 3D, 38.15.1). `None` if EGETKEY refuses it.
pub fn report_key(keyid: &[u8; 32]) -> Option<Zeroizing<[u8; 16]>> {
    let request =
        Keyrequest { keyname: Keyname::Report as u16, keyid: *keyid, ..Keyrequest::default() };
    request.egetkey().ok().map(Zeroizing::new)
}
