//! The path through AESM, against a daemon that speaks its protocol.

#[path = "../../../sgx-sim/tests/common/mod.rs"]
mod common;
mod daemon;

use common::{Enclave, Entry, Spec, device};
use daemon::{
    Daemon, Fault, Field, INIT_QUOTE, KEY_COUNT, KEYS, QUOTE, QUOTE_SIZE, answer, framed, key,
};
use sgx_sim_quoting::QuotingEnclave;
use std::os::unix::net::UnixListener;
use std::path::Path;
use twine_quoting::{Error, Platform, Quoting};

const EREPORT: u32 = 0;

fn ereport(enclave: &Enclave, target: &[u8; 512]) -> [u8; 432] {
    let data = enclave.data(0);
    enclave.poke(data, *target);
    enclave.poke(data + 512, [7u8; 64]);
    enclave.leaf(EREPORT, data, data + 512, data + 1024).unwrap();
    enclave.peek(data + 1024)
}

/// Starts a daemon on this test's machine. Its second key is for ECDSA on P-256.
fn start(fault: Fault) -> Daemon {
    let enclave = QuotingEnclave::new(&device()).unwrap();
    Daemon::start(enclave, vec![key(0), key(2), key(3)], fault)
}

fn open(socket: &Path) -> Result<Quoting, Error> {
    Quoting::open(&Platform::Hardware { socket: socket.to_owned() })
}

fn honest(_: u64, answer: Vec<u8>) -> Vec<u8> {
    answer
}

#[test]
fn the_daemon_quotes_the_report_of_an_enclave() {
    let daemon = start(honest);
    let quoting = open(&daemon.socket).unwrap();
    let enclave = Spec::new(Entry::Leaf).load();
    let report = ereport(&enclave, &quoting.target_info());
    let quote = quoting.quote(&report).unwrap();
    assert_eq!(quote[48..432], report[..384]);
    // Nothing of the daemon's buffer is behind the quote, which ends with a certificate.
    assert!(quote.ends_with(b"-----END CERTIFICATE-----\n"));
}

#[test]
fn the_requests_are_those_of_aesm_client() {
    let recorded: Vec<String> = include_str!("requests.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let enclave = QuotingEnclave::new(&device()).unwrap();
    let daemon = Daemon::start(enclave, vec![key(2)], |request, truth| match request {
        QUOTE_SIZE => answer(request, &[(1, Field::Number(0)), (2, Field::Number(4600))]),
        _ => truth,
    });
    let quoting = open(&daemon.socket).unwrap();
    quoting.quote(&std::array::from_fn(|at| (at % 251) as u8)).unwrap_err();
    let hex = |request: &Vec<u8>| request.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(daemon.requests().iter().map(hex).collect::<Vec<String>>(), recorded);
}

#[test]
fn a_report_for_another_target_is_refused_with_the_daemons_code() {
    let daemon = start(honest);
    let quoting = open(&daemon.socket).unwrap();
    let error = quoting.quote(&[0; 432]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the AESM daemon refused sgx_get_quote_ex: AESM_INVALID_REPORT (47)"
    );
    assert!(error.remedy().unwrap().contains("TARGETINFO"));
}

#[test]
fn a_refusal_at_any_step_names_the_step_and_the_code() {
    /// `AESM_NO_PLATFORM_CERT_DATA`
    const CODE: u64 = 44;
    let refuse: [(Fault, &str); 5] = [
        (|at, truth| refusal(at, KEY_COUNT, truth), "sgx_get_supported_att_key_id_num"),
        (|at, truth| refusal(at, KEYS, truth), "sgx_get_supported_att_key_ids"),
        (|at, truth| refusal(at, INIT_QUOTE, truth), "sgx_init_quote_ex"),
        (|at, truth| refusal(at, QUOTE_SIZE, truth), "sgx_get_quote_size_ex"),
        (|at, truth| refusal(at, QUOTE, truth), "sgx_get_quote_ex"),
    ];
    fn refusal(request: u64, step: u64, truth: Vec<u8>) -> Vec<u8> {
        if request == step { answer(request, &[(1, Field::Number(CODE))]) } else { truth }
    }
    for (fault, step) in refuse {
        let daemon = start(fault);
        let quote = open(&daemon.socket).and_then(|quoting| quoting.quote(&[0; 432]));
        let Err(Error::Refused { request, refusal }) = quote else { panic!("{step}: {quote:?}") };
        assert_eq!((request, u64::from(refusal.code())), (step, CODE));
        assert_eq!(refusal.name(), Some("NO_PLATFORM_CERT_DATA"));
    }
}

#[test]
fn an_answer_without_a_code_is_an_unexpected_error() {
    let daemon = start(|request, _| answer(request, &[(2, Field::Number(1))]));
    let Err(Error::Refused { refusal, .. }) = open(&daemon.socket) else { panic!("opened") };
    assert_eq!(refusal.to_string(), "AESM_UNEXPECTED_ERROR (1)");
}

#[test]
fn a_request_that_the_daemon_does_not_know_is_refused() {
    const UNSUPPORTED: u64 = 20;
    let daemon = start(|_, _| answer(UNSUPPORTED, &[(1, Field::Number(27))]));
    let error = open(&daemon.socket).unwrap_err();
    assert!(error.to_string().ends_with("AESM_SERVICE_NOT_AVAILABLE (27)"), "{error}");
    assert!(error.remedy().unwrap().contains("libsgx-aesm-quote-ex-plugin"));
}

#[test]
fn a_daemon_without_a_key_for_ecdsa_is_said_to_lack_it() {
    for keys in [vec![], vec![key(0)], vec![key(3), key(1)]] {
        let daemon = Daemon::start(QuotingEnclave::new(&device()).unwrap(), keys, honest);
        let error = open(&daemon.socket).unwrap_err();
        assert!(matches!(error, Error::NoEcdsaKey), "{error}");
        assert!(error.remedy().unwrap().contains("libsgx-aesm-ecdsa-plugin"));
    }
}

#[test]
fn without_a_daemon_the_remedy_is_to_install_it() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("aesm.socket");
    let missing = open(&socket).unwrap_err();
    assert!(matches!(missing, Error::NoDaemon { .. }), "{missing}");
    // A daemon that ended leaves its socket.
    drop(UnixListener::bind(&socket).unwrap());
    let ended = open(&socket).unwrap_err();
    assert!(matches!(ended, Error::NoDaemon { .. }), "{ended}");
    assert_eq!(ended.to_string(), format!("no AESM daemon listens at {}", socket.display()));
    assert!(ended.remedy().unwrap().contains("systemctl start aesmd"));
}

#[test]
fn a_connection_that_ends_before_the_answer_is_an_error() {
    for fault in [|_, _| vec![], |_, truth: Vec<u8>| truth[..truth.len() - 1].to_vec()] {
        let daemon = start(fault);
        let error = open(&daemon.socket).unwrap_err();
        assert!(matches!(error, Error::Connection { .. }), "{error}");
    }
}

#[test]
fn answers_that_break_the_protocol_are_refused_by_name() {
    fn at(step: u64, request: u64, wrong: Vec<u8>, truth: Vec<u8>) -> Vec<u8> {
        if request == step { wrong } else { truth }
    }
    fn number(request: u64, value: u64) -> Vec<u8> {
        answer(request, &[(1, Field::Number(0)), (2, Field::Number(value))])
    }
    fn bytes(request: u64, length: usize) -> Vec<u8> {
        answer(request, &[(1, Field::Number(0)), (2, Field::Bytes(vec![0; length]))])
    }
    fn empty(request: u64) -> Vec<u8> {
        answer(request, &[(1, Field::Number(0))])
    }
    let faults: [(Fault, &str); 14] = [
        (|_, _| u32::MAX.to_ne_bytes().to_vec(), "is too long"),
        (|_, _| framed(&[0xff; 5]), "can't be decoded"),
        (|_, _| framed(&[]), "is to another request"),
        (|_, _| number(QUOTE_SIZE, 1), "is to another request"),
        (|r, t| at(KEY_COUNT, r, empty(r), t), "has no number"),
        (|r, t| at(KEY_COUNT, r, number(r, 65), t), "has too large a number"),
        (|r, t| at(KEYS, r, bytes(r, 255), t), "has keys of the wrong size"),
        (|r, t| at(INIT_QUOTE, r, bytes(r, 511), t), "has a TARGETINFO of the wrong size"),
        (
            |r, t| {
                at(INIT_QUOTE, r, answer(r, &[(1, Field::Number(0)), (3, Field::Number(4097))]), t)
            },
            "has too large a number",
        ),
        (|r, t| at(QUOTE_SIZE, r, empty(r), t), "has no size"),
        (|r, t| at(QUOTE, r, empty(r), t), "has no quote"),
        (|r, t| at(QUOTE, r, bytes(r, 435), t), "has a quote that is cut off"),
        (|r, t| at(QUOTE, r, bytes(r, 436), t), "has the quote of another report"),
        (
            |r, t| {
                at(
                    QUOTE,
                    r,
                    answer(r, &[(1, Field::Number(0)), (2, Field::Bytes(vec![0xff; 4600]))]),
                    t,
                )
            },
            "has a quote that is cut off",
        ),
    ];
    for (fault, expected) in faults {
        let daemon = start(fault);
        let quote = open(&daemon.socket).and_then(|quoting| quoting.quote(&[1; 432]));
        let Err(Error::Answer { problem, .. }) = quote else { panic!("{expected}: {quote:?}") };
        assert_eq!(problem, expected);
    }
}
