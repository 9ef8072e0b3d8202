//! `ipfs`: the research system's change of 2021, repeated, and what lies beyond it: a file as Intel's
//! Protected File System library keeps it, the same with the two changes, and our volume.

mod file;
mod node;

use crate::call::exit_cost;
use crate::error::{Error, Result, about};
use crate::mapped::Mapped;
use crate::process::Place;
use crate::report::{Bar, Case, Section};
use crate::statistics::{Effort, Sample, interleaved};
use file::{Manner, ProtectedFile};
use std::cell::RefCell;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;
use twine_files::{Change, FileSystem};
use twine_volume::{LEAST_CACHE_BYTES, NewSlot, Options, Secret, Volume};

/// Bytes of the file, as in the measurements of Twine's paper.
const SIZE: u64 = 175 << 20;
const SIZE_QUICK: u64 = 16 << 20;

/// Bytes of a piece that is read or written.
const PIECE: usize = 4096;

/// Random accesses in one run.
const RANDOM: u64 = 5000;
const RANDOM_QUICK: u64 = 500;

/// Our volume takes at most a tenth of the time for random reads.
const BAR: Bar = Bar::AtMost(0.1);

const KEY: [u8; 32] = [7; 32];
const FILE_KEY: [u8; 16] = [7; 16];
const NAME: &str = "file";

/// Who keeps the file: ours first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeper {
    Volume,
    Stock,
    Changed,
    /// The volume with as little cache as it takes, which is about that of the others.
    SmallVolume,
}

const KEEPERS: [Keeper; 4] = [Keeper::Volume, Keeper::Stock, Keeper::Changed, Keeper::SmallVolume];

impl Keeper {
    fn name(self) -> &'static str {
        match self {
            Keeper::Volume => "volume",
            Keeper::Stock => "IPFS-like, as published",
            Keeper::Changed => "IPFS-like, with the two changes",
            Keeper::SmallVolume => "volume, 256 KiB of cache",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Keeper::Volume => "volume",
            Keeper::Stock => "stock",
            Keeper::Changed => "changed",
            Keeper::SmallVolume => "small",
        }
    }
}

/// What is timed.
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

/// What one run took.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Took {
    seconds: f64,
    /// Calls of the host, each of which would leave the enclave.
    calls: u64,
}

pub(crate) fn measure(place: &Place, effort: Effort, quick: bool) -> Section {
    let size = if quick { SIZE_QUICK } else { SIZE };
    let about = format!(
        "a file of {} MiB in pieces of 4 KiB, natively, with real pread and pwrite for each call of \
         the host; the two changes are unsafe in an enclave and exist in this measurement only",
        size >> 20
    );
    let mut section = Section::new("ipfs", &about);
    let bench = match Bench::new(place, size, if quick { RANDOM_QUICK } else { RANDOM }) {
        Ok(bench) => bench,
        Err(error) => {
            section.skip("all", error.to_string());
            return section;
        }
    };
    let exit = exit_cost(place, effort);
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
    section
}

/// A case in microseconds for a piece, with so many for each call of the host beside what it took.
fn case(work: Work, name: String, exit: f64, took: &[Vec<Took>; 4], pieces: u64) -> Case {
    let each = |took: &Took| (took.seconds * 1e6 + took.calls as f64 * exit) / pieces as f64;
    let samples = took.iter().map(|runs| Sample::of(runs.iter().map(each).collect()));
    let rivals = KEEPERS.iter().zip(samples);
    let rivals = rivals.filter_map(|(keeper, sample)| Some((keeper.name(), sample?)));
    let bar = (work == Work::ReadAtRandom).then_some(BAR);
    let mut case = Case::new(name, "us", rivals, bar);
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

/// The files, in a folder that is removed in the end.
struct Bench {
    folder: PathBuf,
    size: u64,
    random: u64,
    /// Where the random accesses are.
    state: RefCell<u64>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What can't be removed is left; there is nobody to tell.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Program(format!("the protected file failed: {error}"))
}

impl Bench {
    fn new(place: &Place, size: u64, random: u64) -> Result<Self> {
        let folder = place.root.join(format!("target/tmp/bench-ipfs-{}", std::process::id()));
        about(folder.display(), fs::create_dir_all(&folder))?;
        Ok(Bench { folder, size, random, state: RefCell::new(0x9e37_79b9_7f4a_7c15) })
    }

    fn measure(&self, work: Work, effort: Effort) -> Result<[Vec<Took>; 4]> {
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
                let options = Options { cache_bytes: LEAST_CACHE_BYTES, ..Options::default() };
                volume(&path, work, &offsets, options)
            }
            Keeper::Stock => protected(&path, work, &offsets, Manner::Stock),
            Keeper::Changed => protected(&path, work, &offsets, Manner::Changed),
        }
    }
}

/// Does the work on a protected file that has just been opened, or made.
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

/// Does the work on a volume that has just been mounted, or made.
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
        let took = [took(1e-6, 0), took(4e-6, 2), took(2e-6, 2), took(2e-6, 0)];
        let medians = |exit| {
            let case = case(Work::ReadAtRandom, "r".into(), exit, &took, 1);
            case.rivals.iter().map(|rival| rival.sample.median.round()).collect::<Vec<_>>()
        };
        assert_eq!(medians(0.0), [1.0, 4.0, 2.0, 2.0]);
        assert_eq!(medians(5.0), [1.0, 14.0, 12.0, 2.0]);
    }

    #[test]
    fn each_keeper_does_all_the_work() {
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
