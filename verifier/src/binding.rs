//! What the report data binds: the claims, and their key and nonce.

use crate::claims::Claims;
use crate::evidence::{Evidence, Form};
use crate::verdict::{CheckName, Findings, Outcome};
use crate::verify::Request;
use twine_evidence::bytes::Bytes;
use twine_evidence::statement::Said;

/// The checks of what claims say.
const OF_CLAIMS: [CheckName; 10] = [
    CheckName::PubkeyHash,
    CheckName::Nonce,
    CheckName::Data,
    CheckName::Statement,
    CheckName::Channel,
    CheckName::Kind,
    CheckName::Launch,
    CheckName::Program,
    CheckName::Manifest,
    CheckName::Code,
];

/// Checks the report data. Returns whether what the claims say can be checked: a genuine quote vouches
/// for them, or there are none.
pub(crate) fn report_data(
    findings: &mut Findings,
    request: &Request<'_>,
    evidence: &Evidence,
) -> bool {
    let found = evidence.report_data();
    let Some(claims) = evidence.claims() else {
        without_claims(findings, request, &found);
        return true;
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
    let reason = match (findings.has_passed(CheckName::Quote), is_bound) {
        (true, true) => return true,
        (true, false) => "the report does not vouch for the claims",
        (false, _) => "the quote is not genuine, so the claims may be made up",
    };
    for name in OF_CLAIMS {
        findings.set(name, Outcome::NotChecked, reason);
    }
    false
}

/// Checks the report data of a quote alone, and that nothing is demanded of its claims.
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
        (CheckName::Data, request.data.is_some()),
    ] {
        let result = if is_demanded { Outcome::Failed } else { Outcome::NotChecked };
        findings.set(name, result, reason);
    }
}

/// Checks the claims `pubkey-hash` and `nonce`. What a program says of itself has both in a part of
/// its own of the statement: there a nonce, and no key.
pub(crate) fn claims(
    findings: &mut Findings,
    request: &Request<'_>,
    evidence: &Evidence,
    claims: &Claims,
    said: Option<&Said>,
) {
    pubkey_hash(findings, request, evidence, claims, said.is_some());
    let found = match said {
        Some(said) => said.nonce.as_ref().map(|Bytes(nonce)| &nonce[..]),
        None => claims.nonce(),
    };
    nonce(findings, request.nonce, found, evidence.form());
    data(findings, request.data, said);
}

fn pubkey_hash(
    findings: &mut Findings,
    request: &Request<'_>,
    evidence: &Evidence,
    claims: &Claims,
    is_said: bool,
) {
    let name = CheckName::PubkeyHash;
    let Some(hash) = claims.key_hash() else {
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
        true if is_said => {
            findings.set(name, Outcome::Passed, "it is of no key, as a program's evidence has it");
        }
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

/// Below how many bytes a nonce can be guessed: an attacker with a genuine machine makes evidence for
/// each in advance.
const MIN_NONCE_BYTES: usize = 8;

fn nonce(findings: &mut Findings, asked: Option<&[u8]>, found: Option<&[u8]>, form: Form) {
    let (result, reason) = match (asked, found) {
        (None, _) if form == Form::Certificate => (
            Outcome::Warning,
            "a certificate only, not fresh: no nonce was asked for, so nothing shows that the evidence \
             is new",
        ),
        (None, _) => {
            (Outcome::Warning, "no nonce was asked for, so nothing shows that the evidence is new")
        }
        (Some([]), _) => (Outcome::Failed, "an empty nonce was asked for, which is none"),
        (Some(_), None) => (Outcome::Failed, "the claims have no nonce"),
        (Some(asked), Some(found)) if asked != found => {
            (Outcome::Failed, "the nonce is another than the one that was asked for")
        }
        (Some(asked), Some(_)) if asked.len() < MIN_NONCE_BYTES => (
            Outcome::Warning,
            "the nonce is the one that was asked for, but it has fewer than 8 bytes: the evidence may \
             have been made in advance",
        ),
        (Some(_), Some(_)) => (Outcome::Passed, "the nonce is the one that was asked for"),
    };
    findings.set(CheckName::Nonce, result, reason);
}

/// Checks what a program says.
fn data(findings: &mut Findings, expected: Option<&[u8]>, said: Option<&Said>) {
    let (result, reason) = match (expected, said.map(|said| &said.data.0[..])) {
        (None, None) => (Outcome::NotChecked, "no program says anything in it"),
        (None, Some(_)) => (Outcome::Warning, "what the program says was compared with nothing"),
        (Some(_), None) => (Outcome::Failed, "no program says anything in it"),
        (Some(expected), Some(said)) if expected != said => {
            (Outcome::Failed, "the program says something else")
        }
        (Some(_), Some(_)) => (Outcome::Passed, "the program says what was expected"),
    };
    findings.set(CheckName::Data, result, reason);
}
