//! Plain TLS 1.3 over loopback, from one thread to another, with the cryptography that Twine has.

use crate::error::{Error, Result, about};
use graviola::signing::ecdsa::{P256, SigningKey};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// The size of one write, in bytes: that of a piece of Twine's channel.
const PIECE: usize = 64 << 10;

struct Key {
    key: SigningKey<P256>,
    point: Vec<u8>,
}

impl rcgen::PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, rcgen::Error> {
        let mut room = [0; 128];
        let signed = self.key.sign_asn1::<graviola::hashing::Sha256>(&[message], &mut room);
        signed.map(<[u8]>::to_vec).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

fn wrong(error: impl std::fmt::Display) -> Error {
    Error::Program(format!("plain TLS: {error}"))
}

fn configs() -> Result<(Arc<ClientConfig>, Arc<ServerConfig>)> {
    let key = SigningKey::<P256>::generate().map_err(|_| wrong("no key"))?;
    let mut room = [0; 256];
    let spki = key.to_spki_der(&mut room).map_err(|_| wrong("no key"))?;
    let point = spki.last_chunk::<65>().map(|point| point.to_vec()).unwrap_or_default();
    let mut room = [0; 256];
    let pkcs8 = key.to_pkcs8_der(&mut room).map_err(|_| wrong("no key"))?.to_vec();
    let mut parameters = rcgen::CertificateParams::new(vec!["localhost".into()]).map_err(wrong)?;
    parameters.serial_number = Some(rcgen::SerialNumber::from_slice(&[1]));
    parameters.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![1]);
    let certificate = parameters.self_signed(&Key { key, point }).map_err(wrong)?.der().to_vec();
    let provider = Arc::new(rustls_graviola::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate.clone())).map_err(wrong)?;
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(wrong)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(wrong)?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate)],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8)),
        )
        .map_err(wrong)?;
    Ok((Arc::new(client), Arc::new(server)))
}

fn send(mut stream: impl Write, bytes: u64) -> std::io::Result<()> {
    let piece = vec![0; PIECE];
    for _ in 0..bytes / PIECE as u64 {
        stream.write_all(&piece)?;
    }
    stream.flush()
}

fn receive(mut stream: impl Read, bytes: u64) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut left = bytes;
    while left > 0 {
        match stream.read(&mut piece)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => left -= count as u64,
        }
    }
    Ok(())
}

/// Returns the seconds that a connection, a handshake and this many bytes take: to the server, or
/// from it.
///
/// # Errors
/// The connection failed.
pub(super) fn seconds(bytes: u64, to_server: bool) -> Result<f64> {
    let (client, server) = configs()?;
    let listener = about("loopback", TcpListener::bind("127.0.0.1:0"))?;
    let address = about("loopback", listener.local_addr())?;
    let start = Instant::now();
    let served = thread::spawn(move || -> Result<()> {
        let (stream, _) = about("loopback", listener.accept())?;
        let connection = ServerConnection::new(server).map_err(wrong)?;
        let mut stream = StreamOwned::new(connection, stream);
        match to_server {
            true => about("plain TLS", receive(&mut stream, bytes)),
            false => about("plain TLS", send(&mut stream, bytes)),
        }
    });
    let stream = about("loopback", TcpStream::connect(address))?;
    let name = ServerName::try_from("localhost").map_err(wrong)?;
    let connection = ClientConnection::new(client, name).map_err(wrong)?;
    let mut stream = StreamOwned::new(connection, stream);
    match to_server {
        true => about("plain TLS", send(&mut stream, bytes))?,
        false => about("plain TLS", receive(&mut stream, bytes))?,
    }
    served.join().map_err(|_| wrong("a thread panicked"))??;
    Ok(start.elapsed().as_secs_f64())
}
