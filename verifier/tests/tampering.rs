//! Evidence in which one bit was changed: for each byte, it is refused, or the byte is one that means
//! nothing.

mod common;

use common::cbor::{map, pubkey};
use common::pki::Key;
use common::simulation::{Carrier, NOW, Simulation, State};
use common::{JUNE_2025, OPEN, collateral, policy, request, sample};
use std::ops::Range;
use std::thread;
use twine_verifier::{Collateral, Facts, Moment, Policy, Roots, verify};

/// Evidence that is accepted, and all that it is verified by.
struct Case {
    evidence: Vec<u8>,
    collateral: Collateral,
    policy: Policy,
    roots: Roots,
    at: Moment,
}

impl Case {
    /// Returns the facts, if the evidence is accepted.
    fn facts(&self, evidence: &[u8]) -> Option<Facts> {
        let request = request(evidence, &self.collateral, &self.policy, &self.roots, self.at);
        let verdict = verify(&request);
        let facts = verdict.facts().cloned();
        facts.filter(|_| verdict.is_accepted())
    }

    /// Changes one bit of each byte, and returns the offsets of the bytes whose change is accepted.
    /// The verdict's facts must then be the same.
    fn immaterial(&self) -> Vec<usize> {
        let facts = self.facts(&self.evidence).expect("the evidence is accepted as it is");
        let half = self.evidence.len() / 2;
        let accepted = |range: Range<usize>| {
            let is_accepted = |offset: &usize| {
                let mut evidence = self.evidence.clone();
                // Another bit in each byte.
                evidence[*offset] ^= 1 << (offset % 8);
                let changed = self.facts(&evidence);
                assert!(changed.is_none() || changed.as_ref() == Some(&facts), "byte {offset}");
                changed.is_some()
            };
            range.filter(is_accepted).collect::<Vec<_>>()
        };
        thread::scope(|scope| {
            let first = scope.spawn(|| accepted(0..half));
            let second = accepted(half..self.evidence.len());
            [first.join().expect("no check panics"), second].concat()
        })
    }
}

/// Returns where the certificates of a platform's chain lie in evidence: leaf, issuer and root, with
/// the lines that mark their beginnings and ends.
fn certificates(evidence: &[u8]) -> [Range<usize>; 3] {
    let places = |text: &str| {
        let windows = evidence.windows(text.len()).enumerate();
        let places = windows.filter(|(_, window)| *window == text.as_bytes());
        places.map(|(offset, _)| offset).collect::<Vec<_>>()
    };
    let end = "-----END CERTIFICATE-----";
    let (begins, ends) = (places("-----BEGIN CERTIFICATE-----"), places(end));
    [0, 1, 2].map(|number| begins[number]..ends[number] + end.len())
}

/// Asserts that the bytes whose change is accepted mean nothing: line ends in the chain, the chain's
/// copy of the root, in whose place the policy's is taken.
fn assert_immaterial(case: &Case) {
    let [leaf, _, root] = certificates(&case.evidence);
    // The chain ends with a line end, and Intel's with a zero byte besides.
    let copy = root.start..root.end + 2;
    let immaterial = case.immaterial();
    for &offset in &immaterial {
        let byte = case.evidence[offset];
        let is_line_end = byte == b'\n' && (leaf.start..root.start).contains(&offset);
        assert!(is_line_end || copy.contains(&offset), "byte {offset} (`{}`)", byte as char);
    }
    println!("{} of {} bytes mean nothing", immaterial.len(), case.evidence.len());
}

#[test]
fn each_byte_of_a_quote_counts_but_line_ends_and_the_copy_of_the_root() {
    assert_immaterial(&Case {
        evidence: sample("sgx_quote"),
        collateral: collateral(&sample("sgx_quote_collateral.json")),
        policy: policy(OPEN),
        roots: Roots::hardware(),
        at: JUNE_2025,
    });
}

/// Evidence of a simulation of the test's own, in CBOR or in a certificate.
fn simulated(in_certificate: bool) -> Case {
    let simulation = Simulation::new();
    let key = Key::new();
    let mut evidence = simulation.evidence(&map(&[pubkey(key.info())]));
    if in_certificate {
        evidence = Carrier::new(evidence).sign(&key, &key);
    }
    Case {
        evidence,
        collateral: simulation.collateral(&State::default()),
        policy: policy("root = 'simulation'\n[enclave]\nany = true"),
        roots: Roots::with_simulation(simulation.root()),
        at: NOW,
    }
}

#[test]
fn each_byte_of_evidence_in_cbor_counts_but_line_ends_and_the_copy_of_the_root() {
    assert_immaterial(&simulated(false));
}

#[test]
fn each_byte_of_a_certificate_counts() {
    assert_eq!(simulated(true).immaterial(), Vec::<usize>::new());
}
