//! A volume moves from an older image to a newer one, with a host that ends at any moment, and with
//! hosts that lie to both enclaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use twine_evidence::bytes::Digest;
use twine_evidence::examples;
use twine_evidence::manifest::{AllowedImage, Handover, Manifest};
use twine_evidence::terms::{KeyPolicy, MountKind, Stream, Streams};
use twine_host::{
    Access, Call, Former, FormerImage, Image, Interposer, NoAnswer, Platform, Resources, Storage,
    run_interposed,
};
use twine_protocol::calls::number;
use twine_protocol::key::{Sealing, VolumeKey};
use twine_protocol::launch::{self, End, Launch, Mount, Source, VolumeSource};

/// Writes the byte 42 to the file "token" of its first mount.
const WRITE: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "token")
    (data (i32.const 200) "\2a")
    (data (i32.const 0) "\c8\00\00\00\01\00\00\00")
    (func $done (param i32) (if (local.get 0) (then (unreachable))))
    (func (export "_start")
      (call $done (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 5)
        (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16)))
      (call $done (call $write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1)
        (i32.const 8)))))"#;

/// Exits with the byte in "token".
const READ: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "token")
    (data (i32.const 0) "\c8\00\00\00\01\00\00\00")
    (func $done (param i32) (if (local.get 0) (then (unreachable))))
    (func (export "_start")
      (call $done (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 5)
        (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
      (call $done (call $read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))
      (call $exit (i32.load8_u (i32.const 200)))))"#;

/// Two images of one program.
const OLD: &str = "twine.sgxs";
const NEW: &str = "twine-large.sgxs";

fn image(name: &str) -> Image {
    let release = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release");
    Image::open(PathBuf::from(release).join(name)).expect("`cargo xtask image` has built it")
}

fn measurement(name: &str) -> Digest {
    Digest(twine_image::inspect_file(image(name).path()).unwrap().mrenclave.0)
}

fn wasm(program: &str) -> Vec<u8> {
    wat::parse_str(program).unwrap()
}

/// A manifest for a program, whose images take over from the older one.
fn manifest(program: &str, version: u64) -> Manifest {
    let mut terms = examples::small_terms();
    terms.program = Digest::of(&wasm(program));
    terms.streams = Streams { stdin: Stream::None, stdout: Stream::None, stderr: Stream::Host };
    terms.mounts = vec![twine_evidence::terms::Mount {
        guest: "/data".into(),
        kind: MountKind::Volume,
        key: Some(KeyPolicy::Deployment),
        read_only: false,
        size: None,
        main: None,
        former: None,
    }];
    let allowed =
        |name| AllowedImage { measurement: Some(measurement(name)), ..AllowedImage::default() };
    Manifest {
        version,
        images: vec![allowed(OLD), allowed(NEW)],
        handover: Handover { from: vec![measurement(OLD)] },
        ..examples::manifest(terms)
    }
}

/// What a host does with the requests and answers that it passes on.
type Lie = fn(&dyn Former, Vec<u8>) -> Result<Vec<u8>, NoAnswer>;

/// The older image, in the hands of a host that lies.
struct Liar {
    honest: FormerImage,
    lie: Lie,
    target: fn([u8; 512]) -> [u8; 512],
}

impl Former for Liar {
    fn target(&self) -> [u8; 512] {
        (self.target)(self.honest.target())
    }

    fn answer(&self, request: Vec<u8>) -> Result<Vec<u8>, NoAnswer> {
        (self.lie)(&self.honest, request)
    }
}

fn old() -> FormerImage {
    FormerImage::new(image(OLD), Platform::Simulated, |_| ()).unwrap()
}

/// A host that keeps copies of the volume's file: as it is whenever the host has written to it.
struct Copies {
    path: PathBuf,
    copies: Mutex<Vec<Vec<u8>>>,
}

impl Interposer for Copies {
    fn answer(&self, call: &Call, honest: (u64, u64)) -> (u64, u64) {
        let changes = [
            number::storage_write,
            number::storage_write_pieces,
            number::storage_write_through,
            number::storage_resize,
        ];
        if changes.contains(&call.number) {
            self.copies.lock().unwrap().push(fs::read(&self.path).unwrap());
        }
        honest
    }
}

/// Runs a program under a manifest, with the volume at `path`. Returns its exit code, or why it was
/// refused, and the volume after each write.
fn run(
    in_image: &str,
    program: &str,
    manifest: &Manifest,
    path: &Path,
    former: Option<Box<dyn Former>>,
) -> (Result<u32, String>, Vec<Vec<u8>>) {
    let create = !path.exists();
    let storage = Storage::open(path, Access::Create).unwrap();
    let source = Source::Volume(VolumeSource {
        storage: 0,
        key: VolumeKey::Sealed(Sealing::DEPLOYMENT),
        create,
        cache: None,
        main: None,
    });
    let launch = Launch {
        arguments: vec!["hello.wasm".into()],
        streams: launch::Streams {
            stdin: launch::Stream::None,
            stdout: launch::Stream::None,
            stderr: launch::Stream::Host,
        },
        mounts: vec![Mount { guest: "/data".into(), source, read_only: false }],
        manifest: Some(examples::signed(manifest)),
        ..Launch::default()
    };
    let resources = Resources {
        storages: vec![storage],
        formers: former.into_iter().collect(),
        ..Resources::default()
    };
    let copies = Arc::new(Copies { path: path.to_owned(), copies: Mutex::default() });
    let (image, program) = (image(in_image), wasm(program));
    let report =
        run_interposed(&image, Platform::Simulated, &launch, program, resources, copies.clone())
            .unwrap();
    let end = match report.outcome.end {
        End::Exited { code, .. } => Ok(code),
        End::Refused { cause, .. } => Err(cause),
        end => panic!("{end:?}"),
    };
    let copies = std::mem::take(&mut *copies.copies.lock().unwrap());
    (end, copies)
}

/// Returns the path of a volume in which the older image has written the token.
fn written(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("handover").join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("v.twine");
    assert_eq!(run(OLD, WRITE, &manifest(WRITE, 1), &path, None).0, Ok(0));
    path
}

#[test]
fn a_host_that_ends_at_any_moment_of_the_move_loses_nothing() {
    let path = written("moments");
    let before = fs::read(&path).unwrap();
    let reader = manifest(READ, 2);
    let (moved, copies) = run(NEW, READ, &reader, &path, Some(Box::new(old())));
    assert_eq!(moved, Ok(42));
    assert!(copies.len() >= 3, "{} writes", copies.len());
    let mut olds = 0;
    for (at, copy) in [before].into_iter().chain(copies).enumerate() {
        fs::write(&path, &copy).unwrap();
        let (old_end, _) = run(OLD, READ, &reader, &path, None);
        fs::write(&path, &copy).unwrap();
        let (new_end, _) = run(NEW, READ, &reader, &path, None);
        assert!((old_end == Ok(42)) != (new_end == Ok(42)), "write {at}: {old_end:?}, {new_end:?}");
        olds += u32::from(old_end.is_ok());
        // With the older image at hand, the newer one always opens it.
        fs::write(&path, &copy).unwrap();
        assert_eq!(run(NEW, READ, &reader, &path, Some(Box::new(old()))).0, Ok(42), "write {at}");
    }
    assert!(olds >= 2, "before the move, and before its commit");
    fs::remove_file(&path).unwrap();
}

#[test]
fn hosts_that_lie_get_no_volume_opened_and_no_key() {
    let path = written("lies");
    let reader = manifest(READ, 2);
    let lies: [(Lie, &str); 6] = [
        (|_, _| Err(NoAnswer), "it refuses"),
        (|_, _| Ok(Vec::new()), "not complete"),
        // The request in place of an answer.
        (|_, request| Ok(request), "the report was made on another machine"),
        (
            |old, mut request| {
                request[500] ^= 1;
                old.answer(request)
            },
            "it refuses",
        ),
        (
            |old, request| {
                let mut answer = old.answer(request)?;
                *answer.last_mut().unwrap() ^= 1;
                Ok(answer)
            },
            "the report is about something else",
        ),
        (
            // An enclave of the newer image answers in place of the older one.
            |_, request| {
                let new = FormerImage::new(image(NEW), Platform::Simulated, |_| ()).unwrap();
                new.answer(request)
            },
            "it refuses",
        ),
    ];
    let before = fs::read(&path).unwrap();
    for (at, (lie, cause)) in lies.into_iter().enumerate() {
        let liar = Liar { honest: old(), lie, target: |target| target };
        let (end, _) = run(NEW, READ, &reader, &path, Some(Box::new(liar)));
        let refused = end.expect_err("it opened");
        assert!(refused.contains(cause), "{at}: {refused}");
        assert!(fs::read(&path).unwrap() == before, "{at}");
    }
    // Another image under the older one's number, and one that is not named.
    let another: fn([u8; 512]) -> [u8; 512] = |mut target| {
        target[0] ^= 1;
        target
    };
    let liar = Liar { honest: old(), lie: |old, request| old.answer(request), target: another };
    let (end, _) = run(NEW, READ, &reader, &path, Some(Box::new(liar)));
    assert!(end.is_err_and(|cause| cause.contains("it is sealed to another image")));
    let none = Manifest { handover: Handover::default(), ..reader.clone() };
    let (end, _) = run(NEW, READ, &none, &path, Some(Box::new(old())));
    assert!(end.is_err_and(|cause| cause.contains("it is sealed to another image")));
    // A manifest that allows the newer image, and was signed before the one that wrote.
    let withdrawn = manifest(READ, 0);
    let (end, _) = run(NEW, READ, &withdrawn, &path, Some(Box::new(old())));
    assert!(end.is_err_and(|cause| cause.contains("version 1 of the manifest has opened it")));
    assert_eq!(run(NEW, READ, &reader, &path, Some(Box::new(old()))).0, Ok(42));
    fs::remove_file(&path).unwrap();
}
