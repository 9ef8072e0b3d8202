//! Whoever is in the middle of attested connections: an end of TLS with a key of its own, that takes any
//! certificate and says what it likes.

use super::common::{LIMIT, tls_identity};
use graviola::hashing::Sha256;
use graviola::signing::ecdsa::{P256, SigningKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, Signer, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, DistinguishedName, Error,
    ServerConfig, ServerConnection, SignatureAlgorithm, SignatureScheme,
};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use twine_channel::frame::{Decoder, Kind};
use twine_channel::peer::{MAX_MESSAGE, Message};

#[derive(Clone)]
struct Signs(Arc<SigningKey<P256>>);

impl std::fmt::Debug for Signs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signs")
    }
}

impl rustls::sign::SigningKey for Signs {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(self.clone()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for Signs {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut room = [0; 128];
        Ok(self.0.sign_asn1::<Sha256>(&[message], &mut room).unwrap().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

#[derive(Debug)]
struct Any(Arc<CryptoProvider>);

type Checked = Result<HandshakeSignatureValid, Error>;

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Checked {
        unreachable!()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Checked {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Any {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Checked {
        unreachable!()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Checked {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

/// An end of TLS.
pub struct Middle {
    tls: Connection,
    stream: TcpStream,
    decoder: Decoder,
}

/// What an end of TLS shows.
#[derive(Default, Clone, Copy)]
pub struct Shows<'a> {
    pub protocol: Option<&'a [u8]>,
    pub no_certificate: bool,
    /// How many more certificates follow its own.
    pub more: usize,
}

impl Middle {
    /// Makes the handshake with a server, or with the client that this stream leads to.
    pub fn new(stream: TcpStream, listens: bool, shows: Shows<'_>) -> Result<Self, String> {
        let provider = Arc::new(rustls_graviola::default_provider());
        let any = Arc::new(Any(provider.clone()));
        let identity = tls_identity();
        let mut chain = vec![CertificateDer::from(identity.certificate)];
        chain.extend((0..shows.more).map(|_| chain[0].clone()).collect::<Vec<_>>());
        let key = CertifiedKey::new(chain, Arc::new(Signs(identity.key)));
        let resolver = Arc::new(SingleCertAndKey::from(key));
        let protocols: Vec<_> = shows.protocol.iter().map(|name| name.to_vec()).collect();
        let tls13 = &[&rustls::version::TLS13];
        let tls: Connection = if listens {
            let mut config = ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(tls13)
                .unwrap()
                .with_client_cert_verifier(any)
                .with_cert_resolver(resolver);
            config.alpn_protocols = protocols;
            ServerConnection::new(Arc::new(config)).unwrap().into()
        } else {
            let config = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(tls13)
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(any);
            let mut config = match shows.no_certificate {
                true => config.with_no_client_auth(),
                false => config.with_client_cert_resolver(resolver),
            };
            config.alpn_protocols = protocols;
            ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap().into()
        };
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let decoder = Decoder::new(MAX_MESSAGE);
        let mut middle = Middle { tls, stream, decoder };
        while middle.tls.is_handshaking() {
            middle.complete()?;
        }
        middle.complete_writes()?;
        Ok(middle)
    }

    fn complete(&mut self) -> Result<(), String> {
        let done = self.tls.complete_io(&mut self.stream);
        done.map(drop).map_err(|error| error.to_string())
    }

    fn complete_writes(&mut self) -> Result<(), String> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.stream).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.tls.set_buffer_limit(None);
        self.tls.writer().write_all(bytes).map_err(|error| error.to_string())?;
        self.complete_writes()
    }

    pub fn say(&mut self, message: &Message) -> Result<(), String> {
        self.send(&message.to_frame())
    }

    /// Reads some bytes, or none at the end.
    pub fn read(&mut self) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; 20_000];
        loop {
            match self.tls.reader().read(&mut bytes) {
                Ok(count) => {
                    bytes.truncate(count);
                    return Ok(bytes);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let read = self.tls.read_tls(&mut self.stream);
                    if read.map_err(|error| error.to_string())? == 0 {
                        return Err("cut off".into());
                    }
                    self.tls.process_new_packets().map_err(|error| error.to_string())?;
                    self.complete_writes()?;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Hears the next message.
    pub fn hear(&mut self) -> Result<Message, String> {
        loop {
            if let Some(frame) = self.decoder.take().map_err(|error| error.to_string())? {
                assert_eq!(frame.kind, Kind::Message);
                return Message::decode(&frame.body).map_err(|error| error.to_string());
            }
            match &self.read()?[..] {
                [] => return Err("the end".into()),
                bytes => self.decoder.push(bytes),
            }
        }
    }
}
