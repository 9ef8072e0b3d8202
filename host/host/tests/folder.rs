//! An ordinary folder, from the enclave's file system to the system's: the checks that every file
//! system must pass, and the requests that a read-only one refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use twine_boundary::Boundary;
use twine_host::Folder;
use twine_protocol::calls::{RawCall, number};
use twine_protocol::wire::{Status, TRANSFER_BUFFER_SIZE};
use twine_vfs::{Error, FileSystem};

/// A host that has only one folder.
struct Host {
    folder: Folder,
    buffer: Mutex<Vec<u64>>,
}

impl RawCall for Host {
    fn raw_call(&self, number: u64, [folder, pointer, length, _]: [u64; 4]) -> (u64, u64) {
        let mut buffer = self.buffer.lock().expect("no thread panicked");
        match number {
            number::transfer_buffer => (buffer.as_ptr() as u64, TRANSFER_BUFFER_SIZE),
            number::folder => {
                assert_eq!((folder, pointer), (0, buffer.as_ptr() as u64));
                // SAFETY: all bytes are valid, and the buffer is locked.
                let bytes = unsafe { buffer.align_to_mut::<u8>() }.1;
                match self.folder.serve(bytes, length as usize) {
                    Ok(count) => (Status::Ok.code(), count),
                    Err(status) => (status.code(), 0),
                }
            }
            _ => panic!("host call {number:#x}"),
        }
    }
}

/// Returns a new folder of the system, as the enclave sees it. `Temporary` removes it.
fn tree(read_only: bool) -> (twine_hostfs::Folder<'static, Host>, PathBuf) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name =
        format!("twine-hostfs-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    fs::create_dir(&path).unwrap();
    (opened(&path, read_only), path)
}

/// Returns a folder of the system, as the enclave sees it.
fn opened(path: &Path, read_only: bool) -> twine_hostfs::Folder<'static, Host> {
    served(Folder::open(path, read_only).unwrap(), read_only)
}

/// Returns a folder of the host, as the enclave sees it.
fn served(folder: Folder, read_only: bool) -> twine_hostfs::Folder<'static, Host> {
    let words = TRANSFER_BUFFER_SIZE as usize / 8;
    let host = Host { folder, buffer: Mutex::new(vec![0; words]) };
    // Each test leaks one boundary.
    let boundary = Box::leak(Box::new(Boundary::new(host, 0..8)));
    twine_hostfs::Folder::open(boundary, 0, read_only).unwrap()
}

/// A tree whose folder is removed when this is dropped.
struct Temporary(twine_hostfs::Folder<'static, Host>, PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.1);
    }
}

impl std::ops::Deref for Temporary {
    type Target = dyn FileSystem;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl std::ops::DerefMut for Temporary {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

fn temporary() -> Temporary {
    let (tree, path) = tree(false);
    Temporary(tree, path)
}

mod conformance {
    twine_vfs::conformance!(super::temporary());
}

#[test]
fn a_read_only_folder_is_read_and_nothing_else() {
    let (mut tree, path) = tree(true);
    fs::write(path.join("file"), "contents").unwrap();
    let root = tree.root();
    let file = tree.lookup(root, "file").unwrap();
    let mut bytes = [0; 16];
    assert_eq!(tree.read(file, 0, &mut bytes), Ok(8));
    assert_eq!(&bytes[..8], b"contents");
    assert_eq!(tree.write(file, 0, b"x"), Err(Error::ReadOnly));
    assert_eq!(tree.create_file(root, "other"), Err(Error::ReadOnly));
    assert_eq!(tree.unlink(root, "file"), Err(Error::ReadOnly));
    assert_eq!(tree.set_size(file, 0), Err(Error::ReadOnly));
    assert_eq!(fs::read(path.join("file")).unwrap(), b"contents");
    fs::remove_dir_all(path).unwrap();
}

/// No process may write to a running program.
#[test]
fn every_change_to_a_busy_executable_is_denied() {
    let (mut tree, path) = tree(false);
    fs::copy("/bin/sleep", path.join("sleep")).unwrap();
    let mut sleep = std::process::Command::new(path.join("sleep")).arg("60").spawn().unwrap();
    let root = tree.root();
    let file = tree.lookup(root, "sleep").unwrap();
    assert_eq!(tree.set_size(file, 0), Err(Error::Denied));
    assert_eq!(tree.write(file, 0, b"x"), Err(Error::Denied));
    assert_eq!(tree.allocate(file, 0, 1), Err(Error::Denied));
    assert_eq!(tree.read(file, 0, &mut [0; 4]), Ok(4));
    sleep.kill().unwrap();
    sleep.wait().unwrap();
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn devices_and_links_are_not_followed() {
    let (mut tree, path) = tree(false);
    std::os::unix::fs::symlink("/etc/passwd", path.join("link")).unwrap();
    let root = tree.root();
    let link = tree.lookup(root, "link").unwrap();
    assert_eq!(tree.read_link(link).as_deref(), Ok("/etc/passwd"));
    assert_eq!(tree.read(link, 0, &mut [0; 8]), Err(Error::Invalid));
    assert_eq!(tree.lookup(link, "passwd"), Err(Error::NotDirectory));
    let devices = Folder::open("/dev".as_ref(), true).unwrap();
    let host = Host { folder: devices, buffer: Mutex::new(vec![0; 1 << 15]) };
    let boundary = Boundary::new(host, 0..8);
    let mut devices = twine_hostfs::Folder::open(&boundary, 0, true).unwrap();
    let root = devices.root();
    assert_eq!(devices.lookup(root, "null"), Err(Error::NotSupported));
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_refused_folder_is_out_of_reach_under_each_name_and_keeps_its_name() {
    let (_, path) = tree(false);
    fs::create_dir_all(path.join("kept/secret")).unwrap();
    fs::write(path.join("kept/secret/file"), b"contents").unwrap();
    fs::write(path.join("kept/other"), b"other").unwrap();
    let mut folder = Folder::open(&path, false).unwrap();
    assert!(folder.refuse(&path.join("missing")).is_err());
    folder.refuse(&path.join("kept/secret")).unwrap();
    folder.refuse(&path.join("kept/other")).unwrap();
    fs::hard_link(path.join("kept/other"), path.join("link")).unwrap();
    let mut tree = served(folder, false);
    let root = tree.root();
    let kept = tree.lookup(root, "kept").unwrap();
    assert_eq!(tree.lookup(kept, "secret"), Err(Error::Denied));
    assert_eq!(tree.lookup(kept, "other"), Err(Error::Denied));
    assert_eq!(tree.lookup(root, "link"), Err(Error::Denied));
    assert_eq!(tree.rename(kept, "secret", root, "moved"), Err(Error::Denied));
    assert_eq!(tree.unlink(kept, "other"), Err(Error::Denied));
    assert_eq!(tree.remove_directory(kept, "secret"), Err(Error::Denied));
    let file = tree.create_file(root, "new").unwrap();
    tree.release(file);
    assert_eq!(tree.rename(root, "new", kept, "other"), Err(Error::Denied));
    // The folder above can be renamed, and does not lead there then either.
    tree.rename(root, "kept", root, "renamed").unwrap();
    let renamed = tree.lookup(root, "renamed").unwrap();
    assert_eq!(tree.lookup(renamed, "secret"), Err(Error::Denied));
    assert_eq!(fs::read(path.join("renamed/secret/file")).unwrap(), b"contents");
    fs::remove_dir_all(path).unwrap();
}

/// A program that may change the root folder could write its own process's memory through `/proc`.
#[test]
fn procfs_and_sysfs_below_a_folder_are_refused() {
    let mut root = opened(Path::new("/"), true);
    let directory = root.root();
    for name in ["proc", "sys"] {
        assert_eq!(root.lookup(directory, name), Err(Error::Denied), "{name}");
    }
    let etc = root.lookup(directory, "etc").unwrap();
    root.release(etc);
}
