//! The certificate of a TLS server, for `twine verify HOST:PORT`.

use crate::failure::Failure;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long all of it may take: to connect, and to make the handshake.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// How long each address of a name may take to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A connection that fails when its time is over, however often the server sends a byte.
struct Timed {
    stream: TcpStream,
    end: Instant,
}

/// Returns the time that is left until `end`.
///
/// # Errors
/// None is left.
fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(io::Error::new(ErrorKind::TimedOut, "the time for it is over")),
        false => Ok(left),
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.end)?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.end)?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Splits `HOST:PORT`, where HOST may be a name, an IPv4 address, or an IPv6 address in brackets.
/// `None` if `text` has another form.
pub(crate) fn address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!host.is_empty() && !host.contains('/')).then(|| (host.to_owned(), port))
}

/// Takes any certificate, whose holder proves to have its key: that is for the handshake to check.
/// What the certificate is worth, the verification of its evidence says.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // TLS 1.2 is never offered.
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Makes a handshake (TLS 1.3, RFC 8446) with the server, and returns its certificate in DER. The
/// server has proved that it has the certificate's key.
///
/// # Errors
/// The server can't be reached, or makes no handshake within 20 seconds.
pub(crate) fn certificate(host: &str, port: u16) -> Result<Vec<u8>, Failure> {
    certificate_within(TIME_LIMIT, host, port)
}

/// See [`certificate`], with another limit of time.
fn certificate_within(limit: Duration, host: &str, port: u16) -> Result<Vec<u8>, Failure> {
    let end = Instant::now() + limit;
    let unreachable = |error: &io::Error| {
        Failure::system(
            format!("{host}:{port} can't be reached: {error}"),
            error,
            "check the address, and that the server runs",
        )
    };
    let no_handshake = |error: &dyn std::fmt::Display| {
        Failure::new(
            format!("{host}:{port}: no TLS handshake: {error}"),
            "name a server that speaks TLS 1.3",
        )
    };
    let mut stream = connect(host, port, end).map_err(|error| unreachable(&error))?;
    let provider = Arc::new(rustls_graviola::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| no_handshake(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| no_handshake(&error))?;
    let mut connection =
        ClientConnection::new(Arc::new(config), name).map_err(|error| no_handshake(&error))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| no_handshake(&error))?;
    }
    match connection.peer_certificates() {
        Some([certificate, ..]) => Ok(certificate.to_vec()),
        _ => Err(no_handshake(&"the server has no certificate")),
    }
}

/// Connects to the first address that answers.
fn connect(host: &str, port: u16, end: Instant) -> io::Result<Timed> {
    let mut failed = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(end)?.min(CONNECT_LIMIT)) {
            Ok(stream) => return Ok(Timed { stream, end }),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_server_that_sends_a_byte_now_and_then_does_not_hold_the_command() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The head of a handshake record of 4096 bytes, and then its bytes one by one.
            let mut sent = stream.write_all(&[22, 3, 3, 16, 0]);
            let mut count = 0;
            while sent.is_ok() {
                std::thread::sleep(Duration::from_millis(20));
                sent = stream.write_all(&[2]);
                count += 1;
            }
            count
        });
        let start = Instant::now();
        let failure = certificate_within(Duration::from_secs(1), "127.0.0.1", port).unwrap_err();
        assert!(failure.cause().contains("no TLS handshake"), "{failure:?}");
        assert!((1..5).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert!(server.join().unwrap() > 10, "the server was sending all the time");
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        let parsed = |text| address(text).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(parsed("example.org:443").as_deref(), Some("example.org 443"));
        assert_eq!(parsed("127.0.0.1:1").as_deref(), Some("127.0.0.1 1"));
        assert_eq!(parsed("[::1]:8443").as_deref(), Some("::1 8443"));
        for wrong in ["", ":", ":443", "a", "a:", "a:b", "a:70000", "::1:443", "[::1:443", "a/b:1"]
        {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
