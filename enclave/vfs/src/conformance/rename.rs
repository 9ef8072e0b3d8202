//! Checks that renaming works as POSIX says.

use super::{Files, assert_absent, contents, directory, file, named, names};
use crate::{Error, FileKind};

/// A name moves from one directory to another.
pub fn rename_moves_within_and_between_directories(files: Files<'_>) {
    let root = files.root();
    let below = directory(files, root, "below");
    file(files, root, "a", b"a");
    files.create_symbolic_link(root, "link", "a").expect("link");
    let inode = files.lookup(root, "a").expect("a");
    assert_eq!(files.rename(root, "a", root, "b"), Ok(()));
    assert_eq!(files.rename(root, "b", below, "c"), Ok(()));
    assert_eq!(files.rename(root, "link", below, "link"), Ok(()));
    let moved = files.lookup(below, "c").expect("c");
    assert_eq!(moved, inode);
    files.release(moved);
    files.release(inode);
    assert_eq!(contents(files, below, "c"), b"a");
    assert_eq!(named(files, below, "c").links, 1);
    assert_eq!(names(files, root), ["below"]);
    assert_eq!(names(files, below), ["c", "link"]);
    files.release(below);
}

/// Renames every kind onto every kind.
pub fn rename_replaces_what_goes_together_and_refuses_the_rest(files: Files<'_>) {
    let root = files.root();
    let kinds = ["file", "link", "empty", "full"];
    for (number, (from, to)) in
        kinds.iter().flat_map(|from| kinds.map(|to| (*from, to))).enumerate()
    {
        let place = directory(files, root, &format!("place {number}"));
        for (name, kind) in [("from", from), ("to", to)] {
            match kind {
                "file" => file(files, place, name, name.as_bytes()),
                "link" => files.create_symbolic_link(place, name, name).expect(name),
                _ => {
                    let made = directory(files, place, name);
                    if kind == "full" {
                        file(files, made, "file", name.as_bytes());
                    }
                    files.release(made);
                }
            }
        }
        let before = (named(files, place, "from"), named(files, place, "to"));
        let expected = match (from, to) {
            ("file" | "link", "file" | "link") | ("empty" | "full", "empty") => Ok(()),
            ("file" | "link", _) => Err(Error::IsDirectory),
            (_, "full") => Err(Error::NotEmpty),
            _ => Err(Error::NotDirectory),
        };
        assert_eq!(files.rename(place, "from", place, "to"), expected, "{from} onto {to}");
        match expected {
            Ok(()) => {
                assert_absent(files, place, "from");
                assert_eq!(named(files, place, "to").kind, before.0.kind);
                assert_eq!(names(files, place), ["to"]);
            }
            Err(_) => {
                assert_eq!(named(files, place, "from").kind, before.0.kind);
                assert_eq!(named(files, place, "to").kind, before.1.kind);
                assert_eq!(names(files, place), ["from", "to"]);
            }
        }
        files.release(place);
    }
}

/// POSIX: "rename() shall return successfully and perform no other action".
pub fn rename_of_two_names_of_one_inode_changes_nothing(files: Files<'_>) {
    let root = files.root();
    file(files, root, "a", b"x");
    let inode = files.lookup(root, "a").expect("a");
    files.link(inode, root, "b").expect("link");
    files.release(inode);
    assert_eq!(files.rename(root, "a", root, "b"), Ok(()));
    assert_eq!(files.rename(root, "a", root, "a"), Ok(()));
    assert_eq!(names(files, root), ["a", "b"]);
    assert_eq!(named(files, root, "a").links, 2);
    files.create_directory(root, "c").expect("c");
    assert_eq!(files.rename(root, "c", root, "c"), Ok(()));
    assert_eq!(names(files, root), ["a", "b", "c"]);
}

/// A directory cannot be moved below itself.
pub fn rename_into_the_own_subtree_is_invalid(files: Files<'_>) {
    let root = files.root();
    let a = directory(files, root, "a");
    let b = directory(files, a, "b");
    let c = directory(files, b, "c");
    assert_eq!(files.rename(root, "a", a, "x"), Err(Error::Invalid));
    assert_eq!(files.rename(root, "a", c, "x"), Err(Error::Invalid));
    assert_eq!(files.rename(a, "b", c, "x"), Err(Error::Invalid));
    assert_eq!(files.rename(root, "a", a, "b"), Err(Error::Invalid));
    assert_eq!(files.rename(b, "c", root, "a"), Err(Error::NotEmpty), "onto what it lies in");
    // After a move, a directory that was above can be below.
    assert_eq!(files.rename(a, "b", root, "b"), Ok(()));
    assert_eq!(files.rename(root, "a", c, "a"), Ok(()));
    assert_eq!(files.rename(root, "b", a, "x"), Err(Error::Invalid));
    assert_eq!(names(files, root), ["b"]);
    for inode in [a, b, c] {
        files.release(inode);
    }
}

/// The contents of a directory move with it.
pub fn rename_moves_a_directory_with_all_that_is_in_it(files: Files<'_>) {
    let root = files.root();
    let a = directory(files, root, "a");
    let b = directory(files, a, "b");
    file(files, b, "file", b"deep");
    files.create_directory(root, "z").expect("z");
    assert_eq!(files.rename(root, "a", root, "z"), Ok(()));
    assert_eq!(names(files, root), ["z"]);
    let z = files.lookup(root, "z").expect("z");
    assert_eq!(z, a);
    assert_eq!(named(files, z, "b").kind, FileKind::Directory);
    assert_eq!(contents(files, b, "file"), b"deep");
    for inode in [a, b, z] {
        files.release(inode);
    }
}
