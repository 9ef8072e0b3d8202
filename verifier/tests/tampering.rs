//! Evidence in which one bit was changed: for each byte, it is refused, or the byte is one that means
//! nothing. Evidence and collateral that were changed at random are refused, or say the same.

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

/// Asserts that the bytes whose change is accepted mean nothing: line ends in the chain; the chain's
/// copy of the root, in whose place the policy's is taken; the chain's length, where it then ends within
/// that copy.
fn assert_immaterial(case: &Case) {
    let [leaf, _, root] = certificates(&case.evidence);
    // The chain ends with a line end, and Intel's with a zero byte besides.
    let copy = root.start..root.end + 2;
    let length = u32::from_le_bytes(*case.evidence[..leaf.start].last_chunk().unwrap());
    let immaterial = case.immaterial();
    for &offset in &immaterial {
        let byte = case.evidence[offset];
        let is_line_end = byte == b'\n' && (leaf.start..root.start).contains(&offset);
        let is_length = (leaf.start - 4..leaf.start).contains(&offset) && {
            let changed = length ^ 1 << (8 * (offset + 4 - leaf.start) + offset % 8);
            copy.contains(&(leaf.start + changed as usize))
        };
        let means_nothing = is_line_end || is_length || copy.contains(&offset);
        assert!(means_nothing, "byte {offset} (`{}`)", byte as char);
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

/// Numbers that look random and are the same in each run (Marsaglia, "Xorshift RNGs").
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    /// Overwrites, removes, inserts or repeats some bytes.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let end = (at + 1 + self.below(8)).min(bytes.len());
        let byte = u8::try_from(self.below(256)).unwrap();
        match self.below(4) {
            0 => bytes[at] = byte,
            1 => drop(bytes.drain(at..end)),
            2 => bytes.insert(at, byte),
            _ => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
}

#[test]
fn evidence_that_was_changed_anyhow_is_refused_or_says_the_same() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for case in [simulated(false), simulated(true)] {
        let facts = case.facts(&case.evidence);
        for turn in 0..1000 {
            let mut evidence = case.evidence.clone();
            for _ in 0..=numbers.below(3) {
                numbers.change(&mut evidence);
            }
            let changed = case.facts(&evidence);
            assert!(changed.is_none() || changed == facts, "turn {turn}");
        }
    }
}

#[test]
fn collateral_that_was_changed_anyhow_refuses_or_says_the_same() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let mut case = simulated(true);
    let (evidence, json) = (case.evidence.clone(), case.collateral.to_json());
    let facts = case.facts(&evidence);
    let mut read = 0;
    for turn in 0..1000 {
        let mut json = json.clone();
        numbers.change(&mut json);
        let Ok(collateral) = Collateral::from_json(&json) else { continue };
        read += 1;
        case.collateral = collateral;
        let changed = case.facts(&evidence);
        assert!(changed.is_none() || changed == facts, "turn {turn}");
    }
    assert!(read > 100, "most of the changes were of the JSON around the collateral");
}
