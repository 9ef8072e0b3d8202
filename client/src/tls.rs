//! TLS with any certificate.

use crate::error::Error;
use rustix::net::sockopt;
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

/// How long each address of a name may take to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A time limit for all of a connection's calls together.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimit(Instant);

impl TimeLimit {
    /// From now on, for this long.
    pub fn new(time: Duration) -> Self {
        TimeLimit(Instant::now() + time)
    }

    /// Returns the time that is left.
    ///
    /// # Errors
    /// None is left.
    pub(crate) fn left(self) -> io::Result<Duration> {
        let left = self.0.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(is_over()) } else { Ok(left) }
    }
}

fn is_over() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "the time for it is over")
}

/// Names what a socket with a limit of time calls EAGAIN.
fn timed(result: io::Result<usize>) -> io::Result<usize> {
    result.map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => is_over(),
        _ => error,
    })
}

/// A connection that fails when its time is over, however often the server sends a byte.
pub(crate) struct Timed<'a> {
    pub(crate) stream: &'a TcpStream,
    pub(crate) limit: TimeLimit,
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.limit.left()?))?;
        timed(self.stream.read(buffer))
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.limit.left()?))?;
        timed(self.stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
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

/// Returns the settings of a client that speaks TLS 1.3 alone, offers these application protocols, and
/// takes any certificate, whose holder must prove to have its key.
///
/// # Errors
/// The cryptography has nothing for TLS 1.3.
pub fn config(protocols: &[&[u8]]) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls_graviola::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct Opened {
    pub(crate) tls: ClientConnection,
    pub(crate) stream: TcpStream,
    /// The server's certificate in DER. The server has proved that it has its key.
    pub certificate: Vec<u8>,
}

/// Connects, and makes a handshake (TLS 1.3, RFC 8446) that offers these application protocols.
///
/// # Errors
/// The server can't be reached, or makes no handshake within the time.
pub fn open(host: &str, port: u16, protocols: &[&[u8]], limit: TimeLimit) -> Result<Opened, Error> {
    let address = || format!("{host}:{port}");
    let no_handshake = |cause: String| Error::Handshake { address: address(), cause };
    let stream = connect(host, port, limit)
        .map_err(|source| Error::Unreachable { address: address(), source })?;
    // Small messages go at once.
    let _ = stream.set_nodelay(true);
    notice_loss(&stream);
    let config = config(protocols).map_err(|error| no_handshake(error.to_string()))?;
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|error| no_handshake(error.to_string()))?;
    let mut tls = ClientConnection::new(Arc::new(config), name)
        .map_err(|error| no_handshake(error.to_string()))?;
    // With a limit, the end of a long message would be dropped.
    tls.set_buffer_limit(None);
    let mut timed = Timed { stream: &stream, limit };
    while tls.is_handshaking() {
        tls.complete_io(&mut timed).map_err(|error| no_handshake(error.to_string()))?;
    }
    let certificate = match tls.peer_certificates() {
        Some([certificate, ..]) => certificate.to_vec(),
        _ => return Err(no_handshake("the server has no certificate".into())),
    };
    Ok(Opened { tls, stream, certificate })
}

/// Lets the connection fail if the host is not reached for a minute. Without this, a client that
/// waits for output would wait for ever.
fn notice_loss(stream: &TcpStream) {
    const IDLE: Duration = Duration::from_secs(20);
    const UNREACHED_MILLISECONDS: u32 = 60_000;
    // It is of use, but nothing depends on it.
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, IDLE);
    let _ = sockopt::set_tcp_keepintvl(stream, IDLE);
    let _ = sockopt::set_tcp_user_timeout(stream, UNREACHED_MILLISECONDS);
}

/// Connects to the first address that answers.
fn connect(host: &str, port: u16, limit: TimeLimit) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, limit.left()?.min(CONNECT_LIMIT)) {
            Ok(stream) => return Ok(stream),
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
    fn a_server_that_sends_a_byte_now_and_then_does_not_hold_the_client() {
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
        let limit = TimeLimit::new(Duration::from_secs(1));
        let error = open("127.0.0.1", port, &[], limit).unwrap_err();
        assert!(matches!(error, Error::Handshake { .. }), "{error:?}");
        assert!((1..5).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert!(server.join().unwrap() > 10, "the server was sending all the time");
    }

    #[test]
    fn a_server_that_says_nothing_is_too_slow() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let limit = TimeLimit::new(Duration::from_secs(1));
        let error = open("127.0.0.1", port, &[], limit).unwrap_err();
        let wanted = format!("127.0.0.1:{port}: no TLS handshake: the time for it is over");
        assert_eq!(error.to_string(), wanted);
    }
}
