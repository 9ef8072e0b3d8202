//! What programs say of themselves: it is taken for nothing else, and nothing else is taken for it.

mod common;

use common::cbor::{bytes, key_hash, map, pubkey};
use common::pki::{Key, sha256};
use common::simulation::{Enclave, NOW, Simulation, State};
use common::{assert_check, assert_passes, policy, request};
use std::sync::LazyLock;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::claims::{Claims, no_key};
use twine_evidence::examples::statements;
use twine_evidence::statement::{Kind, Run, Said, Statement, Subject};
use twine_verifier::{CheckName, Outcome, Request, Roots, Verdict, verify};

static SIMULATION: LazyLock<Simulation> = LazyLock::new(Simulation::new);
static KEY: LazyLock<Key> = LazyLock::new(Key::new);

const NONCE: &[u8] = b"a nonce of 25 bytes, once";
const DATA: &[u8] = b"my key is ...";

/// The example's statement of a kind.
fn example(kind: Kind) -> Statement {
    statements().into_iter().find(|statement| statement.subject.kind() == kind).unwrap()
}

/// What the example's program says, under the manifest or in a local run.
fn guest(is_deployed: bool, nonce: Option<&[u8]>, data: &[u8]) -> Statement {
    let is_it = |statement: &Statement| {
        statement.subject.kind() == Kind::Guest
            && statement.subject.deployment().is_some() == is_deployed
    };
    let mut statement = statements().into_iter().find(is_it).unwrap();
    let Subject::Guest { said, .. } = &mut statement.subject else { unreachable!() };
    *said = Said { nonce: nonce.map(Bytes::from), data: data.into() };
    statement
}

/// The claims of what a program says, as the enclave makes them.
fn claims(statement: &Statement) -> Vec<u8> {
    Claims { key: no_key(), nonce: None, statement: statement.encode() }.encode()
}

/// Rules that accept the example's program.
fn rules(kind: &str) -> String {
    let kind = if kind.is_empty() { String::new() } else { format!("kind = '{kind}'\n") };
    format!("[launch]\n{kind}programs = ['{}']\nwritable-code = true\n", "11".repeat(32))
}

/// What is expected of evidence.
#[derive(Default, Clone, Copy)]
struct Expected<'a> {
    nonce: Option<&'a [u8]>,
    data: Option<&'a [u8]>,
    public_key: Option<&'a [u8]>,
    channel: Option<[u8; 32]>,
}

const ALL: Expected<'_> =
    Expected { nonce: Some(NONCE), data: Some(DATA), public_key: None, channel: None };

fn judge_claims(claims: &[u8], rules: &str, expected: Expected<'_>) -> Verdict {
    let evidence = SIMULATION.evidence(claims);
    let collateral = SIMULATION.collateral(&State::default());
    let policy = policy(&format!("root = 'simulation'\n[enclave]\nany = true\n{rules}"));
    let roots = Roots::with_simulation(SIMULATION.root());
    let Expected { nonce, data, public_key, channel } = expected;
    let request = request(&evidence, &collateral, &policy, &roots, NOW);
    verify(&Request { nonce, data, public_key, channel, ..request })
}

fn judge(statement: &Statement, rules: &str, expected: Expected<'_>) -> Verdict {
    judge_claims(&claims(statement), rules, expected)
}

/// Asserts that evidence is refused, for this reason or also for others.
#[track_caller]
fn assert_refuses(verdict: &Verdict, name: CheckName, reason: &str) {
    assert!(!verdict.is_accepted());
    assert_check(verdict, name, Outcome::Failed, reason);
}

#[test]
fn a_program_that_says_what_was_expected_to_this_nonce_is_accepted() {
    for is_deployed in [false, true] {
        let verdict = judge(&guest(is_deployed, Some(NONCE), DATA), &rules("guest"), ALL);
        assert!(verdict.is_accepted(), "{:?}", verdict.failed().collect::<Vec<_>>());
        assert_passes(&verdict, CheckName::Kind, "it is what a program says of itself");
        let reason = "the nonce is the one that was asked for";
        assert_passes(&verdict, CheckName::Nonce, reason);
        assert_passes(&verdict, CheckName::Data, "the program says what was expected");
        let reason = "it is of no key, as a program's evidence has it";
        assert_passes(&verdict, CheckName::PubkeyHash, reason);
        let launch = &verdict.facts().unwrap().launch.as_ref().unwrap();
        let of = if is_deployed { Kind::Deployment } else { Kind::Local };
        assert_eq!(launch.hash.to_string(), example(of).launch().to_string());
    }
}

#[test]
fn an_owner_name_and_launch_are_compared_as_those_of_the_launch() {
    let deployed = guest(true, Some(NONCE), DATA);
    let deployment = deployed.subject.deployment().unwrap();
    let (owner, launch) = (deployment.owner, deployed.launch());
    let rules = |owner: &str, name: &str| {
        format!(
            "[launch]\nkind = 'guest'\nowners = ['{owner}']\nname = '{name}'\n\
             launches = ['{launch}']\nwritable-code = true\n"
        )
    };
    assert!(judge(&deployed, &rules(&owner.to_string(), "example"), ALL).is_accepted());
    let verdict = judge(&deployed, &rules(&owner.to_string(), "other"), ALL);
    assert_refuses(&verdict, CheckName::Manifest, "it is of the deployment \"example\"");
    let verdict =
        judge(&guest(false, Some(NONCE), DATA), &rules(&owner.to_string(), "example"), ALL);
    let reason = "a local launch, without a manifest, and the policy demands one";
    assert_refuses(&verdict, CheckName::Manifest, reason);
}

#[test]
fn another_nonce_and_other_data_are_refused() {
    let statement = guest(true, Some(NONCE), DATA);
    let other = Expected { nonce: Some(b"another nonce"), ..ALL };
    let reason = "the nonce is another than the one that was asked for";
    assert_refuses(&judge(&statement, &rules("guest"), other), CheckName::Nonce, reason);
    let none = judge(&guest(true, None, DATA), &rules("guest"), ALL);
    assert_refuses(&none, CheckName::Nonce, "the claims have no nonce");
    for data in [&b""[..], b"my key is ..", b"my key is ...."] {
        let expected = Expected { data: Some(data), ..ALL };
        let verdict = judge(&statement, &rules("guest"), expected);
        assert_refuses(&verdict, CheckName::Data, "the program says something else");
    }
    // What nobody compares, a warning says.
    let verdict = judge(&statement, &rules("guest"), Expected { data: None, ..ALL });
    assert!(verdict.is_accepted());
    let reason = "what the program says was compared with nothing";
    assert_check(&verdict, CheckName::Data, Outcome::Warning, reason);
}

#[test]
fn what_a_program_says_passes_for_nothing_else() {
    let statement = guest(true, Some(NONCE), DATA);
    let reason =
        "it is what a program says of itself, and the policy does not say `kind = \"guest\"`";
    for rules in [String::new(), rules("")] {
        assert_refuses(&judge(&statement, &rules, ALL), CheckName::Kind, reason);
    }
    for (kind, is) in [
        ("local", "a local launch, on the terms of whoever started it"),
        ("deployment", "a launch on the terms of a signed manifest"),
    ] {
        let reason = format!("it is what a program says of itself, not {is}");
        assert_refuses(&judge(&statement, &rules(kind), ALL), CheckName::Kind, &reason);
    }
    let verdict = judge(&statement, "[launch]\nkind = 'host'\n", ALL);
    let reason = "it is what a program says of itself, not an enclave that waits for deployments";
    assert_refuses(&verdict, CheckName::Kind, reason);
    // It is for no key, and for no connection, whatever the program says.
    let key = Expected { public_key: Some(KEY.info()), ..ALL };
    for data in [&sha256(KEY.info())[..], KEY.info()] {
        let statement = guest(true, Some(NONCE), data);
        let verdict = judge(&statement, &rules("guest"), Expected { data: Some(data), ..key });
        assert_refuses(&verdict, CheckName::PubkeyHash, "it is not that of the key that was given");
    }
    let channel = Expected { channel: Some([1; 32]), ..ALL };
    let verdict = judge(&guest(true, Some(NONCE), &[1; 32]), &rules("guest"), channel);
    assert_refuses(&verdict, CheckName::Channel, "the evidence is bound to no connection");
}

#[test]
fn nothing_else_passes_for_what_a_program_says() {
    for (kind, is) in [
        (Kind::Local, "a local launch, on the terms of whoever started it"),
        (Kind::Deployment, "a launch on the terms of a signed manifest"),
        (Kind::Host, "an enclave that waits for deployments"),
    ] {
        let key = Some(Digest(sha256(KEY.info())));
        let run = Run { nonce: Some(NONCE.into()), key, channel: None };
        let statement = Statement { run, ..example(kind) };
        let claims = Claims {
            key: Digest(sha256(KEY.info())),
            nonce: Some(NONCE.to_vec()),
            statement: statement.encode(),
        };
        let verdict = judge_claims(&claims.encode(), &rules("guest"), ALL);
        let reason = format!("it is {is}, not what a program says of itself");
        assert_refuses(&verdict, CheckName::Kind, &reason);
        assert_refuses(&verdict, CheckName::Data, "no program says anything in it");
    }
    // Evidence of another project has no statement, and no program says anything in it.
    let foreign = map(&[pubkey(KEY.info()), ("nonce", bytes(NONCE))]);
    let verdict = judge_claims(&foreign, &rules("guest"), ALL);
    assert_refuses(&verdict, CheckName::Statement, "the claims have no statement");
    assert_refuses(&verdict, CheckName::Data, "no program says anything in it");
    // Neither has a quote alone.
    let collateral = SIMULATION.collateral(&State::default());
    let policy = policy("root = 'simulation'\n[enclave]\nany = true\n[claims]\nrequired = false\n");
    let roots = Roots::with_simulation(SIMULATION.root());
    let quote = SIMULATION.quote(&Enclave::default());
    let request = request(&quote, &collateral, &policy, &roots, NOW);
    let verdict = verify(&Request { data: Some(DATA), ..request });
    assert_refuses(&verdict, CheckName::Data, "a quote alone has no claims");
}

#[test]
fn claims_that_name_a_key_or_a_nonce_do_not_go_with_what_a_program_says() {
    let statement = guest(true, Some(NONCE), DATA).encode();
    let of_no_key = || ("pubkey-hash", key_hash(1, &no_key().0));
    let twine = || ("twine", bytes(&statement));
    let with_nonce = map(&[of_no_key(), ("nonce", bytes(NONCE)), twine()]);
    let verdict = judge_claims(&with_nonce, &rules("guest"), ALL);
    let reason = "the nonce of the statement is not that of the claims";
    assert_refuses(&verdict, CheckName::Statement, reason);
    for claims in [map(&[pubkey(KEY.info()), twine()]), map(&[twine()])] {
        let verdict = judge_claims(&claims, &rules("guest"), ALL);
        let reason = "the key of the statement is not that of the claims";
        assert_refuses(&verdict, CheckName::Statement, reason);
    }
    assert!(judge_claims(&map(&[of_no_key(), twine()]), &rules("guest"), ALL).is_accepted());
}
