//! The journal of systemd. Its JSON form is asked for, as the line forms leave out how bad a line is.

use super::{Entry, Wish, level_of};
use serde_json::Value;

/// The priorities of syslog that belong to each of [`super::LEVELS`].
const PRIORITIES: [&str; 4] = ["5..7", "4..4", "3..3", "0..2"];
const TOO_LONG: &str = "(a line too long to be shown)";

/// What `journalctl` is told. `now_s` is the Unix time.
pub(super) fn args(wish: Wish, now_s: u64) -> Vec<String> {
    let fixed = ["--quiet", "--no-pager", "--output=json", "--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_COMM"];
    let mut args: Vec<String> = fixed.map(str::to_owned).into();
    args.push(format!("--lines={}", wish.lines));
    args.extend(wish.since_s.map(|since_s| format!("--since=@{}", now_s.saturating_sub(since_s))));
    args.extend(wish.level.and_then(|level| PRIORITIES.get(level)).map(|range| format!("--priority={range}")));
    args
}

/// One JSON object a line. A line that is none is left out: the first may be cut.
pub(super) fn parse(text: &str) -> Vec<Entry> {
    text.lines().filter_map(|line| parse_line(&serde_json::from_str(line).ok()?)).collect()
}

fn parse_line(line: &Value) -> Option<Entry> {
    let number = |name: &str| line.get(name)?.as_str()?.parse::<u64>().ok();
    let source = ["SYSLOG_IDENTIFIER", "_COMM"].into_iter().find_map(|name| text_of(line.get(name)?)).unwrap_or_else(|| "system".into());
    let message = line.get("MESSAGE").map(|message| text_of(message).unwrap_or_else(|| TOO_LONG.into()))?;
    // The kernel names the part itself; of a program one wants to know which it was.
    let message = if source == "kernel" { message } else { format!("{source}: {message}") };
    let ts_ms = number("__REALTIME_TIMESTAMP").and_then(|micros| i64::try_from(micros / 1000).ok());
    Some(Entry { ts_ms, level: number("PRIORITY").and_then(level_of), source, message })
}

/// A field is a text; a list of bytes when it is not UTF-8; a list of fields when it was given several times; null when it is too long.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) if list.iter().all(Value::is_u64) => {
            let bytes: Vec<u8> = list.iter().filter_map(Value::as_u64).filter_map(|byte| u8::try_from(byte).ok()).collect();
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        Value::Array(list) => list.iter().find_map(|one| one.as_str().map(str::to_owned)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_are_read_with_their_level_and_time() {
        let text = concat!(
            r#"T":"6","MESSAGE":"the rest of a line that was cut"}"#,
            "\n",
            r#"{"__REALTIME_TIMESTAMP":"1772483400123456","PRIORITY":"4","SYSLOG_IDENTIFIER":"kernel","MESSAGE":"eth0: Link is Down"}"#,
            "\n",
            r#"{"__REALTIME_TIMESTAMP":"1772483401000000","PRIORITY":"6","SYSLOG_IDENTIFIER":"udhcpc","_COMM":"busybox","MESSAGE":"sending discover"}"#,
            "\n",
        );
        let entries = parse(text);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0], Entry { ts_ms: Some(1_772_483_400_123), level: Some(1), source: "kernel".into(), message: "eth0: Link is Down".into() });
        assert_eq!(entries[1].message, "udhcpc: sending discover");
    }

    #[test]
    fn fields_that_are_no_plain_text_are_understood() {
        let entry = |text: &str| parse(text).pop();
        assert_eq!(entry(r#"{"_COMM":"x","MESSAGE":[104,105,255]}"#).unwrap().message, "x: hi\u{fffd}");
        assert_eq!(entry(r#"{"MESSAGE":null}"#).unwrap().message, format!("system: {TOO_LONG}"));
        assert_eq!(
            entry(r#"{"SYSLOG_IDENTIFIER":["a","b"],"MESSAGE":"m","PRIORITY":"9","__REALTIME_TIMESTAMP":"soon"}"#).unwrap(),
            Entry { ts_ms: None, level: None, source: "a".into(), message: "a: m".into() }
        );
        assert_eq!(entry(r#"{"PRIORITY":"3"}"#), None);
        assert_eq!(entry("[1,2]\n5\nnull\n\n"), None);
    }

    #[test]
    fn a_wish_becomes_plain_arguments() {
        let args = args(Wish { lines: 500, level: Some(3), since_s: Some(86_400) }, 1_772_483_400);
        assert_eq!(args[4..], ["--lines=500", "--since=@1772397000", "--priority=0..2"]);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(\\{\"(MESSAGE|PRIORITY|_COMM)\":(\"[^\"\\\\]{0,9}\"|\\[[0-9]{0,4}(,[0-9]{1,4}){0,3}\\]|null|[0-9]{1,25})\\}\n|\\PC{0,60}\n){0,6}") {
            prop_assert!(parse(&text).len() <= text.lines().count());
        }
    }
}
