//! Tests of `compact` on volumes in files of the host: one pass returns the free space.
//!
//! With the environment variable `TWINE_LONG=20`, the tests make files of gigabytes.

mod common;

use common::{Recorder, inside, strings};
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use twine_protocol::key::{Sealing, VolumeKey};
use twine_protocol::launch::End;
use twine_protocol::task::{OpenVolume, Operation, VolumeTask};
use twine_vfs::{FileSystem, Usage};
use twine_volume::{Error, FileStorage, NewSlot, Options, Secret, Storage, Volume};
use twine_volume_tool::{Opening, Outside, run};

const KEY: [u8; 32] = [5; 32];

/// A volume in a file, which is removed with this value.
struct Kept {
    path: PathBuf,
}

impl Kept {
    /// Makes a volume with files of these sizes in MiB.
    fn with(files: &[(&str, u64)]) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("twine-compact-{}-{number}.vol", std::process::id());
        let mut kept = Kept { path: std::env::temp_dir().join(name) };
        File::create(&kept.path).unwrap();
        let mut volume = kept.create(&which()).unwrap();
        for (number, (name, mebibytes)) in (0..).zip(files) {
            let inode = volume.create_file(volume.root(), name).unwrap();
            for at in 0..*mebibytes {
                assert_eq!(volume.write(inode, at << 20, &piece(number, at)), Ok(1 << 20));
            }
            volume.release(inode);
        }
        volume.close().unwrap();
        kept
    }

    fn size(&self) -> u64 {
        self.path.metadata().unwrap().len()
    }

    fn usage(&mut self) -> Usage {
        self.open(&which(), Opening::ReadWrite).unwrap().usage().unwrap()
    }

    /// Does a task. Returns its exit code, its output, and its messages.
    fn run(&mut self, operation: Operation) -> (u32, String, Vec<String>) {
        let mut console = Recorder::default();
        let task = VolumeTask { volume: which(), operation, progress: false };
        let End::Exited { code, .. } = run(&task, self, &mut console) else {
            panic!("a task ends with a code");
        };
        (code, String::from_utf8(console.out).unwrap(), console.err)
    }

    fn remove(&mut self, names: &[&str]) {
        let paths = strings(names);
        let done = self.run(Operation::Remove { paths, recursive: false, force: false });
        assert_eq!(done, (0, String::new(), Vec::new()));
    }

    fn copy(&mut self, from: &str, to: &str) {
        let copy =
            Operation::Copy { sources: vec![inside(from)], target: inside(to), recursive: false };
        assert_eq!(self.run(copy), (0, String::new(), Vec::new()));
    }

    fn compact(&mut self) {
        let (code, out, complaints) = self.run(Operation::Compact { json: false });
        assert_eq!((code, complaints.as_slice()), (0, [].as_slice()), "{out}");
    }

    /// Checks that a file has the contents that were written to the file with this number.
    fn holds(&mut self, name: &str, number: u64, mebibytes: u64) {
        let mut volume = self.open(&which(), Opening::ReadWrite).unwrap();
        let inode = volume.lookup(volume.root(), name).unwrap();
        let mut bytes = vec![0; 1 << 20];
        for at in 0..mebibytes {
            assert_eq!(volume.read(inode, at << 20, &mut bytes), Ok(1 << 20));
            assert!(bytes == piece(number, at), "MiB {at} of {name}");
        }
        let report = volume.check(&mut |_| {}).unwrap();
        assert_eq!(report.findings, []);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // A file that remains does no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn which() -> OpenVolume {
    OpenVolume {
        name: "my.vol".into(),
        storage: 1,
        key: VolumeKey::File(KEY.to_vec()),
        more_keys: Vec::new(),
        read_only: false,
    }
}

fn options() -> Options {
    Options { cache_bytes: 4 << 20, clock: Box::new(|| 7), ..Options::default() }
}

impl Outside for Kept {
    fn open(&mut self, which: &OpenVolume, _: Opening) -> Result<Volume, Error> {
        Volume::open(self.storage(which.storage), &mut Secret::key_file(&KEY), options())
    }

    fn create(&mut self, which: &OpenVolume) -> Result<Volume, Error> {
        Volume::create(self.storage(which.storage), &[NewSlot::key_file(&KEY)?], options())
    }

    fn new_slot(&mut self, _key: &VolumeKey) -> Result<NewSlot, Error> {
        NewSlot::key_file(&KEY)
    }

    fn sealing(&self, _parameters: &[u8]) -> Option<Sealing> {
        None
    }

    fn storage(&mut self, _number: u64) -> Box<dyn Storage> {
        let file = File::options().read(true).write(true).open(&self.path).unwrap();
        Box::new(FileStorage::new(file))
    }

    fn folder(
        &mut self,
        _number: u64,
        _read_only: bool,
    ) -> Result<Box<dyn FileSystem>, twine_vfs::Error> {
        Err(twine_vfs::Error::NotFound)
    }
}

/// Makes a mebibyte in which no two blocks are equal.
fn piece(file: u64, at: u64) -> Vec<u8> {
    let mut piece = vec![file as u8 + 1; 1 << 20];
    for (block, bytes) in (0..).zip(piece.chunks_mut(4096)) {
        let number: u64 = file << 48 | at << 16 | block;
        bytes[..8].copy_from_slice(&number.to_le_bytes());
    }
    piece
}

fn is_long() -> bool {
    std::env::var_os("TWINE_LONG").is_some()
}

#[test]
fn one_pass_gives_free_blocks_back_even_if_kept_files_fill_many_regions() {
    // Sizes of two files in MiB, and which of them stays. A search for free blocks covers eight
    // regions of 32 MiB, so it does not find free blocks after more than that.
    let short = [(100, 300, 0), (100, 300, 1), (300, 200, 0), (300, 200, 1), (400, 100, 1)];
    let long = [(200, 4096, 0), (1024, 4096, 1), (4096, 4200, 0), (4200, 4096, 1)];
    let cases = if is_long() { long.as_slice() } else { short.as_slice() };
    let mut failed = Vec::new();
    for &(first, second, stays) in cases {
        let (names, sizes) = (["first", "second"], [first, second]);
        let mut kept = Kept::with(&[("first", first), ("second", second)]);
        kept.remove(&[names[1 - stays]]);
        let before = kept.size();
        let start = Instant::now();
        kept.compact();
        let took = start.elapsed();
        let (after, used) = (kept.size(), kept.usage().used);
        println!(
            "{sizes:?}, {} stays: {before}, {after} after {took:?}, {used} used",
            names[stays]
        );
        if after > used + used / 50 {
            failed.push(format!("{sizes:?}, {}: {after} bytes for {used}", names[stays]));
        }
        kept.holds(names[stays], stays as u64, sizes[stays]);
        let start = Instant::now();
        kept.copy(names[stays], "copy");
        println!("a copy of what stays took {:?}", start.elapsed());
    }
    assert_eq!(failed, [""; 0]);
}
