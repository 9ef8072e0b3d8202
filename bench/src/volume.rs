//! `volume`: the protected volume alone, outside of any enclave, against plain files, and under a
//! program in the enclave.

use crate::error::{Error, Result, about};
use crate::mapped::Mapped;
use crate::process::Workspace;
use crate::report::{Bar, Case, Section};
use crate::statistics::{Effort, Sample, interleaved};
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;
use twine_vfs::{Change, FileSystem, Inode};
use twine_volume::{NewSlot, Options, Secret, Volume};

/// The size of the file, as in the measurements of Twine's paper, in bytes.
const SIZE: u64 = 175 << 20;
const SIZE_QUICK: u64 = 16 << 20;

/// The size of a piece that is read or written, in bytes.
const PIECE: usize = 4096;

/// The number of random accesses in one run: too few to warm the cache.
const READS: u64 = 5000;
const SYNCS: u64 = 200;
const SYNCS_QUICK: u64 = 20;

/// The number of rounds of syncs for each round of other work: a disk's speed changes within a
/// second.
const SYNC_ROUNDS: usize = 5;

const KEY: [u8; 32] = [7; 32];
const NAME: &str = "file";

pub(crate) fn measure(workspace: &Workspace, effort: Effort, quick: bool) -> Section {
    let mut section = Section::new(
        "volume",
        "the volume alone and natively, its storage mapped, in pieces of 4 KiB with the default \
         cache, against pread, pwrite and fdatasync on a plain file; and a program in the enclave",
    );
    let size = if quick { SIZE_QUICK } else { SIZE };
    let bench = match Bench::new(workspace, size, if quick { SYNCS_QUICK } else { SYNCS }) {
        Ok(bench) => bench,
        Err(error) => {
            section.skip("all", error.to_string());
            return section;
        }
    };
    section.add("write in order, one sync", bench.write(effort));
    section.add("read in order", bench.read(effort));
    section.add("read at random, cold", bench.read_at_random(effort));
    section.add("write at random, a sync each", bench.sync_each(effort));
    section
}

/// The buffer for reads. It begins at the start of a page, since a copy to other addresses takes up
/// to three times as long, depending on the allocation.
#[repr(align(4096))]
struct Page([u8; PIECE]);

impl Page {
    fn new() -> Box<Self> {
        Box::new(Page([0; PIECE]))
    }
}

/// A plain file and a volume's file, in a folder that is removed at the end.
struct Bench<'a> {
    workspace: &'a Workspace,
    folder: PathBuf,
    size: u64,
    syncs: u64,
    /// The state of the random number generator for the positions.
    random: RefCell<u64>,
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        // If this fails, the folder remains; the report does not need to say so.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Program(format!("the volume failed: {error}"))
}

fn open_file(path: &Path) -> Result<File> {
    let options =
        || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    about(path.display(), options())
}

impl<'a> Bench<'a> {
    fn new(workspace: &'a Workspace, size: u64, syncs: u64) -> Result<Self> {
        let folder = workspace.root.join(format!("target/tmp/bench-volume-{}", std::process::id()));
        about(folder.display(), std::fs::create_dir_all(&folder))?;
        Ok(Bench { workspace, folder, size, syncs, random: RefCell::new(0x9e37_79b9_7f4a_7c15) })
    }

    fn plain(&self) -> Result<File> {
        open_file(&self.folder.join("plain"))
    }

    /// Returns the volume with an empty cache, and its file.
    fn volume(&self) -> Result<(Volume, Inode)> {
        let storage = Mapped::new(open_file(&self.folder.join("volume"))?);
        let mut secret = Secret::key_file(&KEY);
        let mut volume = Volume::open(Box::new(storage), &mut secret, Options::default())
            .map_err(|error| failed(&error))?;
        let file = volume.lookup(volume.root(), NAME).map_err(|error| failed(&error))?;
        Ok((volume, file))
    }

    /// Returns the start of a random piece.
    fn position(&self) -> u64 {
        let mut state = self.random.borrow_mut();
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state % (self.size / PIECE as u64) * PIECE as u64
    }

    fn pieces(&self) -> impl Iterator<Item = u64> {
        (0..self.size).step_by(PIECE)
    }

    /// Returns the seconds that `guests/pieces` takes for the same work in the enclave, on its own
    /// volume.
    fn inside(&self, what: &str, pieces: u64) -> Result<f64> {
        let program = self.workspace.guest("pieces")?;
        let mut twine = self.workspace.twine();
        twine.args(["run", "--quiet", "--dir"]).arg(self.folder.join("inside")).arg(program);
        twine.args(["/file", &(self.size >> 20).to_string(), what, &pieces.to_string()]);
        let output = about("the program in the enclave", twine.output())?;
        let told = String::from_utf8_lossy(&output.stdout);
        let microseconds: Option<f64> = told.trim().parse().ok();
        let failed = || Error::Program(String::from_utf8_lossy(&output.stderr).into_owned());
        Ok(microseconds.ok_or_else(failed)? * pieces as f64 / 1e6)
    }

    /// Compares the ways by their time for `pieces` pieces. `most` is the bar against the plain
    /// file.
    fn case(
        &self,
        (name, what): (&str, &str),
        effort: Effort,
        pieces: u64,
        most: f64,
        volume: &mut dyn FnMut() -> Result<f64>,
        plain: &mut dyn FnMut() -> Result<f64>,
    ) -> Result<Case> {
        let mut inside = || self.inside(what, pieces);
        let samples = interleaved(effort, &mut [volume, plain, &mut inside])?;
        let per_piece = |sample: Sample| {
            Sample::of(sample.runs.iter().map(|seconds| seconds / pieces as f64 * 1e6).collect())
        };
        let samples: Vec<Sample> = samples.into_iter().filter_map(per_piece).collect();
        let rate =
            samples.first().map_or(0.0, |ours| PIECE as f64 / (1 << 20) as f64 / ours.median * 1e6);
        let rivals = ["volume", "plain file", "in the enclave"].into_iter().zip(samples);
        Ok(Case::new(name, "us", rivals, Some(Bar::AtMost(most))).detail("MiB/s", rate))
    }

    /// Measures writes. The bar is 70% of the plain file's speed.
    fn write(&self, effort: Effort) -> Result<Case> {
        let data = vec![0x5a; PIECE];
        let mut volume = || {
            let path = self.folder.join("volume");
            // Each run makes a new volume, as it makes a new plain file.
            if path.exists() {
                about(path.display(), std::fs::remove_file(&path))?;
            }
            let storage = Mapped::new(open_file(&path)?);
            let slots = [NewSlot::key_file(&KEY).map_err(|error| failed(&error))?];
            let mut volume = Volume::create(Box::new(storage), &slots, Options::default())
                .map_err(|error| failed(&error))?;
            let write = |volume: &mut Volume| {
                let file = volume.create_file(volume.root(), NAME)?;
                for offset in self.pieces() {
                    volume.write(file, offset, &data)?;
                }
                volume.sync(file, Change::Data)
            };
            let start = Instant::now();
            write(&mut volume).map_err(|error| failed(&error))?;
            let time = start.elapsed().as_secs_f64();
            volume.close().map_err(|error| failed(&error))?;
            Ok(time)
        };
        let mut plain = || {
            let path = self.folder.join("plain");
            if path.exists() {
                about(path.display(), std::fs::remove_file(&path))?;
            }
            let file = open_file(&path)?;
            let write = || -> io::Result<()> {
                for offset in self.pieces() {
                    file.write_all_at(&data, offset)?;
                }
                file.sync_data()
            };
            let start = Instant::now();
            about(path.display(), write())?;
            Ok(start.elapsed().as_secs_f64())
        };
        let pieces = self.size / PIECE as u64;
        self.case(
            ("write in order, one sync", "write"),
            effort,
            pieces,
            1.0 / 0.7,
            &mut volume,
            &mut plain,
        )
    }

    /// Reads pieces in both ways.
    fn reads(
        &self,
        name: (&str, &str),
        effort: Effort,
        most: f64,
        positions: &dyn Fn() -> Vec<u64>,
    ) -> Result<Case> {
        let count = positions().len() as u64;
        let mut volume = || {
            let (mut volume, file) = self.volume()?;
            let positions = positions();
            let mut bytes = Page::new();
            let start = Instant::now();
            for offset in positions {
                volume.read(file, offset, &mut bytes.0).map_err(|error| failed(&error))?;
            }
            Ok(start.elapsed().as_secs_f64())
        };
        let plain_file = self.plain()?;
        let mut plain = || {
            let positions = positions();
            let mut bytes = Page::new();
            let start = Instant::now();
            for offset in positions {
                about("the plain file", plain_file.read_exact_at(&mut bytes.0, offset))?;
            }
            Ok(start.elapsed().as_secs_f64())
        };
        self.case(name, effort, count, most, &mut volume, &mut plain)
    }

    /// Measures reads in order. The bar is 60% of the plain file's speed.
    fn read(&self, effort: Effort) -> Result<Case> {
        self.reads(("read in order", "read"), effort, 1.0 / 0.6, &|| self.pieces().collect())
    }

    /// Measures random reads. The bar is 1.5 times the plain file's time.
    fn read_at_random(&self, effort: Effort) -> Result<Case> {
        let positions = || (0..READS).map(|_| self.position()).collect();
        self.reads(("read at random, cold", "random"), effort, 1.5, &positions)
    }

    /// Measures syncs. The bar is 80% of the plain file's speed.
    fn sync_each(&self, effort: Effort) -> Result<Case> {
        let data = vec![0xa5; PIECE];
        let (mut mounted, file) = self.volume()?;
        let mut volume = || {
            let start = Instant::now();
            for _ in 0..self.syncs {
                let written = mounted.write(file, self.position(), &data);
                written
                    .and_then(|_| mounted.sync(file, Change::Data))
                    .map_err(|error| failed(&error))?;
            }
            Ok(start.elapsed().as_secs_f64())
        };
        let plain_file = self.plain()?;
        let mut plain = || {
            let start = Instant::now();
            for _ in 0..self.syncs {
                let written = plain_file.write_all_at(&data, self.position());
                about("the plain file", written.and_then(|()| plain_file.sync_data()))?;
            }
            Ok(start.elapsed().as_secs_f64())
        };
        let name = ("write at random, a sync each", "sync");
        let Effort { runs, least, budget } = effort;
        let effort = Effort { runs: runs * SYNC_ROUNDS, least: least * SYNC_ROUNDS, budget };
        self.case(name, effort, self.syncs, 1.0 / 0.8, &mut volume, &mut plain)
    }
}
