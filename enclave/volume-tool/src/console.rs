//! Where the tool's words go, and where a stream comes from.

use twine_protocol::text::visible;
use twine_protocol::wire::Unit;

/// A standard stream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Nobody reads the output any more.
    #[error("nobody reads the output")]
    Gone,
    /// No space is left where the output goes.
    #[error("no space is left for the output")]
    NoSpace,
    /// Anything else.
    #[error("input/output error on a standard stream")]
    Io,
}

/// The standard streams, and who wants to know how far long work has come.
pub trait Console {
    /// Writes all of `bytes` to standard output.
    ///
    /// # Errors
    /// When not all were taken.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError>;

    /// Reads from standard input: at least one byte, or none at the end.
    ///
    /// # Errors
    /// When nothing can be read.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, StreamError>;

    /// Writes a line to standard error.
    fn complain(&mut self, line: &str);

    /// Asks a question that is answered with yes or no. Nothing, if nobody is there to be asked.
    fn confirm(&mut self, question: &str) -> Option<bool>;

    /// Whether standard output is a terminal, which obeys control characters.
    fn is_terminal(&self) -> bool;

    /// Whether anybody looks at [`progress`](Console::progress).
    fn wants_progress(&self) -> bool;

    /// Long work has come so far: `done` of `total` (0: not known) units.
    fn progress(&mut self, done: u64, total: u64, unit: Unit);
}

/// Output that is gathered into pieces that are worth a call.
pub(crate) struct Output<'a> {
    console: &'a mut dyn Console,
    gathered: Vec<u8>,
    terminal: bool,
}

/// Bytes that are written at once.
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

    /// A name, which may hold anything. Who reads a pipe gets it as it is.
    pub(crate) fn name(&mut self, name: &str) -> Result<(), StreamError> {
        if self.terminal { self.text(&visible(name)) } else { self.text(name) }
    }

    pub(crate) fn flush(&mut self) -> Result<(), StreamError> {
        let result = self.console.write(&self.gathered);
        self.gathered.clear();
        result
    }
}
