//! `cargo bench --package twine-verifier`: the time of one verification with collateral at hand, from
//! the evidence's bytes to the verdict. The bar is 2 ms.

#[path = "../tests/common/mod.rs"]
mod common;

use common::pki::Key;
use common::simulation::{Carrier, NOW, Simulation, State};
use common::{JUNE_2025, OPEN, cbor, collateral, policy, request, sample, vector};
use std::time::Instant;
use twine_verifier::{Request, Roots, verify};

/// How often each verification is done, after a tenth of that to warm up.
const TURNS: usize = 1000;

fn main() {
    let policy = policy(OPEN);
    let hardware = Roots::hardware();
    let quote = sample("sgx_quote");
    let own = collateral(&sample("sgx_quote_collateral.json"));
    time("a quote of a server", &request(&quote, &own, &policy, &hardware, JUNE_2025), true);
    // A refused quote is verified twice: by the library, and check by check.
    let mut changed = quote.clone();
    changed[200] ^= 1;
    time("the same, changed", &request(&changed, &own, &policy, &hardware, JUNE_2025), false);
    if let (Some(certificate), Some(json)) = (vector("ra-tls-gramine.pem"), vector("icx17.json")) {
        let own = collateral(&json);
        let request = request(&certificate, &own, &policy, &hardware, JUNE_2025);
        time("a certificate of Gramine's", &request, true);
    }
    simulated();
}

fn simulated() {
    let (simulation, key) = (Simulation::new(), Key::new());
    let claims = cbor::map(&[cbor::pubkey(key.info())]);
    let certificate = Carrier::new(simulation.evidence(&claims)).sign(&key, &key);
    let collateral = simulation.collateral(&State::default());
    let policy = policy(&OPEN.replace("intel", "simulation"));
    let roots = Roots::with_simulation(simulation.root());
    time(
        "a simulated certificate",
        &request(&certificate, &collateral, &policy, &roots, NOW),
        true,
    );
}

fn time(what: &str, request: &Request<'_>, is_accepted: bool) {
    let mut times = Vec::new();
    for turn in 0..TURNS + TURNS / 10 {
        let begun = Instant::now();
        let verdict = verify(request);
        let time = begun.elapsed().as_secs_f64() * 1e3;
        assert_eq!(verdict.is_accepted(), is_accepted, "{what}");
        if turn >= TURNS / 10 {
            times.push(time);
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |quarter: usize| times[quarter * (times.len() - 1) / 4];
    println!("{what:28} {:.3} ms [{:.3}-{:.3}], median of {TURNS}", at(2), at(1), at(3));
}
