//! What a policy says, each rule with evidence that keeps it and evidence that does not.

mod common;

use common::simulation::{Enclave, NOW, Simulation, State};
use common::{assert_check, assert_fails, assert_passes, failed, policy, request};
use std::sync::LazyLock;
use twine_verifier::{CheckName, Moment, Outcome, Request, Roots, Verdict, verify};

static SIMULATION: LazyLock<Simulation> = LazyLock::new(Simulation::new);

/// A policy for the simulation's enclave, with more rules.
fn rules(more: &str) -> String {
    format!("root = 'simulation'\n[enclave]\nmeasurements = ['{}']\n{more}", "11".repeat(32))
}

/// Verifies a quote of an enclave under a policy.
fn judge(enclave: &Enclave, state: &State, text: &str, at: Moment) -> Verdict {
    let quote = SIMULATION.quote(enclave);
    let collateral = SIMULATION.collateral(state);
    let policy = policy(text);
    let roots = Roots::with_simulation(SIMULATION.root());
    let report_data = Some(&enclave.report_data);
    verify(&Request { report_data, ..request(&quote, &collateral, &policy, &roots, at) })
}

fn judge_state(state: &State, more: &str) -> Verdict {
    judge(&Enclave::default(), state, &rules(more), NOW)
}

fn judge_enclave(enclave: &Enclave, more: &str) -> Verdict {
    judge(enclave, &State::default(), &rules(more), NOW)
}

#[test]
fn a_debug_enclave_is_refused_unless_the_policy_accepts_it() {
    let debug = Enclave { debug: true, ..Enclave::default() };
    let reason = "a debug enclave: its host can read its memory";
    assert_fails(&judge_enclave(&debug, ""), CheckName::Debug, reason);
    let verdict = judge_enclave(&debug, "debug = true");
    assert!(verdict.is_accepted());
    let reason = "a debug enclave, which the policy accepts";
    assert_check(&verdict, CheckName::Debug, Outcome::Warning, reason);
}

#[test]
fn measurement_signer_product_and_version_must_be_those_of_the_policy() {
    let other = Enclave { measurement: [0x12; 32], ..Enclave::default() };
    let reason = format!("{} is not among those that the policy names", "12".repeat(32));
    assert_fails(&judge_enclave(&other, ""), CheckName::Measurement, &reason);

    let signers = format!("signers = ['{}']", "22".repeat(32));
    let reason = format!("it is {}", "22".repeat(32));
    assert_passes(&judge_enclave(&Enclave::default(), &signers), CheckName::Signer, &reason);
    let other = Enclave { signer: [0x23; 32], ..Enclave::default() };
    let reason = format!("{} is not among those that the policy names", "23".repeat(32));
    assert_fails(&judge_enclave(&other, &signers), CheckName::Signer, &reason);

    let enclave = Enclave::default();
    assert_passes(&judge_enclave(&enclave, "product-id = 1"), CheckName::ProductId, "it is 1");
    let reason = "it is 1, not 2";
    assert_fails(&judge_enclave(&enclave, "product-id = 2"), CheckName::ProductId, reason);
    assert_passes(&judge_enclave(&enclave, "least-svn = 3"), CheckName::Svn, "it is 3");
    let reason = "it is 3, less than 4";
    assert_fails(&judge_enclave(&enclave, "least-svn = 4"), CheckName::Svn, reason);
}

#[test]
fn a_policy_that_names_no_more_than_a_signer_warns_of_what_it_leaves_open() {
    let judge = |more: &str| {
        let signer = "22".repeat(32);
        let text = format!("root = 'simulation'\n[enclave]\nsigners = ['{signer}']\n{more}");
        judge(&Enclave::default(), &State::default(), &text, NOW)
    };
    for (more, open) in [
        ("", "every product and older version"),
        ("least-svn = 3", "every product"),
        ("product-id = 1", "every older version"),
    ] {
        let verdict = judge(more);
        assert!(verdict.is_accepted());
        let reason = format!("it is {}, of whom {open} is accepted", "22".repeat(32));
        assert_check(&verdict, CheckName::Signer, Outcome::Warning, &reason);
    }
    let reason = format!("it is {}", "22".repeat(32));
    assert_passes(&judge("product-id = 1\nleast-svn = 3"), CheckName::Signer, &reason);
}

#[test]
fn a_status_that_the_policy_does_not_accept_is_refused_and_what_is_short_is_named() {
    let levels = vec![(7, "UpToDate"), (4, "OutOfDate")];
    let state = State { levels, ..State::default() };
    let reason = "OutOfDate (level of 2025-03-01); for UpToDate of 2025-03-01: \
                  SGX component 1 (BIOS: Microcode) is 5 and must be 7";
    assert_fails(&judge_state(&state, ""), CheckName::TcbStatus, reason);
    let verdict = judge_state(&state, "[tcb]\nstatuses = ['UpToDate', 'OutOfDate']");
    assert_passes(&verdict, CheckName::TcbStatus, "OutOfDate (level of 2025-03-01)");
}

#[test]
fn a_quoting_enclave_that_is_out_of_date_makes_the_platform_so() {
    let state = State { qe_status: "OutOfDate", ..State::default() };
    let reason =
        "OutOfDate (level of 2025-03-01); the platform itself reaches UpToDate of 2025-03-01";
    assert_fails(&judge_state(&state, ""), CheckName::TcbStatus, reason);
}

#[test]
fn a_platform_below_all_levels_is_refused() {
    let state = State { levels: vec![(6, "UpToDate")], ..State::default() };
    let verdict = judge_state(&state, "");
    assert_eq!(failed(&verdict), [CheckName::Quote, CheckName::TcbStatus]);
    let reason = "the platform reaches no level; for UpToDate of 2025-03-01: \
                  SGX component 1 (BIOS: Microcode) is 5 and must be 6";
    assert_check(&verdict, CheckName::TcbStatus, Outcome::Failed, reason);
}

#[test]
fn a_revoked_platform_is_refused() {
    let state = State { levels: vec![(5, "Revoked")], ..State::default() };
    let verdict = judge_state(&state, "");
    assert_eq!(failed(&verdict), [CheckName::Quote, CheckName::TcbStatus]);
    let reason = "Revoked (level of 2025-03-01); no level of the TCB info has an accepted status";
    assert_check(&verdict, CheckName::TcbStatus, Outcome::Failed, reason);

    let verdict = judge_state(&State { revoked: true, ..State::default() }, "");
    assert_eq!(failed(&verdict), [CheckName::Quote, CheckName::Revocation]);
    assert_check(&verdict, CheckName::Revocation, Outcome::Failed, "a certificate is revoked");
}

#[test]
fn another_quoting_enclave_and_another_platforms_tcb_info_are_refused() {
    let state = State { qe_signer: [0x34; 32], ..State::default() };
    let verdict = judge_state(&state, "");
    assert_eq!(failed(&verdict), [CheckName::Quote, CheckName::QeIdentity]);
    let reason = "the quoting enclave is another: MRSIGNER differs";
    assert_check(&verdict, CheckName::QeIdentity, Outcome::Failed, reason);

    let verdict = judge_state(&State { fmspc: "00606A000001", ..State::default() }, "");
    assert_eq!(failed(&verdict), [CheckName::Quote, CheckName::TcbInfo]);
    let reason = "it is for FMSPC 00606A000001, and the platform has 00606A000000";
    assert_check(&verdict, CheckName::TcbInfo, Outcome::Failed, reason);
}

#[test]
fn advisories_are_refused_by_name_or_for_not_being_named() {
    let state = || State { advisories: vec!["INTEL-SA-1", "INTEL-SA-2"], ..State::default() };
    let verdict = judge_state(&state(), "");
    assert_passes(&verdict, CheckName::Advisories, "INTEL-SA-1, INTEL-SA-2");
    let verdict = judge_state(&state(), "[tcb]\nrefused-advisories = ['INTEL-SA-2']");
    let reason = "INTEL-SA-2, which the policy does not accept";
    assert_fails(&verdict, CheckName::Advisories, reason);
    let verdict = judge_state(&state(), "[tcb]\naccepted-advisories = ['INTEL-SA-2']");
    let reason = "INTEL-SA-1, which the policy does not accept";
    assert_fails(&verdict, CheckName::Advisories, reason);
    let none = State::default();
    let verdict = judge_state(&none, "[tcb]\naccepted-advisories = []");
    assert_passes(&verdict, CheckName::Advisories, "none applies");
}

#[test]
fn an_evaluation_below_the_policys_is_refused() {
    let least = |number: u32| format!("[tcb]\nleast-evaluation-number = {number}");
    let verdict = judge_state(&State::default(), &least(17));
    assert_passes(&verdict, CheckName::EvaluationNumber, "it is 17");
    let verdict = judge_state(&State::default(), &least(18));
    assert_fails(&verdict, CheckName::EvaluationNumber, "it is 17, less than 18");
}

#[test]
fn collateral_grows_too_old_before_it_runs_out() {
    let most = |days: u64| format!("[collateral]\nmost-days = {days}");
    let verdict = judge_state(&State::default(), &most(6));
    let reason = "issued on 2026-01-04T00:00:00Z, 6 days ago";
    assert_passes(&verdict, CheckName::CollateralAge, reason);
    let later = Moment(NOW.0 + 1);
    let verdict = judge(&Enclave::default(), &State::default(), &rules(&most(6)), later);
    let reason = "issued on 2026-01-04T00:00:00Z, 6 days ago; the policy allows 6 days";
    assert_fails(&verdict, CheckName::CollateralAge, reason);
}

#[test]
fn the_end_of_the_collateral_is_announced_before_it_comes() {
    let at = |date: &str, seconds: u64| {
        let text = rules("[collateral]\nmost-days = 90");
        let state = State { next: "2026-02-04T00:00:00Z", ..State::default() };
        assert_eq!(date, Moment(seconds).to_string());
        judge(&Enclave::default(), &state, &text, Moment(seconds))
    };
    let verdict = at("2026-01-28T00:00:00Z", 1_769_558_400);
    let reason = "all is valid until 2026-02-04T00:00:00Z";
    assert_passes(&verdict, CheckName::CollateralExpiry, reason);
    let verdict = at("2026-01-28T00:00:01Z", 1_769_558_401);
    assert!(verdict.is_accepted());
    let reason = "the TCB info runs out on 2026-02-04T00:00:00Z, in 6 days";
    assert_check(&verdict, CheckName::CollateralExpiry, Outcome::Warning, reason);
    let verdict = at("2026-02-04T00:00:01Z", 1_770_163_201);
    assert!(!verdict.is_accepted());
    let reason = "the TCB info ran out on 2026-02-04T00:00:00Z";
    assert_check(&verdict, CheckName::CollateralExpiry, Outcome::Failed, reason);
    assert_check(
        &verdict,
        CheckName::TcbInfo,
        Outcome::Failed,
        "it ran out on 2026-02-04T00:00:00Z",
    );
}

#[test]
fn collateral_from_the_future_is_refused() {
    let state = State { issued: "2026-01-11T00:00:00Z", ..State::default() };
    let verdict = judge_state(&state, "");
    assert_eq!(failed(&verdict), [CheckName::Quote, CheckName::TcbInfo, CheckName::QeIdentity]);
    let reason = "it is from the future: issued on 2026-01-11T00:00:00Z";
    assert_check(&verdict, CheckName::TcbInfo, Outcome::Failed, reason);
}

#[test]
fn a_platform_can_be_pinned_by_its_ppid_and_by_its_instance() {
    let hash = "a001e4691b15b87ad88cf4cfe63ddad37c6e0a9317b155d29d6bc47a4a7a43e7";
    let instance = "88".repeat(16);
    let judge = |rules: String| judge_state(&State::default(), &format!("[platform]\n{rules}"));
    let verdict = judge(format!("ppid-hashes = ['{hash}']"));
    assert_passes(&verdict, CheckName::Platform, &format!("it is {hash}"));
    let verdict = judge(format!("instances = ['{instance}']"));
    assert_passes(&verdict, CheckName::Platform, &format!("it is {instance}"));
    let verdict = judge(format!("ppid-hashes = ['{}']", "00".repeat(32)));
    let reason = format!("{hash} is not among those that the policy names");
    assert_fails(&verdict, CheckName::Platform, &reason);
    // Both must hold where both are named.
    let wrong = "00".repeat(16);
    let verdict = judge(format!("ppid-hashes = ['{hash}']\ninstances = ['{wrong}']"));
    let reason = format!("{instance} is not among those that the policy names");
    assert_fails(&verdict, CheckName::Platform, &reason);
}

#[test]
fn what_the_platforms_certificate_says_can_be_refused() {
    let judge = |rule: &str| judge_state(&State::default(), &format!("[platform]\n{rule} = false"));
    assert_fails(&judge("smt"), CheckName::Smt, "hyper-threading is on");
    assert_fails(&judge("dynamic"), CheckName::DynamicPlatform, "packages can be added");
    let reason = "Intel does not keep the root keys";
    assert_passes(&judge("cached-keys"), CheckName::CachedKeys, reason);
}
