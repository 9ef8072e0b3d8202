//! Checks on reading directories.

use super::{Files, directory, file, list};
use crate::{FileKind, Inode};
use std::collections::BTreeMap;

fn number(name: &str) -> usize {
    name.strip_prefix("file ").and_then(|number| number.parse().ok()).expect(name)
}

/// Makes `file 0` and so on, one for each number.
fn fill(files: Files<'_>, directory: Inode, numbers: std::ops::Range<usize>) {
    for number in numbers {
        file(files, directory, &format!("file {number}"), b"");
    }
}

/// Reads the next `count` entries after `cookie`.
fn some(files: Files<'_>, directory: Inode, cookie: u64, count: usize) -> Vec<(String, u64)> {
    let mut entries = Vec::new();
    let listed = files.entries(directory, cookie, &mut |entry| {
        if entries.len() == count {
            return false;
        }
        entries.push((entry.name.to_string(), entry.cookie));
        true
    });
    assert_eq!(listed, Ok(()));
    entries
}

/// Reading in pieces of any size returns each entry once, with a unique cookie above 3.
pub fn a_large_directory_is_read_in_pieces(files: Files<'_>) {
    let root = files.root();
    fill(files, root, 0..500);
    for size in [1, 7, 100, 499, 500, 501] {
        let mut seen = BTreeMap::new();
        let mut cookie = 0;
        loop {
            let piece = some(files, root, cookie, size);
            let Some((_, last)) = piece.last() else { break };
            cookie = *last;
            for (name, cookie) in piece {
                assert!(cookie > 3, "{name} has cookie {cookie}");
                assert_eq!(seen.insert(number(&name), cookie), None, "{name} came twice");
            }
        }
        assert_eq!(seen.len(), 500);
        let mut cookies: Vec<_> = seen.into_values().collect();
        cookies.sort();
        cookies.dedup();
        assert_eq!(cookies.len(), 500, "each has its own");
    }
}

/// Entries have the kinds and inodes of their names.
pub fn entries_say_what_they_stand_for(files: Files<'_>) {
    let root = files.root();
    file(files, root, "file", b"x");
    files.create_directory(root, "directory").expect("directory");
    files.create_symbolic_link(root, "link", "file").expect("link");
    let entries = list(files, root, 0);
    assert_eq!(entries.len(), 3);
    for (name, inode, kind, _) in entries {
        let expected = match name.as_str() {
            "file" => FileKind::File,
            "directory" => FileKind::Directory,
            _ => FileKind::SymbolicLink,
        };
        assert_eq!(kind, expected, "{name}");
        let found = files.lookup(root, &name).expect(&name);
        assert_eq!(found, inode, "{name}");
        files.release(found);
    }
}

/// An entry that exists all the time is returned once, whatever is made and removed meanwhile.
pub fn cookies_stay_good_under_change(files: Files<'_>) {
    let root = files.root();
    fill(files, root, 0..300);
    let mut seen = BTreeMap::new();
    let mut cookie = 0;
    let mut made = 300;
    loop {
        let piece = some(files, root, cookie, 10);
        let Some((_, last)) = piece.last() else { break };
        cookie = *last;
        for (name, _) in &piece {
            *seen.entry(number(name)).or_insert(0) += 1;
        }
        // Remove the returned entries, also the one of the cookie, and a few that were not returned
        // yet. For some time, also make new ones.
        for (name, _) in &piece {
            files.unlink(root, name).expect(name);
        }
        for number in (0..300).filter(|number| number % 50 == 3).take(2) {
            if !seen.contains_key(&number) {
                let _ = files.unlink(root, &format!("file {number}"));
            }
        }
        if made < 400 {
            fill(files, root, made..made + 5);
            made += 5;
        }
    }
    for number in (0..300).filter(|number| number % 50 != 3) {
        assert_eq!(seen.get(&number), Some(&1), "file {number}");
    }
    assert!(seen.values().all(|&count| count == 1));
}

/// The next reading starts with the entry at which `each` stopped.
pub fn an_entry_that_was_refused_is_given_again(files: Files<'_>) {
    let root = files.root();
    let below = directory(files, root, "below");
    fill(files, below, 0..3);
    let everything = list(files, below, 0);
    let mut first = None;
    let stopped = files.entries(below, 0, &mut |entry| {
        first = Some(entry.name.to_string());
        false
    });
    assert_eq!(stopped, Ok(()));
    assert_eq!(first.as_ref(), Some(&everything[0].0));
    assert_eq!(list(files, below, 0), everything);
    assert_eq!(list(files, below, everything[0].3), everything[1..]);
    assert_eq!(list(files, below, everything[2].3), []);
    assert_eq!(list(files, root, u64::MAX), []);
    files.release(below);
}

/// One program replaces files by renaming while another reads the directory.
pub fn a_replaced_name_is_read_once(files: Files<'_>) {
    let root = files.root();
    fill(files, root, 0..6);
    let first = some(files, root, 0, 3);
    for number in 0..6 {
        let name = format!("file {number}");
        file(files, root, "new", b"new");
        files.rename(root, "new", root, &name).expect("rename");
    }
    let rest = some(files, root, first[2].1, 100);
    let mut all: Vec<_> = first.iter().chain(&rest).map(|(name, _)| number(name)).collect();
    all.sort();
    assert_eq!(all, [0, 1, 2, 3, 4, 5]);
}
