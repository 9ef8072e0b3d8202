//! Tests of the functions on paths.

use crate::common::*;
use twine_vfs::Error;

fn started() -> (Tree, Program) {
    let tree = Tree::new();
    let mut program = Program::over(&tree);
    program.mkdir("dir").unwrap();
    program.mkdir("dir/nested").unwrap();
    program.file("dir/nested/file", b"deep");
    program.file("file", b"flat");
    program.symlink("dir/nested", "to-dir").unwrap();
    program.symlink("file", "to-file").unwrap();
    program.symlink("nowhere", "dangling").unwrap();
    (tree, program)
}

#[test]
fn paths_lead_where_they_should() {
    let (_, mut program) = started();
    for (path, expected) in [
        ("dir/nested/file", Ok("deep")),
        ("dir/.//nested/../../dir/nested/../nested///./file", Ok("deep")),
        ("./file", Ok("flat")),
        ("dir/../file", Ok("flat")),
        ("to-dir/file", Ok("deep")),
        // `..` after a link leads to the parent of the link's target.
        ("to-dir/../nested/file", Ok("deep")),
        ("to-dir/../../file", Ok("flat")),
        ("to-file", Ok("flat")),
        ("", Err(NOENT)),
        ("nothing", Err(NOENT)),
        ("nothing/", Err(NOENT)),
        ("nothing/file", Err(NOENT)),
        ("nothing/..", Err(NOENT)),
        ("nothing/../file", Err(NOENT)),
        ("file/", Err(NOTDIR)),
        ("file///", Err(NOTDIR)),
        ("file/.", Err(NOTDIR)),
        ("file/..", Err(NOTDIR)),
        ("file/x", Err(NOTDIR)),
        ("to-file/", Err(NOTDIR)),
        ("to-file/x", Err(NOTDIR)),
        ("dangling", Err(NOENT)),
        ("dangling/", Err(NOENT)),
        ("file\0", Err(INVAL)),
        ("dir/nes\0ted/file", Err(INVAL)),
    ] {
        let found = program.contents(path).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(found, expected.map(String::from), "{path:?}");
    }
}

#[test]
fn paths_that_are_not_unicode_are_told_so() {
    let (_, mut program) = started();
    for bad in [&b"\xff"[..], b"dir/\xc3", b"\xed\xa0\x80"] {
        assert_eq!(program.open_at(ROOT, bad, true, 0, READ, 0), Err(ILSEQ));
        assert_eq!(program.path_stat(bad, true), Err(ILSEQ));
        for name in ["path_create_directory", "path_unlink_file", "path_remove_directory"] {
            assert_eq!(program.on_path(name, ROOT, bad), Err(ILSEQ), "{name}");
        }
    }
}

#[test]
fn names_and_paths_have_a_longest_length() {
    let (_, mut program) = started();
    let longest = "n".repeat(255);
    program.file(&longest, b"x");
    assert_eq!(program.contents(&longest).unwrap(), b"x");
    let longer = "n".repeat(256);
    assert_eq!(program.contents(&longer), Err(NAMETOOLONG));
    assert_eq!(program.contents(&format!("{longer}/x")), Err(NAMETOOLONG));
    assert_eq!(program.mkdir(&longer), Err(NAMETOOLONG));
    assert_eq!(program.rename("file", &longer), Err(NAMETOOLONG));
    let path = format!("{}file", "./".repeat(2045));
    assert_eq!(path.len(), 4094);
    assert_eq!(program.contents(&path).unwrap(), b"flat");
    assert_eq!(program.contents(&format!("{}file", "./".repeat(2046))), Err(NAMETOOLONG));
    assert_eq!(program.symlink(&"t".repeat(4096), "link"), Err(NAMETOOLONG));
}

#[test]
fn directories_are_opened_as_such() {
    let (_, mut program) = started();
    for path in ["dir", "dir/", "dir///", "dir/.", "dir/nested/..", "to-dir", "to-dir/", "."] {
        let fd = program.open_directory(path).expect(path);
        assert_eq!(program.fd_stat(fd).unwrap().kind, IS_DIRECTORY);
        let fd = program.open_to_read(path).expect(path);
        assert_eq!(program.fdstat(fd).unwrap().0, IS_DIRECTORY, "also without being told");
        assert_eq!(program.open(path, 0), Err(ISDIR), "{path}");
        assert_eq!(program.open_at(ROOT, path, true, TRUNCATE, 0, 0), Err(ISDIR), "{path}");
        assert_eq!(program.open_at(ROOT, path, true, CREATE, 0, 0), Err(ISDIR), "{path}");
    }
    assert_eq!(program.open_directory("file"), Err(NOTDIR));
    assert_eq!(program.open_directory("to-file"), Err(NOTDIR));
    assert_eq!(program.open_directory("nothing"), Err(NOENT));
    for flag in [CREATE, EXCLUSIVE, TRUNCATE] {
        let both = program.open_at(ROOT, "dir", true, DIRECTORY | flag, READ, 0);
        assert_eq!(both, Err(INVAL));
    }
}

#[test]
fn paths_start_at_any_open_directory() {
    let (tree, mut program) = started();
    let dir = program.open_directory("dir").unwrap();
    let nested = program.open_at(dir, "nested", false, DIRECTORY, 0, 0).unwrap();
    let same = program.open_at(nested, ".", false, DIRECTORY, 0, 0).unwrap();
    program.close(nested).unwrap();
    for (fd, path) in [(dir, "nested/file"), (same, "file"), (same, "./file")] {
        let file = program.open_at(fd, path, false, 0, READ, 0).expect(path);
        assert_eq!(program.read(file, 10).unwrap(), b"deep");
        program.close(file).unwrap();
    }
    // The descriptor stays valid when the directory is moved.
    program.rename("dir", "moved").unwrap();
    let file = program.open_at(same, "file", false, 0, READ, 0).unwrap();
    assert_eq!(program.open_at(file, "x", false, 0, READ, 0), Err(NOTDIR));
    assert_eq!(program.open_at(1, "x", false, 0, READ, 0), Err(NOTDIR));
    for fd in [dir, same, file] {
        program.close(fd).unwrap();
    }
    assert_eq!(tree.holds(), 0);
}

#[test]
fn opening_makes_cuts_and_insists_as_told() {
    let (_, mut program) = started();
    assert_eq!(program.open("new", 0), Err(NOENT));
    assert_eq!(program.open("new", TRUNCATE), Err(NOENT));
    let fd = program.open("new", CREATE | EXCLUSIVE).unwrap();
    program.write(fd, b"contents").unwrap();
    assert_eq!(program.open("new", CREATE | EXCLUSIVE), Err(EXIST));
    assert_eq!(program.open("dir", CREATE | EXCLUSIVE), Err(EXIST));
    assert_eq!(program.open("dir/..", CREATE | EXCLUSIVE), Err(EXIST));
    program.open("new", CREATE).unwrap();
    assert_eq!(program.contents("new").unwrap(), b"contents");
    program.open("new", CREATE | TRUNCATE).unwrap();
    assert_eq!(program.contents("new").unwrap(), b"");
    assert_eq!(program.tell(fd), Ok(8), "who has it open stays where it was");
    assert_eq!(program.open("slash/", CREATE), Err(ISDIR));
    assert_eq!(program.open("file/", CREATE), Err(NOTDIR));
    assert_eq!(program.open("nothing/new", CREATE), Err(NOENT));
    assert_eq!(program.open("file/new", CREATE), Err(NOTDIR));
}

#[test]
fn links_at_the_end_are_followed_only_if_asked() {
    let (_, mut program) = started();
    let nofollow = |program: &mut Program, path: &str, flags| {
        program.open_at(ROOT, path, false, flags, READ, 0)
    };
    assert_eq!(nofollow(&mut program, "to-file", 0), Err(LOOP));
    assert_eq!(nofollow(&mut program, "to-dir", 0), Err(LOOP));
    assert_eq!(nofollow(&mut program, "to-dir", DIRECTORY), Err(NOTDIR));
    assert_eq!(nofollow(&mut program, "dangling", CREATE), Err(LOOP));
    assert!(nofollow(&mut program, "to-dir/", DIRECTORY).is_ok(), "a slash asks");
    assert!(nofollow(&mut program, "to-dir/file", 0).is_ok(), "in the middle they always are");
    assert_eq!(program.path_stat("to-file", false).unwrap().kind, IS_LINK);
    assert_eq!(program.path_stat("to-file", false).unwrap().size, 4);
    assert_eq!(program.path_stat("to-file", true).unwrap().kind, IS_FILE);
    assert_eq!(program.path_stat("to-dir/", false).unwrap().kind, IS_DIRECTORY);
    assert_eq!(program.path_stat("dangling", false).unwrap().kind, IS_LINK);
    assert_eq!(program.path_stat("dangling", true), Err(NOENT));
}

#[test]
fn creating_through_a_dangling_link_makes_its_target() {
    let (_, mut program) = started();
    program.symlink("dir/made", "first").unwrap();
    program.symlink("first", "second").unwrap();
    assert_eq!(program.open("second", CREATE | EXCLUSIVE), Err(EXIST), "exclusive: it is taken");
    let fd = program.open("second", CREATE).unwrap();
    program.write(fd, b"made").unwrap();
    assert_eq!(program.contents("dir/made").unwrap(), b"made");
    assert_eq!(program.path_stat("second", false).unwrap().kind, IS_LINK);
    program.symlink("nothing/x", "deep").unwrap();
    assert_eq!(program.open("deep", CREATE), Err(NOENT));
}

#[test]
fn directories_are_made_and_removed() {
    let (_, mut program) = started();
    assert_eq!(program.mkdir("new"), Ok(()));
    assert_eq!(program.mkdir("slash/"), Ok(()));
    for taken in ["new", "new/", "file", "to-dir", "dangling", ".", "dir/..", "dir/."] {
        assert_eq!(program.mkdir(taken), Err(EXIST), "{taken}");
    }
    assert_eq!(program.mkdir("nothing/new"), Err(NOENT));
    assert_eq!(program.mkdir("file/new"), Err(NOTDIR));
    for (path, errno) in [
        ("dir", NOTEMPTY),
        ("file", NOTDIR),
        ("file/", NOTDIR),
        ("to-dir", NOTDIR),
        ("to-dir/", NOTDIR),
        ("nothing", NOENT),
        (".", INVAL),
        ("new/.", INVAL),
        ("dir/nested/..", INVAL),
        ("", NOENT),
    ] {
        assert_eq!(program.rmdir(path), Err(errno), "{path}");
    }
    assert_eq!(program.rmdir("new"), Ok(()));
    assert_eq!(program.rmdir("slash/"), Ok(()));
    assert_eq!(program.rmdir("new"), Err(NOENT));
}

#[test]
fn files_and_links_are_unlinked() {
    let (_, mut program) = started();
    for (path, errno) in [
        ("dir", ISDIR),
        ("dir/", ISDIR),
        ("dir/nested/..", ISDIR),
        (".", ISDIR),
        ("file/", NOTDIR),
        ("to-dir/", NOTDIR),
        ("nothing", NOENT),
        ("nothing/", NOENT),
        ("nothing/x", NOENT),
    ] {
        assert_eq!(program.unlink(path), Err(errno), "{path}");
    }
    for path in ["to-dir", "dangling", "file", "to-file"] {
        assert_eq!(program.unlink(path), Ok(()), "{path}");
        assert_eq!(program.path_stat(path, false), Err(NOENT), "{path}");
    }
    assert_eq!(program.contents("dir/nested/file").unwrap(), b"deep");
}

#[test]
fn symbolic_links_are_made_where_nothing_is() {
    let (_, mut program) = started();
    for (path, errno) in [
        ("file", EXIST),
        ("dir", EXIST),
        ("dir/", EXIST),
        ("file/", EXIST),
        ("new/", NOENT),
        ("dangling", EXIST),
        ("dangling/", EXIST),
        (".", EXIST),
        ("nothing/new", NOENT),
        ("", NOENT),
    ] {
        assert_eq!(program.symlink("target", path), Err(errno), "{path}");
    }
    assert_eq!(program.symlink("", "new"), Err(NOENT));
    assert_eq!(program.symlink("a\0b", "new"), Err(INVAL));
    assert_eq!(program.symlink("../../any where", "new"), Ok(()), "it is not looked at");
    assert_eq!(program.readlink("new", 100).unwrap(), b"../../any where");
}

#[test]
fn links_are_read_and_cut_where_the_buffer_ends() {
    let (_, mut program) = started();
    assert_eq!(program.readlink("to-dir", 100).unwrap(), b"dir/nested");
    assert_eq!(program.readlink("to-dir", 10).unwrap(), b"dir/nested");
    assert_eq!(program.readlink("to-dir", 4).unwrap(), b"dir/");
    assert_eq!(program.readlink("to-dir", 0).unwrap(), b"");
    for (path, errno) in [
        ("file", INVAL),
        ("dir", INVAL),
        (".", INVAL),
        ("to-dir/", INVAL),
        ("to-file/", NOTDIR),
        ("nothing", NOENT),
    ] {
        assert_eq!(program.readlink(path, 100), Err(errno), "{path}");
    }
}

#[test]
fn hard_links_are_made_of_files_and_symbolic_links() {
    let (_, mut program) = started();
    assert_eq!(program.link("file", "dir/second"), Ok(()));
    let (one, other) =
        (program.path_stat("file", true).unwrap(), program.path_stat("dir/second", true).unwrap());
    assert_eq!(one, other);
    assert_eq!(one.links, 2);
    assert_eq!(program.link("to-file", "link"), Ok(()));
    assert_eq!(program.path_stat("link", false).unwrap().kind, IS_LINK);
    assert_eq!(program.link_at(true, (ROOT, "to-file"), (ROOT, "third")), Ok(()));
    assert_eq!(program.path_stat("file", true).unwrap().links, 3);
    assert_eq!(program.link("dangling", "link 2"), Ok(()));
    assert_eq!(program.link_at(true, (ROOT, "dangling"), (ROOT, "x")), Err(NOENT));
    for (from, to, errno) in [
        ("dir", "x", PERM),
        ("dir/", "x", PERM),
        (".", "x", PERM),
        ("nothing", "x", NOENT),
        ("file/", "x", NOTDIR),
        ("file", "file", EXIST),
        ("file", "dir", EXIST),
        ("file", "dangling", EXIST),
        ("file", "x/", NOENT),
        ("file", "to-file/", EXIST),
        ("file", ".", EXIST),
        ("file", "nothing/x", NOENT),
        ("file", "to-file/x", NOTDIR),
    ] {
        assert_eq!(program.link(from, to), Err(errno), "{from} {to}");
    }
}

#[test]
fn renaming_is_that_of_posix() {
    let (_, mut program) = started();
    program.mkdir("empty").unwrap();
    for (from, to, errno) in [
        ("nothing", "x", NOENT),
        ("file", "dir", ISDIR),
        ("dir", "file", NOTDIR),
        ("empty", "dir", NOTEMPTY),
        ("dir", "dir/nested/x", INVAL),
        ("dir", "dir/nested", INVAL),
        ("dir/nested", "dir", NOTEMPTY),
        ("file", "nothing/x", NOENT),
        ("file", "file/x", NOTDIR),
        ("file/", "x", NOTDIR),
        ("file", "x/", NOTDIR),
        ("to-dir/", "x", NOTDIR),
        ("nothing/", "x", NOENT),
        (".", "x", BUSY),
        ("dir/..", "x", BUSY),
        ("file", ".", BUSY),
        ("", "x", NOENT),
        ("file", "", NOENT),
    ] {
        assert_eq!(program.rename(from, to), Err(errno), "{from} to {to}");
    }
    assert_eq!(program.rename("file", "file"), Ok(()));
    assert_eq!(program.rename("empty/", "full"), Ok(()));
    assert_eq!(program.rename("full", "empty/"), Ok(()));
    assert_eq!(program.rename("dir/nested/", "empty/"), Ok(()), "over an empty directory");
    assert_eq!(program.contents("empty/file").unwrap(), b"deep");
    assert_eq!(program.rename("file", "empty/file"), Ok(()), "over a file");
    assert_eq!(program.contents("empty/file").unwrap(), b"flat");
    assert_eq!(program.rename("to-file", "dangling"), Ok(()), "the link itself");
    assert_eq!(program.readlink("dangling", 10).unwrap(), b"file");
    let empty = program.open_directory("empty").unwrap();
    assert_eq!(program.rename_at((empty, "file"), (ROOT, "dir/file")), Ok(()));
    assert_eq!(program.contents("dir/file").unwrap(), b"flat");
}

#[test]
fn nothing_goes_from_one_mount_to_another() {
    let trees = [Tree::new(), Tree::new()];
    let mut program = Program::with(vec![("/", trees[0].mounted()), ("/b", trees[1].mounted())]);
    program.file("file", b"x");
    assert_eq!(program.rename_at((ROOT, "file"), (ROOT + 1, "file")), Err(XDEV));
    assert_eq!(program.link_at(false, (ROOT, "file"), (ROOT + 1, "file")), Err(XDEV));
    // Inodes of the two mounts may have the same number, but stay separate.
    let fd = program.open_at(ROOT + 1, "file", true, CREATE, READ | WRITE, 0).unwrap();
    program.write(fd, b"other").unwrap();
    assert_eq!(program.contents("file").unwrap(), b"x");
    assert_eq!(program.open_at(ROOT + 1, "../file", true, 0, READ, 0), Err(PERM));
    program.close(fd).unwrap();
    assert!(trees.iter().all(|tree| tree.holds() == 0));
}

#[test]
fn times_of_links_are_set_only_if_they_are_not_followed() {
    let (_, mut program) = started();
    program.put(0, b"to-file");
    for (follow, time) in [(0, 5), (1, 6)] {
        let arguments = [ROOT, follow, 0, 7, time, time, 1 | 4];
        assert_eq!(program.call("path_filestat_set_times", &arguments), SUCCESS);
    }
    assert_eq!(program.path_stat("to-file", false).unwrap().modified, 5);
    assert_eq!(program.path_stat("file", false).unwrap().modified, 6);
    for bad in [1 | 2, 4 | 8] {
        let arguments = [ROOT, 1, 0, 7, 0, 0, bad];
        assert_eq!(program.call("path_filestat_set_times", &arguments), INVAL);
    }
    assert_eq!(program.call("path_filestat_set_times", &[ROOT, 2, 0, 7, 0, 0, 0]), INVAL);
}

#[test]
fn read_only_mounts_refuse_every_change() {
    let (tree, mut program) = started();
    tree.set_read_only();
    assert_eq!(program.contents("to-dir/file").unwrap(), b"deep");
    assert_eq!(program.open("file", 0), Err(ROFS));
    assert_eq!(program.open_at(ROOT, "file", true, 0, WRITE, 0), Err(ROFS));
    assert_eq!(program.open_at(ROOT, "file", true, TRUNCATE, READ, 0), Err(ROFS));
    assert_eq!(program.open("new", CREATE), Err(ROFS));
    assert_eq!(program.open("file", CREATE | EXCLUSIVE), Err(EXIST));
    assert!(program.open_at(ROOT, "file", true, CREATE, READ, 0).is_ok(), "it is there");
    assert_eq!(program.mkdir("new"), Err(ROFS));
    assert_eq!(program.unlink("file"), Err(ROFS));
    assert_eq!(program.rmdir("dir"), Err(ROFS));
    assert_eq!(program.rename("file", "x"), Err(ROFS));
    assert_eq!(program.link("file", "x"), Err(ROFS));
    assert_eq!(program.symlink("file", "x"), Err(ROFS));
    let fd = program.open_to_read("file").unwrap();
    assert_eq!(program.call("fd_filestat_set_times", &[fd, 1, 1, 5]), ROFS);
    assert_eq!(program.fd_stat(fd).unwrap().size, 4);
}

/// An action with paths.
type Action = fn(&mut Program) -> Result<(), i32>;

/// An action for each function, with links, `..` and missing names in the paths.
const ACTIONS: &[(&str, Action)] = &[
    ("open", |program| {
        let fd = program.open("to-dir/../../to-dir/file", TRUNCATE)?;
        program.close(fd)
    }),
    ("make", |program| {
        let fd = program.open("dangling", CREATE)?;
        program.close(fd)?;
        program.unlink("nowhere")
    }),
    ("open a directory", |program| {
        let fd = program.open_directory("to-dir/..")?;
        program.close(fd)
    }),
    ("make a directory", |program| {
        program.mkdir("to-dir/new")?;
        program.rmdir("dir/../to-dir/new")
    }),
    ("attributes", |program| program.path_stat("to-dir/../nested/file", true).map(drop)),
    ("link", |program| {
        program.link("to-dir/file", "to-dir/second")?;
        program.unlink("dir/nested/second")
    }),
    ("symbolic link", |program| {
        program.symlink("x", "to-dir/link")?;
        program.readlink("to-dir/link", 10)?;
        program.unlink("to-dir/link")
    }),
    ("rename", |program| {
        program.rename("to-dir/file", "dir/moved")?;
        program.rename("to-dir/../moved", "to-dir/file")
    }),
    ("slashes", |program| match program.unlink("to-dir/file/") {
        Err(NOTDIR) => Ok(()),
        other => other,
    }),
    ("beyond", |program| match program.mkdir("to-dir/../../../x") {
        Err(PERM) => Ok(()),
        other => other,
    }),
];

#[test]
fn every_hold_is_given_back() {
    let (tree, mut program) = started();
    for (name, action) in ACTIONS {
        assert_eq!(action(&mut program), Ok(()), "{name}");
        assert_eq!(tree.holds(), 0, "{name}");
    }
}

#[test]
fn every_hold_is_given_back_whichever_call_fails() {
    for (name, action) in ACTIONS {
        let mut failed = 0;
        loop {
            let (tree, mut program) = started();
            let mut calls = 0;
            tree.at_each_call(move |_, _| {
                calls += 1;
                if calls == failed + 1 { Err(Error::Io) } else { Ok(()) }
            });
            let outcome = action(&mut program);
            tree.undisturbed();
            // Close what a failed action left open.
            for fd in 4..8 {
                let _ = program.close(fd);
            }
            assert_eq!(tree.holds(), 0, "{name}, call {failed}");
            if outcome == Ok(()) {
                break;
            }
            assert_eq!(outcome, Err(IO), "{name}, call {failed}");
            failed += 1;
        }
        assert!(failed > 3, "{name} has several calls");
    }
}
