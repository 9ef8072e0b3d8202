//! What a verdict says, by quotes of others.

mod common;

use common::{JUNE_2025, OPEN, assert_check, collateral, failed, policy, sample, vector, verdict};
use twine_verifier::{CheckName, Outcome, TcbStatus};

#[test]
fn a_later_evaluation_knows_more_advisories() {
    for (name, count) in [("icx17.json", 10), ("icx18.json", 12), ("icx19.json", 13)] {
        let Some(evidence) = vector("trustee_occlum.quote") else { return };
        let json = vector(name).unwrap();
        let verdict = verdict(&evidence, &collateral(&json), &policy(OPEN), JUNE_2025);
        let tcb = verdict.facts().unwrap().tcb.as_ref().unwrap();
        assert_eq!((tcb.status, tcb.advisories.len()), (TcbStatus::OutOfDate, count), "{name}");
    }
}

#[test]
fn a_policy_that_says_no_more_than_the_measurement_refuses_debug_and_what_is_out_of_date() {
    let Some(evidence) = vector("trustee_occlum.quote") else { return };
    let collateral = collateral(&vector("icx17.json").unwrap());
    let policy = policy(
        "root = 'intel'
         [enclave]
         measurements = ['8f173e4613ff05c52aaf04162d234edae8c9977eae47eb2299ae16a553011c68']",
    );
    let verdict = verdict(&evidence, &collateral, &policy, JUNE_2025);
    let expected = [CheckName::TcbStatus, CheckName::Debug, CheckName::ReportData];
    assert_eq!(failed(&verdict), expected);
    let reason = "OutOfDate (level of 2021-11-10); for SWHardeningNeeded of 2024-03-13: \
                  SGX component 1 (BIOS: Early Microcode Update) is 4 and must be 14, \
                  SGX component 2 (OS/VMM: SGX Late Microcode Update) is 4 and must be 14, \
                  SGX component 7 is 0 and must be 1, PCE SVN is 11 and must be 13";
    assert_check(&verdict, CheckName::TcbStatus, Outcome::Failed, reason);
}

#[test]
fn an_accepted_quote_tells_who_it_is_and_how_long_the_collateral_lasts() {
    let evidence = sample("sgx_quote");
    let collateral = collateral(&sample("sgx_quote_collateral.json"));
    let verdict = verdict(&evidence, &collateral, &policy(OPEN), JUNE_2025);
    assert!(verdict.is_accepted());
    let facts = serde_json::to_value(verdict.facts().unwrap()).unwrap();
    let expected = serde_json::json!({
        "genuine": true,
        "form": "quote",
        "quote-version": 3,
        "tee": "sgx",
        "measurement": "33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb",
        "signer": "815f42f11cf64430c30bab7816ba596a1da0130c3b028b673133a66cf9a3e0e6",
        "product-id": 0,
        "svn": 0,
        "debug": false,
        "report-data": format!("{}{}", hex::encode("Hello, world!"), "0".repeat(102)),
        "claims": null,
        "launch": null,
        "platform": {
            "fmspc": "00a067110000",
            "ppid-hash": "be90cbe48c74cbfcf9c40db43a8f9dccdf22346e65223b0304e7d5eb2dc7a1f2",
            "instance": null,
            "smt": null,
            "dynamic": null,
            "cached-keys": null,
        },
        "tcb": {
            "status": "ConfigurationAndSWHardeningNeeded",
            "advisories": ["INTEL-SA-00289", "INTEL-SA-00615"],
            "level-date": "2024-03-13T00:00:00Z",
            "evaluation-number": 17,
        },
        "collateral": {
            "issued": "2025-06-19T10:01:18Z",
            "expires": "2025-07-19T10:01:18Z",
            "first-to-expire": "the QE identity",
        },
    });
    assert_eq!(facts, expected);
}

#[test]
fn the_verdict_in_json_has_every_check_by_name() {
    let evidence = sample("sgx_quote");
    let collateral = collateral(&sample("sgx_quote_collateral.json"));
    let verdict = verdict(&evidence, &collateral, &policy(OPEN), JUNE_2025);
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!(json["accepted"], true);
    let names: Vec<_> =
        json["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert_eq!(names.len(), CheckName::ALL.len());
    let first = serde_json::json!(
        { "name": "format", "result": "passed", "reason": "a quote of version 3" }
    );
    assert_eq!(json["checks"][0], first);
}

#[test]
fn a_pin_holds_also_where_readers_of_pem_differ() {
    // A vertical tab in place of the line end between two certificates: dcap-qvl reads the chain, and
    // stricter readers do not.
    let mut evidence = sample("sgx_quote");
    assert_eq!(evidence[2664], b'\n');
    evidence[2664] = 0x0b;
    let collateral = collateral(&sample("sgx_quote_collateral.json"));
    assert!(verdict(&evidence, &collateral, &policy(OPEN), JUNE_2025).is_accepted());
    let pin = format!("{OPEN}\n[platform]\nppid-hashes = ['{}']", "00".repeat(32));
    let verdict = verdict(&evidence, &collateral, &policy(&pin), JUNE_2025);
    assert_eq!(failed(&verdict), [CheckName::Platform]);
}
