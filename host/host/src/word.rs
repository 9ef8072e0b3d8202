//! Quotes paths in the commands that remedies show.

use std::fmt;

/// Quotes a text as one word of a shell's command line, if it needs quotes.
pub fn shell_word(text: impl fmt::Display) -> String {
    let text = text.to_string();
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+,:=@%".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::shell_word;
    use std::process::Command;

    #[test]
    fn a_shell_reads_each_word_as_one_argument() {
        assert_eq!(shell_word("/a/b-1.Größe::x,ro"), "/a/b-1.Größe::x,ro");
        for text in ["", "a b", "it's", "'", "$HOME", "a\"b\\c", "~", "*", "a;b", "x\ny", "#", "a&"]
        {
            let line = format!("printf %s {}", shell_word(text));
            let shown = Command::new("sh").args(["-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(shown.stdout).unwrap(), text, "{line}");
        }
    }
}
