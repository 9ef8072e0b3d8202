//! The sockets of programs, with good and hostile other ends.

mod common;
#[path = "common/middle.rs"]
mod middle;
#[path = "common/net.rs"]
mod net;

use common::{Key, LIMIT, tls_identity, until};
use middle::{Middle, Shows};
use net::Net;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyIdMethod, SerialNumber};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use twine_channel::message::Secret;
use twine_channel::peer::{ALPN, MAX_MESSAGE, Message};
use twine_evidence::bytes::Digest;
use twine_evidence::sockets::{Certificate, Peers, Socket, Trust, Way};
use twine_evidence::terms::{Stream, Streams};
use twine_hosting::{
    Attestation, Expected, Failure, NoSockets, Request, Sockets, Stdio, TlsIdentity,
};

/// The number of the first socket.
const FIRST: u64 = 3;

// ------------------------------------------------------------------------------ certificates

/// An authority, and a server's certificate of it.
struct Authority {
    roots: String,
    chain: String,
    key: String,
}

fn authority(name: &str) -> Authority {
    let pem = |label: &str, der: &[u8]| pem::encode(&pem::Pem::new(label, der));
    let parameters = |serial, names: Vec<String>| {
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.serial_number = Some(SerialNumber::from_slice(&[serial]));
        parameters.key_identifier_method = KeyIdMethod::PreSpecified(vec![serial]);
        parameters
    };
    let root_key = Key::new();
    let mut root = parameters(1, Vec::new());
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let roots = pem("CERTIFICATE", root.self_signed(&root_key).unwrap().der());
    let issuer = Issuer::new(root, root_key);
    let key = Key::new();
    let server = parameters(2, vec![name.to_owned()]);
    let chain = pem("CERTIFICATE", server.signed_by(&key, &issuer).unwrap().der());
    let mut room = [0; 256];
    let key = pem("PRIVATE KEY", key.key.to_pkcs8_der(&mut room).unwrap());
    Authority { roots, chain, key }
}

/// A client that trusts an authority.
fn client(roots: &str) -> Arc<ClientConfig> {
    let mut store = RootCertStore::empty();
    store.add(CertificateDer::from_pem_slice(roots.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls_graviola::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    Arc::new(config)
}

fn tls(config: &Arc<ClientConfig>, port: u16) -> StreamOwned<ClientConnection, TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), stream)
}

// ------------------------------------------------------------------------------ programs

const NO_STREAMS: Streams =
    Streams { stdin: Stream::None, stdout: Stream::None, stderr: Stream::None };

fn stdio() -> Arc<Stdio> {
    Arc::new(Stdio::new(NO_STREAMS, [false; 3], false))
}

/// A program with its sockets.
struct Program {
    net: Arc<Net>,
    stdio: Arc<Stdio>,
    reports: Arc<Mutex<Vec<String>>>,
    sockets: Sockets,
}

fn open(
    net: Arc<Net>,
    sockets: &[Socket],
    secrets: &[Secret],
    attestation: Option<Arc<dyn Attestation>>,
) -> Result<Program, NoSockets> {
    let (stdio, reports) = (stdio(), Arc::new(Mutex::new(Vec::new())));
    let told = reports.clone();
    let report = move |line| told.lock().unwrap().push(line);
    let sockets = Sockets::open(net.clone(), stdio.clone(), sockets, secrets, attestation, report)?;
    Ok(Program { net, stdio, reports, sockets })
}

fn secrets(authority: &Authority) -> Vec<Secret> {
    let secret = |name: &str, value: &str| Secret { name: name.into(), value: value.into() };
    vec![secret("CHAIN", &authority.chain), secret("KEY", &authority.key)]
}

fn listens(name: &str) -> Socket {
    Socket { name: name.into(), ..Socket::default() }
}

fn with_certificate() -> Socket {
    let certificate = Certificate { chain: "CHAIN".into(), key: "KEY".into() };
    Socket { certificate: Some(certificate), ..listens("web") }
}

fn connects(port: u16) -> Socket {
    Socket {
        name: "out".into(),
        way: Way::Connect,
        host: Some("127.0.0.1".into()),
        port: Some(port),
        ..Socket::default()
    }
}

/// A program that listens with a certificate.
fn server(authority: &Authority) -> Program {
    open(Net::new(), &[with_certificate()], &secrets(authority), None).unwrap()
}

impl Program {
    /// Sends all of it.
    fn send_all(&mut self, number: u64, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let count = self.sockets.send(number, bytes, true)?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Receives until the end.
    fn receive_all(&mut self, number: u64) -> Result<Vec<u8>, Failure> {
        let (mut all, mut piece) = (Vec::new(), [0; 10_000]);
        loop {
            match self.sockets.receive(number, &mut piece, false, true)? {
                0 => return Ok(all),
                count => all.extend_from_slice(&piece[..count]),
            }
        }
    }

    /// Accepts connections one after the other, and sends back what comes, until it must end. Returns
    /// how each connection ended.
    fn echo(mut self, count: usize) -> JoinHandle<(Self, Vec<Result<usize, Failure>>)> {
        thread::spawn(move || {
            let mut ends = Vec::new();
            for _ in 0..count {
                match self.sockets.accept(FIRST, true) {
                    Ok(number) => {
                        ends.push(self.echo_one(number));
                        self.sockets.close(number);
                    }
                    Err(failure) => {
                        ends.push(Err(failure));
                        break;
                    }
                }
            }
            (self, ends)
        })
    }

    fn echo_one(&mut self, number: u64) -> Result<usize, Failure> {
        let (mut total, mut piece) = (0, vec![0; 50_000]);
        loop {
            match self.sockets.receive(number, &mut piece, false, true)? {
                0 => return Ok(total),
                count => {
                    self.send_all(number, &piece[..count])?;
                    total += count;
                }
            }
        }
    }
}

// ------------------------------------------------------------------------------ certificates

#[test]
fn a_client_talks_to_a_program_that_knows_nothing_of_tls() {
    let authority = authority("localhost");
    let program = server(&authority);
    let (net, config) = (program.net.clone(), client(&authority.roots));
    let thread = program.echo(2);
    for _ in 0..2 {
        let mut client = tls(&config, net.port());
        let sent = common::pattern(0, 1_000_000);
        let mut back = vec![0; sent.len()];
        let mut reader = TcpStream::try_clone(&client.sock).unwrap();
        // In turns: neither side reads while it writes more than fits on the way.
        for (piece, back) in sent.chunks(30_000).zip(back.chunks_mut(30_000)) {
            client.write_all(piece).unwrap();
            client.read_exact(back).unwrap();
        }
        assert!(sent == back);
        client.conn.send_close_notify();
        client.flush().unwrap();
        let mut rest = Vec::new();
        assert_eq!(client.read_to_end(&mut rest).unwrap(), 0, "close_notify came back");
        assert_eq!(client.conn.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    }
    let (program, ends) = thread.join().unwrap();
    assert_eq!(ends, [Ok(1_000_000); 2]);
    drop(program);
    assert_eq!(net.open(), 0, "all is closed");
}

#[test]
fn a_connection_that_is_cut_off_is_an_error_after_what_came_and_close_notify_the_end() {
    let authority = authority("localhost");
    let mut program = server(&authority);
    let config = client(&authority.roots);
    let port = program.net.port();
    let thread = thread::spawn(move || {
        for cut in [true, false] {
            let mut client = tls(&config, port);
            client.write_all(b"hello").unwrap();
            if !cut {
                client.conn.send_close_notify();
            }
            client.flush().unwrap();
            client.sock.shutdown(Shutdown::Write).unwrap();
            let _ = client.read_to_end(&mut Vec::new());
        }
    });
    let mut bytes = [0; 16];
    let cut = program.sockets.accept(FIRST, true).unwrap();
    assert_eq!(program.sockets.receive(cut, &mut bytes, true, true), Ok(5));
    assert_eq!(program.sockets.receive(cut, &mut bytes[..2], false, true), Ok(2));
    assert_eq!(program.sockets.receive(cut, &mut bytes, false, true), Ok(3));
    assert_eq!(program.sockets.receive(cut, &mut bytes, false, true), Err(Failure::Reset));
    assert_eq!(program.sockets.receive(cut, &mut bytes, false, true), Err(Failure::Reset));
    assert_eq!(program.sockets.send(cut, b"x", true), Err(Failure::BrokenPipe));
    program.sockets.close(cut);
    let ended = program.sockets.accept(FIRST, true).unwrap();
    assert_eq!(program.receive_all(ended), Ok(b"hello".to_vec()));
    assert_eq!(program.sockets.send(ended, b"bye", true), Ok(3));
    program.sockets.shut_down(ended, false, true).unwrap();
    assert_eq!(program.sockets.send(ended, b"x", true), Err(Failure::BrokenPipe));
    program.sockets.close(ended);
    thread.join().unwrap();
}

#[test]
fn clients_that_say_nothing_or_something_else_never_reach_the_program_nor_hold_up_others() {
    let authority = authority("localhost");
    let program = server(&authority);
    let (net, config) = (program.net.clone(), client(&authority.roots));
    let thread = program.echo(1);
    let port = net.port();
    let connect = || TcpStream::connect(("127.0.0.1", port)).unwrap();
    // More than may be in a handshake at one time.
    let silent: Vec<_> = (0..100).map(|_| connect()).collect();
    let hostile: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &[0; 100],
        // A record of the largest size that never ends.
        &[22, 3, 1, 255, 255, 1],
        // Application data before the handshake.
        &[23, 3, 3, 0, 5, 1, 2, 3, 4, 5],
        // An alert.
        &[21, 3, 3, 0, 2, 2, 40],
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    ];
    let mut others: Vec<_> = hostile
        .iter()
        .map(|bytes| {
            let mut stream = connect();
            stream.write_all(bytes).unwrap();
            stream
        })
        .collect();
    // A handshake that stops half-way.
    let mut half = ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    half.write_tls(&mut hello).unwrap();
    let mut stopped = connect();
    stopped.write_all(&hello[..hello.len() / 2]).unwrap();

    let mut client = tls(&config, port);
    client.write_all(b"hello").unwrap();
    let mut back = [0; 5];
    client.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
    client.conn.send_close_notify();
    client.flush().unwrap();
    let (mut program, ends) = thread.join().unwrap();
    assert_eq!(ends, [Ok(5)]);
    // Who speaks no TLS was cut off.
    for stream in others.iter_mut().take(2) {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut alert = Vec::new();
        if stream.read_to_end(&mut alert).is_ok() {
            assert!(alert.len() < 20, "{alert:?}");
        }
    }
    // Those that say nothing go when their time is over.
    net.later.store(60_000, Ordering::SeqCst);
    assert_eq!(program.sockets.accept(FIRST, false), Err(Failure::WouldBlock));
    assert!(net.open() <= 4, "{} sockets are open", net.open());
    drop((silent, stopped, others));
}

#[test]
fn a_poll_knows_of_decrypted_bytes_and_of_handshakes() {
    let authority = authority("localhost");
    let mut program = server(&authority);
    let config = client(&authority.roots);
    let port = program.net.port();
    let read = |socket| [Request { socket, write: false }];
    let zero = Some(Duration::ZERO);
    assert_eq!(program.sockets.poll(&read(FIRST), zero, || false).unwrap(), [None]);
    let thread = thread::spawn(move || {
        let mut client = tls(&config, port);
        client.write_all(&[7; 3000]).unwrap();
        client.flush().unwrap();
        client
    });
    let ready = |program: &mut Program, socket: u64| loop {
        let polled = program.sockets.poll(&read(socket), Some(LIMIT), || false).unwrap();
        if let [Some(polled)] = polled[..] {
            return polled;
        }
    };
    ready(&mut program, FIRST);
    let number = program.sockets.accept(FIRST, false).unwrap();
    ready(&mut program, number);
    let mut bytes = [0; 10];
    assert_eq!(program.sockets.receive(number, &mut bytes, false, false), Ok(10));
    // The host has nothing more, and what is here is enough.
    let mut left = 2990;
    while left > 0 {
        let polled = ready(&mut program, number);
        assert!(polled.bytes > 0 && polled.bytes <= left && !polled.hangup);
        let mut bytes = vec![0; polled.bytes as usize];
        let count = program.sockets.receive(number, &mut bytes, false, false).unwrap();
        left -= count as u64;
    }
    let polled = program.sockets.poll(&read(number), zero, || false).unwrap();
    assert_eq!(polled, [None]);
    let write = [Request { socket: number, write: true }];
    assert!(program.sockets.poll(&write, zero, || false).unwrap()[0].is_some());
    let mut client = thread.join().unwrap();
    client.conn.send_close_notify();
    client.flush().unwrap();
    assert!(ready(&mut program, number).hangup);
    assert_eq!(program.sockets.receive(number, &mut bytes, false, false), Ok(0));
}

#[test]
fn a_program_that_sends_without_waiting_loses_nothing_and_one_that_closes_neither() {
    let authority = authority("localhost");
    let mut program = server(&authority);
    let config = client(&authority.roots);
    let port = program.net.port();
    let size = 20_000_000;
    let thread = thread::spawn(move || {
        let mut client = tls(&config, port);
        client.flush().unwrap();
        while client.conn.is_handshaking() {
            client.conn.complete_io(&mut client.sock).unwrap();
        }
        // All on the way fills up.
        thread::sleep(Duration::from_millis(200));
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        all
    });
    let number = program.sockets.accept(FIRST, true).unwrap();
    let sent = common::pattern(0, size);
    let mut rest = &sent[..];
    let mut waited = false;
    while !rest.is_empty() {
        match program.sockets.send(number, rest, false) {
            Ok(count) => rest = &rest[count..],
            Err(Failure::WouldBlock) => {
                waited = true;
                let write = [Request { socket: number, write: true }];
                program.sockets.poll(&write, None, || false).unwrap();
            }
            Err(failure) => panic!("{failure:?}"),
        }
    }
    assert!(waited);
    program.sockets.close(number);
    // The program does not wait any more: what is left is sent at the end.
    drop(program);
    assert!(thread.join().unwrap() == sent);
}

// ------------------------------------------------------------------------------ connecting

#[test]
fn a_program_connects_to_a_server_whose_certificate_is_right_and_to_no_other() {
    let authority = authority("localhost");
    let other = self::authority("localhost");
    let server = server(&authority);
    let port = server.net.port();
    let thread = server.echo(3);
    let socket = |roots: &str, name: &str| Socket {
        trust: Some(Trust { roots: roots.into(), name: Some(name.into()) }),
        ..connects(port)
    };
    let mut right = open(Net::new(), &[socket(&authority.roots, "localhost")], &[], None).unwrap();
    // At its first use, and once more by `accept`.
    right.send_all(FIRST, b"hello").unwrap();
    right.sockets.shut_down(FIRST, false, true).unwrap();
    assert_eq!(right.receive_all(FIRST), Ok(b"hello".to_vec()));
    let again = right.sockets.accept(FIRST, true).unwrap();
    right.send_all(again, b"again").unwrap();
    right.sockets.shut_down(again, false, true).unwrap();
    assert_eq!(right.receive_all(again), Ok(b"again".to_vec()));
    right.sockets.close(again);

    for wrong in [socket(&other.roots, "localhost"), socket(&authority.roots, "other.example")] {
        let mut program = open(Net::new(), &[wrong], &[], None).unwrap();
        assert_eq!(program.sockets.send(FIRST, b"secret", true), Err(Failure::Denied));
        assert_eq!(program.sockets.accept(FIRST, true), Err(Failure::Denied));
        assert!(program.reports.lock().unwrap()[0].contains("socket out"));
    }
    let last = right.sockets.accept(FIRST, true).unwrap();
    right.sockets.close(last);
    drop(right);
    let (_, ends) = thread.join().unwrap();
    assert_eq!(ends, [Ok(5), Ok(5), Ok(0)], "who refuses the certificate reaches no program");
}

#[test]
fn a_connection_that_fails_is_an_error_and_can_be_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut program = open(Net::new(), &[connects(port)], &[], None).unwrap();
    let mut bytes = [0; 8];
    assert_eq!(program.sockets.receive(FIRST, &mut bytes, false, true), Err(Failure::Refused));
    assert_eq!(program.sockets.accept(FIRST, true), Err(Failure::Refused));
    let read = [Request { socket: FIRST, write: false }];
    let polled = program.sockets.poll(&read, None, || false).unwrap();
    assert!(polled[0].is_some_and(|polled| polled.hangup));
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert_eq!(program.sockets.send(FIRST, b"hello", true), Ok(5));
    listener.accept().unwrap().0.read_exact(&mut bytes[..5]).unwrap();
    assert_eq!(&bytes[..5], b"hello");
}

#[test]
fn what_the_operator_does_not_allow_and_a_wrong_certificate_are_refused_with_a_remedy() {
    let refused = |net, socket: Socket, secrets: &[Secret]| {
        let NoSockets { cause, remedy } = open(net, &[socket], secrets, None).err().unwrap();
        format!("{cause} / {remedy}")
    };
    let text = refused(Net::denied(), Socket { port: Some(443), ..listens("web") }, &[]);
    assert!(text.contains("web wants to listen on port 443") && text.contains("--allow-listen"));
    let text = refused(Net::denied(), connects(5432), &[]);
    assert!(text.contains("127.0.0.1, port 5432") && text.contains("--allow-connect"), "{text}");
    let authority = authority("localhost");
    for (chain, key) in [
        ("", &*authority.key),
        (&*authority.chain, ""),
        (&*authority.chain, &*self::authority("localhost").key),
        ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", &*authority.key),
    ] {
        let secret = |name: &str, value: &str| Secret { name: name.into(), value: value.into() };
        let secrets = [secret("CHAIN", chain), secret("KEY", key)];
        let text = refused(Net::new(), with_certificate(), &secrets);
        assert!(text.contains("certificate of the socket web"), "{text}");
        assert!(text.contains("--secret CHAIN=@FILE --secret KEY=@FILE"), "{text}");
    }
}

// ------------------------------------------------------------------------------ the end

#[test]
fn a_program_that_must_end_waits_neither_for_a_connection_nor_for_bytes() {
    let authority = authority("localhost");
    let config = client(&authority.roots);
    type Waits = fn(&mut Program, u64) -> Result<u64, Failure>;
    let waits: [Waits; 4] = [
        |program, _| program.sockets.accept(FIRST, true),
        |program, number| {
            program.sockets.receive(number, &mut [0; 8], false, true).map(|count| count as u64)
        },
        |program, number| {
            loop {
                program.sockets.send(number, &[0; 100_000], true)?;
            }
        },
        |program, number| {
            let read = [Request { socket: number, write: false }];
            loop {
                let polled = program.sockets.poll(&read, None, || false)?;
                assert_eq!(polled, [None]);
            }
        },
    ];
    for waits in waits {
        for over in [true, false] {
            let mut program = server(&authority);
            let (net, stdio) = (program.net.clone(), program.stdio.clone());
            let client = tls(&config, net.port());
            let connected = thread::spawn(move || {
                let mut client = client;
                client.conn.complete_io(&mut client.sock).unwrap();
                client
            });
            let number = program.sockets.accept(FIRST, true).unwrap();
            let client = connected.join().unwrap();
            let before = net.waits.load(Ordering::SeqCst);
            let thread = thread::spawn(move || {
                let end = waits(&mut program, number);
                (end, program)
            });
            until("it waits", || net.waits.load(Ordering::SeqCst) > before || thread.is_finished());
            if over {
                stdio.stop()
            } else {
                stdio.interrupt()
            }
            let (end, program) = thread.join().unwrap();
            assert_eq!(end, Err(Failure::Interrupted));
            drop((client, program));
            assert_eq!(net.open(), 0);
        }
    }
}

// ------------------------------------------------------------------------------ attested

/// Makes and verifies evidence that says plainly what it is for.
#[derive(Clone)]
struct Plainly {
    /// The deployment's owner, name and version.
    owner: u8,
    name: &'static str,
    version: u64,
    /// How many times evidence was made.
    made: Arc<Mutex<Vec<Vec<u8>>>>,
}

fn plainly(owner: u8, name: &'static str, version: u64) -> Plainly {
    Plainly { owner, name, version, made: Arc::default() }
}

impl Plainly {
    fn says(&self, key: Digest, nonce: &[u8], channel: Digest) -> Vec<u8> {
        let head = format!("{} {} {} ", self.owner, self.name, self.version);
        [head.as_bytes(), &key.0, nonce, &channel.0].concat()
    }
}

impl Attestation for Plainly {
    fn identity(&self) -> Result<TlsIdentity, String> {
        Ok(tls_identity())
    }

    fn evidence(&self, key: Digest, nonce: &[u8], channel: Digest) -> Result<Vec<u8>, String> {
        let evidence = self.says(key, nonce, channel);
        self.made.lock().unwrap().push(evidence.clone());
        Ok(evidence)
    }

    fn verify(&self, evidence: &[u8], peers: &Peers, expected: Expected<'_>) -> Result<(), String> {
        let text = String::from_utf8_lossy(evidence).into_owned();
        let words: Vec<&str> = text.splitn(4, ' ').collect();
        let [owner, name, version, _] = words[..] else { return Err("it is none".into()) };
        let (owner, version): (u8, u64) = (owner.parse().unwrap(), version.parse().unwrap());
        let wanted = peers.owner.map_or(self.owner, |digest| digest.0[0]);
        if owner != wanted {
            return Err(format!("the owner is {owner}"));
        }
        let Some(name) = peers.deployments.iter().find(|wanted| *wanted == name) else {
            return Err(format!("it is {name}"));
        };
        if version < peers.least_version {
            return Err(format!("it has version {version}"));
        }
        let says = Plainly { owner, name: name.clone().leak(), version, made: Arc::default() };
        let Expected { public_key, nonce, channel } = expected;
        match says.says(Digest::of(public_key), nonce, channel) == evidence {
            true => Ok(()),
            false => Err("it is not over this connection".into()),
        }
    }

    fn verify_certificate(&self, _: &[u8], peers: &Peers) -> Result<(), String> {
        match peers.stale {
            true => Ok(()),
            false => Err("it may be old".into()),
        }
    }
}

fn peers(names: &[&str]) -> Peers {
    let deployments = names.iter().map(|name| (*name).to_owned()).collect();
    Peers { deployments, ..Peers::default() }
}

/// A deployment that listens for these others.
fn attested_server(own: &Plainly, accepted: Peers) -> Program {
    let socket = Socket { attested: Some(accepted), ..listens("inner") };
    open(Net::new(), &[socket], &[], Some(Arc::new(own.clone()))).unwrap()
}

/// A deployment that connects to these others.
fn attested_client(own: &Plainly, port: u16, accepted: Peers) -> Program {
    let socket = Socket { attested: Some(accepted), ..connects(port) };
    open(Net::new(), &[socket], &[], Some(Arc::new(own.clone()))).unwrap()
}

#[test]
fn two_deployments_talk_that_know_nothing_of_tls() {
    let (front, back) = (plainly(1, "front", 1), plainly(1, "back", 1));
    let server = attested_server(&back, peers(&["other", "front"]));
    let port = server.net.port();
    let thread = server.echo(3);
    let mut client = attested_client(&front, port, peers(&["back"]));
    let sent = common::pattern(0, 300_000);
    let mut back_again = Vec::new();
    for piece in sent.chunks(30_000) {
        client.send_all(FIRST, piece).unwrap();
        let mut room = vec![0; piece.len()];
        let mut count = 0;
        while count < room.len() {
            count += client.sockets.receive(FIRST, &mut room[count..], false, true).unwrap();
        }
        back_again.extend(room);
    }
    assert!(back_again == sent);
    client.sockets.shut_down(FIRST, false, true).unwrap();
    assert_eq!(client.receive_all(FIRST), Ok(Vec::new()));
    // Each connection has evidence of its own.
    for _ in 0..2 {
        let number = client.sockets.accept(FIRST, true).unwrap();
        client.sockets.close(number);
    }
    let (server, ends) = thread.join().unwrap();
    assert_eq!(ends, [Ok(300_000), Ok(0), Ok(0)]);
    assert_eq!(front.made.lock().unwrap().len(), 3);
    assert_eq!(back.made.lock().unwrap().len(), 3);
    assert_eq!(*server.reports.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn another_owner_name_or_older_version_is_refused_on_either_side_and_the_program_sees_it() {
    let back = plainly(1, "back", 2);
    let at_least = |least_version| Peers { least_version, ..peers(&["back"]) };
    let of_2 = Peers { owner: Some(Digest([2; 32])), ..peers(&["back"]) };
    // The client refuses the server.
    for accepted in [peers(&["other"]), at_least(3), of_2] {
        let server = attested_server(&back, peers(&["front"]));
        let port = server.net.port();
        let mut client = attested_client(&plainly(1, "front", 1), port, accepted);
        let thread = server.echo(1);
        assert_eq!(client.sockets.accept(FIRST, true), Err(Failure::Denied));
        assert!(client.reports.lock().unwrap()[0].contains("socket out: the other end is refused"));
        // The server's program gets the next connection only.
        let mut right = attested_client(&plainly(1, "front", 1), port, at_least(2));
        let number = right.sockets.accept(FIRST, true).unwrap();
        right.sockets.close(number);
        let (_, ends) = thread.join().unwrap();
        assert_eq!(ends, [Ok(0)]);
    }
    // The server refuses the client, before it makes evidence of its own.
    for wrong in [plainly(2, "front", 1), plainly(1, "other", 1), plainly(1, "front", 0)] {
        let back = plainly(1, "back", 2);
        let accepted = Peers { least_version: 1, ..peers(&["front"]) };
        let mut server = attested_server(&back, accepted);
        let port = server.net.port();
        let thread = thread::spawn(move || {
            let mut client = attested_client(&wrong, port, peers(&["back"]));
            client.sockets.send(FIRST, b"hello", true)
        });
        until("it is refused", || {
            assert_eq!(server.sockets.accept(FIRST, false), Err(Failure::WouldBlock));
            !server.reports.lock().unwrap().is_empty()
        });
        assert_eq!(thread.join().unwrap(), Err(Failure::Denied));
        assert!(back.made.lock().unwrap().is_empty());
    }
}

// ------------------------------------------------------------------------------ in the middle

/// An end that speaks the protocol.
const SPEAKS: Shows<'_> = Shows { protocol: Some(ALPN), no_certificate: false, more: 0 };

/// A server that is in the middle. `act` gets the client's connection.
fn impostor<T: Send + 'static>(
    shows: Shows<'static>,
    act: impl FnOnce(Result<Middle, String>) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = thread::spawn(move || {
        let stream = listener.accept().unwrap().0;
        act(Middle::new(stream, true, shows))
    });
    (port, thread)
}

fn to(port: u16, shows: Shows<'_>) -> Result<Middle, String> {
    Middle::new(TcpStream::connect(("127.0.0.1", port)).unwrap(), false, shows)
}

fn hello() -> Message {
    Message::Hello { nonce: vec![7; 32][..].into() }
}

#[test]
fn evidence_of_another_connection_is_refused_when_it_is_diverted_reflected_or_replayed() {
    let (front, back) = (plainly(1, "front", 1), plainly(1, "back", 1));

    // Diverted: all messages are passed on, in both directions.
    let mut server = attested_server(&back, peers(&["front"]));
    let server_port = server.net.port();
    let (port, middle) = impostor(SPEAKS, move |client| {
        let (mut client, mut server) = (client.unwrap(), to(server_port, SPEAKS).unwrap());
        server.say(&client.hear().unwrap()).unwrap();
        client.say(&server.hear().unwrap()).unwrap();
        let evidence = client.hear().unwrap();
        assert!(matches!(evidence, Message::Evidence { .. }));
        server.say(&evidence).unwrap();
        let answer = server.hear();
        assert_eq!(answer, Ok(Message::Refused));
        // The evidence of an earlier connection, over another nonce.
        client.say(&evidence).unwrap();
        client.hear()
    });
    let mut client = attested_client(&front, port, peers(&["back"]));
    let thread = thread::spawn(move || (client.sockets.accept(FIRST, true), client));
    until("the server refuses it", || {
        assert_eq!(server.sockets.accept(FIRST, false), Err(Failure::WouldBlock));
        !server.reports.lock().unwrap().is_empty()
    });
    assert!(server.reports.lock().unwrap()[0].contains("not over this connection"));
    // Reflected: the client got its own evidence back.
    assert_eq!(middle.join().unwrap(), Ok(Message::Refused));
    assert_eq!(thread.join().unwrap().0, Err(Failure::Denied));
    assert!(back.made.lock().unwrap().is_empty());

    // Replayed: the server's evidence of a good connection.
    let server = attested_server(&back, peers(&["front"]));
    let mut client = attested_client(&front, server.net.port(), peers(&["back"]));
    let thread = server.echo(1);
    let number = client.sockets.accept(FIRST, true).unwrap();
    client.sockets.close(number);
    thread.join().unwrap();
    let old = Message::Evidence { evidence: back.made.lock().unwrap()[0][..].into() };
    let (port, middle) = impostor(SPEAKS, move |client| {
        let mut client = client.unwrap();
        client.say(&hello()).unwrap();
        assert!(matches!(client.hear(), Ok(Message::Hello { .. })));
        assert!(matches!(client.hear(), Ok(Message::Evidence { .. })));
        client.say(&old).unwrap();
        client.hear()
    });
    let mut client = attested_client(&front, port, peers(&["back"]));
    assert_eq!(client.sockets.accept(FIRST, true), Err(Failure::Denied));
    assert_eq!(middle.join().unwrap(), Ok(Message::Refused));
}

#[test]
fn who_leaves_out_the_exchange_or_a_part_of_it_gets_and_gives_no_bytes() {
    let (front, back) = (plainly(1, "front", 1), plainly(1, "back", 1));
    // A server without the protocol, as one that knows nothing of it.
    let (port, middle) = impostor(Shows::default(), |client| client.map(drop));
    let mut client = attested_client(&front, port, peers(&["back"]));
    assert_eq!(client.sockets.send(FIRST, b"secret", true), Err(Failure::Protocol));
    let _ = middle.join().unwrap();
    // A server that says too little, or something else.
    type Says = fn(&mut Middle);
    let says: [Says; 5] = [
        |middle| middle.say(&Message::Welcome).unwrap(),
        |middle| middle.say(&Message::Refused).unwrap(),
        |middle| middle.send(b"HTTP/1.1 200 OK\r\n\r\n").unwrap(),
        |middle| {
            middle.say(&hello()).unwrap();
            middle.say(&hello()).unwrap();
        },
        |middle| middle.say(&Message::Hello { nonce: vec![7; 31][..].into() }).unwrap(),
    ];
    for (at, says) in says.into_iter().enumerate() {
        let (port, middle) = impostor(SPEAKS, move |client| {
            let mut client = client.unwrap();
            says(&mut client);
            while client.read().is_ok_and(|bytes| !bytes.is_empty()) {}
        });
        let mut client = attested_client(&front, port, peers(&["back"]));
        let wanted = if at == 1 { Failure::Denied } else { Failure::Protocol };
        assert_eq!(client.sockets.send(FIRST, b"secret", true), Err(wanted), "{at}");
        middle.join().unwrap();
    }
    // Clients of both kinds, which the server's program never gets.
    let server = attested_server(&back, peers(&["front"]));
    let port = server.net.port();
    let (stdio, net) = (server.stdio.clone(), server.net.clone());
    let thread = server.echo(1);
    let no_certificate = Shows { no_certificate: true, ..SPEAKS };
    let tried = [Shows::default(), no_certificate].map(|shows| {
        to(port, shows).and_then(|mut client| {
            client.send(b"hello")?;
            client.read()
        })
    });
    let has_bytes =
        |tried: &Result<Vec<u8>, String>| tried.as_ref().is_ok_and(|bytes| !bytes.is_empty());
    assert!(!tried.iter().any(has_bytes), "{tried:?}");
    let says: [Says; 4] = [
        |middle| middle.say(&Message::Welcome).unwrap(),
        |middle| {
            middle.say(&hello()).unwrap();
            middle.say(&Message::Welcome).unwrap();
        },
        |middle| {
            let evidence = Message::Evidence { evidence: b"1 front 1 "[..].into() };
            middle.say(&evidence).unwrap();
        },
        // A message that would be longer than any.
        |middle| middle.send(&[0, 255, 255, 255, 255]).unwrap(),
    ];
    for says in says {
        let mut client = to(port, SPEAKS).unwrap();
        says(&mut client);
        while client.read().is_ok_and(|bytes| !bytes.is_empty()) {}
    }
    // One that sends evidence without end.
    let mut client = to(port, SPEAKS).unwrap();
    client.send(&[&[0][..], &u32::try_from(MAX_MESSAGE).unwrap().to_be_bytes()].concat()).unwrap();
    while client.send(&[0; 10_000]).is_ok() {}
    // And certificates without end.
    assert!(to(port, Shows { more: 400, ..SPEAKS }).and_then(|mut client| client.hear()).is_err());
    assert!(net.waits.load(Ordering::SeqCst) < 5000, "it does not spin");
    stdio.stop();
    let (_, ends) = thread.join().unwrap();
    assert_eq!(ends, [Err(Failure::Interrupted)]);
    assert!(back.made.lock().unwrap().is_empty());
}

#[test]
fn a_client_with_a_certificate_alone_is_accepted_only_if_the_manifest_says_so() {
    let back = plainly(1, "back", 1);
    let server = attested_server(&back, Peers { stale: true, ..peers(&["front"]) });
    let port = server.net.port();
    let thread = server.echo(1);
    let mut client = to(port, Shows::default()).unwrap();
    client.send(b"hello").unwrap();
    assert_eq!(client.read(), Ok(b"hello".to_vec()));
    drop(client);
    let (_, ends) = thread.join().unwrap();
    assert_eq!(ends, [Err(Failure::Reset)]);
}
