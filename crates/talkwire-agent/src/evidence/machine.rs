//! The devices themselves: load, heat, memory, restarts, and what their logs count.

use super::read::Row;
use super::{Evidence, Source};

/// Log lines are only counted, by these tags. `lines` is how many there were.
pub(super) const TAGS: &[&str] = &[
    "radar",
    "own_src",
    "dns_max",
    "conntrack_full",
    "dhcp_no_range",
    "dhcp_decline",
    "dhcp_discover",
    "dhcp_ack",
    "psk_mismatch",
    "assoc_full",
    "assoc_fail",
    "fw_crash",
    "ppp_down",
    "ppp_auth_fail",
    "pado_timeout",
    "oom",
    "panic",
    "thermal",
    "link_down",
    "dhcp_wan_noanswer",
    "boot",
    "blocked",
    "lines",
];

/// A tag, and the words that make a line count for it: any of the groups, all words of a group. Lower case.
const PATTERNS: &[(&str, &[&[&str]])] = &[
    ("radar", &[&["dfs-radar-detected"]]),
    ("own_src", &[&["with own address as source address"]]),
    ("dns_max", &[&["maximum number of concurrent dns queries"]]),
    ("conntrack_full", &[&["nf_conntrack", "table full"]]),
    ("dhcp_no_range", &[&["no address range available"], &["dhcpdiscover", "no address available"]]),
    ("dhcp_decline", &[&["dhcpdecline"]]),
    ("dhcp_discover", &[&["dhcpdiscover"]]),
    ("dhcp_ack", &[&["dhcpack"]]),
    ("psk_mismatch", &[&["possible-psk-mismatch"]]),
    ("assoc_full", &[&["status 17"], &["status=17"], &["too many stations"]]),
    ("assoc_fail", &[&["association", "denied"], &["status 30"], &["status 31"], &["status 43"]]),
    ("fw_crash", &[&["firmware crashed"], &["firmware", "message timeout"]]),
    ("ppp_down", &[&["lcp terminated by peer"], &["no response to", "echo-requests"]]),
    ("ppp_auth_fail", &[&["pap", "authentication failed"], &["chap", "authentication failed"]]),
    ("pado_timeout", &[&["timeout waiting for pado"]]),
    ("oom", &[&["out of memory"]]),
    ("panic", &[&["kernel panic"]]),
    ("thermal", &[&["throttl"], &["critical temperature"]]),
    ("link_down", &[&["wan", "link is down"]]),
    ("dhcp_wan_noanswer", &[&["udhcpc", "sending discover"]]),
    ("boot", &[&["system: booted"], &["system booted"]]),
    ("blocked", &[&["blocked by access schedule"], &["blocked by policy"], &["blocked by mac filter"]]),
];

const PER_DEVICE: &[&str] = &["thermal", "radar", "oom", "panic", "fw_crash", "boot"];
const MOST_CHARS: usize = 400;

pub(super) fn hardware(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>, under_load: bool) {
    if under_load {
        evidence.single("hw").add("load_core", row.percent("core_max_percent"), source);
        return;
    }
    let figures = [
        ("cpu", row.percent("cpu_percent")),
        ("core_max", row.percent("core_max_percent")),
        ("mem", row.percent("memory_percent")),
        ("temp", row.number("temperature_c").filter(|c| (-40.0..=200.0).contains(c))),
        ("uptime_s", row.amount("uptime_s")),
        ("boots_7d", row.amount("boots_7d")),
        ("conn", row.percent("conntrack_percent")),
    ];
    note(evidence, &figures, source);
}

pub(super) fn status(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    let figures = [
        ("cpu", row.percent("cpu_usage")),
        ("mem", row.percent("memory_usage")),
        ("temp", row.number("temperature_c").filter(|c| (-40.0..=200.0).contains(c))),
        ("uptime_s", row.amount("uptime_s").or_else(|| row.amount("uptime"))),
    ];
    note(evidence, &figures, source);
}

fn note(evidence: &mut Evidence, figures: &[(&'static str, Option<f64>)], source: Source<'_>) {
    let device = evidence.item("hws", source.device_id);
    device.say("name", Some(super::clean(source.device_name)), source);
    for (name, value) in figures {
        device.add(name, *value, source);
    }
    if source.from_router {
        let router = evidence.single("hw");
        for (name, value) in figures {
            router.add(name, *value, source);
        }
    }
}

pub(super) fn logs(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    if !row.has_list("entries") {
        return;
    }
    let mut counts = [0u32; PATTERNS.len()];
    let mut lines = 0;
    for entry in row.rows("entries") {
        let Some(message) = entry.0.get("message").and_then(|value| value.as_str()) else { continue };
        let message: String = message.chars().take(MOST_CHARS).collect::<String>().to_lowercase();
        lines += 1;
        for (count, (_, groups)) in counts.iter_mut().zip(PATTERNS) {
            *count += u32::from(groups.iter().any(|words| words.iter().all(|word| message.contains(word))));
        }
    }
    for ((tag, _), count) in PATTERNS.iter().zip(counts) {
        if PER_DEVICE.contains(tag) {
            let device = evidence.item("hws", source.device_id);
            device.say("name", Some(super::clean(source.device_name)), source);
            device.add(tag, Some(f64::from(count)), source);
        }
        total(evidence, tag, f64::from(count), source);
    }
    total(evidence, "lines", f64::from(lines), source);
}

/// Counts of several devices add up; the source stays with the device that counted most.
fn total(evidence: &mut Evidence, tag: &'static str, count: f64, source: Source<'_>) {
    let log = evidence.single("log");
    match log.number(tag) {
        None => log.add(tag, Some(count), source),
        Some(before) if count > 0.0 => {
            // The key exists, as the figure was just read.
            let mut fact = log.fact(tag).cloned().expect("a figure has its fact");
            if count > before {
                fact.trace_id = source.trace_id.into();
                fact.device_id = source.device_id.into();
            }
            log.derive(tag, super::Datum::Number(before + count), &fact);
        }
        Some(_) => {}
    }
}
