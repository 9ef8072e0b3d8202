//! Sockets of deployments: their programs know nothing of TLS.

mod common;

use common::Ended;
use common::hosting::{Deployer, Host};
use graviola::hashing::Sha256;
use graviola::signing::ecdsa::{P256, SigningKey};
use rcgen::{CertificateParams, KeyIdMethod, PublicKeyData, SerialNumber};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// What the programs import.
const IMPORTS: &str = r#"
    (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_set_flags"
      (func $set_flags (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get"
      (func $environ (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 2)
    (func $must (param $errno i32)
      (if (local.get $errno) (then (call $exit (local.get $errno)))))
    ;; Reads some bytes of $from and writes them to $to. Returns their number.
    (func $pass (param $from i32) (param $to i32) (result i32)
      (i32.store (i32.const 16) (i32.const 4096))
      (i32.store (i32.const 20) (i32.const 65536))
      (call $must (call $read (local.get $from) (i32.const 16) (i32.const 1) (i32.const 24)))
      (i32.store (i32.const 20) (i32.load (i32.const 24)))
      (call $must (call $write (local.get $to) (i32.const 16) (i32.const 1) (i32.const 28)))
      (i32.load (i32.const 24)))"#;

/// Accepts connections on descriptor 3, one after the other, and sends back what comes. Exits with 99
/// if it has a variable.
fn serves() -> String {
    format!(
        r#"(module {IMPORTS}
        (func (export "_start") (local $connection i32)
          (call $must (call $environ (i32.const 0) (i32.const 4)))
          (if (i32.load (i32.const 0)) (then (call $exit (i32.const 99))))
          (call $must (call $set_flags (i32.const 3) (i32.const 0)))
          (loop $next
            (call $must (call $accept (i32.const 3) (i32.const 0) (i32.const 0)))
            (local.set $connection (i32.load (i32.const 0)))
            (loop $more
              (br_if $more (call $pass (local.get $connection) (local.get $connection))))
            (drop (call $close (local.get $connection)))
            (br $next))))"#
    )
}

/// Sends its input on descriptor 3, and writes as many bytes as come back to its output.
fn calls() -> String {
    format!(
        r#"(module {IMPORTS}
        (func (export "_start")
          (if (call $pass (i32.const 0) (i32.const 3))
            (then (drop (call $pass (i32.const 3) (i32.const 1)))))))"#
    )
}

/// Waits for its input and for connections on descriptor 3 together, and writes `i` or `c` for what is
/// there, until its input ends.
const WAITS: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff"
      (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 600) "ic")
    (func (export "_start")
      ;; Two subscriptions to read: `userdata` 0 for descriptor 0, and 1 for descriptor 3.
      (i32.store8 (i32.const 8) (i32.const 1))
      (i32.store (i32.const 48) (i32.const 1))
      (i32.store8 (i32.const 56) (i32.const 1))
      (i32.store (i32.const 64) (i32.const 3))
      (loop $next
        (if (call $poll (i32.const 0) (i32.const 200) (i32.const 2) (i32.const 300))
          (then (call $exit (i32.const 98))))
        (if (i32.load (i32.const 200))
          (then
            (if (call $accept (i32.const 3) (i32.const 0) (i32.const 304))
              (then (call $exit (i32.const 97)))))
          (else
            (i32.store (i32.const 400) (i32.const 500))
            (i32.store (i32.const 404) (i32.const 1))
            (drop (call $read (i32.const 0) (i32.const 400) (i32.const 1) (i32.const 408)))
            (if (i32.eqz (i32.load (i32.const 408))) (then (call $exit (i32.const 0))))))
        (i32.store (i32.const 400) (i32.add (i32.const 600) (i32.load (i32.const 200))))
        (i32.store (i32.const 404) (i32.const 1))
        (drop (call $write (i32.const 1) (i32.const 400) (i32.const 1) (i32.const 408)))
        (br $next))))"#;

/// Errors of WASI.
const ACCES: i32 = 2;
const CONNREFUSED: i32 = 14;

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).unwrap().port()
}

/// Adds tables to the manifest of a program, and signs it again.
fn add(owner: &Deployer, name: &str, tables: &str) {
    let path = owner.0.folder().path().join(format!("{name}.toml"));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text + "\n" + tables).unwrap();
    owner.0.sign(name);
}

/// Makes a program with these sockets.
fn program(owner: &Deployer, name: &str, text: &str, options: &[&str], tables: &str) {
    owner.program(name, text, options);
    add(owner, name, tables);
}

/// Waits until somebody listens.
fn connect(port: u16) -> TcpStream {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}

// ------------------------------------------------------------------------------ certificates

struct Key {
    key: SigningKey<P256>,
    spki: Vec<u8>,
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.spki[self.spki.len() - 65..]
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut room = [0; 128];
        Ok(self.key.sign_asn1::<Sha256>(&[message], &mut room).unwrap().to_vec())
    }
}

/// Makes a certificate for localhost in `cert.pem`, and its key in `key.pem`. Returns the certificate.
fn certificate(owner: &Deployer) -> CertificateDer<'static> {
    let key = SigningKey::<P256>::generate().unwrap();
    let mut room = [0; 256];
    let spki = key.to_spki_der(&mut room).unwrap().to_vec();
    let private = pem::encode(&pem::Pem::new("PRIVATE KEY", key.to_pkcs8_der(&mut room).unwrap()));
    let mut parameters = CertificateParams::new(vec!["localhost".into()]).unwrap();
    parameters.serial_number = Some(SerialNumber::from_slice(&[1]));
    parameters.key_identifier_method = KeyIdMethod::PreSpecified(vec![1]);
    let certificate = parameters.self_signed(&Key { key, spki }).unwrap();
    let folder = owner.0.folder();
    folder.file("key.pem", private);
    folder.file("cert.pem", pem::encode(&pem::Pem::new("CERTIFICATE", &certificate.der()[..])));
    certificate.der().clone()
}

fn tls(root: &CertificateDer<'static>, port: u16) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls_graviola::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), connect(port))
}

const SECRETS: [&str; 4] = ["--secret", "CERT=@cert.pem", "--secret", "KEY=@key.pem"];

/// A socket with the certificate.
fn web(port: u16) -> String {
    format!(
        "[[listen]]\nname = \"web\"\nport = {port}\ntls = \"certificate\"\ncertificate = \"CERT\"\n\
         key = \"KEY\"\n"
    )
}

#[test]
fn a_deployment_serves_tls_with_a_certificate_from_a_secret_until_it_is_stopped() {
    let host = Host::start(&["--allow-listen", "127.0.0.1"]);
    let owner = Deployer::new();
    let root = certificate(&owner);
    let port = free_port();
    program(&owner, "web", &serves(), &["--secret", "CERT", "--secret", "KEY"], &web(port));
    owner.deploy(&host, "web", &[&["--detach"][..], &SECRETS].concat(), b"").printed("");
    for _ in 0..2 {
        let mut client = tls(&root, port);
        let much = vec![b'x'; 200_000];
        client.write_all(&much[..50_000]).unwrap();
        let mut back = vec![0; 50_000];
        client.read_exact(&mut back).unwrap();
        assert!(back == much[..50_000]);
        client.conn.send_close_notify();
        client.flush().unwrap();
        assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), 0, "the end is authentic");
    }
    // What is no TLS does not reach the program, which waits on.
    let mut plain = connect(port);
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = plain.read_to_end(&mut Vec::new());
    assert!(host.log().contains("/web: web listens on 127.0.0.1:"), "{}", host.log());
    owner.manage(&host, "stop", "web", &[]).printed("");
    // It handles no signals.
    owner.wait(&host, "web", "interrupted");
    let end = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(Instant::now() < end, "nobody listens any more");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_operator_that_allows_nothing_and_a_wrong_certificate_are_told_to_the_owner() {
    let host = Host::start(&["--allow-connect", "*.example.com", "--allow-listen", "[::1]:1"]);
    let owner = Deployer::new();
    certificate(&owner);
    let port = free_port();
    program(&owner, "web", &serves(), &["--secret", "CERT", "--secret", "KEY"], &web(port));
    let refused = |ended: Ended, cause: &str, remedy: &str| {
        ended.failed_with(1, cause);
        assert!(ended.err.contains(remedy), "{ended:?}");
    };
    let cause = format!("wants to listen on port {port}, and this host's operator does not allow");
    refused(owner.deploy(&host, "web", &SECRETS, b""), &cause, "`twine host --allow-listen`");
    assert!(host.log().contains("does not listen"), "{}", host.log());
    let wrong = ["--secret", "CERT=@key.pem", "--secret", "KEY=@key.pem"];
    let cause = "the certificate of the socket web can't be used: there is no certificate in PEM";
    refused(owner.deploy(&host, "web", &wrong, b""), cause, "--secret CERT=@FILE");
    let tables = "[[connect]]\nname = \"db\"\naddress = \"example.com:5432\"\ntls = \"none\"\n";
    program(&owner, "call", &calls(), &[], tables);
    let cause = "to connect to example.com, port 5432, and this host's operator";
    refused(owner.deploy(&host, "call", &[], b"x"), cause, "`twine host --allow-connect`");
}

#[test]
fn a_program_connects_without_tls_and_sees_that_nobody_listens() {
    let host = Host::start(&["--allow-connect", "localhost"]);
    let owner = Deployer::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let tables =
        format!("[[connect]]\nname = \"echo\"\naddress = \"localhost:{port}\"\ntls = \"none\"\n");
    program(&owner, "call", &calls(), &[], &tables);
    let echo = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
    });
    owner.deploy(&host, "call", &[], b"hello").printed("hello");
    echo.join().unwrap();
    let ran = owner.deploy(&host, "call", &[], b"hello");
    assert_eq!(ran.code, Some(CONNREFUSED), "{ran:?}");
}

#[test]
fn a_program_that_waits_for_its_owner_and_for_connections_wakes_for_both() {
    let host = Host::start(&["--allow-listen", "127.0.0.1"]);
    let owner = Deployer::new();
    let port = free_port();
    let tables = format!("[[listen]]\nname = \"plain\"\nport = {port}\ntls = \"none\"\n");
    program(&owner, "waits", WAITS, &[], &tables);
    let usual = ["deploy", "--quiet", &host.address, "waits.manifest", "waits.wat"];
    let mut command = owner.command(&usual);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut wrote = || {
        let mut byte = [0];
        output.read_exact(&mut byte).unwrap();
        char::from(byte[0])
    };
    let first = connect(port);
    assert_eq!(wrote(), 'c');
    for _ in 0..3 {
        input.write_all(b"x").unwrap();
        assert_eq!(wrote(), 'i');
        drop(connect(port));
        assert_eq!(wrote(), 'c');
    }
    drop((input, first));
    assert!(child.wait().unwrap().success());
}

// ------------------------------------------------------------------------------ attested

/// A socket that listens for these deployments.
fn inner(port: u16, deployments: &str, more: &str) -> String {
    format!(
        "[[listen]]\nname = \"inner\"\nport = {port}\ntls = \"attested\"\ndeployments = \
         [{deployments}]\n{more}"
    )
}

/// A socket that connects to these deployments.
fn outer(port: u16, deployments: &str, more: &str) -> String {
    format!(
        "[[connect]]\nname = \"back\"\naddress = \"localhost:{port}\"\ntls = \"attested\"\n\
         deployments = [{deployments}]\n{more}"
    )
}

#[test]
fn two_deployments_on_two_hosts_talk_over_attested_tls_and_others_are_refused() {
    let first = Host::start(&["--allow-listen", "127.0.0.1"]);
    let second = Host::start(&["--allow-connect", "localhost"]);
    let owner = Deployer::new();
    let port = free_port();
    let accepted = "\"front\", \"strict\", \"newer\", \"elsewhere\"";
    program(&owner, "back", &serves(), &[], &inner(port, accepted, "least-version = 1\n"));
    owner.deploy(&first, "back", &["--detach"], b"").printed("");
    drop(connect(port));
    program(&owner, "front", &calls(), &[], &outer(port, "\"other\", \"back\"", ""));
    for text in ["hello", "and again"] {
        owner.deploy(&second, "front", &[], text.as_bytes()).printed(text);
    }
    let refused = |owner: &Deployer, name: &str, cause: &str| {
        let ran = owner.deploy(&second, name, &[], b"secret");
        assert_eq!((ran.code, &*ran.out), (Some(ACCES), ""), "{ran:?}");
        assert!(ran.err.contains("socket back: the other end is refused"), "{ran:?}");
        assert!(ran.err.contains(cause), "{ran:?}");
    };
    // Another name, and an older version, than this end demands.
    program(&owner, "strict", &calls(), &[], &outer(port, "\"other\"", ""));
    refused(&owner, "strict", "it is of the deployment");
    program(&owner, "newer", &calls(), &[], &outer(port, "\"back\"", "least-version = 2\n"));
    refused(&owner, "newer", "its version is 1, too old");
    let image = format!("images = [{{ measurement = \"{}\" }}]\n", "5a".repeat(32));
    program(&owner, "elsewhere", &calls(), &[], &outer(port, "\"back\"", &image));
    refused(&owner, "elsewhere", "no image of the manifest");
    // Another name than the other end demands.
    program(&owner, "stranger", &calls(), &[], &outer(port, "\"back\"", ""));
    refused(&owner, "stranger", "it is not satisfied with this deployment");
    // Another owner, who accepts the server, and is not accepted by it.
    let thief = Deployer::new();
    let public = fs::read_to_string(owner.0.folder().path().join("owner.pub")).unwrap();
    let whose = format!("owner = '''\n{public}'''\n");
    program(&thief, "front", &calls(), &[], &outer(port, "\"back\"", &whose));
    refused(&thief, "front", "it is not satisfied with this deployment");
    // The server was not held up, and its owner reads why.
    owner.deploy(&second, "front", &[], b"still here").printed("still here");
    let log = owner.manage(&first, "logs", "back", &[]);
    assert!(log.err.contains("socket inner: the other end is refused"), "{log:?}");
    owner.manage(&first, "stop", "back", &["--kill"]).printed("");
    owner.wait(&first, "back", "stopped");
}
