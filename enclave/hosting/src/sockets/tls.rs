//! TLS for the sockets of programs: the settings that a manifest asks for.

use super::attested::Attested;
use super::network::Network;
use crate::tls::{provider, without_resumption};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, DigitallySignedStruct,
    DistinguishedName, Error, RootCertStore, ServerConfig, ServerConnection, SignatureScheme,
};
use std::fmt;
use std::sync::Arc;
use twine_channel::peer;
use twine_evidence::sockets::Trust;

/// One end of a socket's connections.
#[derive(Debug, Clone)]
pub(super) enum Tls {
    /// Shows a certificate.
    Server(Arc<ServerConfig>),
    /// Checks a certificate.
    Client(Arc<ClientConfig>, ServerName<'static>),
    /// Shows a certificate with evidence, and demands one, on either end.
    Attested(Arc<Attested>),
}

/// The host's clock.
struct Clock(Arc<dyn Network>);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        self.0.date().map(UnixTime::since_unix_epoch)
    }
}

/// The cryptography of ordinary TLS: TLS 1.3 and 1.2, and all that certificates use.
fn ordinary() -> Arc<CryptoProvider> {
    Arc::new(rustls_graviola::default_provider())
}

/// The cryptography of attested TLS: that of the host's own connections, with a verification of
/// signatures.
fn strict() -> Arc<CryptoProvider> {
    let CryptoProvider { signature_verification_algorithms, .. } =
        rustls_graviola::default_provider();
    Arc::new(CryptoProvider { signature_verification_algorithms, ..provider() })
}

/// Makes a server's end of a chain of certificates and its key, both in PEM.
///
/// # Errors
/// The cause, in one line.
pub(super) fn server(network: &Arc<dyn Network>, chain: &[u8], key: &[u8]) -> Result<Tls, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the certificates are no PEM: {error}"))?;
    if chain.is_empty() {
        return Err("there is no certificate in PEM".into());
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| format!("there is no private key in PEM: {error}"))?;
    let config = ServerConfig::builder_with_details(ordinary(), Arc::new(Clock(network.clone())))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| error.to_string())?;
    without_resumption(&mut config);
    Ok(Tls::Server(Arc::new(config)))
}

/// Makes a client's end, which trusts these authorities.
///
/// # Errors
/// The cause, in one line.
pub(super) fn client(network: &Arc<dyn Network>, trust: &Trust, host: &str) -> Result<Tls, String> {
    let Trust { roots: pem, name } = trust;
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let root = root.map_err(|error| format!("the roots are no PEM: {error}"))?;
        roots.add(root).map_err(|error| format!("a root is no certificate: {error}"))?;
    }
    if roots.is_empty() {
        return Err("there is no root in PEM".into());
    }
    let name = name.as_deref().unwrap_or(host).to_owned();
    let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
    let provider = ordinary();
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone())
        .build()
        .map_err(|error| error.to_string())?;
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(Clock(network.clone())))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| error.to_string())?
        .with_webpki_verifier(verifier)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Tls::Client(Arc::new(config), name))
}

/// One end of a connection with attested TLS.
///
/// # Errors
/// The cryptography has nothing for it.
pub(super) fn attested(
    network: &Arc<dyn Network>,
    key: &CertifiedKey,
    listens: bool,
) -> Result<Connection, Error> {
    let (provider, clock) = (strict(), Arc::new(Clock(network.clone())));
    let any = Arc::new(AnyCertificate(provider.signature_verification_algorithms));
    if listens {
        let mut config = ServerConfig::builder_with_details(provider, clock)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(any)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key.clone())));
        without_resumption(&mut config);
        config.alpn_protocols = vec![peer::ALPN.to_vec()];
        return Ok(ServerConnection::new(Arc::new(config))?.into());
    }
    let mut config = ClientConfig::builder_with_details(provider, clock)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(any)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key.clone())));
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![peer::ALPN.to_vec()];
    // The name plays no part: evidence says who the server is.
    config.enable_sni = false;
    let name =
        ServerName::try_from("deployment.invalid").map_err(|_| Error::UnsupportedNameType)?;
    Ok(ClientConnection::new(Arc::new(config), name)?.into())
}

/// Takes any certificate, whose holder proves to have its key: that is for the handshake to check. Who
/// the holder is, evidence says.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
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
    ) -> Result<HandshakeSignatureValid, Error> {
        // TLS 1.2 is never offered.
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

impl ClientCertVerifier for AnyCertificate {
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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}
