//! The function that the fuzz target in `fuzz/` calls.
//!
//! It takes any bytes, and panics if a decoder does, or if bytes get a key that their owner did not
//! allow. Only the fuzz target needs the feature of this module.

use crate::answer::{Keeper, OpenedRecord, answer};
use crate::ask::Asking;
use crate::error::Error;
use crate::message::{Asked, REQUEST, Request, VERSION, Wanted};
use crate::report::{self, Enclave, REPORT_BYTES, TARGET_BYTES, Target};
use crate::{Key, message};
use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use sgx_isa::{Report, Targetinfo};
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::cbor;
use twine_evidence::examples::{full_manifest, signed};
use twine_evidence::manifest::{AllowedImage, Handover, Identity, Manifest};
use twine_evidence::signed::Signed;
use twine_evidence::statement::Deployment;
use zeroize::Zeroizing;

/// The image of both enclaves.
const IMAGE: [u8; 32] = [0x22; 32];

/// An enclave on a machine where everybody knows the keys.
struct Open;

impl Enclave for Open {
    fn report(&self, _: &[u8; TARGET_BYTES], data: &[u8; 64]) -> [u8; REPORT_BYTES] {
        let mut report = Report { mrenclave: IMAGE, reportdata: *data, ..Report::default() };
        let mut mac = Cmac::<Aes128>::new(&[0; 16].into());
        mac.update(report.mac_data());
        report.mac = mac.finalize().into_bytes().into();
        let mut bytes = [0; REPORT_BYTES];
        bytes.copy_from_slice(report.as_ref());
        bytes
    }

    fn report_key(&self, _: &[u8; 32]) -> Option<Zeroizing<[u8; 16]>> {
        Some(Zeroizing::new([0; 16]))
    }
}

/// Gives any key of the owner of the example.
struct Everything;

/// The manifest in each record that is kept.
fn manifest() -> Manifest {
    let image = AllowedImage { measurement: Some(Digest(IMAGE)), ..AllowedImage::default() };
    Manifest {
        images: vec![image],
        handover: Handover { from: vec![Digest(IMAGE)] },
        ..full_manifest()
    }
}

fn of_the_owner(owner: Digest) {
    let known = manifest().check().map(|owner| owner.id());
    assert_eq!(Ok(owner), known, "nobody else can sign");
}

impl Keeper for Everything {
    fn volume(&self, deployment: &Deployment, guest: &str, _: &[u8]) -> Result<Key, String> {
        of_the_owner(deployment.owner);
        assert_eq!((&*deployment.name, guest), ("example", "/data"));
        Ok(Key::new([1; 32]))
    }

    fn program(&self, owner: Digest, _: Digest, _: &[u8]) -> Result<Key, String> {
        of_the_owner(owner);
        Ok(Key::new([2; 32]))
    }

    fn kept(&self, _: &str, record: &[u8]) -> Result<OpenedRecord, String> {
        Ok(OpenedRecord { key: Key::new([3; 32]), signed: record.to_vec() })
    }
}

/// Answers a request without its report, which is made right; and takes the bytes for an answer.
pub fn handover(bytes: &[u8]) {
    let own = Identity {
        measurement: Digest(IMAGE),
        signer: Digest([0; 32]),
        product: 0,
        svn: 0,
        debug: false,
    };
    if let Ok(request) = Request::decode(bytes) {
        assert_eq!(cbor::encode(&request), bytes, "a request has one encoding");
    }
    let report = Open.report(&[0; TARGET_BYTES], &report::about(REQUEST, &[bytes]));
    let told = answer(&Open, &own, &Everything, &[&report[..], bytes].concat());
    if let Ok(told) = told {
        assert_eq!(told.len(), REPORT_BYTES + 32 + 32 + 16);
        assert!(Request::decode(bytes).is_ok());
    }
    let target = Targetinfo { measurement: IMAGE, ..Targetinfo::default() };
    let mut info = [0; TARGET_BYTES];
    info.copy_from_slice(target.as_ref());
    let target = Target::new(&info).expect("it has the size of a TARGETINFO");
    let asked = Asking::for_kept(&Open, &target, "deployment-1", bytes);
    let taken = asked.take(&Open, &own, bytes, |_| Some((bytes.to_vec(), ())));
    assert!(taken.is_err(), "it does not know the key of the request");
    assert!(message::split(bytes).is_ok() || taken == Err(Error::Message(None)));
}

/// The first inputs of the target.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let manifest = signed(&manifest());
    assert!(Signed::open(&manifest).is_ok());
    let request = |asked| {
        let key = Bytes(vec![9; 32]);
        ("handover", cbor::encode(&Request { version: VERSION, key, asked }))
    };
    let deployment = |wanted| Asked::Deployment { manifest: Bytes(manifest.clone()), wanted };
    let parameters = || Bytes(vec![7; 92]);
    vec![
        request(deployment(Wanted::Volume { guest: "/data".into(), parameters: parameters() })),
        request(deployment(Wanted::Program { parameters: parameters() })),
        request(Asked::Kept { name: "deployment-1".into(), record: Bytes(manifest.clone()) }),
    ]
}
