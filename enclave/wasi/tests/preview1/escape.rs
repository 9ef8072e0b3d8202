//! Tests that no path leads out of the directories that a program has open.
//!
//! Each test gives the program a directory in a larger tree. The rest of the tree is a secret: the
//! program must not read it, change it, or learn that it exists.

use crate::common::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use twine_vfs::{FileSystem, Memory};

/// Makes a tree with `secret` and `outside/secret` beside `jail/`, and a descriptor of `jail/`.
fn jailed() -> (Tree, Program, i64) {
    let tree = Tree::new();
    let mut program = Program::over(&tree);
    program.file("secret", b"secret");
    program.mkdir("outside").unwrap();
    program.file("outside/secret", b"secret");
    program.mkdir("jail").unwrap();
    program.mkdir("jail/a").unwrap();
    program.mkdir("jail/a/b").unwrap();
    program.file("jail/file", b"inside");
    let jail = program.open_directory("jail").unwrap();
    (tree, program, jail)
}

/// Tries all functions with a path. All must fail with one of these errnos.
fn refused(program: &mut Program, jail: i64, path: &str, errnos: &[i32]) {
    let expect = |what: &str, outcome: Result<(), i32>| match outcome {
        Err(errno) if errnos.contains(&errno) => {}
        other => panic!("{what} {path:?}: {other:?}"),
    };
    for follow in [false, true] {
        for (flags, rights) in
            [(0, READ), (0, WRITE), (CREATE, WRITE), (TRUNCATE, WRITE), (DIRECTORY, 0)]
        {
            let opened = program.open_at(jail, path, follow, flags, rights, 0);
            // Without following, a link at the end is refused.
            match opened {
                Err(LOOP | NOTDIR) if !follow => {}
                other => expect("opening", other.map(drop)),
            }
        }
    }
    for name in ["path_create_directory", "path_unlink_file", "path_remove_directory"] {
        // The program may change a link of its own by a single name.
        if path.ends_with("..") || path.contains('/') {
            expect(name, program.on_path(name, jail, path));
        }
    }
    if path.contains('/') {
        expect("renaming", program.rename_at((jail, path), (jail, "x")));
        expect("renaming to", program.rename_at((jail, "file"), (jail, path)));
        expect("linking", program.link_at(false, (jail, path), (jail, "x")));
        expect("linking to", program.link_at(false, (jail, "file"), (jail, path)));
    }
    expect("linking what it leads to", program.link_at(true, (jail, path), (jail, "x")));
}

fn check_untouched(tree: &Tree, program: &mut Program) {
    assert_eq!(program.contents("secret").unwrap(), b"secret");
    assert_eq!(program.contents("outside/secret").unwrap(), b"secret");
    assert_eq!(program.contents("jail/file").unwrap(), b"inside");
    for fd in 4..10 {
        let _ = program.close(fd);
    }
    let bytes = program.readdir(ROOT, 4096, 2).unwrap();
    assert_eq!(bytes.len(), 3 * 24 + "secretoutsidejail".len(), "nothing new is outside");
    assert_eq!(tree.holds(), 0);
}

#[test]
fn parents_in_all_positions_are_counted() {
    let (tree, mut program, jail) = jailed();
    for path in [
        "..",
        "../",
        "../secret",
        "./../secret",
        "a/../../secret",
        "a/b/../../../secret",
        "a/../..",
        "a/./b/.././../..//secret",
        "../jail/file",
        "a/../../jail/file",
        "../..",
        "a/b/../../../outside/secret",
    ] {
        refused(&mut program, jail, path, &[PERM]);
    }
    // Up and down within the directory is allowed.
    let fd = program.open_at(jail, "a/b/../../a/../file", false, 0, READ, 0).unwrap();
    assert_eq!(program.read(fd, 10).unwrap(), b"inside");
    check_untouched(&tree, &mut program);
}

#[test]
fn the_root_of_a_mount_has_no_parent_either() {
    let (tree, mut program, _) = jailed();
    for path in ["..", "../secret", "jail/../..", "jail/a/../../../jail"] {
        assert_eq!(program.open_to_read(path), Err(PERM), "{path}");
    }
    check_untouched(&tree, &mut program);
}

#[test]
fn absolute_paths_are_refused() {
    let (tree, mut program, jail) = jailed();
    for path in ["/", "/secret", "/jail/file", "//file", "/.", "/.."] {
        refused(&mut program, jail, path, &[PERM]);
        assert_eq!(program.symlink(path, "link"), Err(PERM), "{path}");
    }
    check_untouched(&tree, &mut program);
}

#[test]
fn links_to_outside_are_not_followed() {
    let (tree, mut program, jail) = jailed();
    for (number, target) in ["../secret", "a/../../secret", "../outside/secret", "..", "../jail"]
        .into_iter()
        .enumerate()
    {
        let name = format!("link{number}");
        program.symlink(target, &format!("jail/{name}")).unwrap();
        refused(&mut program, jail, &name, &[PERM]);
        refused(&mut program, jail, &format!("{name}/"), &[PERM, NOTDIR, EXIST]);
        refused(&mut program, jail, &format!("{name}/secret"), &[PERM]);
        refused(&mut program, jail, &format!("a/../{name}/x"), &[PERM]);
    }
    check_untouched(&tree, &mut program);
}

#[test]
fn absolute_links_that_others_made_are_not_followed() {
    let (tree, mut program, jail) = jailed();
    // WASI does not make such a link, but a volume may contain one.
    tree.memory(|memory| {
        let directory = memory.lookup(memory.root(), "jail").unwrap();
        memory.create_symbolic_link(directory, "absolute", "/secret").unwrap();
        memory.create_symbolic_link(directory, "root", "/").unwrap();
        memory.create_symbolic_link(directory, "empty", "").unwrap();
        memory.release(directory);
    });
    refused(&mut program, jail, "absolute", &[PERM]);
    refused(&mut program, jail, "root/secret", &[PERM]);
    refused(&mut program, jail, "root/", &[PERM, NOTDIR, EXIST]);
    refused(&mut program, jail, "empty", &[NOENT]);
    check_untouched(&tree, &mut program);
}

#[test]
fn chains_of_links_are_followed_as_far_as_they_stay_inside() {
    let (tree, mut program, jail) = jailed();
    program.symlink("a/b", "jail/one").unwrap();
    program.symlink("one/../../a", "jail/two").unwrap();
    program.symlink("../../two/b/../../file", "jail/a/b/three").unwrap();
    let fd = program.open_at(jail, "two/b/three", true, 0, READ, 0).unwrap();
    assert_eq!(program.read(fd, 10).unwrap(), b"inside");
    // The last link of the chain leads out.
    program.symlink("one/../../../secret", "jail/four").unwrap();
    program.symlink("a/../four", "jail/five").unwrap();
    refused(&mut program, jail, "four", &[PERM]);
    refused(&mut program, jail, "five", &[PERM]);
    check_untouched(&tree, &mut program);
}

#[test]
fn a_directory_that_moved_out_takes_nobody_along() {
    let (tree, mut program, jail) = jailed();
    let inner = program.open_at(jail, "a/b", false, DIRECTORY, 0, 0).unwrap();
    program.rename("jail/a/b", "outside/b").unwrap();
    assert_eq!(program.open_at(inner, "../secret", true, 0, READ, 0), Err(PERM));
    assert_eq!(program.open_at(inner, "..", true, 0, READ, 0), Err(PERM));
    assert_eq!(program.open_at(jail, "a/b", true, 0, READ, 0), Err(NOENT));
    program.rename("outside/b", "jail/a/b").unwrap();
    check_untouched(&tree, &mut program);
}

#[test]
fn loops_end() {
    let (_, mut program, jail) = jailed();
    program.symlink("self", "jail/self").unwrap();
    program.symlink("pong", "jail/ping").unwrap();
    program.symlink("ping", "jail/pong").unwrap();
    program.symlink("grow/x", "jail/grow").unwrap();
    for path in ["self", "self/x", "ping", "pong/", "grow"] {
        assert_eq!(program.open_at(jail, path, true, CREATE, WRITE, 0), Err(LOOP), "{path}");
    }
    assert_eq!(program.open_at(jail, "self", false, 0, READ, 0), Err(LOOP));
    // Forty links are allowed.
    program.symlink("file", "jail/link1").unwrap();
    for number in 2..=41 {
        program.symlink(&format!("link{}", number - 1), &format!("jail/link{number}")).unwrap();
    }
    assert!(program.open_at(jail, "link40", true, 0, READ, 0).is_ok());
    assert_eq!(program.open_at(jail, "link41", true, 0, READ, 0), Err(LOOP));
}

/// Replaces `name` in the jail by a link, or by a directory again.
fn swap(memory: &mut Memory, name: &str, target: Option<&str>) {
    let root = memory.root();
    let jail = memory.lookup(root, "jail").unwrap();
    let _ = memory.unlink(jail, name);
    let _ = memory.rename(jail, name, root, "aside");
    match target {
        Some(target) => memory.create_symbolic_link(jail, name, target).unwrap(),
        None => memory.rename(root, "aside", jail, name).unwrap(),
    }
    memory.release(jail);
}

#[test]
fn links_that_are_swapped_in_during_the_walk_lead_nowhere_else() {
    // Others change the file system too: between any two calls of a walk, the directory `a` becomes
    // a link to the outside, or a directory again.
    for first in 0..12 {
        for back in 0..4 {
            let (tree, mut program, jail) = jailed();
            let calls = Arc::new(AtomicU32::new(0));
            tree.at_each_call(move |memory, _| {
                let call = calls.fetch_add(1, Ordering::Relaxed);
                if call == first {
                    swap(memory, "a", Some("../outside"));
                } else if call == first + back {
                    swap(memory, "a", None);
                }
                Ok(())
            });
            for path in ["a/secret", "a/b/../../a/secret", "a/../secret", "a/b/../../../secret"] {
                let opened = program.open_at(jail, path, true, 0, READ, 0);
                assert!(matches!(opened, Err(NOENT | PERM)), "{path} {first} {back}: {opened:?}");
            }
            tree.undisturbed();
            program.close(jail).unwrap();
            assert_eq!(tree.holds(), 0);
        }
    }
}

#[test]
fn a_directory_that_moves_during_the_walk_does_not_move_the_way_back() {
    let (tree, mut program, jail) = jailed();
    // `b` moves out after it was found, but `..` still leads to the directory where the walk was.
    tree.at_each_call(|memory, call| {
        if call == ("lookup", "file") || call == ("lookup", "secret") {
            let root = memory.root();
            let outside = memory.lookup(root, "outside").unwrap();
            if let Ok(jail) = memory.lookup(root, "jail") {
                if let Ok(a) = memory.lookup(jail, "a") {
                    let _ = memory.rename(a, "b", outside, "b");
                    memory.release(a);
                }
                memory.release(jail);
            }
            memory.release(outside);
        }
        Ok(())
    });
    let opened = program.open_at(jail, "a/b/../../file", true, 0, READ, 0).unwrap();
    assert_eq!(program.read(opened, 10).unwrap(), b"inside");
    assert_eq!(program.open_at(jail, "a/b/../secret", true, 0, READ, 0), Err(NOENT));
    assert_eq!(program.open_at(jail, "a/../secret", true, 0, READ, 0), Err(NOENT));
}
