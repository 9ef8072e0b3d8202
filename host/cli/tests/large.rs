//! Programs that take much memory, to compile or to run.

mod common;

use common::{Folder, built, image, manifest, run, twine};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn invoke(image: &Path, function: &str, program: &Path) -> common::Ended {
    let mut twine = twine();
    twine.args(["run", "--quiet", "--no-code-cache", "--image"]).arg(image);
    run(twine.args(["--invoke", function]).arg(program))
}

/// Go's linker writes this many.
#[test]
fn a_program_of_100_000_data_segments_compiles_in_the_image_for_most_programs() {
    const SEGMENTS: u32 = 100_000;
    let last = 16 * (SEGMENTS - 1);
    let mut text = format!(
        "(module (memory 32) (func (export \"bytes\") (result i32 i32 i32)
            (i32.load8_u (i32.const 16)) (i32.load8_u (i32.const {last}))
            (i32.load8_u (i32.const {}))) ",
        last + 2
    );
    for segment in 0..SEGMENTS {
        let _ = write!(text, "(data (i32.const {}) \"{:02}\")", 16 * segment, segment % 100);
    }
    let folder = Folder::new();
    let program = folder.file("segments.wat", text + ")");
    invoke(&built("release/twine.sgxs"), "bytes", &program).printed("48\n57\n0\n");
}

#[test]
fn memories_grow_to_4_gib_each_and_together_to_what_the_image_has() {
    let folder = Folder::new();
    let options = ["--manifest", &manifest(), "--heap-growth-size", "7GiB"];
    let image = image(&folder, "memories.sgxs", &options);
    let program = folder.file(
        "grow.wat",
        "(module (memory 1) (memory 1)
            (func (export \"grow\") (result i32 i32 i32)
                (loop $more (br_if $more (i32.ne (memory.grow 0 (i32.const 256)) (i32.const -1))))
                (loop $more (br_if $more (i32.ne (memory.grow 0 (i32.const 1)) (i32.const -1))))
                (loop $more (br_if $more (i32.ne (memory.grow 1 (i32.const 1)) (i32.const -1))))
                (i32.store 0 (i32.const -4) (i32.const 7))
                (memory.size 0)
                (i32.gt_u (memory.size 1) (i32.const 32768))
                (i32.load 0 (i32.const -4)))
            (func (export \"behind\") (drop (memory.grow 0 (i32.const 49151)))
                (drop (i32.load 0 (i32.const -1073741824)))))",
    );
    invoke(&image, "grow", &program).printed("65536\n1\n7\n");
    invoke(&image, "behind", &program).trapped_with("out of bounds");
}

/// Returns the image that a user gets by following the remedy.
#[track_caller]
fn image_by(ended: &common::Ended, folder: &Folder) -> PathBuf {
    let Some((_, help)) = ended.err.split_once("help: ") else { panic!("{ended:?}") };
    let [_, commands, rest] = help.split('`').collect::<Vec<_>>()[..] else { panic!("{help}") };
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell.current_dir(folder.path());
    shell.env("PATH", format!("{}:{path}", built("release").display()));
    let done = run(shell.args(["-c", commands]));
    assert_eq!(done.code, Some(0), "{done:?}");
    let (_, named) = rest.split_once("--image ").unwrap();
    folder.path().join(named.split(';').next().unwrap())
}

/// Each image is too small for the program in another way.
#[test]
fn the_remedy_for_exhausted_memory_works() {
    const HELLO: &str = "(module (func (export \"f\") (result i32) (i32.const 3)))";
    const MEMORY: &str = "(module (memory 60000) (func (export \"f\") (result i32) (memory.size)))";
    let cases: [(&[&str], &str, &str, &str); 4] = [
        (&["--heap-size", "64KiB"], HELLO, "ran out of memory", "3\n"),
        (&["--heap-size", "64MiB", "--code-arena-size", "4KiB"], HELLO, "of code memory", "3\n"),
        (&["--heap-size", "64MiB"], MEMORY, "does not fit into the enclave's memory", "60000\n"),
        (&["--heap-size", "16MiB"], &large_function(), "ran out of memory", "7\n"),
    ];
    for (sizes, text, cause, printed) in cases {
        let folder = Folder::new();
        let manifest = manifest();
        let none = ["--manifest", &manifest, "--heap-growth-size", "0"];
        let options = [&none[..], sizes].concat();
        let program = folder.file("program.wat", text);
        let ended = invoke(&image(&folder, "small.sgxs", &options), "f", &program);
        ended.failed_with(1, cause);
        invoke(&image_by(&ended, &folder), "f", &program).printed(printed);
    }
}

/// Returns a program whose compilation takes tens of megabytes.
fn large_function() -> String {
    let mut text = String::from("(module (func (export \"f\") (result i32) (local i32)");
    for number in 0..20_000 {
        let _ = write!(text, "(local.set 0 (i32.xor (local.get 0) (i32.const {number})))");
    }
    text + "(i32.const 7)))"
}
