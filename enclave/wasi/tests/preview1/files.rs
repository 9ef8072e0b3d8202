//! Tests of file descriptors: reading, writing, positions, flags, rights, and the table.

use crate::common::*;
use twine_vfs::{Change, Error};

fn started() -> (Tree, Program) {
    let tree = Tree::new();
    let program = Program::over(&tree);
    (tree, program)
}

/// Every function that takes a descriptor first. Their other arguments are valid.
fn functions_on_descriptors() -> Vec<&'static str> {
    functions()
        .filter(|name| name.starts_with("fd_") || name.starts_with("sock_"))
        .chain(["path_open", "path_create_directory", "path_unlink_file", "path_readlink"])
        .chain(["path_filestat_get", "path_remove_directory", "path_filestat_set_times"])
        .collect()
}

#[test]
fn every_function_knows_a_number_that_is_not_open() {
    let (_, mut program) = started();
    for number in [4, 4095, 4096, i64::from(u32::MAX)] {
        for name in functions_on_descriptors() {
            let mut arguments = vec![0; parameters(name)];
            arguments[0] = number;
            assert_eq!(program.call(name, &arguments), BADF, "{name}");
        }
    }
    for name in ["path_rename", "path_link"] {
        let mut arguments = vec![0; parameters(name)];
        arguments[if name == "path_link" { 4 } else { 3 }] = 77;
        arguments[0] = ROOT;
        assert_eq!(program.call(name, &arguments), BADF, "{name}");
    }
    assert_eq!(program.call("path_symlink", &[0, 1, 77, 0, 1]), BADF);
}

#[test]
fn written_bytes_are_read_back_at_each_position() {
    let (_, mut program) = started();
    let fd = program.open("file", CREATE).unwrap();
    assert_eq!(program.write(fd, b"hello, "), Ok(7));
    assert_eq!(program.write(fd, b"world"), Ok(5));
    assert_eq!(program.tell(fd), Ok(12));
    assert_eq!(program.read(fd, 10), Ok(vec![]));
    assert_eq!(program.seek(fd, 0, SET), Ok(0));
    assert_eq!(program.read(fd, 5).unwrap(), b"hello");
    assert_eq!(program.read(fd, 100).unwrap(), b", world");
    assert_eq!(program.pread(fd, 3, 7).unwrap(), b"wor");
    assert_eq!(program.pwrite(fd, b"W", 7), Ok(1));
    assert_eq!(program.tell(fd), Ok(12), "neither moves the position");
    assert_eq!(program.pread(fd, 100, 5).unwrap(), b", World");
    assert_eq!(program.pread(fd, 100, 12), Ok(vec![]));
    assert_eq!(program.pread(fd, 100, i64::MAX as u64), Ok(vec![]));
    assert_eq!(program.pread(fd, 100, i64::MAX as u64 + 1), Err(INVAL));
    assert_eq!(program.pwrite(fd, b"x", u64::MAX), Err(INVAL));
    assert_eq!(program.fd_stat(fd).unwrap().size, 12);
}

#[test]
fn several_buffers_are_filled_and_emptied_in_order() {
    let (_, mut program) = started();
    let fd = program.open("file", CREATE).unwrap();
    program.put(1000, b"abcdefghij");
    program.vectors(0, &[(1004, 3), (0, 0), (1000, 2), (1009, 1)]);
    assert_eq!(program.call("fd_write", &[fd, 0, 4, 100]), SUCCESS);
    assert_eq!(program.u32(100), 6);
    program.vectors(0, &[(2000, 2), (u32::MAX, 0), (3000, 3), (4000, 9)]);
    assert_eq!(program.call("fd_pread", &[fd, 0, 4, 0, 100]), SUCCESS);
    assert_eq!(program.u32(100), 6);
    assert_eq!(program.bytes()[2000..2003], *b"ef\0");
    assert_eq!(program.bytes()[3000..3004], *b"gab\0");
    assert_eq!(program.bytes()[4000..4002], *b"j\0");
    assert_eq!(program.call("fd_write", &[fd, 0, 0, 100]), SUCCESS);
    assert_eq!(program.u32(100), 0);
}

#[test]
fn buffers_out_of_bounds_trap_and_change_no_file() {
    let (_, mut program) = started();
    program.file("file", b"abc");
    let fd = program.open("file", 0).unwrap();
    let end = program.bytes().len() as u32;
    for bad in [(end, 1), (end - 1, 2), (u32::MAX, 1), (16, u32::MAX)] {
        program.vectors(0, &[(1000, 3), bad]);
        for (name, arguments) in [
            ("fd_write", &[fd, 0, 2, 100][..]),
            ("fd_pwrite", &[fd, 0, 2, 0, 100]),
            ("fd_read", &[fd, 0, 2, 100]),
            ("fd_pread", &[fd, 0, 2, 0, 100]),
        ] {
            assert!(program.try_call(name, arguments).is_err(), "{name} {bad:?}");
        }
    }
    assert_eq!(program.tell(fd), Ok(0));
    assert_eq!(program.contents("file").unwrap(), b"abc");
    let beyond = i64::from(end) - 10;
    assert!(program.try_call("fd_readdir", &[ROOT, beyond, 100, 0, 100]).is_err());
    assert!(program.try_call("path_unlink_file", &[ROOT, beyond, 100]).is_err());
}

#[test]
fn two_descriptors_of_one_file_are_independent() {
    let (tree, mut program) = started();
    let one = program.open("file", CREATE).unwrap();
    let other = program.open("file", 0).unwrap();
    assert_eq!(program.write(one, b"12345"), Ok(5));
    assert_eq!(program.tell(other), Ok(0));
    assert_eq!(program.read(other, 3).unwrap(), b"123");
    assert_eq!(program.call("fd_fdstat_set_flags", &[one, APPEND]), SUCCESS);
    assert_eq!(program.fdstat(other).unwrap().1, 0);
    program.close(one).unwrap();
    assert_eq!(program.read(other, 3).unwrap(), b"45");
    program.close(other).unwrap();
    assert_eq!(tree.holds(), 0);
}

#[test]
fn a_file_lives_until_its_last_descriptor_is_closed() {
    let (tree, mut program) = started();
    let empty = tree.used();
    let fd = program.open("file", CREATE).unwrap();
    let second = program.open("file", 0).unwrap();
    program.write(fd, b"alive").unwrap();
    program.unlink("file").unwrap();
    assert_eq!(program.path_stat("file", true), Err(NOENT));
    assert_eq!(program.fd_stat(fd).unwrap().links, 0);
    assert_eq!(program.read(second, 10).unwrap(), b"alive");
    program.close(fd).unwrap();
    assert_eq!(program.pread(second, 10, 0).unwrap(), b"alive");
    program.close(second).unwrap();
    assert_eq!(tree.used(), empty);
    assert_eq!(tree.holds(), 0);
}

#[test]
fn seeking_goes_everywhere_but_below_the_start() {
    let (_, mut program) = started();
    program.file("file", b"0123456789");
    let fd = program.open("file", 0).unwrap();
    for (offset, whence, expected) in [
        (4, SET, Ok(4)),
        (3, CURRENT, Ok(7)),
        (-7, CURRENT, Ok(0)),
        (-1, CURRENT, Err(INVAL)),
        (-1, SET, Err(INVAL)),
        (-3, END, Ok(7)),
        (-11, END, Err(INVAL)),
        (5, END, Ok(15)),
        (0, CURRENT, Ok(15)),
        (i64::MAX, SET, Ok(i64::MAX as u64)),
        (1, CURRENT, Err(INVAL)),
        (i64::MAX, END, Err(INVAL)),
        (i64::MIN, CURRENT, Err(INVAL)),
        (i64::MIN, SET, Err(INVAL)),
    ] {
        let before = program.tell(fd).unwrap();
        assert_eq!(program.seek(fd, offset, whence), expected, "{offset} {whence}");
        assert_eq!(program.tell(fd), Ok(expected.unwrap_or(before)));
    }
    assert_eq!(program.write(fd, b""), Ok(0));
    assert_eq!(program.write(fd, b"x"), Err(FBIG));
    assert_eq!(program.call("fd_seek", &[fd, 0, 3, 100]), INVAL, "there is no such base");
    // A write after the end fills the gap with zeros.
    program.seek(fd, 2, END).unwrap();
    program.write(fd, b"x").unwrap();
    assert_eq!(program.contents("file").unwrap(), b"0123456789\0\0x");
}

#[test]
fn appending_goes_to_the_end_wherever_it_is_told_to() {
    let (_, mut program) = started();
    program.file("file", b"0123");
    let fd = program.open_at(ROOT, "file", true, 0, READ | WRITE, APPEND).unwrap();
    assert_eq!(program.fdstat(fd).unwrap().1, APPEND as u16);
    assert_eq!(program.write(fd, b"4"), Ok(1));
    assert_eq!(program.tell(fd), Ok(5));
    program.seek(fd, 1, SET).unwrap();
    assert_eq!(program.pwrite(fd, b"5", 2), Ok(1), "as on Linux");
    assert_eq!(program.tell(fd), Ok(1));
    assert_eq!(program.read(fd, 2).unwrap(), b"12", "reading is where the position is");
    let other = program.open("file", 0).unwrap();
    program.seek(other, 0, END).unwrap();
    program.write(other, b"6").unwrap();
    program.write(fd, b"7").unwrap();
    assert_eq!(program.contents("file").unwrap(), b"01234567");
    assert_eq!(program.call("fd_fdstat_set_flags", &[fd, 0]), SUCCESS);
    program.seek(fd, 0, SET).unwrap();
    program.write(fd, b"x").unwrap();
    assert_eq!(program.contents("file").unwrap(), b"x1234567");
}

#[test]
fn durable_descriptors_sync_after_each_write() {
    let (tree, mut program) = started();
    for (flags, expected) in [
        (0, None),
        (NONBLOCK, None),
        (DSYNC, Some(Change::Data)),
        (SYNC, Some(Change::All)),
        (RSYNC, Some(Change::All)),
        (SYNC | DSYNC | APPEND, Some(Change::All)),
    ] {
        let fd = program.open_at(ROOT, "file", true, CREATE, READ | WRITE, flags).unwrap();
        assert_eq!(i64::from(program.fdstat(fd).unwrap().1), flags);
        program.write(fd, b"x").unwrap();
        let inode = program.fd_stat(fd).unwrap().inode;
        let expected: Vec<_> = expected.map(|change| (inode, change)).into_iter().collect();
        let syncs = |tree: &Tree| -> Vec<_> {
            tree.syncs().into_iter().map(|(inode, change)| (inode.0, change)).collect()
        };
        assert_eq!(syncs(&tree), expected, "{flags}");
        program.pwrite(fd, b"y", 0).unwrap();
        assert_eq!(syncs(&tree), expected, "{flags}");
        program.write(fd, b"").unwrap();
        program.read(fd, 1).unwrap();
        assert_eq!(syncs(&tree), []);
        program.close(fd).unwrap();
    }
}

#[test]
fn a_write_whose_sync_fails_is_an_error() {
    let (tree, mut program) = started();
    let fd = program.open_at(ROOT, "file", true, CREATE, WRITE, SYNC).unwrap();
    tree.at_each_call(|_, call| if call.0 == "sync" { Err(Error::Io) } else { Ok(()) });
    assert_eq!(program.write(fd, b"x"), Err(IO));
    assert_eq!(program.call("fd_sync", &[fd]), IO);
    assert_eq!(program.call("fd_datasync", &[fd]), IO);
}

#[test]
fn syncing_reaches_the_file_system_for_files_and_directories() {
    let (tree, mut program) = started();
    let fd = program.open("file", CREATE).unwrap();
    let file = twine_vfs::Inode(program.fd_stat(fd).unwrap().inode);
    let root = twine_vfs::Inode(program.fd_stat(ROOT).unwrap().inode);
    for fd in [fd, ROOT] {
        assert_eq!(program.call("fd_datasync", &[fd]), SUCCESS);
        assert_eq!(program.call("fd_sync", &[fd]), SUCCESS);
    }
    let expected =
        [(file, Change::Data), (file, Change::All), (root, Change::Data), (root, Change::All)];
    assert_eq!(tree.syncs(), expected);
}

#[test]
fn files_open_for_one_direction_refuse_the_other() {
    let (_, mut program) = started();
    program.file("file", b"abc");
    let reading = program.open_at(ROOT, "file", true, 0, READ, 0).unwrap();
    assert_eq!(program.write(reading, b"x"), Err(BADF));
    assert_eq!(program.pwrite(reading, b"x", 0), Err(BADF));
    assert_eq!(program.call("fd_filestat_set_size", &[reading, 0]), INVAL);
    assert_eq!(program.call("fd_allocate", &[reading, 0, 100]), BADF);
    let writing = program.open_at(ROOT, "file", true, 0, WRITE, 0).unwrap();
    assert_eq!(program.read(writing, 1), Err(BADF));
    assert_eq!(program.pread(writing, 1, 0), Err(BADF));
    let (_, _, base, _) = program.fdstat(reading).unwrap();
    assert_eq!(base & (READ | WRITE), READ);
    let (_, _, base, _) = program.fdstat(writing).unwrap();
    assert_eq!(base & (READ | WRITE), WRITE);
    // A program that asks for no rights may read.
    let neither = program.open_at(ROOT, "file", true, 0, 0, 0).unwrap();
    assert_eq!(program.read(neither, 10).unwrap(), b"abc");
    assert_eq!(program.write(neither, b"x"), Err(BADF));
}

#[test]
fn sizes_are_set_both_ways_and_positions_stay() {
    let (_, mut program) = started();
    let fd = program.open("file", CREATE).unwrap();
    program.write(fd, b"0123456789").unwrap();
    assert_eq!(program.call("fd_filestat_set_size", &[fd, 4]), SUCCESS);
    assert_eq!(program.tell(fd), Ok(10));
    assert_eq!(program.contents("file").unwrap(), b"0123");
    assert_eq!(program.call("fd_filestat_set_size", &[fd, 6]), SUCCESS);
    assert_eq!(program.contents("file").unwrap(), b"0123\0\0");
    assert_eq!(program.call("fd_filestat_set_size", &[fd, -1]), INVAL);
    assert_eq!(program.call("fd_filestat_set_size", &[ROOT, 0]), BADF);
    assert_eq!(program.call("fd_filestat_set_size", &[fd, 10 << 30]), SUCCESS);
    assert_eq!(program.fd_stat(fd).unwrap().size, 10 << 30);
}

#[test]
fn allocation_is_that_of_posix() {
    let tree = Tree::with_limit(1 << 20);
    let mut program = Program::over(&tree);
    let fd = program.open("file", CREATE).unwrap();
    program.write(fd, b"kept").unwrap();
    for (offset, length, expected, size) in [
        (100, 100, SUCCESS, 200),
        (10, 10, SUCCESS, 200),
        (190, 20, SUCCESS, 210),
        (0, 0, INVAL, 210),
        (-1, 1, INVAL, 210),
        (0, -1, INVAL, 210),
        (i64::MAX, 1, FBIG, 210),
        (0, 2 << 20, NOSPC, 210),
    ] {
        assert_eq!(program.call("fd_allocate", &[fd, offset, length]), expected, "{offset}");
        assert_eq!(program.fd_stat(fd).unwrap().size, size);
    }
    assert_eq!(program.pread(fd, 5, 0).unwrap(), b"kept\0");
    assert_eq!(program.call("fd_allocate", &[ROOT, 0, 1]), BADF);
}

#[test]
fn advice_is_checked_and_changes_nothing() {
    let (_, mut program) = started();
    program.file("file", b"abc");
    let fd = program.open_to_read("file").unwrap();
    for advice in 0..6 {
        assert_eq!(program.call("fd_advise", &[fd, 1, 100, advice]), SUCCESS);
    }
    assert_eq!(program.call("fd_advise", &[fd, -1, 1, 0]), INVAL);
    assert_eq!(program.call("fd_advise", &[fd, 0, -1, 0]), INVAL);
    assert_eq!(program.call("fd_advise", &[fd, 0, 1, 6]), INVAL, "there is no such advice");
    assert_eq!(program.call("fd_advise", &[ROOT, 0, 1, 0]), BADF);
    assert_eq!(program.fd_stat(fd).unwrap().size, 3);
}

#[test]
fn attributes_are_those_of_the_inode_and_its_mount() {
    let trees = [Tree::new(), Tree::new()];
    let mounts = trees.each_ref().map(|tree| tree.mounted());
    let [one, two] = mounts;
    let mut program = Program::with(vec![("/", one), ("/two", two)]);
    program.file("file", b"abc");
    program.link("file", "second").unwrap();
    let fd = program.open("file", 0).unwrap();
    let stat = program.fd_stat(fd).unwrap();
    assert_eq!((stat.device, stat.kind, stat.links, stat.size), (1, IS_FILE, 2, 3));
    assert_eq!(program.path_stat("second", false).unwrap(), stat);
    let root = program.fd_stat(ROOT).unwrap();
    assert_eq!((root.device, root.kind), (1, IS_DIRECTORY));
    assert_ne!(root.inode, stat.inode);
    assert_eq!(program.fd_stat(ROOT + 1).unwrap().device, 2);
    assert!(stat.modified > 0 && stat.changed >= stat.modified, "{stat:?}");
}

#[test]
fn times_are_set_as_the_flags_say() {
    let (_, mut program) = started();
    program.file("file", b"abc");
    let fd = program.open("file", 0).unwrap();
    const ACCESSED: i64 = 1;
    const ACCESSED_NOW: i64 = 2;
    const MODIFIED: i64 = 4;
    const MODIFIED_NOW: i64 = 8;
    let both = ACCESSED | MODIFIED;
    assert_eq!(program.call("fd_filestat_set_times", &[fd, 5, 6, both]), SUCCESS);
    let stat = program.fd_stat(fd).unwrap();
    assert_eq!((stat.accessed, stat.modified), (5, 6));
    assert_eq!(program.call("fd_filestat_set_times", &[fd, 7, 8, MODIFIED]), SUCCESS);
    let stat = program.fd_stat(fd).unwrap();
    assert_eq!((stat.accessed, stat.modified), (5, 8));
    assert_eq!(program.call("fd_filestat_set_times", &[fd, 9, 9, ACCESSED_NOW]), SUCCESS);
    let stat = program.fd_stat(fd).unwrap();
    assert!(stat.accessed >= 1_000_000, "{stat:?}");
    assert_eq!(stat.modified, 8);
    assert_eq!(program.call("fd_filestat_set_times", &[fd, 0, 0, MODIFIED_NOW]), SUCCESS);
    assert!(program.fd_stat(fd).unwrap().modified >= 1_000_000);
    for bad in [ACCESSED | ACCESSED_NOW, MODIFIED | MODIFIED_NOW] {
        assert_eq!(program.call("fd_filestat_set_times", &[fd, 0, 0, bad]), INVAL);
    }
    assert_eq!(program.call("fd_filestat_set_times", &[ROOT, 1, 2, both]), SUCCESS);
    assert_eq!(program.fd_stat(ROOT).unwrap().modified, 2);
    assert_eq!(program.call("fd_filestat_set_times", &[1, 1, 2, both]), INVAL);
}

#[test]
fn flags_can_be_changed_on_files_and_not_on_directories() {
    let (_, mut program) = started();
    let fd = program.open("file", CREATE).unwrap();
    for flags in [APPEND | NONBLOCK, SYNC, 0] {
        assert_eq!(program.call("fd_fdstat_set_flags", &[fd, flags]), SUCCESS);
        assert_eq!(program.fdstat(fd).unwrap().1, flags as u16);
    }
    assert_eq!(program.call("fd_fdstat_set_flags", &[fd, 32]), INVAL, "there is no such flag");
    assert_eq!(program.call("fd_fdstat_set_flags", &[ROOT, 0]), BADF);
}

#[test]
fn rights_that_were_given_up_are_missed() {
    let (_, mut program) = started();
    let fd = program.open("file", CREATE).unwrap();
    program.write(fd, b"abc").unwrap();
    let (_, _, base, inheriting) = program.fdstat(fd).unwrap();
    assert_eq!(inheriting, 0);
    let calls: [(&str, &[i64], i64); 8] = [
        ("fd_datasync", &[fd], 1),
        ("fd_seek", &[fd, 0, SET, 104], 1 << 2),
        ("fd_fdstat_set_flags", &[fd, 0], 1 << 3),
        ("fd_sync", &[fd], 1 << 4),
        ("fd_tell", &[fd, 104], 1 << 5),
        ("fd_advise", &[fd, 0, 0, 0], 1 << 7),
        ("fd_allocate", &[fd, 0, 1], 1 << 8),
        ("fd_filestat_set_size", &[fd, 3], 1 << 22),
    ];
    let mut left = base;
    for (name, arguments, right) in calls {
        assert_eq!(program.call(name, arguments), SUCCESS, "{name}");
        left &= !right;
        assert_eq!(program.call("fd_fdstat_set_rights", &[fd, left, 0]), SUCCESS);
        assert_eq!(program.call(name, arguments), NOTCAPABLE, "{name}");
        assert_eq!(program.call("fd_fdstat_set_rights", &[fd, base, 0]), NOTCAPABLE);
    }
    assert_eq!(program.fdstat(fd).unwrap().2, left);
    assert_eq!(program.call("fd_fdstat_set_rights", &[fd, left & !(READ | WRITE), 0]), SUCCESS);
    assert_eq!(program.read(fd, 1), Err(BADF));
    assert_eq!(program.write(fd, b"x"), Err(BADF));
}

#[test]
fn directories_hand_down_no_more_than_they_may() {
    let (_, mut program) = started();
    program.file("file", b"abc");
    let directory = program.open_directory(".").unwrap();
    let (kind, flags, base, inheriting) = program.fdstat(directory).unwrap();
    assert_eq!((kind, flags), (IS_DIRECTORY, 0));
    assert_eq!(base & (1 << 22), 0, "the size of a directory is not set");
    // Remove the right to write below.
    let less = inheriting & !WRITE;
    assert_eq!(program.call("fd_fdstat_set_rights", &[directory, base, less]), SUCCESS);
    let open =
        |program: &mut Program, rights| program.open_at(directory, "file", true, 0, rights, 0);
    assert_eq!(open(&mut program, READ | WRITE), Err(NOTCAPABLE));
    let fd = open(&mut program, READ).unwrap();
    assert_eq!(program.write(fd, b"x"), Err(BADF));
    // A descriptor opened through it has no more rights, at any depth.
    let again = program.open_at(directory, ".", true, DIRECTORY, 0, 0).unwrap();
    assert_eq!(program.fdstat(again).unwrap().3, less);
    assert_eq!(program.open_at(again, "file", true, 0, WRITE, 0), Err(NOTCAPABLE));
    // Remove the rights to truncate and to make files.
    for (right, flags) in [(1 << 19, TRUNCATE), (1 << 10, CREATE)] {
        let (_, _, base, inheriting) = program.fdstat(directory).unwrap();
        let base = base & !right;
        assert_eq!(program.call("fd_fdstat_set_rights", &[directory, base, inheriting]), SUCCESS);
        let opened = program.open_at(directory, "file", true, flags, READ, 0);
        assert_eq!(opened, Err(NOTCAPABLE), "{flags}");
    }
    assert_eq!(program.contents("file").unwrap(), b"abc");
}

#[test]
fn each_function_on_paths_has_its_right() {
    let (_, mut program) = started();
    program.file("file", b"abc");
    let directory = program.open_directory(".").unwrap();
    let (_, _, _, inheriting) = program.fdstat(directory).unwrap();
    let without = program.call("fd_fdstat_set_rights", &[directory, 0, inheriting]);
    assert_eq!(without, SUCCESS);
    for name in ["path_create_directory", "path_remove_directory", "path_unlink_file"] {
        assert_eq!(program.on_path(name, directory, "file"), Err(NOTCAPABLE), "{name}");
    }
    for name in ["path_filestat_get", "path_filestat_set_times", "path_readlink", "path_open"]
        .into_iter()
        .chain(["fd_readdir", "fd_filestat_get", "fd_filestat_set_times", "fd_sync"])
    {
        let mut arguments = vec![0; parameters(name)];
        arguments[0] = directory;
        assert_eq!(program.call(name, &arguments), NOTCAPABLE, "{name}");
    }
    assert_eq!(program.rename_at((directory, "file"), (ROOT, "x")), Err(NOTCAPABLE));
    assert_eq!(program.rename_at((ROOT, "file"), (directory, "x")), Err(NOTCAPABLE));
    assert_eq!(program.link_at(false, (directory, "file"), (ROOT, "x")), Err(NOTCAPABLE));
    assert_eq!(program.link_at(false, (ROOT, "file"), (directory, "x")), Err(NOTCAPABLE));
    assert_eq!(program.call("path_symlink", &[0, 1, directory, 0, 1]), NOTCAPABLE);
}

#[test]
fn the_lowest_free_number_is_given() {
    let (_, mut program) = started();
    let fds: Vec<_> = (0..6).map(|_| program.open("file", CREATE).unwrap()).collect();
    assert_eq!(fds, [4, 5, 6, 7, 8, 9]);
    for fd in [7, 5, 8] {
        program.close(fd).unwrap();
    }
    let fds: Vec<_> = (0..4).map(|_| program.open("file", 0).unwrap()).collect();
    assert_eq!(fds, [5, 7, 8, 10]);
}

#[test]
fn standard_streams_can_be_closed_and_their_numbers_taken() {
    let (_, mut program) = started();
    program.close(1).unwrap();
    assert_eq!(program.write(1, b"x"), Err(BADF));
    assert_eq!(program.open("file", CREATE), Ok(1));
    assert_eq!(program.write(1, b"not on the terminal"), Ok(19));
    assert!(program.world().writes.is_empty());
    assert_eq!(program.contents("file").unwrap(), b"not on the terminal");
    program.close(0).unwrap();
    assert_eq!(program.open("file", 0), Ok(0));
    assert_eq!(program.read(0, 3).unwrap(), b"not");
}

#[test]
fn renumbering_closes_what_was_there() {
    let (tree, mut program) = started();
    let one = program.open("one", CREATE).unwrap();
    let two = program.open("two", CREATE).unwrap();
    program.write(one, b"one").unwrap();
    program.unlink("two").unwrap();
    let used = tree.used();
    assert_eq!(program.call("fd_renumber", &[one, two]), SUCCESS);
    assert!(tree.used() < used, "the file that was unlinked is gone");
    assert_eq!(program.tell(two), Ok(3), "the position goes along");
    assert_eq!(program.tell(one), Err(BADF));
    assert_eq!(program.call("fd_renumber", &[two, two]), SUCCESS);
    assert_eq!(program.call("fd_renumber", &[two, 50]), BADF);
    assert_eq!(program.call("fd_renumber", &[50, two]), BADF);
    assert_eq!(program.open("three", CREATE), Ok(one), "the number is free");
    // Onto a preopen, which then is none any more.
    let directory = program.open_directory(".").unwrap();
    assert_eq!(program.call("fd_renumber", &[directory, ROOT]), SUCCESS);
    assert_eq!(program.call("fd_prestat_get", &[ROOT, 100]), BADF);
    assert_eq!(program.contents("one").unwrap(), b"one");
}

#[test]
fn four_thousand_and_ninety_six_descriptors_are_the_most() {
    let (tree, mut program) = started();
    program.file("file", b"abc");
    for expected in 4..4096 {
        assert_eq!(program.open_to_read("file"), Ok(expected));
    }
    assert_eq!(program.open_to_read("file"), Err(MFILE));
    assert_eq!(program.open("file", TRUNCATE), Err(MFILE));
    assert_eq!(program.open("new", CREATE), Err(MFILE));
    assert_eq!(program.contents("file"), Err(MFILE));
    assert_eq!(program.path_stat("new", true), Err(NOENT), "nothing was made");
    assert_eq!(program.path_stat("file", true).unwrap().size, 3, "nothing was cut");
    program.close(2000).unwrap();
    assert_eq!(program.open_to_read("file"), Ok(2000));
    assert_eq!(tree.holds(), 4092);
    for fd in 4..4096 {
        program.close(fd).unwrap();
    }
    assert_eq!(tree.holds(), 0);
}

#[test]
fn a_transfer_may_be_larger_than_one_to_the_host() {
    let (_, mut program) = started();
    let fd = program.open("file", CREATE).unwrap();
    let bytes: Vec<u8> = (0..BUFFER_SIZE).map(|number| (number % 251) as u8).collect();
    assert_eq!(program.write(fd, &bytes), Ok(BUFFER_SIZE));
    program.seek(fd, 0, SET).unwrap();
    assert_eq!(program.read(fd, BUFFER_SIZE).unwrap(), bytes);
}

#[test]
fn programs_with_threads_read_and_write_the_same() {
    let tree = Tree::new();
    let mut program = Program::threaded();
    program.wasi().mount("/", tree.mounted()).unwrap();
    let store = |program: &mut Program, at: i64, value: i64| {
        program.call("store", &[at, value]);
    };
    const LENGTH: i64 = 200_000;
    program.call("fill", &[0x20000, 7, LENGTH]);
    store(&mut program, 0x1000, i64::from(u32::from_le_bytes(*b"file")));
    let open = [ROOT, 0, 0x1000, 4, CREATE, READ | WRITE, 0, 0, 0x2000];
    assert_eq!(program.call("path_open", &open), SUCCESS);
    let fd = i64::from(program.call("load", &[0x2000]));
    store(&mut program, 0x3000, 0x20000);
    store(&mut program, 0x3004, LENGTH);
    assert_eq!(program.call("fd_write", &[fd, 0x3000, 1, 0x2000]), SUCCESS);
    assert_eq!(i64::from(program.call("load", &[0x2000])), LENGTH);
    program.call("fill", &[0x20000, 0, LENGTH]);
    assert_eq!(program.call("fd_pread", &[fd, 0x3000, 1, 10, 0x2000]), SUCCESS);
    assert_eq!(i64::from(program.call("load", &[0x2000])), LENGTH - 10);
    assert_eq!(i64::from(program.call("sum", &[0x20000, LENGTH])), 7 * (LENGTH - 10));
}

#[test]
fn a_full_file_system_is_told_and_what_fitted_counts() {
    let tree = Tree::with_limit(100 << 10);
    let mut program = Program::over(&tree);
    let fd = program.open("file", CREATE).unwrap();
    program.vectors(0, &[(0x20000, 50 << 10), (0x20000, 100 << 10)]);
    assert_eq!(program.call("fd_write", &[fd, 0, 2, 100]), SUCCESS);
    assert_eq!(program.u32(100), 50 << 10, "the first buffer");
    assert_eq!(program.tell(fd), Ok(50 << 10));
    program.vectors(0, &[(0x20000, 100 << 10)]);
    assert_eq!(program.call("fd_write", &[fd, 0, 1, 100]), NOSPC);
    assert_eq!(program.tell(fd), Ok(50 << 10));
}

#[test]
fn errors_of_the_file_system_have_their_errno() {
    for (error, errno) in [
        (Error::Io, IO),
        (Error::NoSpace, NOSPC),
        (Error::Denied, ACCES),
        (Error::NotPermitted, PERM),
        (Error::NotSupported, NOTSUP),
        (Error::TooManyOpen, NFILE),
        (Error::FileTooBig, FBIG),
        (Error::ReadOnly, ROFS),
        (Error::Loop, LOOP),
        (Error::TooManyLinks, 34),
        (Error::NoMemory, 48),
    ] {
        let (tree, mut program) = started();
        program.file("file", b"abc");
        let fd = program.open("file", 0).unwrap();
        tree.at_each_call(move |_, _| Err(error));
        assert_eq!(program.read(fd, 1), Err(errno), "{error:?}");
        assert_eq!(program.write(fd, b"x"), Err(errno), "{error:?}");
        assert_eq!(program.fd_stat(fd), Err(errno), "{error:?}");
        assert_eq!(program.open("file", 0), Err(errno), "{error:?}");
        assert_eq!(program.readdir(ROOT, 100, 2), Err(errno), "{error:?}");
        assert_eq!(program.seek(fd, 0, END), Err(errno), "{error:?}");
    }
}

#[test]
fn polled_files_are_always_ready() {
    let (_, mut program) = started();
    program.file("file", b"0123456789");
    let fd = program.open("file", 0).unwrap();
    program.seek(fd, 3, SET).unwrap();
    let directory = program.open_directory(".").unwrap();
    let subscription = |userdata: u64, fd: i64, write: bool| {
        let mut bytes = [0; 48];
        bytes[0] = userdata as u8;
        bytes[8] = 1 + u8::from(write);
        bytes[16] = fd as u8;
        bytes
    };
    let subscriptions = [
        subscription(1, fd, false),
        subscription(2, fd, true),
        subscription(3, directory, false),
        // The input has no bytes to read.
        subscription(4, 0, false),
    ];
    program.put(0, &subscriptions.concat());
    assert_eq!(program.call("poll_oneoff", &[0, 4096, 4, 8192]), SUCCESS);
    assert_eq!(program.u32(8192), 3);
    let mut event = |number: usize| {
        let at = 4096 + number * 32;
        let flags = program.u32(at + 24);
        (program.u64(at), program.u32(at + 8) as u16, program.u64(at + 16), flags & 1)
    };
    assert_eq!(event(0), (1, 0, 7, 0));
    assert_eq!(event(1), (2, 0, 1, 0));
    assert_eq!(event(2), (3, BADF as u16, 0, 0));
    program.seek(fd, 0, END).unwrap();
    assert_eq!(program.call("poll_oneoff", &[0, 4096, 1, 8192]), SUCCESS);
    assert_eq!((program.u64(4096 + 16), program.u32(4096 + 24) & 1), (0, 1), "at the end");
}

#[test]
fn finishing_closes_everything_and_syncs_every_mount() {
    let trees = [Tree::new(), Tree::new(), Tree::new()];
    let mounts = trees.iter().zip(["/", "/two", "/three"]);
    let mut program = Program::with(mounts.map(|(tree, path)| (path, tree.mounted())).collect());
    program.open("file", CREATE).unwrap();
    program.unlink("file").unwrap();
    assert_eq!(program.wasi().finish(), Ok(()));
    assert!(trees.iter().all(|tree| tree.whole_syncs() == 1));
    assert_eq!(trees[0].holds(), 0);
    assert_eq!(program.write(1, b"x"), Err(BADF));

    trees[1].at_each_call(|_, _| Err(Error::Io));
    trees[2].at_each_call(|_, _| Err(Error::NoSpace));
    let error = program.wasi().finish().unwrap_err();
    assert_eq!((error.path.as_str(), error.error), ("/two", Error::Io), "the first that failed");
    assert_eq!(trees[0].whole_syncs(), 2);
    assert!(error.to_string().contains("/two"), "{error}");
}

#[test]
fn changes_are_handed_over_before_output_leaves_and_before_input_may_have_to_be_waited_for() {
    let tree = Tree::new();
    let mut program = Program::with(vec![("/", tree.mounted())]);
    program.vectors(0, &[(1000, 4)]);
    assert_eq!(program.call("fd_write", &[1, 0, 1, 100]), SUCCESS);
    assert_eq!(tree.hand_overs(), 1, "output");
    program.world().input.extend(b"abcdefghij");
    assert_eq!(program.call("fd_read", &[0, 0, 1, 100]), SUCCESS);
    assert_eq!(tree.hand_overs(), 2, "the first input");
    assert_eq!(program.call("fd_read", &[0, 0, 1, 100]), SUCCESS);
    assert_eq!(tree.hand_overs(), 2, "more input, which was there");
    assert_eq!(program.call("fd_read", &[0, 0, 1, 100]), SUCCESS);
    assert_eq!(program.u32(100), 2);
    assert_eq!(program.call("fd_read", &[0, 0, 1, 100]), SUCCESS);
    assert_eq!(tree.hand_overs(), 3, "after the last");
}

#[test]
fn changes_are_handed_over_before_one_that_others_see_at_once() {
    let (shared, own) = (Tree::new(), Tree::new());
    shared.share();
    let mut program = Program::with(vec![("/", shared.mounted()), ("/own", own.mounted())]);
    let mut handed_over = 0;
    let mut more = |what: &str| {
        let before = std::mem::replace(&mut handed_over, own.hand_overs());
        assert!(handed_over > before, "{what}");
    };
    let fd = program.open("file", CREATE).unwrap();
    more("create");
    program.write(fd, b"abc").unwrap();
    more("write");
    program.pwrite(fd, b"abc", 0).unwrap();
    more("write at an offset");
    assert_eq!(program.call("fd_filestat_set_size", &[fd, 2]), SUCCESS);
    more("set the size");
    assert_eq!(program.call("fd_allocate", &[fd, 0, 100]), SUCCESS);
    more("allocate");
    assert_eq!(program.call("fd_filestat_set_times", &[fd, 1, 1, 5]), SUCCESS);
    more("set times");
    program.open("file", TRUNCATE).unwrap();
    more("truncate");
    program.mkdir("directory").unwrap();
    more("make a directory");
    program.symlink("file", "symlink").unwrap();
    more("make a symbolic link");
    program.link("file", "link").unwrap();
    more("link");
    program.rename("link", "renamed").unwrap();
    more("rename");
    program.unlink("renamed").unwrap();
    more("unlink");
    program.rmdir("directory").unwrap();
    more("remove a directory");
    // Calls that change nothing there, and a change elsewhere.
    program.contents("file").unwrap();
    program.readlink("symlink", 10).unwrap();
    program.open_at(4, "own", true, CREATE, READ | WRITE, 0).unwrap();
    assert_eq!(own.hand_overs(), handed_over);
}
