//! Quoting enclaves of other machines than `sgx-sim`'s own, for tests of verifiers.

use sgx_sim::Device;

use crate::authority::Authority;
use crate::enclave::QuotingEnclave;
use crate::error::Error;
use crate::pck::Configuration;
use crate::{FMSPC, PCE_SVN, QE_SVN};

/// A description of a quoting enclave and of the machine that it certifies. What is not set is as in
/// [`QuotingEnclave::new`].
///
/// CPUSVN is not set here but on the machine: see [`Device::security_version`].
#[derive(Debug, Clone)]
pub struct Variant {
    pub(crate) fmspc: [u8; 6],
    pub(crate) pce_svn: u16,
    pub(crate) qe_svn: u16,
    pub(crate) configuration: Configuration,
    authority: Option<Authority>,
}

impl Default for Variant {
    fn default() -> Self {
        Self::new()
    }
}

impl Variant {
    /// Returns the description of a usual machine.
    pub fn new() -> Self {
        Variant {
            fmspc: FMSPC,
            pce_svn: PCE_SVN,
            qe_svn: QE_SVN,
            configuration: Configuration::default(),
            authority: None,
        }
    }

    /// Sets FMSPC: a TCB info for another FMSPC says nothing about this machine.
    #[must_use]
    pub fn fmspc(self, fmspc: [u8; 6]) -> Self {
        Variant { fmspc, ..self }
    }

    /// Sets the ISVSVN of the provisioning certification enclave.
    #[must_use]
    pub fn pce_svn(self, pce_svn: u16) -> Self {
        Variant { pce_svn, ..self }
    }

    /// Sets the ISVSVN of the quoting enclave. Its MRENCLAVE, and so its TARGETINFO, depend on it.
    #[must_use]
    pub fn qe_svn(self, qe_svn: u16) -> Self {
        Variant { qe_svn, ..self }
    }

    /// Sets the configuration in the PCK certificate.
    #[must_use]
    pub fn configuration(self, configuration: Configuration) -> Self {
        Variant { configuration, ..self }
    }

    /// Sets the authority that issues the PCK certificate.
    #[must_use]
    pub fn authority(self, authority: &Authority) -> Self {
        Variant { authority: Some(authority.clone()), ..self }
    }

    /// Returns the quoting enclave of this description on a machine.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn start(&self, machine: &Device) -> Result<QuotingEnclave, Error> {
        match &self.authority {
            Some(authority) => QuotingEnclave::start(machine, self, authority),
            None => QuotingEnclave::start(machine, self, &Authority::simulation()?),
        }
    }
}
