//! The SHA-256 of large programs that were run before, so that a later start need not read them
//! for it. What is noted here only says which code to look for: the enclave hashes what it runs.

use crate::measure::hex;
use crate::program::Program;
use crate::xdg;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Of the files that hold the notes.
const EXTENSION: &str = "known";

/// How long ago a file must have been changed to be noted: one that changes again at once can look
/// the same, for clocks of file systems are coarse.
const SETTLED: Duration = Duration::from_secs(2);

/// The SHA-256 of a program: as noted in `folder` if its file is the same since, else computed, and
/// noted.
pub(crate) fn sha256(program: &Program, folder: &Path) -> io::Result<[u8; 32]> {
    sha256_settled(program, folder, SETTLED)
}

fn sha256_settled(program: &Program, folder: &Path, after: Duration) -> io::Result<[u8; 32]> {
    let Some(before) = program.metadata() else { return program.sha256() };
    let note = folder.join(format!("{:x}-{:x}", before.dev(), before.ino()));
    let note = note.with_extension(EXTENSION);
    let begin = identity(&before);
    let mut was_known = false;
    let sha256 = program.sha256_or(|| {
        let known = read(&note, &begin);
        was_known = known.is_some();
        known
    })?;
    let same = program.metadata().is_some_and(|metadata| identity(&metadata) == begin);
    if !was_known && same && age(&before) >= after {
        // Without the note, the next start hashes the file again.
        let _ = xdg::make_folder(&note);
        let _ = fs::write(note, format!("{begin}{}\n", hex(&sha256)));
    }
    Ok(sha256)
}

/// Removes all notes.
pub(crate) fn clear(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// What is another for a file that was written to.
fn identity(file: &Metadata) -> String {
    let [modified, changed] =
        [(file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec())]
            .map(|(seconds, nanoseconds)| format!("{seconds}.{nanoseconds:09}"));
    format!("{} {modified} {changed} ", file.len())
}

/// How long ago a file was changed.
fn age(file: &Metadata) -> Duration {
    let changed = u64::try_from(file.ctime()).map(Duration::from_secs).unwrap_or_default();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(changed)
}

fn read(note: &Path, identity: &str) -> Option<[u8; 32]> {
    let text = fs::read_to_string(note).ok()?;
    let digits = text.strip_prefix(identity)?.strip_suffix('\n')?;
    let mut sha256 = [0; 32];
    if digits.len() != 2 * sha256.len() || !digits.is_ascii() {
        return None;
    }
    for (at, byte) in sha256.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};
    use std::fs::File;

    fn bytes(last: u8) -> Vec<u8> {
        let mut bytes = b"\0asm".to_vec();
        bytes.resize(2 << 20, 1);
        bytes.push(last);
        bytes
    }

    fn after(settled: Duration, path: &Path, folder: &Path) -> [u8; 32] {
        sha256_settled(&Program::read(path).unwrap(), folder, settled).unwrap()
    }

    fn of(path: &Path, folder: &Path) -> [u8; 32] {
        after(Duration::ZERO, path, folder)
    }

    fn notes(folder: &Path) -> Vec<std::path::PathBuf> {
        fs::read_dir(folder).map_or(Vec::new(), |all| all.map(|e| e.unwrap().path()).collect())
    }

    #[test]
    fn a_file_that_changed_is_hashed_again() {
        let folder = std::env::temp_dir().join(format!("twine-known-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join("program.wasm");
        let cache = folder.join("cache");
        fs::write(&program, bytes(1)).unwrap();
        let hour = Duration::from_secs(3600);
        assert_eq!(after(hour, &program, &cache)[..], Sha256::digest(bytes(1))[..]);
        assert!(notes(&cache).is_empty(), "it was written just now");

        assert_eq!(of(&program, &cache)[..], Sha256::digest(bytes(1))[..]);
        let [note] = &notes(&cache)[..] else { panic!("it is noted") };
        let noted = fs::read_to_string(note).unwrap();
        assert_eq!(of(&program, &cache)[..], Sha256::digest(bytes(1))[..]);

        // What is noted is taken, and what is no note is not.
        let other = noted.replace(&hex(&of(&program, &cache)), &"0".repeat(64));
        fs::write(note, &other).unwrap();
        assert_eq!(of(&program, &cache), [0; 32]);
        for broken in [&other[..other.len() - 1], &other[1..], ""] {
            fs::write(note, broken).unwrap();
            assert_eq!(of(&program, &cache)[..], Sha256::digest(bytes(1))[..]);
            assert_eq!(fs::read_to_string(note).unwrap(), noted);
        }

        // The same length and time of modification: the system's own time of the change tells.
        let modified = fs::metadata(&program).unwrap().modified().unwrap();
        fs::write(&program, bytes(2)).unwrap();
        File::options().write(true).open(&program).unwrap().set_modified(modified).unwrap();
        assert_eq!(of(&program, &cache)[..], Sha256::digest(bytes(2))[..]);
        clear(&cache).unwrap();
        assert!(notes(&cache).is_empty());
        fs::remove_dir_all(folder).unwrap();
    }
}
