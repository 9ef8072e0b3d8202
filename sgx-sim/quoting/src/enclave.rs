//! The quoting enclave of one simulated machine.

use sgx_sim::{Device, REPORT_SIZE, TARGETINFO_SIZE};

use crate::authority::{Authority, leaf_fields};
use crate::error::Error;
use crate::identity::{self, target_info};
use crate::key::{Key, derive, derive_id};
use crate::pck::Platform;
use crate::quote::{self, Certification, Header};
use crate::variant::Variant;

/// The size of the body of a report, which a quote contains, in bytes.
const BODY: usize = 384;

/// The simulated quoting enclave of one simulated machine.
///
/// It has no code inside an enclave: its keys derive from the machine's root secret, as those of an
/// enclave would, and whoever has that secret has them.
pub struct QuotingEnclave {
    machine: Device,
    platform: Platform,
    header: Header,
    attestation_key: Key,
    qe_report: [u8; BODY],
    qe_report_signature: [u8; 64],
    serial: Vec<u8>,
    pck_chain: String,
}

impl std::fmt::Debug for QuotingEnclave {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuotingEnclave").field("platform", &self.platform).finish_non_exhaustive()
    }
}

impl QuotingEnclave {
    /// Returns the quoting enclave of a machine, with the present SVNs and the root
    /// [`crate::root_certificate`]. On equal machines it has equal identities and keys.
    ///
    /// The machine's [`Device::security_version`] is in its PCK certificate: below the present one,
    /// the machine is out of date.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn new(machine: &Device) -> Result<Self, Error> {
        Variant::new().start(machine)
    }

    /// Starts a variant, with the certificates of an authority.
    pub(crate) fn start(
        machine: &Device,
        variant: &Variant,
        authority: &Authority,
    ) -> Result<Self, Error> {
        let secret = machine.provision_key(identity::mrsigner(), identity::PRODUCT);
        let platform = Platform {
            ppid: derive_id(&secret, "PPID"),
            instance: derive_id(&secret, "platform instance"),
            fmspc: variant.fmspc,
            cpusvn: machine.cpusvn(),
            pce_svn: variant.pce_svn,
            configuration: variant.configuration,
        };
        // As on hardware, a machine has another PCK for each of its TCBs.
        let tcb = [&platform.cpusvn[..], &platform.pce_svn.to_le_bytes()].concat();
        let pck = Key::derive(&secret, "PCK", &tcb);
        let serial = serial(&derive(&secret, "serial number", &tcb));
        let mut fields = leaf_fields("Simulated SGX PCK Certificate", serial.clone(), &pck);
        fields.custom_extensions.push(platform.extension());

        let attestation_key = Key::derive(&secret, "attestation key", &[]);
        let digest = quote::key_digest(&attestation_key);
        let qe_report = identity::report_body(&platform.cpusvn, variant.qe_svn, &digest);
        let (qe_svn, pce_svn) = (variant.qe_svn, variant.pce_svn);
        Ok(QuotingEnclave {
            machine: machine.clone(),
            header: Header { qe_svn, pce_svn, qe_id: derive_id(&secret, "quoting enclave") },
            qe_report_signature: pck.sign(&qe_report)?,
            pck_chain: authority.pck_chain(&fields, &pck)?,
            platform,
            attestation_key,
            qe_report,
            serial,
        })
    }

    /// Returns the TARGETINFO of the quoting enclave (SDM Vol. 3D, "Report Target Info"). A report
    /// that EREPORT makes for it, on this machine, can be quoted.
    pub fn target_info(&self) -> [u8; TARGETINFO_SIZE] {
        target_info(self.header.qe_svn)
    }

    /// Returns the quote of the enclave that made this report, some 4 KB. It contains all of the report
    /// but KEYID and MAC.
    ///
    /// # Errors
    /// - [`Error::Report`] if the report was not made on this machine for [`Self::target_info`].
    /// - [`Error::Random`].
    pub fn quote(&self, report: &[u8; REPORT_SIZE]) -> Result<Vec<u8>, Error> {
        if !self.machine.verifies_report(&self.target_info(), report) {
            return Err(Error::Report);
        }
        let body = report.first_chunk().expect("a report is longer than its body");
        self.forge_quote(body)
    }

    /// Returns the quote of a report that **no enclave made**, for tests of verifiers: nothing is
    /// checked. `body` is what a MAC would cover: the first 384 bytes of a REPORT (SDM Vol. 3D,
    /// "Report"), such as `sgx_isa::Report::mac_data` returns.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn forge_quote(&self, body: &[u8; BODY]) -> Result<Vec<u8>, Error> {
        let certification = Certification {
            attestation_key: &self.attestation_key,
            qe_report: &self.qe_report,
            qe_report_signature: &self.qe_report_signature,
            pck_chain: &self.pck_chain,
        };
        quote::sign(&self.header, body, &certification)
    }

    /// Returns PPID, the identity of the processor, which is in its PCK certificate.
    pub fn ppid(&self) -> [u8; 16] {
        self.platform.ppid
    }

    /// Returns the platform instance, the identity of the machine, which is in its PCK certificate.
    pub fn platform_instance(&self) -> [u8; 16] {
        self.platform.instance
    }

    /// Returns the serial number of the PCK certificate.
    pub(crate) fn serial(&self) -> &[u8] {
        &self.serial
    }
}

/// Returns a positive serial number of 20 bytes (RFC 5280, section 4.1.2.2).
fn serial(random: &[u8; 32]) -> Vec<u8> {
    let mut serial = random[..20].to_vec();
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}
