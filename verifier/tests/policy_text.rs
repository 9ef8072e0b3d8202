//! Policies as text: what they may say, and where their errors are.

mod common;

use common::Folder;
use common::simulation::Simulation;
use std::fs;
use std::path::Path;
use twine_evidence::statement::Kind;
use twine_verifier::{Hex, Policy, PolicyError, Root, TcbStatus};

const LEAST: &str = "root = 'intel'\n[enclave]\nany = true\n";

#[track_caller]
fn error(text: &str) -> String {
    Policy::from_toml(text).expect_err("this is not a policy").to_string()
}

#[test]
fn what_a_policy_leaves_out_has_the_documented_value() {
    let policy = Policy::from_toml(LEAST).unwrap();
    assert_eq!(policy.root, Root::Intel);
    assert!(policy.enclave.any && !policy.enclave.debug);
    assert!(policy.claims.required);
    assert_eq!(policy.launch, None);
    assert_eq!(policy.tcb.statuses, [TcbStatus::UpToDate, TcbStatus::SWHardeningNeeded]);
    assert_eq!(policy.tcb.accepted_advisories, None);
    assert_eq!((policy.collateral.most_days, policy.collateral.warning_days), (30, 7));
    let platform = policy.platform;
    assert!(platform.smt && platform.dynamic && platform.cached_keys);
}

#[test]
fn every_documented_key_is_read() {
    let hex = |digits: &str, bytes: usize| digits.repeat(bytes);
    let text = format!(
        "root = 'simulation'
         [enclave]
         measurements = ['{a}']
         signers = ['{b}']
         product-id = 1
         least-svn = 3
         debug = true
         [claims]
         required = false
         [launch]
         kind = 'deployment'
         launches = ['{c}']
         programs = ['{d}']
         owners = ['{d}']
         name = 'app'
         least-version = 3
         generation = 1
         manifests = ['{d}']
         writable-code = true
         [tcb]
         statuses = ['OutOfDate']
         refused-advisories = ['INTEL-SA-00001']
         accepted-advisories = ['INTEL-SA-00615']
         least-evaluation-number = 17
         [collateral]
         most-days = 8
         warning-days = 2
         [platform]
         ppid-hashes = ['{d}']
         instances = ['{e}']
         smt = false
         dynamic = false
         cached-keys = false",
        a = hex("0a", 32),
        b = hex("0B", 32),
        c = hex("0c", 32),
        d = hex("0d", 32),
        e = hex("0e", 16),
    );
    let policy = Policy::from_toml(&text).unwrap();
    assert_eq!(policy.root, Root::Simulation);
    let enclave = policy.enclave;
    assert_eq!((enclave.measurements, enclave.signers), (vec![Hex([10; 32])], vec![Hex([11; 32])]));
    assert_eq!((enclave.product_id, enclave.least_svn), (Some(1), Some(3)));
    assert!(enclave.debug && !policy.claims.required);
    let launch = policy.launch.unwrap();
    assert_eq!(launch.kind, Some(Kind::Deployment));
    assert_eq!(launch.launches, [Hex([12; 32])]);
    for hashes in [launch.programs, launch.owners, launch.manifests] {
        assert_eq!(hashes, [Hex([13; 32])]);
    }
    assert_eq!(launch.name.as_deref(), Some("app"));
    assert_eq!((launch.least_version, launch.generation), (Some(3), Some(1)));
    assert!(launch.writable_code);
    assert_eq!(policy.tcb.statuses, [TcbStatus::OutOfDate]);
    assert_eq!(policy.tcb.refused_advisories, ["INTEL-SA-00001"]);
    assert_eq!(policy.tcb.accepted_advisories.unwrap(), ["INTEL-SA-00615"]);
    assert_eq!(policy.tcb.least_evaluation_number, Some(17));
    assert_eq!((policy.collateral.most_days, policy.collateral.warning_days), (8, 2));
    let platform = policy.platform;
    assert_eq!(platform.ppid_hashes, [Hex([13; 32])]);
    assert_eq!(platform.instances, [Hex([14; 16])]);
    assert!(!platform.smt && !platform.dynamic && !platform.cached_keys);
}

#[test]
fn an_error_points_to_its_line_and_column() {
    assert_eq!(
        error("root = 'intel'\n[enclave]\nany = true\ndebgu = true\n"),
        "line 4, column 1: unknown field `debgu`, expected one of `measurements`, `signers`, \
         `product-id`, `least-svn`, `debug`, `any`"
    );
    assert_eq!(
        error("root = 'intel'\n[enclave]\nmeasurements = ['00']\n"),
        "line 3, column 16: expected 32 bytes in hexadecimal (64 digits)"
    );
    assert_eq!(
        error("root = 'intel'\n[enclave]\nany = true\n[tcb]\nstatuses = ['Revoked']\n"),
        "line 5, column 12: a platform that is `Revoked` can't be accepted"
    );
    assert!(
        error(&format!("{LEAST}[tcb]\nstatuses = ['Fine']\n")).starts_with("line 5, column 13: ")
    );
    assert!(error("root = 'intel'\n[enclave\n").starts_with("line 2, column 9: "));
    assert!(error("root = 1\n").starts_with("line 1, column 8: "));
    assert!(error("[enclave]\nany = true\n").ends_with("missing field `root`"));
}

#[test]
fn a_policy_names_an_enclave_or_says_that_any_will_do() {
    let reason = "line 2, column 1: name `measurements` or `signers`, or say `any = true`";
    assert_eq!(error("root = 'intel'\n[enclave]\nproduct-id = 1\n"), reason);
    let both = format!("{LEAST}signers = ['{}']\n", "00".repeat(32));
    let reason = "line 2, column 1: `any = true` contradicts `measurements` and `signers`";
    assert_eq!(error(&both), reason);
    assert!(error("root = 'intel'\n").ends_with("missing field `enclave`"));
}

#[test]
fn an_empty_list_of_which_one_must_be_there_is_refused() {
    for (table, key, column) in [
        ("enclave", "measurements", 16),
        ("enclave", "signers", 11),
        ("launch", "launches", 12),
        ("launch", "programs", 12),
        ("launch", "owners", 10),
        ("launch", "manifests", 13),
        ("platform", "ppid-hashes", 15),
        ("platform", "instances", 13),
    ] {
        let others = if table == "enclave" { "root = 'intel'\n\n\n" } else { LEAST };
        assert_eq!(
            error(&format!("{others}[{table}]\n{key} = []\n")),
            format!("line 5, column {column}: an empty list names nothing: leave the key out")
        );
    }
    // These two accept less if they are empty.
    let text = format!("{LEAST}[tcb]\nstatuses = []\naccepted-advisories = []\n");
    let tcb = Policy::from_toml(&text).unwrap().tcb;
    assert_eq!((tcb.statuses, tcb.accepted_advisories), (vec![], Some(vec![])));
}

#[test]
fn a_name_version_or_generation_without_an_owner_is_refused_since_everybody_can_sign_it() {
    let hash = "00".repeat(32);
    let reason = "line 4, column 1: everybody can sign a manifest with this name, version and \
                  generation: name `owners`, `manifests` or `launches`";
    for rule in ["name = 'app'", "least-version = 3", "generation = 1"] {
        assert_eq!(error(&format!("{LEAST}[launch]\n{rule}\n")), reason);
        let of_program = format!("{LEAST}[launch]\nprograms = ['{hash}']\n{rule}\n");
        assert_eq!(error(&of_program), reason);
        for key in ["owners", "manifests", "launches"] {
            let text = format!("{LEAST}[launch]\n{key} = ['{hash}']\n{rule}\n");
            assert!(Policy::from_toml(&text).is_ok(), "{text}");
        }
    }
}

#[test]
fn a_table_for_launches_that_names_none_is_refused() {
    let reason = "line 4, column 1: this table names no launch: name `launches`, `programs`, \
                  `owners` or `manifests`, or leave the table out";
    for rule in ["", "writable-code = false", "writable-code = true"] {
        assert_eq!(error(&format!("{LEAST}[launch]\n{rule}\n")), reason);
    }
}

#[test]
fn a_root_is_named_or_comes_as_pem_or_in_a_file_beside_the_policy() {
    let root = Simulation::new().root();
    let pem = common::pki::pem(&[&root.clone().into()]);
    let inline = LEAST.replace("'intel'", &format!("'''\n{pem}'''"));
    assert_eq!(Policy::from_toml(&inline).unwrap().root, Root::Certificate(root.clone()));

    let folder = Folder::new("root");
    let policy = folder.write("policy.toml", LEAST.replace("intel", "root.crt").as_bytes());
    for content in [&root[..], pem.as_bytes()] {
        folder.write("root.crt", content);
        assert_eq!(Policy::read(&policy).unwrap().root, Root::Certificate(root.clone()));
    }
    folder.write("root.crt", b"hello");
    let error = Policy::read(&policy).unwrap_err().to_string();
    assert!(error.starts_with("line 1, column 8: the root is not a certificate in PEM"), "{error}");
}

#[test]
fn a_root_in_a_file_needs_a_policy_in_a_file() {
    let reason = "line 1, column 8: a root in a file takes a policy in a file";
    assert_eq!(error(&LEAST.replace("intel", "root.crt")), reason);
    let missing = Policy::read(Path::new("/nowhere/policy.toml")).unwrap_err();
    assert!(matches!(missing, PolicyError::Read { .. }), "{missing}");
}

#[test]
fn files_that_never_end_are_refused() {
    let endless = Path::new("/dev/zero");
    assert!(matches!(Policy::read(endless), Err(PolicyError::TooLong { .. })));
    let folder = Folder::new("endless");
    let policy = folder.0.join("policy.toml");
    fs::write(&policy, "root = '/dev/zero'\n[enclave]\nany = true\n").unwrap();
    let error = Policy::read(&policy).unwrap_err();
    assert!(matches!(error, PolicyError::At { line: 1, .. }), "{error}");
}

#[test]
fn a_kind_of_launch_goes_with_what_such_launches_have() {
    let hash = "00".repeat(32);
    let refusal = |rules: &str| error(&format!("{LEAST}[launch]\n{rules}\n"));
    let reason = "line 4, column 1: an enclave that waits for deployments (`kind = \"host\"`) has \
                  neither a program nor a manifest";
    for rule in ["programs", "owners", "manifests"] {
        assert_eq!(refusal(&format!("kind = 'host'\n{rule} = ['{hash}']")), reason);
    }
    assert_eq!(refusal(&format!("kind = 'host'\nlaunches = ['{hash}']\nname = 'a'")), reason);
    assert_eq!(
        refusal(&format!("kind = 'local'\nowners = ['{hash}']")),
        "line 4, column 1: a local launch (`kind = \"local\"`) has no manifest"
    );
    // These kinds alone name nobody.
    for kind in ["local", "deployment", "guest"] {
        assert!(refusal(&format!("kind = '{kind}'")).contains("this table names no launch"));
    }
    assert!(refusal("kind = 'broker'").starts_with("line 5, column 8: unknown variant `broker`"));
    for rules in [format!("owners = ['{hash}']\nname = 'a'"), format!("programs = ['{hash}']")] {
        let text = format!("{LEAST}[launch]\nkind = 'guest'\n{rules}\n");
        assert_eq!(Policy::from_toml(&text).unwrap().launch.unwrap().kind, Some(Kind::Guest));
    }
    let policy = Policy::from_toml(&format!("{LEAST}[launch]\nkind = 'host'\n")).unwrap();
    assert_eq!(policy.launch.unwrap().kind, Some(Kind::Host));
}
