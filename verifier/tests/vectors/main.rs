//! Quotes, certificates and collateral of others, each with the verdict that it must get.

#[path = "../common/mod.rs"]
mod common;
mod table;

use common::{OPEN, collateral, failed, policy, sample, vector, verdict};
use std::fmt::Write;
use table::TABLE;
use twine_verifier::{CheckName, Moment};

fn read(name: &str) -> Option<Vec<u8>> {
    match name.strip_prefix("qvl:") {
        Some(name) => Some(sample(name)),
        None => vector(name),
    }
}

#[test]
fn every_vector_gets_the_verdict_of_the_table() {
    let policy = policy(OPEN);
    let mut table = String::new();
    let mut wrong = 0;
    for row in TABLE {
        let (Some(evidence), Some(json)) = (read(row.evidence), read(row.collateral)) else {
            continue;
        };
        let verdict = verdict(&evidence, &collateral(&json), &policy, Moment(row.at));
        let (name, reason) = row.because;
        let seen = &verdict.check(name).reason;
        let is_right = failed(&verdict) == row.failed
            && verdict.is_accepted() == row.failed.is_empty()
            && seen == reason;
        wrong += usize::from(!is_right);
        writeln!(table, "{}, {}, at {}", row.evidence, row.collateral, Moment(row.at)).unwrap();
        let list = |names: &[CheckName]| match names.is_empty() {
            true => "accepted".to_owned(),
            false => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        writeln!(table, "  expected: {}; {name}: {reason}", list(row.failed)).unwrap();
        writeln!(table, "  seen:     {}; {name}: {seen}", list(&failed(&verdict))).unwrap();
    }
    println!("{table}");
    assert_eq!(wrong, 0, "vectors with another verdict than expected\n{table}");
}
