//! Programs that take much memory, to be compiled or to run.

mod common;

use common::{Folder, image, manifest, run, twine};
use std::path::Path;

fn invoke(image: &Path, function: &str, program: &Path) -> common::Ended {
    let mut twine = twine();
    twine.args(["run", "--quiet", "--no-code-cache", "--image"]).arg(image);
    run(twine.args(["--invoke", function]).arg(program))
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
