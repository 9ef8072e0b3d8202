//! The error codes of AESM (`aesm_error_t` in Intel's `aesm_error.h`).

use std::fmt;

/// The names of the codes from 1, without `AESM_`.
const NAMES: [&str; 50] = [
    "UNEXPECTED_ERROR",
    "NO_DEVICE_ERROR",
    "PARAMETER_ERROR",
    "EPIDBLOB_ERROR",
    "EPID_REVOKED_ERROR",
    "GET_LICENSETOKEN_ERROR",
    "SESSION_INVALID",
    "MAX_NUM_SESSION_REACHED",
    "PSDA_UNAVAILABLE",
    "EPH_SESSION_FAILED",
    "LONG_TERM_PAIRING_FAILED",
    "NETWORK_ERROR",
    "NETWORK_BUSY_ERROR",
    "PROXY_SETTING_ASSIST",
    "FILE_ACCESS_ERROR",
    "SGX_PROVISION_FAILED",
    "SERVICE_STOPPED",
    "BUSY",
    "BACKEND_SERVER_BUSY",
    "UPDATE_AVAILABLE",
    "OUT_OF_MEMORY_ERROR",
    "MSG_ERROR",
    "THREAD_ERROR",
    "SGX_DEVICE_NOT_AVAILABLE",
    "ENABLE_SGX_DEVICE_FAILED",
    "PLATFORM_INFO_BLOB_INVALID_SIG",
    "SERVICE_NOT_AVAILABLE",
    "KDF_MISMATCH",
    "OUT_OF_EPC",
    "SERVICE_UNAVAILABLE",
    "UNRECOGNIZED_PLATFORM",
    "ECDSA_ID_MISMATCH",
    "PATHNAME_BUFFER_OVERFLOW_ERROR",
    "ERROR_STORED_KEY",
    "PUB_KEY_ID_MISMATCH",
    "INVALID_PCE_SIG_SCHEME",
    "ATT_KEY_BLOB_ERROR",
    "UNSUPPORTED_ATT_KEY_ID",
    "UNSUPPORTED_LOADING_POLICY",
    "INTERFACE_UNAVAILABLE",
    "PLATFORM_LIB_UNAVAILABLE",
    "ATT_KEY_NOT_INITIALIZED",
    "ATT_KEY_CERT_DATA_INVALID",
    "NO_PLATFORM_CERT_DATA",
    "ERROR_REPORT",
    "ENCLAVE_LOST",
    "INVALID_REPORT",
    "ENCLAVE_LOAD_ERROR",
    "UNABLE_TO_GENERATE_QE_REPORT",
    "KEY_CERTIFICATION_ERROR",
];

/// An error code of AESM. It displays as Intel's name and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal(u32);

impl Refusal {
    /// Returns the refusal of this code, which is none if it is 0.
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        (code != 0).then_some(Refusal(code))
    }

    /// Returns the number.
    pub fn code(self) -> u32 {
        self.0
    }

    /// Returns Intel's name without `AESM_`, if the code is known.
    pub fn name(self) -> Option<&'static str> {
        let index = usize::try_from(self.0).ok()?.checked_sub(1)?;
        NAMES.get(index).copied()
    }

    /// Returns the remedy in one line.
    pub(crate) fn remedy(self) -> &'static str {
        match self.name().unwrap_or_default() {
            "NO_PLATFORM_CERT_DATA" | "UNRECOGNIZED_PLATFORM" | "ATT_KEY_CERT_DATA_INVALID" => {
                "register this machine with Intel (PCKIDRetrievalTool, or mpa_manage), and name a PCCS that knows it in /etc/sgx_default_qcnl.conf"
            }
            "NETWORK_ERROR"
            | "NETWORK_BUSY_ERROR"
            | "BACKEND_SERVER_BUSY"
            | "PROXY_SETTING_ASSIST" => {
                "make the PCCS in /etc/sgx_default_qcnl.conf reachable from this machine, and try again"
            }
            "INVALID_REPORT" | "ERROR_REPORT" | "ATT_KEY_NOT_INITIALIZED" => {
                "open the quoting enclave again, and make the report for the TARGETINFO that it has now"
            }
            "NO_DEVICE_ERROR" | "SGX_DEVICE_NOT_AVAILABLE" | "ENABLE_SGX_DEVICE_FAILED" => {
                "enable SGX in the firmware, and let the user aesmd open /dev/sgx_enclave and /dev/sgx_provision"
            }
            "ENCLAVE_LOAD_ERROR" => {
                "install libsgx-ae-qe3 and libsgx-ae-pce, and let the user aesmd open /dev/sgx_provision (group sgx_prv)"
            }
            "INTERFACE_UNAVAILABLE" | "PLATFORM_LIB_UNAVAILABLE" => {
                "install libsgx-dcap-default-qpl, and restart aesmd"
            }
            "SERVICE_UNAVAILABLE" | "SERVICE_NOT_AVAILABLE" | "UNSUPPORTED_ATT_KEY_ID" => {
                "install libsgx-aesm-ecdsa-plugin and libsgx-aesm-quote-ex-plugin, and restart aesmd"
            }
            "BUSY" | "OUT_OF_EPC" | "OUT_OF_MEMORY_ERROR" | "ENCLAVE_LOST" => {
                "try again, or stop other enclaves of this machine"
            }
            _ => "read why in the daemon's log: journalctl --unit aesmd",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "AESM_{name} ({})", self.0),
            None => write!(f, "error code {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_intels_names() {
        let name = |code| Refusal::from_code(code).unwrap().to_string();
        assert_eq!(name(1), "AESM_UNEXPECTED_ERROR (1)");
        assert_eq!(name(12), "AESM_NETWORK_ERROR (12)");
        assert_eq!(name(31), "AESM_UNRECOGNIZED_PLATFORM (31)");
        assert_eq!(name(44), "AESM_NO_PLATFORM_CERT_DATA (44)");
        assert_eq!(name(50), "AESM_KEY_CERTIFICATION_ERROR (50)");
        assert_eq!(name(51), "error code 51");
        assert_eq!(name(u32::MAX), "error code 4294967295");
        assert_eq!(Refusal::from_code(0), None);
    }

    #[test]
    fn every_code_has_a_remedy() {
        for code in 1..=51 {
            assert!(!Refusal(code).remedy().is_empty());
        }
        assert!(Refusal(44).remedy().contains("sgx_default_qcnl.conf"));
        assert!(Refusal(1).remedy().contains("journalctl"));
    }
}
