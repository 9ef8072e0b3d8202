//! The manifest: what an owner allows to be launched.
//!
//! Owners write manifests in TOML. The tools translate them into this form, which owners sign and
//! the enclave reads. What a manifest does not allow is refused.

use crate::access::{Access, MAX_KEYS, Right};
use crate::bytes::{Bytes, Digest};
use crate::cbor;
use crate::owner::PublicKey;
use crate::platform::{MAX_PLATFORMS, Platform};
use crate::sockets::MAX_SOCKETS;
use crate::statement::{self, Deployment, Engine};
use crate::terms::{Difference, KeyPolicy, MountKind, Terms};
use minicbor::{Decode, Encode};
use std::collections::HashSet;
use std::fmt;

/// The version of the manifest's encoding.
pub const VERSION: u32 = 1;

/// Limit on the size of an encoded manifest, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// Limit on the size of the encoded terms, in bytes. A launch statement has room for them and for
/// its other parts.
pub const MAX_TERMS_BYTES: usize = statement::MAX_BYTES - (4 << 10);

/// Limit on the length of a deployment's name, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// A manifest.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Manifest {
    /// The version of the encoding: [`VERSION`].
    #[n(0)]
    pub format: u32,
    /// The name of the deployment.
    #[n(1)]
    pub name: String,
    /// The version of this manifest. A newer manifest has a larger one.
    #[n(2)]
    pub version: u64,
    /// The generation of the deployment's sealing keys. Volumes of another generation do not open.
    #[n(3)]
    pub generation: u64,
    /// The owner's public key: a DER-encoded SubjectPublicKeyInfo of P-256 or Ed25519.
    #[n(4)]
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::bytes::as_hex"))]
    pub owner: Bytes,
    /// The terms of each launch.
    #[n(5)]
    pub terms: Terms,
    /// The images that may hold the deployment. Without any, no image may.
    #[n(6)]
    pub images: Vec<AllowedImage>,
    /// What the owner demands of the enclave.
    #[n(7)]
    pub demands: Demands,
    /// Who may do what with the deployment, besides its owner.
    #[cbor(n(8), skip_if = "Access::is_none")]
    pub access: Access,
    /// Whether a host may start the deployment again without its owner.
    #[cbor(n(9), skip_if = "Restart::is_never")]
    pub restart: Restart,
    /// What the owner demands of the platform.
    #[cbor(n(10), skip_if = "Platform::is_default")]
    pub platform: Platform,
    /// Whose volumes and kept deployments the images of this manifest take over.
    #[cbor(n(11), skip_if = "Handover::is_none")]
    pub handover: Handover,
}

/// Whose volumes and kept deployments the images of a manifest take over. An older image hands its
/// keys over to an image that the manifest allows; a newer image believes them only if they come
/// from an image that the manifest names here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Handover {
    /// MRENCLAVE of each older image: at most [`MAX_FROM`].
    #[n(0)]
    pub from: Vec<Digest>,
}

/// Limit on the number of older images that a manifest names.
pub const MAX_FROM: usize = 16;

impl Handover {
    /// Whether nothing is taken over.
    pub fn is_none(&self) -> bool {
        self.from.is_empty()
    }
}

/// An image that may hold a deployment. Each field that is given must be the image's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct AllowedImage {
    /// MRENCLAVE.
    #[n(0)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub measurement: Option<Digest>,
    /// MRSIGNER.
    #[n(1)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub signer: Option<Digest>,
    /// ISVPRODID.
    #[n(2)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub product: Option<u16>,
    /// The smallest ISVSVN.
    #[n(3)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub min_svn: Option<u16>,
}

/// What an owner demands of the enclave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Demands {
    /// Whether an enclave that can be debugged may hold the deployment.
    #[n(0)]
    pub allow_debug: bool,
    /// Whether pages may be writable and executable at once, as on machines without SGX2 and in
    /// the image for them.
    #[n(1)]
    pub allow_writable_code: bool,
}

/// Whether a host that was started again may start a deployment without its owner, with the secrets
/// that the enclave has kept sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(index_only)]
pub enum Restart {
    /// It may not, and no secrets are kept: whoever may deploy starts it again.
    #[default]
    #[n(0)]
    Never,
    /// It may, at any time and as often as it wants.
    #[n(1)]
    Always,
}

impl Restart {
    /// Whether it is the default.
    fn is_never(&self) -> bool {
        *self == Restart::Never
    }
}

/// The identity of an enclave: fields of its REPORT (SDM Vol. 3D, table 37-17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// MRENCLAVE.
    pub measurement: Digest,
    /// MRSIGNER.
    pub signer: Digest,
    /// ISVPRODID.
    pub product: u16,
    /// ISVSVN.
    pub svn: u16,
    /// ATTRIBUTES.DEBUG.
    pub debug: bool,
}

/// Why an enclave may not do what it was asked to under a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The launch differs from the manifest's terms.
    Terms(Vec<Difference>),
    /// The manifest names other images.
    Image(Identity),
    /// The manifest takes nothing over from the image with this MRENCLAVE.
    Former(Digest),
    /// The enclave can be debugged.
    Debug,
    /// Pages of code are writable while code runs.
    WritableCode,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Terms(differences) => {
                f.write_str("the manifest does not allow this launch: ")?;
                for (at, difference) in differences.iter().enumerate() {
                    write!(f, "{}{difference}", if at == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Refusal::Image(Identity { measurement, signer, product, svn, .. }) => write!(
                f,
                "the manifest does not allow this image: MRENCLAVE {measurement}, MRSIGNER \
                 {signer}, ISVPRODID {product}, ISVSVN {svn}"
            ),
            Refusal::Former(measurement) => write!(
                f,
                "the manifest takes nothing over from the image with MRENCLAVE {measurement}"
            ),
            Refusal::Debug => f.write_str("the manifest does not allow an enclave with DEBUG"),
            Refusal::WritableCode => f.write_str(
                "the manifest does not allow writable pages of code, and this machine or image has \
                 no SGX2",
            ),
        }
    }
}

impl std::error::Error for Refusal {}

/// What is wrong with a manifest that is well encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invalid {
    /// The format is of another version.
    Format(u32),
    /// The name is empty, too long, or has other characters than letters, digits and `.`, `_`,
    /// `-`.
    Name,
    /// The owner's key is not one of P-256 or Ed25519.
    Owner,
    /// The manifest names no images.
    NoImages,
    /// An allowed image names neither a measurement nor a signer.
    AnyImage,
    /// Two mounts have the same path, or two variables the same name.
    Twice(String),
    /// A mount has parts of another kind of mount, or a main file, which only local launches have.
    Mount(String),
    /// The path of a mount is not an absolute one in its shortest form.
    Path(String),
    /// The name of a variable is empty, or has `=` or NUL in it.
    Variable(String),
    /// The key of a volume is not that of the deployment. Whoever has another one could make the
    /// volume, with contents and further keys of his own.
    Key(String),
    /// The terms are too long for a launch statement: their length in bytes.
    TooLong(usize),
    /// A right has more than [`MAX_KEYS`] keys.
    ManyKeys(Right),
    /// A key that has a right is not one of P-256 or Ed25519. The number is its place in the list,
    /// from 0.
    RightKey(Right, usize),
    /// A right has this key twice, or the key is the owner's, who needs no right.
    SameKey(Right, usize),
    /// The TCB statuses are not in their order, or one is given twice.
    Statuses,
    /// There are more than [`MAX_PLATFORMS`] platforms, or one is given twice.
    Platforms,
    /// There are more than [`MAX_SOCKETS`] sockets.
    ManySockets,
    /// A socket has no right name, or parts of another kind of socket, or lacks one.
    Socket(String),
    /// A socket takes a secret that the manifest does not name: its name, and that of the secret.
    SocketSecret(String, String),
    /// There are more than [`MAX_FROM`] images to take over from, or one is given twice.
    From,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invalid::Format(found) => {
                write!(f, "manifest format {found} where {VERSION} is known")
            }
            Invalid::Name => write!(
                f,
                "the name must have 1 to {MAX_NAME_BYTES} letters, digits or characters of `._-`"
            ),
            Invalid::Owner => f.write_str("the owner's key is not one of P-256 or Ed25519"),
            Invalid::NoImages => f.write_str("no image is allowed"),
            Invalid::AnyImage => {
                f.write_str("an allowed image needs a measurement (MRENCLAVE) or a signer")
            }
            Invalid::Twice(name) => write!(f, "{name} is given twice"),
            Invalid::Variable(name) => write!(f, "{name:?} is no name of a variable"),
            Invalid::Mount(guest) => write!(f, "the mount {guest} is not complete"),
            Invalid::Path(guest) => {
                write!(f, "{guest:?} is not a path from / on in its shortest form")
            }
            Invalid::Key(guest) => {
                write!(f, "the volume for {guest} has another key than that of the deployment")
            }
            Invalid::TooLong(length) => write!(
                f,
                "the terms have {length} bytes, and evidence has room for {MAX_TERMS_BYTES}"
            ),
            Invalid::ManyKeys(right) => {
                write!(f, "more than {MAX_KEYS} keys have the right `{right}`")
            }
            Invalid::RightKey(right, at) => {
                write!(f, "key {at} with the right `{right}` is not one of P-256 or Ed25519")
            }
            Invalid::SameKey(right, at) => write!(
                f,
                "key {at} with the right `{right}` has it already: it is the owner's, or given twice"
            ),
            Invalid::Statuses => {
                f.write_str("the TCB statuses are not in their order, or one is given twice")
            }
            Invalid::Platforms => {
                write!(f, "there are more than {MAX_PLATFORMS} platforms, or one is given twice")
            }
            Invalid::ManySockets => write!(f, "there are more than {MAX_SOCKETS} sockets"),
            Invalid::Socket(name) => write!(f, "the socket {name:?} is not complete"),
            Invalid::SocketSecret(name, secret) => {
                write!(
                    f,
                    "the socket {name} takes the secret {secret:?}, which is none of `secrets`"
                )
            }
            Invalid::From => write!(
                f,
                "there are more than {MAX_FROM} images to take over from, or one is given twice"
            ),
        }
    }
}

impl std::error::Error for Invalid {}

impl Manifest {
    /// The manifest as bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Decodes a manifest, which must be all of `bytes`.
    ///
    /// # Errors
    /// The bytes are not a manifest in its one encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, cbor::Error> {
        cbor::decode(bytes, MAX_BYTES)
    }

    /// Checks what the encoding does not.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<PublicKey, Invalid> {
        if self.format != VERSION {
            return Err(Invalid::Format(self.format));
        }
        if !is_name(&self.name) {
            return Err(Invalid::Name);
        }
        let length = cbor::encode(&self.terms).len();
        if length > MAX_TERMS_BYTES {
            return Err(Invalid::TooLong(length));
        }
        let owner = PublicKey::from_der(&self.owner.0).map_err(|_| Invalid::Owner)?;
        if self.images.is_empty() {
            return Err(Invalid::NoImages);
        }
        if !self.images.iter().all(AllowedImage::names_one) {
            return Err(Invalid::AnyImage);
        }
        self.check_names()?;
        self.check_mounts()?;
        self.check_sockets()?;
        self.check_access()?;
        self.check_platform()?;
        let from: HashSet<_> = self.handover.from.iter().collect();
        if from.len() > MAX_FROM || from.len() < self.handover.from.len() {
            return Err(Invalid::From);
        }
        Ok(owner)
    }

    fn check_names(&self) -> Result<(), Invalid> {
        let guests = self.terms.mounts.iter().map(|mount| mount.guest.clone());
        let variables = self.terms.environment.iter().map(|variable| &variable.name);
        let names: Vec<_> = variables.chain(&self.terms.secrets).collect();
        let is_wrong =
            |name: &&&Bytes| name.0.is_empty() || name.0.iter().any(|b| b"=\0".contains(b));
        if let Some(name) = names.iter().find(is_wrong) {
            return Err(Invalid::Variable(name.escaped()));
        }
        let names = names.into_iter().map(Bytes::escaped);
        for mut list in [guests.collect::<Vec<_>>(), names.collect()] {
            list.sort_unstable();
            let twice = list.iter().zip(list.iter().skip(1)).find(|(one, next)| one == next);
            if let Some((name, _)) = twice {
                return Err(Invalid::Twice(name.clone()));
            }
        }
        Ok(())
    }

    fn check_mounts(&self) -> Result<(), Invalid> {
        for mount in &self.terms.mounts {
            let guest = || mount.guest.clone();
            if !is_shortest_path(&mount.guest) {
                return Err(Invalid::Path(guest()));
            }
            let has = (mount.key.is_some(), mount.size.is_some());
            let complete = match mount.kind {
                MountKind::Volume => has == (true, false),
                MountKind::Folder => has == (false, false),
                MountKind::Memory => has == (false, true),
            };
            if !complete || mount.main.is_some() || mount.former.is_some() {
                return Err(Invalid::Mount(guest()));
            }
            if mount.key.is_some_and(|key| key != KeyPolicy::Deployment) {
                return Err(Invalid::Key(guest()));
            }
        }
        Ok(())
    }

    fn check_sockets(&self) -> Result<(), Invalid> {
        let sockets = &self.terms.sockets;
        if sockets.len() > MAX_SOCKETS {
            return Err(Invalid::ManySockets);
        }
        let mut names = HashSet::new();
        for socket in sockets {
            let name = || socket.name.clone();
            if !is_name(&socket.name) || !socket.is_complete() {
                return Err(Invalid::Socket(name()));
            }
            if !names.insert(&socket.name) {
                return Err(Invalid::Twice(name()));
            }
            let unknown = socket.secrets().find(|secret| !self.terms.secrets.contains(secret));
            if let Some(secret) = unknown {
                return Err(Invalid::SocketSecret(name(), secret.escaped()));
            }
        }
        Ok(())
    }

    fn check_access(&self) -> Result<(), Invalid> {
        for right in Right::ALL {
            let keys = self.access.keys(right);
            if keys.len() > MAX_KEYS {
                return Err(Invalid::ManyKeys(right));
            }
            let mut known = HashSet::from([&self.owner]);
            for (at, key) in keys.iter().enumerate() {
                PublicKey::from_der(&key.0).map_err(|_| Invalid::RightKey(right, at))?;
                if !known.insert(key) {
                    return Err(Invalid::SameKey(right, at));
                }
            }
        }
        Ok(())
    }

    fn check_platform(&self) -> Result<(), Invalid> {
        let Platform { statuses, ppid_hashes, .. } = &self.platform;
        if !statuses.is_sorted_by(|one, next| one < next) {
            return Err(Invalid::Statuses);
        }
        let distinct: HashSet<_> = ppid_hashes.iter().collect();
        if ppid_hashes.len() > MAX_PLATFORMS || distinct.len() < ppid_hashes.len() {
            return Err(Invalid::Platforms);
        }
        Ok(())
    }

    /// Whether whoever has this key may do something with the deployment: its owner may, and those
    /// whom it names.
    pub fn may(&self, right: Right, key: &PublicKey) -> bool {
        let is_key = |der: &Bytes| der.0 == key.der();
        is_key(&self.owner) || self.access.keys(right).iter().any(is_key)
    }

    /// The part of a launch statement that names this manifest, with its owner's key.
    pub fn deployment(&self, owner: &PublicKey) -> Deployment {
        Deployment {
            owner: owner.id(),
            name: self.name.clone(),
            version: self.version,
            generation: self.generation,
            manifest: Digest::of(&self.encode()),
        }
    }

    /// Checks that this enclave may hold the deployment.
    ///
    /// # Errors
    /// The manifest does not allow it.
    pub fn allow_enclave(&self, enclave: &Identity) -> Result<(), Refusal> {
        if enclave.debug && !self.demands.allow_debug {
            return Err(Refusal::Debug);
        }
        if !self.images.iter().any(|image| image.is(enclave)) {
            return Err(Refusal::Image(*enclave));
        }
        Ok(())
    }

    /// Checks that what this enclave hands over may be taken over.
    ///
    /// # Errors
    /// The manifest does not name its image, or the enclave can be debugged.
    pub fn allow_former(&self, enclave: &Identity) -> Result<(), Refusal> {
        if enclave.debug && !self.demands.allow_debug {
            return Err(Refusal::Debug);
        }
        if !self.handover.from.contains(&enclave.measurement) {
            return Err(Refusal::Former(enclave.measurement));
        }
        Ok(())
    }

    /// Checks that a launch on these terms is allowed, in this enclave.
    ///
    /// # Errors
    /// The manifest does not allow it.
    pub fn allow(&self, terms: &Terms, enclave: &Identity) -> Result<(), Refusal> {
        self.allow_enclave(enclave)?;
        match self.terms.differences(terms) {
            differences if differences.is_empty() => Ok(()),
            differences => Err(Refusal::Terms(differences)),
        }
    }

    /// Checks that the program's code may run, as it was made and is guarded.
    ///
    /// # Errors
    /// The manifest does not allow it.
    pub fn allow_code(&self, engine: &Engine) -> Result<(), Refusal> {
        if engine.writable_code && !self.demands.allow_writable_code {
            return Err(Refusal::WritableCode);
        }
        Ok(())
    }
}

/// Whether this can be the name of a deployment: 1 to [`MAX_NAME_BYTES`] letters, digits or
/// characters of `._-`.
pub fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.chars().all(allowed)
}

/// Whether a path leads from the root and has one form only: no empty name, no `.`, no `..`, no
/// slash at its end, and no control characters.
pub fn is_shortest_path(path: &str) -> bool {
    let is_right =
        |name: &str| !["", ".", ".."].contains(&name) && !name.contains(char::is_control);
    path == "/" || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_right))
}

impl AllowedImage {
    /// Whether it names a measurement or a signer. Else it would be any image.
    pub(crate) fn names_one(&self) -> bool {
        self.measurement.is_some() || self.signer.is_some()
    }

    /// Whether this is the enclave's image.
    pub fn is(&self, enclave: &Identity) -> bool {
        let AllowedImage { measurement, signer, product, min_svn } = *self;
        (measurement.is_some() || signer.is_some())
            && measurement.is_none_or(|measurement| measurement == enclave.measurement)
            && signer.is_none_or(|signer| signer == enclave.signer)
            && product.is_none_or(|product| product == enclave.product)
            && min_svn.is_none_or(|least| least <= enclave.svn)
    }
}
