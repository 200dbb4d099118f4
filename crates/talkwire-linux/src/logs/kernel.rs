//! The kernel's own ring, as `dmesg -r` prints it: `<4>[   12.345678] eth0: Link is Down`.

use super::{Entry, level_of};

/// `started` is when the machine started, in Unix seconds.
pub(super) fn parse(text: &str, started: Option<u64>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let entry = match parse_line(line, started) {
            Some(entry) => entry,
            // A line without a mark goes on with the one before; the very first may be cut.
            None => match entries.last() {
                Some(last) => Entry { message: line.to_owned(), ..last.clone() },
                None => continue,
            },
        };
        entries.push(entry);
    }
    entries
}

fn parse_line(line: &str, started: Option<u64>) -> Option<Entry> {
    let (mark, rest) = line.strip_prefix('<')?.split_once('>')?;
    let level = level_of(mark.parse::<u64>().ok()? & 7);
    let timed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).and_then(|(time, message)| Some((time.trim().parse::<f64>().ok()?, message)));
    let (after_s, message) = timed.map_or((None, rest), |(time, message)| (Some(time), message));
    let ts_ms = after_s
        .filter(|seconds| (0.0..1e10).contains(seconds))
        .zip(started)
        .and_then(|(seconds, started)| i64::try_from(started).ok()?.checked_mul(1000)?.checked_add((seconds * 1000.0) as i64));
    Some(Entry { ts_ms, level, source: "kernel".into(), message: message.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_read_with_their_level_and_time() {
        let entries = parse("cut off\n<4>[   12.345678] eth0: Link is Down\n second half\n<30>[   13.0] systemd: up\n", Some(1_772_000_000));
        let first = Entry { ts_ms: Some(1_772_000_012_345), level: Some(1), source: "kernel".into(), message: "eth0: Link is Down".into() };
        assert_eq!(entries[0], first);
        assert_eq!(entries[1], Entry { message: " second half".into(), ..first });
        assert_eq!((entries[2].level, entries.len()), (Some(0), 3));
    }

    #[test]
    fn a_line_without_a_time_has_none() {
        let entries = parse("<3>[drm] failed\n<2>[1e99] x\n<6>plain\n", Some(1));
        assert_eq!(entries.iter().map(|entry| entry.ts_ms).collect::<Vec<_>>(), [None, None, None]);
        assert_eq!(entries[0].message, "[drm] failed");
        assert_eq!(parse("<6>[ 1.0] x\n", None)[0].ts_ms, None);
        assert_eq!(parse("<6>[ 1.0] x\n", Some(u64::MAX))[0].ts_ms, None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(<[0-9]{0,21}>?\\[? {0,3}[0-9.e]{0,9}\\]?\\PC{0,20}\n|\\PC{0,60}\n){0,6}", started in proptest::option::of(any::<u64>())) {
            prop_assert!(parse(&text, started).len() <= text.lines().count());
        }
    }
}
