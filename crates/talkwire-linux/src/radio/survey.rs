//! How busy each channel is, as `iw dev … survey dump` prints it.

use super::interface::number;

/// What a radio heard on one channel. Times are milliseconds since some beginning of the driver's.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Channel {
    pub(super) mhz: u32,
    pub(super) in_use: bool,
    pub(super) noise_dbm: Option<f64>,
    pub(super) active: Option<u64>,
    pub(super) busy: Option<u64>,
    /// Frames were heard.
    pub(super) receive: Option<u64>,
    /// Frames of our own network were heard.
    pub(super) receive_own: Option<u64>,
    /// Frames were sent.
    pub(super) transmit: Option<u64>,
}

/// Shares of the time, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Shares {
    /// All that is not silence.
    pub(super) busy: f64,
    /// What others do.
    pub(super) external: Option<f64>,
    /// What is no frame of Wi-Fi.
    pub(super) other: Option<f64>,
}

/// A channel that was listened to for less says nothing.
const LEAST_MS: u64 = 20;

pub(super) fn parse(text: &str) -> Vec<Channel> {
    let mut found: Vec<Channel> = Vec::new();
    for line in text.lines() {
        let Some((name, value)) = line.trim().split_once(':') else { continue };
        let value = value.trim();
        if name == "frequency" {
            found.push(Channel { mhz: number(value).unwrap_or_default(), in_use: value.contains("[in use]"), ..Channel::default() });
            continue;
        }
        let Some(last) = found.last_mut() else { continue };
        let ms = || value.split(' ').next().and_then(|ms| ms.parse::<u64>().ok());
        match name {
            "noise" => last.noise_dbm = value.split(' ').next().and_then(|dbm| dbm.parse().ok()).filter(|dbm| (-130.0..0.0).contains(dbm)),
            "channel active time" => last.active = ms(),
            "channel busy time" => last.busy = ms(),
            "channel receive time" => last.receive = ms(),
            "channel BSS receive time" => last.receive_own = ms(),
            "channel transmit time" => last.transmit = ms(),
            _ => {}
        }
    }
    found.retain(|channel| channel.mhz > 0);
    found
}

/// What happened on a channel between two readings; since the beginning when there is no earlier one, or the driver began anew.
pub(super) fn shares(before: Option<&Channel>, after: &Channel) -> Option<Shares> {
    let since = |pick: fn(&Channel) -> Option<u64>| {
        let now = pick(after)?;
        Some(before.and_then(pick).and_then(|then| now.checked_sub(then)).unwrap_or(now))
    };
    let mut active = since(|channel| channel.active)?;
    let spans = [since(|channel| channel.busy), since(|channel| channel.receive), since(|channel| channel.receive_own), since(|channel| channel.transmit)];
    let [mut busy, mut receive, mut own, mut transmit] = spans;
    if active < LEAST_MS {
        // Nothing new: the driver counts only while it scans.
        active = after.active.filter(|ms| *ms >= LEAST_MS)?;
        [busy, receive, own, transmit] = [after.busy, after.receive, after.receive_own, after.transmit];
    }
    let percent = |ms: u64| (100.0 * ms as f64 / active as f64).clamp(0.0, 100.0);
    let busy = busy?;
    let external = transmit.map(|transmit| percent(busy.saturating_sub(transmit).saturating_sub(own.unwrap_or(0))));
    let other = transmit.zip(receive).map(|(transmit, receive)| percent(busy.saturating_sub(transmit).saturating_sub(receive)));
    Some(Shares { busy: percent(busy), external, other })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DUMP: &str = "Survey data from wlan0\n\tfrequency:\t\t\t2437 MHz [in use]\n\tnoise:\t\t\t\t-92 dBm\n\tchannel active time:\t\t1000 ms\n\tchannel busy time:\t\t810 ms\n\tchannel receive time:\t\t600 ms\n\tchannel transmit time:\t\t50 ms\nSurvey data from wlan0\n\tfrequency:\t\t\t2412 MHz\n\tchannel active time: 10 ms\n\tchannel busy time: 9 ms\n";

    #[test]
    fn shares_follow_from_the_times() {
        let found = parse(DUMP);
        assert_eq!((found.len(), found[0].in_use, found[0].noise_dbm), (2, true, Some(-92.0)));
        assert_eq!(shares(None, &found[0]), Some(Shares { busy: 81.0, external: Some(76.0), other: Some(16.0) }));
        assert_eq!(shares(None, &found[1]), None, "ten milliseconds say nothing");
    }

    #[test]
    fn between_two_readings_only_what_is_new_counts() {
        let before = parse(DUMP)[0];
        let after = Channel { active: Some(2000), busy: Some(910), receive: Some(700), transmit: Some(50), ..before };
        assert_eq!(shares(Some(&before), &after).map(|shares| shares.busy), Some(10.0));
        assert_eq!(shares(Some(&after), &before).map(|shares| shares.busy), Some(81.0), "the driver began anew");
        assert_eq!(shares(Some(&before), &before).map(|shares| shares.busy), Some(81.0), "the driver does not count on");
    }

    proptest! {
        #[test]
        fn shares_stay_within_bounds(text in "(\tfrequency: [0-9]{0,12} MHz\n|\tchannel (active|busy|receive|transmit) time: [0-9]{0,22} ms\n|\\PC{0,20}\n){0,12}") {
            for channel in parse(&text) {
                let all = shares(None, &channel).into_iter().flat_map(|shares| [Some(shares.busy), shares.external, shares.other]).flatten();
                for share in all {
                    prop_assert!((0.0..=100.0).contains(&share));
                }
            }
        }
    }
}
