//! The certificates at which chains may end.

use crate::policy::Root;

/// Intel's root, "Intel SGX Root CA", as Intel publishes it:
/// <https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.cer>.
const INTEL: &[u8] = include_bytes!("intel-root.der");

/// The roots that a policy can name. Which of them counts, the policy alone decides.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    simulation: Option<Vec<u8>>,
}

impl Roots {
    /// Returns the roots of hardware. A policy that names the simulation accepts nothing with them.
    pub fn hardware() -> Roots {
        Roots::default()
    }

    /// Returns the roots of hardware and that of the simulation, a certificate in DER. Whoever has
    /// the simulation can sign anything under it: it protects nothing.
    pub fn with_simulation(certificate: Vec<u8>) -> Roots {
        Roots { simulation: Some(certificate) }
    }

    /// Returns the certificate, in DER, that a policy names.
    pub(crate) fn find<'r>(&'r self, root: &'r Root) -> Option<&'r [u8]> {
        match root {
            Root::Intel => Some(INTEL),
            Root::Simulation => self.simulation(),
            Root::Certificate(certificate) => Some(certificate),
        }
    }

    /// Returns the simulation's certificate in DER.
    pub(crate) fn simulation(&self) -> Option<&[u8]> {
        self.simulation.as_deref()
    }
}
