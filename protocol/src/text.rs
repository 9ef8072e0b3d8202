//! Makes text that others have chosen safe to print on a terminal.

use alloc::string::String;

/// Characters that change the order of the characters around them (Unicode's bidirectional
/// controls).
const ORDER: [char; 12] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// Escapes characters that a terminal takes for a command, or that change the order of the text. A
/// program chooses the names of its files and functions.
pub fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() || ORDER.contains(&letter) {
            true => visible.extend(letter.escape_default()),
            false => visible.push(letter),
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            visible("app.wasm: Größe 3 \"x\" 'y' \\ ok"),
            "app.wasm: Größe 3 \"x\" 'y' \\ ok"
        );
        assert_eq!(visible("a\u{1b}[2Jb\r\nc\u{7}"), r"a\u{1b}[2Jb\r\nc\u{7}");
        assert_eq!(visible("x\u{202e}y\u{9b}31m"), r"x\u{202e}y\u{9b}31m");
    }
}
