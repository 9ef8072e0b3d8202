//! Prints to the standard streams. The standard library's macros panic when the reader has closed
//! the pipe, as in `twine cache ls | head`; the macros here ignore it. Any other error of the
//! standard output, such as a full disk, is kept, and [`finish`] returns it.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write, stderr, stdout};
use std::sync::{Mutex, PoisonError};
use twine_protocol::text::visible;

/// The first error of the standard output.
static FIRST_ERROR: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line to the standard output.
macro_rules! print_line {
    ($($argument:tt)*) => {
        $crate::print::write_stdout(format_args!("{}\n", format_args!($($argument)*)))
    };
}

/// Prints to the standard output.
macro_rules! print_text {
    ($($argument:tt)*) => {
        $crate::print::write_stdout(format_args!($($argument)*))
    };
}

/// Prints one line to the standard error, with control characters escaped: parts of it may come
/// from a program. Errors are ignored.
macro_rules! print_error {
    ($($argument:tt)*) => {
        $crate::print::write_stderr(format_args!($($argument)*))
    };
}

pub(crate) use {print_error, print_line, print_text};

/// See [`print_text`].
pub(crate) fn write_stdout(text: Arguments<'_>) {
    check(stdout().write_fmt(text));
}

/// See [`print_error`].
pub(crate) fn write_stderr(text: Arguments<'_>) {
    let _ = writeln!(stderr(), "{}", visible(&text.to_string()));
}

/// Keeps the first error of the standard output for [`finish`].
pub(crate) fn check(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != ErrorKind::BrokenPipe
    {
        FIRST_ERROR.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Flushes the standard output.
///
/// # Errors
/// The first error that occurred on the standard output, other than a closed pipe.
pub(crate) fn finish() -> io::Result<()> {
    check(stdout().flush());
    match FIRST_ERROR.lock().unwrap_or_else(PoisonError::into_inner).take() {
        None => Ok(()),
        Some(error) => Err(error),
    }
}
