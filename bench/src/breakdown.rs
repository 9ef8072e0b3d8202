//! `breakdown`: the parts of the time of SQLite on a protected file.
//!
//! The whole is the time that `guests/micro` reports for one kind of work. SQLite's own part is the
//! same work on a database in memory. The volume and the host count the operations, and each count
//! is multiplied by the cost of one: blocks opened and sealed, bytes copied, exits. The benchmark
//! does not time a single block in the enclave, where reading a clock is an exit. The tree, the
//! cache and SQLite's file calls are the rest.

use crate::call::exit_cost;
use crate::error::{Error, Result, about};
use crate::process::{Stats, Workspace, cause};
use crate::report::{Case, Detail, Point, Rival, Section, Series};
use crate::statistics::{Effort, Sample, interleaved};
use graviola::aead::AesGcm;
use std::cell::RefCell;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

const RECORDS: u64 = 175_000;
const RECORDS_QUICK: u64 = 10_000;

/// The mount that keeps the files in the enclave's memory.
const TMPFS: &str = "/=420MiB";

/// The names of the work in `guests/micro`, and here.
const WORK: [(&str, &str); 3] =
    [("insert", "insert"), ("sequential", "read in order"), ("random", "read at random")];

const BLOCK: usize = 4096;

/// The cost of one operation of each kind, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Costs {
    open: f64,
    seal: f64,
    /// Copying a block from memory that is in no CPU cache.
    copy: f64,
    exit: f64,
}

/// One run of one kind of work on a volume.
#[derive(Debug, Clone)]
struct OnVolume {
    seconds: f64,
    stats: Stats,
}

pub(crate) fn measure(workspace: &Workspace, effort: Effort, quick: bool) -> Section {
    let records = if quick { RECORDS_QUICK } else { RECORDS };
    let about = format!(
        "microseconds of one of {records} records in SQLite on a volume, by what takes them: \
         counts of the run, times what one costs; block ciphers and copies are timed natively"
    );
    let mut section = Section::new("breakdown", &about);
    match series(workspace, effort, records, &mut section) {
        Ok(series) => section.series.push(series),
        Err(error) => section.skip("all", error.to_string()),
    }
    section
}

fn series(
    workspace: &Workspace,
    effort: Effort,
    records: u64,
    section: &mut Section,
) -> Result<Series> {
    let costs = Costs { exit: exit_cost(workspace, effort)?, ..unit_costs()? };
    let mut points = Vec::new();
    let bench = Bench { workspace, records, folder: workspace.scratch.join("breakdown") };
    let [volume, tmpfs, memory] = bench.measure(effort)?;
    for (at, (_, name)) in WORK.into_iter().enumerate() {
        let each = |seconds: f64| seconds * 1e6 / records as f64;
        let sample = |runs: &[[OnVolume; 3]]| {
            Sample::of(runs.iter().map(|run| each(run[at].seconds)).collect())
        };
        let rivals = [
            ("on a volume", sample(&volume)),
            ("in the enclave's memory, file", sample(&tmpfs)),
            ("in the enclave's memory, database", sample(&memory)),
        ];
        let rivals: Vec<_> =
            rivals.into_iter().filter_map(|(name, sample)| Some((name, sample?))).collect();
        let sqlite = rivals.last().map_or(0.0, |(_, sample)| sample.median);
        let whole = rivals.first().map_or(0.0, |(_, sample)| sample.median);
        let mut case = Case::new(name, "us", rivals, None);
        if let Some(run) = middle(&volume, at) {
            let parts = parts(whole, sqlite, &run.stats, &costs, records);
            points.push(point(name, &parts));
            case.details = counts(&run.stats, records);
        }
        section.cases.push(case);
    }
    let costs = [
        ("opening a block of 4 KiB", costs.open),
        ("sealing a block of 4 KiB", costs.seal),
        ("copying a block of 4 KiB", costs.copy),
        ("an exit and an entry", costs.exit),
    ];
    for (name, cost) in costs {
        section.cases.push(Case::new(name, "us", [("one", Sample::exact(cost))], None));
    }
    Ok(Series { name: "parts".into(), axis: "work".into(), unit: "us".into(), points })
}

/// Returns the run whose time is the median, for its counts.
fn middle(runs: &[[OnVolume; 3]], work: usize) -> Option<&OnVolume> {
    let mut runs: Vec<&OnVolume> = runs.iter().map(|run| &run[work]).collect();
    runs.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
    runs.get(runs.len() / 2).copied()
}

/// Splits one record's time into its parts.
fn parts(
    whole: f64,
    sqlite: f64,
    stats: &Stats,
    costs: &Costs,
    records: u64,
) -> Vec<(&'static str, f64)> {
    let each = |value: f64| value / records as f64;
    let count = |name: &str| stats.count(name) as f64;
    let storage = |name: &&String| name.starts_with("storage_");
    let calls = &stats.call_milliseconds;
    let served: f64 = calls.keys().filter(storage).map(|name| calls[name] * 1e3).sum();
    let exits: u64 = stats.calls.keys().filter(storage).map(|name| stats.calls[name]).sum();
    let bytes = count("bytes_read") + count("bytes_written");
    let mut parts = vec![
        ("opening blocks", each(count("blocks_opened") * costs.open)),
        ("sealing blocks", each(count("blocks_sealed") * costs.seal)),
        ("copying to and from the host", each(bytes / BLOCK as f64 * costs.copy)),
        ("what the host does when called", each(served)),
        ("leaving and entering the enclave", each(exits as f64 * costs.exit)),
    ];
    let known: f64 = parts.iter().map(|(_, time)| time).sum();
    let rest = (whole - known).max(0.0);
    // A database in memory can take longer than one on a volume, because its memory has to grow.
    // Then its time is not SQLite's part.
    let (sqlite, tree, both) =
        if sqlite <= rest { (sqlite, rest - sqlite, 0.0) } else { (0.0, 0.0, rest) };
    parts.insert(0, ("SQLite itself", sqlite));
    parts.push(("tree, cache, and files by WASI: the rest", tree));
    parts.push(("SQLite and the rest, not told apart", both));
    parts
}

fn point(name: &str, parts: &[(&'static str, f64)]) -> Point {
    let rival = |(name, time): &(&str, f64)| Rival {
        name: (*name).to_owned(),
        sample: Sample::exact(*time),
    };
    Point { name: name.into(), at: None, rivals: parts.iter().map(rival).collect() }
}

/// Returns the counts for one record.
fn counts(stats: &Stats, records: u64) -> Vec<Detail> {
    let each = |name: &str, count: u64| Detail {
        name: format!("{name} a record"),
        value: count as f64 / records as f64,
    };
    vec![
        each("blocks opened", stats.count("blocks_opened")),
        each("blocks sealed", stats.count("blocks_sealed")),
        each("bytes read", stats.count("bytes_read")),
        each("bytes written", stats.count("bytes_written")),
        each("cache hits", stats.count("cache_hits")),
        each("cache misses", stats.count("cache_misses")),
        each("exits", stats.exits),
    ]
}

struct Bench<'a> {
    workspace: &'a Workspace,
    records: u64,
    folder: PathBuf,
}

impl Bench<'_> {
    /// Measures on a volume, on files in the enclave's memory, and on a database in that memory.
    fn measure(&self, effort: Effort) -> Result<[Vec<[OnVolume; 3]>; 3]> {
        let told = [const { RefCell::new(Vec::new()) }; 3];
        let keep = |at: usize, run: Result<[OnVolume; 3]>| -> Result<f64> {
            told[at].borrow_mut().push(run?);
            Ok(0.0)
        };
        let mut volume = || keep(0, self.on_volume());
        let mut tmpfs = || keep(1, self.in_memory(&["--tmpfs", TMPFS], "/micro.db"));
        let mut memory = || keep(2, self.in_memory(&[], ":memory:"));
        interleaved(effort, &mut [&mut volume, &mut tmpfs, &mut memory])?;
        Ok(told.map(RefCell::into_inner))
    }

    /// Runs each kind of work in its own process, so that nothing of the volume is in memory
    /// before.
    fn on_volume(&self) -> Result<[OnVolume; 3]> {
        let _ = std::fs::remove_dir_all(&self.folder);
        about(self.folder.display(), std::fs::create_dir_all(&self.folder))?;
        let volume = self.folder.join("volume").display().to_string();
        let run = |at: usize| -> Result<OnVolume> {
            let work = WORK[at].0;
            let (seconds, stats) = self.run(&["--dir", &volume], &["--only", work, "micro.db"])?;
            Ok(OnVolume { seconds: seconds[at], stats })
        };
        let runs = [run(0)?, run(1)?, run(2)?];
        let _ = std::fs::remove_dir_all(&self.folder);
        Ok(runs)
    }

    /// Runs all work in one process.
    fn in_memory(&self, options: &[&str], database: &str) -> Result<[OnVolume; 3]> {
        let (seconds, stats) = self.run(options, &[database])?;
        Ok(seconds.map(|seconds| OnVolume { seconds, stats: stats.clone() }))
    }

    fn run(&self, options: &[&str], arguments: &[&str]) -> Result<([f64; 3], Stats)> {
        let told = self.workspace.scratch.join("breakdown.json");
        let mut twine = self.workspace.twine();
        twine.args(["run", "--quiet", "--stats-json"]).arg(&told).args(options);
        twine.arg(self.workspace.guest("micro")?).args(arguments).arg(self.records.to_string());
        let output = about("twine", twine.output())?;
        if !output.status.success() {
            let why = cause(&output.stderr, output.status);
            return Err(Error::Failed { command: "micro".into(), why });
        }
        let stats = stats(&told)?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let wrong = || Error::Program("micro does not print what it should".into());
        Ok((seconds(&printed).ok_or_else(wrong)?, stats))
    }
}

fn stats(path: &Path) -> Result<Stats> {
    let json = about(path.display(), std::fs::read(path))?;
    serde_json::from_slice(&json).map_err(|error| Error::Program(error.to_string()))
}

/// Parses the times of a row such as `1000,1000,0.005,0.001,0.002`.
fn seconds(printed: &str) -> Option<[f64; 3]> {
    let row = printed.lines().nth(1)?;
    let fields: Option<Vec<f64>> = row.split(',').map(|field| field.parse().ok()).collect();
    fields?.get(2..5)?.try_into().ok()
}

/// Measures the costs of one block natively, with the volume's cipher, over more memory than the
/// caches hold.
fn unit_costs() -> Result<Costs> {
    const BLOCKS: usize = 16 << 10;
    let mut blocks = vec![0x5a_u8; BLOCKS * BLOCK];
    let mut tags = vec![[0; 16]; BLOCKS];
    let key = AesGcm::new(&[7; 32]);
    let nonce = |at: usize| {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&(at as u64).to_le_bytes());
        nonce
    };
    let each = |start: Instant| start.elapsed().as_secs_f64() * 1e6 / BLOCKS as f64;

    let start = Instant::now();
    for (at, block) in blocks.chunks_exact_mut(BLOCK).enumerate() {
        key.encrypt(&nonce(at), &[], block, &mut tags[at]);
    }
    let seal = each(start);

    let mut into = vec![0; BLOCK];
    let start = Instant::now();
    for at in 0..BLOCKS {
        // This step reaches all blocks, and never the next one.
        let from = at * 7919 % BLOCKS * BLOCK;
        into.copy_from_slice(&blocks[from..from + BLOCK]);
        black_box(&mut into);
    }
    let copy = each(start);

    let start = Instant::now();
    for (at, block) in blocks.chunks_exact_mut(BLOCK).enumerate() {
        key.decrypt(&nonce(at), &[], block, &tags[at])
            .map_err(|_| Error::Program("a block does not open".into()))?;
    }
    Ok(Costs { open: each(start), seal, copy, exit: 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> Stats {
        serde_json::from_str(
            r#"{
                "exits": 14,
                "calls": {"storage_write": 8, "storage_sync": 2, "clock_time": 4},
                "call_milliseconds": {"storage_write": 0.04, "storage_sync": 0.06, "clock_time": 9},
                "volumes": [{"counts": {"blocks_opened": 20, "blocks_sealed": 30,
                             "bytes_read": 40960, "bytes_written": 40960}}]
            }"#,
        )
        .unwrap()
    }

    const COSTS: Costs = Costs { open: 1.0, seal: 2.0, copy: 0.5, exit: 5.0 };

    #[test]
    fn the_parts_are_counts_times_costs_and_the_rest_makes_them_whole() {
        let parts = parts(50.0, 10.0, &stats(), &COSTS, 10);
        let times: Vec<f64> = parts.iter().map(|(_, time)| *time).collect();
        assert_eq!(times, [10.0, 2.0, 6.0, 1.0, 10.0, 5.0, 16.0, 0.0]);
        assert_eq!(times.iter().sum::<f64>(), 50.0);
    }

    #[test]
    fn parts_are_never_negative() {
        let times = |whole| parts(whole, 10.0, &stats(), &COSTS, 10).iter().map(|p| p.1).collect();
        let known = [2.0, 6.0, 1.0, 10.0, 5.0];
        let expected = |rest: f64| [&[0.0], &known[..], &[0.0, rest]].concat();
        let (some, none): (Vec<f64>, Vec<f64>) = (times(30.0), times(20.0));
        assert_eq!((some, none), (expected(6.0), expected(0.0)));
    }

    #[test]
    fn counts_are_those_of_one_record() {
        let counts = counts(&stats(), 10);
        assert_eq!((&*counts[0].name, counts[0].value), ("blocks opened a record", 2.0));
        assert_eq!((&*counts[6].name, counts[6].value), ("exits a record", 1.4));
    }

    #[test]
    fn a_row_has_the_seconds_of_the_three_kinds_of_work() {
        assert_eq!(seconds("head\n10,10,1,2.5,3\n"), Some([1.0, 2.5, 3.0]));
        for wrong in ["", "head\n", "head\n1,1,1,1\n", "head\n1,1,x,1,1\n"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_block_that_is_timed_is_opened_and_sealed() {
        let costs = unit_costs().unwrap();
        assert!(costs.open > 0.0 && costs.seal > 0.0 && costs.copy > 0.0, "{costs:?}");
    }
}
