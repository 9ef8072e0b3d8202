//! Tests of preopens, and of reading directories.

use crate::common::*;
use std::collections::BTreeSet;
use twine_wasi::SetupError;

/// An entry: next cookie, inode, kind, name.
type Entry = (u64, u64, u8, String);

/// Decodes the complete entries in the bytes of `fd_readdir`.
fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while rest.len() >= 24 {
        let word = |at: usize| u64::from_le_bytes(rest[at..at + 8].try_into().unwrap());
        let length = u32::from_le_bytes(rest[16..20].try_into().unwrap()) as usize;
        if rest.len() < 24 + length {
            break;
        }
        let name = String::from_utf8(rest[24..24 + length].to_vec()).unwrap();
        entries.push((word(0), word(8), rest[20], name));
        rest = &rest[24 + length..];
    }
    entries
}

/// Reads a directory as wasi-libc does, with a buffer of `size` bytes.
fn all(program: &mut Program, fd: i64, mut size: usize) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut cookie = 0;
    loop {
        let bytes = program.readdir(fd, size, cookie).unwrap();
        let is_end = bytes.len() < size;
        let some = entries(&bytes);
        match some.last() {
            Some(last) => cookie = last.0,
            // Not even one entry fits.
            None => size *= 2,
        }
        found.extend(some);
        if is_end {
            return found;
        }
    }
}

#[test]
fn each_mount_is_a_preopened_directory_in_order() {
    let mounts: Vec<_> =
        ["/", "/data", "relative", ""].map(|path| (path, Tree::new().mounted())).into();
    let mut program = Program::with(mounts);
    for (fd, path) in (ROOT..).zip(["/", "/data", "relative", ""]) {
        assert_eq!(program.call("fd_prestat_get", &[fd, 0]), SUCCESS);
        assert_eq!((program.u32(0), program.u32(4)), (0, path.len() as u32));
        program.put(100, &[b'.'; 20]);
        assert_eq!(program.call("fd_prestat_dir_name", &[fd, 100, path.len() as i64]), SUCCESS);
        assert_eq!(&program.bytes()[100..100 + path.len()], path.as_bytes());
        assert_eq!(program.bytes()[100 + path.len()], b'.');
        if let Some(less) = path.len().checked_sub(1) {
            let short = program.call("fd_prestat_dir_name", &[fd, 100, less as i64]);
            assert_eq!(short, NAMETOOLONG);
        }
        let (kind, flags, base, inheriting) = program.fdstat(fd).unwrap();
        assert_eq!((kind, flags), (IS_DIRECTORY, 0));
        // The rights that programs check, as wasmtime reports them.
        let expected = [9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 24, 25, 26, 21, 23];
        assert!(expected.iter().all(|bit| base & inheriting & (1 << bit) != 0), "{base:b}");
        assert!([0, 1, 2, 3, 4, 5, 6, 7, 8, 22, 27].iter().all(|bit| inheriting & (1 << bit) != 0));
    }
    assert_eq!(program.call("fd_prestat_get", &[ROOT + 4, 0]), BADF);
    assert_eq!(program.call("fd_prestat_dir_name", &[0, 100, 10]), NOTDIR);
    let opened = program.open_directory(".").unwrap();
    assert_eq!(program.call("fd_prestat_get", &[opened, 0]), BADF);
    assert_eq!(program.call("fd_prestat_dir_name", &[opened, 100, 10]), NOTDIR);
}

#[test]
fn mounts_that_no_program_could_open_are_refused() {
    let mut program = Program::new(&[], &[]);
    let refused = program.wasi().mount("a\0b", Tree::new().mounted());
    assert!(matches!(refused, Err(SetupError::Nul(_))));
    for _ in 3..4096 {
        program.wasi().mount("/", Tree::new().mounted()).unwrap();
    }
    let refused = program.wasi().mount("/", Tree::new().mounted());
    assert_eq!(refused, Err(SetupError::Descriptors));
}

#[test]
fn an_empty_directory_has_itself_and_its_parent() {
    let mut program = Program::over(&Tree::new());
    let inode = program.fd_stat(ROOT).unwrap().inode;
    let expected =
        [(1, inode, IS_DIRECTORY, ".".to_string()), (2, inode, IS_DIRECTORY, "..".to_string())];
    let bytes = program.readdir(ROOT, 4096, 0).unwrap();
    assert_eq!(entries(&bytes), expected);
    assert_eq!(entries(&program.readdir(ROOT, 4096, 1).unwrap()), expected[1..]);
    assert_eq!(program.readdir(ROOT, 4096, 2), Ok(vec![]));
    assert_eq!(program.readdir(ROOT, 4096, u64::MAX), Ok(vec![]));
    assert_eq!(program.readdir(ROOT, 0, 0), Ok(vec![]));
}

#[test]
fn entries_have_kind_inode_and_name() {
    let mut program = Program::over(&Tree::new());
    program.file("file", b"");
    program.mkdir("directory").unwrap();
    program.symlink("file", "link").unwrap();
    program.mkdir("directory/ä name").unwrap();
    let found = all(&mut program, ROOT, 4096);
    assert_eq!(found.len(), 5);
    for (_, inode, kind, name) in &found[2..] {
        let stat = program.path_stat(name, false).unwrap();
        assert_eq!((stat.inode, stat.kind), (*inode, *kind), "{name}");
    }
    let directory = program.open_directory("directory").unwrap();
    let names: Vec<_> =
        all(&mut program, directory, 4096).into_iter().map(|(.., name)| name).collect();
    assert_eq!(names, [".", "..", "ä name"]);
}

#[test]
fn buffers_of_every_size_give_every_entry_once() {
    let mut program = Program::over(&Tree::new());
    let mut expected = BTreeSet::from([".".to_string(), "..".to_string()]);
    for number in 0..40 {
        let name = format!("{}{number}", "x".repeat(number * 5));
        program.mkdir(&name).unwrap();
        expected.insert(name);
    }
    for size in (1..300).step_by(7).chain([4096, BUFFER_SIZE]) {
        let found: Vec<_> =
            all(&mut program, ROOT, size).into_iter().map(|(.., name)| name).collect();
        assert_eq!(found.len(), expected.len(), "{size}");
        assert_eq!(BTreeSet::from_iter(found), expected, "{size}");
    }
}

#[test]
fn the_last_entry_is_cut_where_the_buffer_ends() {
    let mut program = Program::over(&Tree::new());
    program.mkdir("a name that is long").unwrap();
    let whole = program.readdir(ROOT, 4096, 0).unwrap();
    assert_eq!(whole.len(), 25 + 26 + 24 + 19);
    for size in 0..whole.len() {
        program.put(0x20000 + size, b"untouched");
        assert_eq!(program.readdir(ROOT, size, 0).unwrap(), whole[..size]);
        assert_eq!(program.bytes()[0x20000 + size..][..9], *b"untouched");
    }
}

#[test]
fn entries_that_stay_come_once_while_others_come_and_go() {
    let mut program = Program::over(&Tree::new());
    for number in 0..100 {
        program.mkdir(&format!("stays {number}")).unwrap();
        program.mkdir(&format!("goes {number}")).unwrap();
    }
    let mut seen = Vec::new();
    let mut cookie = 0;
    let mut round = 0;
    loop {
        let bytes = program.readdir(ROOT, 300, cookie).unwrap();
        let some = entries(&bytes);
        seen.extend(some.iter().map(|(.., name)| name.clone()));
        if bytes.len() < 300 {
            break;
        }
        cookie = some.last().unwrap().0;
        let _ = program.rmdir(&format!("goes {}", 99 - round));
        let _ = program.rmdir(&format!("goes {round}"));
        program.mkdir(&format!("comes {round}")).unwrap();
        program.rename(&format!("comes {round}"), &format!("came {round}")).unwrap();
        round += 1;
    }
    for number in 0..100 {
        let name = format!("stays {number}");
        assert_eq!(seen.iter().filter(|other| **other == name).count(), 1, "{name}");
    }
}

#[test]
fn only_directories_are_read() {
    let mut program = Program::over(&Tree::new());
    program.file("file", b"");
    let fd = program.open("file", 0).unwrap();
    assert_eq!(program.readdir(fd, 100, 0), Err(NOTDIR));
    assert_eq!(program.readdir(1, 100, 0), Err(NOTDIR));
}

#[test]
fn directories_refuse_what_only_files_can() {
    let mut program = Program::over(&Tree::new());
    assert_eq!(program.read(ROOT, 1), Err(ISDIR));
    assert_eq!(program.pread(ROOT, 1, 0), Err(ISDIR));
    assert_eq!(program.write(ROOT, b"x"), Err(BADF));
    assert_eq!(program.pwrite(ROOT, b"x", 0), Err(BADF));
    assert_eq!(program.tell(ROOT), Err(BADF));
    for whence in [SET, CURRENT, END] {
        assert_eq!(program.seek(ROOT, 0, whence), Err(BADF));
    }
}

#[test]
fn a_directory_is_read_after_it_was_removed() {
    let tree = Tree::new();
    let mut program = Program::over(&tree);
    program.mkdir("gone").unwrap();
    let fd = program.open_directory("gone").unwrap();
    program.rmdir("gone").unwrap();
    let names: Vec<_> = all(&mut program, fd, 4096).into_iter().map(|(.., name)| name).collect();
    assert_eq!(names, [".", ".."]);
    assert_eq!(program.on_path("path_create_directory", fd, "x"), Err(NOENT));
    assert_eq!(program.open_at(fd, "x", true, CREATE, WRITE, 0), Err(NOENT));
    program.close(fd).unwrap();
    assert_eq!(tree.holds(), 0);
}
