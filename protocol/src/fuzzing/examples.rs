//! Examples of all messages.

use crate::folder::{Answer, Attributes, Entry, Failure, Kind, Request, Time};
use crate::key::{Sealing, VolumeKey};
use crate::launch::{
    Compiler, Diagnostics, End, EvidenceForm, EvidenceRequest, Invoke, Launch, Limits, MainFile,
    Mount, Outcome, Source, Stream, Streams, Timings, VolumeSource, VolumeStatistics,
};
use crate::task::{FolderLocation, Location, OpenVolume, Operation, Repair, Task, VolumeTask};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Launch requests: one runs a program, the others do each kind of work on a volume.
pub fn launches() -> Vec<Launch> {
    let source = VolumeSource {
        storage: 0,
        key: VolumeKey::Sealed(Sealing::DEPLOYMENT),
        create: true,
        cache: Some(1 << 24),
        main: Some(MainFile { name: "main.db".into(), former: "my.db".into() }),
    };
    let mount = |guest: &str, source| Mount { guest: guest.into(), source, read_only: true };
    let run = Launch {
        task: Task::Program,
        arguments: vec!["app".into(), b"\xff".to_vec()],
        environment: vec![("HOME".into(), "/".into())],
        invoke: Some(Invoke { function: "add".into(), arguments: vec!["1".into()] }),
        mounts: vec![
            mount("/data", Source::Volume(source)),
            mount("/plain", Source::Folder(3)),
            mount("/tmp", Source::Memory(1 << 20)),
        ],
        listeners: 1,
        limits: Limits { memory: Some(1 << 20), fuel: None, timeout: Some(5), interrupts: true },
        explicit_checks: true,
        compiler: Compiler::BaselineIfPossible,
        compile_threads: 2,
        cache_code: true,
        secrets: vec!["HOME".into()],
        streams: Streams { stdin: Stream::None, ..Streams::default() },
        diagnostics: Diagnostics { backtraces: true, statistics: false },
        manifest: Some(vec![0xd2]),
        evidence: Some(EvidenceRequest {
            target: vec![1; 512],
            nonce: Some(vec![2; 32]),
            form: EvidenceForm::Certificate,
        }),
    };
    let compile = Launch { task: Task::Compile, ..Launch::default() };
    let work = operations().into_iter().map(|operation| {
        let task = VolumeTask { volume: volume(), operation, progress: true };
        Launch { task: Task::Volume(Box::new(task)), ..Launch::default() }
    });
    [run, compile, Launch::default()].into_iter().chain(work).collect()
}

fn volume() -> OpenVolume {
    OpenVolume {
        name: "a.vol".into(),
        storage: 0,
        key: VolumeKey::Passphrase("secret".into()),
        more_keys: vec![VolumeKey::File(vec![7; 32])],
        read_only: false,
    }
}

fn operations() -> Vec<Operation> {
    let path = || String::from("/d/file");
    let paths = || vec![path(), "other".into()];
    let folder = FolderLocation {
        folder: 1,
        entry: "entry/".into(),
        name: "entry".into(),
        shown: "./entry".into(),
    };
    let key = || VolumeKey::Sealed(Sealing::default());
    vec![
        Operation::Create { folder: Some(1) },
        Operation::List { path: path(), long: true, json: false },
        Operation::Tree { path: path(), json: true },
        Operation::Print { paths: paths() },
        Operation::MakeDirectories { paths: paths(), parents: true },
        Operation::Remove { paths: paths(), recursive: true, force: false },
        Operation::Move { sources: paths(), target: path() },
        Operation::Copy {
            sources: vec![Location::Volume(path()), Location::Folder(folder)],
            target: Location::Stream,
            recursive: true,
        },
        Operation::Info { header: true, json: false },
        Operation::Check { json: false, repair: Repair::Ask },
        Operation::ListKeys { json: true },
        Operation::AddKey { key: key() },
        Operation::RemoveKey { slot: 3 },
        Operation::RotateKey { slot: Some(1), key: key() },
        Operation::Export { target: volume() },
        Operation::Import { source: volume() },
        Operation::Compact { json: true },
    ]
}

/// Outcomes of each kind.
pub fn outcomes() -> Vec<Outcome> {
    let line = || String::from("a line");
    let ends = [
        End::Exited { code: 3, results: vec!["42".into(), line()] },
        End::Trapped { cause: line(), backtrace: vec![line(), line()] },
        End::Refused { cause: line(), remedy: line() },
    ];
    let full = |end| Outcome {
        end,
        timings: Some(Timings { receive: 1, compile: 1 << 40, instantiate: 3, run: 4 }),
        troubles: vec![line()],
        volumes: vec![VolumeStatistics {
            guest: "/data".into(),
            counts: vec![("reads".into(), 12)],
        }],
        answer: vec![0xa0],
    };
    ends.into_iter().flat_map(|end| [Outcome::new(end.clone()), full(end)]).collect()
}

/// Requests to a folder, of each kind.
pub fn requests() -> Vec<Request> {
    let name = || String::from("name");
    vec![
        Request::Root,
        Request::Lookup(1, name()),
        Request::Release(2),
        Request::Attributes(3),
        Request::SetTimes(4, Time::Now, Time::At(1_700_000_000_000_000_000)),
        Request::SetTimes(4, Time::Keep, Time::Keep),
        Request::SetMode(5, 0o644),
        Request::CreateFile(6, name(), Some(0o600)),
        Request::CreateDirectory(7, name(), None),
        Request::CreateSymbolicLink(8, name(), "../target".into()),
        Request::ReadLink(9),
        Request::Link(1, 2, name()),
        Request::Unlink(3, name()),
        Request::RemoveDirectory(4, name()),
        Request::Rename(5, name(), 6, "new".into()),
        Request::Entries(7, 300),
        Request::Read(8, 4096, 128 << 10),
        Request::NextData(9, 1 << 40),
        Request::Write(1, 0, 3),
        Request::SetSize(2, 7),
        Request::Allocate(3, 4096, 8192),
        Request::Sync(4, true),
        Request::Usage,
    ]
}

/// Answers about a folder, of each kind.
pub fn answers() -> Vec<Answer> {
    let entry = |name: &str, kind, cookie| Entry { name: name.into(), inode: 7, kind, cookie };
    let attributes = |kind, size| Attributes {
        kind,
        mode: 0o100_644,
        size,
        links: 2,
        accessed: 1_700_000_000_000_000_000,
        modified: 1,
        changed: 2,
    };
    vec![
        Answer::Done,
        Answer::Failed(Failure::NotFound),
        Answer::Failed(Failure::Io),
        Answer::Inode(5),
        Answer::Attributes(attributes(Kind::File, 4096)),
        Answer::Attributes(attributes(Kind::Directory, 0)),
        Answer::Attributes(attributes(Kind::SymbolicLink, 9)),
        Answer::Target("../target".into()),
        Answer::Entries(vec![]),
        Answer::Entries(vec![
            entry("one", Kind::File, 4),
            entry("two", Kind::Directory, 5),
            entry("three", Kind::SymbolicLink, 1 << 62),
        ]),
        Answer::Count(3),
        Answer::Data(Some(8192)),
        Answer::Data(None),
        Answer::Usage(1 << 20, 1 << 30),
    ]
}
