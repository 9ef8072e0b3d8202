//! Attested TLS: both ends show certificates with evidence, and then exchange fresh evidence over the
//! connection. A certificate with evidence alone could be an old one, or of another connection.

use super::network::{Failure, Network};
use super::tls;
use crate::outside::TlsIdentity;
use crate::tls::{RENEWAL, certified};
use rustls::Connection;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use twine_channel::NONCE_BYTES;
use twine_channel::frame::{Decoder, Kind};
use twine_channel::peer::{ALPN, MAX_MESSAGE, Message};
use twine_evidence::bytes::Digest;
use twine_evidence::channel::{self, EVIDENCE_LABEL, EXPORTER_BYTES, Role};
use twine_evidence::sockets::Peers;

/// What fresh evidence must be over.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The public key of whoever made it: a DER-encoded SubjectPublicKeyInfo.
    pub public_key: &'a [u8],
    /// The nonce.
    pub nonce: &'a [u8],
    /// The value of the connection ([`channel::binder`]).
    pub channel: Digest,
}

/// Makes and verifies evidence, for the sockets of one deployment.
pub trait Attestation: Send + Sync {
    /// Makes a key for TLS and a certificate with evidence of this launch.
    ///
    /// # Errors
    /// The cause, in one line.
    fn identity(&self) -> Result<TlsIdentity, String>;

    /// Makes evidence of this launch for a public key (its SHA-256), the other end's nonce and a
    /// connection.
    ///
    /// # Errors
    /// The cause, in one line.
    fn evidence(&self, key: Digest, nonce: &[u8], channel: Digest) -> Result<Vec<u8>, String>;

    /// Verifies fresh evidence of the other end: that it is one of `peers`, in an enclave that the
    /// manifest accepts, and what it is over.
    ///
    /// # Errors
    /// The cause, in one line: it is not.
    fn verify(&self, evidence: &[u8], peers: &Peers, expected: Expected<'_>) -> Result<(), String>;

    /// Verifies a certificate with evidence in the same way, which may be old.
    ///
    /// # Errors
    /// The cause, in one line.
    fn verify_certificate(&self, certificate: &[u8], peers: &Peers) -> Result<(), String>;
}

/// The key of this launch for TLS.
struct Own {
    certified: Arc<CertifiedKey>,
    public: Digest,
    made: Duration,
}

/// The key of this launch, which all its sockets share.
pub(super) struct Identity {
    attestation: Arc<dyn Attestation>,
    own: Mutex<Option<Own>>,
}

impl Identity {
    pub(super) fn new(attestation: Arc<dyn Attestation>) -> Self {
        Identity { attestation, own: Mutex::default() }
    }

    /// The key and its certificate, and the SHA-256 of the public key.
    fn own(&self, now: Duration) -> Result<(Arc<CertifiedKey>, Digest), String> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |own: &Own| now.saturating_sub(own.made) >= RENEWAL;
        if own.as_ref().is_none_or(is_old) {
            let identity = self.attestation.identity()?;
            let certified = Arc::new(certified(&identity));
            *own = Some(Own { certified, public: identity.public, made: now });
        }
        let own = own.as_ref().ok_or("there is no key")?;
        Ok((own.certified.clone(), own.public))
    }
}

/// The settings of a socket with attested TLS.
pub(super) struct Attested {
    identity: Arc<Identity>,
    peers: Peers,
    listens: bool,
}

impl fmt::Debug for Attested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attested").field("peers", &self.peers).finish_non_exhaustive()
    }
}

impl Attested {
    pub(super) fn new(identity: Arc<Identity>, peers: Peers, listens: bool) -> Self {
        Attested { identity, peers, listens }
    }

    /// One end of a new connection, with what follows its handshake.
    ///
    /// # Errors
    /// The cause, in one line.
    pub(super) fn connection(
        self: &Arc<Self>,
        network: &Arc<dyn Network>,
    ) -> Result<(Connection, Exchange), String> {
        let (key, own) = self.identity.own(network.now())?;
        let tls = tls::attested(network, &key, self.listens).map_err(|error| error.to_string())?;
        let mut nonce = [0; NONCE_BYTES];
        graviola::random::fill(&mut nonce).map_err(|_| "the CPU returns no random bytes")?;
        let decoder = Decoder::new(MAX_MESSAGE);
        let settings = self.clone();
        let exchange = Exchange {
            settings,
            own,
            peer: Vec::new(),
            nonce,
            other: None,
            verified: false,
            decoder,
        };
        Ok((tls, exchange))
    }
}

/// The exchange of evidence on one connection.
pub(super) struct Exchange {
    settings: Arc<Attested>,
    /// The SHA-256 of this end's public key.
    own: Digest,
    /// The other end's public key, once the handshake is complete.
    peer: Vec<u8>,
    nonce: [u8; NONCE_BYTES],
    /// The other end's nonce.
    other: Option<Vec<u8>>,
    /// Whether the other end's evidence was verified.
    verified: bool,
    decoder: Decoder,
}

/// How far an exchange is.
pub(super) enum Step {
    /// It goes on, once this was sent.
    Send(Vec<u8>),
    /// It is over. This is to be sent first.
    Done(Vec<u8>),
    /// More bytes are wanted.
    More,
}

/// Why an exchange failed.
pub(super) struct Refusal {
    /// What the program sees.
    pub(super) failure: Failure,
    /// The cause, for the owner.
    pub(super) cause: String,
    /// What to send before the end.
    pub(super) last: Vec<u8>,
}

impl Refusal {
    fn protocol(cause: impl Into<String>) -> Self {
        Refusal { failure: Failure::Protocol, cause: cause.into(), last: Vec::new() }
    }

    fn denied(cause: String, told: bool) -> Self {
        let last = if told { Message::Refused.to_frame() } else { Vec::new() };
        Refusal { failure: Failure::Denied, cause, last }
    }
}

/// Returns the public key in a certificate.
fn public_key(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(parsed.subject_public_key_info().to_vec())
}

impl Exchange {
    fn role(&self, own: bool) -> Role {
        if self.settings.listens == own { Role::Server } else { Role::Client }
    }

    /// Begins, after the handshake.
    ///
    /// # Errors
    /// The other end is not as it should be.
    pub(super) fn start(&mut self, tls: &Connection) -> Result<Step, Refusal> {
        let certificate = tls.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.ok_or(Refusal::protocol("it has no certificate"))?;
        let peer = public_key(certificate);
        self.peer = peer.ok_or(Refusal::protocol("its certificate has no key"))?;
        if tls.alpn_protocol() == Some(ALPN) {
            return Ok(Step::Send(Message::Hello { nonce: self.nonce[..].into() }.to_frame()));
        }
        if !(self.settings.peers.stale && self.settings.listens) {
            return Err(Refusal::protocol("it does not speak the protocol of attested TLS"));
        }
        let Attested { identity, peers, .. } = &*self.settings;
        let verified = identity.attestation.verify_certificate(certificate, peers);
        verified.map_err(|cause| Refusal::denied(cause, false))?;
        Ok(Step::Done(Vec::new()))
    }

    /// Takes bytes that came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.decoder.push(bytes);
    }

    /// The bytes after the exchange.
    pub(super) fn into_rest(self) -> Vec<u8> {
        self.decoder.into_rest()
    }

    /// Returns what binds evidence to the connection, that of this end (`own`) or of the other one.
    fn channel(&self, own: bool, nonce: &[u8], tls: &Connection) -> Result<Digest, Refusal> {
        let exported = tls.export_keying_material([0; EXPORTER_BYTES], EVIDENCE_LABEL, Some(nonce));
        let exporter = exported.map_err(|error| Refusal::protocol(error.to_string()))?;
        let peer = Digest::of(&self.peer);
        let (key, to) = if own { (self.own, peer) } else { (peer, self.own) };
        Ok(channel::binder(self.role(own), key, Some(to), &exporter))
    }

    /// Makes evidence of this end, as a message.
    fn prove(&self, tls: &Connection) -> Result<Vec<u8>, Refusal> {
        let nonce = self.other.as_deref().unwrap_or_default();
        let channel = self.channel(true, nonce, tls)?;
        let made = self.settings.identity.attestation.evidence(self.own, nonce, channel);
        let evidence = made.map_err(|cause| Refusal {
            failure: Failure::Io,
            cause: format!("no evidence was made for it: {cause}"),
            last: Vec::new(),
        })?;
        Ok(Message::Evidence { evidence: evidence[..].into() }.to_frame())
    }

    fn verify(&self, evidence: &[u8], tls: &Connection) -> Result<(), Refusal> {
        let channel = self.channel(false, &self.nonce, tls)?;
        let expected = Expected { public_key: &self.peer, nonce: &self.nonce, channel };
        let Attested { identity, peers, .. } = &*self.settings;
        let verified = identity.attestation.verify(evidence, peers, expected);
        verified.map_err(|cause| Refusal::denied(cause, true))
    }

    /// Takes the next message.
    ///
    /// # Errors
    /// The other end is not as it should be.
    pub(super) fn step(&mut self, tls: &Connection) -> Result<Step, Refusal> {
        let frame = self.decoder.take().map_err(|error| Refusal::protocol(error.to_string()))?;
        let Some(frame) = frame else { return Ok(Step::More) };
        if frame.kind != Kind::Message {
            return Err(Refusal::protocol("it sends something that is not expected"));
        }
        let message = Message::decode(&frame.body);
        let message = message.map_err(|error| Refusal::protocol(error.to_string()))?;
        let listens = self.settings.listens;
        match message {
            Message::Hello { nonce } if self.other.is_none() && nonce.0.len() == NONCE_BYTES => {
                self.other = Some(nonce.0);
                if listens { Ok(Step::Send(Vec::new())) } else { Ok(Step::Send(self.prove(tls)?)) }
            }
            Message::Evidence { evidence } if self.other.is_some() && !self.verified => {
                self.verify(&evidence.0, tls)?;
                self.verified = true;
                match listens {
                    // The client is verified first: whoever it is can't make this end quote.
                    true => Ok(Step::Send(self.prove(tls)?)),
                    false => Ok(Step::Done(Message::Welcome.to_frame())),
                }
            }
            Message::Welcome if self.verified && listens => Ok(Step::Done(Vec::new())),
            Message::Refused => {
                Err(Refusal::denied("it is not satisfied with this deployment".into(), false))
            }
            _ => Err(Refusal::protocol("it sends something that is not expected")),
        }
    }
}
