//! A line editor as a program's standard input, on a terminal.

use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, history::History};
use std::io;
use std::sync::{Mutex, PoisonError};
use twine_host::Input;

/// Reads lines with a line editor: arrow keys, history, search. The history is kept in
/// memory only, for it holds what the user tells the program.
pub(crate) struct Terminal(Mutex<State>);

struct State {
    editor: DefaultEditor,
    /// Of the last line, what was not read yet.
    rest: Vec<u8>,
}

impl Terminal {
    /// A line editor on this process's terminal.
    pub(crate) fn new() -> Result<Self, ReadlineError> {
        Ok(Terminal(Mutex::new(State { editor: DefaultEditor::new()?, rest: Vec::new() })))
    }
}

impl Input for Terminal {
    fn read(&self, line: &str, bytes: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.rest.is_empty() {
            match state.editor.readline(line) {
                Ok(mut text) => {
                    state.editor.history_mut().add(&text).map_err(io::Error::other)?;
                    text.push('\n');
                    state.rest = text.into_bytes();
                }
                // The line is given up; the program sees an empty one and asks again.
                Err(ReadlineError::Interrupted) => state.rest = b"\n".to_vec(),
                Err(ReadlineError::Eof) => return Ok(0),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        let count = bytes.len().min(state.rest.len());
        bytes[..count].copy_from_slice(&state.rest[..count]);
        state.rest.drain(..count);
        Ok(count)
    }
}
