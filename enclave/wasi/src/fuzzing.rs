//! The function that the fuzz target in `fuzz/` calls.
//!
//! A program has one directory open, with symbolic links that lead out of it, and calls functions
//! on paths as the input says. The function panics if a path reaches something outside the
//! directory. Only the fuzz target needs the feature of this module.

use crate::types::wasi_snapshot_preview1::WasiSnapshotPreview1;
use crate::types::{Errno, Fd, Fdflags, Fstflags, Lookupflags, Oflags, Result, Rights};
use crate::{Clock, PollRequest, Readiness, StreamKind, System, SystemError, Wasi};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use twine_fuzz_input::Input;
use twine_vfs::{FileSystem, Memory};
use wiggle::{GuestMemory, GuestPtr};

/// Limit on the calls that one input makes.
const MAX_CALLS: usize = 24;

/// Limit on the size of a path here, in bytes; larger than the limit for programs.
const MAX_PATH: usize = 5000;

/// The preopen.
const TOP: u32 = 3;

/// Offsets of paths and results in the program's memory.
const ONE: usize = 0;
const OTHER: usize = MAX_PATH;
const ROOM: usize = 2 * MAX_PATH;
const ROOM_BYTES: usize = 512;

/// A system that is not used.
struct Nowhere;

impl System for Nowhere {
    fn read(&mut self, _stream: u64, _bytes: &mut [u8]) -> Result<usize, SystemError> {
        Ok(0)
    }

    fn write(&mut self, _stream: u64, bytes: &[u8]) -> Result<usize, SystemError> {
        Ok(bytes.len())
    }

    fn kind(&mut self, _stream: u64) -> Result<StreamKind, SystemError> {
        Ok(StreamKind::Pipe)
    }

    fn poll(
        &mut self,
        requests: &[PollRequest],
        _timeout: Option<u64>,
    ) -> Result<Vec<Readiness>, SystemError> {
        Ok(vec![Readiness::Pending; requests.len()])
    }

    fn time(&mut self, _clock: Clock) -> Result<u64, SystemError> {
        Ok(1)
    }

    fn resolution(&mut self, _clock: Clock) -> Result<u64, SystemError> {
        Ok(1)
    }

    fn yield_now(&mut self) {}
}

/// Reads a path from the input: its length and bytes, or a number of repetitions and the bytes to
/// repeat.
fn path_of(input: &mut Input<'_>) -> Vec<u8> {
    let length = input.u8();
    let (times, length) = match length {
        240.. => (usize::from(length - 239) * 40, input.u8()),
        _ => (1, length),
    };
    let mut path = input.bytes(length.into()).repeat(times);
    path.truncate(MAX_PATH);
    path
}

/// Makes the directory, and the files beside it.
fn tree() -> Result<Memory, twine_vfs::Error> {
    let time = Arc::new(AtomicU64::new(0));
    // Each change gets another time.
    let mut files = Memory::new(1 << 20, Box::new(move || time.fetch_add(1, Ordering::Relaxed)));
    let root = files.root();
    let mut directory = |above, name: &str| {
        files.create_directory(above, name)?;
        files.lookup(above, name)
    };
    let (secret, within) = (directory(root, "secret")?, directory(root, "box")?);
    let a = directory(within, "a")?;
    let b = directory(a, "b")?;
    for (directory, name) in [(secret, "file"), (within, "file"), (b, "file")] {
        let file = files.create_file(directory, name)?;
        files.write(file, 0, b"contents")?;
    }
    for (directory, name, target) in [
        (within, "in", "a/b"),
        (within, "up", ".."),
        (within, "out", "a/../../secret"),
        (within, "root", "/secret"),
        (within, "loop", "loop"),
        (within, "empty", ""),
        (b, "back", "../.."),
        (b, "far", "../../../secret/file"),
        (b, "through", "back/in/../../in/"),
    ] {
        files.create_symbolic_link(directory, name, target)?;
    }
    Ok(files)
}

/// Returns the attributes of everything beside the directory, as a program sees them.
fn beside(wasi: &mut Wasi, memory: &mut GuestMemory<'_>) -> Vec<String> {
    let mut seen = Vec::new();
    for path in ["secret", "secret/file", "box"] {
        let at = put(memory, ONE, path.as_bytes());
        let stat = wasi.path_filestat_get(memory, TOP.into(), Lookupflags::empty(), at);
        let stat = stat.map(|stat| match path {
            // The program may change the contents of the directory itself.
            "box" => format!("{}", stat.ino),
            _ => format!("{stat:?}"),
        });
        seen.push(format!("{:?}", stat.ok()));
    }
    seen
}

/// Returns the inodes beside the directory.
fn inodes(wasi: &mut Wasi, memory: &mut GuestMemory<'_>) -> Vec<u64> {
    let paths = [".", "secret", "secret/file"].into_iter();
    paths
        .filter_map(|path| {
            let at = put(memory, ONE, path.as_bytes());
            wasi.path_filestat_get(memory, TOP.into(), Lookupflags::empty(), at).ok()
        })
        .map(|stat| stat.ino)
        .collect()
}

/// Puts a path into the program's memory.
fn put(memory: &mut GuestMemory<'_>, at: usize, path: &[u8]) -> GuestPtr<str> {
    let place = GuestPtr::<[u8]>::new((at as u32, path.len() as u32));
    memory.copy_from_slice(path, place).expect("it lies in the program's memory");
    GuestPtr::new((at as u32, path.len() as u32))
}

fn rights(bits: u8) -> Rights {
    let mut rights = Rights::empty();
    rights.set(Rights::FD_READ, bits & 1 != 0);
    rights.set(Rights::FD_WRITE, bits & 2 != 0);
    rights
}

/// Calls functions on paths, as a program that has a directory open.
pub fn path(bytes: &[u8]) {
    let mut wasi = Wasi::new(Box::new(Nowhere), Vec::new(), Vec::new()).expect("nothing is wrong");
    wasi.mount("/", Box::new(tree().expect("there is room"))).expect("there is room");
    let mut program = vec![0; ROOM + ROOM_BYTES];
    let mut memory = GuestMemory::Unshared(&mut program);
    let at = put(&mut memory, ONE, b"box");
    let (flags, all) = (Oflags::DIRECTORY, Rights::all());
    let (links, none) = (Lookupflags::empty(), Fdflags::empty());
    let within = wasi
        .path_open(&mut memory, TOP.into(), links, at, flags, rights(1), all, none)
        .expect("the directory is there");
    let before = beside(&mut wasi, &mut memory);
    let outside = inodes(&mut wasi, &mut memory);
    let mut open = vec![within];
    let mut input = Input::new(bytes);
    for _ in 0..MAX_CALLS {
        if input.is_empty() {
            break;
        }
        one(&mut wasi, &mut memory, &mut input, &mut open, &outside);
    }
    assert_eq!(
        beside(&mut wasi, &mut memory),
        before,
        "something beside the directory was changed"
    );
    assert_eq!(names(&mut wasi, &mut memory), ["box", "secret"]);
    wasi.finish().expect("memory does not fail");
}

fn one(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    input: &mut Input<'_>,
    open: &mut Vec<Fd>,
    outside: &[u64],
) {
    let (what, bits) = (input.u8(), input.u8());
    let fd = |bits: u8| open[usize::from(bits) % open.len()];
    let (from, to) = (fd(bits), fd(bits >> 4));
    let mut links = Lookupflags::empty();
    links.set(Lookupflags::SYMLINK_FOLLOW, what & 128 != 0);
    let path = path_of(input);
    let (one, path_bytes) = (put(memory, ONE, &path), path.len());
    let room = GuestPtr::<u8>::new(ROOM as u32);
    let result = match what % 11 {
        0 | 1 => {
            let flags = Oflags::from_bits_truncate(input.u8().into());
            let opened = wasi.path_open(
                memory,
                from,
                links,
                one,
                flags,
                rights(input.u8()),
                Rights::all(),
                Fdflags::empty(),
            );
            opened.map(|fd| {
                let stat = wasi.fd_filestat_get(memory, fd).expect("it was just opened");
                assert!(!outside.contains(&stat.ino), "a path leads out of its directory");
                if open.len() < 8 && stat.filetype == crate::types::Filetype::Directory {
                    open.push(fd);
                } else {
                    wasi.fd_close(memory, fd).expect("it was just opened");
                }
            })
        }
        2 => wasi.path_create_directory(memory, from, one),
        3 => wasi.path_filestat_get(memory, from, links, one).map(|stat| {
            assert!(!outside.contains(&stat.ino), "a path leads out of its directory");
        }),
        4 => wasi.path_filestat_set_times(memory, from, links, one, 9, 9, Fstflags::all()),
        5 => {
            let length = wasi.path_readlink(memory, from, one, room, ROOM_BYTES as u32);
            length.map(|length| assert!(length as usize <= ROOM_BYTES))
        }
        6 => wasi.path_remove_directory(memory, from, one),
        7 => wasi.path_unlink_file(memory, from, one),
        two => {
            let other = put(memory, OTHER, &path_of(input));
            match two {
                8 => wasi.path_link(memory, from, links, one, to, other),
                9 => wasi.path_rename(memory, from, one, to, other),
                _ => wasi.path_symlink(memory, one, from, other),
            }
        }
    };
    let long = path_bytes > crate::path::walk::MAX_PATH_BYTES;
    if long || str::from_utf8(&path).is_err() || path.is_empty() || path.first() == Some(&b'/') {
        assert!(result.is_err(), "a path is no path, and leads somewhere");
    }
    if let Err(error) = result {
        let errno = error.downcast().expect("no error of a path ends the program");
        assert_ne!(errno, Errno::Success);
    }
}

/// Returns the names in the preopen.
fn names(wasi: &mut Wasi, memory: &mut GuestMemory<'_>) -> Vec<String> {
    let room = GuestPtr::<u8>::new(ROOM as u32);
    let length = wasi.fd_readdir(memory, TOP.into(), room, ROOM_BYTES as u32, 0);
    let length = length.unwrap_or_default() as usize;
    let GuestMemory::Unshared(bytes) = memory else { return Vec::new() };
    let (mut names, mut rest) = (Vec::new(), &bytes[ROOM..ROOM + length]);
    // A `dirent`: next cookie, inode, length of the name, kind; then the name.
    while let Some((head, more)) = rest.split_first_chunk::<24>() {
        let [a, b, c, d] = [head[16], head[17], head[18], head[19]];
        let length = (u32::from_le_bytes([a, b, c, d]) as usize).min(more.len());
        let (name, more) = more.split_at(length);
        names.push(String::from_utf8_lossy(name).into_owned());
        rest = more;
    }
    names.retain(|name| ![".", ".."].contains(&name.as_str()));
    names.sort_unstable();
    names
}

/// Inputs for the target: calls of all kinds, with each kind of path.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let paths: [&[u8]; 16] = [
        b"file",
        b"a/b/file",
        b"in/file",
        b"up/secret/file",
        b"out/file",
        b"root/file",
        b"loop",
        b"empty",
        b"a/b/back/a/../file",
        b"a/b/through/b",
        b"a/b/far",
        b"../secret",
        b"/secret",
        b"a/./b//",
        b"new",
        b"\xff\0",
    ];
    let framed = |path: &[u8]| [&[path.len() as u8], path].concat();
    let mut seeds = Vec::new();
    for what in 0..11 {
        let mut calls = Vec::new();
        for path in paths {
            calls.extend([&[what + 128, 0], &framed(path)[..]].concat());
            match what {
                0 | 1 => calls.extend([what, 3]),
                2..8 => {}
                _ => calls.extend(framed(b"a/new")),
            }
        }
        seeds.push(("path", calls));
    }
    // A directory opened below, and a path from it; then paths that are too long.
    let below = [&[0, 0], &framed(b"a/b")[..], &[2, 0], &[3, 1], &framed(b"../../file")].concat();
    seeds.push(("path", below));
    seeds.push(("path", [&[2, 0, 255, 4], &b"a/b/"[..]].concat()));
    seeds.push(("path", [&[2, 0, 246, 1], &b"x"[..]].concat()));
    seeds.push(("path", [&[10, 0], &framed(b"a/../..")[..], &framed(b"new")].concat()));
    seeds
}
