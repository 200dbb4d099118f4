//! Texts that others wrote (host names, log lines) made harmless, and figures rounded for reading.

/// Without control, bidirectional and invisible characters, at most `chars` characters, trimmed.
pub(crate) fn clean(text: &str, chars: usize) -> String {
    let hidden = |c: &char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    // A tab parts words, so it becomes a space and does not vanish.
    let visible: String = text.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !hidden(c)).take(chars).collect();
    visible.trim().to_owned()
}

/// Rounded to one digit after the point.
pub(crate) fn tenth(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_deceive_a_reader_is_taken_out() {
        assert_eq!(clean("a\u{202e}b\u{1b}[31mc\td\n", 50), "ab[31mc d");
        assert_eq!(clean("中文名字", 2), "中文");
        assert_eq!(clean("\u{200b}\u{feff}", 9), "");
    }
}
