//! `wifi.set_power`: the kernel is told through `iw`; on OpenWrt the configuration is changed and the radio reloaded.

use super::Hands;
use super::layout::Band;
use super::openwrt::Wireless;
use super::radio::{Wanted, is_name};
use super::support;
use crate::ports;
use serde_json::{Map, Value, json};
use talkwire_device::{Act, Applied, Args, ToolError, ToolSupport};

pub(super) const OP: &str = "wifi.set_power";

/// Changes the transmit power of a radio.
pub(super) struct SetPower(pub(super) Hands);

/// What `iw dev NAME info` says.
#[derive(Debug, PartialEq)]
struct Told {
    interface: String,
    band: Option<Band>,
    power_dbm: f64,
}

fn parse(interface: &str, text: &str) -> Option<Told> {
    let after = |word: &str| text.lines().find_map(|line| line.trim().strip_prefix(word));
    let power_dbm = after("txpower ")?.split_whitespace().next()?.parse().ok()?;
    let mhz = after("channel ").and_then(|rest| rest.split_once('(')).and_then(|(_, rest)| rest.split_whitespace().next()).and_then(|mhz| mhz.parse().ok());
    Some(Told { interface: interface.into(), band: mhz.and_then(Band::of_mhz), power_dbm })
}

fn section(told: &Told) -> Value {
    json!({"interface": told.interface, "band": told.band.map(Band::word), "power_dbm": told.power_dbm})
}

fn wanted_dbm(args: &Args) -> Result<f64, ToolError> {
    let power = args.get("power_dbm").and_then(Value::as_f64).filter(|dbm| (0.0..=36.0).contains(dbm));
    power.ok_or_else(|| ToolError::invalid_args("args.power_dbm must be a number from 0 to 36"))
}

impl SetPower {
    async fn told(&self, interface: &str) -> Result<Told, ToolError> {
        let text = self.0.programs.run("iw", &["dev", interface, "info"]).await?;
        parse(interface, &text).ok_or_else(|| ToolError::failed(format!("iw does not say with what power {interface} sends")))
    }

    async fn radio(&self, args: &Args) -> Result<Told, ToolError> {
        let wanted = Wanted::read(args)?;
        let mut radios = Vec::new();
        for interface in self.interfaces().into_iter().filter(|name| wanted.interface.as_ref().is_none_or(|wanted| wanted == name)) {
            radios.push(self.told(&interface).await?);
        }
        wanted.pick(radios, |told| (told.interface.clone(), told.band))
    }

    fn interfaces(&self) -> Vec<String> {
        ports::names(&self.0.root).into_iter().filter(|name| ports::is_wifi(&self.0.root, name) && is_name(name)).collect()
    }

    async fn set(&self, interface: &str, dbm: f64) -> Result<Told, ToolError> {
        let hundredths = format!("{:.0}", dbm * 100.0);
        self.0.programs.run("iw", &["dev", interface, "set", "txpower", "fixed", &hundredths]).await?;
        self.told(interface).await
    }
}

impl Act for SetPower {
    fn op(&self) -> &str {
        OP
    }

    fn support(&self) -> ToolSupport {
        let lacks = match () {
            () if self.0.is_openwrt() => None,
            () if self.interfaces().is_empty() => Some("no_wifi"),
            () => (!self.0.programs.has("iw")).then_some("no_iw"),
        };
        support(2500, lacks)
    }

    async fn check(&self, args: &Args) -> Result<Value, ToolError> {
        let power_dbm = wanted_dbm(args)?;
        match self.0.is_openwrt() {
            true => Ok(self.0.wireless(args).await?.with_power(power_dbm).power_section()),
            false => Ok(section(&Told { power_dbm, ..self.radio(args).await? })),
        }
    }

    async fn capture(&self, args: &Args) -> Result<Value, ToolError> {
        match self.0.is_openwrt() {
            true => Ok(self.0.wireless(args).await?.power_section()),
            false => Ok(section(&self.radio(args).await?)),
        }
    }

    async fn apply(&self, args: &Args) -> Result<Applied, ToolError> {
        let asked = wanted_dbm(args)?;
        let (previous, section) = if self.0.is_openwrt() {
            let before = self.0.wireless(args).await?;
            let after = self.0.set_wireless(&before.with_power(asked), &["txpower"]).await?;
            (json!(before.txpower), after.power_section())
        } else {
            let before = self.radio(args).await?;
            (json!(before.power_dbm), section(&self.set(&before.interface, asked).await?))
        };
        let fields = [
            ("interface", section["interface"].clone()),
            ("power_dbm", section["power_dbm"].clone()),
            ("previous_power_dbm", previous),
            ("requested_dbm", json!(asked)),
        ];
        Ok(Applied { result: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(), section })
    }

    async fn restore(&self, previous: &Value) -> Result<Value, ToolError> {
        if self.0.is_openwrt() {
            return Ok(self.0.set_wireless(&Wireless::of_section(previous)?, &["txpower"]).await?.power_section());
        }
        let unknown = || ToolError::failed("the captured section does not name a power");
        let interface = previous.get("interface").and_then(Value::as_str).filter(|name| is_name(name)).ok_or_else(unknown)?;
        let dbm = previous.get("power_dbm").and_then(Value::as_f64).ok_or_else(unknown)?;
        Ok(section(&self.set(interface, dbm).await?))
    }

    fn lasting(&self, section: &Value) -> Option<String> {
        section.get("interface").and_then(Value::as_str).filter(|_| !self.0.is_openwrt()).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{Tape, args, hands};
    use super::*;
    use crate::root::Root;
    use crate::settings::Settings;
    use talkwire_device::Code;

    fn info(dbm: &str) -> String {
        format!(
            "Interface wlan0\n\tifindex 4\n\twdev 0x1\n\taddr 02:00:00:00:00:04\n\ttype AP\n\twiphy 0\n\tchannel 6 (2437 MHz), width: 20 MHz, center1: 2437 MHz\n\ttxpower {dbm} dBm\n"
        )
    }

    fn machine() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let port = folder.path().join("sys/class/net/wlan0");
        std::fs::create_dir_all(&port).unwrap();
        std::fs::write(port.join("uevent"), "DEVTYPE=wlan\n").unwrap();
        std::fs::write(port.join("operstate"), "up\n").unwrap();
        folder
    }

    #[tokio::test]
    async fn the_power_that_the_kernel_really_took_is_told() {
        let (twenty, limited) = (info("20.00"), info("17.00"));
        let tape = Tape::new(
            &["iw"],
            &[
                ("iw dev wlan0 info", &twenty),
                ("iw dev wlan0 info", &twenty),
                ("iw dev wlan0 set txpower fixed 3000", ""),
                ("iw dev wlan0 info", &limited),
                ("iw dev wlan0 set txpower fixed 2000", ""),
                ("iw dev wlan0 info", &twenty),
            ],
        );
        let machine = machine();
        let act = SetPower(hands(&tape, &Root::new(machine.path()), Settings::default()));
        let call = args(json!({"power_dbm": 30}));
        let before = act.capture(&call).await.unwrap();
        let applied = act.apply(&call).await.unwrap();
        assert_eq!(
            (&applied.section["power_dbm"], &applied.result["requested_dbm"], &applied.result["previous_power_dbm"]),
            (&json!(17.0), &json!(30.0), &json!(20.0))
        );
        assert_eq!(act.restore(&before).await.unwrap(), before);
        tape.assert_played();
    }

    #[tokio::test]
    async fn what_cannot_be_meant_is_refused() {
        let machine = machine();
        for call in [json!({}), json!({"power_dbm": 999_999}), json!({"power_dbm": "; reboot"}), json!({"power_dbm": 10, "interface": "-h"})] {
            let act = SetPower(hands(&Tape::new(&["iw"], &[]), &Root::new(machine.path()), Settings::default()));
            assert!(act.check(&args(call)).await.unwrap_err().is(Code::InvalidArgs));
        }
        let wireless = SetPower(hands(&Tape::new(&[], &[]), &Root::new(machine.path()), Settings::default())).support();
        let wired = SetPower(hands(&Tape::new(&["iw"], &[]), &Root::new("/nowhere"), Settings::default())).support();
        assert_eq!((wireless.reason.as_deref(), wired.reason.as_deref()), (Some("no_iw"), Some("no_wifi")));
    }
}
