//! Programs that take much memory, to be compiled or to run.

mod common;

use common::{Folder, built, image, manifest, run, twine};
use std::fmt::Write;
use std::path::Path;

fn invoke(image: &Path, function: &str, program: &Path) -> common::Ended {
    let mut twine = twine();
    twine.args(["run", "--quiet", "--no-code-cache", "--image"]).arg(image);
    run(twine.args(["--invoke", function]).arg(program))
}

/// Go's linker writes as many.
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
