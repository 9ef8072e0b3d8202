//! The keys of volumes, as a user writes them.

use crate::failure::Failure;
use crate::input::{self, MAX_TEXT_BYTES};
use crate::signals;
use std::fmt;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use twine_host::shell_word;
use twine_protocol::key::{MAX_KEY_FILE_BYTES, MIN_KEY_FILE_BYTES, Scope, Sealing, VolumeKey};

/// The source of a key: `sealed`, `file:PATH` or `passphrase`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Sealed(Sealing),
    File(PathBuf),
    Passphrase(Option<Source>),
}

/// The source of a passphrase, if the command does not ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Environment(String),
    File(PathBuf),
}

/// The ways to write a key, for help and messages.
macro_rules! key_forms {
    () => {
        "sealed, sealed:image, sealed:any-program, sealed:image:any-program, \
         sealed:deployment, file:PATH, passphrase, passphrase:env:NAME or passphrase:file:PATH"
    };
}
pub(crate) use key_forms;

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no key; write {}", key_forms!());
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "sealed" => {
                let mut sealing = Sealing::default();
                for word in rest.split(':').filter(|word| !word.is_empty()) {
                    match word {
                        "image" => sealing.this_image = true,
                        "any-program" => sealing.scope = Scope::AnyProgram,
                        "deployment" => sealing = Sealing::DEPLOYMENT,
                        _ => return Err(bad()),
                    }
                }
                Ok(Key::Sealed(sealing))
            }
            "file" if !rest.is_empty() => Ok(Key::File(rest.into())),
            "passphrase" if rest.is_empty() => Ok(Key::Passphrase(None)),
            "passphrase" => match rest.split_once(':') {
                Some(("env", name)) if !name.is_empty() => {
                    Ok(Key::Passphrase(Some(Source::Environment(name.to_owned()))))
                }
                Some(("file", path)) if !path.is_empty() => {
                    Ok(Key::Passphrase(Some(Source::File(path.into()))))
                }
                _ => Err(bad()),
            },
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Key {
    /// Describes who can open a new volume with this key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Sealed(sealing) => {
                let enclaves =
                    if sealing.this_image { "this image" } else { "its signer's images" };
                let programs = match sealing.scope {
                    Scope::Program => "this program",
                    Scope::AnyProgram => "any program",
                    Scope::Deployment => "this deployment",
                };
                write!(f, "sealed to {programs} in {enclaves}")
            }
            Key::File(path) => write!(f, "opened by the key file {}", path.display()),
            Key::Passphrase(_) => f.write_str("opened by a passphrase"),
        }
    }
}

impl Key {
    /// Reads the key for the volume `volume`. Asks twice for the passphrase of a new one.
    pub(crate) fn get(&self, volume: &Path, new: bool) -> Result<VolumeKey, Failure> {
        match self {
            Key::Sealed(sealing) => Ok(VolumeKey::Sealed(*sealing)),
            Key::File(path) => key_file(path).map(VolumeKey::File),
            Key::Passphrase(source) => {
                let passphrase = match source {
                    Some(Source::Environment(name)) => std::env::var(name).map_err(|error| {
                        Failure::new(format!("${name}: {error}"), "set it to the passphrase")
                    })?,
                    Some(Source::File(path)) => {
                        let text = input::text(path, MAX_TEXT_BYTES)?;
                        let line = text.strip_suffix('\n').unwrap_or(&text);
                        line.strip_suffix('\r').unwrap_or(line).to_owned()
                    }
                    None => ask(volume, new)?,
                };
                if passphrase.is_empty() {
                    return Err(Failure::new("the passphrase is empty", "choose a long one"));
                }
                Ok(VolumeKey::Passphrase(passphrase))
            }
        }
    }
}

fn key_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let make = format!("make one: head -c 32 /dev/urandom > {}", shell_word(path.display()));
    let bytes = input::start(path, MAX_KEY_FILE_BYTES + 1)
        .map_err(|error| Failure::unreadable(path, &error))?;
    if bytes.len() > MAX_KEY_FILE_BYTES {
        return Err(Failure::new(
            format!(
                "{} is too large for a key file: more than {MAX_KEY_FILE_BYTES} bytes",
                path.display()
            ),
            make,
        ));
    }
    if bytes.len() < MIN_KEY_FILE_BYTES {
        return Err(Failure::new(
            format!(
                "{} is too short for a key file: {} bytes where {MIN_KEY_FILE_BYTES} are needed",
                path.display(),
                bytes.len()
            ),
            make,
        ));
    }
    Ok(bytes)
}

fn ask(volume: &Path, new: bool) -> Result<String, Failure> {
    if !std::io::stderr().is_terminal() {
        return Err(Failure::new(
            "there is no terminal to ask for a passphrase on",
            "give it by passphrase:env:NAME or passphrase:file:PATH",
        ));
    }
    let terminal = signals::Terminal::keep().map_err(|error| {
        Failure::new(
            format!("the terminal can't be used: {error}"),
            "give the passphrase by passphrase:env:NAME or passphrase:file:PATH",
        )
    })?;
    let prompt = |text: &str| {
        terminal
            .ask_hidden(&format!("{text} {}: ", volume.display()))
            .map_err(|error| Failure::new(format!("no passphrase was read: {error}"), "try again"))
    };
    let passphrase = prompt(if new { "New passphrase for" } else { "Passphrase for" })?;
    if new && prompt("Once more, for")? != passphrase {
        return Err(Failure::new("the two passphrases differ", "try again"));
    }
    Ok(passphrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written_in_the_help() {
        let sealed = |this_image, scope| Key::Sealed(Sealing { this_image, scope });
        for (text, key) in [
            ("sealed", sealed(false, Scope::Program)),
            ("sealed:image", sealed(true, Scope::Program)),
            ("sealed:any-program", sealed(false, Scope::AnyProgram)),
            ("sealed:image:any-program", sealed(true, Scope::AnyProgram)),
            ("sealed:deployment", sealed(true, Scope::Deployment)),
            ("file:a:b", Key::File("a:b".into())),
            ("passphrase", Key::Passphrase(None)),
            ("passphrase:env:P", Key::Passphrase(Some(Source::Environment("P".into())))),
            ("passphrase:file:p", Key::Passphrase(Some(Source::File("p".into())))),
        ] {
            assert_eq!(text.parse(), Ok(key), "{text}");
        }
        for text in ["", "seal", "sealed:x", "file", "file:", "passphrase:x", "passphrase:env:"] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }
}
