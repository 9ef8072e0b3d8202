//! `micro`: records of 1,000 bytes in SQLite, inserted and read, as in the measurements of Twine's
//! paper.

use crate::database::Keeper;
use crate::error::{Error, Result};
use crate::process::Workspace;
use crate::report::{Bar, Case, Point, Rival, Section, Series};
use crate::statistics::{Effort, Sample, interleaved};
use std::cell::RefCell;

/// The number of records in the table, step by step.
const RECORDS: &[&str] =
    &["1000", "25000", "50000", "75000", "100000", "125000", "150000", "175000"];
const RECORDS_QUICK: &[&str] = &["1000", "10000"];

const ON_FILES: &[Keeper] =
    &[Keeper::Twine, Keeper::SqlCipher4, Keeper::SqlCipher3, Keeper::Native, Keeper::Wasmtime];
const IN_MEMORY: &[Keeper] = &[Keeper::Twine, Keeper::Native, Keeper::Wasmtime];

/// The places of the database, and the rivals at each.
const WAYS: &[(&str, &str, &[Keeper])] =
    &[("file", "micro.db", ON_FILES), ("memory", ":memory:", IN_MEMORY)];

/// The kinds of work that are timed at each step.
const WORK: [&str; 3] = ["insert", "read in order", "read at random"];

/// The bar for random reads of a file, against native SQLite.
const BAR: Bar = Bar::AtMost(3.0);

/// One step of one run.
#[derive(Debug, Clone, PartialEq)]
struct Step {
    records: u64,
    /// The microseconds for one record, in the order of `WORK`.
    each: [f64; 3],
}

pub(crate) fn measure(workspace: &Workspace, effort: Effort, quick: bool) -> Section {
    let mut section = Section::new(
        "micro",
        "one record of 1,000 bytes in SQLite, at the last of the table's sizes; 8 MiB of cache, \
         journal DELETE, synchronous NORMAL",
    );
    section.notes = Keeper::notes();
    let records = if quick { RECORDS_QUICK } else { RECORDS };
    for &(way, database, keepers) in WAYS {
        let arguments = [&[database], records].concat();
        match steps(workspace, effort, keepers, &arguments) {
            Ok(steps) => {
                for (at, work) in WORK.into_iter().enumerate() {
                    section.add(format!("{way}, {work}"), case(way, at, keepers, &steps));
                    section.series.push(curve(way, at, keepers, &steps));
                }
            }
            Err(error) => section.skip(way, error.to_string()),
        }
    }
    section
}

/// Returns the steps of all runs of each rival.
fn steps(
    workspace: &Workspace,
    effort: Effort,
    keepers: &[Keeper],
    arguments: &[&str],
) -> Result<Vec<Vec<Vec<Step>>>> {
    let told: Vec<_> = keepers.iter().map(|_| RefCell::new(Vec::new())).collect();
    let mut timed: Vec<_> = keepers
        .iter()
        .zip(&told)
        .map(|(keeper, told)| {
            move || -> Result<f64> {
                let steps = parse(&keeper.run(workspace, "micro", arguments)?)?;
                told.borrow_mut().push(steps);
                Ok(0.0)
            }
        })
        .collect();
    let mut rivals: Vec<_> =
        timed.iter_mut().map(|timed| timed as &mut dyn FnMut() -> Result<f64>).collect();
    interleaved(effort, &mut rivals)?;
    drop(rivals);
    drop(timed);
    Ok(told.into_iter().map(RefCell::into_inner).collect())
}

fn case(way: &str, work: usize, keepers: &[Keeper], steps: &[Vec<Vec<Step>>]) -> Result<Case> {
    let mut rivals = Vec::new();
    for (keeper, runs) in keepers.iter().zip(steps) {
        let last = runs.iter().filter_map(|steps| steps.last());
        let sample = Sample::of(last.map(|step| step.each[work]).collect());
        rivals.push((keeper.name(), sample.ok_or_else(malformed)?));
    }
    let case = Case::new(format!("{way}, {}", WORK[work]), "us", rivals, None);
    let native = keepers.iter().position(|keeper| *keeper == Keeper::Native);
    Ok(match native {
        Some(native) if (way, work) == ("file", 2) => case.held(native, BAR),
        _ => case,
    })
}

fn malformed() -> Error {
    Error::Program("micro does not print what it should".into())
}

/// Parses the CSV of one run.
fn parse(printed: &str) -> Result<Vec<Step>> {
    let step = |line: &str| {
        let fields: Vec<f64> =
            line.split(',').map(|field| field.parse().ok()).collect::<Option<_>>()?;
        let [records, inserted, insert, in_order, at_random] = fields[..] else { return None };
        let each = [insert / inserted, in_order / records, at_random / records];
        Some(Step { records: records as u64, each: each.map(|seconds| seconds * 1e6) })
    };
    let steps = printed.lines().skip(1).map(step).collect::<Option<Vec<_>>>();
    steps.filter(|steps| !steps.is_empty()).ok_or_else(malformed)
}

/// Returns one kind of work over the sizes of the table.
fn curve(way: &str, work: usize, keepers: &[Keeper], steps: &[Vec<Vec<Step>>]) -> Series {
    let first = steps.first().and_then(|runs| runs.first());
    let sizes = first.map_or(&[][..], |steps| steps);
    let point = |at: usize, size: &Step| {
        let rival = |(keeper, runs): (&Keeper, &Vec<Vec<Step>>)| {
            let each = runs.iter().filter_map(|run| run.get(at)).map(|step| step.each[work]);
            Some(Rival { name: keeper.name().into(), sample: Sample::of(each.collect())? })
        };
        Point {
            name: size.records.to_string(),
            at: Some(size.records as f64),
            rivals: keepers.iter().zip(steps).filter_map(rival).collect(),
        }
    };
    Series {
        name: format!("{way}, {}", WORK[work]),
        axis: "records".into(),
        unit: "us".into(),
        points: sizes.iter().enumerate().map(|(at, size)| point(at, size)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
records,inserted,insert_seconds,sequential_seconds,random_seconds
1000,1000,0.005,0.001,0.002
3000,2000,0.004,0.006,0.009
";

    #[test]
    fn times_are_per_record() {
        let steps = parse(PRINTED).unwrap();
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[1].records, 3000);
        assert_eq!(steps[1].each.map(f64::round), [2.0, 2.0, 3.0]);
    }

    #[test]
    fn malformed_csv_is_an_error() {
        assert!(parse("records\n1000,x,1,1,1\n").is_err());
        assert!(parse("records\n1000,1\n").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn a_curve_has_a_place_for_each_size_with_the_values_of_all_runs() {
        let run = parse(PRINTED).unwrap();
        let curve = curve("file", 2, &[Keeper::Native], &[vec![run.clone(), run]]);
        assert_eq!(curve.name, "file, read at random");
        let places: Vec<_> = curve.points.iter().map(|point| point.at).collect();
        assert_eq!(places, [Some(1000.0), Some(3000.0)]);
        assert_eq!(curve.points[1].rivals[0].sample.runs.len(), 2);
        assert_eq!(curve.points[1].rivals[0].sample.median.round(), 3.0);
    }
}
