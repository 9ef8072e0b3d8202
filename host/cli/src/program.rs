//! Reading a program.

use crate::failure::Failure;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use twine_protocol::wire::MAX_PROGRAM;

/// The bytes of the program at `path`. Text format becomes binary here; the enclave
/// sees the binary, and the binary is what is identified.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        let remedy = match error.kind() {
            ErrorKind::NotFound => "check the path",
            ErrorKind::IsADirectory => "name a .wasm or .wat file, not a folder",
            _ => "check the path and its permissions",
        };
        Failure::new(format!("{} can't be read: {error}", path.display()), remedy)
    };
    let mut bytes = Vec::new();
    // One more than allowed shows that it is too long without reading all of it.
    File::open(path)
        .and_then(|file| file.take(MAX_PROGRAM + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_PROGRAM {
        return Err(Failure::new(
            format!("{} is larger than {} MiB", path.display(), MAX_PROGRAM >> 20),
            "a program this large can't be run",
        ));
    }
    let text = path.extension().is_some_and(|extension| extension == "wat");
    if text || (!bytes.starts_with(b"\0asm") && is_text(&bytes)) {
        return text_to_binary(path, &bytes);
    }
    Ok(bytes)
}

/// Whether these bytes start as WebAssembly's text format does, behind blanks and comments.
fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        let start = text.trim_start();
        start.starts_with("(module") || start.starts_with("(component") || start.starts_with(";;")
    })
}

fn text_to_binary(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    wat::Parser::new().parse_bytes(Some(path), bytes).map(Vec::from).map_err(|error| {
        let cause = error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
        Failure::new(
            format!("{} is no WebAssembly text: {cause}", path.display()),
            "correct the text",
        )
    })
}
