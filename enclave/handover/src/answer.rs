//! The older enclave's side.

use crate::Key;
use crate::error::Error;
use crate::message::{ANSWER, Asked, REQUEST, Request, Wanted, encrypt, split};
use crate::report::{self, Enclave};
use twine_evidence::bytes::Digest;
use twine_evidence::manifest::{Identity, Restart};
use twine_evidence::signed::Signed;
use twine_evidence::statement::Deployment;
use twine_evidence::terms::MountKind;

/// What a handover needs of the older enclave: the keys that it can derive. Reasons are in words.
pub trait Keeper {
    /// The key of a slot of the deployment's volume for the mount at `guest`.
    ///
    /// # Errors
    /// There is no such key: the slot is not of this image, or a newer version of the manifest has
    /// opened the volume.
    fn volume(
        &self,
        deployment: &Deployment,
        guest: &str,
        parameters: &[u8],
    ) -> Result<Key, String>;

    /// The key of the record with an owner's program.
    ///
    /// # Errors
    /// There is no such key: the record is not of this image.
    fn program(&self, owner: Digest, program: Digest, parameters: &[u8]) -> Result<Key, String>;

    /// Opens the record of a deployment that was kept, and that must have this name.
    ///
    /// # Errors
    /// It is not one of this image's, or not of this name.
    fn kept(&self, name: &str, record: &[u8]) -> Result<OpenedRecord, String>;
}

/// The record of a kept deployment, opened.
#[derive(Debug)]
pub struct OpenedRecord {
    /// The record's key.
    pub key: Key,
    /// The signed manifest in it.
    pub signed: Vec<u8>,
}

/// Answers a request, in an enclave with this identity.
///
/// # Errors
/// The request is not valid, or nothing is handed over to whoever makes it.
pub fn answer(
    enclave: &dyn Enclave,
    own: &Identity,
    keeper: &dyn Keeper,
    message: &[u8],
) -> Result<Vec<u8>, Error> {
    let (report, request) = split(message)?;
    let peer = report::verify(enclave, report, &report::about(REQUEST, &[request]))?;
    let Request { key: public, asked, .. } = Request::decode(request)?;
    let key = match &asked {
        Asked::Deployment { manifest, wanted } => {
            wanted_key(keeper, &allowed(&manifest.0, own, &peer.identity)?, wanted)?
        }
        Asked::Kept { name, record } => {
            let OpenedRecord { key, signed } =
                keeper.kept(name, &record.0).map_err(Error::Keeper)?;
            let signed = allowed(&signed, own, &peer.identity)?;
            if signed.manifest().restart != Restart::Always {
                return Err(Error::NoRestart);
            }
            key
        }
    };
    let request = Digest::of(message);
    let sealed = encrypt(&public.0, &request, &key)?;
    let data = report::about(ANSWER, &[&request.0, &sealed]);
    let report = enclave.report(&peer.target.info(), &data);
    Ok([&report[..], &sealed].concat())
}

/// Opens a signed manifest that allows `peer` to take over from this enclave.
fn allowed(signed: &[u8], own: &Identity, peer: &Identity) -> Result<Signed, Error> {
    let signed = Signed::open(signed)?;
    signed.manifest().allow_enclave(peer)?;
    signed.manifest().allow_former(own)?;
    Ok(signed)
}

/// Returns a key of the deployment that this manifest is of. The deployment is the manifest's, so
/// nobody can ask for the keys of another one.
fn wanted_key(keeper: &dyn Keeper, signed: &Signed, wanted: &Wanted) -> Result<Key, Error> {
    let (manifest, owner) = (signed.manifest(), signed.owner());
    let key = match wanted {
        Wanted::Volume { guest, parameters } => {
            let mut mounts = manifest.terms.mounts.iter();
            if !mounts.any(|mount| mount.kind == MountKind::Volume && mount.guest == *guest) {
                return Err(Error::NoVolume(guest.clone()));
            }
            keeper.volume(&manifest.deployment(owner), guest, &parameters.0)
        }
        Wanted::Program { parameters } => {
            keeper.program(owner.id(), manifest.terms.program, &parameters.0)
        }
    };
    key.map_err(Error::Keeper)
}
