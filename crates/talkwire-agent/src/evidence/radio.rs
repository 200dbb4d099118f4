//! The air around each radio, and which channel would be better.

use super::read::Row;
use super::{Datum, Evidence, Item, Source, median};

pub(super) fn environment(evidence: &mut Evidence, row: Row<'_>, source: Source<'_>) {
    evidence.many.entry("env").or_default();
    for row in row.rows("radios").take(8) {
        let (Some(band), Some(channel)) = (row.band("band"), row.number("channel").filter(|ch| (1.0..=233.0).contains(ch))) else { continue };
        let interface = row.text("interface").filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)));
        let key = format!("{}/{}", source.device_id, interface.as_deref().unwrap_or(&band));
        let views = evidence.channels.entry(key.clone()).or_default();
        for row in row.rows("channels").take(64) {
            let Some(number) = row.number("channel").filter(|ch| (1.0..=233.0).contains(ch) && ch.fract() == 0.0) else { continue };
            let view = views.entry(number as u16).or_default();
            view.busy.extend(row.percent("utilization_external_percent"));
            view.neighbours = view.neighbours.max(row.amount("neighbors").unwrap_or(0.0));
            view.dfs = row.flag("dfs").unwrap_or(false);
        }
        let radio = evidence.item("env", &key);
        radio.say("dev", Some(source.device_id.to_owned()), source);
        radio.say("dev_name", Some(super::clean(source.device_name)), source);
        radio.say("iface", interface, source);
        radio.say("band", Some(band), source);
        radio.add("ch", Some(channel), source);
        radio.add("width", row.amount("width_mhz"), source);
        radio.add("util", row.percent("utilization_percent"), source);
        radio.add("util_ext", row.percent("utilization_external_percent"), source);
        radio.add("noise", row.level("noise_dbm"), source);
        radio.add("txp", row.number("tx_power_dbm").filter(|dbm| (-10.0..=40.0).contains(dbm)), source);
        radio.add("nonwifi", row.percent("non_wifi_percent"), source);
        radio.add("nbr_same", row.amount("neighbors_same"), source);
        radio.add("nbr_adj", row.amount("neighbors_adjacent"), source);
        radio.add("nbr_all", row.amount("neighbors_total"), source);
        radio.add("nbr_max", row.level("neighbor_max_dbm"), source);
        radio.flag("dfs", row.flag("dfs"), source);
        radio.add("dfs_n", row.flag("dfs").map(|dfs| if dfs { 1.0 } else { 0.0 }), source);
    }
}

/// The figures that follow from all samples of a radio.
pub(super) fn choose(evidence: &mut Evidence) {
    let channels = std::mem::take(&mut evidence.channels);
    for (key, radio) in evidence.many.get_mut("env").into_iter().flatten() {
        let (Some(here), Some(band)) = (radio.fact("ch").cloned(), radio.text("band").map(str::to_owned)) else { continue };
        radio.derive("n", Datum::Number(here.samples.len() as f64), &here);
        if let (Some(util), Some(external)) = (radio.number("util"), radio.fact("util_ext").cloned()) {
            radio.derive("util_own", Datum::Number((util - radio.number("util_ext").unwrap_or(util)).max(0.0)), &external);
        }
        let current = radio.number("ch").unwrap_or_default();
        let candidates: Vec<Candidate> = channels
            .get(key)
            .into_iter()
            .flatten()
            .filter(|(channel, _)| f64::from(**channel) != current && (band != "2.4" || matches!(channel, 1 | 6 | 11)))
            .map(|(channel, view)| Candidate { channel: f64::from(*channel), busy: median(&view.busy), neighbours: view.neighbours, dfs: view.dfs })
            .collect();
        advise(radio, &candidates, &here);
    }
    evidence.channels = channels;
}

struct Candidate {
    channel: f64,
    busy: Option<f64>,
    neighbours: f64,
    dfs: bool,
}

fn advise(radio: &mut Item, candidates: &[Candidate], here: &super::Fact) {
    let source = radio.fact("util_ext").cloned().unwrap_or_else(|| here.clone());
    let free = || candidates.iter().filter(|candidate| !candidate.dfs);
    let least = free().filter(|candidate| candidate.busy.is_some()).min_by(|a, b| {
        let rank = |c: &Candidate| (c.busy.unwrap_or(100.0), c.neighbours);
        rank(a).0.total_cmp(&rank(b).0).then(rank(a).1.total_cmp(&rank(b).1)).then(a.channel.total_cmp(&b.channel))
    });
    if let Some(best) = least {
        let busy = best.busy.unwrap_or(100.0);
        radio.derive("best_ch", Datum::Number(best.channel), &source);
        radio.derive("best_util", Datum::Number(busy), &source);
        radio.derive("safe_ch", Datum::Number(best.channel), &source);
        if let Some(external) = radio.number("util_ext") {
            radio.derive("best_gain", Datum::Number(external - busy), &source);
        }
    }
    if let Some(calm) = free().min_by(|a, b| a.neighbours.total_cmp(&b.neighbours).then(a.channel.total_cmp(&b.channel))) {
        radio.derive("calm_ch", Datum::Number(calm.channel), &source);
        radio.derive("calm_nbr", Datum::Number(calm.neighbours), &source);
    }
}
