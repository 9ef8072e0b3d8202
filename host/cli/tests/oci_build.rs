//! `twine oci build`: the names of what it makes.

mod common;

use common::{Folder, built, cache, run, run_with_input, twine};
use std::os::unix::process::ExitStatusExt;
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

/// The temporary folder with the files of an image goes with the command, whatever ends it.
#[test]
fn a_signal_removes_the_files_of_an_image() {
    let folder = Folder::new();
    folder.file("loop.wat", r#"(module (func (export "_start") (loop $on (br $on))))"#);
    // An image that holds a program alone needs no folder while the program runs.
    let mut with_more = build(&folder, "loop.wat");
    assert_eq!(run(with_more.args(["--file", "loop.wat::more"])).code, Some(0));
    let temporary = folder.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let unpacked = || std::fs::read_dir(&temporary).unwrap().count();
    for (signal, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        // Signals may be ignored where the tests run, and would be for the command.
        let mut command = Command::new("env");
        command.arg(format!("--default-signal={signal}")).arg(built("release/twine"));
        command.args(["run", "--quiet", "oci:loop.oci"]).current_dir(folder.path());
        command.env("TWINE_CACHE", cache()).env("TMPDIR", &temporary);
        let mut child = command.spawn().unwrap();
        while unpacked() == 0 {
            assert_eq!(child.try_wait().unwrap(), None);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let kill = format!("kill -{signal} {}", child.id());
        run(Command::new("sh").args(["-c", &kill])).printed("");
        assert_eq!(child.wait().unwrap().signal(), Some(number), "{signal}");
        assert_eq!(unpacked(), 0, "{signal}");
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
