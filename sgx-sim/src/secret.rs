//! The file of the root secret of a user's simulated machine.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::device::{ROOT_SECRET_SIZE, random};
use crate::error::RootSecretError;

type Secret = [u8; ROOT_SECRET_SIZE];

/// Returns this user's root secret. Makes one if there is none.
pub(crate) fn of_this_user() -> Result<Secret, RootSecretError> {
    let state = state_folder(env::var_os("XDG_STATE_HOME").map(PathBuf::from), env::home_dir())?;
    read_or_make(&state.join("sgx-sim").join("root-secret"))
}

/// Follows the XDG base directory specification, which ignores relative paths.
fn state_folder(state: Option<PathBuf>, home: Option<PathBuf>) -> Result<PathBuf, RootSecretError> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let default = || home.filter(absolute).map(|home| home.join(".local/state"));
    state.filter(absolute).or_else(default).ok_or(RootSecretError::NoFolder)
}

fn read_or_make(path: &Path) -> Result<Secret, RootSecretError> {
    match read(path)? {
        Some(secret) => return Ok(secret),
        None => {
            make(path).map_err(|source| RootSecretError::Make { path: path.to_owned(), source })?
        }
    }
    read(path)?.ok_or_else(|| RootSecretError::Make {
        path: path.to_owned(),
        source: ErrorKind::NotFound.into(),
    })
}

/// Reads the secret from a file that only its user may access. `None` if the file does not exist.
fn read(path: &Path) -> Result<Option<Secret>, RootSecretError> {
    let path = || path.to_owned();
    let failed = |source: io::Error| RootSecretError::Read { path: path(), source };
    let mut file = match File::open(path()) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let denied = error.kind() == ErrorKind::PermissionDenied;
            let owner = denied.then(|| owner_if_another(&path())).flatten();
            return Err(match owner {
                Some(owner) => RootSecretError::Foreign { path: path(), owner },
                None => failed(error),
            });
        }
    };
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(RootSecretError::Shared { path: path(), mode });
    }
    let mut bytes = Vec::new();
    (&mut file).take(ROOT_SECRET_SIZE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let secret = bytes.try_into().map_err(|_| RootSecretError::Damaged { path: path() })?;
    Ok(Some(secret))
}

/// Returns the owner of the file, or of the nearest folder above it with readable metadata, if that
/// is another user.
fn owner_if_another(path: &Path) -> Option<u32> {
    // SAFETY: geteuid takes nothing and always succeeds.
    let user = unsafe { libc::geteuid() };
    let owner = path.ancestors().find_map(|path| fs::metadata(path).ok())?.uid();
    (owner != user).then_some(owner)
}

/// Makes the file. Two processes may do so at the same time: each writes its own draft beside it,
/// and the first to link its draft into place has made the file for both.
fn make(path: &Path) -> io::Result<()> {
    let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let tag: [u8; 8] = random()?;
    let draft = path.with_extension(format!("{:016x}", u64::from_le_bytes(tag)));
    let linked = write(&draft, &random::<ROOT_SECRET_SIZE>()?)
        .and_then(|()| fs::hard_link(&draft, path))
        // Sealed data may reach the disk before this file would without a sync.
        .and_then(|()| File::open(folder)?.sync_all());
    // The draft has another name now, or is useless.
    let _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn write(path: &Path, secret: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(secret)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::thread;

    fn folder(name: &str) -> PathBuf {
        env::temp_dir().join(format!("sgx-sim-secret-{name}-{}", std::process::id()))
    }

    #[test]
    fn the_root_secret_is_created_once_and_readable_by_its_user_only() {
        let folder = folder("once");
        let path = folder.join("state").join("root-secret");
        let first = read_or_make(&path).unwrap();
        assert_eq!(read_or_make(&path).unwrap(), first);
        assert_ne!(first, [0; ROOT_SECRET_SIZE]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let entries = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(entries, 1, "drafts are removed");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn concurrent_first_users_get_the_same_secret() {
        let folder = folder("race");
        let path = folder.join("deep/er/root-secret");
        let secrets: Vec<Secret> = thread::scope(|scope| {
            let all: Vec<_> =
                (0..16).map(|_| scope.spawn(|| read_or_make(&path).unwrap())).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_secret_that_is_damaged_or_open_to_others_is_neither_used_nor_replaced() {
        let folder = folder("damaged");
        let path = folder.join("root-secret");
        let secret = read_or_make(&path).unwrap();
        for bytes in [&b""[..], b"short", &[7; ROOT_SECRET_SIZE + 1]] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(read_or_make(&path), Err(RootSecretError::Damaged { .. })));
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        fs::write(&path, secret).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read_or_make(&path).unwrap_err();
        assert!(matches!(error, RootSecretError::Shared { mode: 0o640, .. }), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_in_place_of_the_secrets_folder_is_an_error() {
        let folder = folder("way");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), "").unwrap();
        let error = read_or_make(&folder.join("file/sgx-sim/root-secret")).unwrap_err();
        assert!(matches!(error, RootSecretError::Read { .. }), "{error}");
        fs::remove_dir_all(&folder).unwrap();
        // Nothing can be created there.
        let error = read_or_make(Path::new("/proc/self/sgx-sim/root-secret")).unwrap_err();
        assert!(matches!(error, RootSecretError::Make { .. }), "{error}");
    }

    #[test]
    fn relative_and_empty_folders_are_ignored() {
        let of = |state: &str, home: &str| state_folder(Some(state.into()), Some(home.into()));
        assert_eq!(of("/s", "/h").unwrap(), Path::new("/s"));
        assert_eq!(of("s", "/h").unwrap(), Path::new("/h/.local/state"));
        assert_eq!(of("", "/h").unwrap(), Path::new("/h/.local/state"));
        for home in ["", "h"] {
            assert!(matches!(of("s", home), Err(RootSecretError::NoFolder)));
        }
        assert!(matches!(state_folder(None, None), Err(RootSecretError::NoFolder)));
    }
}
