//! `twine oci build`: the names of what it makes.

mod common;

use common::{Folder, run, run_with_input, twine};
use std::path::Path;
use std::process::Command;
use twine_oci_image::{Layout, Reference};

const PROGRAM: &[u8] = b"\0asm\x01\0\0\0";

fn build(folder: &Folder, program: &str) -> Command {
    let mut command = twine();
    command.args(["oci", "build", "--tag", "app:1", program]).current_dir(folder.path());
    command
}

/// The command of the image in a folder.
fn command_of(folder: &Path) -> Vec<String> {
    let layout = Layout::open(folder).unwrap();
    layout.find(Some("app:1")).unwrap().command(false).unwrap()
}

#[test]
fn a_name_keeps_all_but_its_extension() {
    let folder = Folder::new();
    for (program, stem) in [("app.wasm", "app"), ("app-1.2.wasm", "app-1.2"), ("app.1", "app")] {
        folder.file(program, PROGRAM);
        let ended = run(&mut build(&folder, program));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let image = folder.path().join(format!("{stem}.oci"));
        assert_eq!(command_of(&image), [format!("/{stem}.wasm")]);
    }
}

#[test]
fn a_program_of_the_standard_input_has_a_name() {
    let folder = Folder::new();
    let ended = run_with_input(&mut build(&folder, "-"), PROGRAM);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(command_of(&folder.path().join("program.oci")), ["/program.wasm"]);
}

#[test]
fn a_program_of_an_image_keeps_its_name() {
    let folder = Folder::new();
    folder.file("app.wasm", PROGRAM);
    assert_eq!(run(&mut build(&folder, "app.wasm")).code, Some(0));
    let ended = run(build(&folder, "oci:app.oci:app:1").args(["--output", "other"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(command_of(&folder.path().join("other")), ["/app.wasm"]);
    let reference: Reference = "oci:app.oci:app:1".parse().unwrap();
    assert_eq!(reference.name.as_deref(), Some("app:1"));
}
