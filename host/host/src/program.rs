//! The bytes of a program, from which the enclave copies it.

use crate::mapping::Mapping;
use std::fs::File;
use std::io;
use twine_protocol::calls::HostRange;

/// A program for an enclave to run: bytes in memory, or a file.
#[derive(Debug)]
pub struct Program(Contents);

#[derive(Debug)]
enum Contents {
    /// Bytes, padded to whole words.
    Memory { words: Box<[u64]>, length: usize },
    /// A mapped file. If the file changes while the enclave copies it, the identity of the program is
    /// that of the copy.
    File(Mapping),
}

impl Program {
    /// Maps the first `length` bytes of a file. The enclave reads them from a mapping; the host
    /// makes no copy.
    ///
    /// # Errors
    /// If the file can't be mapped.
    pub fn of_file(file: &File, length: u64) -> io::Result<Self> {
        Ok(Program(Contents::File(Mapping::new(file, length)?)))
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        match &self.0 {
            Contents::Memory { length, .. } => *length,
            Contents::File(mapping) => mapping.length() as usize,
        }
    }

    /// Whether the length is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes, for the enclave.
    pub(crate) fn location(&self) -> HostRange {
        let pointer = match &self.0 {
            Contents::Memory { words, .. } => words.as_ptr() as u64,
            Contents::File(mapping) => {
                mapping.populate();
                mapping.address() as u64
            }
        };
        HostRange { pointer, length: self.len() as u64 }
    }

    /// See [`Mapping::patch`]. Returns whether the address is in the program's mapping.
    pub(crate) fn patch(&self, address: u64) -> bool {
        matches!(&self.0, Contents::File(mapping) if mapping.patch(address).is_some())
    }
}

impl Default for Program {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl From<Vec<u8>> for Program {
    fn from(bytes: Vec<u8>) -> Self {
        Program(Contents::Memory { words: words(&bytes), length: bytes.len() })
    }
}

/// Copies bytes to memory that is aligned to words and never moves, padded with zeros.
pub(crate) fn words(bytes: &[u8]) -> Box<[u64]> {
    let (whole, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    whole.iter().chain([&last]).map(|word| u64::from_le_bytes(*word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn given(program: &Program) -> Vec<u8> {
        let HostRange { pointer: address, length } = program.location();
        assert!(address.is_multiple_of(8) && length == program.len() as u64);
        // SAFETY: the program has that many bytes there, and nothing changes them.
        unsafe { std::slice::from_raw_parts(address as *const u8, length as usize) }.to_vec()
    }

    #[test]
    fn a_file_and_its_bytes_are_the_same_program() {
        let path = std::env::temp_dir().join(format!("twine-program-{}", std::process::id()));
        for length in [1, 7, 8, 4095, 4096, 10_001] {
            let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
            fs::write(&path, &bytes).unwrap();
            let program = Program::of_file(&File::open(&path).unwrap(), length).unwrap();
            assert_eq!(given(&program), bytes);
            assert_eq!(given(&bytes.clone().into()), bytes);
        }
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_truncated_program_file_reads_as_zeros() {
        let path = std::env::temp_dir().join(format!("twine-cut-{}", std::process::id()));
        fs::write(&path, vec![7; 3 * 4096]).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let program = Program::of_file(&file, 3 * 4096).unwrap();
        file.set_len(4096).unwrap();
        let address = program.location().pointer;
        assert!(program.patch(address + 4096) && program.patch(address + 2 * 4096 + 9));
        assert!(!program.patch(address - 1) && !program.patch(address + 3 * 4096));
        assert_eq!(given(&program), [vec![7; 4096], vec![0; 2 * 4096]].concat());
        fs::remove_file(path).unwrap();
    }
}
