//! The server's side of TLS: version 1.3 only, without tickets and early data, so that each
//! connection has a full handshake with fresh keys (RFC 8446).

use crate::outside::{Outside, TlsIdentity};
use graviola::hashing::Sha256;
use graviola::signing::ecdsa::{self, P256};
use rustls::crypto::{
    CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{Error, ServerConfig, ServerConnection, SignatureAlgorithm, SignatureScheme};
use rustls_graviola::{kx, suites};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use twine_channel::ALPN;
use twine_evidence::bytes::Digest;

/// How long a certificate is used, by the host's clock. Its evidence says how old it is.
pub(crate) const RENEWAL: Duration = Duration::from_secs(6 * 60 * 60);

/// The key and the certificate that are used at present.
pub(crate) struct Tls {
    provider: Arc<CryptoProvider>,
    config: Arc<ServerConfig>,
    public: Digest,
    made: Duration,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Returns the cryptography of connections, all of it graviola's: two cipher suites, two key exchanges
/// (one of them hybrid, with ML-KEM), no verification of certificates, since clients have none, and no
/// private keys but that of [`Key`]. What is not named here is not in the image.
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![suites::TLS13_AES_128_GCM_SHA256, suites::TLS13_AES_256_GCM_SHA384],
        kx_groups: vec![kx::X25519MLKEM768, &kx::X25519],
        signature_verification_algorithms: WebPkiSupportedAlgorithms { all: &[], mapping: &[] },
        secure_random: &Random,
        key_provider: &NoKeys,
    }
}

#[derive(Debug)]
struct Random;

impl SecureRandom for Random {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        graviola::random::fill(bytes).map_err(|_| GetRandomFailed)
    }
}

/// Loads no private keys.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("no private keys are loaded".into()))
    }
}

/// The private key of the certificate, for ECDSA on P-256 with SHA-256.
#[derive(Clone)]
struct Key(Arc<ecdsa::SigningKey<P256>>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.scheme()).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut room = [0; 128];
        let signed = self.0.sign_asn1::<Sha256>(&[message], &mut room);
        let failed = |_| Error::General("the CPU returns no random bytes".into());
        signed.map(<[u8]>::to_vec).map_err(failed)
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

/// A certificate with evidence, and its key.
pub(crate) fn certified(identity: &TlsIdentity) -> CertifiedKey {
    let chain = vec![CertificateDer::from(identity.certificate.clone())];
    CertifiedKey::new(chain, Arc::new(Key(identity.key.clone())))
}

/// Makes each connection have a full handshake.
pub(crate) fn without_resumption(config: &mut ServerConfig) {
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
}

fn config(provider: &Arc<CryptoProvider>, identity: &TlsIdentity) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified(identity))));
    without_resumption(&mut config);
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

impl Tls {
    /// Makes a key and a certificate.
    ///
    /// # Errors
    /// The cause, in one line.
    pub(crate) fn new(outside: &dyn Outside) -> Result<Self, String> {
        let provider = Arc::new(provider());
        let identity = outside.tls_identity()?;
        let config = config(&provider, &identity).map_err(|error| error.to_string())?;
        let public = identity.public;
        Ok(Tls { provider, config: Arc::new(config), public, made: outside.now() })
    }

    /// Makes another key and certificate, if the time of these is over.
    ///
    /// # Errors
    /// The cause, in one line. These are then used on.
    pub(crate) fn renew(&mut self, outside: &dyn Outside) -> Result<(), String> {
        let now = outside.now();
        if now.saturating_sub(self.made) < RENEWAL {
            return Ok(());
        }
        // If it fails, it is tried again after as much time.
        self.made = now;
        let identity = outside.tls_identity()?;
        let config = config(&self.provider, &identity).map_err(|error| error.to_string())?;
        self.config = Arc::new(config);
        self.public = identity.public;
        Ok(())
    }

    /// The SHA-256 of the public key.
    pub(crate) fn public(&self) -> Digest {
        self.public
    }

    /// The server's end of a new connection.
    pub(crate) fn connection(&self) -> Result<ServerConnection, Error> {
        ServerConnection::new(self.config.clone())
    }
}
