//! What a component can do, function by function.

use super::command::bindings::wasi::cli::{environment, stdin, stdout};
use super::command::bindings::wasi::clocks::monotonic_clock::Host as _;
use super::command::bindings::wasi::filesystem::preopens::Host as _;
use super::command::bindings::wasi::filesystem::types::{
    DescriptorFlags, DescriptorType, HostDescriptor, HostDirectoryEntryStream, OpenFlags, PathFlags,
};
use super::command::bindings::wasi::io::poll::{Host as PollHost, HostPollable};
use super::command::bindings::wasi::io::streams::{HostInputStream, HostOutputStream};
use super::command::bindings::wasi::random::random::Host as _;
use super::files::OpenFile;
use super::{Failed, MAX_RESOURCES};
use crate::transfer::MAX_STREAM_BYTES;
use crate::types::Errno;
use crate::{Clock, PollRequest, Readiness, StreamKind, System, SystemError, Wasi};
use std::sync::{Arc, Mutex};
use twine_vfs::{FileSystem, Memory, Shared};
use wasmtime::component::Resource;

/// The outside: what the program may read, what it wrote, and what it waited for.
#[derive(Debug, Default)]
struct Seen {
    input: Vec<u8>,
    output: Vec<u8>,
    polls: Vec<usize>,
    time: u64,
}

#[derive(Debug, Clone, Default)]
struct Outside(Arc<Mutex<Seen>>);

impl System for Outside {
    fn read(&mut self, _: u64, bytes: &mut [u8]) -> Result<usize, SystemError> {
        let mut seen = self.0.lock().unwrap();
        let count = seen.input.len().min(bytes.len());
        bytes[..count].copy_from_slice(&seen.input[..count]);
        seen.input.drain(..count);
        Ok(count)
    }

    fn write(&mut self, _: u64, bytes: &[u8]) -> Result<usize, SystemError> {
        // A pipe takes a part.
        let count = bytes.len().min(1000);
        self.0.lock().unwrap().output.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn kind(&mut self, stream: u64) -> Result<StreamKind, SystemError> {
        Ok(if stream == 2 { StreamKind::Terminal } else { StreamKind::Pipe })
    }

    fn poll(
        &mut self,
        requests: &[PollRequest],
        timeout: Option<u64>,
    ) -> Result<Vec<Readiness>, SystemError> {
        let mut seen = self.0.lock().unwrap();
        seen.polls.push(requests.len());
        seen.time += timeout.unwrap_or_default();
        let ready = |request: &PollRequest| match (request.stream, seen.input.is_empty()) {
            (0, true) => Readiness::Pending,
            _ => Readiness::Ready { bytes: 1, hangup: false },
        };
        Ok(requests.iter().map(ready).collect())
    }

    fn time(&mut self, _: Clock) -> Result<u64, SystemError> {
        Ok(self.0.lock().unwrap().time)
    }

    fn resolution(&mut self, _: Clock) -> Result<u64, SystemError> {
        Ok(1)
    }

    fn yield_now(&mut self) {}
}

struct Program {
    wasi: Wasi,
    outside: Outside,
    files: Shared<Memory>,
    root: Resource<OpenFile>,
}

fn program() -> Program {
    let outside = Outside::default();
    let environment = vec![(b"A".to_vec(), b"x=y".to_vec())];
    let arguments = vec![b"app".to_vec(), b"\xff".to_vec()];
    let mut wasi = Wasi::new(Box::new(outside.clone()), arguments, environment).unwrap();
    let files = Shared::new(Memory::new(1 << 20, Box::new(|| 0)));
    wasi.mount("/data", Box::new(files.clone())).unwrap();
    let (root, path) = wasi.get_directories().unwrap().pop().unwrap();
    assert_eq!(path, "/data");
    Program { wasi, outside, files, root }
}

/// Another name of a resource, as each call of a component passes one.
fn borrow<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

impl Program {
    fn open(
        &mut self,
        path: &str,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Resource<OpenFile>, Failed> {
        let root = borrow(&self.root);
        self.wasi.open_at(root, PathFlags::empty(), path.into(), open, flags)
    }

    fn created(&mut self, path: &str) -> Resource<OpenFile> {
        let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
        self.open(path, OpenFlags::CREATE, flags).unwrap()
    }
}

#[track_caller]
fn fails<T: std::fmt::Debug>(result: Result<T, Failed>, expected: Errno) {
    match result {
        Err(Failed::Errno(errno)) => assert_eq!(errno, expected),
        other => panic!("{other:?} instead of {expected:?}"),
    }
}

#[track_caller]
fn traps<T: std::fmt::Debug>(result: Result<T, Failed>) {
    assert!(matches!(result, Err(Failed::Trap(_))), "{result:?}");
}

#[test]
fn files_are_written_read_listed_and_removed() {
    let mut program = program();
    let file = program.created("f");
    let wasi = &mut program.wasi;
    let out = wasi.write_via_stream(borrow(&file), 2).unwrap();
    HostOutputStream::write(wasi, borrow(&out), b"cd".to_vec()).unwrap();
    HostOutputStream::write(wasi, borrow(&out), b"ef".to_vec()).unwrap();
    let append = wasi.append_via_stream(borrow(&file)).unwrap();
    HostOutputStream::blocking_write_and_flush(wasi, borrow(&append), b"gh".to_vec()).unwrap();
    assert_eq!(HostDescriptor::write(wasi, borrow(&file), b"ab".to_vec(), 0).unwrap(), 2);
    let read = HostDescriptor::read(wasi, borrow(&file), 100, 0).unwrap();
    assert_eq!(read, (b"abcdefgh".to_vec(), true));
    let read = HostDescriptor::read(wasi, borrow(&file), 4, 1).unwrap();
    assert_eq!(read, (b"bcde".to_vec(), false));

    let stream = wasi.read_via_stream(borrow(&file), 3).unwrap();
    assert_eq!(HostInputStream::read(wasi, borrow(&stream), 2).unwrap(), b"de");
    assert_eq!(HostInputStream::skip(wasi, borrow(&stream), 1).unwrap(), 1);
    assert_eq!(HostInputStream::blocking_read(wasi, borrow(&stream), 9).unwrap(), b"gh");
    fails(HostInputStream::read(wasi, borrow(&stream), 9), Errno::Pipe);

    let stat = wasi.stat(borrow(&file)).unwrap();
    assert_eq!((stat.type_, stat.size, stat.link_count), (DescriptorType::RegularFile, 8, 1));
    wasi.create_directory_at(borrow(&program.root), "d".into()).unwrap();
    wasi.symlink_at(borrow(&program.root), "f".into(), "l".into()).unwrap();
    assert_eq!(wasi.readlink_at(borrow(&program.root), "l".into()).unwrap(), "f");
    let follow = wasi.stat_at(borrow(&program.root), PathFlags::SYMLINK_FOLLOW, "l".into());
    assert_eq!(follow.unwrap().size, 8);
    let same = wasi.metadata_hash(borrow(&file)).unwrap();
    let at = wasi.metadata_hash_at(borrow(&program.root), PathFlags::SYMLINK_FOLLOW, "l".into());
    let at = at.unwrap();
    assert_eq!((same.lower, same.upper), (at.lower, at.upper));

    let listing = HostDescriptor::read_directory(wasi, borrow(&program.root)).unwrap();
    let mut names = Vec::new();
    while let Some(entry) = wasi.read_directory_entry(borrow(&listing)).unwrap() {
        names.push((entry.name, entry.type_));
    }
    names.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        names,
        [
            ("d".to_owned(), DescriptorType::Directory),
            ("f".to_owned(), DescriptorType::RegularFile),
            ("l".to_owned(), DescriptorType::SymbolicLink),
        ]
    );
    wasi.rename_at(borrow(&program.root), "f".into(), borrow(&program.root), "g".into()).unwrap();
    wasi.unlink_file_at(borrow(&program.root), "g".into()).unwrap();
    wasi.remove_directory_at(borrow(&program.root), "d".into()).unwrap();
    fails(wasi.unlink_file_at(borrow(&program.root), "g".into()), Errno::Noent);
}

/// A directory with more entries than are read at once is listed whole, each entry once.
#[test]
fn long_directories_are_listed_whole() {
    let mut program = program();
    let expected: Vec<String> = (0..300).map(|number| format!("{number:03}")).collect();
    for name in &expected {
        let file = program.created(name);
        HostDescriptor::drop(&mut program.wasi, file).unwrap();
    }
    let listing = HostDescriptor::read_directory(&mut program.wasi, borrow(&program.root)).unwrap();
    let mut names = Vec::new();
    while let Some(entry) = program.wasi.read_directory_entry(borrow(&listing)).unwrap() {
        names.push(entry.name);
    }
    names.sort();
    assert_eq!(names, expected);
}

#[test]
fn paths_and_flags_keep_components_where_they_may_be() {
    let mut program = program();
    let (none, read) = (OpenFlags::empty(), DescriptorFlags::READ);
    fails(program.open("../x", none, read), Errno::Perm);
    fails(program.open("/x", none, read), Errno::Perm);
    fails(program.open("x", none, read), Errno::Noent);
    let file = program.created("x");
    let reading = program.open("x", none, read).unwrap();
    fails(program.wasi.write_via_stream(borrow(&reading), 0), Errno::Badf);
    fails(HostDescriptor::write(&mut program.wasi, borrow(&reading), vec![1], 0), Errno::Badf);
    fails(HostDescriptor::set_size(&mut program.wasi, borrow(&reading), 0), Errno::Inval);
    fails(program.wasi.read_via_stream(borrow(&program.root), 0), Errno::Badf);
    fails(program.open("x", OpenFlags::CREATE | OpenFlags::EXCLUSIVE, read), Errno::Exist);
    fails(program.open("x", OpenFlags::DIRECTORY, read), Errno::Notdir);
    fails(HostDescriptor::write(&mut program.wasi, borrow(&file), vec![1], u64::MAX), Errno::Fbig);

    // As in wasmtime, a directory can be changed if those above it can.
    program.wasi.create_directory_at(borrow(&program.root), "d".into()).unwrap();
    let inner = program.open("d", OpenFlags::DIRECTORY, read).unwrap();
    let flags = program.wasi.get_flags(borrow(&inner)).unwrap();
    assert!(flags == DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY);
    program.wasi.create_directory_at(inner, "e".into()).unwrap();
}

/// A stream works on when its descriptor and the file's name are gone. The space comes back when
/// the last of them ends, at the latest with the program.
#[test]
fn streams_hold_their_files() {
    let mut program = program();
    let before = program.files.usage().unwrap().used;
    let file = program.created("f");
    let bytes = vec![7; 100_000];
    HostDescriptor::write(&mut program.wasi, borrow(&file), bytes.clone(), 0).unwrap();
    let stream = program.wasi.read_via_stream(borrow(&file), 0).unwrap();
    program.wasi.unlink_file_at(borrow(&program.root), "f".into()).unwrap();
    HostDescriptor::drop(&mut program.wasi, file).unwrap();
    let read = HostInputStream::read(&mut program.wasi, borrow(&stream), 1 << 20).unwrap();
    assert_eq!(read, bytes);
    assert!(program.files.usage().unwrap().used > before);
    program.wasi.finish().unwrap();
    assert_eq!(program.files.usage().unwrap().used, before);
}

#[test]
fn standard_streams_end_and_take_everything() {
    let mut program = program();
    program.outside.0.lock().unwrap().input = b"in".to_vec();
    let wasi = &mut program.wasi;
    let input = stdin::Host::get_stdin(wasi).unwrap();
    assert_eq!(HostInputStream::read(wasi, borrow(&input), 9).unwrap(), b"in");
    // Nothing is there, and a read that may not wait says so.
    assert_eq!(HostInputStream::read(wasi, borrow(&input), 9).unwrap(), b"");
    // The system says that the end is there.
    fails(HostInputStream::blocking_read(wasi, borrow(&input), 9), Errno::Pipe);
    fails(HostInputStream::read(wasi, borrow(&input), 9), Errno::Pipe);

    let output = stdout::Host::get_stdout(wasi).unwrap();
    let most = wasi.check_write(borrow(&output)).unwrap();
    assert_eq!(most, u64::from(MAX_STREAM_BYTES));
    let bytes: Vec<u8> = (0..most).map(|at| (at % 251) as u8).collect();
    HostOutputStream::write(wasi, borrow(&output), bytes.clone()).unwrap();
    assert_eq!(program.outside.0.lock().unwrap().output, bytes);
    // More than was permitted ends the component.
    traps(HostOutputStream::write(wasi, borrow(&output), vec![0; bytes.len() + 1]));
    traps(wasi.write_zeroes(borrow(&output), u64::MAX));
    traps(wasi.blocking_write_and_flush(borrow(&output), vec![0; 4097]));
    traps(wasi.blocking_write_zeroes_and_flush(borrow(&output), 4097));
}

#[test]
fn splices_copy_from_stream_to_stream() {
    let mut program = program();
    let file = program.created("f");
    let wasi = &mut program.wasi;
    HostDescriptor::write(wasi, borrow(&file), b"abcdef".to_vec(), 0).unwrap();
    let from = wasi.read_via_stream(borrow(&file), 1).unwrap();
    let to = stdout::Host::get_stdout(wasi).unwrap();
    assert_eq!(wasi.splice(borrow(&to), borrow(&from), 3).unwrap(), 3);
    assert_eq!(wasi.blocking_splice(borrow(&to), borrow(&from), u64::MAX).unwrap(), 2);
    fails(wasi.splice(borrow(&to), borrow(&from), 3), Errno::Pipe);
    assert_eq!(program.outside.0.lock().unwrap().output, b"bcdef");
}

#[test]
fn pollables_wait_once_for_each_stream() {
    let mut program = program();
    let wasi = &mut program.wasi;
    let input = stdin::Host::get_stdin(wasi).unwrap();
    let mut pollables: Vec<_> =
        (0..5000).map(|_| HostInputStream::subscribe(wasi, borrow(&input)).unwrap()).collect();
    assert!(!wasi.ready(borrow(&pollables[0])).unwrap());
    pollables.push(wasi.subscribe_duration(500).unwrap());
    let ready = PollHost::poll(wasi, pollables.iter().map(borrow).collect()).unwrap();
    assert_eq!(ready, [5000]);
    assert_eq!(program.outside.0.lock().unwrap().time, 500);
    program.outside.0.lock().unwrap().input = vec![1];
    let ready = PollHost::poll(wasi, pollables.iter().map(borrow).collect()).unwrap();
    assert_eq!(ready.len(), 5001);
    assert!(program.outside.0.lock().unwrap().polls.iter().all(|requests| *requests == 1));
    // For ever, without anything to wait for.
    assert!(PollHost::poll(wasi, Vec::new()).is_err());
}

#[test]
fn resources_have_a_limit_and_end_once() {
    let mut program = program();
    let wasi = &mut program.wasi;
    let first = wasi.subscribe_instant(0).unwrap();
    let mut made = 1;
    while wasi.subscribe_instant(0).is_ok() {
        made += 1;
        assert!(made <= MAX_RESOURCES);
    }
    let again = Resource::new_own(first.rep());
    HostPollable::drop(wasi, first).unwrap();
    assert!(HostPollable::drop(wasi, again).is_err());
}

#[test]
fn strings_and_random_bytes_are_those_of_modules() {
    let mut program = program();
    let wasi = &mut program.wasi;
    let environment = environment::Host::get_environment(wasi).unwrap();
    assert_eq!(environment, [("A".to_owned(), "x=y".to_owned())]);
    let arguments = environment::Host::get_arguments(wasi).unwrap();
    assert_eq!(arguments, ["app", "\u{fffd}"]);
    let random = wasi.get_random_bytes(64).unwrap();
    assert!(random.len() == 64 && random != wasi.get_random_bytes(64).unwrap());
    assert!(wasi.get_random_bytes(u64::MAX).is_err());
}
