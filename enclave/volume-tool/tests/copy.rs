//! Tests of `cp`: into a volume, out of it and within it.

mod common;

use common::{
    World, age, all, find, inside, link, make_directory, mode, name, outside, permit, read,
    strings, write,
};
use twine_protocol::task::{FolderLocation, Location, Operation};
use twine_protocol::wire::Unit;
use twine_vfs::FileSystem;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8 | 1).collect()
}

/// Makes a tree with items of all kinds at `top`.
fn plant(files: &mut dyn FileSystem, top: &str) {
    write(files, &format!("{top}/empty"), b"");
    write(files, &format!("{top}/text"), b"hello\n");
    write(files, &format!("{top}/a/b/large"), pattern(3_000_001));
    write(files, &format!("{top}/a/ünïcode name"), b"\0\0\0");
    make_directory(files, &format!("{top}/a/nothing"));
    link(files, &format!("{top}/a/up"), "../text");
    link(files, &format!("{top}/dangling"), "/not/there");
    for (at, path) in ["/a/b/large", "/a/up", "/text", "/a/b", "/a", ""].iter().enumerate() {
        age(files, &format!("{top}{path}"), 5_000_000_001, 10_000_000_000 + at as u64);
    }
}

#[test]
fn a_tree_comes_out_as_it_went_in() {
    let mut world = World::new();
    plant(&mut world.host, "tree");
    world.copy(&[outside("tree")], inside("in"), true).printed("");
    world.copy(&[inside("in")], outside("out"), true).printed("");
    let both = all(&mut world.host);
    let part = |top: &str| -> Vec<_> {
        let below = format!("/{top}/");
        let inside = |(path, kind, contents, modified): &(String, _, Vec<u8>, u64)| {
            let path = path.strip_prefix(&below)?.to_owned();
            Some((path, *kind, contents.clone(), *modified))
        };
        both.iter().filter_map(inside).collect()
    };
    assert_eq!(part("tree").len(), 9);
    let times = |path: &str| part(path).iter().filter(|entry| entry.3 < 11_000_000_000).count();
    assert_eq!(times("tree"), 5);
    assert_eq!(
        part("tree").iter().filter(|entry| entry.0 != "a/nothing").collect::<Vec<_>>(),
        part("out").iter().filter(|entry| entry.0 != "a/nothing").collect::<Vec<_>>(),
    );
    let top = |path: &str| both.iter().find(|entry| entry.0 == path).map(|entry| entry.3);
    assert_eq!(top("/tree"), top("/out"));
}

#[test]
fn modes_come_over_where_they_are_known() {
    let mut world = World::new();
    for path in ["tree/secret", "tree/unknown", "tree/d/inner"] {
        write(&mut world.host, path, b"x");
    }
    let modes = [("tree", 0o700), ("tree/secret", 0o600), ("tree/d", 0o555)];
    modes.iter().for_each(|(path, mode)| permit(&mut world.host, path, *mode));
    world.copy(&[outside("tree")], inside("tree"), true).printed("");
    world.copy(&[inside("tree")], inside("again"), true).printed("");
    world.copy(&[inside("again")], outside("out"), true).printed("");
    for path in ["out", "out/secret", "out/d", "out/d/inner", "out/unknown"] {
        let wanted = mode(&mut world.host, &path.replace("out", "tree"));
        assert_eq!(mode(&mut world.host, path), wanted, "{path}");
    }
    // An overwritten file gets the mode of its new contents; an existing directory keeps its own.
    write(&mut world.host, "open/secret", b"public");
    permit(&mut world.host, "open", 0o755);
    permit(&mut world.host, "open/secret", 0o644);
    world.copy(&[inside("tree/secret")], outside("open"), false).printed("");
    world.copy(&[inside("tree/.")], outside("open"), true).printed("");
    let host = &mut world.host;
    assert_eq!((mode(host, "open"), mode(host, "open/secret")), (Some(0o755), Some(0o600)));
}

#[test]
fn nothing_stays_held_after_copies_and_removals() {
    let mut world = World::new();
    let used = |world: &mut World| world.volume.usage().unwrap().used;
    let empty = used(&mut world);
    plant(&mut world.volume, "tree");
    name(&mut world.volume, "tree/text", "tree/a/same");
    name(&mut world.volume, "tree/text", "tree/a/b/same");
    world.console.watched = true;
    world.copy(&[inside("tree")], inside("copy"), true).printed("");
    world.copy(&[inside("tree"), inside("copy")], inside("copy/a"), true).failed_with("itself");
    world.copy(&[inside("tree/.")], inside("copy"), true).printed("");
    assert!(!world.copy(&[inside("no"), inside("tree/text")], inside("tree/a"), false).ok);
    assert!(!world.copy(&[inside("tree")], inside("tree/text"), true).ok);
    assert!(!world.copy(&[inside("tree/text")], inside("tree/text"), false).ok);
    world.copy(&[inside("tree")], outside("tree"), true).printed("");
    world.remove("copy").printed("");
    world.remove("tree").printed("");
    world.list("").printed("");
    assert_eq!(used(&mut world), empty);
}

#[test]
fn names_of_one_file_stay_names_of_one_file() {
    let mut world = World::new();
    write(&mut world.host, "tree/one", b"same");
    write(&mut world.host, "tree/other", b"same");
    name(&mut world.host, "tree/one", "tree/below/two");
    name(&mut world.host, "tree/one", "three");
    world.copy(&[outside("tree")], inside("tree"), true).printed("");
    let volume = &mut world.volume;
    let (one, two) = (find(volume, "tree/one"), find(volume, "tree/below/two"));
    assert_eq!(one, two);
    assert_ne!(one, find(volume, "tree/other"));
    assert_eq!(volume.attributes(one.unwrap()).unwrap().links, 2);
    // Copy again over the existing copy.
    world.copy(&[outside("tree")], inside(""), true).printed("");
    assert_eq!(world.volume.attributes(one.unwrap()).unwrap().links, 2);
}

#[test]
fn holes_stay_holes() {
    let mut world = World::new();
    write(&mut world.host, "sparse", b"start");
    let file = find(&mut world.host, "sparse").unwrap();
    world.host.write(file, 700 << 20, b"middle").unwrap();
    world.host.set_size(file, 900 << 20).unwrap();
    let before = world.volume.usage().unwrap().used;
    world.copy(&[outside("sparse")], inside("sparse"), false).printed("");
    let used = world.volume.usage().unwrap().used - before;
    assert!(used < 1 << 20, "{used} bytes");
    let copy = find(&mut world.volume, "sparse").unwrap();
    assert_eq!(world.volume.attributes(copy).unwrap().size, 900 << 20);
    let mut bytes = [1; 8];
    world.volume.read(copy, 700 << 20, &mut bytes).unwrap();
    assert_eq!(&bytes, b"middle\0\0");
}

#[test]
fn bytes_come_over_whatever_they_are() {
    let mut world = World::new();
    for length in [0, 1, 4095, 4096, 4097, 8192, 1 << 20, (1 << 20) + 1, (2 << 20) + 4096] {
        for zeros in [0..0, 0..length / 2, length / 2..length, 4096..12288] {
            let mut bytes = pattern(length);
            bytes.iter_mut().skip(zeros.start).take(zeros.len()).for_each(|byte| *byte = 0);
            world.console.input = bytes.clone();
            world.copy(&[Location::Stream], inside("file"), false).printed("");
            assert_eq!(read(&mut world.volume, "file"), bytes, "{length} {zeros:?}");
            world.copy(&[inside("file")], outside("file"), false).printed("");
            assert_eq!(read(&mut world.host, "file"), bytes);
            assert!(world.copy(&[outside("file")], Location::Stream, false).ok);
        }
    }
}

#[test]
fn a_shorter_file_over_a_longer_one_leaves_nothing_of_it() {
    let mut world = World::new();
    write(&mut world.volume, "old", pattern(100_000));
    write(&mut world.host, "new", [b"x".as_slice(), &[0; 20_000]].concat());
    world.copy(&[outside("new")], inside("old"), false).printed("");
    assert_eq!(read(&mut world.volume, "old"), read(&mut world.host, "new"));
}

#[test]
fn targets_are_taken_as_cp_takes_them() {
    let mut world = World::new();
    write(&mut world.host, "file", b"1");
    write(&mut world.host, "tree/inner", b"2");
    make_directory(&mut world.volume, "d");
    // Into a directory, by any of its paths.
    world.copy(&[outside("file")], inside("d"), false).printed("");
    world.copy(&[outside("file")], inside(""), false).printed("");
    link(&mut world.volume, "l", "d");
    world.copy(&[outside("tree"), outside("file")], inside("l/"), true).printed("");
    world.list("d").printed("file\ntree\n");
    // A tree takes a free name; the second time it is copied into the existing directory.
    world.copy(&[outside("tree")], inside("e"), true).printed("");
    world.list("e").printed("inner\n");
    world.copy(&[outside("tree")], inside("e"), true).printed("");
    world.list("e").printed("inner\ntree\n");
    // The contents of a folder, without the folder.
    let contents = Location::Folder(FolderLocation {
        folder: 7,
        entry: "tree".into(),
        name: String::new(),
        shown: "tree/.".into(),
    });
    world.copy(&[contents], inside("f"), true).printed("");
    world.list("f").printed("inner\n");
    world.copy(&[inside("")], outside("all"), true).printed("");
    assert_eq!(read(&mut world.host, "all/f/inner"), b"2");
}

#[test]
fn a_copy_refuses_the_same_as_cp() {
    let mut world = World::new();
    write(&mut world.host, "file", b"1");
    write(&mut world.host, "tree/inner", b"2");
    write(&mut world.volume, "file", b"3");
    write(&mut world.volume, "d/tree", b"4");
    make_directory(&mut world.volume, "d/file");
    let file = || outside("file");
    world.copy(&[outside("tree")], inside("x"), false).failed_with("host/tree is a directory");
    world.copy(&[file(), file()], inside("x"), false).failed_with("v::x is not a directory");
    world.copy(&[file()], inside("x/"), false).failed_with("v::x/: not a directory");
    world.copy(&[file()], inside("no/x"), false).failed_with("no directory for v::no/x");
    world.copy(&[outside("no")], inside("x"), false).failed_with("host/no: no such file");
    world.copy(&[file()], inside("d"), false).failed_with("v::d/file is a directory");
    world.copy(&[outside("tree")], inside("d"), true).failed_with("v::d/tree is not a directory");
    world.copy(&[inside("file")], inside("file"), false).failed_with("onto itself");
    world.copy(&[inside("d")], inside("d/new"), true).failed_with("into itself");
    world.copy(&[Location::Stream], inside("d"), false).failed_with("standard input has no name");
    world.copy(&[inside("d")], Location::Stream, false).failed_with("v::d: is a directory");
    world.copy(&[inside("file"), file()], Location::Stream, false).failed_with("one file");
    assert_eq!(read(&mut world.volume, "file"), b"3");
    assert_eq!(read(&mut world.volume, "d/tree"), b"4");
}

#[test]
fn no_link_is_followed_out_of_a_tree_or_written_through() {
    let mut world = World::new();
    write(&mut world.host, "secret", b"keep out");
    link(&mut world.host, "tree/link", "../secret");
    world.copy(&[outside("tree")], inside("tree"), true).printed("");
    let link_inode = find(&mut world.volume, "tree/link").unwrap();
    assert_eq!(world.volume.read_link(link_inode).unwrap(), "../secret");
    // An existing link is replaced, and its target stays as it is.
    write(&mut world.volume, "new/link", b"from the volume");
    link(&mut world.host, "way/new/link", "../../secret");
    world.copy(&[inside("new")], outside("way"), true).printed("");
    assert_eq!(read(&mut world.host, "secret"), b"keep out");
    assert_eq!(read(&mut world.host, "way/new/link"), b"from the volume");
}

#[test]
fn a_tree_deeper_than_any_stack_is_copied_and_removed() {
    let mut world = World::new();
    let volume = &mut world.volume;
    let mut directory = volume.root();
    for _ in 0..20_000 {
        volume.create_directory(directory, "d").unwrap();
        directory = volume.lookup(directory, "d").unwrap();
    }
    world.copy(&[inside("d")], inside("e"), true).printed("");
    world.remove("d").printed("");
    world.remove("e").printed("");
    world.list("").printed("");
}

#[test]
fn progress_is_told_to_whoever_looks() {
    let mut world = World::new();
    write(&mut world.host, "tree/large", pattern(5 << 20));
    write(&mut world.host, "tree/small", b"x");
    world.copy(&[outside("tree")], inside("one"), true).printed("");
    assert!(world.console.progress.is_empty());
    world.console.watched = true;
    world.copy(&[outside("tree")], inside("two"), true).printed("");
    let total = (5 << 20) + 1;
    let progress = &world.console.progress;
    assert_eq!(progress.len(), 5);
    assert!(
        progress
            .iter()
            .all(|&(done, of, unit)| { done <= total && of == total && unit == Unit::Bytes })
    );
    assert!(progress.is_sorted_by_key(|&(done, ..)| done));
}

#[test]
fn a_copy_names_items_that_fail_and_copies_the_others() {
    let mut world = World::new();
    write(&mut world.host, "a", b"1");
    write(&mut world.host, "c", b"3");
    let done = world.copy(&[outside("a"), outside("b"), outside("c")], inside(""), false);
    done.failed_with("host/b: no such file");
    world.list("").printed("a\nc\n");
    let paths = strings(&["a", "b", "c"]);
    let done = world.work(&Operation::Print { paths });
    assert_eq!((done.ok, done.out.as_str(), done.err.len()), (false, "13", 2));
}
