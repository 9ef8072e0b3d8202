//! Takes volumes and records over from enclaves of older images, and hands this enclave's own over to
//! newer ones. `twine_handover` is the protocol.

use crate::attestation::identity;
use crate::mounts::Refused;
use crate::record;
use crate::sealing_keys::SealingKeys;
use crate::state::{decoded, deployment_name, program_name};
use std::sync::{Mutex, PoisonError};
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::signed::Signed;
use twine_evidence::statement::Deployment;
use twine_handover::{Asking, Enclave, Keeper, Key, OpenedRecord, REPORT_BYTES, TARGET_BYTES};
use twine_handover::{Target, Wanted};
use twine_protocol::launch::{End, Outcome};
use twine_protocol::wire::Status;
use twine_sgx::{host, report_for, report_key};
use twine_volume::Refusal;
use zeroize::Zeroizing;

/// This enclave, as the protocol sees it.
struct This;

impl Enclave for This {
    fn report(&self, target: &[u8; TARGET_BYTES], data: &[u8; 64]) -> [u8; REPORT_BYTES] {
        // Every TARGETINFO has the size that EREPORT wants.
        let report = report_for(target, data).and_then(|report| report.try_into().ok());
        report.unwrap_or([0; REPORT_BYTES])
    }

    fn report_key(&self, keyid: &[u8; 32]) -> Option<Zeroizing<[u8; 16]>> {
        report_key(keyid)
    }
}

/// Limit on the older images of a host.
const MAX_IMAGES: u64 = 64;

/// Finds the number under which the host has an older image.
fn find(image: Digest) -> Result<Option<(u64, Target)>, Status> {
    for number in 0..MAX_IMAGES {
        let Some(info) = host().handover_target(number)? else { break };
        match Target::new(&info) {
            Some(target) if target.measurement() == image => return Ok(Some((number, target))),
            _ => {}
        }
    }
    Ok(None)
}

/// The remedy where the operator does not give the older image.
fn no_image(image: Digest) -> String {
    format!(
        "have the operator give the older image too, whose MRENCLAVE is {image}: --from FILE of `twine \
         host` or `twine run`"
    )
}

/// What a deployment takes over, as its manifest allows it.
#[derive(Debug)]
pub(crate) struct Takeover<'a> {
    manifest: &'a Signed,
    /// The signed manifest, encoded.
    signed: &'a [u8],
    /// Keys that were handed over, by the parameters of their slots: a volume may be opened twice.
    keys: Mutex<Vec<(Vec<u8>, Key)>>,
}

impl<'a> Takeover<'a> {
    /// What this manifest, which is `signed` when it is encoded, lets the deployment take over.
    pub(crate) fn new(manifest: &'a Signed, signed: &'a [u8]) -> Self {
        Takeover { manifest, signed, keys: Mutex::default() }
    }

    /// The deployment.
    pub(crate) fn deployment(&self) -> Deployment {
        self.manifest.manifest().deployment(self.manifest.owner())
    }

    /// Has an older image hand over the key of a volume's slot.
    ///
    /// # Errors
    /// Cause and remedy.
    pub(crate) fn volume_key(
        &self,
        guest: &str,
        image: Digest,
        parameters: &[u8],
    ) -> Result<Key, Refused> {
        let keys = || self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, key)) = keys().iter().find(|(of, _)| of == parameters) {
            return Ok(key.clone());
        }
        let wanted =
            Wanted::Volume { guest: guest.to_owned(), parameters: Bytes(parameters.to_vec()) };
        let key = self.key(image, wanted)?;
        keys().push((parameters.to_vec(), key.clone()));
        Ok(key)
    }

    /// Opens the record of the deployment's program that an older image has sealed.
    pub(crate) fn program(
        &self,
        name: &str,
        image: Digest,
        sealed: Vec<u8>,
    ) -> Result<Vec<u8>, Refused> {
        let damaged = || Refused {
            cause: "the program that an older image has kept is damaged".into(),
            remedy: "deploy it again: it is sent again".into(),
        };
        let parameters = Bytes(record::parameters(&sealed).ok_or_else(damaged)?.to_vec());
        let key = self.key(image, Wanted::Program { parameters })?;
        record::open(&key, name, sealed).ok_or_else(damaged)
    }

    fn key(&self, image: Digest, wanted: Wanted) -> Result<Key, Refused> {
        let cause = format!("it is sealed to another image, MRENCLAVE {image}");
        let refused = |remedy: String| Refused { cause: cause.clone(), remedy };
        if !self.manifest.manifest().handover.from.contains(&image) {
            return Err(refused(format!(
                "have its owner sign a newer version that takes it over: [handover] from = \
                 [\"{image}\"]"
            )));
        }
        let unlucky = |what: String| Refused {
            cause: format!("{cause}, which does not hand it over: {what}"),
            remedy: "ask the operator: the log of `twine host` says more".into(),
        };
        let found = find(image).map_err(|status| unlucky(format!("{status:?}")))?;
        let (number, target) = found.ok_or_else(|| refused(no_image(image)))?;
        let asked = Asking::for_key(&This, &target, self.manifest, self.signed, wanted)
            .map_err(|error| unlucky(error.to_string()))?;
        let answer = host().handover(number, asked.message()).map_err(|status| {
            unlucky(match status {
                Status::Denied => "it refuses".into(),
                status => format!("{status:?}"),
            })
        })?;
        asked.take(&This, &answer).map_err(|error| unlucky(error.to_string()))
    }
}

/// Opens the record of a kept deployment that an older image has sealed.
///
/// # Errors
/// Why it does not open, as the end of a line.
pub(crate) fn kept(name: &str, image: Digest, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
    let waits = |what: String| format!("waits for its owner to deploy it here: {what}");
    let found = find(image).map_err(|status| waits(format!("{status:?}")))?;
    let (number, target) = found.ok_or_else(|| waits("that image is not given: --from".into()))?;
    let asked = Asking::for_kept(&This, &target, name, sealed);
    let answer = host().handover(number, asked.message()).map_err(|status| {
        waits(match status {
            Status::Denied => "that image does not hand it over".into(),
            status => format!("{status:?}"),
        })
    })?;
    let open = |key: Key| {
        let encoded = Zeroizing::new(record::open(&key, name, sealed.to_vec())?);
        let signed = decoded(&encoded)?.signed;
        Some((signed, encoded))
    };
    let taken = asked.take(&This, &identity(), &answer, open);
    taken.map_err(|error| waits(error.to_string()))
}

/// What this enclave can hand over.
struct Sealed;

impl Keeper for Sealed {
    fn volume(
        &self,
        deployment: &Deployment,
        guest: &str,
        parameters: &[u8],
    ) -> Result<Key, String> {
        SealingKeys::volume_key(deployment, guest, parameters)
            .map_err(|Refusal(reason)| format!("the volume for {guest}: {reason}"))
    }

    fn program(&self, owner: Digest, program: Digest, parameters: &[u8]) -> Result<Key, String> {
        SealingKeys::record_key(&program_name(owner, program), parameters)
            .map_err(|Refusal(reason)| format!("the program: {reason}"))
    }

    fn kept(&self, name: &str, sealed: &[u8]) -> Result<OpenedRecord, String> {
        let foreign = || format!("{name} is no record of a deployment that this image has sealed");
        let parameters = record::parameters(sealed).ok_or_else(foreign)?;
        let key = SealingKeys::record_key(name, parameters).map_err(|Refusal(reason)| reason)?;
        let encoded = record::open(&key, name, sealed.to_vec()).map(Zeroizing::new);
        let signed = encoded.and_then(|encoded| decoded(&encoded)).ok_or_else(foreign)?.signed;
        // The name is that of the deployment, so a key is one of this deployment's record.
        let is_its = Signed::open(&signed).is_ok_and(|manifest| {
            deployment_name(manifest.owner().id(), &manifest.manifest().name) == name
        });
        if is_its { Ok(OpenedRecord { key, signed }) } else { Err(foreign()) }
    }
}

/// Answers a request of an enclave of another image.
pub(crate) fn answer() -> Outcome {
    let refused = |cause: String| {
        Outcome::new(End::Refused {
            cause,
            remedy: "have the deployment's owner sign a newer manifest: docs/deploying.md".into(),
        })
    };
    let request = match host().program() {
        Ok(request) => request,
        Err(error) => return refused(error.to_string()),
    };
    match twine_handover::answer(&This, &identity(), &Sealed, &request) {
        Ok(answer) => {
            Outcome { answer, ..Outcome::new(End::Exited { code: 0, results: Vec::new() }) }
        }
        Err(error) => refused(error.to_string()),
    }
}
