//! Printing for a reader that may go away: `twine cache ls | head` has then seen what it
//! wanted, and the standard library's macros would panic. Output that is lost in another way, as
//! on a full disk, is told at the end.

use crate::failure::Failure;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write, stderr, stdout};
use std::sync::{Mutex, PoisonError};

/// The first error of the standard output.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line to the standard output, if anybody reads it.
macro_rules! print_line {
    ($($argument:tt)*) => {
        $crate::print::print(format_args!("{}\n", format_args!($($argument)*)))
    };
}

/// Prints to the standard output, if anybody reads it.
macro_rules! print_text {
    ($($argument:tt)*) => {
        $crate::print::print(format_args!($($argument)*))
    };
}

/// Prints one line to the standard error, whatever a program has put into it. If nobody can be
/// told, nobody is.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::print::tell(format_args!($($argument)*))
    };
}

pub(crate) use {print_line, print_text, say};

/// See [`print_text`].
pub(crate) fn print(text: Arguments<'_>) {
    note(stdout().write_fmt(text));
}

/// See [`say`].
pub(crate) fn tell(text: Arguments<'_>) {
    let _ = writeln!(stderr(), "{}", visible(&text.to_string()));
}

/// The text without what a terminal takes for a command, or for another order of the letters: the
/// names of functions are a program's to choose.
fn visible(text: &str) -> String {
    const ORDER: [char; 12] = [
        '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
        '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
    ];
    let mut visible = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() || ORDER.contains(&letter) {
            true => visible.extend(letter.escape_default()),
            false => visible.push(letter),
        }
    }
    visible
}

/// Keeps an error of the standard output, to be told at the end.
pub(crate) fn note(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != ErrorKind::BrokenPipe
    {
        LOST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Prints what waits to be printed.
///
/// # Errors
/// When some of what was printed is lost, and a reader did not just go away.
pub(crate) fn finish() -> Result<(), Failure> {
    note(stdout().flush());
    match LOST.lock().unwrap_or_else(PoisonError::into_inner).take() {
        None => Ok(()),
        Some(error) => Err(Failure::system(
            format!("the standard output can't be written: {error}"),
            &error,
            "check where it goes",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        assert_eq!(
            visible("app.wasm: Größe 3 \"x\" 'y' \\ ok"),
            "app.wasm: Größe 3 \"x\" 'y' \\ ok"
        );
        assert_eq!(visible("a\u{1b}[2Jb\r\nc\u{7}"), r"a\u{1b}[2Jb\r\nc\u{7}");
        assert_eq!(visible("x\u{202e}y\u{9b}31m"), r"x\u{202e}y\u{9b}31m");
    }
}
