//! ripgrep from the npm package of that name, where it is inside a JavaScript file, compressed with
//! Brotli and encoded in Z85.

use super::Guests;
use crate::debian::packages;
use crate::process::{Failure, Result, command, say, succeed};
use std::fs;

/// Extracts ripgrep 15.1.0.
pub(super) fn program(guests: &Guests) -> Result<()> {
    const SHA256: &str = "a8762bca634e3ad3371957a2800e2354ce7866c47039e6c842069df588878b60";
    let Some(stale) = guests.stale("ripgrep", SHA256, &[])? else { return Ok(()) };
    let file = guests.npm("ripgrep@0.3.1", SHA256, "1 MB", "package/lib/_rg.wasm.mjs")?;
    packages(&["brotli"])?;
    say(format_args!("unpacking {}", guests.shown("ripgrep")));
    let script = fs::read_to_string(file)?;
    let broken = || Failure::new("the npm package ripgrep has another form than expected");
    let compressed = embedded(&script).ok_or_else(broken)?;
    let folder = guests.fresh_folder("ripgrep")?;
    fs::write(folder.join("ripgrep.wasm.br"), compressed)?;
    succeed(command("brotli", &folder).args(["--decompress", "--rm", "ripgrep.wasm.br"]))?;
    fs::rename(folder.join("ripgrep.wasm"), guests.out("ripgrep"))?;
    stale.made()
}

/// Returns the bytes that the script contains.
fn embedded(script: &str) -> Option<Vec<u8>> {
    let (_, length) = script.split_once("const compressedByteLength = ")?;
    let (length, _) = length.split_once(';')?;
    let (_, text) = script.split_once("const getEncoded = () => \"")?;
    let (text, _) = text.split_once('"')?;
    let mut bytes = z85(text)?;
    bytes.truncate(length.parse().ok()?);
    Some(bytes)
}

/// Decodes Z85 (ZeroMQ's RFC 32): five characters for four bytes.
fn z85(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &str =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    let mut bytes = Vec::with_capacity(text.len() / 5 * 4);
    for five in text.as_bytes().chunks(5) {
        let mut word: u32 = 0;
        for &character in five {
            let digit = DIGITS.find(char::from(character))?;
            word = word.checked_mul(85)?.checked_add(digit as u32)?;
        }
        bytes.extend(word.to_be_bytes());
    }
    text.len().is_multiple_of(5).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z85_is_decoded_as_its_rfc_shows() {
        let bytes = [0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b];
        assert_eq!(z85("HelloWorld"), Some(bytes.to_vec()));
        assert_eq!(z85("Hell"), None);
        assert_eq!(z85("Hell\""), None);
        assert_eq!(z85("#####"), None);
    }

    #[test]
    fn the_payload_of_a_script_ends_at_its_declared_length() {
        let script = "const compressedByteLength = 6;\nconst getEncoded = () => \"HelloWorld\";\n";
        assert_eq!(embedded(script), Some(vec![0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59]));
        assert_eq!(embedded("nothing"), None);
    }
}
