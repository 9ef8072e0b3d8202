//! `speedtest`: SQLite's own benchmark, by the times that it reports.

use crate::database::Keeper;
use crate::error::{Error, Result};
use crate::process::Workspace;
use crate::report::{Bar, Case, Point, Rival, Section, Series};
use crate::statistics::{Effort, Sample, interleaved};
use std::cell::RefCell;

/// The tests that Twine's paper shows. In SQLite 3.40 the main set has three more: 150 makes
/// indices, 200 is VACUUM, 310 joins four tables.
pub(crate) const PAPER: [u32; 29] = [
    100, 110, 120, 130, 140, 142, 145, 160, 161, 170, 180, 190, 210, 230, 240, 250, 260, 270, 280,
    290, 300, 320, 400, 410, 500, 510, 520, 980, 990,
];

/// The amount of work, for the option `--size`: for measurements, and for quick runs and
/// comparisons of results.
const SIZE: &str = "50";
const SIZE_QUICK: &str = "10";

/// The settings of Twine's paper: 8 MiB of cache.
const PAGES: [&str; 4] = ["--pagesize", "4096", "--cachesize", "2048"];

/// The rival that a bar applies to.
enum Against {
    One(Keeper),
    FasterSqlCipher,
}

/// A way to keep the database, and the rivals, Twine first.
struct Way {
    name: &'static str,
    arguments: &'static [&'static str],
    keepers: &'static [Keeper],
    bars: &'static [(Against, f64)],
}

const ON_FILES: &[Keeper] =
    &[Keeper::Twine, Keeper::SqlCipher4, Keeper::SqlCipher3, Keeper::Native, Keeper::Wasmtime];

/// The rivals in memory. SQLCipher does not encrypt a database in memory.
const IN_MEMORY: &[Keeper] = &[Keeper::Twine, Keeper::Native, Keeper::Wasmtime];

const FILE_BARS: &[(Against, f64)] =
    &[(Against::FasterSqlCipher, 0.75), (Against::One(Keeper::Native), 1.5)];
const MEMORY_BARS: &[(Against, f64)] =
    &[(Against::One(Keeper::Native), 2.0), (Against::One(Keeper::Wasmtime), 1.0)];

const WAYS: &[Way] = &[
    Way {
        name: "file, journal DELETE",
        arguments: &["--journal", "DELETE", "speed.db"],
        keepers: ON_FILES,
        bars: FILE_BARS,
    },
    Way {
        name: "file, journal TRUNCATE",
        arguments: &["--journal", "TRUNCATE", "speed.db"],
        keepers: ON_FILES,
        bars: FILE_BARS,
    },
    Way { name: "memory", arguments: &["--memdb"], keepers: IN_MEMORY, bars: MEMORY_BARS },
];

/// The report of one run.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    /// The number, name and seconds of each test.
    tests: Vec<(u32, String, f64)>,
    total: f64,
}

pub(crate) fn measure(workspace: &Workspace, effort: Effort, quick: bool) -> Section {
    let mut section = Section::new(
        "speedtest",
        "SQLite's speedtest1, its main set, by its own clock: without start and compilation",
    );
    section.notes = Keeper::notes();
    for way in WAYS {
        match case(workspace, effort, way, quick) {
            Ok((case, tests)) => {
                section.cases.push(case);
                section.series.push(tests);
            }
            Err(error) => section.skip(way.name, error.to_string()),
        }
    }
    section
}

/// Measures the whole benchmark, and each test.
fn case(workspace: &Workspace, effort: Effort, way: &Way, quick: bool) -> Result<(Case, Series)> {
    compare(workspace, way)?;
    let size = if quick { SIZE_QUICK } else { SIZE };
    let told: Vec<_> = way.keepers.iter().map(|_| RefCell::new(Vec::new())).collect();
    let mut timed: Vec<_> = way
        .keepers
        .iter()
        .zip(&told)
        .map(|(keeper, told)| {
            move || -> Result<f64> {
                let run = parse(&run(workspace, *keeper, way, size, &[])?)?;
                let total = run.total;
                told.borrow_mut().push(run);
                Ok(total)
            }
        })
        .collect();
    let mut rivals: Vec<_> =
        timed.iter_mut().map(|timed| timed as &mut dyn FnMut() -> Result<f64>).collect();
    let samples = interleaved(effort, &mut rivals)?;
    let told: Vec<_> = told.iter().map(RefCell::borrow).collect();
    let told: Vec<(&str, &[Told])> =
        way.keepers.iter().zip(&told).map(|(keeper, told)| (keeper.name(), &***told)).collect();
    let names = way.keepers.iter().map(|keeper| keeper.name());
    let case = Case::new(way.name, "s", names.zip(samples), None);
    let case = way.bars.iter().fold(case, |case, (against, most)| {
        let rivals = match against {
            Against::One(keeper) => {
                way.keepers.iter().position(|other| other == keeper).into_iter().collect()
            }
            Against::FasterSqlCipher => Keeper::sqlciphers(way.keepers),
        };
        case.held_against_fastest(&rivals, Bar::AtMost(*most))
    });
    Ok((case, tests(way.name, &told)))
}

/// Checks that all rivals give the same answers to all queries. On request, the benchmark prints a
/// digest of the answers.
fn compare(workspace: &Workspace, way: &Way) -> Result<()> {
    let hash = |keeper: &Keeper| -> Result<String> {
        let printed = run(workspace, *keeper, way, SIZE_QUICK, &["--verify"])?;
        let hash = printed.lines().find(|line| line.starts_with("Verification Hash: "));
        let missing = || Error::Program("speedtest1 shows no hash".into());
        hash.map(ToOwned::to_owned).ok_or_else(missing)
    };
    let hashes = way.keepers.iter().map(hash).collect::<Result<Vec<_>>>()?;
    match hashes.iter().all(|hash| *hash == hashes[0]) {
        true => Ok(()),
        false => Err(Error::Differs("speedtest1".into())),
    }
}

fn run(
    workspace: &Workspace,
    keeper: Keeper,
    way: &Way,
    size: &str,
    more: &[&str],
) -> Result<String> {
    let arguments = [&["--size", size], &PAGES[..], more, way.arguments].concat();
    keeper.run(workspace, "speedtest", &arguments)
}

/// Parses lines such as ` 100 - 50000 INSERTs into table with no index......    0.041s`.
fn parse(printed: &str) -> Result<Told> {
    let mut told = Told { tests: Vec::new(), total: 0.0 };
    for line in printed.lines() {
        let Some((what, seconds)) = line.rsplit_once(' ') else { continue };
        let seconds = seconds.strip_suffix('s').and_then(|seconds| seconds.parse().ok());
        let (Some(seconds), what) = (seconds, what.trim().trim_end_matches('.')) else { continue };
        match what.split_once(" - ") {
            Some((number, name)) => {
                let Ok(number) = number.parse() else { continue };
                told.tests.push((number, name.to_owned(), seconds));
            }
            None if what == "TOTAL" => told.total = seconds,
            None => {}
        }
    }
    let ran = |number| told.tests.iter().any(|test| test.0 == number);
    match PAPER.into_iter().all(ran) && told.total > 0.0 {
        true => Ok(told),
        false => Err(Error::Program("speedtest1 did not run all of its tests".into())),
    }
}

/// Returns the seconds of each test by each rival.
fn tests(way: &str, told: &[(&str, &[Told])]) -> Series {
    let first = told.first().and_then(|(_, runs)| runs.first());
    let tests = first.map_or(&[][..], |run| &run.tests);
    let point = |at: usize, (number, name, _): &(u32, String, f64)| {
        let rival = |(rival, runs): &(&str, &[Told])| {
            let seconds = runs.iter().filter_map(|run| run.tests.get(at)).map(|test| test.2);
            Some(Rival { name: (*rival).into(), sample: Sample::of(seconds.collect())? })
        };
        Point {
            name: format!("{number} {name}"),
            at: Some(f64::from(*number)),
            rivals: told.iter().filter_map(rival).collect(),
        }
    };
    Series {
        name: way.into(),
        axis: "test".into(),
        unit: "s".into(),
        points: tests.iter().enumerate().map(|(at, test)| point(at, test)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(tests: &[u32]) -> String {
        let mut text = String::from("-- Speedtest1 for SQLite 3.52.0\n");
        for test in tests {
            text += &format!(" {test} - 10 DELETEs, a - b, indexed......    0.{test}s\n");
        }
        text + "       TOTAL..........    1.234s\n"
    }

    #[test]
    fn each_line_of_a_run_is_a_test_with_its_seconds() {
        let told = parse(&printed(&PAPER)).unwrap();
        assert_eq!(told.total, 1.234);
        assert_eq!(told.tests[28], (990, "10 DELETEs, a - b, indexed".into(), 0.99));
    }

    #[test]
    fn a_run_that_ended_early_is_an_error() {
        assert!(parse(&printed(&PAPER[..28])).is_err());
        assert!(parse(printed(&PAPER).split("TOTAL").next().unwrap()).is_err());
    }

    #[test]
    fn each_test_has_the_seconds_of_all_runs_by_each_rival() {
        let run = |seconds| Told { tests: vec![(100, "a, b".into(), seconds)], total: 1.0 };
        let (ours, theirs) = ([run(1.0), run(5.0), run(2.0)], [run(3.0)]);
        let series = tests("memory", &[("Twine", &ours), ("SQLite", &theirs)]);
        let point = &series.points[0];
        assert_eq!((&*point.name, point.at), ("100 a, b", Some(100.0)));
        assert_eq!(point.rivals[0].sample.runs, [1.0, 5.0, 2.0]);
        assert_eq!((&*point.rivals[1].name, point.rivals[1].sample.median), ("SQLite", 3.0));
    }
}
