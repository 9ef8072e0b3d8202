//! Reads whole files, each up to a limit: a device or a large file must not fill the memory.

use crate::failure::Failure;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Limit on the size of a text, such as a manifest in TOML or a key in PEM, and of a request to sign
/// an image, in bytes.
pub(crate) const MAX_TEXT_BYTES: usize = 2 << 20;

/// Reads a file, but not more than `most` bytes.
///
/// # Errors
/// It can't be opened or read.
pub(crate) fn start(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    to(most, File::open(path)?)
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// It can't be read, or is larger.
pub(crate) fn whole(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let bytes =
        start(path, limit.saturating_add(1)).map_err(|error| Failure::unreadable(path, &error))?;
    if bytes.len() > limit {
        return Err(Failure::new(
            format!("{} is larger than {limit} bytes, and is not read", path.display()),
            "name the right file",
        ));
    }
    Ok(bytes)
}

/// Reads a text of at most `limit` bytes from a file.
///
/// # Errors
/// It can't be read, is larger, or is not UTF-8.
pub(crate) fn text(path: &Path, limit: usize) -> Result<String, Failure> {
    String::from_utf8(whole(path, limit)?).map_err(|_| {
        Failure::new(format!("{} is no text in UTF-8", path.display()), "name the right file")
    })
}

/// Reads a file, or the standard input for `-`, but not more than `limit` bytes and one: the reader
/// of its format then refuses it.
///
/// # Errors
/// It can't be read.
pub(crate) fn whole_or_standard(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let most = limit.saturating_add(1);
    let read = match path == Path::new("-") {
        true => to(most, io::stdin().lock()),
        false => start(path, most),
    };
    read.map_err(|error| Failure::unreadable(path, &error))
}

fn to(most: usize, from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_without_an_end_is_refused() {
        let failure = whole(Path::new("/dev/zero"), 1000).unwrap_err();
        assert_eq!(failure.cause(), "/dev/zero is larger than 1000 bytes, and is not read");
        assert_eq!(start(Path::new("/dev/zero"), 3).unwrap(), [0; 3]);
        assert_eq!(whole_or_standard(Path::new("/dev/zero"), 1000).unwrap().len(), 1001);
    }

    #[test]
    fn a_file_as_large_as_the_limit_is_read() {
        let length = std::fs::read("Cargo.toml").unwrap().len();
        assert_eq!(whole(Path::new("Cargo.toml"), length).unwrap().len(), length);
        assert!(whole(Path::new("Cargo.toml"), length - 1).is_err());
    }
}
