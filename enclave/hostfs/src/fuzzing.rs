//! The function that the fuzz target in `fuzz/` calls.
//!
//! A host answers each request to its folder with bytes of the input. The function panics if a
//! result violates the contract of [`FileSystem`]. Only the fuzz target needs the feature of this
//! module.

use crate::{FIRST_COOKIE, Folder, MAX_TARGET_BYTES};
use std::sync::Mutex;
use twine_boundary::Boundary;
use twine_protocol::calls::{RawCall, number};
use twine_protocol::folder::Answer;
use twine_protocol::wire::TRANSFER_BUFFER_SIZE;
use twine_vfs::{Change, FileKind, FileSystem, Inode, Mode, Result, Stamp, check_name};

/// Limit on the entries that are read, because a host can return the same ones for ever.
const MAX_ENTRIES: usize = 200;

/// A host: its transfer buffer, and the answers that it has not given yet, each after its length.
struct Host(Mutex<(Vec<u64>, Vec<u8>)>);

impl RawCall for &Host {
    fn raw_call(&self, call: u64, _arguments: [u64; 4]) -> (u64, u64) {
        let mut held = self.0.lock().expect("nobody panicked");
        let (buffer, answers) = &mut *held;
        if call == number::transfer_buffer {
            return (buffer.as_ptr() as u64, TRANSFER_BUFFER_SIZE);
        }
        // At the end of the input every call fails.
        let Some((length, rest)) = answers.split_first_chunk::<2>() else { return (1, 0) };
        let length = u16::from_le_bytes(*length);
        let more = usize::from(length % 4096).min(rest.len());
        let bytes = &rest[..more];
        for (word, bytes) in buffer.iter_mut().zip(bytes.chunks(8)) {
            let mut wide = [0; 8];
            wide[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(wide);
        }
        // Some answers claim to be longer than they are.
        let told = if length >> 12 == 15 { u64::from(length) << 4 } else { more as u64 };
        answers.drain(..more + 2);
        (0, told)
    }
}

/// Makes requests to a folder. The first byte of the input chooses the first request, and the rest
/// are the answers.
pub fn folder(bytes: &[u8]) {
    let Some((first, answers)) = bytes.split_first() else { return };
    let held = (vec![0; TRANSFER_BUFFER_SIZE as usize / 8], answers.to_vec());
    let host = Host(Mutex::new(held));
    let boundary = Boundary::new(&host, 0..8);
    let Ok(mut folder) = Folder::open(&boundary, 0, first & 128 != 0) else { return };
    let mut what = *first;
    loop {
        let before = remaining(&host);
        let _ = one(&mut folder, what % 20);
        if remaining(&host) < 2 || what.abs_diff(*first) > 40 {
            return;
        }
        assert!(remaining(&host) < before || folder.read_only(), "nothing was asked");
        what = what.wrapping_add(1);
    }
}

fn remaining(host: &Host) -> usize {
    host.0.lock().expect("nobody panicked").1.len()
}

fn one(folder: &mut Folder<'_, &Host>, what: u8) -> Result<()> {
    let inode = folder.root();
    let mut bytes = [0; 600];
    match what {
        0 => drop(folder.lookup(inode, "name")?),
        1 => {
            let attributes = folder.attributes(inode)?;
            assert!(attributes.kind != FileKind::Directory || attributes.links <= 1);
            assert_eq!(attributes.mode.is_none(), attributes.kind == FileKind::SymbolicLink);
            assert!(attributes.mode.is_none_or(|mode| mode.bits() <= 0o777));
        }
        2 => folder.set_times(inode, Stamp::Now, Stamp::At(1))?,
        3 => folder.set_mode(inode, Mode::new(0o640))?,
        4 => drop(folder.create_file(inode, "name")?),
        5 => folder.create_directory(inode, "name")?,
        6 => folder.create_symbolic_link(inode, "name", "target")?,
        7 => assert!(folder.read_link(inode)?.len() <= MAX_TARGET_BYTES),
        8 => folder.link(inode, Inode(2), "name")?,
        9 => folder.unlink(inode, "name")?,
        10 => folder.remove_directory(inode, "name")?,
        11 => folder.rename(inode, "name", Inode(2), "other")?,
        12 | 13 => {
            let mut count = 0;
            folder.entries(inode, 0, &mut |entry| {
                assert_eq!(check_name(entry.name), Ok(()));
                assert!(entry.cookie >= FIRST_COOKIE);
                count += 1;
                count < MAX_ENTRIES
            })?;
        }
        14 => assert!(folder.read(inode, 5, &mut bytes)? <= bytes.len()),
        15 => {
            let data = folder.next_data(inode, 4096)?;
            assert!(data.is_none_or(|at| at >= 4096));
        }
        16 => assert_eq!(folder.write(inode, 5, &bytes)?, bytes.len()),
        17 => folder.set_size(inode, 5)?,
        18 => {
            folder.allocate(inode, 0, 4096)?;
            folder.sync(inode, Change::Data)?;
        }
        _ => drop(folder.usage()?),
    }
    Ok(())
}

/// Inputs for the target: for each first request, all kinds of answers one after the other.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let framed = |answer: &Answer| {
        let bytes = answer.encode();
        [&(bytes.len() as u16).to_le_bytes(), &bytes[..]].concat()
    };
    let root = framed(&Answer::Inode(1));
    let answers: Vec<u8> = twine_protocol::fuzzing::answers().iter().flat_map(framed).collect();
    (0..20).map(|first| ("folder", [&[first], &root[..], &answers].concat())).collect()
}
