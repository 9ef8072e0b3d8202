//! Volumes that are closed while the bitmap at the storage's end is new, or about to be removed.
//! Afterwards the volume opens, and its counts of blocks are consistent.

mod support;

use support::{create, file, try_open};
use twine_vfs::FileSystem;
use twine_volume::{MemoryStorage, Options};

const MIB: usize = 1 << 20;

/// Makes a volume that grows into its second region or further, and shrinks again. Sizes are in
/// MiB.
fn closed(small_files: usize, kept: usize, removed: usize, cut: bool) -> MemoryStorage {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), 32 << 20);
    for number in 0..small_files {
        let inode = file(&mut volume, &format!("small {number}"));
        volume.release(inode);
    }
    let root = volume.root();
    for (name, size) in [("kept", kept), ("removed", removed)] {
        let inode = file(&mut volume, name);
        for at in 0..size {
            assert_eq!(volume.write(inode, (at * MIB) as u64, &[3; MIB]), Ok(MIB));
        }
        volume.release(inode);
        volume.sync_all().unwrap();
    }
    volume.unlink(root, "removed").unwrap();
    if cut {
        volume.close().unwrap();
    } else {
        volume.sync_all().unwrap();
    }
    storage
}

#[test]
fn a_volume_that_grew_and_shrank_over_regions_opens_and_leaks_nothing() {
    for small_files in (0..72).step_by(11) {
        for (kept, removed) in [(12, 30), (25, 45), (4, 70), (33, 0)] {
            for cut in [true, false] {
                let what = format!("{small_files} files, {kept} and {removed} MiB, cut {cut}");
                let storage = closed(small_files, kept, removed, cut);
                let options = Options { read_only: true, ..Options::default() };
                let opened = try_open(storage, options);
                let mut volume = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
                let report = volume.check(&mut |_| {}).unwrap();
                assert_eq!(report.findings, [], "{what}");
            }
        }
    }
}
