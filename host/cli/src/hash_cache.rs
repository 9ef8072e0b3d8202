//! Caches the SHA-256 of large programs, so that a later start need not read the whole file. The
//! hash only selects the cached code: the enclave itself hashes the program that it runs.

use crate::program::Program;
use crate::xdg;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};
use twine_evidence::bytes::to_hex;

/// The extension of the files that hold a hash.
const EXTENSION: &str = "known";

/// Only the hash of a file that was last changed at least this long ago is cached. The clocks of
/// file systems are coarse: two changes in quick succession can leave the same time.
const MIN_AGE: Duration = Duration::from_secs(2);

/// Returns the SHA-256 of a program: the one cached in `folder` if the file has not changed since,
/// otherwise computed and cached.
pub(crate) fn sha256(program: &Program, folder: &Path) -> io::Result<[u8; 32]> {
    sha256_of_age(program, folder, MIN_AGE)
}

fn sha256_of_age(program: &Program, folder: &Path, min_age: Duration) -> io::Result<[u8; 32]> {
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
    if !was_known && same && age(&before) >= min_age {
        // If this fails, the next start hashes the file again.
        let _ = xdg::make_folder(&note);
        let _ = fs::write(note, format!("{begin}{}\n", to_hex(&sha256)));
    }
    Ok(sha256)
}

/// Removes all cached hashes.
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

/// Returns a text that changes when the file is written to.
fn identity(file: &Metadata) -> String {
    let [modified, changed] =
        [(file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec())]
            .map(|(seconds, nanoseconds)| format!("{seconds}.{nanoseconds:09}"));
    format!("{} {modified} {changed} ", file.len())
}

/// Returns the time since a file was last changed.
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

    fn after(min_age: Duration, path: &Path, folder: &Path) -> [u8; 32] {
        sha256_of_age(&Program::read(path).unwrap(), folder, min_age).unwrap()
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

        // A cached hash is used, and a malformed one is not.
        let other = noted.replace(&to_hex(&of(&program, &cache)), &"0".repeat(64));
        fs::write(note, &other).unwrap();
        assert_eq!(of(&program, &cache), [0; 32]);
        for broken in [&other[..other.len() - 1], &other[1..], ""] {
            fs::write(note, broken).unwrap();
            assert_eq!(of(&program, &cache)[..], Sha256::digest(bytes(1))[..]);
            assert_eq!(fs::read_to_string(note).unwrap(), noted);
        }

        // Same length and modification time: the inode's change time differs.
        let modified = fs::metadata(&program).unwrap().modified().unwrap();
        fs::write(&program, bytes(2)).unwrap();
        File::options().write(true).open(&program).unwrap().set_modified(modified).unwrap();
        assert_eq!(of(&program, &cache)[..], Sha256::digest(bytes(2))[..]);
        clear(&cache).unwrap();
        assert!(notes(&cache).is_empty());
        fs::remove_dir_all(folder).unwrap();
    }
}
