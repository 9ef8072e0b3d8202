//! Evidence from the real image, with hosts that quote and hosts that do not.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use twine_evidence::bytes::{Digest, to_hex};
use twine_evidence::claims::report_data;
use twine_evidence::statement::{Kind, Statement};
use twine_host::{
    Attestation, Call, Image, Interposer, NoQuote, Platform, Report, Resources, run_interposed,
};
use twine_protocol::calls::number;
use twine_protocol::launch::{End, EvidenceRequest, Launch, Stream, Streams};
use twine_protocol::wire::{Issuer, MAX_QUOTE, Status};

/// Writes "x" to standard output and exits with 7.
const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\01\00\00\00")
    (data (i32.const 16) "x")
    (func (export "_start")
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
        (call $exit (i32.const 7))))"#;

/// The quote of these tests' host. What verifies quotes is tested elsewhere.
const QUOTE: &[u8] = b"a quote of these tests";

/// Changes the results of a call.
type Answer = fn(&Call, (u64, u64)) -> (u64, u64);

/// What a host saw.
#[derive(Default)]
struct Seen {
    report: Vec<u8>,
    evidence: Vec<u8>,
    /// The numbers of the host calls, in their order.
    calls: Vec<u64>,
}

/// A host that quotes, and changes the results of some calls.
struct Host {
    seen: Arc<Mutex<Seen>>,
    answer: Answer,
}

impl Attestation for Host {
    fn quote(&self, report: &[u8]) -> Result<Vec<u8>, NoQuote> {
        self.seen.lock().unwrap().report = report.to_vec();
        Ok(QUOTE.to_vec())
    }

    fn evidence(&self, evidence: &[u8]) -> std::io::Result<()> {
        self.seen.lock().unwrap().evidence = evidence.to_vec();
        Ok(())
    }

    fn target(&self) -> Result<Vec<u8>, NoQuote> {
        Err(NoQuote)
    }

    fn collateral(&self, _: [u8; 6], _: Issuer) -> Option<Vec<u8>> {
        None
    }
}

impl Interposer for Host {
    fn answer(&self, call: &Call, honest: (u64, u64)) -> (u64, u64) {
        self.seen.lock().unwrap().calls.push(call.number);
        (self.answer)(call, honest)
    }
}

fn image(name: &str) -> Image {
    let release = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release");
    Image::open(PathBuf::from(release).join(name)).expect("`cargo xtask image` has built it")
}

fn launch() -> Launch {
    Launch {
        arguments: vec!["program".into()],
        environment: vec![("OPEN".into(), "1".into()), ("TOKEN".into(), "secret".into())],
        secrets: vec!["TOKEN".into()],
        streams: Streams { stdin: Stream::None, stdout: Stream::Host, stderr: Stream::None },
        evidence: Some(EvidenceRequest {
            target: vec![0; 512],
            nonce: Some(vec![9; 16]),
            ..EvidenceRequest::default()
        }),
        ..Launch::default()
    }
}

fn run(launch: &Launch, attests: bool, answer: Answer) -> (Report, Seen) {
    run_in("twine.sgxs", launch, attests, answer)
}

fn run_in(image_name: &str, launch: &Launch, attests: bool, answer: Answer) -> (Report, Seen) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let attestation: Option<Box<dyn Attestation>> =
        attests.then(|| Box::new(Host { seen: seen.clone(), answer }) as _);
    let resources = Resources { attestation, ..Resources::default() };
    let program = wat::parse_str(PROGRAM).unwrap();
    let host = Arc::new(Host { seen: seen.clone(), answer });
    let report =
        run_interposed(&image(image_name), Platform::Throwaway, launch, program, resources, host)
            .unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (report, seen)
}

/// Reads the launch statement out of evidence.
fn statement(seen: &Seen) -> Statement {
    let mut evidence = minicbor::Decoder::new(&seen.evidence);
    evidence.tag().unwrap();
    evidence.array().unwrap();
    evidence.bytes().unwrap();
    let mut claims = minicbor::Decoder::new(evidence.bytes().unwrap());
    assert_eq!(claims.map().unwrap(), Some(3));
    assert_eq!((claims.str().unwrap(), claims.bytes().unwrap()), ("nonce", &[9; 16][..]));
    assert_eq!(claims.str().unwrap(), "twine");
    Statement::decode(claims.bytes().unwrap()).unwrap()
}

#[test]
fn the_statement_tells_where_pages_are_writable_and_executable_at_once() {
    for (image, writable) in [("twine.sgxs", false), ("twine-sgx1.sgxs", true)] {
        let (_, seen) = run_in(image, &launch(), true, |_, honest| honest);
        let statement = statement(&seen);
        let program = statement.subject.program().unwrap();
        assert_eq!(program.engine.writable_code, writable, "{image}");
    }
}

#[test]
fn the_report_vouches_for_the_claims_and_these_for_the_launch() {
    let (report, seen) = run(&launch(), true, |_, honest| honest);
    assert!(matches!(report.outcome.end, End::Exited { code: 7, .. }), "{report:?}");
    let mut evidence = minicbor::Decoder::new(&seen.evidence);
    assert_eq!(evidence.tag().unwrap().as_u64(), 60000);
    assert_eq!(evidence.array().unwrap(), Some(2));
    assert_eq!(evidence.bytes().unwrap(), QUOTE);
    let claims = evidence.bytes().unwrap();
    // REPORTDATA is at offset 320 of a REPORT, MRENCLAVE at 64 (SDM Vol. 3D, table 37-17).
    assert_eq!(seen.report.len(), 432);
    assert_eq!(seen.report[320..384], report_data(claims));
    let measured =
        twine_image::inspect_file(image("twine.sgxs").path()).unwrap().mrenclave.to_string();
    assert_eq!(to_hex(&seen.report[64..96]), measured);

    let statement = statement(&seen);
    assert_eq!(statement.subject.kind(), Kind::Local);
    let terms = &statement.subject.program().unwrap().terms;
    assert_eq!(terms.program, Digest::of(&wat::parse_str(PROGRAM).unwrap()));
    assert_eq!(terms.environment.len(), 1);
    assert_eq!(terms.secrets, ["TOKEN".into()]);
    assert_eq!(statement.run.nonce.as_ref().unwrap().0, [9; 16]);
    assert!(!terms.diagnostics.backtraces);
}

#[test]
fn evidence_leaves_before_anything_of_the_program_does() {
    let (_, seen) = run(&launch(), true, |_, honest| honest);
    let first = |number| seen.calls.iter().position(|call| *call == number).unwrap();
    assert!(first(number::quote) < first(number::evidence));
    assert!(first(number::evidence) < first(number::stream_write));
}

#[test]
fn a_host_that_does_not_quote_starts_nothing() {
    let hosts: [(bool, Answer); 6] = [
        (false, |_, honest| honest),
        (true, |call, honest| match call.number {
            number::quote => (Status::NotSupported.code(), 0),
            _ => honest,
        }),
        (true, |call, honest| match call.number {
            number::quote => (0, MAX_QUOTE + 1),
            _ => honest,
        }),
        (true, |call, honest| match call.number {
            number::quote => (0, u64::MAX),
            _ => honest,
        }),
        (true, |call, honest| match call.number {
            number::quote => (u64::MAX, 7),
            _ => honest,
        }),
        (true, |call, honest| match call.number {
            number::evidence => (Status::Io.code(), 0),
            _ => honest,
        }),
    ];
    for (at, (attests, answer)) in hosts.into_iter().enumerate() {
        let (report, seen) = run(&launch(), attests, answer);
        let End::Refused { cause, .. } = report.outcome.end else {
            panic!("host {at}: {report:?}");
        };
        assert!(cause.starts_with("no evidence was made: the host refused"), "host {at}: {cause}");
        assert!(!seen.calls.contains(&number::stream_write), "host {at}");
    }
}

#[test]
fn requests_that_are_not_valid_start_nothing() {
    let changes: [fn(&mut EvidenceRequest); 5] = [
        |request| request.target.clear(),
        |request| request.target.push(0),
        |request| request.nonce = Some(Vec::new()),
        |request| request.nonce = Some(vec![0; 65]),
        |request| request.nonce = Some(vec![0; 1 << 20]),
    ];
    for change in changes {
        let mut launch = launch();
        change(launch.evidence.as_mut().unwrap());
        let (report, seen) = run(&launch, true, |_, honest| honest);
        assert!(matches!(report.outcome.end, End::Refused { .. }), "{report:?}");
        assert!(!seen.calls.contains(&number::quote));
        assert!(!seen.calls.contains(&number::stream_write));
    }
}

#[test]
fn secrets_have_one_value_each() {
    for (secrets, environment) in [
        (vec!["TOKEN"], vec![]),
        (vec!["TOKEN", "TOKEN"], vec![("TOKEN", "1")]),
        (vec!["TOKEN"], vec![("TOKEN", "1"), ("TOKEN", "2")]),
    ] {
        let launch = Launch {
            secrets: secrets.into_iter().map(Into::into).collect(),
            environment: environment.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
            ..launch()
        };
        let (report, _) = run(&launch, true, |_, honest| honest);
        let End::Refused { cause, .. } = report.outcome.end else { panic!("{report:?}") };
        assert_eq!(cause, "the secret TOKEN has no value, or several");
    }
}

#[test]
fn streams_that_lead_nowhere_never_reach_the_host() {
    let streams = Streams { stdin: Stream::None, stdout: Stream::None, stderr: Stream::None };
    let launch = Launch { streams, evidence: None, ..launch() };
    let (report, seen) = run(&launch, false, |_, honest| honest);
    assert!(matches!(report.outcome.end, End::Exited { code: 7, .. }), "{report:?}");
    for call in [number::stream_write, number::stream_read, number::stream_kind] {
        assert!(!seen.calls.contains(&call));
    }
}
