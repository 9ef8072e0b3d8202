//! Shared code of the fuzz targets: reads the fields of an input, and writes the first inputs of
//! targets.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::path::PathBuf;
use std::{env, fs, io};

/// The rest of an input. Fields are taken from its front; after its end, zeros follow.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Makes an input of these bytes.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Input(bytes)
    }

    /// Takes the next `length` bytes, or as many as are left.
    #[inline]
    pub fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (field, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        field
    }

    /// Takes the next `N` bytes, at most 8, as a little-endian number.
    #[inline]
    pub fn number<const N: usize>(&mut self) -> u64 {
        let mut wide = [0; 8];
        let field = self.bytes(N);
        wide[..field.len()].copy_from_slice(field);
        u64::from_le_bytes(wide)
    }

    /// Takes the next byte.
    #[inline]
    pub fn u8(&mut self) -> u8 {
        self.number::<1>() as u8
    }

    /// Takes a number below `end`, from two bytes; 0 if `end` is 0.
    #[inline]
    pub fn below(&mut self, end: usize) -> usize {
        (self.number::<2>() as usize).checked_rem(end).unwrap_or(0)
    }

    /// Whether no bytes are left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Does all the work of a crate's example `seeds`: writes the inputs, each with the name of its
/// target, as `TARGET/seed-NUMBER` into the folder that the command line names.
///
/// # Errors
/// An error if no folder is named, or a file cannot be written.
pub fn write_seeds(seeds: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: seeds FOLDER"));
    };
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (target, bytes) in seeds {
        let count = counts.entry(target).or_default();
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{count:03}")), bytes)?;
        *count += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_from_the_front_and_zeros_follow_the_end() {
        let mut input = Input::new(&[1, 2, 3, 4, 5]);
        assert_eq!(input.u8(), 1);
        assert_eq!(input.number::<2>(), 0x0302);
        assert_eq!(input.below(3), 0x0504 % 3);
        assert!(input.is_empty());
        assert_eq!((input.number::<8>(), input.below(0), input.bytes(4)), (0, 0, &[][..]));
    }
}
