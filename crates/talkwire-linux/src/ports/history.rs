//! Counters of the last hour, so that "the cable failed twenty times today" is not hidden behind a month of uptime.

use crate::text::tenth;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
/// From this age on the oldest sample stands for the whole hour.
const NEARLY_AN_HOUR: Duration = Duration::from_secs(3000);
/// Samples are not kept closer together, which bounds their number.
const APART: Duration = Duration::from_secs(60);
/// Fewer packets than this make no share of broken ones.
const PACKETS: u64 = 1000;

/// Counters of one interface since the start of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// How often the link came up.
    pub(crate) returns: Option<u64>,
    /// Received packets with a wrong checksum.
    pub(crate) crc: Option<u64>,
    /// Received packets.
    pub(crate) packets: Option<u64>,
}

/// What the counters mean.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Rates {
    pub(crate) crc_ppm: Option<f64>,
    pub(crate) flaps_per_hour: Option<f64>,
}

/// Samples of the last hour, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    samples: VecDeque<(Duration, BTreeMap<String, Counts>)>,
}

impl History {
    /// Keeps a sample. `now` is the time on a steady clock.
    pub(crate) fn note(&mut self, now: Duration, counts: BTreeMap<String, Counts>) {
        while self.samples.front().is_some_and(|(at, _)| now.saturating_sub(*at) > HOUR) {
            self.samples.pop_front();
        }
        if self.samples.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= APART) {
            self.samples.push_back((now, counts));
        }
    }

    /// The rates of one interface. Over the last hour when it was watched; else what was seen, or the mean since the start when that is more.
    pub(crate) fn rates(&self, now: Duration, name: &str, counts: Counts, uptime_s: Option<u64>) -> Rates {
        let before = self.samples.iter().find_map(|(at, sample)| Some((now.saturating_sub(*at), *sample.get(name)?)));
        let seen = before.and_then(|(_, before)| counts.returns?.checked_sub(before.returns?));
        let is_full = before.is_some_and(|(age, _)| age >= NEARLY_AN_HOUR) && seen.is_some();
        let mean = counts.returns.zip(uptime_s).map(|(returns, uptime_s)| {
            // The first time that the link comes up is no return. A machine up for minutes has no rate per hour yet, only a count.
            let hours = (uptime_s as f64 / HOUR.as_secs_f64()).max(1.0);
            returns.saturating_sub(1) as f64 / hours
        });
        let flaps = match (seen.map(|seen| seen as f64), mean) {
            (Some(seen), _) if is_full => Some(seen),
            (Some(seen), Some(mean)) => Some(seen.max(mean)),
            (seen, mean) => mean.or(seen),
        };
        let recent = before.and_then(|(_, before)| Some((counts.crc?.checked_sub(before.crc?)?, counts.packets?.checked_sub(before.packets?)?)));
        let shown = recent.filter(|(_, packets)| *packets >= PACKETS && is_full).or(counts.crc.zip(counts.packets));
        let crc_ppm = shown.filter(|(_, packets)| *packets > 0).map(|(crc, packets)| tenth((1e6 * crc as f64 / packets as f64).min(1e6)));
        Rates { crc_ppm, flaps_per_hour: flaps.map(tenth) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(returns: u64, crc: u64, packets: u64) -> Counts {
        Counts { returns: Some(returns), crc: Some(crc), packets: Some(packets) }
    }

    fn sample(counts: Counts) -> BTreeMap<String, Counts> {
        BTreeMap::from([("eth0".to_owned(), counts)])
    }

    const MONTH: Option<u64> = Some(30 * 86_400);

    #[test]
    fn a_watched_hour_counts_and_the_month_before_does_not() {
        let mut history = History::default();
        for minute in 0..=60 {
            history.note(Duration::from_secs(60 * minute), sample(counts(100 + minute / 12, 5, 1_000_000)));
        }
        assert_eq!(history.samples.len(), 61);
        let rates = history.rates(HOUR, "eth0", counts(105, 25, 3_000_000), MONTH);
        assert_eq!(rates, Rates { crc_ppm: Some(10.0), flaps_per_hour: Some(5.0) });
    }

    #[test]
    fn an_unwatched_machine_tells_the_mean_since_its_start() {
        let rates = History::default().rates(Duration::ZERO, "eth0", counts(721, 5, 1_000_000), MONTH);
        assert_eq!(rates, Rates { crc_ppm: Some(5.0), flaps_per_hour: Some(1.0) });
        let young = History::default().rates(Duration::ZERO, "eth0", counts(2, 0, 10), Some(120));
        assert_eq!(young.flaps_per_hour, Some(1.0), "one return in two minutes is one, not thirty");
    }

    #[test]
    fn flaps_seen_in_a_short_watch_are_not_averaged_away() {
        let mut history = History::default();
        history.note(Duration::ZERO, sample(counts(10, 0, 0)));
        assert_eq!(history.rates(Duration::from_secs(300), "eth0", counts(14, 0, 0), MONTH).flaps_per_hour, Some(4.0));
    }

    #[test]
    fn an_interface_that_was_made_anew_begins_anew() {
        let mut history = History::default();
        history.note(Duration::ZERO, sample(counts(50, 900, 1_000_000)));
        let rates = history.rates(HOUR, "eth0", counts(1, 0, 5_000), MONTH);
        assert_eq!(rates, Rates { crc_ppm: Some(0.0), flaps_per_hour: Some(0.0) });
        assert_eq!(history.rates(HOUR, "eth9", Counts::default(), MONTH), Rates::default());
    }

    proptest! {
        #[test]
        fn rates_stay_finite(steps in proptest::collection::vec((0u64..5000, any::<u64>(), any::<u64>(), any::<u64>()), 1..80), uptime in proptest::option::of(any::<u64>())) {
            let (mut history, mut now) = (History::default(), Duration::ZERO);
            for (step, returns, crc, packets) in steps {
                now += Duration::from_secs(step);
                history.note(now, sample(counts(returns, crc, packets)));
                prop_assert!(history.samples.len() <= 61);
                let rates = history.rates(now, "eth0", counts(returns, crc, packets), uptime);
                prop_assert!(rates.crc_ppm.is_none_or(|ppm| (0.0..=1e6).contains(&ppm)));
                prop_assert!(rates.flaps_per_hour.is_none_or(|flaps| flaps >= 0.0 && flaps.is_finite()));
                prop_assert!(rates.flaps_per_hour.is_some() || uptime.is_none(), "with an uptime there is always a mean");
            }
        }
    }
}
