//! The queue at the exit of a port, as `tc` shows and sets it. Ours are known by their handle; what could not be put back is not touched.

use super::Hands;
use serde_json::{Value, json};
use talkwire_device::{Code, ToolError};

/// The handles of our queues begin here; the place of the policy in [`POLICIES`] is added.
const HANDLE: u32 = 0x7a10;
/// Policies that this machine has, beside `off`.
pub(super) const POLICIES: [&str; 3] = ["fair", "sqm", "realtime_first"];
/// What sits behind the limit, best first; kernels differ in what they have.
const FAIR_QUEUES: [&str; 3] = ["fq_codel", "sfq", "pfifo"];

/// What stands at the exit of a port.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Queue {
    /// What the kernel puts there by itself.
    Default,
    /// A policy of ours.
    Ours { policy: &'static str, kbit: u64, queue: String },
    /// A single queue of somebody else's that can be put back.
    Other { kind: String, handle: String, words: Vec<String> },
}

impl Queue {
    pub(super) fn section(&self, interface: &str) -> Value {
        match self {
            Self::Default => json!({"interface": interface, "kind": "default"}),
            Self::Ours { policy, kbit, queue } => json!({"interface": interface, "kind": "talkwire", "policy_name": policy, "kbit": kbit, "queue": queue}),
            Self::Other { kind, handle, words } => json!({"interface": interface, "kind": kind, "handle": handle, "words": words}),
        }
    }

    /// Reads a section of ours.
    pub(super) fn of_section(section: &Value) -> Option<Self> {
        let text = |name: &str| section.get(name).and_then(Value::as_str);
        match text("kind")? {
            "default" => Some(Self::Default),
            "talkwire" => {
                let policy = POLICIES.into_iter().find(|policy| text("policy_name") == Some(policy))?;
                Some(Self::Ours { policy, kbit: section.get("kbit")?.as_u64()?, queue: text("queue")?.to_owned() })
            }
            kind => {
                let words = section.get("words")?.as_array()?.iter().map(|word| word.as_str().filter(|word| is_word(word)).map(str::to_owned));
                let handle = text("handle").filter(|handle| is_word(handle))?.to_owned();
                Some(Self::Other { kind: Some(kind).filter(|kind| is_word(kind))?.to_owned(), handle, words: words.collect::<Option<_>>()? })
            }
        }
    }
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.len() <= 32 && !word.starts_with('-') && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.'))
}

fn policy_of(handle: &str) -> Option<&'static str> {
    let number = u32::from_str_radix(handle.trim_end_matches(':'), 16).ok()?;
    POLICIES.get(usize::try_from(number.checked_sub(HANDLE)?).ok()?).copied()
}

fn handle_of(policy: &str) -> String {
    let place = POLICIES.iter().position(|known| *known == policy).unwrap_or_default();
    format!("{:x}:", HANDLE as usize + place)
}

/// Kilobits per second of a text such as `10Mbit` or `2500Kbit`.
fn parse_rate(text: &str) -> Option<u64> {
    let number: f64 = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse().ok()?;
    let unit = match text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.') {
        "bit" => 0.001,
        "Kbit" => 1.0,
        "Mbit" => 1_000.0,
        "Gbit" => 1_000_000.0,
        _ => return None,
    };
    Some((number * unit).round() as u64)
}

/// The options with which a single queue is made again. Rounded, since the kernel rounds as well; none for a kind that we do not know.
fn words_of(kind: &str, options: &Value) -> Option<Vec<String>> {
    let number = |name: &str| options.get(name).and_then(Value::as_f64);
    let rounded = |value: f64, unit: f64| ((value / unit).round() as u64).max(1);
    let mut words = Vec::new();
    let mut say = |name: &str, text: String| words.extend([name.to_owned(), text]);
    match kind {
        "pfifo" | "bfifo" => say("limit", rounded(number("limit")?, 1.0).to_string()),
        "tbf" => {
            say("rate", format!("{}kbit", rounded(number("rate")? * 8.0, 1000.0)));
            say("burst", format!("{}kb", rounded(number("burst")?, 1024.0)));
            say("latency", format!("{}ms", rounded(number("lat")?, 1000.0)));
        }
        "fq_codel" => {
            for name in ["limit", "flows", "quantum"] {
                say(name, rounded(number(name)?, 1.0).to_string());
            }
            for name in ["target", "interval"] {
                say(name, format!("{}us", rounded(number(name)?, 100.0) * 100));
            }
        }
        _ => return None,
    }
    Some(words)
}

impl Hands {
    async fn tc(&self, words: &[&str]) -> Result<String, ToolError> {
        self.programs.run("tc", words).await
    }

    /// What stands at the exit of a port now.
    pub(super) async fn queue(&self, interface: &str) -> Result<Queue, ToolError> {
        let said = self.tc(&["-j", "qdisc", "show", "dev", interface]).await?;
        let list: Value = serde_json::from_str(said.trim()).map_err(|error| ToolError::failed(format!("tc did not answer with JSON: {error}")))?;
        let list = list.as_array().cloned().unwrap_or_default();
        let text = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(root) = list.iter().find(|entry| entry.get("root") == Some(&Value::Bool(true))) else { return Ok(Queue::Default) };
        let (kind, handle, options) = (text(root, "kind"), text(root, "handle"), root.get("options").cloned().unwrap_or_default());
        if handle == "0:" {
            return Ok(Queue::Default);
        }
        match policy_of(&handle) {
            Some(policy) if kind == "htb" => {
                let kbit = self.rate_of_class(interface, &handle).await?;
                let behind = list.iter().find(|entry| text(entry, "parent") == format!("{handle}1"));
                // Without one of ours, the kernel's own queue of packets stands there.
                let queue = behind.map_or_else(|| "pfifo".into(), |entry| text(entry, "kind"));
                return Ok(Queue::Ours { policy, kbit, queue });
            }
            Some(policy) if kind == "cake" => {
                let bytes = options.get("bandwidth").and_then(Value::as_f64).ok_or_else(|| ToolError::failed("tc does not say the bandwidth of cake"))?;
                return Ok(Queue::Ours { policy, kbit: (bytes * 8.0 / 1000.0).round() as u64, queue: "cake".into() });
            }
            _ => {}
        }
        match words_of(&kind, &options) {
            Some(words) => Ok(Queue::Other { kind, handle, words }),
            None => Err(ToolError::not_available(
                "foreign_qdisc",
                format!(
                    "{interface} has a queue {kind} {handle} that somebody else set up and that could not be put back; remove it with `tc qdisc del dev {interface} root`"
                ),
            )),
        }
    }

    async fn rate_of_class(&self, interface: &str, handle: &str) -> Result<u64, ToolError> {
        // This much of `tc` has no JSON in the versions that are around.
        let said = self.tc(&["class", "show", "dev", interface]).await?;
        let line = said.lines().find(|line| line.starts_with(&format!("class htb {handle}1 ")));
        let rate = line.and_then(|line| line.split_whitespace().skip_while(|word| *word != "rate").nth(1)).and_then(parse_rate);
        rate.ok_or_else(|| ToolError::failed(format!("tc does not say the rate of {interface}")))
    }

    /// Puts a queue at the exit of a port, and tells what stands there then.
    pub(super) async fn set_queue(&self, interface: &str, wanted: &Queue) -> Result<Queue, ToolError> {
        if self.queue(interface).await? != Queue::Default {
            self.tc(&["qdisc", "del", "dev", interface, "root"]).await?;
        }
        match wanted {
            Queue::Default => {}
            Queue::Ours { policy, kbit, queue } => self.shape(interface, policy, *kbit, queue).await?,
            Queue::Other { kind, handle, words } => {
                let mut line = vec!["qdisc", "add", "dev", interface, "root", "handle", handle, kind];
                line.extend(words.iter().map(String::as_str));
                self.tc(&line).await?;
            }
        }
        self.queue(interface).await
    }

    /// `queue` is what stood behind the limit before, or empty for the best that the kernel has.
    async fn shape(&self, interface: &str, policy: &str, kbit: u64, queue: &str) -> Result<(), ToolError> {
        let (handle, rate) = (handle_of(policy), format!("{kbit}kbit"));
        let class = format!("{handle}1");
        if policy == "sqm" && matches!(queue, "" | "cake") {
            let cake = self.tc(&["qdisc", "add", "dev", interface, "root", "handle", &handle, "cake", "bandwidth", &rate]).await;
            if cake.is_ok() {
                return Ok(());
            }
        }
        self.tc(&["qdisc", "add", "dev", interface, "root", "handle", &handle, "htb", "default", "1"]).await?;
        // What may leave at once: 10 ms of the rate, and two packets at least.
        let burst = (kbit * 10 / 8).max(3200).to_string();
        self.tc(&[
            "class", "add", "dev", interface, "parent", &handle, "classid", &class, "htb", "rate", &rate, "ceil", &rate, "burst", &burst, "cburst", &burst,
        ])
        .await?;
        let queues: &[&str] = if policy == "realtime_first" { &["prio"] } else { &FAIR_QUEUES };
        let mut refused = None;
        for kind in queues.iter().filter(|kind| queue.is_empty() || **kind == queue || (queue == "cake" && policy == "sqm")) {
            match self.tc(&["qdisc", "add", "dev", interface, "parent", &class, kind]).await {
                Ok(_) => return Ok(()),
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) if error.is(Code::Device) => {
                Err(ToolError::failed(format!("the kernel of this machine has none of the queues {}: {}", queues.join(", "), error.message)))
            }
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_in_every_unit() {
        assert_eq!(["10Mbit", "2500Kbit", "1Gbit", "800bit", "1.5Mbit"].map(parse_rate), [10_000, 2_500, 1_000_000, 1, 1_500].map(Some));
        assert_eq!(parse_rate("fast"), None);
    }

    #[test]
    fn a_section_is_read_as_it_was_written() {
        let tbf = Queue::Other { kind: "tbf".into(), handle: "8004:".into(), words: vec!["rate".into(), "5000kbit".into()] };
        for queue in [Queue::Default, Queue::Ours { policy: "sqm", kbit: 9_000, queue: "cake".into() }, tbf] {
            assert_eq!(Queue::of_section(&queue.section("wan")), Some(queue));
        }
        let hostile = json!({"kind": "tbf", "handle": "1:", "words": ["rate", "-x; reboot"]});
        assert_eq!(Queue::of_section(&hostile), None);
    }

    #[test]
    fn the_handle_names_the_policy() {
        for policy in POLICIES {
            assert_eq!(policy_of(&handle_of(policy)), Some(policy));
        }
        assert_eq!((policy_of("7a13:"), policy_of("8001:"), policy_of("x")), (None, None, None));
    }
}
