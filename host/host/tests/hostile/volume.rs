//! A host that lies about a volume's file, and changes the file while the program uses it.

use crate::answers::{BAD_POINTERS, Case, LENGTHS, VALUES, bad_pointers, launching, lengths};
use crate::child::Expect;
use crate::program::{self, Variant};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use twine_host::{Access, Call, Resources, Storage};
use twine_protocol::calls::number;
use twine_protocol::key::VolumeKey;
use twine_protocol::launch::{Mount, Source, VolumeSource};
use twine_protocol::wire::Status;
use twine_vfs::FileSystem;
use twine_volume::{FileStorage, NewSlot, Options, Volume};

const KEY: [u8; 32] = [0x5a; 32];

/// The number of blocks of the file "g". Each word of a block holds the block's number.
const BLOCKS: u64 = 256;

const BLOCK: usize = 4096;

/// The size of the cache in bytes, which is a quarter of that file.
const CACHE: u64 = 256 << 10;

/// A volume in its own file, which is removed when this is dropped.
struct Prepared {
    path: PathBuf,
    file: File,
}

impl Prepared {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("twine-hostile-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let open =
            || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let storage = FileStorage::new(open().expect("a temporary file"));
        let slots = [NewSlot::key_file(&KEY).expect("a key")];
        let mut volume = Volume::create(Box::new(storage), &slots, Options::default())
            .expect("creating a volume succeeds");
        let inode = volume.create_file(volume.root(), "g").expect("creating a file succeeds");
        for block in 0..BLOCKS {
            let bytes = block.to_le_bytes().repeat(BLOCK / 8);
            volume.write(inode, block * BLOCK as u64, &bytes).expect("writing a block succeeds");
        }
        volume.release(inode);
        volume.close().expect("closing a volume succeeds");
        let file = open().expect("the file exists");
        Prepared { path, file }
    }

    fn resources(&self) -> Resources {
        let storage = Storage::open(&self.path, Access::Write).expect("the volume is not in use");
        Resources { storages: vec![storage], ..Resources::default() }
    }

    fn flip(&self, offset: u64) {
        let mut byte = [0];
        if self.file.read_exact_at(&mut byte, offset).is_ok() {
            let _ = self.file.write_all_at(&[byte[0] ^ 1], offset);
        }
    }

    fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns a case: a run of the program that keeps the secret in a volume.
fn keeping(
    name: impl Into<String>,
    expect: Expect,
    lie: impl Fn(&Prepared, &Call, u64, (u64, u64)) -> (u64, u64) + Send + Sync + 'static,
) -> Case {
    let source = VolumeSource {
        storage: 0,
        key: VolumeKey::File(KEY.into()),
        create: false,
        cache: Some(CACHE),
        main: None,
    };
    let mount = Mount { guest: "/".into(), source: Source::Volume(source), read_only: false };
    let mut launch = program::launch();
    launch.mounts.push(mount);
    // The volume is created where the case runs, in the child process.
    let prepared = Arc::new(std::sync::LazyLock::new(Prepared::new));
    let program = (launch, program::binary(Variant::Filer));
    let resources = {
        let prepared = Arc::clone(&prepared);
        move || prepared.resources()
    };
    launching(name, expect, program, resources, false, move |call, n, honest| {
        lie(&prepared, call, n, honest)
    })
}

/// Returns cases for bad addresses and lengths of the mapping.
pub fn mappings() -> Vec<Case> {
    let mut cases = vec![keeping("an honest host", Expect::Good, |_, _, _, honest| honest)];
    for at in 0..BAD_POINTERS {
        let name = bad_pointers(&(0x10_0000..0x20_0000), 0, 0)[at].0;
        cases.push(keeping(
            format!("a mapping at {name}"),
            Expect::Clean,
            move |_, made, _, honest| match made.number {
                number::storage_map => {
                    (bad_pointers(&made.elrange, made.tcs, honest.0)[at].1, honest.1)
                }
                _ => honest,
            },
        ));
    }
    for at in 0..LENGTHS {
        cases.push(keeping(
            format!("a mapping of length {at}"),
            Expect::Clean,
            move |_, made, _, honest| match made.number {
                number::storage_map => (honest.0, lengths(1 << 20, 1 << 46)[at]),
                _ => honest,
            },
        ));
    }
    for at in 0..BAD_POINTERS {
        let name = bad_pointers(&(0x10_0000..0x20_0000), 0, 0)[at].0;
        cases.push(keeping(
            format!("words about unread pages at {name}"),
            Expect::Clean,
            move |_, made, _, honest| match made.number {
                number::storage_unread => {
                    (bad_pointers(&made.elrange, made.tcs, honest.0)[at].1, honest.1)
                }
                _ => honest,
            },
        ));
    }
    for length in [0, 8, 15, 17, 4096, 1 << 46, u64::MAX] {
        cases.push(keeping(
            format!("words about unread pages of length {length}"),
            Expect::Clean,
            move |_, made, _, honest| match made.number {
                number::storage_unread => (honest.0, length),
                _ => honest,
            },
        ));
    }
    cases
}

/// Returns cases for the host's record of unreadable pages, and for its answers to reads of them.
pub fn unread() -> Vec<Case> {
    /// Returns the answer to the `n`th read, given the honest one.
    type Answer = fn(u64, (u64, u64)) -> (u64, u64);
    let told = |told: [u64; 2], answer: Answer| {
        let words: &'static [u64; 2] = Box::leak(Box::new(told));
        move |_: &Prepared, made: &Call, n: u64, honest: (u64, u64)| match made.number {
            number::storage_unread => (words.as_ptr() as u64, 16),
            number::storage_read => answer(n, honest),
            number::storage_ahead => (u64::MAX, made.elrange.start as u64),
            _ => honest,
        }
    };
    let all = [0, u64::MAX];
    let mut cases = Vec::new();
    for words in [all, [0, 0], [1 << 20, 2 << 20], [u64::MAX, 0], [8191, 8193]] {
        let name = format!("unread pages {words:x?}, and honest reads");
        cases.push(keeping(name, Expect::Good, told(words, |_, honest| honest)));
    }
    let answers: [(&str, Answer); 7] = [
        ("errors", |_, _| (Status::Io.code(), 0)),
        ("the end of the file", |_, _| (Status::Short.code(), 0)),
        ("an error each third time", |n, honest| if n % 3 == 2 { (1, 0) } else { honest }),
        ("errors from the fourth on", |n, honest| if n > 3 { (1, 0) } else { honest }),
        ("a code that is not known", |_, _| (15, 0)),
        ("a large code", |_, _| (u64::MAX, u64::MAX)),
        ("a count", |_, honest| (honest.0, u64::MAX)),
    ];
    for (name, answer) in answers {
        let name = format!("reads of unread pages give {name}");
        cases.push(keeping(name, Expect::Clean, told(all, answer)));
    }
    // The host claims success, but has read nothing, because the file is gone.
    let gone = told(all, |_, _| (0, 0));
    cases.push(keeping("reads of nothing", Expect::Clean, move |volume, made, n, honest| {
        if made.number == number::storage_read && n == 4 {
            let _ = volume.file.set_len(0);
        }
        gone(volume, made, n, honest)
    }));
    // The words change with each call.
    let changing: &'static [AtomicU64; 2] = Box::leak(Box::default());
    cases.push(keeping("words that change", Expect::Good, move |_, made, n, honest| {
        for (at, word) in changing.iter().enumerate() {
            let value = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17 * at as u32);
            word.store(value >> (value % 64), Ordering::Relaxed);
        }
        match made.number {
            number::storage_unread => (changing.as_ptr() as u64, 16),
            _ => honest,
        }
    }));
    cases
}

/// Returns cases for codes and sizes.
pub fn storages() -> Vec<Case> {
    let mut cases = Vec::new();
    for call in [
        number::storage_size,
        number::storage_resize,
        number::storage_write,
        number::storage_sync,
        number::storage_write_through,
        number::storage_write_pieces,
    ] {
        for from in [0, 3] {
            // These are codes of each kind, and sizes from 0 to the largest number.
            for value in VALUES.into_iter().step_by(3) {
                cases.push(keeping(
                    format!("call {call:#x}: {value:#x} from the {from}th on"),
                    Expect::Clean,
                    move |_, made, n, honest| match made.number == call && n >= from {
                        true if call == number::storage_size => (0, value),
                        true => (value, 0),
                        false => honest,
                    },
                ));
            }
        }
    }
    cases
}

/// Returns cases that change the file at the nth host call of any kind.
pub fn tampering() -> Vec<Case> {
    type Change = fn(&Prepared);
    let changes: [(&str, Change); 5] = [
        ("one bit of each block flipped", |volume| {
            (0..volume.size()).step_by(BLOCK).for_each(|offset| volume.flip(offset + 77));
        }),
        ("every other block flipped", |volume| {
            (0..volume.size()).step_by(2 * BLOCK).for_each(|offset| volume.flip(offset));
        }),
        ("the file cut to half", |volume| {
            let _ = volume.file.set_len(volume.size() / 2);
        }),
        ("the file cut to nothing", |volume| {
            let _ = volume.file.set_len(0);
        }),
        ("the log put back to nothing", |volume| {
            let _ = volume.file.write_all_at(&[0; 128 * BLOCK], 2 * BLOCK as u64);
        }),
    ];
    let mut cases = Vec::new();
    for (name, change) in changes {
        for at in [0, 1, 2, 3, 5, 8, 13, 20] {
            let calls = AtomicU64::new(0);
            cases.push(keeping(
                format!("{name} at call {at}"),
                Expect::Clean,
                move |volume, _, _, honest| {
                    if calls.fetch_add(1, Ordering::Relaxed) == at {
                        change(volume);
                    }
                    honest
                },
            ));
        }
    }
    cases
}
