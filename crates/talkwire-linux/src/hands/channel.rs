//! `wifi.set_channel`: hostapd announces the switch, or is set anew; on OpenWrt the configuration is changed and the radio reloaded.

use super::Hands;
use super::hostapd::must;
use super::layout::Band;
use super::openwrt::Wireless;
use super::radio::{Radio, is_name, wait_for};
use super::support;
use crate::args;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use talkwire_device::{Act, Applied, Args, ToolError, ToolSupport};

pub(super) const OP: &str = "wifi.set_channel";
const WIDTHS: [&str; 4] = ["20", "40", "80", "160"];
/// How long a radio may take to be on its new channel.
const SWITCH: Duration = Duration::from_secs(15);
/// Beacons that announce a switch before it happens.
const BEACONS: u32 = 5;
const WATCH_S: u64 = 60;

/// Changes the channel of a radio.
pub(super) struct SetChannel(pub(super) Hands);

struct Target {
    channel: u64,
    width: u64,
    mhz: u64,
}

fn target(args: &Args, band: Band, width_now: u64) -> Result<Target, ToolError> {
    let channel = args::whole(args, "channel", 1..=233)?.ok_or_else(|| ToolError::invalid_args("args.channel is missing"))?;
    let width = match args.get("width").filter(|value| !value.is_null()) {
        None => width_now,
        Some(value) => value
            .as_u64()
            .filter(|width| WIDTHS.contains(&width.to_string().as_str()))
            .ok_or_else(|| ToolError::invalid_args("args.width must be 20, 40, 80 or 160"))?,
    };
    let mhz = band.mhz(channel).ok_or_else(|| ToolError::invalid_args(format!("there is no channel {channel} at {}", band.word())))?;
    match band.middle_mhz(channel, width) {
        Some(_) => Ok(Target { channel, width, mhz }),
        // A radio that is wider now than the new channel can be becomes narrower, unless the width was asked for.
        None if !args.contains_key("width") => Ok(Target { channel, width: 20, mhz }),
        None => Err(ToolError::invalid_args(format!("channel {channel} at {} cannot be {width} MHz wide", band.word()))),
    }
}

fn section(radio: &Radio) -> Value {
    json!({"interface": radio.interface, "band": radio.band.word(), "channel": radio.channel, "width": radio.width})
}

impl SetChannel {
    fn uses_uci(&self) -> bool {
        self.0.is_openwrt()
    }

    /// Asks hostapd for the switch and waits until the radio is there.
    async fn switch(&self, radio: &Radio, target: &Target) -> Result<Radio, ToolError> {
        if (radio.channel, radio.width) != (target.channel, target.width) {
            let answer = self.0.hostapd.ask(&radio.interface, &announcement(radio, target)).await?;
            if must(answer, "announce the switch").is_err() {
                self.start_anew(radio, target).await?;
            }
        }
        let there = wait_for(SWITCH, || async {
            let now = self.0.radio_now(&radio.interface).await?;
            Ok((now.channel == target.channel && matches!(now.state.as_str(), "ENABLED" | "DFS")).then_some(now))
        });
        there.await?.ok_or_else(|| {
            ToolError::failed(format!(
                "{} is not on channel {} after {} s; the channel may not be allowed here",
                radio.interface,
                target.channel,
                SWITCH.as_secs()
            ))
        })
    }

    /// For drivers that cannot announce a switch: the radio is turned off, set and turned on.
    async fn start_anew(&self, radio: &Radio, target: &Target) -> Result<(), ToolError> {
        let ask = |command: String| async move { self.0.hostapd.ask(&radio.interface, &command).await };
        must(ask("DISABLE".into()).await?, "turn the radio off")?;
        let set = must(ask(format!("SET channel {}", target.channel)).await?, "set this channel");
        let on = must(ask("ENABLE".into()).await?, "turn the radio on");
        set.and(on).map(|_| ())
    }
}

fn announcement(radio: &Radio, target: &Target) -> String {
    let mut command = format!("CHAN_SWITCH {BEACONS} {}", target.mhz);
    if target.width > 20 {
        let middle = radio.band.middle_mhz(target.channel, target.width).unwrap_or(target.mhz);
        if let Some(second) = radio.band.second(target.channel) {
            command += &format!(" sec_channel_offset={second}");
        }
        command += &format!(" center_freq1={middle}");
    }
    command += &format!(" bandwidth={}", target.width);
    for mode in &radio.modes {
        command += &format!(" {mode}");
    }
    command
}

impl Act for SetChannel {
    fn op(&self) -> &str {
        OP
    }

    fn support(&self) -> ToolSupport {
        let lacks = match self.uses_uci() {
            true => None,
            false => self.0.hostapd.lacks(),
        };
        support(4000, lacks)
    }

    async fn check(&self, args: &Args) -> Result<Value, ToolError> {
        if self.uses_uci() {
            let wireless = self.0.wireless(args).await?;
            let target = target(args, wireless.band, wireless.width())?;
            return Ok(wireless.with_channel(target.channel, target.width).channel_section());
        }
        let radio = self.0.radio(args).await?;
        let target = target(args, radio.band, radio.width)?;
        Ok(section(&Radio { channel: target.channel, width: target.width, ..radio }))
    }

    async fn capture(&self, args: &Args) -> Result<Value, ToolError> {
        match self.uses_uci() {
            true => Ok(self.0.wireless(args).await?.channel_section()),
            false => Ok(section(&self.0.radio(args).await?)),
        }
    }

    async fn apply(&self, args: &Args) -> Result<Applied, ToolError> {
        let began = Instant::now();
        let (section, previous, radar_watch) = if self.uses_uci() {
            let before = self.0.wireless(args).await?;
            let target = target(args, before.band, before.width())?;
            let after = self.0.set_wireless(&before.with_channel(target.channel, target.width), &["channel", "htmode"]).await?;
            (after.channel_section(), json!(before.channel), before.band.needs_radar_watch(target.channel))
        } else {
            let before = self.0.radio(args).await?;
            let target = target(args, before.band, before.width)?;
            let after = self.switch(&before, &target).await?;
            (section(&after), json!(before.channel), after.state == "DFS")
        };
        let watch_s = if radar_watch { WATCH_S } else { 0 };
        let fields = [
            ("interface", section["interface"].clone()),
            ("channel", section["channel"].clone()),
            ("previous_channel", previous),
            ("width_mhz", section["width"].clone()),
            ("dfs", json!(radar_watch)),
            ("downtime_s", json!(began.elapsed().as_secs() + 1 + watch_s)),
        ];
        Ok(Applied { result: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(), section })
    }

    async fn restore(&self, previous: &Value) -> Result<Value, ToolError> {
        if self.uses_uci() {
            let before = Wireless::of_section(previous)?;
            return Ok(self.0.set_wireless(&before, &["channel", "htmode"]).await?.channel_section());
        }
        let unknown = || ToolError::failed("the captured section does not name a channel");
        let interface = previous.get("interface").and_then(Value::as_str).filter(|name| is_name(name)).ok_or_else(unknown)?;
        let radio = self.0.radio_now(interface).await?;
        let number = |name: &str| previous.get(name).and_then(Value::as_u64).ok_or_else(unknown);
        let (channel, width) = (number("channel")?, number("width")?);
        let mhz = radio.band.mhz(channel).ok_or_else(unknown)?;
        Ok(section(&self.switch(&radio, &Target { channel, width, mhz }).await?))
    }

    /// hostapd reads its file again at a boot, and UCI keeps what it was told.
    fn lasting(&self, section: &Value) -> Option<String> {
        section.get("interface").and_then(Value::as_str).filter(|_| !self.uses_uci()).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{Tape, args, hands};
    use super::*;
    use crate::root::Root;
    use crate::settings::Settings;
    use talkwire_device::Code;

    const STATUS_6: &str = "state=ENABLED\nfreq=2437\nchannel=6\nsecondary_channel=0\nieee80211n=1\nieee80211ac=0\nieee80211ax=0\nbss[0]=wlan0\nnum_sta[0]=2\n";
    const STATUS_1: &str = "state=ENABLED\nfreq=2412\nchannel=1\nsecondary_channel=0\nieee80211n=1\nieee80211ac=0\nieee80211ax=0\n";
    const STATUS_OFF: &str = "state=DISABLED\nfreq=2412\nchannel=1\nsecondary_channel=0\nieee80211n=1\n";
    const STATUS_36: &str = "state=ENABLED\nfreq=5180\nchannel=36\nsecondary_channel=1\nieee80211n=1\nieee80211ac=1\nvht_oper_chwidth=1\n";

    fn act(tape: &std::sync::Arc<Tape>) -> SetChannel {
        SetChannel(hands(tape, &Root::new("/nowhere"), Settings::default()))
    }

    #[tokio::test]
    async fn a_switch_is_announced_read_back_and_undone() {
        let tape = Tape::new(
            &["hostapd:wlan0"],
            &[
                ("wlan0> STATUS", STATUS_6),
                ("wlan0> STATUS", STATUS_6),
                ("wlan0> STATUS", STATUS_6),
                ("wlan0> CHAN_SWITCH 5 2412 bandwidth=20 ht", "OK"),
                ("wlan0> STATUS", STATUS_1),
                ("wlan0> STATUS", STATUS_1),
                ("wlan0> CHAN_SWITCH 5 2437 bandwidth=20 ht", "OK"),
                ("wlan0> STATUS", STATUS_6),
            ],
        );
        let (act, call) = (act(&tape), args(json!({"channel": 1})));
        let would = act.check(&call).await.unwrap();
        let before = act.capture(&call).await.unwrap();
        assert_eq!(before, json!({"interface": "wlan0", "band": "2.4GHz", "channel": 6, "width": 20}));
        let applied = act.apply(&call).await.unwrap();
        assert_eq!((&applied.section, &applied.section["channel"]), (&would, &json!(1)));
        assert_eq!((&applied.result["previous_channel"], &applied.result["channel"], &applied.result["dfs"]), (&json!(6), &json!(1), &json!(false)));
        assert_eq!(act.restore(&before).await.unwrap(), before);
        tape.assert_played();
    }

    #[tokio::test]
    async fn a_driver_that_cannot_announce_is_started_anew() {
        let tape = Tape::new(
            &["hostapd:wlan0"],
            &[
                ("wlan0> STATUS", STATUS_6),
                ("wlan0> CHAN_SWITCH 5 2412 bandwidth=20 ht", "FAIL"),
                ("wlan0> DISABLE", "OK"),
                ("wlan0> SET channel 1", "OK"),
                ("wlan0> ENABLE", "OK"),
                ("wlan0> STATUS", STATUS_OFF),
                ("wlan0> STATUS", STATUS_1),
            ],
        );
        assert_eq!(act(&tape).apply(&args(json!({"channel": 1}))).await.unwrap().section["channel"], 1);
        tape.assert_played();
    }

    #[tokio::test]
    async fn a_channel_that_is_refused_leaves_the_radio_on_and_is_an_error() {
        let tape = Tape::new(
            &["hostapd:wlan0"],
            &[
                ("wlan0> STATUS", STATUS_6),
                ("wlan0> CHAN_SWITCH 5 2467 bandwidth=20 ht", "FAIL"),
                ("wlan0> DISABLE", "OK"),
                ("wlan0> SET channel 12", "FAIL"),
                ("wlan0> ENABLE", "OK"),
            ],
        );
        let error = act(&tape).apply(&args(json!({"channel": 12}))).await.unwrap_err();
        assert!(error.is(Code::Device) && error.message.contains("this channel"), "{error}");
        tape.assert_played();
    }

    #[tokio::test]
    async fn a_wide_channel_names_its_middle_and_the_radio_is_chosen_by_band() {
        let tape = Tape::new(
            &["hostapd:wlan0", "hostapd:wlan1"],
            &[
                ("wlan0> STATUS", STATUS_6),
                ("wlan1> STATUS", STATUS_36),
                ("wlan1> CHAN_SWITCH 5 5745 sec_channel_offset=1 center_freq1=5775 bandwidth=80 ht vht", "OK"),
                ("wlan1> STATUS", &STATUS_36.replace("freq=5180\nchannel=36", "freq=5745\nchannel=149")),
            ],
        );
        let section = act(&tape).apply(&args(json!({"channel": 149, "band": "5GHz"}))).await.unwrap().section;
        assert_eq!(section, json!({"interface": "wlan1", "band": "5GHz", "channel": 149, "width": 80}));
        tape.assert_played();
    }

    #[tokio::test]
    async fn what_cannot_be_meant_is_refused_before_anything_is_touched() {
        for (call, hint) in [
            (json!({"channel": 999_999}), "1 to 233"),
            (json!({"channel": "; reboot"}), "args.channel"),
            (json!({"channel": 36}), "2.4GHz"),
            (json!({}), "missing"),
            (json!({"channel": 1, "width": 30}), "args.width"),
            (json!({"channel": 1, "width": 80}), "80 MHz"),
            (json!({"channel": 1, "interface": "../../etc/passwd"}), "args.interface"),
            (json!({"channel": 1, "interface": "wlan9"}), "there are"),
            (json!({"channel": 1, "band": "60GHz"}), "args.band"),
        ] {
            let tape = Tape::new(&["hostapd:wlan0"], &[("wlan0> STATUS", STATUS_6)]);
            let error = act(&tape).check(&args(call.clone())).await.unwrap_err();
            assert!(error.is(Code::InvalidArgs) && error.message.contains(hint), "{call}: {error}");
        }
        let none = act(&Tape::new(&[], &[])).support();
        assert_eq!((none.supported, none.reason.as_deref()), (false, Some("no_hostapd")));
    }
}
