//! The launch statement: that it belongs to the other claims, and is of a launch that the policy's
//! table `[launch]` accepts.

mod common;

use common::cbor::{bytes, evidence, map, pubkey};
use common::pki::{Key, sha256};
use common::simulation::{Enclave, NOW, Simulation, State};
use common::{assert_check, assert_fails, assert_passes, failed, policy, request};
use std::sync::LazyLock;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::statement::{
    self, Compiler, Deployment, Engine, Image, Program, Run, Statement, Subject,
};
use twine_evidence::terms::{Diagnostics, Limits, Stream, Streams, Terms};
use twine_verifier::{CheckName, Outcome, Request, Roots, Verdict, verify};

static SIMULATION: LazyLock<Simulation> = LazyLock::new(Simulation::new);
static KEY: LazyLock<Key> = LazyLock::new(Key::new);

/// A local launch, for [`KEY`] and the nonce `n`.
fn local() -> Statement {
    Statement {
        version: statement::VERSION,
        subject: Subject::Local(program(false)),
        image: Image { runtime: "0.1.0".into(), heap: 1 << 29, code: 1 << 26, guards: 48 << 30 },
        run: Run {
            nonce: Some(Bytes(b"n".to_vec())),
            key: Some(Digest(sha256(KEY.info()))),
            channel: None,
        },
    }
}

/// A program, whose code is writable while it runs or not.
fn program(writable_code: bool) -> Program {
    Program {
        terms: Terms {
            program: Digest([0x44; 32]),
            arguments: vec![Bytes(b"app".to_vec())],
            environment: vec![],
            secrets: vec![],
            export: None,
            streams: Streams { stdin: Stream::None, stdout: Stream::Host, stderr: Stream::Host },
            mounts: vec![],
            sockets: Vec::new(),
            limits: Limits::default(),
            diagnostics: Diagnostics::default(),
        },
        engine: Engine { compiler: Compiler::Optimizing, guard_pages: true, writable_code },
    }
}

/// A local launch whose code is writable while it runs.
fn writable() -> Statement {
    Statement { subject: Subject::Local(program(true)), ..local() }
}

/// An enclave that waits for deployments.
fn host() -> Statement {
    Statement { subject: Subject::Host, ..local() }
}

/// A launch by the manifest of a deployment with this name.
fn named(name: &str) -> Statement {
    let deployment = Deployment {
        owner: Digest([0x55; 32]),
        name: name.into(),
        version: 3,
        generation: 1,
        manifest: Digest([0x66; 32]),
    };
    Statement { subject: Subject::Deployment { program: program(false), deployment }, ..local() }
}

/// A launch by a manifest.
fn deployed() -> Statement {
    named("shop")
}

/// Verifies evidence under a policy for the simulation, with more rules.
fn judge_evidence(evidence: &[u8], rules: &str) -> Verdict {
    judge_channel(evidence, rules, None)
}

/// Verifies evidence for a connection.
fn judge_channel(evidence: &[u8], rules: &str, channel: Option<[u8; 32]>) -> Verdict {
    let collateral = SIMULATION.collateral(&State::default());
    let policy = policy(&format!("root = 'simulation'\n[enclave]\nany = true\n{rules}"));
    let roots = Roots::with_simulation(SIMULATION.root());
    verify(&Request { channel, ..request(evidence, &collateral, &policy, &roots, NOW) })
}

/// The claims with a claim `twine` of these bytes.
fn claims(statement: &[u8]) -> Vec<u8> {
    map(&[pubkey(KEY.info()), ("nonce", bytes(b"n")), ("twine", bytes(statement))])
}

/// Verifies evidence whose claim `twine` has these bytes.
fn judge_bytes(statement: &[u8], rules: &str) -> Verdict {
    judge_evidence(&SIMULATION.evidence(&claims(statement)), rules)
}

fn judge(statement: &Statement, rules: &str) -> Verdict {
    judge_bytes(&statement.encode(), &format!("[launch]\n{rules}"))
}

#[test]
fn launch_and_program_must_be_ones_that_the_policy_names() {
    let launch = local().launch().to_string();
    let verdict = judge(&local(), &format!("launches = ['{launch}']"));
    assert_passes(&verdict, CheckName::Launch, &format!("it is {launch}"));
    let other = "00".repeat(32);
    let verdict = judge(&local(), &format!("launches = ['{other}']"));
    let reason = format!("{launch} is not among those that the policy names");
    assert_fails(&verdict, CheckName::Launch, &reason);

    let program = "44".repeat(32);
    let verdict = judge(&local(), &format!("programs = ['{program}']"));
    assert_passes(&verdict, CheckName::Program, &format!("it is {program}"));
    let verdict = judge(&local(), &format!("programs = ['{other}']"));
    let reason = format!("{program} is not among those that the policy names");
    assert_fails(&verdict, CheckName::Program, &reason);
}

#[test]
fn a_manifest_must_be_of_the_owner_name_version_and_generation_that_the_policy_names() {
    let owner = "55".repeat(32);
    let owners = format!("owners = ['{owner}']");
    let reason = format!("\"shop\", version 3, of owner {owner}");
    for rule in [
        owners.clone(),
        format!("{owners}\nname = 'shop'"),
        format!("{owners}\nleast-version = 3"),
        format!("{owners}\ngeneration = 1"),
        format!("manifests = ['{}']", "66".repeat(32)),
    ] {
        assert_passes(&judge(&deployed(), &rule), CheckName::Manifest, &reason);
        let verdict = judge(&local(), &rule);
        let reason = "a local launch, without a manifest, and the policy demands one";
        assert_fails(&verdict, CheckName::Manifest, reason);
    }
    let zeros = "00".repeat(32);
    for (rule, reason) in [
        (
            format!("owners = ['{zeros}']"),
            format!("its owner is {owner}, whom the policy does not name"),
        ),
        (format!("{owners}\nname = 'bank'"), "it is of the deployment \"shop\"".to_owned()),
        (format!("{owners}\nleast-version = 4"), "its version is 3, too old".to_owned()),
        (format!("{owners}\ngeneration = 2"), "its generation is 1".to_owned()),
        (
            format!("manifests = ['{zeros}']"),
            format!("{} is not among those that the policy names", "66".repeat(32)),
        ),
    ] {
        assert_fails(&judge(&deployed(), &rule), CheckName::Manifest, &reason);
    }
}

#[test]
fn a_statement_with_a_name_that_no_deployment_can_have_is_refused() {
    let rule = format!("owners = ['{}']", "55".repeat(32));
    for name in ["a\u{1b}[2J\", version 9", "", "a b", "a/b", &"x".repeat(129)] {
        let verdict = judge(&named(name), &rule);
        let reason = "the statement can't be read: malformed CBOR: the deployment has no possible \
                      name";
        assert_fails(&verdict, CheckName::Statement, reason);
    }
}

#[test]
fn code_that_is_writable_while_it_runs_is_refused_unless_the_policy_accepts_it() {
    let rule = format!("programs = ['{}']", "44".repeat(32));
    let reason = "code is writable while it runs: no SGX2";
    assert_fails(&judge(&writable(), &rule), CheckName::Code, reason);
    let verdict = judge(&writable(), &format!("{rule}\nwritable-code = true"));
    assert!(verdict.is_accepted());
    assert_check(&verdict, CheckName::Code, Outcome::Warning, reason);
}

#[test]
fn a_policy_that_names_no_program_launch_or_owner_warns_that_any_program_is_accepted() {
    let verdict = judge_bytes(&local().encode(), "");
    assert!(verdict.is_accepted());
    let reason = "the policy has no table [launch]: any program in this image is accepted";
    assert_check(&verdict, CheckName::Program, Outcome::Warning, reason);
    let reason = "the policy has no table [launch]";
    assert_check(&verdict, CheckName::Launch, Outcome::NotChecked, reason);
    // An owner, a manifest and a launch decide which program it is.
    for (statement, rule) in [
        (local(), format!("launches = ['{}']", local().launch())),
        (deployed(), format!("owners = ['{}']", "55".repeat(32))),
        (deployed(), format!("manifests = ['{}']", "66".repeat(32))),
    ] {
        let verdict = judge(&statement, &rule);
        assert!(verdict.is_accepted());
        let reason = "the policy names none";
        assert_check(&verdict, CheckName::Program, Outcome::NotChecked, reason);
    }
    // Evidence of others says nothing of programs.
    let evidence = SIMULATION.evidence(&map(&[pubkey(KEY.info())]));
    let verdict = judge_evidence(&evidence, "");
    assert!(verdict.is_accepted());
    let reason = "the claims have no statement";
    for name in [CheckName::Statement, CheckName::Program, CheckName::Manifest, CheckName::Code] {
        assert_check(&verdict, name, Outcome::NotChecked, reason);
    }
}

#[test]
fn code_that_is_writable_while_it_runs_is_a_warning_without_rules_for_launches() {
    let verdict = judge_bytes(&local().encode(), "");
    let reason = "no page of code is writable while code runs";
    assert_check(&verdict, CheckName::Code, Outcome::Passed, reason);
    let verdict = judge_bytes(&writable().encode(), "");
    assert!(verdict.is_accepted());
    let reason = "code is writable while it runs: no SGX2";
    assert_check(&verdict, CheckName::Code, Outcome::Warning, reason);
}

#[test]
fn a_launch_on_the_terms_of_somebody_whom_the_policy_does_not_name_is_a_warning() {
    let programs = format!("[launch]\nprograms = ['{}']", "44".repeat(32));
    let other = format!("{programs}\nlaunches = ['{}']", "00".repeat(32));
    let local_reason = "a local launch: whoever started it chose its terms";
    let signed_reason = "the policy names no owner: whoever signed the manifest chose its terms";
    for (statement, reason) in [(local(), local_reason), (deployed(), signed_reason)] {
        for rules in ["", &programs, &other] {
            let verdict = judge_bytes(&statement.encode(), rules);
            assert_eq!(verdict.is_accepted(), rules != other);
            assert_check(&verdict, CheckName::Manifest, Outcome::Warning, reason);
        }
        let verdict = judge(&statement, &format!("launches = ['{}']", statement.launch()));
        assert!(verdict.is_accepted());
        let reason = "the policy names the launch, with its terms";
        assert_check(&verdict, CheckName::Manifest, Outcome::NotChecked, reason);
    }
}

#[test]
fn a_statement_for_another_nonce_or_key_than_the_claims_is_refused_under_any_policy() {
    let with = |nonce: Option<&[u8]>, key: Option<Digest>| {
        let nonce = nonce.map(|nonce| Bytes(nonce.to_vec()));
        let run = Run { nonce, key, channel: None };
        judge_bytes(&Statement { run, ..local() }.encode(), "")
    };
    let own = Some(Digest(sha256(KEY.info())));
    assert!(with(Some(b"n"), own).is_accepted());
    let reason = "the nonce of the statement is not that of the claims";
    assert_fails(&with(Some(b"m"), own), CheckName::Statement, reason);
    assert_fails(&with(None, own), CheckName::Statement, reason);
    let reason = "the key of the statement is not that of the claims";
    assert_fails(&with(Some(b"n"), Some(Digest([0; 32]))), CheckName::Statement, reason);
    assert_fails(&with(Some(b"n"), None), CheckName::Statement, reason);
}

/// The checks of what claims say.
const OF_CLAIMS: [CheckName; 9] = [
    CheckName::PubkeyHash,
    CheckName::Nonce,
    CheckName::Statement,
    CheckName::Channel,
    CheckName::Kind,
    CheckName::Launch,
    CheckName::Program,
    CheckName::Manifest,
    CheckName::Code,
];

/// Asserts that nothing is said about claims that may be made up.
#[track_caller]
fn assert_claims_are_not_looked_at(verdict: &Verdict, reason: &str) {
    for name in OF_CLAIMS {
        assert_check(verdict, name, Outcome::NotChecked, reason);
    }
    let facts = verdict.facts().unwrap();
    assert_eq!((&facts.claims, &facts.launch), (&None, &None));
    assert!(!verdict.is_accepted());
}

#[test]
fn claims_that_the_report_does_not_vouch_for_are_not_looked_at() {
    let owner = format!("[launch]\nowners = ['{}']", "55".repeat(32));
    let bound = claims(&local().encode());
    let quote = SIMULATION.quote(&Enclave::with_claims(&bound));
    let verdict = judge_evidence(&evidence(&quote, &claims(&deployed().encode())), &owner);
    assert_eq!(failed(&verdict), [CheckName::ReportData]);
    assert_claims_are_not_looked_at(&verdict, "the report does not vouch for the claims");
    // The claims that it does vouch for are looked at.
    let verdict = judge_evidence(&evidence(&quote, &bound), &owner);
    assert_eq!(failed(&verdict), [CheckName::Manifest]);
    let facts = verdict.facts().unwrap();
    assert_eq!(facts.launch.as_ref().unwrap().statement, local());
    assert_eq!(facts.claims.as_ref().unwrap().nonce.as_ref().unwrap().0, b"n");
}

#[test]
fn claims_of_a_quote_that_is_not_genuine_are_not_looked_at() {
    let bound = claims(&deployed().encode());
    let mut quote = SIMULATION.quote(&Enclave::with_claims(&bound));
    // The first byte of MRENCLAVE: the header has 48 bytes, and 64 of the report come before it.
    quote[48 + 64] ^= 1;
    let verdict = judge_evidence(&evidence(&quote, &bound), "");
    assert_eq!(failed(&verdict), [CheckName::Quote, CheckName::Signature]);
    let reason = "the quote is not genuine, so the claims may be made up";
    assert_claims_are_not_looked_at(&verdict, reason);
}

#[test]
fn a_statement_that_ends_early_or_goes_on_is_refused_at_every_length() {
    let whole = deployed().encode();
    for length in 0..whole.len() {
        let verdict = judge_bytes(&whole[..length], "");
        assert_eq!(failed(&verdict), [CheckName::Statement], "{length}");
    }
    let verdict = judge_bytes(&[&whole[..], &[0]].concat(), "");
    assert_eq!(failed(&verdict), [CheckName::Statement]);
}

#[test]
fn a_policy_with_launch_rules_refuses_evidence_without_a_statement() {
    let evidence = SIMULATION.evidence(&map(&[pubkey(KEY.info())]));
    let verdict =
        judge_evidence(&evidence, &format!("[launch]\nprograms = ['{}']", "44".repeat(32)));
    assert_fails(&verdict, CheckName::Statement, "the claims have no statement");
}

#[test]
fn an_enclave_that_waits_for_deployments_has_no_program() {
    let reason = "no program: it is an enclave that waits for deployments";
    for rules in ["", "[launch]\nkind = 'host'"] {
        let verdict = judge_bytes(&host().encode(), rules);
        assert!(verdict.is_accepted());
        for name in [CheckName::Program, CheckName::Manifest, CheckName::Code] {
            assert_check(&verdict, name, Outcome::NotChecked, reason);
        }
    }
    let programs = format!("programs = ['{}']", "44".repeat(32));
    assert_fails(&judge(&host(), &programs), CheckName::Program, reason);
    let owners = format!("owners = ['{}']", "55".repeat(32));
    assert_fails(&judge(&host(), &owners), CheckName::Manifest, reason);
    let launches = format!("launches = ['{}']", host().launch());
    assert!(judge(&host(), &launches).is_accepted());
}

#[test]
fn a_statement_is_of_the_kind_that_the_policy_names() {
    let descriptions = [
        ("local", "a local launch, on the terms of whoever started it", local()),
        ("deployment", "a launch on the terms of a signed manifest", deployed()),
        ("host", "an enclave that waits for deployments", host()),
    ];
    for (kind, is, statement) in &descriptions {
        let launches = format!("launches = ['{}']", statement.launch());
        let verdict = judge(statement, &launches);
        assert_check(&verdict, CheckName::Kind, Outcome::NotChecked, &format!("it is {is}"));
        for (wanted, other, _) in &descriptions {
            let verdict = judge(statement, &format!("{launches}\nkind = '{wanted}'"));
            if kind == wanted {
                assert_passes(&verdict, CheckName::Kind, &format!("it is {is}"));
            } else {
                assert_fails(&verdict, CheckName::Kind, &format!("it is {is}, not {other}"));
            }
        }
    }
}

#[test]
fn evidence_for_another_connection_is_refused() {
    let evidence = |channel: Option<[u8; 32]>| {
        let run = Run { channel: channel.map(Digest), ..host().run };
        SIMULATION.evidence(&claims(&Statement { run, ..host() }.encode()))
    };
    let (one, other) = (Some([1; 32]), Some([2; 32]));
    let judge = |found, wanted| judge_channel(&evidence(found), "", wanted);
    let reason = "the evidence is bound to this connection";
    assert_passes(&judge(one, one), CheckName::Channel, reason);
    let reason = "the evidence is bound to another connection";
    assert_fails(&judge(one, other), CheckName::Channel, reason);
    let reason = "the evidence is bound to no connection";
    assert_fails(&judge(None, one), CheckName::Channel, reason);
    let verdict = judge(None, None);
    assert!(verdict.is_accepted());
    assert_check(&verdict, CheckName::Channel, Outcome::NotChecked, reason);
    let verdict = judge(one, None);
    assert!(verdict.is_accepted());
    let reason = "the evidence is bound to a connection that is not known here";
    assert_check(&verdict, CheckName::Channel, Outcome::Warning, reason);
}

#[test]
fn evidence_without_a_usable_statement_is_refused_where_a_connection_is_given() {
    let reason = "the evidence is bound to no connection";
    let without = SIMULATION.evidence(&map(&[pubkey(KEY.info())]));
    assert_fails(&judge_channel(&without, "", Some([1; 32])), CheckName::Channel, reason);
    // Quotes alone have no claims to be bound by.
    let quote = SIMULATION.quote(&Enclave::default());
    let verdict = judge_channel(&quote, "[claims]\nrequired = false", Some([1; 32]));
    assert_fails(&verdict, CheckName::Channel, reason);
}

#[test]
fn a_statement_in_json_has_its_kind_beside_the_parts_of_this_kind() {
    let keys = |statement: &Statement| {
        let json = serde_json::to_value(statement).unwrap();
        let mut keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        keys.sort_unstable();
        (json["kind"].as_str().unwrap().to_owned(), keys.join(" "))
    };
    let (local, deployed, host) = (keys(&local()), keys(&deployed()), keys(&host()));
    assert_eq!(local, ("local".into(), "engine image kind run terms version".into()));
    let parts = "deployment engine image kind run terms version";
    assert_eq!(deployed, ("deployment".into(), parts.into()));
    assert_eq!(host, ("host".into(), "image kind run version".into()));
}
