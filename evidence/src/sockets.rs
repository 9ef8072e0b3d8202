//! The sockets of a program: where they listen or connect to, and who may be at the other end.

use crate::bytes::{Bytes, Digest};
use crate::manifest::AllowedImage;
use minicbor::{Decode, Encode};

/// Limit on the sockets of a manifest.
pub const MAX_SOCKETS: usize = 64;

/// Limit on the length of a host's name, in bytes (RFC 1035, section 2.3.4).
pub const MAX_HOST_BYTES: usize = 253;

/// A socket that the program gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Socket {
    /// Its name. A local launch has sockets without names.
    #[n(0)]
    pub name: String,
    /// Whether it listens or connects.
    #[n(1)]
    pub way: Way,
    /// The host to connect to, by name or address. A listening socket has none.
    #[n(2)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub host: Option<String>,
    /// The port to connect to, or to listen on. A listening socket without one gets a port of the
    /// host's choice.
    #[n(3)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub port: Option<u16>,
    /// The certificate that a listening socket shows, if it has TLS with one.
    #[n(4)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub certificate: Option<Certificate>,
    /// The certificates that a connecting socket accepts, if it has TLS with them.
    #[n(5)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub trust: Option<Trust>,
    /// The deployments that may be at the other end, if it has attested TLS.
    #[n(6)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub attested: Option<Peers>,
}

/// Whether a socket listens or connects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(index_only)]
pub enum Way {
    /// It listens.
    #[default]
    #[n(0)]
    Listen,
    /// It connects.
    #[n(1)]
    Connect,
}

/// A certificate, by the names of secrets. The program does not see these secrets.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Certificate {
    /// The secret with the chain of certificates in PEM, the server's first.
    #[n(0)]
    pub chain: Bytes,
    /// The secret with its private key in PEM.
    #[n(1)]
    pub key: Bytes,
}

/// The certificates that a client accepts.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Trust {
    /// The certificates of the authorities, in PEM.
    #[n(0)]
    pub roots: String,
    /// The name that the server's certificate must be for, unless it is the host to connect to.
    #[n(1)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub name: Option<String>,
}

/// The deployments that may be at the other end of a socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Peers {
    /// The SHA-256 of the public key of their owner, unless it is the manifest's.
    #[n(0)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub owner: Option<Digest>,
    /// Their names.
    #[n(1)]
    pub deployments: Vec<String>,
    /// The images that may hold them. Without any, those of the manifest.
    #[n(2)]
    pub images: Vec<AllowedImage>,
    /// The least version of their manifests.
    #[n(3)]
    pub least_version: u64,
    /// Whether evidence in a certificate is enough, which may be old or of another connection.
    #[n(4)]
    pub stale: bool,
}

impl Socket {
    /// Whether it has TLS.
    pub fn has_tls(&self) -> bool {
        self.certificate.is_some() || self.trust.is_some() || self.attested.is_some()
    }

    /// Whether it has the parts that one of a manifest must have, and no others.
    pub(crate) fn is_complete(&self) -> bool {
        let Socket { name: _, way, host, port, certificate, trust, attested } = self;
        let kinds = [certificate.is_some(), trust.is_some(), attested.is_some()];
        let one_kind = kinds.into_iter().filter(|given| *given).count() <= 1;
        let host_and_port = match way {
            Way::Listen => host.is_none() && port.is_none_or(|port| port != 0) && trust.is_none(),
            Way::Connect => {
                host.as_deref().is_some_and(is_host)
                    && port.is_some_and(|port| port != 0)
                    && certificate.is_none()
            }
        };
        let named = trust.as_ref().is_none_or(|trust| trust.name.as_deref().is_none_or(is_host));
        let peers = attested.as_ref().is_none_or(|peers| {
            !peers.deployments.is_empty()
                && peers.deployments.iter().all(|name| crate::manifest::is_name(name))
                && peers.images.iter().all(AllowedImage::names_one)
                // Only a client that knows nothing of this protocol has a certificate alone.
                && !(peers.stale && *way == Way::Connect)
        });
        one_kind && host_and_port && named && peers
    }

    /// The names of the secrets that it takes.
    pub fn secrets(&self) -> impl Iterator<Item = &Bytes> {
        self.certificate.iter().flat_map(|Certificate { chain, key }| [chain, key])
    }
}

/// Whether this can be the name or the address of a host.
pub fn is_host(host: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    (1..=MAX_HOST_BYTES).contains(&host.len()) && host.chars().all(allowed)
}
