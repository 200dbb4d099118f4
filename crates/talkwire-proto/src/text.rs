//! Text of others made fit to be shown: no control characters, nothing invisible that changes how it reads.

use crate::limits;

/// A name fit to be shown: trimmed, bounded, without control or invisible characters.
pub fn shown_name(text: &str) -> String {
    shown(text, limits::USERNAME_CHARS)
}

/// One line of at most `most` characters, without control or invisible characters.
pub fn shown(text: &str, most: usize) -> String {
    let spaced = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    let clean: String = spaced.filter(|c| is_plain_char(*c)).collect();
    clean.trim().chars().take(most).collect::<String>().trim_end().into()
}

/// Text without control characters (line breaks and tabs stay) and without characters that change the reading direction or hide words.
///
/// Joiners stay: families of emoji and several scripts need them.
pub fn plain_text(text: &str) -> String {
    text.chars().filter(|c| (!c.is_control() || matches!(c, '\n' | '\t')) && !misleads(*c)).collect()
}

/// Whether a character may stand in a name: it is neither a control character nor invisible.
pub(crate) fn is_plain_char(c: char) -> bool {
    !c.is_control() && !misleads(c) && !joins(c)
}

/// Changes the reading direction, or carries words that nobody sees.
fn misleads(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Invisible, but has a use inside sentences; in a name it makes two that look alike.
fn joins(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{200c}' | '\u{200d}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_s_names_stay_as_they_are() {
        for name in ["MQTT用户", "智能助手", "Python用户", "Node.js用户", "温度传感器", "张三"] {
            assert_eq!(shown_name(name), name);
        }
    }

    #[test]
    fn two_names_that_look_alike_become_the_same() {
        assert_eq!(shown_name(" al\u{200d}ice\u{202e}\u{e0041}\r\n"), "alice");
        assert_eq!(shown_name(&"長".repeat(100)).chars().count(), limits::USERNAME_CHARS);
        assert_eq!(shown_name(" \u{200b}\t "), "");
    }

    #[test]
    fn a_sentence_keeps_its_lines_and_its_emoji() {
        assert_eq!(plain_text("a\tb\nc \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}"), "a\tb\nc \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}");
        assert_eq!(plain_text("a\u{0}\u{7f}\u{202e}b\u{2066}"), "ab");
    }
}
