//! The first command of the README: from a fresh checkout to a database in an enclave.

use crate::process::{Failure, Result, command, output, say};
use crate::{enclave, guests};
use std::fs;
use std::path::Path;

const DATABASE: &str = "target/demo.db";

/// The text that the host must not find in its file.
const SECRET: &str = "the treasure is under the old oak";

/// Installs missing packages, builds the image and the command, and creates a database in the
/// enclave.
pub(crate) fn run(root: &Path) -> Result<()> {
    let twine = enclave::image(root)?;
    guests::sqlite_shell(root)?;
    let twine = twine.strip_prefix(root).unwrap_or(&twine).display().to_string();
    let database = root.join(DATABASE);
    if database.exists() {
        fs::remove_file(&database)?;
    }
    let sqlite = |sql: &str| -> Result<String> {
        say(format_args!("{twine} sqlite {DATABASE} \"{sql}\""));
        let printed = output(command(&format!("./{twine}"), root).args(["sqlite", DATABASE, sql]))?;
        print!("{printed}");
        Ok(printed)
    };
    sqlite(&format!("CREATE TABLE notes(text); INSERT INTO notes VALUES ('{SECRET}')"))?;
    if sqlite("SELECT text FROM notes")?.trim() != SECRET {
        return Err(Failure::new("the database gave back something else than was put into it"));
    }
    let held = fs::read(&database)?;
    let found = |text: &[u8]| held.windows(text.len()).any(|window| window == text);
    if found(SECRET.as_bytes()) || found(b"CREATE TABLE") || found(b"SQLite format") {
        return Err(Failure::new(format!("{DATABASE} holds what it should hide")));
    }
    say(format_args!(
        "{DATABASE}, {} KiB, is all that this machine has of it: neither the text, nor the table, \
         nor that it is SQLite's can be found there",
        held.len() / 1024
    ));
    say(format_args!("try it: {twine} sqlite {DATABASE}, or {twine} --help"));
    Ok(())
}
