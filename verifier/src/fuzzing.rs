//! The functions that the fuzz targets in `fuzz/` call.
//!
//! Each function takes any bytes. It panics if a decoder panics, or if bytes that nobody signed are
//! accepted. Only the fuzz targets need the feature of this module.

use crate::{Collateral, Evidence, Moment, Policy, Request, Roots, verify};

/// The time of the verifications: 21 June 2025.
pub const AT: Moment = Moment(1_750_464_000);

/// Reads evidence, and verifies it with collateral that says nothing. It must be refused.
pub fn quoted(bytes: &[u8]) {
    if let Ok(evidence) = Evidence::parse(bytes) {
        assert!(bytes.len() >= 432, "a quote has a header and a report");
        let _ = evidence.platform();
    }
    let policy = Policy::from_toml("root = 'intel'\n[enclave]\nany = true\ndebug = true\n")
        .expect("it is a policy");
    let collateral = Collateral::from_json(EMPTY.as_bytes()).expect("it is collateral");
    let verdict = verify(&Request {
        evidence: bytes,
        collateral: &collateral,
        policy: &policy,
        roots: &Roots::hardware(),
        at: AT,
        nonce: Some(b"nonce"),
        data: None,
        public_key: None,
        channel: None,
        report_data: None,
    });
    assert!(!verdict.is_accepted());
    let _ = serde_json::to_string(&verdict).expect("a verdict can be written");
}

/// Reads collateral.
pub fn collateral(bytes: &[u8]) {
    let Ok(collateral) = Collateral::from_json(bytes) else { return };
    let _ = collateral.lifetime();
    let again = Collateral::from_json(&collateral.to_json()).expect("what was written is read");
    assert_eq!(again, collateral);
}

/// Reads a policy.
pub fn policy(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Policy::from_toml(text);
    }
}

/// Collateral in which each part is empty.
pub const EMPTY: &str = r#"{"pck_crl_issuer_chain":"","root_ca_crl":"","pck_crl":"",
"tcb_info_issuer_chain":"","tcb_info":"","tcb_info_signature":"","qe_identity_issuer_chain":"",
"qe_identity":"","qe_identity_signature":""}"#;
