//! The policy by which an owner verifies an enclave that waits for deployments.

mod common;

use common::cbor::{bytes, map, pubkey};
use common::pki::{Key, sha256};
use common::simulation::{Enclave, NOW, Simulation, State};
use common::{assert_check, assert_fails, failed, request};
use std::sync::LazyLock;
use twine_evidence::access::Access;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::manifest::{AllowedImage, Demands, Handover, Manifest, Restart, VERSION};
use twine_evidence::platform::{self, Platform};
use twine_evidence::statement::{self, Compiler, Engine, Image, Program, Run, Statement, Subject};
use twine_evidence::terms::{Diagnostics, Limits, Stream, Streams, Terms};
use twine_verifier::{
    CheckName, Outcome, Policy, Request, Root, Roots, TcbStatus, Verdict, verify,
};

static SIMULATION: LazyLock<Simulation> = LazyLock::new(Simulation::new);
static KEY: LazyLock<Key> = LazyLock::new(Key::new);

const NONCE: &[u8] = b"sixteen bytes 16";

fn terms() -> Terms {
    let owner = Stream::Owner;
    Terms {
        program: Digest([0x44; 32]),
        arguments: vec!["app".into()],
        environment: vec![],
        secrets: vec![],
        export: None,
        streams: Streams { stdin: owner, stdout: owner, stderr: owner },
        mounts: vec![],
        sockets: Vec::new(),
        limits: Limits::default(),
        diagnostics: Diagnostics::default(),
    }
}

/// A manifest that allows the simulation's enclave.
fn manifest() -> Manifest {
    Manifest {
        format: VERSION,
        name: "app".into(),
        version: 1,
        generation: 1,
        owner: Bytes(KEY.info().to_vec()),
        terms: terms(),
        images: vec![
            AllowedImage { measurement: Some(Digest([0x99; 32])), ..AllowedImage::default() },
            AllowedImage { measurement: Some(Digest([0x11; 32])), ..AllowedImage::default() },
        ],
        demands: Demands::default(),
        access: Access::default(),
        restart: Restart::Never,
        platform: Platform { root: platform::Root::Simulation, ..Platform::default() },
        handover: Handover::default(),
    }
}

/// A manifest with only this image.
fn of_image(image: AllowedImage) -> Manifest {
    Manifest { images: vec![image], ..manifest() }
}

/// Verifies the evidence of an enclave that waits for deployments, for a connection.
fn judge(manifest: &Manifest) -> Verdict {
    judge_subject(manifest, Subject::Host)
}

/// See [`judge`], with an enclave that does something else.
fn judge_subject(manifest: &Manifest, subject: Subject) -> Verdict {
    let run = Run {
        nonce: Some(Bytes(NONCE.to_vec())),
        key: Some(Digest(sha256(KEY.info()))),
        channel: Some(Digest([0x77; 32])),
    };
    let image = Image { runtime: "0.1.0".into(), heap: 1 << 29, code: 1 << 26, guards: 48 << 30 };
    let statement = Statement { version: statement::VERSION, subject, image, run }.encode();
    let claims = map(&[pubkey(KEY.info()), ("nonce", bytes(NONCE)), ("twine", bytes(&statement))]);
    let collateral = SIMULATION.collateral(&State::default());
    let roots = Roots::with_simulation(SIMULATION.root());
    let policy = Policy::for_host(manifest);
    let evidence = SIMULATION.evidence(&claims);
    verify(&Request {
        nonce: Some(NONCE),
        public_key: Some(KEY.info()),
        channel: Some([0x77; 32]),
        ..request(&evidence, &collateral, &policy, &roots, NOW)
    })
}

#[test]
fn a_host_in_an_image_of_the_manifest_is_accepted() {
    let verdict = judge(&manifest());
    assert_eq!(failed(&verdict), []);
    assert!(verdict.is_accepted());
    for name in [CheckName::Nonce, CheckName::Channel, CheckName::Kind, CheckName::Measurement] {
        assert_eq!(verdict.check(name).result, Outcome::Passed, "{name}");
    }
}

#[test]
fn an_enclave_that_runs_a_program_is_no_host() {
    let engine = Engine { compiler: Compiler::Optimizing, guard_pages: true, writable_code: false };
    let streams = Streams { stdin: Stream::None, stdout: Stream::None, stderr: Stream::None };
    let program = Program { terms: Terms { streams, ..terms() }, engine };
    let verdict = judge_subject(&manifest(), Subject::Local(program));
    assert_eq!(failed(&verdict), [CheckName::Kind]);
}

#[test]
fn all_that_an_image_of_the_manifest_names_must_be_the_enclaves() {
    let default = Enclave::default();
    let signer = AllowedImage { signer: Some(Digest(default.signer)), ..AllowedImage::default() };
    let verdict = judge(&of_image(signer));
    let reason = format!(
        "it is {}, of whom every product and older version is accepted",
        Digest(default.signer)
    );
    assert_check(&verdict, CheckName::Signer, Outcome::Warning, &reason);
    let product = Some(default.product_id);
    let exact = AllowedImage { product, min_svn: Some(default.svn), ..signer };
    let verdict = judge(&of_image(exact));
    assert!(verdict.is_accepted());
    for name in [CheckName::Signer, CheckName::ProductId, CheckName::Svn] {
        assert_eq!(verdict.check(name).result, Outcome::Passed, "{name}");
    }
    let reason = format!(
        "no image of the manifest: MRENCLAVE {}, MRSIGNER {}, ISVPRODID {}, ISVSVN {}",
        "11".repeat(32),
        Digest(default.signer),
        default.product_id,
        default.svn
    );
    for wrong in [
        AllowedImage { min_svn: Some(default.svn + 1), ..exact },
        AllowedImage { product: Some(default.product_id + 1), ..exact },
        AllowedImage { measurement: Some(Digest([0x99; 32])), ..exact },
        AllowedImage { signer: Some(Digest([0x98; 32])), ..exact },
    ] {
        assert_fails(&judge(&of_image(wrong)), CheckName::Measurement, &reason);
    }
}

#[test]
fn a_platform_is_what_the_manifest_accepts() {
    let with = |platform| judge(&Manifest { platform, ..manifest() });
    let simulated = manifest().platform;
    // Of hardware alone, if the manifest does not say otherwise.
    let verdict = with(Platform::default());
    assert!(failed(&verdict).contains(&CheckName::Simulated) && !verdict.is_accepted());
    let pinned = Platform { ppid_hashes: vec![Digest([1; 32])], ..simulated.clone() };
    assert_eq!(failed(&with(pinned)), [CheckName::Platform]);
    let number = Platform { least_evaluation_number: Some(u32::MAX), ..simulated.clone() };
    assert_eq!(failed(&with(number)), [CheckName::EvaluationNumber]);
    let status = Platform { statuses: vec![platform::TcbStatus::OutOfDate], ..simulated };
    assert_eq!(failed(&with(status)), [CheckName::TcbStatus]);
}

#[test]
fn what_a_manifest_leaves_open_has_the_default_of_policies() {
    let text = "root = 'intel'\n[enclave]\nany = true\n";
    let written = Policy::from_toml(text).unwrap();
    let made = Policy::for_host(&Manifest { platform: Platform::default(), ..manifest() });
    assert_eq!(
        (&made.root, &made.claims, &made.tcb),
        (&written.root, &written.claims, &written.tcb)
    );
    assert_eq!((made.collateral, made.platform), (written.collateral, written.platform));
    let debug = Demands { allow_debug: true, allow_writable_code: true };
    let lenient = Policy::for_host(&Manifest { demands: debug, ..manifest() });
    assert!(lenient.enclave.debug && lenient.launch.unwrap().writable_code);
    assert_eq!(lenient.root, Root::Simulation);
}

#[test]
fn statuses_have_the_names_of_policies() {
    for status in platform::TcbStatus::ALL {
        let platform = Platform { statuses: vec![status], ..Platform::default() };
        let policy = Policy::for_host(&Manifest { platform, ..manifest() });
        assert_eq!(
            policy.tcb.statuses.iter().map(TcbStatus::to_string).collect::<Vec<_>>(),
            [status.to_string()]
        );
    }
}
