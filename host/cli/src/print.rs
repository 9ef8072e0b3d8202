//! Printing for a reader that may go away: `twine cache ls | head` has then seen what it
//! wanted, and the standard library's macros would panic.

/// Prints a line to the standard output, if anybody reads it.
macro_rules! print_line {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}

/// Prints to the standard output, if anybody reads it.
macro_rules! print_text {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = write!(std::io::stdout(), $($argument)*);
    }};
}

pub(crate) use {print_line, print_text};
