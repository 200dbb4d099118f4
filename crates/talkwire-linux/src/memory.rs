//! Memory in use, from `/proc/meminfo`.

use crate::root::Root;
use crate::text::tenth;

/// Percent of the memory that programs cannot have any more. None when the kernel does not say what is available.
pub(crate) fn parse_percent(text: &str) -> Option<f64> {
    let kib = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next()?.parse::<u64>().ok());
    let (total, available) = (kib("MemTotal:")?, kib("MemAvailable:")?);
    (total > 0).then(|| tenth(100.0 * total.saturating_sub(available) as f64 / total as f64))
}

pub(crate) fn percent(root: &Root) -> Option<f64> {
    parse_percent(&root.text("proc/meminfo")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_available_is_not_in_use() {
        assert_eq!(parse_percent("MemTotal:         1000 kB\nMemFree:           10 kB\nMemAvailable:      250 kB\n"), Some(75.0));
    }

    #[test]
    fn without_the_available_figure_nothing_is_said() {
        for broken in [
            "MemTotal: 1000 kB\nMemFree: 10 kB\n",
            "MemTotal: 0 kB\nMemAvailable: 0 kB\n",
            "MemTotal: -1 kB\nMemAvailable: 0 kB\n",
            "MemTotal:\nMemAvailable:\n",
            "",
        ] {
            assert_eq!(parse_percent(broken), None, "{broken:?}");
        }
        assert_eq!(parse_percent("MemTotal: 10 kB\nMemAvailable: 90 kB\n"), Some(0.0));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "((MemTotal|MemAvailable):? {0,3}[0-9]{0,21}( kB)?\n|\\PC{0,20}\n){0,5}") {
            prop_assert!(parse_percent(&text).is_none_or(|percent| (0.0..=100.0).contains(&percent)));
        }
    }
}
