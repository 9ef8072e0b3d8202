//! Text that others have chosen, made safe to show.
//!
//! Evidence and collateral bring text: names of claims and of deployments, advisories. It may hold
//! commands for a terminal, characters that change the order of those around them, or megabytes.

use std::fmt;

/// How long the reason of a check may be, in characters before escapes.
pub(crate) const MAX_REASON_CHARS: usize = 4096;

/// How long a name may be within a reason, in characters before escapes. Deployments have names of up
/// to 128.
const MAX_NAME_CHARS: usize = 128;

/// Writes a name from evidence in quotation marks, so that it can be taken for nothing else than a name.
/// What can't be printed is escaped, as are quotation marks; what is too long is cut, and `…` says so.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, rest) = cut(self.0, MAX_NAME_CHARS);
        let end = if rest.is_empty() { "" } else { "…" };
        write!(out, "{name:?}{end}")
    }
}

/// Returns a reason that can be printed: what can't be is escaped, and what is too long is cut.
pub(crate) fn visible(reason: &str) -> String {
    let (start, rest) = cut(reason, MAX_REASON_CHARS);
    let mut text = String::with_capacity(start.len());
    for letter in start.chars() {
        match letter {
            // They are harmless, and a name in quotation marks has its escapes already.
            '"' | '\'' | '\\' => text.push(letter),
            letter => text.extend(letter.escape_debug()),
        }
    }
    if !rest.is_empty() {
        text.push('…');
    }
    text
}

/// Splits a text behind its first characters.
fn cut(text: &str, most: usize) -> (&str, &str) {
    let end = text.char_indices().nth(most).map_or(text.len(), |(offset, _)| offset);
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAME_CHARS, MAX_REASON_CHARS, Quoted, visible};

    #[test]
    fn what_a_terminal_takes_for_a_command_or_reorders_is_escaped() {
        let plain = "it is 3, `x` and \"y\" of 'z' \\ Größe …";
        assert_eq!(visible(plain), plain);
        assert_eq!(visible("a\u{1b}[2Jb\r\nc\u{7}\u{9b}"), r"a\u{1b}[2Jb\r\nc\u{7}\u{9b}");
        for order in ['\u{61c}', '\u{200e}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}'] {
            let code = u32::from(order);
            assert_eq!(visible(&order.to_string()), format!("\\u{{{code:x}}}"));
        }
    }

    #[test]
    fn a_name_cannot_end_its_own_quotation() {
        let name = "shop\", version 9\n";
        assert_eq!(Quoted(name).to_string(), r#""shop\", version 9\n""#);
        assert_eq!(visible(&Quoted(name).to_string()), Quoted(name).to_string());
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let name = "ö".repeat(MAX_NAME_CHARS);
        assert_eq!(Quoted(&name).to_string(), format!("\"{name}\""));
        assert_eq!(Quoted(&format!("{name}xy")).to_string(), format!("\"{name}\"…"));
        let reason = "ö".repeat(MAX_REASON_CHARS);
        assert_eq!(visible(&reason), reason);
        assert_eq!(visible(&format!("{reason}xy")), format!("{reason}…"));
    }
}
