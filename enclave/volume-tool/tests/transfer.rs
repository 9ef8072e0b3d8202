//! Copies to a client elsewhere and from it: a parcel is what both sides see.

mod common;

use common::{
    Done, World, age, all, find, link, make_directory, name, permit, read, strings, write,
};
use twine_channel::parcel::{Entry, Step};
use twine_vfs::{FileSystem, Memory};
use twine_volume_tool::{Transfer, Tree, exchange};

/// Does a copy in a tree, with these bytes as input. Returns the output.
fn pass(
    world: &mut World,
    files: fn(&mut World) -> &mut Memory,
    transfer: &Transfer,
    input: Vec<u8>,
) -> (Done, Vec<u8>) {
    let mut console = std::mem::take(&mut world.console);
    console.input = input;
    let tree = Tree { files: files(world), prefix: "v::".into(), host: false };
    let ok = exchange(transfer, tree, &mut console);
    let out = std::mem::take(&mut console.out);
    let err = std::mem::take(&mut console.err);
    world.console = console;
    (Done { ok, out: String::new(), err }, out)
}

fn send(world: &mut World, sources: &[&str]) -> (Done, Vec<u8>) {
    let transfer = Transfer::Send { sources: strings(sources), recursive: true };
    pass(world, |world| &mut world.host, &transfer, Vec::new())
}

fn receive(world: &mut World, target: &str, several: bool, parcel: Vec<u8>) -> Done {
    let transfer = Transfer::Receive { target: target.into(), several };
    pass(world, |world| &mut world.volume, &transfer, parcel).0
}

fn plant(files: &mut Memory) {
    write(files, "top/text", b"hello\n");
    write(files, "top/empty", b"");
    write(files, "top/a/large", vec![9; 300_001]);
    name(files, "top/a/large", "top/other");
    make_directory(files, "top/nothing");
    link(files, "top/dangling", "/not/there");
    let sparse = {
        write(files, "top/sparse", b"start");
        find(files, "top/sparse").unwrap()
    };
    files.write(sparse, 10 << 20, b"end").unwrap();
    files.set_size(sparse, 20 << 20).unwrap();
    files.release(sparse);
    permit(files, "top/text", 0o640);
    permit(files, "top/nothing", 0o500);
    for (at, path) in ["/a/large", "/text", "/dangling", "/nothing", "/a", ""].iter().enumerate() {
        age(files, &format!("top{path}"), 5_000_000_001, 10_000_000_000 + at as u64);
    }
}

#[test]
fn a_tree_comes_as_it_went_and_a_second_time_over_itself() {
    let mut world = World::new();
    plant(&mut world.host);
    let (sent, parcel) = send(&mut world, &["top"]);
    sent.printed("");
    assert!(parcel.len() < 400_000, "holes and second names are not sent: {}", parcel.len());
    receive(&mut world, "", false, parcel.clone()).printed("");
    let times_aside = |files: &mut Memory| -> Vec<_> {
        all(files).into_iter().map(|(path, kind, bytes, _)| (path, kind, bytes)).collect()
    };
    assert_eq!(times_aside(&mut world.volume), times_aside(&mut world.host));
    for path in ["top", "top/a", "top/a/large", "top/text", "top/nothing", "top/dangling"] {
        let known = |files: &mut Memory| {
            let inode = find(files, path).unwrap();
            let attributes = files.attributes(inode).unwrap();
            files.release(inode);
            (attributes.mode, attributes.modified, attributes.links)
        };
        assert_eq!(known(&mut world.volume), known(&mut world.host), "{path}");
    }
    receive(&mut world, "", false, parcel).printed("");
    assert_eq!(times_aside(&mut world.volume), times_aside(&mut world.host));
    // Nothing is held: a tree in memory gives back what its files took.
    world.remove("top").printed("");
    assert_eq!(world.volume.usage().unwrap().used, memory_of_nothing());
}

fn memory_of_nothing() -> u64 {
    common::memory().usage().unwrap().used
}

#[test]
fn targets_are_found_as_cp_finds_them() {
    let mut world = World::new();
    write(&mut world.host, "file", b"1");
    write(&mut world.host, "d/inner", b"2");
    let file = send(&mut world, &["file"]).1;
    let both = send(&mut world, &["file", "d"]).1;
    let contents = send(&mut world, &["d/."]).1;
    receive(&mut world, "new", false, file.clone()).printed("");
    assert_eq!(read(&mut world.volume, "new"), b"1");
    receive(&mut world, "none/new", false, file.clone())
        .failed_with("no directory for v::none/new");
    receive(&mut world, "fresh/", false, file.clone()).failed_with("v::fresh/");
    receive(&mut world, "new", true, both.clone()).failed_with("v::new is not a directory");
    make_directory(&mut world.volume, "dir");
    receive(&mut world, "dir", true, both).printed("");
    assert_eq!(read(&mut world.volume, "dir/file"), b"1");
    assert_eq!(read(&mut world.volume, "dir/d/inner"), b"2");
    receive(&mut world, "dir", false, contents.clone()).printed("");
    assert_eq!(read(&mut world.volume, "dir/inner"), b"2");
    receive(&mut world, "made", false, contents).printed("");
    assert_eq!(read(&mut world.volume, "made/inner"), b"2");
    // A file over a directory, and a directory over a file.
    make_directory(&mut world.volume, "dir/sub/file");
    receive(&mut world, "dir/sub", false, file).failed_with("v::dir/sub/file is a directory");
    let d = send(&mut world, &["d"]).1;
    write(&mut world.volume, "dir/sub/d", b"");
    receive(&mut world, "dir/sub", false, d).failed_with("v::dir/sub/d is not a directory");
    // Without -r, a directory stays where it is.
    let plain = Transfer::Send { sources: strings(&["d", "file"]), recursive: false };
    let (done, _) = pass(&mut world, |world| &mut world.host, &plain, Vec::new());
    done.failed_with("v::d is a directory");
}

#[test]
fn a_link_in_the_way_is_replaced_and_not_written_through() {
    let mut world = World::new();
    write(&mut world.host, "d/file", b"new");
    write(&mut world.host, "d/e/inner", b"new");
    write(&mut world.volume, "kept", b"old");
    make_directory(&mut world.volume, "outside");
    make_directory(&mut world.volume, "to/d");
    link(&mut world.volume, "to/d/file", "../../kept");
    link(&mut world.volume, "to/d/e", "../../outside");
    let d = send(&mut world, &["d"]).1;
    receive(&mut world, "to", false, d).failed_with("v::to/d/e is not a directory");
    assert_eq!(read(&mut world.volume, "kept"), b"old");
    assert_eq!(read(&mut world.volume, "to/d/file"), b"new");
    assert!(find(&mut world.volume, "outside/inner").is_none());
}

/// A parcel that is cut anywhere leaves each file as a whole or not at all.
#[test]
fn a_copy_that_is_cut_off_leaves_no_part_of_a_new_file() {
    let mut world = World::new();
    write(&mut world.host, "d/one", vec![1; 70_000]);
    write(&mut world.host, "d/two", vec![2; 70_000]);
    let parcel = send(&mut world, &["d"]).1;
    for length in (0..parcel.len()).step_by(997) {
        let mut world = World::new();
        let done = receive(&mut world, "", false, parcel[..length].to_vec());
        done.failed_with("cut off before its end");
        for (name, byte) in [("d/one", 1), ("d/two", 2)] {
            if find(&mut world.volume, name).is_some() {
                assert!(read(&mut world.volume, name) == [byte; 70_000], "{length}: {name}");
            }
        }
    }
}

#[test]
fn what_is_no_parcel_changes_nothing_outside_its_target() {
    let mut world = World::new();
    make_directory(&mut world.volume, "to");
    let entry = |name: &str| Entry { name: name.into(), mode: None, accessed: 0, modified: 0 };
    let file = |name: &str| Step::File { entry: entry(name), size: 0, numbered: false };
    for steps in [
        vec![file("../up")],
        vec![Step::Directory(entry(".."))],
        vec![Step::Leave],
        vec![Step::Link { entry: entry("a/b"), target: "x".into() }],
        vec![Step::Again { name: "x".into(), number: 7 }],
    ] {
        let bytes = steps.iter().flat_map(Step::to_frame).collect();
        receive(&mut world, "to", false, bytes).failed_with("is no copy of files");
    }
    receive(&mut world, "to", false, b"tar archive, 512 bytes".to_vec())
        .failed_with("is no copy of files");
    assert_eq!(all(&mut world.volume).len(), 1);
}

#[test]
fn a_file_that_can_not_be_written_is_skipped_and_the_rest_comes() {
    let mut world = World::new();
    for name in ["d/a", "d/b", "d/c"] {
        write(&mut world.host, name, vec![1; 100_000]);
    }
    name(&mut world.host, "d/b", "d/same");
    let parcel = send(&mut world, &["d"]).1;
    make_directory(&mut world.volume, "d/b");
    let done = receive(&mut world, "", false, parcel);
    assert!(!done.ok);
    assert!(done.err[0].contains("v::/d/b is a directory"), "{done:?}");
    // Its other name has nothing to lead to.
    assert!(done.err[1].contains("v::/d/same: "), "{done:?}");
    assert_eq!(read(&mut world.volume, "d/c").len(), 100_000);
    assert!(find(&mut world.volume, "d/same").is_none());
}
