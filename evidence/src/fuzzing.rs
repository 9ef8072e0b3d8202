//! The functions that the fuzz targets in `fuzz/` call.
//!
//! Each function takes any bytes. It panics if a decoder panics, or if it accepts bytes that are
//! not the one encoding of what it returns. Only the fuzz targets need the feature of this module.

pub use crate::examples;

use crate::access::Right;
use crate::bytes::Digest;
use crate::manifest::{Identity, Manifest};
use crate::owner::PublicKey;
use crate::signed::Signed;
use crate::statement::{Program, Run, Statement};

/// Decodes a launch statement, as a verifier does.
pub fn statement(bytes: &[u8]) {
    let Ok(statement) = Statement::decode(bytes) else { return };
    assert_eq!(statement.encode(), bytes, "a statement has one encoding");
    if let Some(Program { terms, .. }) = statement.subject.program() {
        assert!(terms.differences(terms).is_empty());
    }
    if let Some(said) = statement.subject.said() {
        assert!(said.fits(), "a program says no more than it may");
        assert_eq!(statement.run, Run::default(), "a program has no key of the runtime's");
    }
}

/// Decodes a manifest, and checks it.
pub fn manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::decode(bytes) else { return };
    assert_eq!(manifest.encode(), bytes, "a manifest has one encoding");
    let Ok(owner) = manifest.check() else { return };
    assert_eq!(manifest.deployment(&owner).manifest, Digest::of(bytes));
    for right in Right::ALL {
        assert!(manifest.may(right, &owner), "an owner may do everything");
        let keys = manifest.access.keys(right).iter();
        assert!(keys.map(|key| PublicKey::from_der(&key.0)).all(|key| key.is_ok()));
    }
    let enclave = Identity {
        measurement: Digest([0x22; 32]),
        signer: Digest([0x33; 32]),
        product: 1,
        svn: 2,
        debug: false,
    };
    // A launch on a manifest's own terms is allowed, wherever the image is.
    if let Err(refusal) = manifest.allow(&manifest.terms, &enclave) {
        assert!(matches!(refusal, crate::manifest::Refusal::Image(_)), "{refusal}");
    }
}

/// Opens a signed manifest, as the enclave does.
pub fn signed(bytes: &[u8]) {
    let Ok(signed) = Signed::open(bytes) else { return };
    let again = signed.manifest().encode();
    assert!(bytes.windows(again.len()).any(|part| part == again), "it is in the envelope");
}

/// The first inputs of the targets.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds: Vec<_> =
        examples::statements().iter().map(|statement| ("statement", statement.encode())).collect();
    for manifest in [examples::manifest(examples::small_terms()), examples::full_manifest()] {
        seeds.push(("signed", examples::signed(&manifest)));
        seeds.push(("deployment", manifest.encode()));
    }
    seeds
}
