//! `wifi.client_disconnect`: hostapd sends a station away; it usually comes back by itself. Nothing of it can be put back.

use super::Hands;
use super::hostapd::{fields, must};
use super::radio::wait_for;
use super::support;
use crate::args;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use talkwire_device::{Act, Applied, Args, Code, ToolError, ToolSupport};

pub(super) const OP: &str = "wifi.client_disconnect";
/// How long the client is watched for its return.
const RETURN: Duration = Duration::from_secs(8);

/// Sends a client away.
pub(super) struct ClientDisconnect(pub(super) Hands);

/// The address as hostapd writes it.
fn wanted(args: &Args) -> Result<String, ToolError> {
    let digits = args::mac(args, "client_mac")?.ok_or_else(|| ToolError::invalid_args("args.client_mac is missing"))?;
    Ok(digits.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect::<Vec<_>>().join(":"))
}

impl ClientDisconnect {
    /// The interface that the station is on, if it is on one.
    async fn find(&self, mac: &str) -> Result<Option<String>, ToolError> {
        for interface in self.0.hostapd.interfaces() {
            let told = self.0.hostapd.ask(&interface, &format!("STA {mac}")).await?;
            let is_here = told.lines().next().is_some_and(|line| line.eq_ignore_ascii_case(mac));
            // An entry may be left of one that has gone.
            if is_here && fields(&told).get("flags").is_none_or(|flags| flags.contains("[ASSOC]")) {
                return Ok(Some(interface));
            }
        }
        Ok(None)
    }
}

impl Act for ClientDisconnect {
    fn op(&self) -> &str {
        OP
    }

    fn support(&self) -> ToolSupport {
        support(1500, self.0.hostapd.lacks())
    }

    async fn check(&self, args: &Args) -> Result<Value, ToolError> {
        let mac = wanted(args)?;
        match self.find(&mac).await? {
            Some(_) => Ok(Value::Null),
            None => Err(ToolError::new(Code::NotFound, format!("{mac} is not on the Wi-Fi of this machine now"))),
        }
    }

    async fn capture(&self, _: &Args) -> Result<Value, ToolError> {
        Ok(Value::Null)
    }

    async fn apply(&self, args: &Args) -> Result<Applied, ToolError> {
        let mac = wanted(args)?;
        let from = self.find(&mac).await?.ok_or_else(|| ToolError::new(Code::NotFound, format!("{mac} is not on the Wi-Fi of this machine now")))?;
        must(self.0.hostapd.ask(&from, &format!("DEAUTHENTICATE {mac}")).await?, "send this client away")?;
        let began = Instant::now();
        let back = wait_for(RETURN, || self.find(&mac)).await?;
        let digits = mac.replace(':', "");
        let known = [
            ("client_mac", Some(json!(digits))),
            ("interface", Some(json!(from))),
            ("reconnected", Some(json!(back.is_some()))),
            ("downtime_s", back.as_ref().map(|_| json!(began.elapsed().as_secs() + 1))),
            ("new_interface", back.map(|interface| json!(interface))),
        ];
        let result = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>();
        Ok(Applied { result, section: Value::Null })
    }

    async fn restore(&self, _: &Value) -> Result<Value, ToolError> {
        // The client comes back by itself; there is no configuration to put back.
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{Tape, args, hands};
    use super::*;
    use crate::root::Root;
    use crate::settings::Settings;

    const HERE: &str = "02:00:00:00:a0:01\nflags=[AUTH][ASSOC][AUTHORIZED]\naid=1\nsignal=-55\n";

    #[tokio::test]
    async fn a_client_is_found_sent_away_and_seen_again() {
        let sta = "STA 02:00:00:00:a0:01";
        let (zero, one) = (format!("wlan0> {sta}"), format!("wlan1> {sta}"));
        let tape = Tape::new(
            &["hostapd:wlan0", "hostapd:wlan1"],
            &[
                (&zero, "FAIL"),
                (&one, HERE),
                (&zero, "FAIL"),
                (&one, HERE),
                ("wlan1> DEAUTHENTICATE 02:00:00:00:a0:01", "OK"),
                (&zero, "FAIL"),
                (&one, "02:00:00:00:a0:01\nflags=[AUTH]\n"),
                (&zero, HERE),
            ],
        );
        let act = ClientDisconnect(hands(&tape, &Root::new("/nowhere"), Settings::default()));
        let call = args(json!({"client_mac": "02000000a001"}));
        assert_eq!(act.check(&call).await.unwrap(), Value::Null);
        let result = act.apply(&call).await.unwrap().result;
        assert_eq!((&result["reconnected"], &result["interface"], &result["new_interface"]), (&json!(true), &json!("wlan1"), &json!("wlan0")));
        tape.assert_played();
    }

    #[tokio::test]
    async fn who_is_not_here_is_not_found_and_what_is_no_address_is_refused() {
        let tape = Tape::new(&["hostapd:wlan0"], &[("wlan0> STA 02:00:00:00:a0:09", "FAIL")]);
        let act = ClientDisconnect(hands(&tape, &Root::new("/nowhere"), Settings::default()));
        assert!(act.check(&args(json!({"client_mac": "02000000a009"}))).await.unwrap_err().is(Code::NotFound));
        for call in [json!({}), json!({"client_mac": "all; reboot"}), json!({"client_mac": 5})] {
            assert!(act.check(&args(call)).await.unwrap_err().is(Code::InvalidArgs));
        }
        tape.assert_played();
    }
}
