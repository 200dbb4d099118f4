//! Wi-Fi of OpenWrt: `uci` keeps the configuration, `ubus` tells what netifd runs.

use super::Hands;
use super::layout::Band;
use super::radio::{Wanted, is_name, wait_for};
use serde_json::{Value, json};
use std::time::Duration;
use talkwire_device::{Args, ToolError};

/// How long netifd may take to bring a radio up again.
const RELOAD: Duration = Duration::from_secs(18);

/// One radio as netifd runs it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wireless {
    /// The section of `/etc/config/wireless`, for example `radio0`.
    pub(super) radio: String,
    pub(super) interface: String,
    pub(super) band: Band,
    /// A number, or `auto`.
    pub(super) channel: Value,
    /// For example `HE80`; none when it is not set.
    pub(super) htmode: Option<String>,
    /// In dBm; none when the driver decides.
    pub(super) txpower: Option<i64>,
    up: bool,
}

fn number_or_word(value: Option<&Value>) -> Value {
    match value {
        Some(Value::String(text)) => text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number)),
        Some(value) => value.clone(),
        None => json!("auto"),
    }
}

fn band_of(config: &Value) -> Option<Band> {
    // `hwmode` is how older versions said it.
    match (config.get("band").and_then(Value::as_str), config.get("hwmode").and_then(Value::as_str)) {
        (Some("2g"), _) | (None, Some("11g" | "11b")) => Some(Band::Two),
        (Some("5g"), _) | (None, Some("11a")) => Some(Band::Five),
        (Some("6g"), _) => Some(Band::Six),
        _ => None,
    }
}

impl Wireless {
    /// The radios in the answer of `ubus call network.wireless status`.
    pub(super) fn parse(answer: &str) -> Result<Vec<Self>, ToolError> {
        let answer: Value = serde_json::from_str(answer).map_err(|error| ToolError::failed(format!("ubus did not answer with JSON: {error}")))?;
        let radios = answer.as_object().into_iter().flatten().filter_map(|(radio, state)| {
            let config = state.get("config")?;
            let interface = state.pointer("/interfaces/0/ifname").and_then(Value::as_str).unwrap_or(radio);
            Some(Self {
                radio: radio.clone(),
                interface: interface.into(),
                band: band_of(config)?,
                channel: number_or_word(config.get("channel")),
                htmode: config.get("htmode").and_then(Value::as_str).map(str::to_owned),
                txpower: number_or_word(config.get("txpower")).as_i64(),
                up: state.get("up") == Some(&Value::Bool(true)) && state.get("pending") != Some(&Value::Bool(true)),
            })
        });
        Ok(radios.filter(|wireless| is_name(&wireless.radio) && is_name(&wireless.interface)).collect())
    }

    pub(super) fn width(&self) -> u64 {
        let digits = self.htmode.as_deref().map(|mode| mode.trim_start_matches(|c: char| c.is_ascii_alphabetic()));
        digits.and_then(|digits| digits.trim_end_matches(['+', '-']).parse().ok()).unwrap_or(20)
    }

    pub(super) fn with_channel(&self, channel: u64, width: u64) -> Self {
        let letters = self.htmode.as_deref().map(|mode| mode.chars().take_while(char::is_ascii_alphabetic).collect::<String>());
        let htmode = if width == self.width() { self.htmode.clone() } else { letters.map(|letters| format!("{letters}{width}")) };
        Self { channel: json!(channel), htmode, ..self.clone() }
    }

    /// The configuration takes whole decibels.
    pub(super) fn with_power(&self, dbm: f64) -> Self {
        Self { txpower: Some(dbm.round() as i64), ..self.clone() }
    }

    pub(super) fn channel_section(&self) -> Value {
        json!({"radio": self.radio, "interface": self.interface, "band": self.band.word(), "channel": self.channel, "width": self.width(), "htmode": self.htmode})
    }

    pub(super) fn power_section(&self) -> Value {
        json!({"radio": self.radio, "interface": self.interface, "band": self.band.word(), "power_dbm": self.txpower})
    }

    /// What a section of ours says; what it does not say is left open.
    pub(super) fn of_section(section: &Value) -> Result<Self, ToolError> {
        let unknown = || ToolError::failed("the captured section does not name a radio");
        let text = |name: &str| section.get(name).and_then(Value::as_str).map(str::to_owned);
        let name = |name: &str| text(name).filter(|word| is_name(word)).ok_or_else(unknown);
        let band = Band::WORDS.iter().position(|word| text("band").as_deref() == Some(word)).ok_or_else(unknown)?;
        let channel = section.get("channel").filter(|value| value.is_u64() || value.as_str() == Some("auto")).cloned().unwrap_or(json!("auto"));
        let htmode = text("htmode").filter(|mode| is_name(mode));
        let txpower = section.get("power_dbm").and_then(Value::as_i64);
        Ok(Self { radio: name("radio")?, interface: name("interface")?, band: Band::of_word(band), channel, htmode, txpower, up: true })
    }

    /// The value of an option in `/etc/config/wireless`; none: it is not set.
    fn option(&self, name: &str) -> Option<String> {
        match name {
            "channel" => Some(self.channel.as_str().map_or_else(|| self.channel.to_string(), str::to_owned)),
            "htmode" => self.htmode.clone(),
            _ => self.txpower.map(|dbm| dbm.to_string()),
        }
    }
}

impl Hands {
    async fn wireless_all(&self) -> Result<Vec<Wireless>, ToolError> {
        Wireless::parse(&self.programs.run("ubus", &["call", "network.wireless", "status"]).await?)
    }

    /// The radio that a call means.
    pub(super) async fn wireless(&self, args: &Args) -> Result<Wireless, ToolError> {
        Wanted::read(args)?.pick(self.wireless_all().await?, |wireless| (wireless.interface.clone(), Some(wireless.band)))
    }

    /// Writes these options of a radio, lets netifd take them, and tells what it runs.
    pub(super) async fn set_wireless(&self, wanted: &Wireless, options: &[&str]) -> Result<Wireless, ToolError> {
        for option in options {
            let key = format!("wireless.{}.{option}", wanted.radio);
            match wanted.option(option) {
                Some(value) => self.programs.run("uci", &["set", &format!("{key}={value}")]).await?,
                // Taking away what is not there is a failure of uci's, and none of ours.
                None => self.programs.run("uci", &["-q", "delete", &key]).await.unwrap_or_default(),
            };
        }
        self.programs.run("uci", &["commit", "wireless"]).await?;
        self.programs.run("wifi", &["reload"]).await?;
        let fits = |now: &Wireless| now.radio == wanted.radio && now.up && options.iter().all(|option| now.option(option) == wanted.option(option));
        let there = wait_for(RELOAD, || async { Ok(self.wireless_all().await?.into_iter().find(fits)) });
        there.await?.ok_or_else(|| ToolError::failed(format!("{} does not run with the new setting after {} s", wanted.radio, RELOAD.as_secs())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::channel::SetChannel;
    use super::super::power::SetPower;
    use super::super::recorded::{Tape, args, hands};
    use super::*;
    use crate::root::Root;
    use crate::settings::Settings;
    use talkwire_device::Act;

    /// Two radios; the 5 GHz one chooses its channel by itself.
    fn status(channel: &str, htmode: &str, txpower: &str) -> String {
        format!(
            r#"{{"radio0": {{"up": true, "pending": false, "config": {{"band": "2g", "channel": "{channel}", "htmode": "{htmode}"{txpower}}},
                "interfaces": [{{"section": "default_radio0", "ifname": "phy0-ap0", "config": {{"ssid": "home"}}}}]}},
              "radio1": {{"up": true, "pending": false, "config": {{"hwmode": "11a", "channel": "auto", "htmode": "VHT80", "txpower": 20}}, "interfaces": []}}}}"#
        )
    }

    const STATUS: &str = "ubus call network.wireless status";
    const TOOLS: [&str; 3] = ["uci", "ubus", "wifi"];

    #[tokio::test]
    async fn the_channel_is_kept_by_uci_and_run_by_netifd() {
        let (six, eleven) = (status("6", "HE20", ""), status("11", "HE40", ""));
        let tape = Tape::new(
            &TOOLS,
            &[
                (STATUS, &six),
                (STATUS, &six),
                ("uci set wireless.radio0.channel=11", ""),
                ("uci set wireless.radio0.htmode=HE40", ""),
                ("uci commit wireless", ""),
                ("wifi reload", ""),
                (STATUS, &six),
                (STATUS, &eleven),
                ("uci set wireless.radio0.channel=6", ""),
                ("uci set wireless.radio0.htmode=HE20", ""),
                ("uci commit wireless", ""),
                ("wifi reload", ""),
                (STATUS, &six),
            ],
        );
        let act = SetChannel(hands(&tape, &Root::new("/nowhere"), Settings::default()));
        assert!(act.support().supported);
        let call = args(json!({"channel": 11, "width": 40, "interface": "phy0-ap0"}));
        let before = act.capture(&call).await.unwrap();
        let applied = act.apply(&call).await.unwrap();
        assert_eq!((&applied.section["channel"], &applied.section["htmode"], &applied.result["previous_channel"]), (&json!(11), &json!("HE40"), &json!(6)));
        assert_eq!(act.restore(&before).await.unwrap(), before);
        tape.assert_played();
    }

    #[tokio::test]
    async fn a_power_that_was_not_set_is_not_set_again() {
        let (open, low) = (status("6", "HE20", ""), status("6", "HE20", ", \"txpower\": \"10\""));
        let tape = Tape::new(
            &TOOLS,
            &[
                (STATUS, &open),
                (STATUS, &open),
                ("uci set wireless.radio0.txpower=10", ""),
                ("uci commit wireless", ""),
                ("wifi reload", ""),
                (STATUS, &low),
                ("uci -q delete wireless.radio0.txpower", ""),
                ("uci commit wireless", ""),
                ("wifi reload", ""),
                (STATUS, &open),
            ],
        );
        let act = SetPower(hands(&tape, &Root::new("/nowhere"), Settings::default()));
        let call = args(json!({"power_dbm": 10, "band": "2.4GHz"}));
        let before = act.capture(&call).await.unwrap();
        assert_eq!(before["power_dbm"], Value::Null);
        assert_eq!(act.apply(&call).await.unwrap().section["power_dbm"], 10);
        assert_eq!(act.restore(&before).await.unwrap(), before);
        tape.assert_played();
    }

    #[test]
    fn radios_are_read_in_the_old_and_the_new_form() {
        let radios = Wireless::parse(&status("6", "HT40+", "")).unwrap();
        assert_eq!((radios[0].width(), radios[0].interface.as_str(), radios[1].band, &radios[1].channel), (40, "phy0-ap0", Band::Five, &json!("auto")));
        assert_eq!(radios[1].with_channel(36, 40).htmode.as_deref(), Some("VHT40"));
        assert!(Wireless::parse("Command failed: Not found").is_err() && Wireless::parse("[]").unwrap().is_empty());
    }
}
