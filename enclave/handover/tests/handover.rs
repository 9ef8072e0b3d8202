//! Two enclaves, and a host between them that tells every lie that it can.

use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use sgx_isa::{Attributes, AttributesFlags, Miscselect, Report, Targetinfo};
use std::cell::Cell;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::examples::{full_manifest, signed};
use twine_evidence::manifest::{AllowedImage, Handover, Identity, Manifest, Refusal, Restart};
use twine_evidence::signed::{Error as SignedError, Signed};
use twine_evidence::statement::Deployment;
use twine_handover::{
    Asking, Enclave, Error, Keeper, Key, OpenedRecord, REPORT_BYTES, TARGET_BYTES, Target, Wanted,
    answer,
};
use zeroize::Zeroizing;

/// An enclave on a machine.
#[derive(Clone)]
struct Simulated {
    machine: u8,
    identity: Identity,
    /// The KEYID of its next report.
    keyid: Cell<u8>,
}

/// The older and the newer image.
const OLD: u8 = 0xa0;
const NEW: u8 = 0xb0;

fn enclave(image: u8) -> Simulated {
    let identity = Identity {
        measurement: Digest([image; 32]),
        signer: Digest([0x33; 32]),
        product: 1,
        svn: 2,
        debug: false,
    };
    Simulated { machine: 1, identity, keyid: Cell::new(0) }
}

impl Simulated {
    fn attributes(&self) -> Attributes {
        let mut flags = AttributesFlags::INIT | AttributesFlags::MODE64BIT;
        flags.set(AttributesFlags::DEBUG, self.identity.debug);
        Attributes { flags, xfrm: 3 }
    }

    /// The TARGETINFO of this enclave.
    fn info(&self) -> [u8; TARGET_BYTES] {
        let info = Targetinfo {
            measurement: self.identity.measurement.0,
            attributes: self.attributes(),
            miscselect: Miscselect::EXINFO,
            ..Targetinfo::default()
        };
        info.as_ref().try_into().unwrap()
    }

    fn target(&self) -> Target {
        Target::new(&self.info()).unwrap()
    }

    /// The key of reports for an enclave on this machine: each target has its own.
    fn key(&self, info: &[u8; TARGET_BYTES], keyid: &[u8; 32]) -> [u8; 16] {
        let all = [&[self.machine][..], info, keyid].concat();
        Digest::of(&all).0[..16].try_into().unwrap()
    }
}

impl Enclave for Simulated {
    fn report(&self, target: &[u8; TARGET_BYTES], data: &[u8; 64]) -> [u8; REPORT_BYTES] {
        self.keyid.set(self.keyid.get().wrapping_add(1));
        let mut report = Report {
            mrenclave: self.identity.measurement.0,
            mrsigner: self.identity.signer.0,
            isvprodid: self.identity.product,
            isvsvn: self.identity.svn,
            attributes: self.attributes(),
            miscselect: Miscselect::EXINFO,
            reportdata: *data,
            keyid: [self.keyid.get(); 32],
            ..Report::default()
        };
        let mut mac = Cmac::<Aes128>::new(&self.key(target, &report.keyid).into());
        mac.update(report.mac_data());
        report.mac = mac.finalize().into_bytes().into();
        report.as_ref().try_into().unwrap()
    }

    fn report_key(&self, keyid: &[u8; 32]) -> Option<Zeroizing<[u8; 16]>> {
        Some(Zeroizing::new(self.key(&self.info(), keyid)))
    }
}

/// What an older enclave keeps. A key says what it was derived for.
struct Kept {
    /// The version of the manifest that has opened the volume.
    version: u64,
    /// The manifest in the kept record.
    record: Vec<u8>,
}

fn volume_key(owner: Digest, name: &str, guest: &str, parameters: &[u8]) -> Key {
    Key::new(Digest::of(&[&owner.0, name.as_bytes(), guest.as_bytes(), parameters].concat()).0)
}

fn program_key(owner: Digest, program: Digest, parameters: &[u8]) -> Key {
    Key::new(Digest::of(&[&owner.0[..], &program.0, parameters].concat()).0)
}

const RECORD_KEY: [u8; 32] = [9; 32];

impl Keeper for Kept {
    fn volume(
        &self,
        deployment: &Deployment,
        guest: &str,
        parameters: &[u8],
    ) -> Result<Key, String> {
        match deployment.version < self.version {
            true => Err("a newer version has opened it".into()),
            false => Ok(volume_key(deployment.owner, &deployment.name, guest, parameters)),
        }
    }

    fn program(&self, owner: Digest, program: Digest, parameters: &[u8]) -> Result<Key, String> {
        Ok(program_key(owner, program, parameters))
    }

    fn kept(&self, name: &str, record: &[u8]) -> Result<OpenedRecord, String> {
        match (name, record) {
            ("deployment-1", b"sealed") => {
                Ok(OpenedRecord { key: Key::new(RECORD_KEY), signed: self.record.clone() })
            }
            _ => Err("it is none of this image's".into()),
        }
    }
}

/// A manifest that lets `NEW` take over from `OLD`.
fn manifest() -> Manifest {
    let allowed =
        |image| AllowedImage { measurement: Some(Digest([image; 32])), ..AllowedImage::default() };
    Manifest {
        images: vec![allowed(OLD), allowed(NEW)],
        handover: Handover { from: vec![Digest([OLD; 32])] },
        ..full_manifest()
    }
}

fn kept(manifest: &Manifest) -> Kept {
    Kept { version: 3, record: signed(manifest) }
}

fn wanted() -> Wanted {
    Wanted::Volume { guest: "/data".into(), parameters: Bytes(vec![7; 92]) }
}

/// Asks the older enclave under this manifest.
fn ask(
    new: &Simulated,
    old: &Simulated,
    manifest: &Manifest,
    wanted: Wanted,
) -> Result<Key, Error> {
    let encoded = signed(manifest);
    let opened = Signed::open(&encoded).unwrap();
    let asked = Asking::for_key(new, &old.target(), &opened, &encoded, wanted)?;
    let told = answer(old, &old.identity, &kept(manifest), asked.message())?;
    asked.take(new, &told)
}

#[test]
fn an_owners_manifest_moves_the_keys_of_its_deployment() {
    let (new, old, manifest) = (enclave(NEW), enclave(OLD), manifest());
    let owner = manifest.check().unwrap().id();
    let key = ask(&new, &old, &manifest, wanted());
    assert_eq!(key, Ok(volume_key(owner, "example", "/data", &[7; 92])));
    let program = Wanted::Program { parameters: Bytes(vec![8; 92]) };
    let key = ask(&new, &old, &manifest, program);
    assert_eq!(key, Ok(program_key(owner, manifest.terms.program, &[8; 92])));
}

#[test]
fn an_image_that_the_manifest_does_not_allow_gets_nothing() {
    let other = enclave(0xc0);
    let error = ask(&other, &enclave(OLD), &manifest(), wanted());
    assert_eq!(error, Err(Error::Refused(Refusal::Image(other.identity))));
    let mut debug = enclave(NEW);
    debug.identity.debug = true;
    assert_eq!(
        ask(&debug, &enclave(OLD), &manifest(), wanted()),
        Err(Error::Refused(Refusal::Debug))
    );
    let mut allowed = manifest();
    allowed.demands.allow_debug = true;
    assert!(ask(&debug, &enclave(OLD), &allowed, wanted()).is_ok());
}

#[test]
fn nothing_is_taken_over_from_an_image_that_the_manifest_does_not_name() {
    let other = enclave(0xc0);
    let refused = Err(Error::Refused(Refusal::Former(Digest([0xc0; 32]))));
    assert_eq!(ask(&enclave(NEW), &other, &manifest(), wanted()), refused);
    // The older image does not hand over what the owner wants to leave there.
    let encoded = signed(&manifest());
    let opened = Signed::open(&encoded).unwrap();
    let new = enclave(NEW);
    let asked = Asking::for_key(&new, &other.target(), &opened, &encoded, wanted());
    assert!(asked.is_err());
    let none = Manifest { handover: Handover::default(), ..manifest() };
    let (none, old) = (signed(&none), enclave(OLD));
    let asked = Asking::for_key(&new, &old.target(), &opened, &none, wanted()).unwrap();
    let refused = Error::Refused(Refusal::Former(Digest([OLD; 32])));
    let told = answer(&old, &old.identity, &kept(&manifest()), asked.message());
    assert_eq!(told, Err(refused));
}

#[test]
fn a_debug_enclave_of_the_older_image_plants_nothing() {
    let mut debug = enclave(OLD);
    debug.identity.debug = true;
    assert_eq!(
        ask(&enclave(NEW), &debug, &manifest(), wanted()),
        Err(Error::Refused(Refusal::Debug))
    );
}

#[test]
fn an_enclave_of_another_image_or_machine_answers_in_nobodys_place() {
    let (new, old, manifest) = (enclave(NEW), enclave(OLD), manifest());
    let encoded = signed(&manifest);
    let opened = Signed::open(&encoded).unwrap();
    let asked = || Asking::for_key(&new, &old.target(), &opened, &encoded, wanted()).unwrap();
    // The request is for the older image: another one can't verify it.
    let fake = enclave(0xc0);
    let told = answer(&fake, &fake.identity, &kept(&manifest), asked().message());
    assert_eq!(told, Err(Error::Report));
    // One that does not verify anything, and answers as itself.
    let asked_now = asked();
    let told = answer(&old, &old.identity, &kept(&manifest), asked_now.message()).unwrap();
    let data: [u8; 64] = told[320..384].try_into().unwrap();
    let forged = [&fake.report(&new.info(), &data)[..], &told[REPORT_BYTES..]].concat();
    let images = Error::Image { asked: Digest([OLD; 32]), answered: Digest([0xc0; 32]) };
    assert_eq!(asked_now.take(&new, &forged), Err(images));
    let elsewhere = Simulated { machine: 2, ..old.clone() };
    let asked_now = asked();
    let told = answer(&elsewhere, &old.identity, &kept(&manifest), asked_now.message());
    assert_eq!(told, Err(Error::Report));
    let told = answer(&old, &old.identity, &kept(&manifest), asked_now.message()).unwrap();
    let data: [u8; 64] = told[320..384].try_into().unwrap();
    let forged = [&elsewhere.report(&new.info(), &data)[..], &told[REPORT_BYTES..]].concat();
    assert_eq!(asked_now.take(&new, &forged), Err(Error::Report));
}

#[test]
fn an_answer_is_for_one_request() {
    let (new, old, manifest) = (enclave(NEW), enclave(OLD), manifest());
    let encoded = signed(&manifest);
    let opened = Signed::open(&encoded).unwrap();
    let asked = || Asking::for_key(&new, &old.target(), &opened, &encoded, wanted()).unwrap();
    let (one, two) = (asked(), asked());
    assert_ne!(one.message(), two.message());
    let told = |message: &[u8]| answer(&old, &old.identity, &kept(&manifest), message).unwrap();
    let (first, second) = (told(one.message()), told(two.message()));
    // A request that is repeated gets another answer, which is as good.
    let again = told(two.message());
    assert_ne!(second, again);
    assert_eq!(two.take(&new, &first), Err(Error::NotReported));
    // The key of the one answer with the report of the other.
    let mixed = [&second[..REPORT_BYTES], &first[REPORT_BYTES..]].concat();
    assert_eq!(one.take(&new, &mixed), Err(Error::NotReported));
    // A request goes back as an answer, and an answer as a request.
    let three = asked();
    let own = three.message().to_vec();
    assert_eq!(three.take(&new, &own), Err(Error::Report));
    let told = answer(&new, &new.identity, &kept(&manifest), &first);
    assert_eq!(told, Err(Error::NotReported));
}

#[test]
fn every_changed_bit_is_found() {
    let (new, old, manifest) = (enclave(NEW), enclave(OLD), manifest());
    let encoded = signed(&manifest);
    let keeper = kept(&manifest);
    let opened = Signed::open(&encoded).unwrap();
    let asked = || Asking::for_key(&new, &old.target(), &opened, &encoded, wanted()).unwrap();
    let request = asked();
    let message = request.message();
    for at in 0..message.len() {
        for bit in [0, 7] {
            let mut changed = message.to_vec();
            changed[at] ^= 1 << bit;
            let told = answer(&old, &old.identity, &keeper, &changed);
            assert!(matches!(told, Err(Error::Report | Error::NotReported)), "{at}: {told:?}");
        }
    }
    let told = answer(&old, &old.identity, &keeper, message).unwrap();
    for length in [0, REPORT_BYTES - 1, REPORT_BYTES, REPORT_BYTES + 31, told.len() - 1] {
        let asked = asked();
        assert!(asked.take(&new, &told[..length]).is_err());
    }
    // An answer is taken once, so each change has its own exchange.
    for at in (0..told.len()).step_by(4) {
        let asked = asked();
        let mut told = answer(&old, &old.identity, &keeper, asked.message()).unwrap();
        told[at] ^= 1;
        let taken = asked.take(&new, &told);
        assert!(matches!(taken, Err(Error::Report | Error::NotReported)), "{at}: {taken:?}");
    }
}

#[test]
fn a_manifest_of_another_owner_or_version_gets_only_what_is_its_own() {
    let (new, old, ours) = (enclave(NEW), enclave(OLD), manifest());
    let owner = ours.check().unwrap().id();
    // A manifest that its owner has not signed.
    let encoded = signed(&ours);
    let opened = Signed::open(&encoded).unwrap();
    let mut changed = encoded.clone();
    let end = changed.len() - 1;
    changed[end] ^= 1;
    let asked = Asking::for_key(&new, &old.target(), &opened, &changed, wanted()).unwrap();
    let told = answer(&old, &old.identity, &kept(&ours), asked.message());
    assert_eq!(told, Err(Error::Signed(SignedError::Signature)));
    // One of another name: the key is another one, whatever the parameters say.
    let other = Manifest { name: "other".into(), ..manifest() };
    let key = ask(&new, &old, &other, wanted()).unwrap();
    assert_eq!(key, volume_key(owner, "other", "/data", &[7; 92]));
    assert_ne!(key, ask(&new, &old, &ours, wanted()).unwrap());
    // An older version than the one that opened the volume last.
    let older = Manifest { version: 2, ..manifest() };
    let refused = Error::Keeper("a newer version has opened it".into());
    assert_eq!(ask(&new, &old, &older, wanted()), Err(refused));
    // Paths that are no volume of this manifest.
    for guest in ["/tmp", "/plain", "/elsewhere"] {
        let wanted = Wanted::Volume { guest: guest.into(), parameters: Bytes(vec![7; 92]) };
        assert_eq!(ask(&new, &old, &ours, wanted), Err(Error::NoVolume(guest.into())));
    }
}

/// Takes over the record of a kept deployment, with this manifest in it, whose contents `opened`
/// replaces.
fn take_kept(
    new: &Simulated,
    old: &Simulated,
    manifest: &Manifest,
    name: &str,
    opened: Option<Vec<u8>>,
) -> Result<&'static str, Error> {
    let asked = Asking::for_kept(new, &old.target(), name, b"sealed");
    let kept = kept(manifest);
    let told = answer(old, &old.identity, &kept, asked.message())?;
    asked.take(new, &new.identity, &told, |key| {
        assert_eq!(*key, RECORD_KEY);
        opened.map(|signed| (signed, "contents"))
    })
}

#[test]
fn a_kept_deployment_moves_if_its_own_manifest_allows_it() {
    let (new, old, ours) = (enclave(NEW), enclave(OLD), manifest());
    let name = "deployment-1";
    let record = || Some(signed(&ours));
    assert_eq!(take_kept(&new, &old, &ours, name, record()), Ok("contents"));
    let error = take_kept(&new, &old, &ours, "deployment-2", record());
    assert!(matches!(error, Err(Error::Keeper(_))), "{error:?}");
    assert_eq!(take_kept(&new, &old, &ours, name, None), Err(Error::Record));
    // Neither side relies on the other for what the manifest says.
    let none = Manifest { handover: Handover::default(), ..manifest() };
    let never = Manifest { restart: Restart::Never, ..manifest() };
    let others = Manifest { images: manifest().images[..1].to_vec(), ..manifest() };
    for (manifest, error) in [
        (&none, Error::Refused(Refusal::Former(Digest([OLD; 32])))),
        (&never, Error::NoRestart),
        (&others, Error::Refused(Refusal::Image(new.identity))),
    ] {
        let refused = take_kept(&new, &old, manifest, name, Some(signed(manifest)));
        assert_eq!(refused, Err(error.clone()));
        // The older image lets it pass, and the record has this manifest all the same.
        assert_eq!(take_kept(&new, &old, &ours, name, Some(signed(manifest))), Err(error));
    }
    let mut forged = signed(&ours);
    let end = forged.len() - 1;
    forged[end] ^= 1;
    let error = Err(Error::Signed(SignedError::Signature));
    assert_eq!(take_kept(&new, &old, &ours, name, Some(forged)), error);
}

#[test]
fn a_report_about_something_else_is_about_nothing_here() {
    let (new, old) = (enclave(NEW), enclave(OLD));
    // The host has enclaves make reports for any target, over hashes of claims.
    let claims = Digest::of(b"\xa2claims").0;
    let mut data = [0; 64];
    data[..32].copy_from_slice(&claims);
    let report = new.report(&old.info(), &data);
    let message = [&report[..], b"\xa2claims"].concat();
    let told = answer(&old, &old.identity, &kept(&manifest()), &message);
    assert_eq!(told, Err(Error::NotReported));
}
