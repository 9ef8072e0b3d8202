//! A line editor for a program's standard input on a terminal.

use crate::signals::{self, Unanswered};
use rustyline::error::{ReadlineError, Signal};
use rustyline::{DefaultEditor, history::History};
use std::io;
use std::sync::{Mutex, PoisonError};
use twine_host::{Input, Interrupts};

/// A line editor that nothing is read with yet. It replaces the handler for SIGINT: it must be made
/// before any function of [`signals`] installs one.
pub(crate) struct Editor(DefaultEditor);

impl Editor {
    /// Makes a line editor on this process's terminal.
    pub(crate) fn new() -> Result<Self, ReadlineError> {
        DefaultEditor::new().map(Editor)
    }

    /// Prepares to read lines. The terminal's settings are restored when they are dropped.
    pub(crate) fn lines(self) -> io::Result<Lines> {
        let _before = signals::Terminal::keep()?;
        Ok(Lines { editor: self.0, rest: Vec::new(), _before })
    }
}

/// Lines that the user edits: arrow keys, history, search. The history stays in memory, because the
/// user's input to the program may be secret.
pub(crate) struct Lines {
    editor: DefaultEditor,
    /// The part of the last line that was not read yet.
    rest: Vec<u8>,
    _before: signals::Terminal,
}

impl Lines {
    /// Reads a part of the next line, which the user edits after `prompt`, and returns the number of
    /// bytes, which is 0 only at the end.
    ///
    /// # Errors
    /// The terminal can't be read.
    pub(crate) fn read(&mut self, prompt: &str, bytes: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            match self.editor.readline(prompt) {
                Ok(mut text) => {
                    self.editor.history_mut().add(&text).map_err(io::Error::other)?;
                    text.push('\n');
                    self.rest = text.into_bytes();
                }
                // The user discarded the line. The program gets an empty one, and asks again.
                Err(ReadlineError::Interrupted | ReadlineError::Signal(Signal::Interrupt)) => {
                    self.rest = b"\n".to_vec();
                }
                Err(ReadlineError::Eof) => return Ok(0),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        let count = bytes.len().min(self.rest.len());
        bytes[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Ok(count)
    }
}

/// The standard input of a program on this machine.
pub(crate) struct Terminal {
    lines: Mutex<Lines>,
    interrupts: Unanswered,
}

impl Terminal {
    /// Reads with this editor. Ctrl-C goes to the program through `interrupts`.
    pub(crate) fn new(editor: Editor, interrupts: Interrupts) -> Result<Self, ReadlineError> {
        let interrupts = signals::hand_on(interrupts)?;
        Ok(Terminal { lines: Mutex::new(editor.lines()?), interrupts })
    }
}

impl Input for Terminal {
    fn read(&self, line: &str, bytes: &mut [u8]) -> io::Result<usize> {
        self.interrupts.answered();
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).read(line, bytes)
    }
}
