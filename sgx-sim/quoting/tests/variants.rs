//! What a verifier says of every machine and collateral that a test can make.

mod verifier;

use dcap_qvl::{PckCertFlag, TcbStatus as Verdict};
use sgx_sim::Device;
use sgx_sim_quoting::{
    Authority, Collateral, Configuration, Error, PCE_SVN, QuotingEnclave, TcbLevel, TcbStatus,
    VALIDITY, Variant, collateral,
};
use verifier::{verify, verify_strictly, verify_under};

const NOW: u64 = 1_795_834_000;

fn machine() -> Device {
    Device::with_root_secret(*b"a test's machine").unwrap()
}

/// Returns a quote of an enclave whose report has zeros in all fields.
fn quote(quoting_enclave: &QuotingEnclave) -> Vec<u8> {
    quoting_enclave.forge_quote(&[0; 384]).unwrap()
}

/// Returns the verdict on a machine, with usual collateral.
fn verdict(quoting_enclave: &QuotingEnclave) -> Verdict {
    let collateral = collateral(NOW).unwrap();
    verify(&quote(quoting_enclave), &collateral, NOW).unwrap().tcb.status
}

#[test]
fn a_machine_behind_the_present_svns_is_out_of_date() {
    let usual = Variant::new();
    assert_eq!(verdict(&usual.start(&machine()).unwrap()), Verdict::UpToDate);
    let newer = machine().security_version(2);
    assert_eq!(verdict(&usual.start(&newer).unwrap()), Verdict::UpToDate);
    let older = machine().security_version(0);
    assert_eq!(verdict(&usual.start(&older).unwrap()), Verdict::OutOfDate);
    let pce = usual.clone().pce_svn(PCE_SVN - 1).start(&machine()).unwrap();
    assert_eq!(verdict(&pce), Verdict::OutOfDate);
    let qe = usual.qe_svn(1).start(&machine()).unwrap();
    let claims = verify(&quote(&qe), &collateral(NOW).unwrap(), NOW).unwrap();
    assert_eq!(claims.qe.tcb_level.tcb_status, Verdict::OutOfDate);
    assert_eq!(claims.platform.tcb_level.tcb_status, Verdict::UpToDate);
    assert_eq!(claims.tcb.status, Verdict::OutOfDate);
}

#[test]
fn every_status_of_a_level_reaches_the_verifier_with_its_advisories() {
    let quote = quote(&QuotingEnclave::new(&machine()).unwrap());
    let of = |status| {
        let level = TcbLevel::present(status).advisory("TWINE-SA-1").advisory("TWINE-SA-2");
        let collateral =
            Collateral::new(NOW).levels(vec![level, TcbLevel::any(TcbStatus::OutOfDate)]);
        verify(&quote, &collateral.to_json().unwrap(), NOW)
    };
    let statuses = [
        (TcbStatus::UpToDate, Verdict::UpToDate),
        (TcbStatus::SwHardeningNeeded, Verdict::SWHardeningNeeded),
        (TcbStatus::ConfigurationNeeded, Verdict::ConfigurationNeeded),
        (TcbStatus::ConfigurationAndSwHardeningNeeded, Verdict::ConfigurationAndSWHardeningNeeded),
        (TcbStatus::OutOfDate, Verdict::OutOfDate),
        (TcbStatus::OutOfDateConfigurationNeeded, Verdict::OutOfDateConfigurationNeeded),
    ];
    for (status, verdict) in statuses {
        let claims = of(status).unwrap();
        assert_eq!(claims.tcb.status, verdict);
        assert_eq!(claims.tcb.advisory_ids, ["TWINE-SA-1", "TWINE-SA-2"]);
    }
    let refused = of(TcbStatus::Revoked).unwrap_err();
    assert!(refused.contains("Revoked"), "{refused}");
}

#[test]
fn a_machine_that_reaches_no_level_is_refused() {
    let older = quote(&QuotingEnclave::new(&machine().security_version(0)).unwrap());
    let collateral = Collateral::new(NOW).levels(vec![TcbLevel::present(TcbStatus::UpToDate)]);
    let refused = verify(&older, &collateral.to_json().unwrap(), NOW).unwrap_err();
    assert!(refused.contains("No matching TCB level found"), "{refused}");
}

#[test]
fn only_the_revoked_machine_is_refused() {
    let revoked = QuotingEnclave::new(&machine()).unwrap();
    let other = QuotingEnclave::new(&Device::with_root_secret([9; 16]).unwrap()).unwrap();
    let collateral = Collateral::new(NOW).revoke(&revoked).to_json().unwrap();
    let refused = verify(&quote(&revoked), &collateral, NOW).unwrap_err();
    assert!(refused.contains("CertRevoked"), "{refused}");
    assert!(verify(&quote(&other), &collateral, NOW).is_ok());
}

#[test]
fn collateral_is_valid_from_its_issue_to_the_next_update() {
    let quote = quote(&QuotingEnclave::new(&machine()).unwrap());
    let collateral = collateral(NOW).unwrap();
    let at = |now| verify(&quote, &collateral, now).map(|claims| claims.tcb.status);
    let next = NOW + VALIDITY.as_secs();
    assert_eq!(VALIDITY.as_secs(), 30 * 86_400);
    assert_eq!(at(NOW), Ok(Verdict::UpToDate));
    assert_eq!(at(next - 1), Ok(Verdict::UpToDate));
    assert_eq!(at(NOW - 1), Err("TCBInfo issue date is in the future".into()));
    assert_eq!(at(next + 1), Err("TCBInfo expired".into()));

    let claims = verify(&quote, &collateral, NOW).unwrap();
    assert_eq!(claims.latest_issue_date, NOW);
    assert_eq!(claims.earliest_expiration_date, next);
}

#[test]
fn collateral_has_only_times_at_which_its_certificates_are_valid() {
    let first = 1_577_836_800;
    let last = 2_524_607_999 - VALIDITY.as_secs();
    let quote = quote(&QuotingEnclave::new(&machine()).unwrap());
    for now in [first, last] {
        assert!(verify(&quote, &collateral(now).unwrap(), now).is_ok());
    }
    for now in [0, first - 1, last + 1, u64::MAX] {
        assert_eq!(collateral(now), Err(Error::Time(now)));
    }
    let mut level = TcbLevel::present(TcbStatus::UpToDate);
    level.date = u64::MAX;
    assert_eq!(Collateral::new(NOW).levels(vec![level]).to_json(), Err(Error::Time(u64::MAX)));
}

#[test]
fn collateral_is_about_one_fmspc() {
    let other = *b"OTHER\0";
    let variant = quote(&Variant::new().fmspc(other).start(&machine()).unwrap());
    let refused = verify(&variant, &collateral(NOW).unwrap(), NOW).unwrap_err();
    assert!(refused.contains("Fmspc mismatch"), "{refused}");
    let collateral = Collateral::new(NOW).fmspc(other).to_json().unwrap();
    let claims = verify(&variant, &collateral, NOW).unwrap();
    assert_eq!(claims.platform.pck.fmspc, other);
}

#[test]
fn another_authority_passes_under_its_own_root_only() {
    let authority = Authority::unknown("other").unwrap();
    let quote = quote(&Variant::new().authority(&authority).start(&machine()).unwrap());
    let collateral = Collateral::new(NOW).authority(&authority).to_json().unwrap();
    let own = verify_under(authority.root_certificate(), &quote, &collateral, NOW).unwrap();
    assert_eq!(own.tcb.status, Verdict::UpToDate);
    assert!(verify(&quote, &collateral, NOW).is_err());
    // Nor does a mixture of both.
    let usual = sgx_sim_quoting::collateral(NOW).unwrap();
    assert!(verify(&quote, &usual, NOW).is_err());
}

#[test]
fn the_verifier_sees_the_configuration_and_the_evaluation_number() {
    let flags = |configuration| {
        let variant = Variant::new().configuration(configuration).start(&machine()).unwrap();
        let collateral = Collateral::new(NOW).evaluation_number(19).to_json().unwrap();
        let claims = verify(&quote(&variant), &collateral, NOW).unwrap();
        assert_eq!(claims.tcb.eval_data_number, 19);
        // The strictest policy takes none of the three.
        let strictly = verify_strictly(&quote(&variant), &collateral, NOW);
        assert_eq!(strictly.is_ok(), configuration == Configuration::default());
        let pck = claims.platform.pck;
        [pck.dynamic_platform, pck.cached_keys, pck.smt_enabled]
    };
    use PckCertFlag::{False, True};
    assert_eq!(flags(Configuration::default()), [False, False, False]);
    let one = |dynamic_platform, cached_keys, smt| {
        flags(Configuration { dynamic_platform, cached_keys, smt })
    };
    assert_eq!(one(true, false, false), [True, False, False]);
    assert_eq!(one(false, true, false), [False, True, False]);
    assert_eq!(one(false, false, true), [False, False, True]);
}

#[test]
fn a_forged_report_says_what_the_test_wants() {
    let quoting_enclave = QuotingEnclave::new(&machine()).unwrap();
    let body: [u8; 384] = std::array::from_fn(|at| if at == 48 { 5 } else { at as u8 });
    let quote = quoting_enclave.forge_quote(&body).unwrap();
    assert_eq!(quote[48..432], body);
    let refused = verify(&quote, &collateral(NOW).unwrap(), NOW);
    assert!(refused.is_ok(), "{refused:?}");
}
