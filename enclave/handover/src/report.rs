//! Reports between enclaves of one machine (SDM Vol. 3D, 38.15 and table 37-21).

use crate::error::Error;
use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use sgx_isa::{Attributes, AttributesFlags, Miscselect, Report, Targetinfo};
use twine_evidence::bytes::Digest;
use twine_evidence::manifest::Identity;
use zeroize::Zeroizing;

/// Size of a REPORT in bytes.
pub const REPORT_BYTES: usize = 432;

/// Size of a TARGETINFO in bytes.
pub const TARGET_BYTES: usize = 512;

/// What a handover needs of the processor.
pub trait Enclave {
    /// Makes a report with this REPORTDATA for the enclave that `target`, a TARGETINFO, names.
    fn report(&self, target: &[u8; TARGET_BYTES], data: &[u8; 64]) -> [u8; REPORT_BYTES];

    /// The key of reports for this enclave with this KEYID. `None` if the processor refuses it.
    fn report_key(&self, keyid: &[u8; 32]) -> Option<Zeroizing<[u8; 16]>>;
}

/// An enclave to make reports for.
#[derive(Debug, Clone)]
pub struct Target {
    measurement: Digest,
    attributes: Attributes,
    miscselect: Miscselect,
}

impl Target {
    /// Takes what a TARGETINFO says. Whoever made it may lie: a report for the wrong target can be
    /// verified by nobody else than that target.
    pub fn new(info: &[u8; TARGET_BYTES]) -> Option<Self> {
        let Targetinfo { measurement, attributes, miscselect, .. } =
            Targetinfo::try_copy_from(info)?;
        Some(Target { measurement: Digest(measurement), attributes, miscselect })
    }

    /// MRENCLAVE of the enclave.
    pub fn measurement(&self) -> Digest {
        self.measurement
    }

    /// The TARGETINFO.
    pub(crate) fn info(&self) -> [u8; TARGET_BYTES] {
        let info = Targetinfo {
            measurement: self.measurement.0,
            attributes: self.attributes,
            miscselect: self.miscselect,
            ..Targetinfo::default()
        };
        let mut bytes = [0; TARGET_BYTES];
        bytes.copy_from_slice(info.as_ref());
        bytes
    }
}

/// The enclave that made a report.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) identity: Identity,
    pub(crate) target: Target,
}

/// Returns REPORTDATA about a message: it names the purpose, so that a report for something else
/// never passes for one about the message.
pub(crate) fn about(purpose: &str, parts: &[&[u8]]) -> [u8; 64] {
    let message = [purpose.as_bytes(), &parts.concat()].concat();
    let mut data = [0; 64];
    data.iter_mut().zip(Digest::of(&message).0).for_each(|(byte, hash)| *byte = hash);
    data
}

/// Verifies that an enclave on this machine made this report for this enclave, about `data`. Returns
/// which one.
pub(crate) fn verify(
    enclave: &dyn Enclave,
    report: &[u8; REPORT_BYTES],
    data: &[u8; 64],
) -> Result<Peer, Error> {
    let report = Report::try_copy_from(report).ok_or(Error::Report)?;
    let key = enclave.report_key(&report.keyid).ok_or(Error::Report)?;
    let mut mac = Cmac::<Aes128>::new(&(*key).into());
    mac.update(report.mac_data());
    mac.verify(&report.mac.into()).map_err(|_| Error::Report)?;
    if report.reportdata != *data {
        return Err(Error::NotReported);
    }
    Ok(Peer {
        identity: Identity {
            measurement: Digest(report.mrenclave),
            signer: Digest(report.mrsigner),
            product: report.isvprodid,
            svn: report.isvsvn,
            debug: report.attributes.flags.contains(AttributesFlags::DEBUG),
        },
        target: Target {
            measurement: Digest(report.mrenclave),
            attributes: report.attributes,
            miscselect: report.miscselect,
        },
    })
}
