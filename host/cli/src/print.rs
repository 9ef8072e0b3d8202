//! Printing for a reader that may go away: `twine cache ls | head` has then seen what it
//! wanted, and the standard library's macros would panic. Output that is lost in another way, as
//! on a full disk, is told at the end.

use crate::failure::Failure;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write, stderr, stdout};
use std::sync::{Mutex, PoisonError};
use twine_protocol::text::visible;

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
