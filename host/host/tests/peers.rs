//! A program verifies evidence inside the real image, with hosts that give wrong collateral, quotes and
//! times. Whatever they do, nothing is accepted that is not what the policy names.

use sgx_sim_quoting::{QuotingEnclave, collateral};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};
use twine_host::{
    Attestation, Call, Image, Interposer, NoQuote, Platform, Report, Resources, run_interposed,
};
use twine_protocol::calls::number;
use twine_protocol::launch::{End, Launch, Stream, Streams};
use twine_protocol::wire::{Clock, Issuer, MAX_COLLATERAL, Status};

/// The exit code of the program that has refused the evidence.
const REFUSED: u32 = 3;

/// The time of this machine, in seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What a host makes of the results of a call.
type Answer = fn(&Call, (u64, u64)) -> (u64, u64);

/// A host with the simulated quoting enclave.
struct Host {
    quoting: QuotingEnclave,
    /// Collateral for an issuer.
    collateral: fn(Issuer) -> Option<Vec<u8>>,
}

impl Attestation for Host {
    fn quote(&self, report: &[u8]) -> Result<Vec<u8>, NoQuote> {
        self.quoting.quote(report.try_into().unwrap()).map_err(|_| NoQuote)
    }

    fn evidence(&self, _: &[u8]) -> std::io::Result<()> {
        unreachable!("the launch asks for none")
    }

    fn target(&self) -> Result<Vec<u8>, NoQuote> {
        Ok(self.quoting.target_info().to_vec())
    }

    fn collateral(&self, _: [u8; 6], issuer: Issuer) -> Option<Vec<u8>> {
        (self.collateral)(issuer)
    }
}

/// The part of the host that changes answers.
struct Changed(Answer);

impl Interposer for Changed {
    fn answer(&self, call: &Call, honest: (u64, u64)) -> (u64, u64) {
        (self.0)(call, honest)
    }
}

/// Runs the program that verifies its own evidence.
fn mirror(collateral: fn(Issuer) -> Option<Vec<u8>>, answer: Answer) -> Report {
    let target = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target"));
    let image =
        Image::open(target.join("release/twine.sgxs")).expect("`cargo xtask image` made it");
    let program = std::fs::read(target.join("guests/peer-rust.wasm"));
    let program = program.expect("`cargo xtask guests` made it");
    let machine = sgx_sim::Device::new().unwrap();
    let quoting = QuotingEnclave::new(&machine).unwrap();
    let launch = Launch {
        arguments: vec!["peer-rust".into(), "mirror".into()],
        environment: vec![("PEER_ROOT".into(), "simulation".into())],
        streams: Streams { stdin: Stream::None, stdout: Stream::None, stderr: Stream::None },
        ..Launch::default()
    };
    let attestation = Box::new(Host { quoting, collateral });
    let resources = Resources { attestation: Some(attestation), ..Resources::default() };
    let changed = Arc::new(Changed(answer));
    run_interposed(&image, Platform::Simulated, &launch, program, resources, changed).unwrap()
}

#[track_caller]
fn exits(report: &Report, wanted: u32) {
    assert!(
        matches!(report.outcome.end, End::Exited { code, .. } if code == wanted),
        "{:?}",
        report.outcome
    );
}

/// The simulation's collateral of now.
fn honest(issuer: Issuer) -> Option<Vec<u8>> {
    assert_eq!(issuer, Issuer::Simulation, "nobody else is asked");
    Some(collateral(now()).unwrap().into_bytes())
}

const AS_IT_IS: Answer = |_, honest| honest;

#[test]
fn with_an_honest_host_a_program_accepts_its_own_evidence() {
    exits(&mirror(honest, AS_IT_IS), 0);
}

#[test]
fn without_usable_collateral_there_is_no_verdict() {
    let half = |issuer| honest(issuer).map(|json| json[..json.len() / 2].to_vec());
    exits(&mirror(|_| None, AS_IT_IS), 1);
    exits(&mirror(half, AS_IT_IS), 1);
    exits(&mirror(|_| Some(b"[]".to_vec()), AS_IT_IS), 1);
    // JSON that is nested deeply does not exhaust the stack.
    exits(&mirror(|_| Some(vec![b'['; MAX_COLLATERAL as usize]), AS_IT_IS), 1);
    exits(&mirror(|_| Some(vec![b' '; MAX_COLLATERAL as usize + 1]), AS_IT_IS), 1);
    exits(
        &mirror(honest, |call, honest| match call.number {
            number::collateral => (call.elrange.start as u64 + 4096, 64),
            _ => honest,
        }),
        1,
    );
    exits(
        &mirror(honest, |call, honest| match call.number {
            number::collateral => (0, u64::MAX),
            _ => honest,
        }),
        1,
    );
}

#[test]
fn collateral_that_somebody_changed_is_refused() {
    static CHANGED: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let json = String::from_utf8(honest(Issuer::Simulation).unwrap()).unwrap();
        json.replace("OutOfDate", "UpToDate").into_bytes()
    });
    assert_ne!(Some(&*CHANGED), honest(Issuer::Simulation).as_ref());
    exits(&mirror(|_| Some(CHANGED.clone()), AS_IT_IS), REFUSED);
}

#[test]
fn collateral_that_is_out_of_date_by_the_hosts_clock_is_refused() {
    const DAY: u64 = 86_400;
    exits(&mirror(|_| Some(collateral(now() - 20 * DAY).unwrap().into()), AS_IT_IS), 0);
    exits(&mirror(|_| Some(collateral(now() - 40 * DAY).unwrap().into()), AS_IT_IS), REFUSED);
    exits(&mirror(|_| Some(collateral(now() + DAY).unwrap().into()), AS_IT_IS), REFUSED);
    // A clock that jumps to the year 2060, when certificates have run out, or before they began.
    for answer in [
        (|call: &Call, honest| match (call.number, call.arguments) {
            (number::clock_time, [clock, ..]) if clock == Clock::Realtime.code() => {
                (0, 2_840_140_800_000_000_000)
            }
            _ => honest,
        }) as Answer,
        |call, honest| match (call.number, call.arguments) {
            (number::clock_time, [clock, ..]) if clock == Clock::Realtime.code() => (0, 1),
            _ => honest,
        },
    ] {
        exits(&mirror(honest, answer), REFUSED);
    }
    // Without the time there is no verdict.
    let no_time: Answer = |call, honest| match (call.number, call.arguments) {
        (number::clock_time, [clock, ..]) if clock == Clock::Realtime.code() => {
            (Status::Io.code(), 0)
        }
        _ => honest,
    };
    exits(&mirror(honest, no_time), 1);
}

#[test]
fn a_quote_that_is_none_is_refused() {
    exits(
        &mirror(honest, |call, honest| match call.number {
            number::quote => (0, honest.1 - 1),
            _ => honest,
        }),
        REFUSED,
    );
    for refused in [number::quote, number::quoting_target] {
        let answer: Answer = match refused {
            number::quote => |call, honest| match call.number {
                number::quote => (Status::NotSupported.code(), 0),
                _ => honest,
            },
            _ => |call, honest| match call.number {
                number::quoting_target => (0, 511),
                _ => honest,
            },
        };
        exits(&mirror(honest, answer), 1);
    }
}
