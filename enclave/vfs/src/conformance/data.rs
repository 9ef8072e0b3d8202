//! Checks on the contents of files.

use super::{Files, all, contents, file};
use crate::{Change, Error};

/// Overwrites, appends, and reads parts.
pub fn written_bytes_are_read_back(files: Files<'_>) {
    let root = files.root();
    let inode = files.create_file(root, "file").expect("file");
    assert_eq!(files.attributes(inode).expect("attributes").size, 0);
    assert_eq!(files.write(inode, 0, b"hello, world"), Ok(12));
    assert_eq!(files.write(inode, 7, b"there"), Ok(5));
    assert_eq!(files.write(inode, 12, b"!"), Ok(1));
    assert_eq!(files.write(inode, 3, b""), Ok(0));
    assert_eq!(all(files, inode), b"hello, there!");
    let mut part = [0; 5];
    assert_eq!(files.read(inode, 7, &mut part), Ok(5));
    assert_eq!(&part, b"there");
    files.release(inode);
    assert_eq!(contents(files, root, "file"), b"hello, there!");
}

/// A short count only occurs at the end of the file.
pub fn reads_end_at_the_end_of_the_file(files: Files<'_>) {
    let root = files.root();
    let inode = files.create_file(root, "file").expect("file");
    files.write(inode, 0, &[7; 5000]).expect("write");
    let mut bytes = [1; 100];
    for (offset, length) in [(4950, 50), (4999, 1), (5000, 0), (5001, 0), (u64::MAX, 0)] {
        assert_eq!(files.read(inode, offset, &mut bytes), Ok(length), "at {offset}");
        assert!(bytes[..length].iter().all(|&byte| byte == 7));
    }
    assert_eq!(files.read(inode, 0, &mut []), Ok(0));
    files.release(inode);
}

/// A file can be far longer than the storage.
pub fn gaps_read_as_zero_and_take_no_space(files: Files<'_>) {
    let root = files.root();
    let inode = files.create_file(root, "file").expect("file");
    let far = 10 << 30;
    assert_eq!(files.write(inode, far, b"end"), Ok(3));
    assert_eq!(files.attributes(inode).expect("attributes").size, far + 3);
    let mut bytes = [1; 9000];
    for offset in [0, 1 << 20, far - 9000] {
        bytes.fill(1);
        assert_eq!(files.read(inode, offset, &mut bytes), Ok(9000), "at {offset}");
        assert!(bytes.iter().all(|&byte| byte == 0), "at {offset}");
    }
    assert_eq!(files.read(inode, far - 2, &mut bytes), Ok(5));
    assert_eq!(&bytes[..5], b"\0\0end");
    assert_eq!(files.write(inode, 5 << 30, b"middle"), Ok(6));
    assert_eq!(files.read(inode, (5 << 30) - 1, &mut bytes[..8]), Ok(8));
    assert_eq!(&bytes[..8], b"\0middle\0");
    files.release(inode);
}

/// A search for data only passes over bytes that read as zero.
pub fn before_the_next_data_all_is_zero(files: Files<'_>) {
    let root = files.root();
    let inode = files.create_file(root, "file").expect("file");
    assert_eq!(files.next_data(inode, 0), Ok(None));
    files.write(inode, 0, b"inline").expect("write");
    assert_eq!(files.next_data(inode, 0), Ok(Some(0)));
    files.write(inode, 1 << 20, &[1; 5000]).expect("write");
    files.set_size(inode, 3 << 20).expect("size");
    let all = all(files, inode);
    let size = all.len() as u64;
    for synced in [false, true] {
        for from in
            [0, 1, 4096, 1 << 19, (1 << 20) + 4999, (1 << 20) + 5000, 2 << 20, size, 1 << 60]
        {
            let found = files.next_data(inode, from).expect("a place");
            assert!(found.is_none_or(|at| (from..size).contains(&at)), "{found:?} from {from}");
            let passed = from.min(size) as usize..found.unwrap_or(size) as usize;
            let zero = all.get(passed).is_none_or(|passed| passed.iter().all(|&byte| byte == 0));
            assert!(zero, "{found:?} from {from}, synced: {synced}");
        }
        files.sync_all().expect("sync");
    }
    assert_eq!(files.next_data(root, 0).ok().flatten(), None);
    files.release(inode);
}

/// A file becomes shorter and longer.
pub fn sizes_are_set_both_ways(files: Files<'_>) {
    let root = files.root();
    let inode = files.create_file(root, "file").expect("file");
    files.write(inode, 0, b"0123456789").expect("write");
    for (size, expected) in
        [(4, &b"0123"[..]), (6, b"0123\0\0"), (6, b"0123\0\0"), (0, b""), (2, b"\0\0")]
    {
        assert_eq!(files.set_size(inode, size), Ok(()));
        assert_eq!(all(files, inode), expected);
    }
    assert_eq!(files.set_size(inode, 1 << 40), Ok(()));
    assert_eq!(files.attributes(inode).expect("attributes").size, 1 << 40);
    assert_eq!(files.set_size(inode, 1), Ok(()));
    assert_eq!(all(files, inode), b"\0");
    files.release(inode);
}

/// Cuts a file at different offsets in a block.
pub fn bytes_that_were_cut_off_do_not_come_back(files: Files<'_>) {
    let root = files.root();
    let inode = files.create_file(root, "file").expect("file");
    for size in [0, 1, 4095, 4096, 4097, 8191, 8192, 12_000] {
        files.write(inode, 0, &[9; 13_000]).expect("write");
        files.set_size(inode, size).expect("shorter");
        files.set_size(inode, 20_000).expect("longer");
        let bytes = all(files, inode);
        let (kept, new) = bytes.split_at(size as usize);
        assert!(kept.iter().all(|&byte| byte == 9), "{size}");
        assert!(new.iter().all(|&byte| byte == 0), "{size}");
        // The same if a write after the end makes the file longer.
        files.set_size(inode, size).expect("shorter");
        files.write(inode, 16_000, &[9]).expect("write");
        assert!(all(files, inode)[size as usize..16_000].iter().all(|&byte| byte == 0), "{size}");
    }
    files.release(inode);
}

/// Allocation works like `posix_fallocate`.
pub fn allocation_makes_the_file_longer_and_keeps_its_contents(files: Files<'_>) {
    let root = files.root();
    let inode = files.create_file(root, "file").expect("file");
    files.write(inode, 0, b"kept").expect("write");
    assert_eq!(files.allocate(inode, 0, 2), Ok(()));
    assert_eq!(files.attributes(inode).expect("attributes").size, 4, "never shorter");
    assert_eq!(files.allocate(inode, 2, 10_000), Ok(()));
    let bytes = all(files, inode);
    assert_eq!(bytes.len(), 10_002);
    assert_eq!(&bytes[..4], b"kept");
    assert!(bytes[4..].iter().all(|&byte| byte == 0));
    assert_eq!(files.write(inode, 5000, b"x"), Ok(1));
    let huge = files.allocate(inode, 0, 1 << 62);
    assert!(matches!(huge, Err(Error::NoSpace | Error::FileTooBig)), "{huge:?}");
    assert_eq!(files.allocate(inode, u64::MAX - 1, 5), Err(Error::FileTooBig));
    assert_eq!(files.attributes(inode).expect("attributes").size, 10_002);
    files.release(inode);
}

/// Offsets above the limit are refused, and change nothing.
pub fn files_have_a_longest_size(files: Files<'_>) {
    let root = files.root();
    let inode = files.create_file(root, "file").expect("file");
    assert_eq!(files.write(inode, u64::MAX, b"x"), Err(Error::FileTooBig));
    assert_eq!(files.write(inode, u64::MAX - 1, b"xyz"), Err(Error::FileTooBig));
    assert_eq!(files.set_size(inode, u64::MAX), Err(Error::FileTooBig));
    assert_eq!(files.attributes(inode).expect("attributes").size, 0);
    files.release(inode);
}

/// Directories and symbolic links have no contents.
pub fn contents_belong_to_files_only(files: Files<'_>) {
    let root = files.root();
    files.create_symbolic_link(root, "link", "x").expect("link");
    let link = files.lookup(root, "link").expect("link");
    for (inode, error) in [(root, Error::IsDirectory), (link, Error::Invalid)] {
        assert_eq!(files.read(inode, 0, &mut [0; 4]), Err(error));
        assert_eq!(files.write(inode, 0, b"x"), Err(error));
    }
    assert_eq!(files.set_size(root, 0), Err(Error::IsDirectory));
    files.release(link);
}

/// Tries all combinations of offsets and lengths around the edges of blocks.
pub fn writes_of_all_alignments_agree_with_a_plain_vector(files: Files<'_>) {
    let root = files.root();
    let inode = files.create_file(root, "file").expect("file");
    let mut model = Vec::new();
    let mut value = 0u8;
    for offset in [0usize, 1, 4095, 4096, 4097, 8192, 12_287, 30_000] {
        for length in [1usize, 2, 4095, 4096, 4097, 9000] {
            value = value % 250 + 1;
            let end = offset + length;
            if model.len() < end {
                model.resize(end, 0);
            }
            model[offset..end].fill(value);
            assert_eq!(files.write(inode, offset as u64, &vec![value; length]), Ok(length));
            assert_eq!(all(files, inode), model, "{length} bytes at {offset}");
        }
    }
    files.release(inode);
}

/// Syncs a file, a directory, and the whole file system.
pub fn syncing_succeeds_for_all_kinds(files: Files<'_>) {
    let root = files.root();
    file(files, root, "file", b"x");
    let inode = files.lookup(root, "file").expect("file");
    for inode in [inode, root] {
        for change in [Change::Data, Change::All] {
            assert_eq!(files.sync(inode, change), Ok(()));
        }
    }
    assert_eq!(files.sync_all(), Ok(()));
    files.release(inode);
    assert_eq!(contents(files, root, "file"), b"x");
}
