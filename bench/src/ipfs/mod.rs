//! `ipfs`: repeats the research system's change of 2021, and looks beyond it: a file as Intel's
//! Protected File System library kept it then, the same with the two changes, today's library, and
//! our volume.

mod file;
mod library;
mod node;

use crate::call::exit_cost;
use crate::error::{Error, Result, about};
use crate::mapped::Mapped;
use crate::process::Workspace;
use crate::report::{Bar, Case, Quoted, Section};
use crate::statistics::{Effort, Sample, interleaved};
use file::ProtectedFile;
use library::Manner;
use std::cell::RefCell;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;
use twine_vfs::{Change, FileSystem};
use twine_volume::{MIN_CACHE_BYTES, NewSlot, Options, Secret, Volume};

/// The size of the file, as in the measurements of Twine's paper, in bytes.
const SIZE: u64 = 175 << 20;
const SIZE_QUICK: u64 = 16 << 20;

/// The size of a piece that is read or written, in bytes.
const PIECE: usize = 4096;

/// The number of random accesses in one run.
const RANDOM: u64 = 5000;
const RANDOM_QUICK: u64 = 500;

/// Our volume may take a tenth of the time for random reads.
const BAR: Bar = Bar::AtMost(0.1);

const KEY: [u8; 32] = [7; 32];
const FILE_KEY: [u8; 16] = [7; 16];
const NAME: &str = "file";

/// The ways to keep the file, ours first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeper {
    Volume,
    Stock,
    Changed,
    Today,
    /// The volume with its smallest cache, which has about the size of the other caches.
    SmallVolume,
}

const KEEPERS: [Keeper; 5] =
    [Keeper::Volume, Keeper::Stock, Keeper::Changed, Keeper::Today, Keeper::SmallVolume];

impl Keeper {
    fn name(self) -> &'static str {
        match self {
            Keeper::Volume => "volume",
            Keeper::Stock => "IPFS-like, as of 2020",
            Keeper::Changed => "IPFS-like of 2020, changed",
            Keeper::Today => "IPFS-like, today",
            Keeper::SmallVolume => "volume, 256 KiB of cache",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Keeper::Volume => "volume",
            Keeper::Stock => "stock",
            Keeper::Changed => "changed",
            Keeper::Today => "today",
            Keeper::SmallVolume => "small",
        }
    }
}

/// The kinds of work that are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Write,
    Read,
    ReadAtRandom,
    WriteAtRandom,
}

const WORK: [Work; 4] = [Work::Write, Work::Read, Work::ReadAtRandom, Work::WriteAtRandom];

impl Work {
    fn name(self) -> &'static str {
        match self {
            Work::Write => "write in order, one sync",
            Work::Read => "read in order",
            Work::ReadAtRandom => "read at random",
            Work::WriteAtRandom => "write at random, one sync",
        }
    }

    fn writes(self) -> bool {
        matches!(self, Work::Write | Work::WriteAtRandom)
    }
}

/// The time and host calls of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Took {
    seconds: f64,
    /// The number of host calls, each of which would leave the enclave.
    calls: u64,
}

/// The gain from the changes, and from the library's own development since.
const WORTH: [(&str, Keeper, Keeper); 2] = [
    ("2020's time over the changed one's, x", Keeper::Stock, Keeper::Changed),
    ("2020's time over today's, x", Keeper::Stock, Keeper::Today),
];

/// Known values of the library itself, in thousand random reads of 4 KiB a second or as a ratio.
const QUOTED: [(&str, f64, &str, &str); 5] = [
    ("Intel's library as of 2020, random reads", 23.2, READS, SIMULATION),
    ("Intel's library of 2020, changed, random reads", 54.5, READS, SIMULATION),
    ("Intel's library today, random reads", 69.6, READS, SIMULATION),
    ("what the change is worth to it", 54.5 / 23.2, "x", SIMULATION),
    (
        "what the change is worth at most",
        4.1,
        "x",
        "as published in 2021, on SGX hardware, under SQLite",
    ),
];
const READS: &str = "thousand a second";
const SIMULATION: &str = "the library itself, built in the SDK's simulation mode: no enclave, and \
                          neither EPC nor exits of hardware; another machine of this kind";

/// The work that the models do, and the work that they leave out.
const NOTES: [&str; 4] = [
    "IPFS-like is a model of Intel's library, not the library. All of them allocate and free each node; \
     seek, read into a stream's buffer and copy out of it for each call of the host; seal with \
     AES-128-GCM that has instructions for 128 bits, with a context that is allocated, set up for the \
     node's own key, cleared and freed; and make a key by CMAC for each node that is written.",
    "As of 2020 they also clear both halves of a node before use and its contents after, clear the \
     buffer that the host is to fill, and copy from it. All clearing is by single bytes, as by \
     the memset in the SDK's sources then. Changed, nodes and buffer are not cleared, and nothing is copied \
     from the buffer; the cipher's context still is cleared by single bytes. Today's clears and copies \
     what 2020's does, with a fast memset.",
    "Not modelled: the simulation's own way out and back in, the SDK's allocator and locks, its copies \
     by words, and its cache's lists and maps. They are equal for all three, and would move the ratios \
     towards 1.",
    "In the volume nothing of this is a model.",
];

pub(crate) fn measure(workspace: &Workspace, effort: Effort, quick: bool) -> Section {
    let size = if quick { SIZE_QUICK } else { SIZE };
    let about = format!(
        "a file of {} MiB in pieces of 4 KiB, natively, with a real read or write of a file for each \
         call of the host; the two changes are unsafe in an enclave and exist in this measurement \
         only",
        size >> 20
    );
    let mut section = Section::new("ipfs", &about);
    section.notes = NOTES.map(ToOwned::to_owned).to_vec();
    section.quoted = QUOTED.into_iter().map(quoted).collect();
    let bench = match Bench::new(workspace, size, if quick { RANDOM_QUICK } else { RANDOM }) {
        Ok(bench) => bench,
        Err(error) => {
            section.skip("all", error.to_string());
            return section;
        }
    };
    let exit = exit_cost(workspace, effort);
    for work in WORK {
        match bench.measure(work, effort) {
            Ok(took) => {
                section.cases.push(case(work, work.name().into(), 0.0, &took, bench.pieces(work)));
                let name = format!("{}, with exits", work.name());
                match &exit {
                    Ok(exit) => {
                        section.cases.push(case(work, name, *exit, &took, bench.pieces(work)));
                    }
                    Err(error) => section.skip(name, error.to_string()),
                }
            }
            Err(error) => section.skip(work.name(), error.to_string()),
        }
    }
    let reached = reached(&section);
    section.notes.extend(reached);
    section
}

fn quoted((name, value, unit, conditions): (&str, f64, &str, &str)) -> Quoted {
    Quoted { name: name.into(), unit: unit.into(), value, conditions: conditions.into() }
}

/// Compares the ratios of the models' random reads with the quoted ones.
fn reached(section: &Section) -> Option<String> {
    let case = section.cases.iter().find(|case| case.name == Work::ReadAtRandom.name())?;
    let ratio = |at: usize| {
        let (what, ..) = WORTH[at];
        case.details.iter().find(|detail| detail.name == what).map(|detail| detail.value)
    };
    let (changed, today) = (ratio(0)?, ratio(1)?);
    Some(format!(
        "At random the models read as 1 : {changed:.1} : {today:.1} (as of 2020, changed, today); the \
         library itself, as quoted, as 1 : {:.1} : {:.1}. A machine on which system calls take longer, or \
         which is busy, shows less of what clearing costs.",
        54.5 / 23.2,
        69.6 / 23.2
    ))
}

/// Returns a case in microseconds for a piece. Adds `exit` microseconds for each host call to the
/// time.
fn case(
    work: Work,
    name: String,
    exit: f64,
    took: &[Vec<Took>; KEEPERS.len()],
    pieces: u64,
) -> Case {
    let each = |took: &Took| (took.seconds * 1e6 + took.calls as f64 * exit) / pieces as f64;
    let samples = took.iter().map(|runs| Sample::of(runs.iter().map(each).collect()));
    let rivals = KEEPERS.iter().zip(samples);
    let rivals = rivals.filter_map(|(keeper, sample)| Some((keeper.name(), sample?)));
    let bar = (work == Work::ReadAtRandom).then_some(BAR);
    let mut case = Case::new(name, "us", rivals, bar);
    for (what, slow, quick) in WORTH {
        let median = |keeper: Keeper| {
            let rival = case.rivals.iter().find(|rival| rival.name == keeper.name());
            rival.map(|rival| rival.sample.median)
        };
        if let (Some(slow), Some(quick)) = (median(slow), median(quick)) {
            case = case.detail(what, slow / quick);
        }
    }
    for (keeper, runs) in KEEPERS.into_iter().zip(took) {
        if let Some(last) = runs.last() {
            let calls = last.calls as f64 / pieces as f64;
            case = case.detail(format!("host calls a piece, {}", keeper.name()), calls);
        }
    }
    match exit {
        0.0 => case,
        exit => case.detail("an exit, us", exit),
    }
}

/// The files, in a folder that is removed at the end.
struct Bench {
    folder: PathBuf,
    size: u64,
    random: u64,
    /// The state of the random number generator for the positions.
    state: RefCell<u64>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        // If this fails, the folder remains; the report does not need to say so.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Program(format!("the protected file failed: {error}"))
}

impl Bench {
    fn new(workspace: &Workspace, size: u64, random: u64) -> Result<Self> {
        let folder = workspace.root.join(format!("target/tmp/bench-ipfs-{}", std::process::id()));
        about(folder.display(), fs::create_dir_all(&folder))?;
        Ok(Bench { folder, size, random, state: RefCell::new(0x9e37_79b9_7f4a_7c15) })
    }

    fn measure(&self, work: Work, effort: Effort) -> Result<[Vec<Took>; KEEPERS.len()]> {
        let took = KEEPERS.map(|_| RefCell::new(Vec::new()));
        let took_here = &took;
        let mut timed: Vec<_> = KEEPERS
            .into_iter()
            .enumerate()
            .map(|(at, keeper)| {
                move || -> Result<f64> {
                    let run = self.run(keeper, work)?;
                    took_here[at].borrow_mut().push(run);
                    Ok(run.seconds)
                }
            })
            .collect();
        let mut rivals: Vec<_> =
            timed.iter_mut().map(|timed| timed as &mut dyn FnMut() -> Result<f64>).collect();
        interleaved(effort, &mut rivals)?;
        drop(rivals);
        drop(timed);
        Ok(took.map(RefCell::into_inner))
    }

    fn pieces(&self, work: Work) -> u64 {
        match work {
            Work::Write | Work::Read => self.size / PIECE as u64,
            Work::ReadAtRandom | Work::WriteAtRandom => self.random,
        }
    }

    fn offsets(&self, work: Work) -> Vec<u64> {
        let random = |_| {
            let mut state = self.state.borrow_mut();
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            *state % (self.size / PIECE as u64) * PIECE as u64
        };
        let count = self.pieces(work);
        match work {
            Work::Write | Work::Read => (0..count).map(|piece| piece * PIECE as u64).collect(),
            Work::ReadAtRandom | Work::WriteAtRandom => (0..count).map(random).collect(),
        }
    }

    fn run(&self, keeper: Keeper, work: Work) -> Result<Took> {
        let path = self.folder.join(keeper.file());
        let offsets = self.offsets(work);
        match keeper {
            Keeper::Volume => volume(&path, work, &offsets, Options::default()),
            Keeper::SmallVolume => {
                let options = Options { cache_bytes: MIN_CACHE_BYTES, ..Options::default() };
                volume(&path, work, &offsets, options)
            }
            Keeper::Stock => protected(&path, work, &offsets, Manner::Stock),
            Keeper::Changed => protected(&path, work, &offsets, Manner::Changed),
            Keeper::Today => protected(&path, work, &offsets, Manner::Today),
        }
    }
}

/// Does the work on a protected file that was just opened or created.
fn protected(path: &Path, work: Work, offsets: &[u64], manner: Manner) -> Result<Took> {
    let mut file = match work {
        Work::Write => ProtectedFile::create(path, FILE_KEY, manner),
        _ => ProtectedFile::open(path, FILE_KEY, manner),
    }
    .map_err(failed)?;
    let mut bytes = vec![0x5a; PIECE];
    let (start, before) = (Instant::now(), file.calls());
    for &offset in offsets {
        match work.writes() {
            true => file.write(offset, &bytes).map_err(failed)?,
            false => file.read(offset, &mut bytes).map_err(failed)?,
        }
    }
    if work.writes() {
        file.sync().map_err(failed)?;
    }
    Ok(Took { seconds: start.elapsed().as_secs_f64(), calls: file.calls() - before })
}

/// Does the work on a volume that was just mounted or created.
fn volume(path: &Path, work: Work, offsets: &[u64], options: Options) -> Result<Took> {
    let mut open = OpenOptions::new();
    open.read(true).write(true).create(true).truncate(work == Work::Write);
    let storage = Mapped::new(about(path.display(), open.open(path))?);
    let calls = storage.calls();
    let storage = Box::new(storage);
    let (mut volume, file) = if work == Work::Write {
        let slots = [NewSlot::key_file(&KEY).map_err(failed)?];
        let mut volume = Volume::create(storage, &slots, options).map_err(failed)?;
        let file = volume.create_file(volume.root(), NAME).map_err(failed)?;
        (volume, file)
    } else {
        let mut secret = Secret::key_file(&KEY);
        let mut volume = Volume::open(storage, &mut secret, options).map_err(failed)?;
        let file = volume.lookup(volume.root(), NAME).map_err(failed)?;
        (volume, file)
    };
    let mut bytes = vec![0x5a; PIECE];
    let (start, before) = (Instant::now(), calls.load(Ordering::Relaxed));
    for &offset in offsets {
        match work.writes() {
            true => drop(volume.write(file, offset, &bytes).map_err(failed)?),
            false => drop(volume.read(file, offset, &mut bytes).map_err(failed)?),
        }
    }
    if work.writes() {
        volume.sync(file, Change::Data).map_err(failed)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let calls = calls.load(Ordering::Relaxed) - before;
    volume.close().map_err(failed)?;
    Ok(Took { seconds, calls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_added_for_each_call_of_the_host() {
        let took = |seconds, calls| vec![Took { seconds, calls }; 3];
        let took = [took(1e-6, 0), took(4e-6, 2), took(2e-6, 2), took(3e-6, 1), took(2e-6, 0)];
        let medians = |exit| {
            let case = case(Work::ReadAtRandom, "r".into(), exit, &took, 1);
            case.rivals.iter().map(|rival| rival.sample.median.round()).collect::<Vec<_>>()
        };
        assert_eq!(medians(0.0), [1.0, 4.0, 2.0, 3.0, 2.0]);
        assert_eq!(medians(5.0), [1.0, 14.0, 12.0, 8.0, 2.0]);
        let case = case(Work::ReadAtRandom, "r".into(), 0.0, &took, 1);
        let worth = case.details.iter().map(|detail| (&*detail.name, detail.value.round()));
        assert_eq!(worth.take(2).collect::<Vec<_>>(), [(WORTH[0].0, 2.0), (WORTH[1].0, 1.0)]);
    }

    #[test]
    fn each_implementation_does_all_the_work() {
        let folder = std::env::temp_dir().join(format!("twine-ipfs-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let bench = Bench { folder, size: 1 << 20, random: 20, state: RefCell::new(1) };
        for work in WORK {
            for keeper in KEEPERS {
                let took = bench.run(keeper, work).unwrap();
                assert!(took.seconds > 0.0, "{keeper:?}, {work:?}");
                let reads_of_ours =
                    !work.writes() && matches!(keeper, Keeper::Volume | Keeper::SmallVolume);
                assert_eq!(took.calls == 0, reads_of_ours, "{keeper:?}, {work:?}: {took:?}");
            }
        }
    }
}
