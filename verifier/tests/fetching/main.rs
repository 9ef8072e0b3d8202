//! Collateral over HTTP, from a server of the test's own that answers rightly or wrongly.

#[path = "../common/mod.rs"]
mod common;
mod server;

use common::{Folder, JUNE_2025, OPEN, collateral, policy, sample, verdict};
use server::{Server, answer, platform, right, server_with_tls};
use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};
use twine_verifier::{
    Collateral, CollateralRules, FetchError, Fetcher, MAX_ANSWER_BYTES, Moment, Platform, Tee,
    Update,
};

#[test]
fn four_questions_give_the_collateral_that_verifies_the_quote() {
    let server = Server::right();
    let fetched = server.fetcher().fetch(&platform()).unwrap();
    assert_eq!(fetched, collateral(&sample("sgx_quote_collateral.json")));
    let verdict = verdict(&sample("sgx_quote"), &fetched, &policy(OPEN), JUNE_2025);
    assert!(verdict.is_accepted());
    let base = "/sgx/certification/v4";
    assert_eq!(
        *server.asked.lock().unwrap(),
        [
            format!("{base}/pckcrl?ca=processor&encoding=der"),
            format!("{base}/tcb?fmspc=00A067110000&update=standard"),
            format!("{base}/qe/identity?update=standard"),
            format!("{base}/rootcacrl"),
        ]
    );
}

#[test]
fn the_early_update_is_asked_for_by_its_name() {
    let server = Server::changed("early", |_| {
        right("/sgx/certification/v4/tcb?fmspc=00A067110000&update=standard")
    });
    let error = server.fetcher().update(Update::Early).fetch(&platform()).unwrap_err();
    // The second question was answered, the third wrongly.
    assert!(matches!(error, FetchError::Answer { .. }), "{error}");
    assert!(server.asked.lock().unwrap()[1].ends_with("update=early"));
    assert!(server.asked.lock().unwrap()[2].ends_with("update=early"));
}

#[test]
fn a_quote_of_a_domain_has_no_collateral_here() {
    let platform = Platform { tee: Tee::Tdx, ..platform() };
    let error = Server::right().fetcher().fetch(&platform).unwrap_err();
    assert!(matches!(error, FetchError::Tee));
}

#[test]
fn only_addresses_of_services_are_taken() {
    for address in ["", "pccs", "ftp://host", "https://", "/sgx", "http://host/?a=b"] {
        let error = Fetcher::pccs(address).unwrap_err();
        assert!(matches!(error, FetchError::Address { .. }), "{address}: {error}");
    }
    assert!(Fetcher::pccs("https://pccs.example:8081/").is_ok());
}

#[test]
fn another_status_and_a_redirection_are_errors() {
    let server = Server::changed("qe/identity", |_| {
        b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
    });
    let error = server.fetcher().fetch(&platform()).unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 503, .. }), "{error}");

    let elsewhere = Server::right();
    let location = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        elsewhere.address
    );
    let server = Server::changed("tcb?", move |_| location.clone().into_bytes());
    let error = server.fetcher().fetch(&platform()).unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 302, .. }), "{error}");
    assert_eq!(elsewhere.asked(), 0);
}

/// Asserts that a change of the answers whose path has a text leads to an error.
#[track_caller]
fn assert_refused(
    which: &'static str,
    change: impl Fn(Vec<u8>) -> Vec<u8> + Send + 'static,
    is_expected: impl Fn(&FetchError) -> bool,
) {
    let error = Server::changed(which, change).fetcher().fetch(&platform()).unwrap_err();
    assert!(is_expected(&error), "{error}");
}

#[test]
fn an_answer_of_the_wrong_length_is_an_error() {
    let is_connection = |error: &FetchError| matches!(error, FetchError::Connection { .. });
    // It ends early.
    assert_refused("tcb?", |reply| reply[..reply.len() - 1].to_vec(), is_connection);
    // It says that it is shorter than it is.
    let shorter = |reply: Vec<u8>| {
        let head = reply.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let body = reply[head + 4..].to_vec();
        let chain = Some(("TCB-Info-Issuer-Chain", "chain"));
        let mut reply = answer(chain, &body[..body.len() - 1]);
        reply.push(body[body.len() - 1]);
        reply
    };
    assert_refused("tcb?", shorter, |error| matches!(error, FetchError::Answer { .. }));
    let long = usize::try_from(MAX_ANSWER_BYTES).unwrap() + 1;
    assert_refused("tcb?", move |_| answer(None, &vec![b' '; long]), is_connection);
    // An end that never comes: the length is absurd.
    let absurd = b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n".to_vec();
    assert_refused("tcb?", move |_| absurd.clone(), is_connection);
}

#[test]
fn garbage_is_an_error_wherever_it_comes() {
    let is_connection = |error: &FetchError| matches!(error, FetchError::Connection { .. });
    let is_answer = |error: &FetchError| matches!(error, FetchError::Answer { .. });
    assert_refused("pckcrl", |_| b"\x16\x03\x01garbage\r\n\r\n".to_vec(), is_connection);
    assert_refused("pckcrl", |_| vec![], is_connection);
    for which in ["pckcrl", "tcb?", "qe/identity", "rootcacrl"] {
        assert_refused(which, |_| answer(None, b"garbage"), is_answer);
        assert_refused(which, |_| answer(None, b""), is_answer);
        // In DER to the eye.
        assert_refused(which, |_| answer(None, &[0x30, 0x82, 0, 0]), is_answer);
    }
    let without_chain = |_| answer(None, br#"{"tcbInfo":{},"signature":""}"#);
    assert_refused("tcb?", without_chain, is_answer);
}

#[test]
fn a_service_that_is_too_slow_is_given_up() {
    let server = Server::start(|path, stream| {
        for byte in right(path) {
            // One byte after the other, which no limit of a single read would end.
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    let begun = Instant::now();
    let fetcher = server.fetcher().timeout(Duration::from_millis(300));
    let error = fetcher.fetch(&platform()).unwrap_err();
    assert!(matches!(error, FetchError::Connection { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_service_over_tls_is_asked_if_its_certificate_is_trusted() {
    let (address, pem) = server_with_tls();
    let fetcher = || Fetcher::pccs(&address).unwrap().timeout(Duration::from_secs(10));
    let fetched = fetcher().trust(pem.as_bytes()).unwrap().fetch(&platform()).unwrap();
    assert_eq!(fetched, collateral(&sample("sgx_quote_collateral.json")));
    let error = fetcher().fetch(&platform()).unwrap_err();
    assert!(matches!(error, FetchError::Connection { .. }), "{error}");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    let (_, other) = server_with_tls();
    let error = fetcher().trust(other.as_bytes()).unwrap().fetch(&platform()).unwrap_err();
    assert!(matches!(error, FetchError::Connection { .. }), "{error}");
}

#[test]
fn only_certificates_can_be_trusted() {
    for text in [&b""[..], b"hello", b"-----BEGIN CERTIFICATE-----\nhello"] {
        let error = Fetcher::intel().trust(text).unwrap_err();
        assert!(matches!(error, FetchError::Trust { .. }), "{error}");
    }
}

const RULES: CollateralRules = CollateralRules { most_days: 30, warning_days: 7 };

#[test]
fn collateral_that_is_kept_is_taken_until_it_nears_its_end() {
    let folder = Folder::new("kept");
    let server = Server::right();
    let fetcher = server.fetcher().cache(&folder.0);
    let get = |at| {
        let collateral = fetcher.collateral(&platform(), &RULES, at).unwrap();
        fetcher.keep(&platform(), &collateral).unwrap();
        collateral
    };
    // What nobody has verified is not kept.
    let first = fetcher.collateral(&platform(), &RULES, JUNE_2025).unwrap();
    assert!(!folder.0.join("00a067110000-processor-standard.json").exists());
    assert_eq!(server.asked(), 4);
    fetcher.keep(&platform(), &first).unwrap();
    assert_eq!(get(JUNE_2025), first);
    assert_eq!(server.asked(), 4);
    // 2025-07-12T10:01:18Z, seven days before the QE identity runs out, and a second later.
    get(Moment(1_752_314_478));
    assert_eq!(server.asked(), 4);
    get(Moment(1_752_314_479));
    assert_eq!(server.asked(), 8);
    // What is older than the policy allows is not taken either.
    let rules = CollateralRules { most_days: 1, ..RULES };
    fetcher.collateral(&platform(), &rules, JUNE_2025).unwrap();
    assert_eq!(server.asked(), 12);
    // Another kind of platform, or update, has a file of its own.
    assert!(folder.0.join("00a067110000-processor-standard.json").is_file());
}

#[test]
fn collateral_that_is_kept_serves_without_the_service_as_long_as_it_is_valid() {
    let folder = Folder::new("offline");
    let server = Server::right();
    let fetcher = server.fetcher().cache(&folder.0);
    let fetched = fetcher.collateral(&platform(), &RULES, JUNE_2025).unwrap();
    fetcher.keep(&platform(), &fetched).unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fetcher = Fetcher::pccs(&format!("http://{gone}")).unwrap().cache(&folder.0);
    let get = |at| fetcher.collateral(&platform(), &RULES, at);
    let expected: Collateral = collateral(&sample("sgx_quote_collateral.json"));
    assert_eq!(get(JUNE_2025).unwrap(), expected);
    // 2025-07-18, one day before the end.
    assert_eq!(get(Moment(1_752_800_000)).unwrap(), expected);
    // 2025-07-20, after it; and a time before it was issued.
    for at in [1_752_970_000, 1_750_000_000] {
        let error = get(Moment(at)).unwrap_err();
        assert!(matches!(error, FetchError::Connection { .. }), "{error}");
    }
}

#[test]
fn a_damaged_file_is_fetched_anew_and_a_folder_that_can_not_be_written_is_an_error() {
    let folder = Folder::new("damaged");
    let path = folder.write("00a067110000-processor-standard.json", b"{ damaged");
    let server = Server::right();
    let fetcher = server.fetcher().cache(&folder.0);
    let fetched = fetcher.collateral(&platform(), &RULES, JUNE_2025).unwrap();
    assert_eq!(server.asked(), 4);
    fetcher.keep(&platform(), &fetched).unwrap();
    assert!(Collateral::from_json(&std::fs::read(&path).unwrap()).is_ok());

    // A file in the folder's place.
    let fetcher = server.fetcher().cache(&path);
    let error = fetcher.keep(&platform(), &fetched).unwrap_err();
    assert!(matches!(error, FetchError::Cache { .. }), "{error}");
}
