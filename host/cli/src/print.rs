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

/// Limit on the length of a text of others in one line, in characters.
const MAX_FOREIGN_CHARACTERS: usize = 500;

/// Returns a text that others have chosen for a place in a line. Control characters and ends of
/// lines are escaped, and what is longer than [`MAX_FOREIGN_CHARACTERS`] ends with "…".
pub(crate) fn foreign(text: &str) -> String {
    let mut rest = text.chars();
    let start: String = rest.by_ref().take(MAX_FOREIGN_CHARACTERS).collect();
    let end = if rest.next().is_some() { "…" } else { "" };
    visible(&start) + end
}

/// Prints JSON to the standard output. Its strings may be of others.
pub(crate) fn print_json(json: &str) {
    print_line!("{}", visible_json(json));
}

/// Escapes the characters that [`visible`] escapes, as JSON has it (RFC 8259, section 7). Writers of
/// JSON escape only those below U+0020. The ends of lines between its values stay.
fn visible_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for letter in json.chars() {
        let mut room = [0; 4];
        let text = letter.encode_utf8(&mut room);
        if letter == '\n' || visible(text) == *text {
            escaped.push(letter);
        } else {
            escaped.extend(
                letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")),
            );
        }
    }
    escaped
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_has_no_commands_to_a_terminal_and_no_second_line() {
        assert_eq!(foreign("app\u{1b}[2K\r\naccepted"), r"app\u{1b}[2K\r\naccepted");
    }

    #[test]
    fn text_of_others_is_cut_after_its_limit() {
        assert_eq!(foreign(&"ä".repeat(500)), "ä".repeat(500));
        assert_eq!(foreign(&"ä".repeat(501)), "ä".repeat(500) + "…");
    }

    #[test]
    fn json_means_the_same_after_what_a_terminal_obeys_was_escaped() {
        let text = "a\u{1b}b\u{7f}c\u{9b}d\u{202e}e\nf ö \u{1f600}";
        let json = serde_json::to_string_pretty(&[text]).unwrap();
        let shown = visible_json(&json);
        assert_eq!(shown, "[\n  \"a\\u001bb\\u007fc\\u009bd\\u202ee\\nf ö \u{1f600}\"\n]");
        assert_eq!(serde_json::from_str::<[String; 1]>(&shown).unwrap(), [text]);
    }
}
