//! Arguments and environment.

use crate::SetupError;
use crate::transfer::length_of;
use crate::types::Result;
use crate::types::Size;
use wiggle::{GuestMemory, GuestPtr};

/// A list of strings, for `args_get` and `environ_get`.
pub(crate) struct Strings {
    strings: Vec<Vec<u8>>,
    /// The number of strings.
    count: u32,
    /// Size of all strings, each with its NUL, in bytes.
    size: u32,
}

impl Strings {
    pub(crate) fn new(what: &'static str, mut strings: Vec<Vec<u8>>) -> Result<Self, SetupError> {
        if let Some(bad) = strings.iter().find(|string| string.contains(&0)) {
            let bad = String::from_utf8_lossy(bad);
            return Err(SetupError::Nul(format!("{bad:?}, one of the {what},")));
        }
        strings.iter_mut().for_each(|string| string.push(0));
        let size = strings
            .iter()
            .try_fold(0u32, |sum, string| sum.checked_add(u32::try_from(string.len()).ok()?));
        let size = size.ok_or(SetupError::TooLarge(what))?;
        let count = u32::try_from(strings.len()).map_err(|_| SetupError::TooLarge(what))?;
        Ok(Strings { strings, count, size })
    }

    /// Returns the number of strings, and their size in bytes.
    pub(crate) fn sizes(&self) -> (Size, Size) {
        (self.count, self.size)
    }

    /// The strings as text. What is not UTF-8 is replaced.
    pub(crate) fn texts(&self) -> impl Iterator<Item = String> {
        self.strings.iter().map(|string| {
            let text = string.strip_suffix(&[0]).unwrap_or(string);
            String::from_utf8_lossy(text).into_owned()
        })
    }

    /// Writes the pointers and the bytes, in the form that C programs expect.
    pub(crate) fn write(
        &self,
        memory: &mut GuestMemory<'_>,
        mut pointers: GuestPtr<GuestPtr<u8>>,
        mut bytes: GuestPtr<u8>,
    ) -> Result<()> {
        for string in &self.strings {
            let length = length_of(string);
            memory.write(pointers, bytes)?;
            memory.copy_from_slice(string, bytes.as_array(length))?;
            pointers = pointers.add(1)?;
            bytes = bytes.add(length)?;
        }
        Ok(())
    }
}
