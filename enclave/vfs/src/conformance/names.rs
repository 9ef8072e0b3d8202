//! Checks on names: making, finding and removing their files and directories.

use super::{Files, assert_absent, contents, directory, file, list, named, names};
use crate::{Error, FileKind, Inode, MAX_NAME_BYTES, Mode, Stamp};

/// The root exists, is a directory, and is empty.
pub fn a_new_tree_is_an_empty_directory(files: Files<'_>) {
    let root = files.root();
    let attributes = files.attributes(root).expect("root");
    assert_eq!((attributes.kind, attributes.links), (FileKind::Directory, 1));
    assert_eq!(list(files, root, 0), []);
    assert!(!files.read_only());
    files.release(root);
    assert_eq!(list(files, root, 0), [], "the root is not held and stays");
    let usage = files.usage().expect("usage");
    assert!(usage.used <= usage.size, "{usage:?}");
}

/// No operation accepts an invalid name.
pub fn names_are_checked_by_every_operation(files: Files<'_>) {
    let root = files.root();
    file(files, root, "file", b"x");
    let inode = files.lookup(root, "file").expect("file");
    let long = "n".repeat(MAX_NAME_BYTES + 1);
    let bad = [
        ("", Error::Invalid),
        (".", Error::Invalid),
        ("..", Error::Invalid),
        ("a/b", Error::Invalid),
        ("a\0", Error::Invalid),
        (long.as_str(), Error::NameTooLong),
    ];
    for (name, error) in bad {
        assert_eq!(files.lookup(root, name), Err(error), "{name:?}");
        assert_eq!(files.create_file(root, name), Err(error), "{name:?}");
        assert_eq!(files.create_directory(root, name), Err(error), "{name:?}");
        assert_eq!(files.create_symbolic_link(root, name, "x"), Err(error), "{name:?}");
        assert_eq!(files.link(inode, root, name), Err(error), "{name:?}");
        assert_eq!(files.unlink(root, name), Err(error), "{name:?}");
        assert_eq!(files.remove_directory(root, name), Err(error), "{name:?}");
        assert_eq!(files.rename(root, name, root, "other"), Err(error), "{name:?}");
        assert_eq!(files.rename(root, "file", root, name), Err(error), "{name:?}");
    }
    files.release(inode);
    assert_eq!(names(files, root), ["file"]);
}

/// An existing name cannot be made again, whatever its kind.
pub fn an_existing_name_cannot_be_created_again(files: Files<'_>) {
    let root = files.root();
    file(files, root, "file", b"old");
    files.create_directory(root, "directory").expect("directory");
    files.create_symbolic_link(root, "link", "nowhere").expect("link");
    let inode = files.lookup(root, "file").expect("file");
    for name in ["file", "directory", "link"] {
        assert_eq!(files.create_file(root, name), Err(Error::Exists), "{name}");
        assert_eq!(files.create_directory(root, name), Err(Error::Exists), "{name}");
        assert_eq!(files.create_symbolic_link(root, name, "x"), Err(Error::Exists), "{name}");
        assert_eq!(files.link(inode, root, name), Err(Error::Exists), "{name}");
    }
    files.release(inode);
    assert_eq!(contents(files, root, "file"), b"old");
    assert_eq!(named(files, root, "file").links, 1);
    assert_eq!(names(files, root), ["directory", "file", "link"]);
}

/// Only directories contain names.
pub fn operations_in_what_is_no_directory_say_so(files: Files<'_>) {
    let root = files.root();
    file(files, root, "file", b"x");
    files.create_symbolic_link(root, "link", ".").expect("link");
    let file = files.lookup(root, "file").expect("file");
    for name in ["file", "link"] {
        let inode = files.lookup(root, name).expect(name);
        let refused = Error::NotDirectory;
        assert_eq!(files.lookup(inode, "x"), Err(refused), "{name}");
        assert_eq!(files.create_file(inode, "x"), Err(refused), "{name}");
        assert_eq!(files.create_directory(inode, "x"), Err(refused), "{name}");
        assert_eq!(files.create_symbolic_link(inode, "x", "y"), Err(refused), "{name}");
        assert_eq!(files.link(file, inode, "x"), Err(refused), "{name}");
        assert_eq!(files.unlink(inode, "x"), Err(refused), "{name}");
        assert_eq!(files.remove_directory(inode, "x"), Err(refused), "{name}");
        assert_eq!(files.rename(inode, "x", root, "y"), Err(refused), "{name}");
        assert_eq!(files.rename(root, "file", inode, "x"), Err(refused), "{name}");
        assert_eq!(files.entries(inode, 0, &mut |_| true), Err(refused), "{name}");
        files.release(inode);
    }
    files.release(file);
    assert_eq!(names(files, root), ["file", "link"]);
}

/// Absent names cause [`Error::NotFound`].
pub fn a_missing_name_is_not_found(files: Files<'_>) {
    let root = files.root();
    assert_absent(files, root, "x");
    assert_eq!(files.unlink(root, "x"), Err(Error::NotFound));
    assert_eq!(files.remove_directory(root, "x"), Err(Error::NotFound));
    assert_eq!(files.rename(root, "x", root, "y"), Err(Error::NotFound));
    assert_eq!(files.rename(root, "x", root, "x"), Err(Error::NotFound));
}

/// Links are counted, share their contents, and are removed one by one.
pub fn hard_links_are_names_of_one_inode(files: Files<'_>) {
    let root = files.root();
    let below = directory(files, root, "below");
    file(files, root, "a", b"one");
    let inode = files.lookup(root, "a").expect("a");
    assert_eq!(files.link(inode, below, "b"), Ok(()));
    assert_eq!(files.link(inode, root, "c"), Ok(()));
    assert_eq!(named(files, below, "b").links, 3);
    let other = files.lookup(below, "b").expect("b");
    assert_eq!(other, inode);
    files.release(other);
    files.write(inode, 0, b"two").expect("write");
    assert_eq!(contents(files, root, "c"), b"two");
    files.unlink(root, "a").expect("unlink");
    assert_eq!(named(files, root, "c").links, 2);
    files.unlink(below, "b").expect("unlink");
    files.unlink(root, "c").expect("unlink");
    assert_eq!(files.attributes(inode).expect("held").links, 0);
    assert_eq!(files.link(inode, root, "d"), Err(Error::NotFound), "it has no name any more");
    files.release(inode);

    assert_eq!(files.link(below, root, "d"), Err(Error::NotPermitted));
    files.create_symbolic_link(root, "link", "x").expect("link");
    let link = files.lookup(root, "link").expect("link");
    assert_eq!(files.link(link, root, "second"), Ok(()), "a symbolic link is linked itself");
    assert_eq!(named(files, root, "second").kind, FileKind::SymbolicLink);
    files.release(link);
    files.release(below);
}

/// Targets are stored as given, and are not resolved.
pub fn symbolic_links_hold_their_target_and_are_not_followed(files: Files<'_>) {
    let root = files.root();
    file(files, root, "file", b"x");
    let long = "t".repeat(4095);
    for (name, target) in [("a", "file"), ("b", "../x//y/./ä"), ("c", "/"), ("d", &long)] {
        files.create_symbolic_link(root, name, target).expect(name);
        let link = files.lookup(root, name).expect(name);
        assert_eq!(files.read_link(link).as_deref(), Ok(target));
        let attributes = files.attributes(link).expect(name);
        assert_eq!(attributes.kind, FileKind::SymbolicLink);
        assert_eq!(attributes.size, target.len() as u64);
        files.release(link);
    }
    let longer = "t".repeat(4096);
    assert_eq!(files.create_symbolic_link(root, "e", &longer), Err(Error::NameTooLong));
    assert_absent(files, root, "e");
    let file = files.lookup(root, "file").expect("file");
    assert_eq!(files.read_link(file), Err(Error::Invalid));
    assert_eq!(files.read_link(root), Err(Error::Invalid));
    files.release(file);
    files.unlink(root, "a").expect("unlink");
    assert_eq!(contents(files, root, "file"), b"x", "only the link went");
}

/// `unlink` and `rmdir` each accept only their kinds.
pub fn only_files_and_links_are_unlinked_and_only_empty_directories_removed(files: Files<'_>) {
    let root = files.root();
    let full = directory(files, root, "full");
    file(files, full, "file", b"x");
    files.create_directory(root, "empty").expect("empty");
    files.create_symbolic_link(root, "link", "empty").expect("link");
    assert_eq!(files.unlink(root, "full"), Err(Error::IsDirectory));
    assert_eq!(files.unlink(root, "empty"), Err(Error::IsDirectory));
    assert_eq!(files.remove_directory(root, "full"), Err(Error::NotEmpty));
    assert_eq!(files.remove_directory(root, "link"), Err(Error::NotDirectory));
    assert_eq!(files.remove_directory(full, "file"), Err(Error::NotDirectory));
    assert_eq!(names(files, root), ["empty", "full", "link"]);
    assert_eq!(files.unlink(root, "link"), Ok(()));
    assert_eq!(files.remove_directory(root, "empty"), Ok(()));
    assert_eq!(files.unlink(full, "file"), Ok(()));
    assert_eq!(files.remove_directory(root, "full"), Ok(()));
    files.release(full);
    assert_eq!(list(files, root, 0), []);
}

/// Only `/` and NUL are special.
pub fn names_may_hold_any_other_character(files: Files<'_>) {
    let root = files.root();
    let longest = "m".repeat(MAX_NAME_BYTES);
    let mut all = ["...", ".hidden", " ", "a\nb", "\\", "日本語", "*?", "\u{1}", longest.as_str()];
    for name in all {
        file(files, root, name, name.as_bytes());
    }
    for name in all {
        assert_eq!(contents(files, root, name), name.as_bytes());
    }
    all.sort();
    assert_eq!(names(files, root), all);
}

/// Times have a precision of a nanosecond, and a change sets them.
pub fn times_are_set_as_told_and_follow_changes(files: Files<'_>) {
    let root = files.root();
    file(files, root, "file", b"x");
    let inode = files.lookup(root, "file").expect("file");
    let time = 1_234_567_890_123_456_789;
    assert_eq!(files.set_times(inode, Stamp::At(time), Stamp::At(time + 1)), Ok(()));
    let set = files.attributes(inode).expect("attributes");
    assert_eq!((set.accessed, set.modified), (time, time + 1));
    assert_eq!(files.set_times(inode, Stamp::Keep, Stamp::At(5)), Ok(()));
    let kept = files.attributes(inode).expect("attributes");
    assert_eq!((kept.accessed, kept.modified), (time, 5));
    assert!(kept.changed >= set.changed);
    files.write(inode, 0, b"y").expect("write");
    assert_ne!(files.attributes(inode).expect("attributes").modified, 5);
    assert_eq!(files.set_times(inode, Stamp::At(6), Stamp::At(7)), Ok(()));
    assert_eq!(files.set_times(inode, Stamp::Now, Stamp::Now), Ok(()));
    let now = files.attributes(inode).expect("attributes");
    assert!(now.accessed != 6 && now.modified != 7, "{now:?}");
    files.release(inode);

    let changes: [fn(Files<'_>, Inode); 4] = [
        |files, root| file(files, root, "another", b""),
        |files, root| files.unlink(root, "another").expect("unlink"),
        |files, root| files.create_directory(root, "directory").expect("directory"),
        |files, root| files.rename(root, "directory", root, "renamed").expect("rename"),
    ];
    for change in changes {
        files.set_times(root, Stamp::At(1), Stamp::At(2)).expect("times");
        change(files, root);
        assert_ne!(files.attributes(root).expect("root").modified, 2);
    }
}

/// Files and directories keep their mode, set at creation or later, until it is set again.
pub fn modes_are_kept_as_they_are_set(files: Files<'_>) {
    let root = files.root();
    let [private, open] = [0o600, 0o755].map(Mode::new);
    let inode = files.create_file_with(root, "file", private).expect("file");
    assert_eq!(named(files, root, "file").mode, Some(private));
    assert_eq!(files.create_directory_with(root, "directory", open), Ok(()));
    assert_eq!(named(files, root, "directory").mode, Some(open));
    let exists = files.create_file_with(root, "file", open);
    assert_eq!((exists, named(files, root, "file").mode), (Err(Error::Exists), Some(private)));
    for mode in [0o000, 0o777, 0o640, 0o600].map(Mode::new) {
        assert_eq!(files.set_mode(inode, mode), Ok(()));
        assert_eq!(files.attributes(inode).expect("attributes").mode, Some(mode));
    }
    files.write(inode, 0, b"x").expect("write");
    files.rename(root, "file", root, "renamed").expect("rename");
    files.set_times(inode, Stamp::Now, Stamp::Now).expect("times");
    files.sync_all().expect("sync");
    assert_eq!(named(files, root, "renamed").mode, Some(private));
    assert_eq!(files.set_mode(root, open), Ok(()));
    assert_eq!(files.attributes(root).expect("root").mode, Some(open));
    files.create_symbolic_link(root, "link", "renamed").expect("link");
    let link = files.lookup(root, "link").expect("link");
    assert_eq!(files.set_mode(link, open), Err(Error::NotSupported));
    files.release(link);
    files.release(inode);
}
