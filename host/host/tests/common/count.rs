//! Counts the assertions in a script's text, to compare the suite's own count with an independent
//! one.

/// Returns the number of commands named `assert_...`, outside of strings and comments.
pub fn assertions(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let mut count = 0;
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        at += match rest {
            [b'"', ..] => string(rest),
            [b';', b';', ..] => line(rest),
            [b'(', b';', ..] => comment(rest),
            _ => {
                count += u32::from(rest.starts_with(b"(assert_"));
                1
            }
        };
    }
    count
}

/// Returns the length of the string that starts here.
fn string(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Returns the length of the comment up to the end of the line.
fn line(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len())
}

/// Returns the length of the comment that starts here. Such comments nest.
fn comment(bytes: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at..] {
            [b'(', b';', ..] => depth += 1,
            [b';', b')', ..] => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            break;
        }
    }
    at
}

#[test]
fn strings_and_comments_hold_no_assertions() {
    let text = r#"
        (assert_return (invoke "(assert_trap \" (assert_trap"))
        ;; (assert_trap
        (; (assert_trap (; ;) (assert_trap ;) (assert_invalid (module))"#;
    assert_eq!(assertions(text), 2);
}
