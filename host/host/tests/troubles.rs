//! The reports at the end of a run about volumes that could not be closed, and about a program that
//! could not be read.
//!
//! The image is the one that `cargo xtask image` builds, or that of `TWINE_IMAGE`.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use twine_host::{
    Access, Call, Error, Image, Interposer, Platform, Program, Resources, Storage, UnreadPages,
    run_interposed,
};
use twine_protocol::calls::number;
use twine_protocol::key::VolumeKey;
use twine_protocol::launch::{End, Launch, Mount, Source, VolumeSource};
use twine_protocol::wire::Status;

/// A program that yields, then creates an empty file "f" in each of two mounts. The second is at
/// descriptor 4.
const MAKER: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "f")
    (func $make (param $fd i32)
      (drop (call $open (local.get $fd) (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 1)
        (i64.const 0x7f) (i64.const 0) (i32.const 0) (i32.const 96))))
    (func (export "_start")
      (drop (call $yield)) (call $make (i32.const 3)) (call $make (i32.const 4))))"#;

/// A program that does nothing. Its run creates the volumes.
const NOTHING: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

/// A host that can't sync some storages after the program has begun.
struct Failing {
    storages: &'static [u64],
    begun: AtomicBool,
}

impl Interposer for Failing {
    fn answer(&self, call: &Call, honest: (u64, u64)) -> (u64, u64) {
        match call.number {
            number::yield_now => {
                self.begun.store(true, Ordering::Relaxed);
                honest
            }
            number::storage_sync | number::storage_write_through
                if self.begun.load(Ordering::Relaxed)
                    && self.storages.contains(&call.arguments[0]) =>
            {
                (Status::Io.code(), 0)
            }
            _ => honest,
        }
    }
}

fn image() -> Image {
    let path = std::env::var_os("TWINE_IMAGE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/twine.sgxs")),
        PathBuf::from,
    );
    Image::open(path).expect("`cargo xtask image` has built the image")
}

/// Runs the program that creates files in two volumes, which an honest host has created. Returns
/// the troubles in the report.
fn troubles(failing: &'static [u64]) -> Vec<String> {
    let image = image();
    let name = format!("twine-troubles-{}-{}", std::process::id(), failing.len());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).expect("creating a folder succeeds");
    let run = |text, storages| {
        let program = wat::parse_str(text).expect("the text is valid");
        let open = |number| Storage::open(folder.join(format!("{number}")), Access::Create);
        let files = [0, 1].map(|number| open(number).expect("no other process uses the file"));
        let mount = |storage: u64| {
            let source = VolumeSource {
                storage,
                key: VolumeKey::File([7; 32].into()),
                create: files[storage as usize].is_empty(),
                cache: None,
                main: None,
            };
            let guest = format!("/{storage}");
            Mount { guest, source: Source::Volume(source), read_only: false }
        };
        let launch = Launch {
            arguments: vec!["maker".into()],
            mounts: [0, 1].map(mount).into(),
            ..Launch::default()
        };
        let resources = Resources { storages: files.into(), ..Resources::default() };
        let interposer = Arc::new(Failing { storages, begun: AtomicBool::new(false) });
        let platform = Platform::Simulated;
        run_interposed(&image, platform, &launch, program, resources, interposer)
            .expect("the program runs to its end")
            .outcome
            .troubles
    };
    assert_eq!(run(NOTHING, &[]), [""; 0]);
    let troubles = run(MAKER, failing);
    fs::remove_dir_all(folder).expect("removing the folder succeeds");
    troubles
}

#[test]
fn each_volume_that_could_not_be_closed_is_reported() {
    for failing in [&[0][..], &[1], &[0, 1]] as [&[u64]; 3] {
        let told = troubles(failing);
        for number in [0, 1] {
            let about = |line: &&String| line.starts_with(&format!("the volume for /{number}: "));
            let lines = told.iter().filter(about).count();
            assert_eq!(lines, usize::from(failing.contains(&number)), "{told:?}");
        }
    }
}

#[test]
fn a_program_file_truncated_while_it_is_copied_is_an_error() {
    // With zeros instead of the contents of its custom section, the program still runs.
    let mut program = wat::parse_str(NOTHING).expect("the text is valid");
    program.extend([0, 0xfc, 0xbf, 0x01, 1, b'x']);
    program.resize(program.len() + 24_570, 7);
    let path = std::env::temp_dir().join(format!("twine-cut-program-{}", std::process::id()));
    let run = |cut: bool| {
        fs::write(&path, &program).expect("writing succeeds");
        let file = fs::File::options().read(true).write(true).open(&path).expect("it exists");
        let given = Program::of_file(&file, program.len() as u64).expect("mapping succeeds");
        if cut {
            file.set_len(4096).expect("truncating the program succeeds");
        }
        let launch = Launch { arguments: vec!["program".into()], ..Launch::default() };
        twine_host::run(&image(), Platform::Simulated, &launch, given, Resources::default())
    };
    let whole = run(false).expect("the program runs");
    assert!(matches!(whole.outcome.end, End::Exited { code: 0, .. }), "{:?}", whole.outcome.end);
    assert_eq!(whole.stats.unread, UnreadPages::default());
    let pages = (program.len() as u64).div_ceil(4096) - 1;
    let cut = run(true);
    assert!(
        matches!(&cut, Err(Error::ProgramUnread { pages: found }) if *found == pages),
        "{cut:?}"
    );
    fs::remove_file(path).expect("removing the file succeeds");
}
