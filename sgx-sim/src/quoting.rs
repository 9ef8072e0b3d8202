//! What the architectural enclaves of a simulated machine, which run outside of it, take from it.

use sgx_isa::Report;

use crate::device::Device;
use crate::leaf::key::oldest_provision_key;
use crate::leaf::report::{self, TARGETINFO};

/// The size of a REPORT, in bytes (SDM Vol. 3D, "Report").
pub const REPORT_SIZE: usize = Report::UNPADDED_SIZE;

/// The size of a TARGETINFO, in bytes (SDM Vol. 3D, "Report Target Info").
pub const TARGETINFO_SIZE: usize = TARGETINFO;

impl Device {
    /// Returns CR_CPUSVN, which is in the reports of this machine.
    pub fn cpusvn(&self) -> [u8; 16] {
        self.parts().0.cpusvn()
    }

    /// Whether EREPORT made `report` on this machine for the enclave that `target` describes: that
    /// enclave would find the report's MAC right, with the key that EGETKEY gives it.
    ///
    /// False if the report was changed, or made for another target, on another machine or under
    /// another CPUSVN or owner epoch. These cannot be told apart, as on hardware. False too if
    /// `target` has reserved bits.
    pub fn verifies_report(
        &self,
        target: &[u8; TARGETINFO_SIZE],
        report: &[u8; REPORT_SIZE],
    ) -> bool {
        report::verifies(&self.parts().0, target, report)
    }

    /// Returns the PROVISION_KEY that EGETKEY gives on this machine to a production enclave with
    /// these identities, if it asks for ISVSVN 0, a CPUSVN of zeros and masks of zeros.
    ///
    /// This key changes neither with CPUSVN nor with the owner epoch, so an identity of the machine
    /// can be derived from it. Whoever has the root secret has it too.
    pub fn provision_key(&self, mrsigner: [u8; 32], isvprodid: u16) -> [u8; 16] {
        oldest_provision_key(&self.parts().0, mrsigner, isvprodid)
    }
}
