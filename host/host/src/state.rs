//! The state folder: what an enclave keeps on this machine between its runs, by names that it chooses.
//!
//! `records/` holds the records, `volumes/` the storages, `lock` the lock of the process that uses
//! the folder.

use crate::limits;
use crate::names::Names;
use crate::records::Records;
use crate::storage::{self, Access, Locked, Storage, StorageError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use twine_protocol::state::open;
use twine_protocol::wire::Status;

/// The errors of opening a state folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The folder can't be created, opened or cleared of what a crash left.
    #[error("the state folder {path} can't be used: {source}")]
    Open {
        /// The folder, or a file or folder in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The path, or one of those in the folder, leads to something else.
    #[error("{path} is not {wanted}")]
    Kind {
        /// The path.
        path: PathBuf,
        /// What it must be: "a folder" or "an ordinary file".
        wanted: &'static str,
    },
    /// Another process uses the folder.
    #[error("the state folder {path} is in use{by}")]
    InUse {
        /// The folder.
        path: PathBuf,
        /// " by NAME (process N)", if the process is known.
        by: String,
    },
}

impl StateError {
    /// Returns the remedy, in one line.
    pub fn remedy(&self) -> String {
        match self {
            StateError::Open { source, .. } => limits::remedy(source)
                .unwrap_or(match source.kind() {
                    io::ErrorKind::PermissionDenied => {
                        "check the permissions of the folder and of what is in it"
                    }
                    io::ErrorKind::ReadOnlyFilesystem => {
                        "name a folder on a file system that can be written"
                    }
                    _ => "check the path, and the disk that it is on",
                })
                .into(),
            StateError::Kind { .. } => "name a new or an empty folder".into(),
            StateError::InUse { .. } => {
                "wait for the other process or end it: only one process at a time can use a state folder"
                    .into()
            }
        }
    }
}

/// A folder for the state of one enclave. It stays locked until this is dropped.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    volumes: Names,
    records: Records,
    #[expect(dead_code, reason = "the lock ends with the descriptor")]
    lock: Locked,
}

impl State {
    /// Opens and locks the folder, and creates it, for this user alone, if it does not exist. Removes
    /// what a crash left of records that were being written.
    ///
    /// # Errors
    /// If the folder can't be created or opened, or is used by another process.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StateError> {
        let path = path.into();
        let folder = Names::open(path.clone()).map_err(|source| failed(&path, source))?;
        let lock = lock(&path, &folder.path("lock"))?;
        let inside = |name| folder.path(name);
        let volumes =
            Names::open(inside("volumes")).map_err(|source| failed(&inside("volumes"), source))?;
        let records = Records::open(inside("records"))
            .map_err(|source| failed(&inside("records"), source))?;
        Ok(State { path, volumes, records, lock })
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn records(&self) -> &Records {
        &self.records
    }

    /// Returns the file of the storage with this name.
    fn volume(&self, name: &str) -> PathBuf {
        self.volumes.path(&format!("{name}.twine"))
    }

    /// Opens a storage. `flags` holds bits of [`open`].
    pub(crate) fn open_storage(&self, name: &str, flags: u64) -> Result<Storage, Status> {
        let access = match (flags & open::CREATE != 0, flags & open::READ_ONLY != 0) {
            (false, false) => Access::Write,
            (false, true) => Access::Read,
            (true, false) => Access::Create,
            (true, true) => return Err(Status::Invalid),
        };
        Storage::open_private(self.volume(name), access).map_err(|error| status(&error))
    }

    /// Removes a storage that is not open, durably.
    pub(crate) fn remove_storage(&self, name: &str) -> Result<(), Status> {
        let path = self.volume(name);
        // With the lock, nobody can open the file before it is removed.
        let locked = Locked::file(&path, Access::Write).map_err(|error| status(&error))?;
        fs::remove_file(&path).map_err(|error| storage::status(&error))?;
        drop(locked);
        self.volumes.sync().map_err(|error| storage::status(&error))
    }
}

/// Locks the folder by the file at `path`.
fn lock(folder: &Path, path: &Path) -> Result<Locked, StateError> {
    let folder = folder.to_owned();
    Locked::file(path, Access::Create).map_err(|error| match error {
        StorageError::InUse { by, .. } => StateError::InUse { path: folder, by },
        StorageError::Open { path, source } => failed(&path, source),
        StorageError::NotAFile { path, .. } => {
            StateError::Kind { path, wanted: "an ordinary file" }
        }
        StorageError::Missing { .. } | StorageError::Replaced { .. } => {
            StateError::InUse { path: folder, by: String::new() }
        }
    })
}

fn failed(path: &Path, source: io::Error) -> StateError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            StateError::Kind { path, wanted: "a folder" }
        }
        io::ErrorKind::IsADirectory => StateError::Kind { path, wanted: "an ordinary file" },
        _ => StateError::Open { path, source },
    }
}

fn status(error: &StorageError) -> Status {
    match error {
        StorageError::Open { source, .. } => storage::status(source),
        StorageError::Missing { .. } => Status::Missing,
        StorageError::NotAFile { .. } => Status::Invalid,
        StorageError::Replaced { .. } | StorageError::InUse { .. } => Status::InUse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storages::Storages;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;
    use twine_protocol::state::write::{FIRST, LAST};

    /// The folder of a test, which is removed when this is dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("twine-state-{name}-{}", std::process::id());
            Folder(std::env::temp_dir().join(name))
        }

        fn volume(&self, name: &str) -> PathBuf {
            self.0.join("volumes").join(name)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Opens a folder that no other process uses, except perhaps a child that another test of this
    /// process has just started.
    fn opened(path: &Path) -> State {
        loop {
            match State::open(path) {
                Err(StateError::InUse { .. }) => std::thread::yield_now(),
                result => return result.unwrap(),
            }
        }
    }

    /// Opens a storage that nobody uses, except perhaps such a child.
    fn opened_storage(state: &State, name: &str, flags: u64) -> Storage {
        loop {
            match state.open_storage(name, flags) {
                Err(Status::InUse) => std::thread::yield_now(),
                result => return result.unwrap(),
            }
        }
    }

    #[test]
    fn a_state_folder_is_for_this_user_and_for_one_process() {
        let folder = Folder::new("lock");
        let state = State::open(&folder.0).unwrap();
        assert_eq!(state.path(), folder.0);
        drop(state.open_storage("a", open::CREATE).unwrap());
        let modes = [("", 0o700), ("records", 0o700), ("volumes", 0o700), ("lock", 0o600)];
        for (name, wanted) in modes.into_iter().chain([("volumes/a.twine", 0o600)]) {
            let mode = fs::metadata(folder.0.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, wanted, "{name}");
        }
        let error = State::open(&folder.0).unwrap_err();
        assert!(matches!(error, StateError::InUse { .. }), "{error}");
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        assert!(error.remedy().contains("only one process"));
        drop(state);
        drop(opened(&folder.0));
    }

    #[test]
    fn a_path_that_is_no_folder_and_one_that_cannot_be_made_are_different_errors() {
        let folder = Folder::new("kinds");
        drop(opened(&folder.0));
        let file = folder.0.join("file");
        fs::write(&file, b"").unwrap();
        for path in [&file, &file.join("below")] {
            let error = State::open(path).unwrap_err();
            assert!(matches!(error, StateError::Kind { wanted: "a folder", .. }), "{error}");
        }
        let error = State::open("/proc/no/folder").unwrap_err();
        assert!(matches!(error, StateError::Open { .. }), "{error}");
        fs::remove_file(folder.0.join("lock")).unwrap();
        fs::create_dir(folder.0.join("lock")).unwrap();
        let error = State::open(&folder.0).unwrap_err();
        assert!(matches!(error, StateError::Kind { wanted: "an ordinary file", .. }), "{error}");
    }

    #[test]
    fn storages_are_created_only_on_request_and_opened_by_one() {
        let folder = Folder::new("storages");
        let state = opened(&folder.0);
        let open = |name, flags| state.open_storage(name, flags);
        let opened = |name, flags| opened_storage(&state, name, flags);
        assert_eq!(open("a", 0).map(drop), Err(Status::Missing));
        assert_eq!(open("a", open::READ_ONLY).map(drop), Err(Status::Missing));
        assert_eq!(open("a", open::CREATE | open::READ_ONLY).map(drop), Err(Status::Invalid));
        assert_eq!(state.remove_storage("a"), Err(Status::Missing));
        let storage = open("a", open::CREATE).unwrap();
        assert_eq!(storage.path(), folder.volume("a.twine"));
        storage.write(0, b"text").unwrap();
        for flags in [0, open::CREATE, open::READ_ONLY] {
            assert_eq!(open("a", flags).map(drop), Err(Status::InUse));
        }
        assert_eq!(state.remove_storage("a"), Err(Status::InUse));
        drop(storage);
        let one = opened("a", open::READ_ONLY);
        let two = opened("a", open::READ_ONLY);
        assert_eq!(one.write(0, b"x"), Err(Status::Denied));
        drop((one, two));
        drop(opened("a", 0));
        assert_eq!(state.remove_storage("a"), Ok(()));
        assert!(!folder.volume("a.twine").exists());
        fs::create_dir(folder.volume("b.twine")).unwrap();
        assert_eq!(open("b", open::CREATE).map(drop), Err(Status::Invalid));
    }

    #[test]
    fn a_storage_with_an_unfinished_volume_is_empty_when_it_may_be_created() {
        let folder = Folder::new("unfinished");
        let state = opened(&folder.0);
        let unfinished = [&b"TWINENEW"[..], &[7; 10_000]].concat();
        for (flags, size) in [(0, 10_008), (open::READ_ONLY, 10_008), (open::CREATE, 0)] {
            fs::write(folder.volume("a.twine"), &unfinished).unwrap();
            assert_eq!(opened_storage(&state, "a", flags).size(), Ok(size));
        }
        fs::write(folder.volume("a.twine"), [b"TWINEVOL", &unfinished[8..]].concat()).unwrap();
        assert_eq!(opened_storage(&state, "a", open::CREATE).size(), Ok(10_008));
    }

    #[test]
    fn a_storage_is_unlocked_and_unmapped_when_it_is_closed_and_its_number_is_gone() {
        let folder = Folder::new("table");
        let state = opened(&folder.0);
        let launched = state.open_storage("launched", open::CREATE).unwrap();
        let storages = Storages::new(vec![launched]);
        let mut numbers = Vec::new();
        for round in 0..3 {
            let number = storages.add(opened_storage(&state, "a", open::CREATE));
            assert!(number > 0 && !numbers.contains(&number));
            let storage = storages.get(number).unwrap();
            storage.write(0, &[1; 8192]).unwrap();
            let address = storage.map().unwrap().pointer;
            assert!(storages.patch(address + 4096));
            assert_eq!(storages.unread(), round + 1);
            // A thread that uses the storage while another closes it keeps it.
            assert_eq!(storages.close(number), Ok(()));
            assert_eq!(storage.read(0, &mut [0; 8192]), Ok(()));
            assert!(!storages.patch(address + 4096));
            drop(storage);
            assert_eq!(storages.get(number).map(drop), Err(Status::Invalid));
            assert_eq!(storages.close(number), Err(Status::Invalid));
            numbers.push(number);
        }
        assert_eq!(storages.close(0), Err(Status::Invalid));
        assert_eq!(storages.close(u64::MAX), Err(Status::Invalid));
        assert!(storages.get(0).is_ok());
        assert_eq!((state.remove_storage("a"), storages.unread()), (Ok(()), 3));
    }

    #[test]
    fn faults_are_patched_while_other_threads_open_and_close_storages() {
        let folder = Folder::new("patch");
        let state = opened(&folder.0);
        let storage = state.open_storage("a", open::CREATE).unwrap();
        storage.write(0, &[1; 8192]).unwrap();
        let address = storage.map().unwrap().pointer;
        let storages = Storages::new(vec![storage]);
        std::thread::scope(|scope| {
            for name in ["b", "c"] {
                let (state, storages) = (&state, &storages);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let number = storages.add(opened_storage(state, name, open::CREATE));
                        let range = storages.get(number).unwrap().map().unwrap();
                        assert!(storages.patch(range.pointer));
                        storages.close(number).unwrap();
                    }
                });
            }
            for _ in 0..2000 {
                assert!(storages.patch(address));
            }
        });
        assert_eq!(storages.unread(), 2400);
    }

    /// The variable that tells a child of the following test its folder.
    const FULL: &str = "TWINE_STATE_FULL";

    #[test]
    fn a_full_disk_is_an_error_of_its_own_and_a_record_keeps_its_content() {
        for errno in [libc::ENOSPC, libc::EDQUOT] {
            assert_eq!(storage::status(&io::Error::from_raw_os_error(errno)), Status::NoSpace);
        }
        if let Some(path) = std::env::var_os(FULL) {
            let state = State::open(Path::new(&path)).unwrap();
            let (records, piece) = (state.records(), [7; 64 << 10]);
            records.write(1, "a", b"old", FIRST | LAST).unwrap();
            records.write(1, "a", &piece, FIRST).unwrap();
            let full = (0..100).find_map(|_| records.write(1, "a", &piece, 0).err());
            assert_eq!(full, Some(Status::NoSpace));
            let mut bytes = [0; 8];
            assert_eq!(records.read(1, "a", 0, &mut bytes), Ok(3));
            assert_eq!(&bytes[..3], b"old");
            // The pieces are gone, so there is space again.
            records.write(1, "a", &piece, FIRST | LAST).unwrap();
            let storage = state.open_storage("a", open::CREATE).unwrap();
            assert_eq!(storage.resize(4 << 20), Err(Status::NoSpace));
            return;
        }
        let folder = Folder::new("full");
        fs::create_dir_all(&folder.0).unwrap();
        let ran = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c"])
            .arg("mount -t tmpfs -o size=1m none \"$0\" && exec \"$@\"")
            .arg(&folder.0)
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "state::tests::a_full_disk_is_an_error_of_its_own_and_a_record_keeps_its_content",
            ])
            .env(FULL, &folder.0)
            .output();
        match ran {
            Ok(output) if output.stdout.starts_with(b"\nrunning 1 test") => {
                let told = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success(), "{told}");
            }
            // Some machines allow no file system of one's own.
            other => eprintln!("not run on a full disk: {other:?}"),
        }
    }
}
