//! Lines as syslog writes them: `logread` of OpenWrt and BusyBox, and files that a daemon writes itself.

use super::{Entry, level_of};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Days before each month of a year that is no leap year.
const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const LEVELS: [(&str, u64); 12] = [
    ("emerg", 0),
    ("panic", 0),
    ("alert", 1),
    ("crit", 2),
    ("err", 3),
    ("error", 3),
    ("warn", 4),
    ("warning", 4),
    ("notice", 5),
    ("info", 6),
    ("debug", 7),
    ("none", 6),
];
const DAY_S: i64 = 86_400;
const YEAR_S: i64 = 365 * DAY_S;

/// Lines of `logread`: `[Sat ]Nov 21 15:23:08 [2026 ][[1795274588.123] ][host ]daemon.warn dnsmasq[12]: message`.
pub(super) fn parse(text: &str) -> Vec<Entry> {
    text.lines().filter_map(|line| parse_line(line).map(|(entry, _)| entry)).collect()
}

/// Lines of a file whose last one was written at `end_ms`. The lines name no year and no zone; so they are placed by their distance from the last.
pub(super) fn parse_file(text: &str, end_ms: i64) -> Vec<Entry> {
    let lines: Vec<(Entry, Option<i64>)> = text.lines().filter_map(parse_line).collect();
    let last = lines.iter().rev().find_map(|(_, second)| *second);
    let place = |(entry, second): (Entry, Option<i64>)| {
        let back = last.zip(second).map(|(last, second)| (last - second).rem_euclid(YEAR_S));
        Entry { ts_ms: entry.ts_ms.or(back.and_then(|back_s| end_ms.checked_sub(back_s * 1000))), ..entry }
    };
    lines.into_iter().map(place).collect()
}

/// The entry, and the second of the year that the line names.
fn parse_line(line: &str) -> Option<(Entry, Option<i64>)> {
    let (head, message) = line.split_once(": ")?;
    let mut words = head.split_ascii_whitespace().peekable();
    // The day of the week, which not all write.
    let month = |word: &str| MONTHS.iter().position(|month| *month == word);
    let first = words.next()?;
    let month = month(first).or_else(|| month(words.next()?))?;
    let day: i64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let time = words.next().and_then(seconds)?;
    let second = (BEFORE.get(month)? + day - 1) * DAY_S + time;
    words.next_if(|word| word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit()));
    let stamp = words.next_if(|word| word.starts_with('['));
    let ts_ms = stamp.and_then(|word| word.trim_matches(['[', ']']).parse::<f64>().ok()).filter(|s| (0.0..1e11).contains(s)).map(|s| (s * 1000.0) as i64);
    let rest: Vec<&str> = words.collect();
    let level = rest.iter().find_map(|word| {
        let (facility, level) = word.split_once('.')?;
        let known = LEVELS.iter().find(|(name, _)| *name == level)?;
        facility.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(known.1)
    });
    let source = rest.last().map_or("system", |word| word.split('[').next().unwrap_or(word)).to_owned();
    // The kernel names the part itself; of a program one wants to know which it was.
    let message = if source == "kernel" { message.to_owned() } else { format!("{source}: {message}") };
    Some((Entry { ts_ms, level: level.and_then(level_of), source, message }, Some(second)))
}

/// `15:23:08`
fn seconds(text: &str) -> Option<i64> {
    let mut parts = text.split(':').map(|part| part.parse::<i64>().ok().filter(|number| (0..=60).contains(number)));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some(hours * 3600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_openwrt_and_busybox_are_read() {
        let text = "Sat Nov 21 15:23:08 2026 [1795274588.123] daemon.warn dnsmasq-dhcp[77]: no address range available\nNov 21 15:23:09 attic kern.err kernel: wan: link is down\nnonsense\nSat Foo 99 1:2 x: y\n";
        let found = parse(text);
        let first =
            Entry { ts_ms: Some(1_795_274_588_123), level: Some(1), source: "dnsmasq-dhcp".into(), message: "dnsmasq-dhcp: no address range available".into() };
        assert_eq!(found[0], first);
        assert_eq!(found[1], Entry { ts_ms: None, level: Some(2), source: "kernel".into(), message: "wan: link is down".into() });
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn lines_of_a_file_are_placed_by_their_distance_from_the_last() {
        let text = "Dec 31 23:59:50 dnsmasq[7]: started\nJan  1 00:00:10 dnsmasq-dhcp[7]: DHCPDISCOVER(br-lan) 02:00:00:00:a0:01 no address available\n";
        let found = parse_file(text, 1_000_000_000);
        assert_eq!(found.iter().map(|entry| entry.ts_ms).collect::<Vec<_>>(), [Some(999_980_000), Some(1_000_000_000)]);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "((Sat )?Nov [0-9]{1,3} [0-9]{1,3}:[0-9]{1,3}:[0-9]{1,9} (\\[[0-9.]{0,25}\\] )?\\PC{0,9}: \\PC{0,9}\n|\\PC{0,40}\n){0,5}", end in any::<i64>()) {
            let _ = (parse(&text), parse_file(&text, end));
        }
    }
}
