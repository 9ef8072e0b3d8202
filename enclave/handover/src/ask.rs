//! The newer enclave's side.

use crate::Key;
use crate::error::Error;
use crate::message::{ANSWER, Asked, Pair, REQUEST, Request, VERSION, Wanted, split};
use crate::report::{self, Enclave, Target};
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::cbor;
use twine_evidence::manifest::{Identity, Refusal, Restart};
use twine_evidence::signed::Signed;

/// A request to an enclave of an older image, which waits for its answer.
pub struct Asking {
    pair: Pair,
    former: Digest,
    message: Vec<u8>,
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asking").field("former", &self.former).finish_non_exhaustive()
    }
}

impl Asking {
    /// Asks the image `former` for a key of a deployment under a signed manifest, which is `signed`
    /// when it is encoded.
    ///
    /// # Errors
    /// The manifest takes nothing over from that image.
    pub fn for_key(
        enclave: &dyn Enclave,
        former: &Target,
        manifest: &Signed,
        signed: &[u8],
        wanted: Wanted,
    ) -> Result<KeyAsked, Error> {
        if !manifest.manifest().handover.from.contains(&former.measurement()) {
            return Err(Refusal::Former(former.measurement()).into());
        }
        let asked = Asked::Deployment { manifest: signed.into(), wanted };
        let asking = Asking::new(enclave, former, asked);
        Ok(KeyAsked { asking, manifest: manifest.clone() })
    }

    /// Asks the image `former` for the key of a record with a deployment that was kept.
    pub fn for_kept(
        enclave: &dyn Enclave,
        former: &Target,
        name: &str,
        record: &[u8],
    ) -> KeptAsked {
        let asked = Asked::Kept { name: name.to_owned(), record: record.into() };
        KeptAsked(Asking::new(enclave, former, asked))
    }

    fn new(enclave: &dyn Enclave, former: &Target, asked: Asked) -> Self {
        let pair = Pair::new();
        let key = Bytes(pair.public().to_vec());
        let request = cbor::encode(&Request { version: VERSION, key, asked });
        let report = enclave.report(&former.info(), &report::about(REQUEST, &[&request]));
        let message = [&report[..], &request].concat();
        Asking { pair, former: former.measurement(), message }
    }

    /// Opens an answer. Returns the key, and who has answered.
    fn open(&self, enclave: &dyn Enclave, answer: &[u8]) -> Result<(Key, Identity), Error> {
        let (report, sealed) = split(answer)?;
        let request = Digest::of(&self.message);
        let data = report::about(ANSWER, &[&request.0, sealed]);
        let from = report::verify(enclave, report, &data)?.identity;
        if from.measurement != self.former {
            return Err(Error::Image { asked: self.former, answered: from.measurement });
        }
        Ok((self.pair.decrypt(&request, sealed)?, from))
    }
}

/// A request for a key of a deployment.
#[derive(Debug)]
pub struct KeyAsked {
    asking: Asking,
    manifest: Signed,
}

impl KeyAsked {
    /// The message for the older enclave.
    pub fn message(&self) -> &[u8] {
        &self.asking.message
    }

    /// Takes the key of the answer.
    ///
    /// # Errors
    /// The answer is not that of the image that was asked, to this request, or the manifest does not
    /// allow to take over from the enclave that gave it.
    pub fn take(self, enclave: &dyn Enclave, answer: &[u8]) -> Result<Key, Error> {
        let (key, from) = self.asking.open(enclave, answer)?;
        self.manifest.manifest().allow_former(&from)?;
        Ok(key)
    }
}

/// A request for the key of a kept deployment.
#[derive(Debug)]
pub struct KeptAsked(Asking);

impl KeptAsked {
    /// The message for the older enclave.
    pub fn message(&self) -> &[u8] {
        &self.0.message
    }

    /// Takes the answer, and opens the record by `open`, which returns the signed manifest in it, and
    /// whatever the caller makes of the rest. The manifest decides whether the record may be taken over:
    /// whoever could make up the record could not sign it.
    ///
    /// # Errors
    /// The answer is not that of the image that was asked, to this request; the record does not open;
    /// or its manifest does not allow to take over from the enclave that has answered, to hold the
    /// deployment in this one, or to start it without its owner.
    pub fn take<T>(
        self,
        enclave: &dyn Enclave,
        own: &Identity,
        answer: &[u8],
        open: impl FnOnce(Key) -> Option<(Vec<u8>, T)>,
    ) -> Result<T, Error> {
        let (key, from) = self.0.open(enclave, answer)?;
        let (signed, kept) = open(key).ok_or(Error::Record)?;
        let manifest = Signed::open(&signed)?;
        let manifest = manifest.manifest();
        manifest.allow_former(&from)?;
        manifest.allow_enclave(own)?;
        match manifest.restart {
            Restart::Always => Ok(kept),
            Restart::Never => Err(Error::NoRestart),
        }
    }
}
