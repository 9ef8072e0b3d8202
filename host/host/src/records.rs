//! The records of a state folder: small files whose contents the enclave seals.
//!
//! The host can lose or damage a record, but neither read nor forge it. A new content is written to
//! a file of another name first, which then replaces the record.

use crate::names::Names;
use crate::storage;
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::ops::Bound;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use twine_protocol::state::{self, write};
use twine_protocol::wire::Status;

/// The records in one folder.
#[derive(Debug)]
pub(crate) struct Records {
    names: Names,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The names of the records, as they were when the enclave last asked for the first one, with
    /// the changes since.
    listed: BTreeSet<String>,
    /// What each thread has begun to write, by its TCS.
    parts: HashMap<u64, Part>,
    /// The record that each thread reads, by its TCS.
    readers: HashMap<u64, (String, File)>,
    /// The number of contents that were begun.
    begun: u64,
}

/// The ending of the names of files with unfinished contents. No record has such a name.
const PART: &str = ".part";

/// A content that is not complete. Its file is removed when this is dropped.
#[derive(Debug)]
struct Part {
    record: String,
    path: PathBuf,
    file: File,
}

impl Drop for Part {
    fn drop(&mut self) {
        // After the content has replaced the record, there is no file of this name.
        let _ = fs::remove_file(&self.path);
    }
}

fn status(error: &io::Error) -> Status {
    match error.kind() {
        ErrorKind::NotFound => Status::Missing,
        _ => storage::status(error),
    }
}

/// Returns the name of the record that a file of this name holds.
fn record(file: &str) -> Option<&str> {
    state::name(file.as_bytes())
}

/// Whether a file of this name is what a crash left of an unfinished content.
fn is_part(file: &str) -> bool {
    let stem = file.strip_suffix(PART).and_then(|stem| stem.rsplit_once('.'));
    stem.is_some_and(|(name, number)| record(name).is_some() && number.parse::<u64>().is_ok())
}

impl Records {
    /// Opens the folder. Removes what a crash left of unfinished contents.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let names = Names::open(path)?;
        let mut listed = BTreeSet::new();
        for file in files(&names)? {
            if is_part(&file) {
                fs::remove_file(names.path(&file))?;
            } else if let Some(name) = record(&file) {
                listed.insert(name.to_owned());
            }
        }
        let inner = Mutex::new(Inner { listed, ..Inner::default() });
        Ok(Records { names, inner })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads bytes of a record, for the thread with this TCS. Returns 0 at the end. A thread that
    /// reads on keeps the file that it has begun with.
    pub(crate) fn read(
        &self,
        thread: u64,
        name: &str,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<u64, Status> {
        let begun = self.inner().readers.remove(&thread);
        let file = match begun.filter(|(of, _)| offset != 0 && of == name) {
            Some((_, file)) => file,
            None => File::open(self.names.path(name)).map_err(|error| status(&error))?,
        };
        let count = loop {
            match file.read_at(bytes, offset) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.map_err(|error| status(&error))?,
            }
        };
        if count != 0 {
            self.inner().readers.insert(thread, (name.to_owned(), file));
        }
        Ok(count as u64)
    }

    /// Writes a piece of a new content of a record, for the thread with this TCS. `flags` holds bits
    /// of [`write`].
    pub(crate) fn write(
        &self,
        thread: u64,
        name: &str,
        bytes: &[u8],
        flags: u64,
    ) -> Result<(), Status> {
        let begun = self.inner().parts.remove(&thread);
        let part = match flags & write::FIRST != 0 {
            true => self.begin(name).map_err(|error| status(&error))?,
            false => begun.filter(|part| part.record == name).ok_or(Status::Invalid)?,
        };
        (&part.file).write_all(bytes).map_err(|error| status(&error))?;
        if flags & write::LAST != 0 {
            return self.finish(&part).map_err(|error| status(&error));
        }
        self.inner().parts.insert(thread, part);
        Ok(())
    }

    /// Begins a new content of a record.
    fn begin(&self, name: &str) -> io::Result<Part> {
        let number = {
            let mut inner = self.inner();
            inner.begun += 1;
            inner.begun
        };
        let path = self.names.path(&format!("{name}.{number}{PART}"));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Part { record: name.to_owned(), path, file })
    }

    /// Replaces the record by a complete content, durably.
    fn finish(&self, part: &Part) -> io::Result<()> {
        part.file.sync_all()?;
        let mut inner = self.inner();
        fs::rename(&part.path, self.names.path(&part.record))?;
        inner.listed.insert(part.record.clone());
        drop(inner);
        self.names.sync()
    }

    /// Removes a record, durably.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Status> {
        let mut inner = self.inner();
        fs::remove_file(self.names.path(name)).map_err(|error| status(&error))?;
        inner.listed.remove(name);
        drop(inner);
        self.names.sync().map_err(|error| status(&error))
    }

    /// Returns the first name after `name`, in the order of their bytes; the first one if there is
    /// no `name`. Looks into the folder only then.
    pub(crate) fn next(&self, name: Option<&str>) -> Result<Option<String>, Status> {
        let mut inner = self.inner();
        if name.is_none() {
            let files = files(&self.names).map_err(|error| status(&error))?;
            inner.listed = files.into_iter().filter(|file| record(file).is_some()).collect();
        }
        let start = name.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(inner.listed.range::<str, _>((start, Bound::Unbounded)).next().cloned())
    }
}

/// Returns the names of the ordinary files in a folder, as far as they are UTF-8.
fn files(names: &Names) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(names.folder())? {
        let entry = entry?;
        if entry.file_type()?.is_file()
            && let Ok(name) = entry.file_name().into_string()
        {
            files.push(name);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use twine_protocol::state::MAX_NAME;
    use twine_protocol::state::write::{FIRST, LAST};

    const WHOLE: u64 = FIRST | LAST;

    /// The folder of a test, which is removed when this is dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("twine-records-{name}-{}", std::process::id());
            Folder(std::env::temp_dir().join(name))
        }

        fn open(&self) -> Records {
            Records::open(self.0.clone()).unwrap()
        }

        fn files(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.collect();
            names.sort_unstable();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Reads a whole record, a few bytes at a time.
    fn read(records: &Records, thread: u64, name: &str) -> Result<Vec<u8>, Status> {
        let mut all = Vec::new();
        loop {
            let mut bytes = [0; 3];
            match records.read(thread, name, all.len() as u64, &mut bytes)? {
                0 => return Ok(all),
                count => all.extend_from_slice(&bytes[..count as usize]),
            }
        }
    }

    fn list(records: &Records) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(name) = records.next(names.last().map(String::as_str)).unwrap() {
            names.push(name);
        }
        names
    }

    #[test]
    fn a_record_is_written_replaced_listed_and_removed() {
        let folder = Folder::new("life");
        let records = folder.open();
        assert_eq!(read(&records, 1, "a"), Err(Status::Missing));
        assert_eq!(records.remove("a"), Err(Status::Missing));
        for content in [&b"some text"[..], b"", b"other text"] {
            records.write(1, "a", content, WHOLE).unwrap();
            assert_eq!(read(&records, 1, "a").as_deref(), Ok(content));
        }
        let long = "z".repeat(MAX_NAME);
        records.write(1, &long, b"1", WHOLE).unwrap();
        records.write(1, "-", b"2", WHOLE).unwrap();
        assert_eq!(list(&records), ["-", "a", &long]);
        assert_eq!(records.remove("a"), Ok(()));
        assert_eq!(list(&records), ["-", &*long]);
        assert_eq!(folder.files(), ["-", &*long]);
        let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&folder.0) & 0o777, 0o700);
        assert_eq!(mode(&folder.0.join("-")) & 0o777, 0o600);
        assert_eq!(records.read(1, "-", u64::MAX, &mut [0]), Err(Status::Invalid));
        assert_eq!(records.read(1, "-", 1 << 40, &mut [0]), Ok(0));
    }

    #[test]
    fn a_record_keeps_its_old_content_until_the_last_piece() {
        let folder = Folder::new("pieces");
        let records = folder.open();
        records.write(1, "a", b"old", WHOLE).unwrap();
        records.write(1, "a", b"ne", FIRST).unwrap();
        records.write(1, "a", b"w", 0).unwrap();
        assert_eq!(folder.files(), ["a", "a.2.part"]);
        assert_eq!(fs::read(folder.0.join("a")).unwrap(), b"old");
        records.write(1, "a", b"er", LAST).unwrap();
        assert_eq!(fs::read(folder.0.join("a")).unwrap(), b"newer");
        // What is not ended goes when the thread begins something else, and at the end.
        records.write(1, "a", b"x", FIRST).unwrap();
        records.write(1, "b", b"y", FIRST).unwrap();
        assert_eq!(folder.files(), ["a", "b.4.part"]);
        drop(records);
        assert_eq!(folder.files(), ["a"]);
    }

    #[test]
    fn pieces_out_of_order_are_refused_and_drop_what_was_begun() {
        let folder = Folder::new("order");
        let records = folder.open();
        assert_eq!(records.write(1, "a", b"x", 0), Err(Status::Invalid));
        assert_eq!(records.write(1, "a", b"x", LAST), Err(Status::Invalid));
        records.write(1, "a", b"x", FIRST).unwrap();
        assert_eq!(records.write(2, "a", b"x", LAST), Err(Status::Invalid));
        assert_eq!(records.write(1, "b", b"x", LAST), Err(Status::Invalid));
        assert_eq!(records.write(1, "a", b"x", LAST), Err(Status::Invalid));
        assert!(folder.files().is_empty());
    }

    #[test]
    fn writers_and_readers_on_several_threads_do_not_mix() {
        let folder = Folder::new("threads");
        let records = folder.open();
        records.write(1, "a", b"the first content", WHOLE).unwrap();
        let mut bytes = [0; 4];
        assert_eq!(records.read(1, "a", 0, &mut bytes), Ok(4));
        records.write(1, "a", b"1", FIRST).unwrap();
        records.write(2, "b", b"2", FIRST).unwrap();
        records.write(3, "a", b"3", FIRST).unwrap();
        records.write(2, "b", b"2", LAST).unwrap();
        records.write(3, "a", b"3", LAST).unwrap();
        assert_eq!(read(&records, 2, "a").as_deref(), Ok(&b"33"[..]));
        records.write(1, "a", b"1", LAST).unwrap();
        assert_eq!(read(&records, 2, "a").as_deref(), Ok(&b"11"[..]));
        assert_eq!(read(&records, 2, "b").as_deref(), Ok(&b"22"[..]));
        // A reader goes on in the content with which it began.
        assert_eq!(records.read(1, "a", 4, &mut bytes), Ok(4));
        assert_eq!(&bytes, b"firs");
        assert_eq!(read(&records, 1, "a").as_deref(), Ok(&b"11"[..]));
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let records = &records;
                scope.spawn(move || {
                    let name = ["same", "other"][usize::from(thread) % 2];
                    for _ in 0..50 {
                        let (tcs, piece) = (thread.into(), [thread; 1000]);
                        records.write(tcs, name, &piece, FIRST).unwrap();
                        records.write(tcs, name, &piece, LAST).unwrap();
                        let now = read(records, tcs, name).unwrap();
                        assert!(now.len() == 2000 && now.iter().all(|byte| *byte == now[0]));
                    }
                });
            }
        });
        assert_eq!(list(&records), ["a", "b", "other", "same"]);
    }

    #[test]
    fn what_a_crash_left_is_removed_and_foreign_files_are_ignored() {
        let folder = Folder::new("crash");
        drop(folder.open());
        let long = format!("{}.{}.part", "x".repeat(MAX_NAME), u64::MAX);
        let foreign = ["A", "a.part", "a.b.part", "B.1.part", "a.txt", ".hidden", "a b", "ä"];
        for name in ["a", "a.1.part", "b.77.part", &long].iter().chain(&foreign) {
            fs::write(folder.0.join(name), b"text").unwrap();
        }
        fs::create_dir(folder.0.join("folder")).unwrap();
        std::os::unix::fs::symlink("a", folder.0.join("link")).unwrap();
        let records = folder.open();
        assert_eq!(list(&records), ["a"]);
        let mut left = [&["a", "folder", "link"][..], &foreign].concat();
        left.sort_unstable();
        assert_eq!(folder.files(), left);
        // A record that somebody put back is found when the list begins anew.
        assert_eq!(records.next(Some("a")), Ok(None));
        fs::write(folder.0.join("b"), b"text").unwrap();
        assert_eq!(records.next(Some("a")), Ok(None));
        assert_eq!(list(&records), ["a", "b"]);
    }

    #[test]
    fn a_record_that_cannot_be_replaced_is_an_error_and_leaves_no_file() {
        let folder = Folder::new("blocked");
        let records = folder.open();
        fs::create_dir(folder.0.join("a")).unwrap();
        assert_eq!(records.write(1, "a", b"x", WHOLE), Err(Status::Io));
        assert_eq!(records.read(1, "a", 0, &mut [0]), Err(Status::Io));
        assert_eq!(folder.files(), ["a"]);
        assert!(list(&records).is_empty());
        fs::remove_dir_all(&folder.0).unwrap();
        assert_eq!(records.write(1, "a", b"x", WHOLE), Err(Status::Missing));
    }
}
