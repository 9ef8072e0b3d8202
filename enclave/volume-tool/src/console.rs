//! The tool's input and output.

use twine_protocol::text::visible;
use twine_protocol::wire::Unit;

/// A standard stream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Nobody reads the output any more.
    #[error("nobody reads the output")]
    Gone,
    /// The device of the output has no space left.
    #[error("no space is left for the output")]
    NoSpace,
    /// Another error.
    #[error("input/output error on a standard stream")]
    Io,
}

/// The standard streams, and the report of progress.
pub trait Console {
    /// Writes all of `bytes` to standard output.
    ///
    /// # Errors
    /// Not all bytes were written.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError>;

    /// Reads from standard input, and returns the number of bytes, which is 0 only at the end.
    ///
    /// # Errors
    /// Standard input cannot be read.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, StreamError>;

    /// Writes a line to standard error.
    fn complain(&mut self, line: &str);

    /// Asks a yes-or-no question. Returns `None` if nobody can answer.
    fn confirm(&mut self, question: &str) -> Option<bool>;

    /// Whether standard output is a terminal, which obeys control characters.
    fn is_terminal(&self) -> bool;

    /// Whether anybody wants to see [`progress`](Console::progress).
    fn wants_progress(&self) -> bool;

    /// Reports the progress of long work: `done` of `total` units. A total of 0 is unknown.
    fn progress(&mut self, done: u64, total: u64, unit: Unit);
}

/// Reads the answer to a yes-or-no question, a line of standard input.
pub fn confirmed(console: &mut dyn Console) -> Option<bool> {
    let mut answer = Vec::new();
    let mut bytes = [0; 64];
    while answer.len() < 1024 && !answer.contains(&b'\n') {
        match console.read(&mut bytes) {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(bytes.get(..count).unwrap_or_default()),
        }
    }
    Some(matches!(answer.trim_ascii(), b"y" | b"Y" | b"yes" | b"YES"))
}

/// Output that is collected into pieces, so that fewer calls write it.
pub(crate) struct Output<'a> {
    console: &'a mut dyn Console,
    gathered: Vec<u8>,
    terminal: bool,
}

/// The size in bytes from which collected output is written.
const PIECE: usize = 64 << 10;

impl<'a> Output<'a> {
    pub(crate) fn new(console: &'a mut dyn Console) -> Self {
        let terminal = console.is_terminal();
        Output { console, gathered: Vec::new(), terminal }
    }

    pub(crate) fn text(&mut self, text: &str) -> Result<(), StreamError> {
        self.gathered.extend_from_slice(text.as_bytes());
        if self.gathered.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    /// Writes a name, which may contain any character. It is only escaped for a terminal, not for a
    /// pipe.
    pub(crate) fn name(&mut self, name: &str) -> Result<(), StreamError> {
        if self.terminal { self.text(&visible(name)) } else { self.text(name) }
    }

    pub(crate) fn flush(&mut self) -> Result<(), StreamError> {
        let result = self.console.write(&self.gathered);
        self.gathered.clear();
        result
    }
}
