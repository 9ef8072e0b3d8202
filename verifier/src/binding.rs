//! What the report data binds: the claims, and their key and nonce.

use crate::evidence::Evidence;
use crate::verdict::{CheckName, Findings, Outcome};
use crate::verify::Request;

/// Checks what the report data binds: claims, their key and their nonce.
pub(crate) fn check(findings: &mut Findings, request: &Request<'_>, evidence: &Evidence) {
    let found = evidence.report_data();
    let Some(claims) = evidence.claims() else {
        return without_claims(findings, request, &found);
    };
    let is_bound = found == claims.report_data();
    findings.decide(
        CheckName::ReportData,
        match is_bound {
            true => Ok("the report data is the SHA-256 of the claims and 32 zero bytes".to_owned()),
            false if found[..32] == claims.report_data()[..32] => {
                Err("the last 32 bytes of the report data are not zero".to_owned())
            }
            false => Err("the report data is not the SHA-256 of the claims".to_owned()),
        },
    );
    pubkey_hash(findings, request, evidence);
    match (request.nonce, claims.nonce()) {
        (None, _) => {
            let reason = "no nonce was asked for, so nothing shows that the evidence is new";
            findings.set(CheckName::Nonce, Outcome::Warning, reason);
        }
        (Some(_), None) => {
            findings.set(CheckName::Nonce, Outcome::Failed, "the claims have no nonce");
        }
        (Some(asked), Some(found)) => findings.decide(
            CheckName::Nonce,
            match asked == found {
                true => Ok("the nonce is the one that was asked for".to_owned()),
                false => Err("the nonce is another than the one that was asked for".to_owned()),
            },
        ),
    }
}

/// Checks a quote alone.
fn without_claims(findings: &mut Findings, request: &Request<'_>, found: &[u8; 64]) {
    let (result, reason) = match request.report_data {
        Some(expected) if expected == found => {
            (Outcome::Passed, "all 64 bytes are those that were expected")
        }
        Some(_) => (Outcome::Failed, "the report data is another than was expected"),
        None if request.policy.claims.required => {
            (Outcome::Failed, "a quote alone, and nothing says what its report data must be")
        }
        None => (Outcome::Warning, "a quote alone: its report data was not checked"),
    };
    findings.set(CheckName::ReportData, result, reason);
    let reason = "a quote alone has no claims";
    for (name, is_demanded) in [
        (CheckName::PubkeyHash, request.public_key.is_some()),
        (CheckName::Nonce, request.nonce.is_some()),
    ] {
        let result = if is_demanded { Outcome::Failed } else { Outcome::NotChecked };
        findings.set(name, result, reason);
    }
}

fn pubkey_hash(findings: &mut Findings, request: &Request<'_>, evidence: &Evidence) {
    let name = CheckName::PubkeyHash;
    let Some(hash) = evidence.claims().and_then(|claims| claims.key_hash()) else {
        return findings.set(name, Outcome::Failed, "the claims have no `pubkey-hash`");
    };
    let own = evidence.certificate().map(|certificate| certificate.public_key());
    let keys = [(own, "the certificate's key"), (request.public_key, "the key that was given")];
    let mut compared = Vec::new();
    for (key, what) in keys {
        match key.map(|key| hash.is_of(key)) {
            Some(false) => {
                return findings.set(name, Outcome::Failed, format!("it is not that of {what}"));
            }
            Some(true) => compared.push(what),
            None => {}
        }
    }
    match compared.is_empty() {
        true => findings.set(name, Outcome::Warning, "it is there, and no key to compare it with"),
        false => {
            findings.set(
                name,
                Outcome::Passed,
                format!("it is that of {}", compared.join(" and ")),
            );
        }
    }
}
