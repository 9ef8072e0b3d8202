//! A line editor for a program's standard input on a terminal.

use crate::signals::{self, Unanswered};
use rustyline::error::{ReadlineError, Signal};
use rustyline::{DefaultEditor, history::History};
use std::io;
use std::sync::{Mutex, PoisonError};
use twine_host::{Input, Interrupts};

/// Reads lines with a line editor: arrow keys, history, search. The history stays in memory, because
/// the user's input to the program may be secret.
pub(crate) struct Terminal {
    state: Mutex<State>,
    interrupts: Unanswered,
    _before: signals::Terminal,
}

struct State {
    editor: DefaultEditor,
    /// The part of the last line that the program has not read yet.
    rest: Vec<u8>,
}

/// A line editor that nothing is read with yet. It replaces the handler for SIGINT: it must be made
/// before any function of [`signals`] installs one.
pub(crate) struct Editor(DefaultEditor);

impl Editor {
    /// Makes a line editor on this process's terminal.
    pub(crate) fn new() -> Result<Self, ReadlineError> {
        DefaultEditor::new().map(Editor)
    }
}

impl Terminal {
    /// Reads with this editor. Ctrl-C goes to the program through `interrupts`.
    pub(crate) fn new(editor: Editor, interrupts: Interrupts) -> Result<Self, ReadlineError> {
        let state = State { editor: editor.0, rest: Vec::new() };
        Ok(Terminal {
            state: Mutex::new(state),
            interrupts: signals::hand_on(interrupts)?,
            _before: signals::Terminal::keep()?,
        })
    }
}

impl Input for Terminal {
    fn read(&self, line: &str, bytes: &mut [u8]) -> io::Result<usize> {
        self.interrupts.answered();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.rest.is_empty() {
            match state.editor.readline(line) {
                Ok(mut text) => {
                    state.editor.history_mut().add(&text).map_err(io::Error::other)?;
                    text.push('\n');
                    state.rest = text.into_bytes();
                }
                // The user discarded the line. The program gets an empty one, and asks again.
                Err(ReadlineError::Interrupted | ReadlineError::Signal(Signal::Interrupt)) => {
                    state.rest = b"\n".to_vec();
                }
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
