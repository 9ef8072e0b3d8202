//! Hardware and simulation, which no policy may mix up: whose root a quote leads to.

mod common;

use common::simulation::{Enclave, NOW, Simulation, State};
use common::{assert_check, collateral, failed, policy, request, sample};
use std::sync::LazyLock;
use twine_verifier::{
    CheckName, Evidence, Moment, Outcome, Policy, Request, Root, Roots, Verdict, verify,
};

static SIMULATION: LazyLock<Simulation> = LazyLock::new(Simulation::new);

/// A policy for the simulation's enclave, or for the same of hardware.
fn rules(root: &str) -> String {
    format!("root = '{root}'\n[enclave]\nmeasurements = ['{}']\n", "11".repeat(32))
}

/// Verifies a quote of the simulation under a policy for a root.
fn judge(root: &str) -> Verdict {
    let enclave = Enclave::default();
    let quote = SIMULATION.quote(&enclave);
    let collateral = SIMULATION.collateral(&State::default());
    let policy = policy(&rules(root));
    let roots = Roots::with_simulation(SIMULATION.root());
    let report_data = Some(&enclave.report_data);
    verify(&Request { report_data, ..request(&quote, &collateral, &policy, &roots, NOW) })
}

#[test]
fn a_simulated_quote_is_accepted_by_a_policy_that_names_the_simulation_and_says_so() {
    let verdict = judge("simulation");
    assert!(verdict.is_accepted());
    let reason = "the quote is simulated, as the policy wants it: it protects nothing";
    assert_check(&verdict, CheckName::Simulated, Outcome::Warning, reason);
}

#[test]
fn a_simulated_quote_is_refused_by_a_policy_for_hardware_which_says_that_it_is_simulated() {
    let verdict = judge("intel");
    assert!(!verdict.is_accepted());
    let reason = "the quote is simulated, and the policy wants hardware";
    assert_check(&verdict, CheckName::Simulated, Outcome::Failed, reason);
    let reason = "it does not lead to the root that the policy names";
    assert_check(&verdict, CheckName::Chain, Outcome::Failed, reason);
}

#[test]
fn collateral_is_asked_for_only_for_platforms_under_the_root_that_the_policy_names() {
    let roots = Roots::with_simulation(SIMULATION.root());
    let simulated = SIMULATION.quote(&Enclave::default());
    let hardware = sample("sgx_quote");
    let certified = |quote: &[u8], root: &str, roots: &Roots, at| {
        Evidence::parse(quote).unwrap().certified_platform(&policy(&rules(root)), roots, at)
    };
    let found = certified(&simulated, "simulation", &roots, NOW);
    assert_eq!(found, Evidence::parse(&simulated).unwrap().platform());
    assert!(found.is_some());
    assert_eq!(certified(&simulated, "intel", &roots, NOW), None);
    assert_eq!(certified(&simulated, "simulation", &Roots::hardware(), NOW), None);
    let found = certified(&hardware, "intel", &roots, common::JUNE_2025).unwrap();
    assert_eq!(found.fmspc, [0x00, 0xa0, 0x67, 0x11, 0x00, 0x00]);
    assert_eq!(certified(&hardware, "simulation", &roots, common::JUNE_2025), None);
    // Its certificate was not valid then.
    assert_eq!(certified(&hardware, "intel", &roots, Moment(1_000_000_000)), None);
}

#[test]
fn a_quote_of_hardware_is_refused_by_a_policy_for_the_simulation_which_says_so() {
    let quote = sample("sgx_quote");
    let collateral = collateral(&sample("sgx_quote_collateral.json"));
    let policy = policy(&rules("simulation"));
    let roots = Roots::with_simulation(SIMULATION.root());
    let verdict = verify(&request(&quote, &collateral, &policy, &roots, common::JUNE_2025));
    assert!(!verdict.is_accepted());
    let reason = "the quote is not simulated, and the policy takes only simulated ones";
    assert_check(&verdict, CheckName::Simulated, Outcome::Failed, reason);
    let reason = "it does not lead to the root that the policy names";
    assert_check(&verdict, CheckName::Chain, Outcome::Failed, reason);
}

#[test]
fn a_chain_that_cannot_be_read_is_called_neither_simulated_nor_hardware() {
    let quote = SIMULATION.quote(&Enclave::default());
    let begin = b"-----BEGIN CERTIFICATE-----\n";
    let is_begin = |offset: &usize| quote[*offset..].starts_with(begin);
    let contents: Vec<_> =
        (0..quote.len()).filter(is_begin).map(|offset| offset + begin.len()).collect();
    assert_eq!(contents.len(), 3);
    let collateral = SIMULATION.collateral(&State::default());
    let roots = Roots::with_simulation(SIMULATION.root());
    let reason = "the platform's certificates can't be read";
    // What is no base64, and what is base64 of no certificate.
    for letter in [b'!', b'A'] {
        let mut quote = quote.clone();
        for &offset in &contents {
            quote[offset] = letter;
        }
        for root in ["simulation", "intel"] {
            let policy = policy(&rules(root));
            let verdict = verify(&request(&quote, &collateral, &policy, &roots, NOW));
            assert_check(&verdict, CheckName::Simulated, Outcome::NotChecked, reason);
            assert_eq!(verdict.check(CheckName::Quote).result, Outcome::Failed);
            assert!(!verdict.is_accepted());
        }
    }
}

#[test]
fn a_genuine_quote_is_simulated_if_it_leads_to_the_simulation_whoever_reads_its_chain() {
    let mut quote = SIMULATION.quote(&Enclave::default());
    // A vertical tab in place of a line end: dcap-qvl reads the chain, and stricter readers do not.
    let end = b"-----END CERTIFICATE-----\n";
    let offset = quote.windows(end.len()).position(|text| text == end).unwrap();
    quote[offset + end.len() - 1] = 0x0b;
    let collateral = SIMULATION.collateral(&State::default());
    let roots = Roots::with_simulation(SIMULATION.root());
    let policy = policy(&(rules("simulation") + "[claims]\nrequired = false"));
    let verdict = verify(&request(&quote, &collateral, &policy, &roots, NOW));
    assert!(verdict.is_accepted());
    let reason = "the quote is simulated, as the policy wants it: it protects nothing";
    assert_check(&verdict, CheckName::Simulated, Outcome::Warning, reason);
    // A policy that has the same root as a certificate wants no simulation.
    let policy = Policy { root: Root::Certificate(SIMULATION.root()), ..policy };
    let verdict = verify(&request(&quote, &collateral, &policy, &roots, NOW));
    assert_eq!(failed(&verdict), [CheckName::Simulated]);
    let reason = "the quote is simulated, and the policy wants hardware";
    assert_check(&verdict, CheckName::Simulated, Outcome::Failed, reason);
}

#[test]
fn a_policy_for_the_simulation_accepts_nothing_where_its_root_is_not_given() {
    let quote = SIMULATION.quote(&Enclave::default());
    let collateral = SIMULATION.collateral(&State::default());
    let policy = policy(&rules("simulation"));
    let verdict = verify(&request(&quote, &collateral, &policy, &Roots::hardware(), NOW));
    assert!(!verdict.is_accepted());
    let reason = "the policy names the simulation's root, which is not given here";
    assert_check(&verdict, CheckName::Quote, Outcome::Failed, reason);
}

#[test]
fn a_root_of_the_same_name_with_another_key_is_another_root() {
    let other = Simulation::new();
    let quote = SIMULATION.quote(&Enclave::default());
    let collateral = SIMULATION.collateral(&State::default());
    let policy = policy(&rules("simulation"));
    let roots = Roots::with_simulation(other.root());
    let verdict = verify(&request(&quote, &collateral, &policy, &roots, NOW));
    assert!(!verdict.is_accepted());
    for name in [CheckName::Quote, CheckName::Chain, CheckName::Revocation, CheckName::TcbInfo] {
        assert_eq!(verdict.check(name).result, Outcome::Failed, "{name}");
    }
    // The signatures of the quote itself are right.
    assert_eq!(verdict.check(CheckName::Signature).result, Outcome::Passed);
    // What leads nowhere is not compared with the policy.
    assert_eq!(verdict.check(CheckName::Measurement).result, Outcome::NotChecked);
}
