//! Checks that inodes exist as long as they are held, even without a name.

use super::{Files, all, assert_absent, contents, directory, file, list};
use crate::{Error, FileKind};

/// Reads, writes and attributes still work.
pub fn an_unlinked_file_lives_while_it_is_held(files: Files<'_>) {
    let root = files.root();
    let inode = files.create_file(root, "file").expect("file");
    files.write(inode, 0, b"alive").expect("write");
    files.unlink(root, "file").expect("unlink");
    assert_absent(files, root, "file");
    let attributes = files.attributes(inode).expect("attributes");
    assert_eq!((attributes.kind, attributes.links), (FileKind::File, 0));
    assert_eq!(files.write(inode, 5, &[b'!'; 5000]), Ok(5000));
    assert_eq!(&all(files, inode)[..6], b"alive!");
    assert_eq!(files.set_size(inode, 3), Ok(()));
    assert_eq!(all(files, inode), b"ali");
    // Another file can get the name.
    file(files, root, "file", b"other");
    assert_eq!(all(files, inode), b"ali");
    assert_eq!(contents(files, root, "file"), b"other");
    files.release(inode);
    assert_eq!(contents(files, root, "file"), b"other");
}

/// An inode needs as many releases as it has holds.
pub fn each_hold_counts(files: Files<'_>) {
    let root = files.root();
    let inode = files.create_file(root, "file").expect("file");
    files.write(inode, 0, b"x").expect("write");
    for _ in 0..3 {
        assert_eq!(files.lookup(root, "file"), Ok(inode));
    }
    files.unlink(root, "file").expect("unlink");
    for _ in 0..3 {
        files.release(inode);
        assert_eq!(all(files, inode), b"x");
    }
    files.release(inode);
}

/// No file can get lost in it.
pub fn a_removed_directory_takes_nothing_in(files: Files<'_>) {
    let root = files.root();
    file(files, root, "file", b"x");
    let inode = files.lookup(root, "file").expect("file");
    let gone = directory(files, root, "gone");
    files.remove_directory(root, "gone").expect("remove");
    assert_eq!(files.attributes(gone).expect("held").kind, FileKind::Directory);
    assert_eq!(list(files, gone, 0), []);
    assert_absent(files, gone, "x");
    assert_eq!(files.create_file(gone, "x"), Err(Error::NotFound));
    assert_eq!(files.create_directory(gone, "x"), Err(Error::NotFound));
    assert_eq!(files.create_symbolic_link(gone, "x", "y"), Err(Error::NotFound));
    assert_eq!(files.link(inode, gone, "x"), Err(Error::NotFound));
    assert_eq!(files.rename(root, "file", gone, "x"), Err(Error::NotFound));
    files.release(gone);
    files.release(inode);
    assert_eq!(contents(files, root, "file"), b"x");
}

/// A program that has a file open keeps it when another file replaces it by renaming.
pub fn a_replaced_file_lives_while_it_is_held(files: Files<'_>) {
    let root = files.root();
    let inode = files.create_file(root, "old").expect("old");
    files.write(inode, 0, b"old").expect("write");
    file(files, root, "new", b"new");
    files.rename(root, "new", root, "old").expect("rename");
    assert_eq!(all(files, inode), b"old");
    assert_eq!(files.attributes(inode).expect("held").links, 0);
    assert_eq!(contents(files, root, "old"), b"new");
    files.release(inode);
}

/// Writes more in total than the file system can hold at once.
pub fn space_comes_back_when_the_last_hold_goes(files: Files<'_>) {
    let root = files.root();
    let piece = vec![1; 256 << 10];
    for _ in 0..200 {
        let inode = files.create_file(root, "file").expect("file");
        for number in 0..4 {
            assert_eq!(files.write(inode, number * piece.len() as u64, &piece), Ok(piece.len()));
        }
        files.unlink(root, "file").expect("unlink");
        files.release(inode);
    }
}
