//! Processor time: `/proc/stat`, `/proc/self/stat`, `/proc/uptime`, `/proc/loadavg`.

use crate::root::Root;
use crate::text::tenth;
use std::collections::BTreeMap;
use std::time::Duration;

/// Clock ticks since the start: those spent working, and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ticks {
    busy: u64,
    total: u64,
}

/// One reading of `/proc/stat`, and of this program's own time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Times {
    all: Ticks,
    cores: BTreeMap<u32, Ticks>,
    own: Option<u64>,
}

/// How busy the processors were between two readings, in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Load {
    pub(crate) cpu_percent: f64,
    pub(crate) core_max_percent: Option<f64>,
    /// This program's share of all processors.
    pub(crate) process_percent: Option<f64>,
}

/// Reads the `cpu` lines. None without the line of all processors.
pub(crate) fn parse_times(text: &str) -> Option<Times> {
    let (mut all, mut cores) = (None, BTreeMap::new());
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(' ') else { continue };
        let Some(core) = name.strip_prefix("cpu") else { continue };
        let Some(ticks) = parse_ticks(rest) else { continue };
        match core.parse() {
            Ok(core) => drop(cores.insert(core, ticks)),
            Err(_) if core.is_empty() => all = Some(ticks),
            Err(_) => {}
        }
    }
    Some(Times { all: all?, cores, own: None })
}

/// `user nice system idle iowait irq softirq steal`; what follows is counted in `user` and `nice` already.
fn parse_ticks(columns: &str) -> Option<Ticks> {
    let figures: Vec<u64> = columns.split_ascii_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let [_, _, _, idle, rest @ ..] = figures.as_slice() else { return None };
    let waiting = idle.saturating_add(rest.first().copied().unwrap_or(0));
    let total = figures.iter().fold(0u64, |sum, figure| sum.saturating_add(*figure));
    Some(Ticks { busy: total.saturating_sub(waiting), total })
}

/// None when no time passed between the readings.
pub(crate) fn load(before: &Times, after: &Times) -> Option<Load> {
    let cores = after.cores.iter().filter_map(|(core, ticks)| percent(*before.cores.get(core)?, *ticks));
    let own = |times: &Times| times.own.map(|busy| Ticks { busy, total: times.all.total });
    let process_percent = own(before).zip(own(after)).and_then(|(before, after)| percent(before, after));
    Some(Load { cpu_percent: percent(before.all, after.all)?, core_max_percent: cores.reduce(f64::max), process_percent })
}

fn percent(before: Ticks, after: Ticks) -> Option<f64> {
    let total = after.total.checked_sub(before.total).filter(|ticks| *ticks > 0)?;
    // The kernel's idle figures may step back a little, so the difference can leave the bounds.
    let busy = after.busy.saturating_sub(before.busy);
    Some(tenth((100.0 * busy as f64 / total as f64).min(100.0)))
}

/// Ticks that a process spent working, from its `stat`: `utime` and `stime`, behind the name that may hold anything.
fn parse_own(text: &str) -> Option<u64> {
    let mut figures = text.rsplit_once(')')?.1.split_ascii_whitespace().skip(11).map(|word| word.parse::<u64>().ok());
    figures.next()??.checked_add(figures.next()??)
}

/// When the machine started, in Unix seconds: the line `btime` of `/proc/stat`.
pub(crate) fn parse_boot_time(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

/// Seconds since the start, from `/proc/uptime`.
pub(crate) fn parse_uptime(text: &str) -> Option<u64> {
    let seconds: f64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    // Ten thousand years are no uptime.
    (0.0..3e11).contains(&seconds).then_some(seconds as u64)
}

/// The averages over 1, 5 and 15 minutes, from `/proc/loadavg`.
pub(crate) fn parse_loadavg(text: &str) -> Option<[f64; 3]> {
    let mut figures = text.split_ascii_whitespace().map(|word| word.parse::<f64>().ok().filter(|figure| (0.0..1e9).contains(figure)));
    Some([figures.next()??, figures.next()??, figures.next()??])
}

pub(crate) fn times(root: &Root) -> Option<Times> {
    let times = parse_times(&root.text("proc/stat")?)?;
    Some(Times { own: root.text("proc/self/stat").and_then(|text| parse_own(&text)), ..times })
}

pub(crate) fn uptime_s(root: &Root) -> Option<u64> {
    parse_uptime(&root.text("proc/uptime")?)
}

/// Measures for a while how busy the processors are.
pub(crate) async fn measure(root: &Root, period: Duration) -> Option<Load> {
    let before = times(root)?;
    tokio::time::sleep(period).await;
    load(&before, &times(root)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BEFORE: &str = "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 50 0 50 350 50 0 0 0 0 0\ncpu1 50 0 50 350 50 0 0 0 0 0\nintr 5 1\nbtime 1772000000\n";
    const AFTER: &str = "cpu  140 0 110 740 110 0 0 0 0 0\ncpu0 90 0 50 355 55 0 0 0 0 0\ncpu1 50 0 60 385 55 0 0 0 0 0\nintr 9 1\nbtime 1772000000\n";

    #[test]
    fn two_readings_give_the_mean_and_the_busiest_core() {
        let (before, after) = (parse_times(BEFORE).unwrap(), parse_times(AFTER).unwrap());
        assert_eq!(load(&before, &after), Some(Load { cpu_percent: 50.0, core_max_percent: Some(80.0), process_percent: None }));
        let own = |times: Times, stat: &str| Times { own: parse_own(stat), ..times };
        let (before, after) = (own(before, "7 (a) b) S 1 7 7 0 -1 4 9 0 0 0 3 2 0 0 20"), own(after, "7 (a) b) S 1 7 7 0 -1 4 9 0 0 0 6 4 0 0 20"));
        assert_eq!(load(&before, &after).and_then(|load| load.process_percent), Some(5.0));
        assert_eq!(parse_boot_time(BEFORE), Some(1_772_000_000));
    }

    #[test]
    fn the_same_reading_twice_says_nothing() {
        let times = parse_times(BEFORE).unwrap();
        assert_eq!(load(&times, &times), None);
        assert_eq!(load(&parse_times(AFTER).unwrap(), &times), None, "time that runs backwards");
    }

    #[test]
    fn idle_time_that_steps_back_stays_within_bounds() {
        let before = parse_times("cpu 10 0 0 90 50 0 0 0\n").unwrap();
        let after = parse_times("cpu 30 0 0 90 40 0 0 0\n").unwrap();
        assert_eq!(load(&before, &after).unwrap(), Load { cpu_percent: 100.0, core_max_percent: None, process_percent: None });
    }

    #[test]
    fn a_broken_line_is_left_out_and_a_core_may_come_and_go() {
        let before = parse_times("cpu 1 1 1 1\ncpu0 1 1 x 1\ncpu1 10 0 0 90\ncpufreq 1 1 1 1\ncpu2 3\n").unwrap();
        assert_eq!(before.cores.len(), 1);
        let after = parse_times("cpu 2 1 1 2\ncpu1 20 0 0 180\ncpu3 1 1 1 1\n").unwrap();
        assert_eq!(load(&before, &after).unwrap().core_max_percent, Some(10.0));
        assert_eq!(parse_times("cpu0 1 1 1 1\n"), None);
        assert_eq!(parse_times("cpu 18446744073709551616 0 0 0\n"), None);
    }

    #[test]
    fn uptime_and_load_are_read() {
        assert_eq!(parse_uptime("5219.40 4962.49\n"), Some(5219));
        assert_eq!(parse_loadavg("4.25 4.20 3.66 6/166 10363\n"), Some([4.25, 4.2, 3.66]));
        for broken in ["", "x", "-5 1", "NaN 1", "inf 1", "1e300 1"] {
            assert_eq!((parse_uptime(broken), parse_loadavg(broken)), (None, None), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(one in "(cpu[0-9]{0,2}( [0-9]{0,21}){0,12}\n|\\PC{0,20}\n){0,6}", two in "(cpu[0-9]{0,2}( [0-9]{0,21}){0,12}\n){0,6}") {
            if let (Some(before), Some(after)) = (parse_times(&one), parse_times(&two))
                && let Some(load) = load(&before, &after)
            {
                prop_assert!((0.0..=100.0).contains(&load.cpu_percent));
                prop_assert!(load.core_max_percent.is_none_or(|percent| (0.0..=100.0).contains(&percent)));
            }
            let _ = (parse_uptime(&one), parse_loadavg(&one), parse_boot_time(&one));
        }
    }
}
