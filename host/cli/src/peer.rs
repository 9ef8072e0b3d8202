//! The certificate of a TLS server, for `twine verify HOST:PORT`.

use crate::failure::Failure;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// How long connecting may take, and each wait for the server.
const PATIENCE: Duration = Duration::from_secs(10);

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
pub(crate) fn certificate(host: &str, port: u16) -> Result<Vec<u8>, Failure> {
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
    let mut stream = connect(host, port).map_err(|error| unreachable(&error))?;
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
fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

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
