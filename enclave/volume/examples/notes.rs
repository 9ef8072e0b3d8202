//! Keeps notes in a protected volume: adds a line, if one is given, and prints all lines.
//!
//! ```sh
//! cargo run -p twine-volume --example notes -- notes.vol notes.key "buy bread"
//! ```
//!
//! The volume is created if it does not exist. The key file must exist and have at least 32 random
//! bytes: `head -c 32 /dev/urandom > notes.key`.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::process::ExitCode;
use twine_vfs::{Change, Error as FileError, FileSystem};
use twine_volume::{FileStorage, NewSlot, Options, Secret, Volume};

const NAME: &str = "notes.txt";

fn open(path: &str, key: &[u8]) -> Result<Volume, Box<dyn Error>> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    // Only one program at a time may open a volume.
    file.try_lock()?;
    let is_new = file.metadata()?.len() == 0;
    let storage = Box::new(FileStorage::new(file));
    Ok(if is_new {
        Volume::create(storage, &[NewSlot::key_file(key)?], Options::default())?
    } else {
        Volume::open(storage, &mut Secret::key_file(key), Options::default())?
    })
}

fn notes(path: &str, key: &str, line: Option<&str>) -> Result<String, Box<dyn Error>> {
    let mut volume = open(path, &fs::read(key)?)?;
    if let Some(dropped) = volume.dropped() {
        eprintln!("notes: {dropped}");
    }
    let root = volume.root();
    let file = match volume.lookup(root, NAME) {
        Err(FileError::NotFound) => volume.create_file(root, NAME)?,
        found => found?,
    };
    if let Some(line) = line {
        let bytes = format!("{line}\n").into_bytes();
        let end = volume.attributes(file)?.size;
        let mut done = 0;
        while done < bytes.len() {
            done += volume.write(file, end + done as u64, &bytes[done..])?;
        }
        // From here on the line survives the end of the machine.
        volume.sync(file, Change::All)?;
    }
    let size = usize::try_from(volume.attributes(file)?.size)?;
    let mut bytes = vec![0; size];
    let length = volume.read(file, 0, &mut bytes)?;
    bytes.truncate(length);
    volume.close()?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        [path, key] => notes(path, key, None),
        [path, key, line] => notes(path, key, Some(line)),
        _ => Err("usage: notes VOLUME KEY_FILE [LINE]".into()),
    };
    match result {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("notes: {error}");
            ExitCode::FAILURE
        }
    }
}
