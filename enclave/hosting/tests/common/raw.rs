//! A client that says whatever a test wants, and somebody in the middle who ends TLS.

use super::{LIMIT, Owner, Way, evidence};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use twine_channel::frame::{Decoder, Frame, Kind, MAX_MESSAGE, head};
use twine_channel::message::{Answer, Request};
use twine_channel::{ALPN, VERSION};
use twine_evidence::bytes::Digest;
use twine_evidence::channel::{self, OWNER_LABEL};
use twine_hosting::TlsIdentity;

/// A TLS configuration of a client that takes any certificate.
pub fn client_config() -> Arc<ClientConfig> {
    let mut config = twine_client::config(&[ALPN]).unwrap();
    // A hostile client tries to resume.
    config.resumption = Resumption::default();
    Arc::new(config)
}

/// A client, which may be hostile.
pub struct Raw {
    pub stream: StreamOwned<ClientConnection, TcpStream>,
    decoder: Decoder,
}

/// The nonce of hostile clients.
pub const NONCE: [u8; 32] = [5; 32];

impl Raw {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut connection = ClientConnection::new(client_config(), name).unwrap();
        connection.set_buffer_limit(None);
        let mut stream = stream;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).unwrap();
        }
        Raw { stream: StreamOwned::new(connection, stream), decoder: Decoder::new(MAX_MESSAGE) }
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    pub fn frame(&mut self, kind: Kind, body: &[u8]) -> io::Result<()> {
        self.send(&[&head(kind, body.len())[..], body].concat())
    }

    pub fn ask(&mut self, request: &Request) -> io::Result<()> {
        self.send(&request.to_frame())
    }

    /// Returns the next frame. `None` if the connection ends, in one way or another.
    pub fn next(&mut self) -> Option<Frame> {
        let mut piece = [0; 4096];
        loop {
            if let Some(frame) = self.decoder.take().unwrap() {
                return Some(frame);
            }
            match self.stream.read(&mut piece) {
                Ok(0) => return None,
                Ok(count) => self.decoder.push(&piece[..count]),
                Err(error) => {
                    let hangs = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut]
                        .contains(&error.kind());
                    assert!(!hangs, "the server says nothing");
                    return None;
                }
            }
        }
    }

    pub fn answer(&mut self) -> Option<Answer> {
        let Frame { kind, body } = self.next()?;
        assert_eq!(kind, Kind::Message);
        Some(Answer::decode(&body).unwrap())
    }

    /// Asserts that the server refuses what was sent, and ends the connection. Returns the cause.
    pub fn refused(&mut self) -> String {
        let mut cause = None;
        while let Some(Frame { kind, body }) = self.next() {
            if let (Kind::Message, Ok(Answer::Refused { cause: found, .. })) =
                (kind, Answer::decode(&body))
            {
                cause = Some(found);
            }
        }
        cause.expect("a refusal")
    }

    pub fn exporter(&self, label: &[u8], nonce: &[u8]) -> [u8; 32] {
        self.stream.conn.export_keying_material([0; 32], label, Some(nonce)).unwrap()
    }

    /// Asks for evidence, and returns it.
    pub fn hello(&mut self) -> Option<Vec<u8>> {
        self.ask(&Request::Hello { version: VERSION, nonce: NONCE[..].into() }).ok()?;
        match self.answer()? {
            Answer::Evidence { evidence } => Some(evidence.0),
            other => panic!("{other:?}"),
        }
    }

    /// A proof for this connection and this nonce.
    pub fn proof(&self, owner: &Owner, nonce: &[u8]) -> Request {
        let exporter = self.exporter(OWNER_LABEL, nonce);
        let signature = owner.sign(&channel::owner_message(&exporter));
        Request::Prove { key: owner.public().der().into(), signature: signature[..].into() }
    }

    /// A connection whose other end knows the client.
    pub fn proven(port: u16, owner: &Owner) -> Self {
        let mut raw = Raw::connect(port);
        raw.hello().unwrap();
        let proof = raw.proof(owner, &NONCE);
        raw.ask(&proof).unwrap();
        assert_eq!(raw.answer(), Some(Answer::Welcome));
        raw
    }
}

/// What somebody in the middle who ends TLS does with a frame. `None` cuts the connection.
pub type Reader = Box<dyn FnMut(Way, Frame) -> Option<Vec<Frame>> + Send>;

/// Starts somebody in the middle who ends TLS, with a key of their own or a stolen one, and passes
/// frames on over another connection, to the server.
pub fn terminator(
    to: u16,
    identity: TlsIdentity,
    mut reader: impl FnMut() -> Reader + Send + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut room = [0; 256];
    let key = identity.key.to_pkcs8_der(&mut room).unwrap().to_vec();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let chain = vec![CertificateDer::from(identity.certificate)];
    let provider = Arc::new(rustls_graviola::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![ALPN.to_vec()];
    let config = Arc::new(config);
    thread::spawn(move || {
        for client in listener.incoming() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let client = StreamOwned::new(connection, client.unwrap());
            let (server, reader) = (Raw::connect(to), reader());
            thread::spawn(move || turn_about(client, server, reader));
        }
    });
    port
}

/// Passes one frame of the client on, and then one of the server, in turn.
fn turn_about(
    mut client: StreamOwned<ServerConnection, TcpStream>,
    mut server: Raw,
    mut reader: Reader,
) -> Option<()> {
    let mut decoder = Decoder::new(MAX_MESSAGE);
    let mut piece = [0; 4096];
    loop {
        let frame = loop {
            if let Some(frame) = decoder.take().ok()? {
                break frame;
            }
            let count = client.read(&mut piece).ok().filter(|count| *count > 0)?;
            decoder.push(&piece[..count]);
        };
        for Frame { kind, body } in reader(Way::ToServer, frame)? {
            server.frame(kind, &body).ok()?;
        }
        let frame = server.next()?;
        for Frame { kind, body } in reader(Way::ToClient, frame)? {
            client.write_all(&[&head(kind, body.len())[..], &body].concat()).ok()?;
            client.flush().ok()?;
        }
    }
}

/// The evidence that fits a connection of a hostile client.
pub fn fitting(raw: &Raw, key: Digest) -> Vec<u8> {
    let exporter = raw.exporter(channel::EVIDENCE_LABEL, &NONCE);
    let channel = channel::binder(channel::Role::Server, key, None, &exporter);
    evidence(key, &NONCE, channel)
}
