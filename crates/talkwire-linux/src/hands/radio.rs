//! The radios that hostapd serves, as its `STATUS` tells them, and which of them a call means.

use super::Hands;
use super::hostapd::{fields, must};
use super::layout::Band;
use crate::args;
use std::future::Future;
use std::time::Duration;
use talkwire_device::{Args, ToolError};
use tokio::time::Instant;

/// Longest name of an interface (`IFNAMSIZ` of the kernel leaves 15; OpenWrt's radios have names of their own).
const NAME_CHARS: usize = 32;
const AGAIN: Duration = Duration::from_millis(250);

/// One radio.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Radio {
    pub(super) interface: String,
    pub(super) band: Band,
    pub(super) channel: u64,
    pub(super) width: u64,
    /// `ENABLED`, `DFS`, `DISABLED` and others.
    pub(super) state: String,
    /// What it speaks, as the words of `CHAN_SWITCH`.
    pub(super) modes: Vec<&'static str>,
}

impl Radio {
    pub(super) fn parse(interface: &str, status: &str) -> Option<Self> {
        let fields = fields(status);
        let number = |name: &str| fields.get(name).and_then(|text| text.parse::<i64>().ok());
        let wide = ["he_oper_chwidth", "vht_oper_chwidth"].into_iter().filter_map(number).max().unwrap_or(0);
        let width = match (wide, number("secondary_channel")) {
            (1, _) => 80,
            (2 | 3, _) => 160,
            (_, Some(second)) if second != 0 => 40,
            _ => 20,
        };
        let modes = [("ieee80211n", "ht"), ("ieee80211ac", "vht"), ("ieee80211ax", "he")];
        Some(Self {
            interface: interface.into(),
            band: Band::of_mhz(u64::try_from(number("freq")?).ok()?)?,
            channel: u64::try_from(number("channel")?).ok()?,
            width,
            state: fields.get("state").copied().unwrap_or_default().to_owned(),
            modes: modes.into_iter().filter(|(name, _)| number(name) == Some(1)).map(|(_, word)| word).collect(),
        })
    }
}

/// Which radio a call means: by its name, by its band, or the only one.
pub(super) struct Wanted {
    pub(super) interface: Option<String>,
    pub(super) band: Option<Band>,
}

impl Wanted {
    pub(super) fn read(args: &Args) -> Result<Self, ToolError> {
        let band = args::choice(args, "band", &Band::WORDS)?.map(Band::of_word);
        Ok(Self { interface: name(args, "interface")?, band })
    }

    /// The one of these that fits; the refusal names what there is.
    pub(super) fn pick<T>(&self, radios: Vec<T>, describe: impl Fn(&T) -> (String, Option<Band>)) -> Result<T, ToolError> {
        let there: Vec<_> = radios.iter().map(|radio| describe(radio).0).collect();
        let fits = |radio: &T| {
            let (interface, band) = describe(radio);
            self.interface.as_ref().is_none_or(|wanted| *wanted == interface) && self.band.is_none_or(|wanted| Some(wanted) == band)
        };
        let mut fitting = radios.into_iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(radio), None) => Ok(radio),
            (None, _) => Err(ToolError::invalid_args(format!("no radio of this machine fits args.interface and args.band; there are: {}", there.join(", ")))),
            (Some(_), Some(_)) => Err(ToolError::invalid_args(format!("several radios fit; name one with args.interface: {}", there.join(", ")))),
        }
    }
}

/// The name of an interface: nothing that could be an option or a path.
pub(super) fn name(args: &Args, argument: &str) -> Result<Option<String>, ToolError> {
    match args.get(argument).filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => match value.as_str().filter(|text| is_name(text)) {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(ToolError::invalid_args(format!("args.{argument} must be the name of an interface, such as wlan0"))),
        },
    }
}

pub(super) fn is_name(text: &str) -> bool {
    (1..=NAME_CHARS).contains(&text.len())
        && !text.starts_with(['-', '.'])
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@'))
}

impl Hands {
    /// How a radio runs now.
    pub(super) async fn radio_now(&self, interface: &str) -> Result<Radio, ToolError> {
        let status = must(self.hostapd.ask(interface, "STATUS").await?, "tell its status")?;
        Radio::parse(interface, &status).ok_or_else(|| ToolError::failed(format!("hostapd does not say on which channel {interface} is")))
    }

    /// The radio that a call means.
    pub(super) async fn radio(&self, args: &Args) -> Result<Radio, ToolError> {
        let wanted = Wanted::read(args)?;
        let mut radios = Vec::new();
        for interface in self.hostapd.interfaces() {
            if wanted.interface.as_ref().is_none_or(|wanted| *wanted == interface) {
                radios.push(self.radio_now(&interface).await?);
            }
        }
        wanted.pick(radios, |radio| (radio.interface.clone(), Some(radio.band)))
    }
}

/// Looks again and again until there is something, or the time is over.
pub(super) async fn wait_for<T, F>(limit: Duration, mut look: impl FnMut() -> F) -> Result<Option<T>, ToolError>
where
    F: Future<Output = Result<Option<T>, ToolError>>,
{
    let deadline = Instant::now() + limit;
    loop {
        match look().await? {
            Some(found) => return Ok(Some(found)),
            None if Instant::now() >= deadline => return Ok(None),
            None => tokio::time::sleep(AGAIN).await,
        }
    }
}
