//! `twine verify HOST:PORT`: the certificate of a TLS server, with evidence.

mod common;

use common::{Ended, Folder, run, twine};
use graviola::hashing::Sha256;
use graviola::signing::ecdsa::{P256, SigningKey};
use rcgen::{CertificateParams, CustomExtension, PublicKeyData};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use twine_evidence::bytes::Digest;
use twine_evidence::claims::{Claims, evidence, report_data};
use twine_evidence::statement::{self, Image, Run, Statement, Subject};

/// The key of a server.
struct Key {
    key: SigningKey<P256>,
    spki: Vec<u8>,
}

impl Key {
    fn new() -> Self {
        let key = SigningKey::<P256>::generate().unwrap();
        let mut room = [0; 128];
        let spki = key.to_spki_der(&mut room).unwrap().to_vec();
        Key { key, spki }
    }

    fn private(&self) -> PrivateKeyDer<'static> {
        let mut room = [0; 256];
        let der = self.key.to_pkcs8_der(&mut room).unwrap().to_vec();
        PrivatePkcs8KeyDer::from(der).into()
    }

    /// Makes a certificate with simulated evidence for the public key `of`.
    fn certificate(&self, of: &Key) -> CertificateDer<'static> {
        // As other projects have it: {"pubkey-hash": bstr([1, SHA-256])}, and no launch statement.
        let head = [&[0xa1, 0x6b][..], b"pubkey-hash", &[0x58, 0x24, 0x82, 0x01, 0x58, 0x20]];
        self.with_claims(&[&head.concat()[..], &Digest::of(&of.spki).0].concat())
    }

    /// Makes the certificate of an enclave that waits for deployments.
    fn of_host(&self) -> CertificateDer<'static> {
        let key = Digest::of(&self.spki);
        let image = Image { runtime: "0.1.0".into(), heap: 1, code: 1, guards: 1 };
        let run = Run { key: Some(key), ..Run::default() };
        let statement =
            Statement { version: statement::VERSION, subject: Subject::Host, image, run }.encode();
        self.with_claims(&Claims { key, nonce: None, statement }.encode())
    }

    /// Makes a certificate with simulated evidence for these claims.
    fn with_claims(&self, claims: &[u8]) -> CertificateDer<'static> {
        // Only what the policy looks at: CPUSVN, INIT and MODE64BIT, MRENCLAVE, REPORTDATA.
        let machine = sgx_sim::Device::throwaway().unwrap();
        let mut report = [0; 384];
        report[..16].copy_from_slice(&machine.cpusvn());
        report[48] = 5;
        report[64..96].fill(0xaa);
        report[320..].copy_from_slice(&report_data(claims));
        let enclave = sgx_sim_quoting::QuotingEnclave::new(&machine).unwrap();
        let quote = enclave.forge_quote(&report).unwrap();
        let mut parameters = CertificateParams::new(vec!["localhost".into()]).unwrap();
        parameters.serial_number = Some(1.into());
        parameters.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![1]);
        parameters.custom_extensions = vec![CustomExtension::from_oid_content(
            &[2, 23, 133, 5, 4, 9],
            evidence(&quote, claims),
        )];
        parameters.self_signed(self).unwrap().into()
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.spki[26..]
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

/// Starts a TLS server that makes one handshake.
fn server(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let provider = Arc::new(rustls_graviola::default_provider());
    let key = provider.key_provider.load_private_key(key).unwrap();
    let chosen = rustls::sign::CertifiedKey::new(vec![certificate], key);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(chosen)));
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
        // The client may end the handshake.
        while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
    });
    address
}

fn verify(peer: &str) -> Ended {
    let folder = Folder::new();
    let policy =
        format!("root = \"simulation\"\n[enclave]\nmeasurements = [\"{}\"]\n", "aa".repeat(32));
    let policy = folder.file("policy.toml", policy);
    run(twine().current_dir(folder.path()).args(["verify", peer, "--policy"]).arg(policy))
}

#[test]
fn the_certificate_of_a_server_is_verified_with_its_evidence() {
    let key = Key::new();
    let ended = verify(&server(key.certificate(&key), key.private()).to_string());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("it is that of the certificate's key"), "{ended:?}");
    assert!(ended.out.contains("nothing shows that the evidence is new"), "{ended:?}");
}

#[test]
fn the_certificate_of_an_enclave_that_waits_for_deployments_is_understood() {
    let key = Key::new();
    let ended = verify(&server(key.of_host(), key.private()).to_string());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (sign, name, reason) in [
        ("warning", "nonce", "a certificate only, not fresh"),
        ("-", "manifest", "no program: it is an enclave that waits for deployments"),
    ] {
        let is_said = |line: &str| {
            let mut words = line.split_whitespace();
            words.next() == Some(sign) && words.next() == Some(name) && line.contains(reason)
        };
        assert!(ended.out.lines().any(is_said), "{name} {ended:?}");
    }
}

#[test]
fn evidence_for_another_key_is_refused() {
    let key = Key::new();
    let ended = verify(&server(key.certificate(&Key::new()), key.private()).to_string());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("refused: pubkey-hash"), "{ended:?}");
}

#[test]
fn a_server_without_the_key_of_its_certificate_makes_no_handshake() {
    let key = Key::new();
    let address = server(key.certificate(&key), Key::new().private());
    verify(&address.to_string()).failed_with(1, "no TLS handshake");
}

#[test]
fn servers_that_are_not_there_or_speak_no_tls_are_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let text = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"220 mail.example.org ESMTP\r\n");
    });
    verify(&address.to_string()).failed_with(1, "no TLS handshake");
    text.join().unwrap();
    verify(&address.to_string()).failed_with(1, "can't be reached");
    verify("no-such-host.invalid:443").failed_with(1, "can't be reached");
}
