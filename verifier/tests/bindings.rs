//! What the report data binds: claims, the key, the nonce, the statement; and the certificate around
//! them.

mod common;

use common::cbor::{self, bytes, head, key_hash, map, pubkey, text};
use common::pki::{Key, sha256};
use common::simulation::{Carrier, Enclave, NOW, Simulation, State};
use common::{assert_check, failed, policy, request};
use graviola::hashing::{Hash, Sha384, Sha512};
use std::sync::LazyLock;
use twine_verifier::{CheckName, Form, Outcome, Request, Roots, Verdict, verify};

static SIMULATION: LazyLock<Simulation> = LazyLock::new(Simulation::new);
static KEY: LazyLock<Key> = LazyLock::new(Key::new);

/// What the caller of a verification expects besides the policy.
#[derive(Default)]
struct Expected<'a> {
    nonce: Option<&'a [u8]>,
    public_key: Option<&'a [u8]>,
    report_data: Option<&'a [u8; 64]>,
}

/// Verifies evidence under a policy for the simulation's enclave, with more rules.
fn judge_with<'a>(
    evidence: &'a [u8],
    more: &str,
    change: impl FnOnce(&mut Expected<'a>),
) -> Verdict {
    let collateral = SIMULATION.collateral(&State::default());
    let measurement = "11".repeat(32);
    let text = format!("root = 'simulation'\n[enclave]\nmeasurements = ['{measurement}']\n{more}");
    let policy = policy(&text);
    let roots = Roots::with_simulation(SIMULATION.root());
    let mut expected = Expected::default();
    change(&mut expected);
    verify(&Request {
        nonce: expected.nonce,
        public_key: expected.public_key,
        report_data: expected.report_data,
        ..request(evidence, &collateral, &policy, &roots, NOW)
    })
}

fn judge(evidence: &[u8]) -> Verdict {
    judge_with(evidence, "", |_| {})
}

/// Asserts that one check fails and no other, and why.
#[track_caller]
fn assert_fails(verdict: &Verdict, name: CheckName, reason: &str) {
    assert_eq!(failed(verdict), [name]);
    assert_check(verdict, name, Outcome::Failed, reason);
    assert!(!verdict.is_accepted());
}

/// Claims that bind [`KEY`].
fn claims() -> Vec<u8> {
    map(&[pubkey(KEY.info())])
}

#[test]
fn evidence_in_a_certificate_is_accepted_and_its_key_is_compared() {
    let certificate = Carrier::new(SIMULATION.evidence(&claims())).sign(&KEY, &KEY);
    let verdict = judge(&certificate);
    assert_eq!(failed(&verdict), []);
    assert!(verdict.is_accepted());
    assert_eq!(verdict.facts().unwrap().form, Form::Certificate);
    let reason = "it is that of the certificate's key";
    assert_check(&verdict, CheckName::PubkeyHash, Outcome::Passed, reason);
    let reason = "the certificate's own key signed it";
    assert_check(&verdict, CheckName::CertificateSignature, Outcome::Passed, reason);
    let reason = "a certificate only, not fresh: no nonce was asked for, so nothing shows that the \
                  evidence is new";
    assert_check(&verdict, CheckName::Nonce, Outcome::Warning, reason);
}

#[test]
fn a_certificate_for_another_key_than_the_bound_one_is_refused() {
    let other = Key::new();
    let certificate = Carrier::new(SIMULATION.evidence(&claims())).sign(&other, &other);
    let reason = "it is not that of the certificate's key";
    assert_fails(&judge(&certificate), CheckName::PubkeyHash, reason);
}

#[test]
fn a_certificate_that_another_key_signed_is_refused() {
    let certificate = Carrier::new(SIMULATION.evidence(&claims())).sign(&KEY, &Key::new());
    let reason = "the certificate's own key did not sign it by ECDSA with SHA-2";
    assert_fails(&judge(&certificate), CheckName::CertificateSignature, reason);
}

#[test]
fn a_certificate_is_refused_before_and_after_its_dates() {
    let mut carrier = Carrier::new(SIMULATION.evidence(&claims()));
    carrier.years = (2024, 2026);
    let reason = "the certificate ran out on 2026-01-01T00:00:00Z";
    assert_fails(&judge(&carrier.sign(&KEY, &KEY)), CheckName::CertificateDates, reason);
    carrier.years = (2027, 2028);
    let reason = "the certificate is valid only from 2027-01-01T00:00:00Z";
    assert_fails(&judge(&carrier.sign(&KEY, &KEY)), CheckName::CertificateDates, reason);
}

#[test]
fn an_extension_with_evidence_must_be_there_once_and_not_be_critical() {
    let mut carrier = Carrier::new(SIMULATION.evidence(&claims()));
    carrier.critical = true;
    let reason =
        "the extension with evidence is critical; interoperable RA-TLS has it not critical";
    assert_fails(&judge(&carrier.sign(&KEY, &KEY)), CheckName::Format, reason);
    let none = Carrier { evidence: vec![], ..Carrier::new(vec![]) };
    let reason = "the evidence: at byte 0: end of input bytes";
    assert_fails(&judge(&none.sign(&KEY, &KEY)), CheckName::Format, reason);
}

#[test]
fn a_key_that_was_given_is_compared_too() {
    let evidence = SIMULATION.evidence(&claims());
    let reason = "it is there, and no key to compare it with";
    let verdict = judge(&evidence);
    assert!(verdict.is_accepted());
    assert_check(&verdict, CheckName::PubkeyHash, Outcome::Warning, reason);
    let verdict = judge_with(&evidence, "", |expected| expected.public_key = Some(KEY.info()));
    assert!(verdict.is_accepted());
    let reason = "it is that of the key that was given";
    assert_check(&verdict, CheckName::PubkeyHash, Outcome::Passed, reason);
    let other = Key::new();
    let verdict = judge_with(&evidence, "", |expected| expected.public_key = Some(other.info()));
    let reason = "it is not that of the key that was given";
    assert_fails(&verdict, CheckName::PubkeyHash, reason);
}

#[test]
fn claims_without_the_hash_of_a_key_are_refused() {
    let evidence = SIMULATION.evidence(&map(&[("nonce", bytes(b"n"))]));
    let reason = "the claims have no `pubkey-hash`";
    assert_fails(&judge(&evidence), CheckName::PubkeyHash, reason);
}

#[test]
fn the_longer_hashes_of_a_key_are_understood() {
    let info = KEY.info();
    let hashes =
        [key_hash(7, Sha384::hash(info).as_ref()), key_hash(8, Sha512::hash(info).as_ref())];
    for hash in hashes {
        let certificate = Carrier::new(SIMULATION.evidence(&map(&[("pubkey-hash", hash)])));
        assert!(judge(&certificate.sign(&KEY, &KEY)).is_accepted());
    }
    let hash = key_hash(7, &sha256(info));
    let evidence = SIMULATION.evidence(&map(&[("pubkey-hash", hash)]));
    let reason = "the claims: `pubkey-hash` has algorithm 7 and 32 bytes";
    assert_fails(&judge(&evidence), CheckName::Format, reason);
    let hash = key_hash(2, &sha256(info));
    let evidence = SIMULATION.evidence(&map(&[("pubkey-hash", hash)]));
    let reason = "the claims: `pubkey-hash` has algorithm 2 and 32 bytes";
    assert_fails(&judge(&evidence), CheckName::Format, reason);
}

#[test]
fn all_64_bytes_of_the_report_data_count() {
    let claims = claims();
    let reason = "the last 32 bytes of the report data are not zero";
    for byte in 32..64 {
        let mut enclave = Enclave::with_claims(&claims);
        enclave.report_data[byte] = 1;
        let evidence = cbor::evidence(&SIMULATION.quote(&enclave), &claims);
        assert_fails(&judge(&evidence), CheckName::ReportData, reason);
    }
    // A hash that is cut short, as verifiers that compare a prefix would accept it.
    let mut enclave = Enclave::with_claims(&claims);
    enclave.report_data[20..].fill(0);
    let evidence = cbor::evidence(&SIMULATION.quote(&enclave), &claims);
    let reason = "the report data is not the SHA-256 of the claims";
    assert_fails(&judge(&evidence), CheckName::ReportData, reason);
}

#[test]
fn claims_that_another_quote_binds_are_refused() {
    let quote = SIMULATION.quote(&Enclave::with_claims(&claims()));
    let evidence = cbor::evidence(&quote, &map(&[pubkey(Key::new().info())]));
    let reason = "the report data is not the SHA-256 of the claims";
    assert_fails(&judge(&evidence), CheckName::ReportData, reason);
}

#[test]
fn the_nonce_must_be_the_one_that_was_asked_for() {
    let evidence =
        SIMULATION.evidence(&map(&[pubkey(KEY.info()), ("nonce", bytes(b"the right nonce"))]));
    let verdict = judge_with(&evidence, "", |expected| expected.nonce = Some(b"the right nonce"));
    assert!(verdict.is_accepted());
    let reason = "the nonce is the one that was asked for";
    assert_check(&verdict, CheckName::Nonce, Outcome::Passed, reason);
    let verdict = judge_with(&evidence, "", |expected| expected.nonce = Some(b"the wrong nonce"));
    let reason = "the nonce is another than the one that was asked for";
    assert_fails(&verdict, CheckName::Nonce, reason);
    let without = SIMULATION.evidence(&claims());
    let verdict = judge_with(&without, "", |expected| expected.nonce = Some(b"the right nonce"));
    assert_fails(&verdict, CheckName::Nonce, "the claims have no nonce");
}

#[test]
fn an_empty_nonce_never_passes_and_a_short_one_warns() {
    let with =
        |nonce: &[u8]| SIMULATION.evidence(&map(&[pubkey(KEY.info()), ("nonce", bytes(nonce))]));
    let reason = "an empty nonce was asked for, which is none";
    for evidence in [with(b""), with(b"n"), SIMULATION.evidence(&claims())] {
        let verdict = judge_with(&evidence, "", |expected| expected.nonce = Some(b""));
        assert_fails(&verdict, CheckName::Nonce, reason);
    }
    let verdict = judge_with(&with(b""), "", |expected| expected.nonce = Some(b"12345678"));
    let reason = "the nonce is another than the one that was asked for";
    assert_fails(&verdict, CheckName::Nonce, reason);

    let verdict = judge_with(&with(b"1234567"), "", |expected| expected.nonce = Some(b"1234567"));
    assert!(verdict.is_accepted());
    let reason = "the nonce is the one that was asked for, but it has fewer than 8 bytes: the \
                  evidence may have been made in advance";
    assert_check(&verdict, CheckName::Nonce, Outcome::Warning, reason);
    let verdict = judge_with(&with(b"12345678"), "", |expected| expected.nonce = Some(b"12345678"));
    assert!(verdict.is_accepted());
    let reason = "the nonce is the one that was asked for";
    assert_check(&verdict, CheckName::Nonce, Outcome::Passed, reason);
}

#[test]
fn claims_of_others_are_ignored_and_listed() {
    let nested = [head(4, 2), head(1, 5), head(5, 1), text("a"), head(6, 1), head(7, 22)].concat();
    let pairs = [pubkey(KEY.info()), ("key_0", bytes(b"x")), ("other", nested)];
    let verdict = judge(&SIMULATION.evidence(&map(&pairs)));
    assert!(verdict.is_accepted());
    let ignored = &verdict.facts().unwrap().claims.as_ref().unwrap().ignored;
    assert_eq!(ignored, &["key_0", "other"]);
}

#[test]
fn a_quote_alone_is_refused_unless_its_report_data_is_known_or_the_policy_takes_it() {
    let enclave = Enclave { report_data: [9; 64], ..Enclave::default() };
    let quote = SIMULATION.quote(&enclave);
    let reason = "a quote alone, and nothing says what its report data must be";
    assert_fails(&judge(&quote), CheckName::ReportData, reason);
    let verdict = judge_with(&quote, "", |expected| expected.report_data = Some(&[9; 64]));
    assert!(verdict.is_accepted());
    let verdict = judge_with(&quote, "", |expected| expected.report_data = Some(&[8; 64]));
    let reason = "the report data is another than was expected";
    assert_fails(&verdict, CheckName::ReportData, reason);
    let verdict = judge_with(&quote, "[claims]\nrequired = false", |_| {});
    assert!(verdict.is_accepted());
    let reason = "a quote alone: its report data was not checked";
    assert_check(&verdict, CheckName::ReportData, Outcome::Warning, reason);
    // It can show neither a nonce nor a key.
    let verdict = judge_with(&quote, "[claims]\nrequired = false", |expected| {
        expected.nonce = Some(b"n");
        expected.public_key = Some(KEY.info());
    });
    assert_eq!(failed(&verdict), [CheckName::PubkeyHash, CheckName::Nonce]);
}
