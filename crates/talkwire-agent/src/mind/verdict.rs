//! From evidence to a verdict: which hypotheses hold, which is only a symptom of another, and what is missing.

use super::View;
use crate::cause::Cause;
use crate::evidence::{Datum, Evidence, Item, median};
use crate::flow::{Hypothesis, Library, Scope};
use crate::wording;
use crate::wording::fill::{Filler, tidy};
use talkwire_core::session::{Chart, Verdict, VerdictKind};
use talkwire_proto::DeviceId;
use talkwire_proto::chat::{ChartPoint, EvidenceView, RivalView};

/// A hypothesis that holds.
pub(crate) struct Finding<'a> {
    pub hypothesis: &'a Hypothesis,
    pub cause: &'a Cause,
    /// Key and item of the list that it walks.
    pub item: Option<(String, Item)>,
    pub score: f64,
    /// Decisive evidence that is missing.
    pub missing: Vec<String>,
}

/// A cause is named from this confidence on.
const SURE: f64 = 0.5;
const MOST_RIVALS: usize = 3;

impl<'a> View<'a, '_> {
    /// The verdict on what was gathered.
    pub fn verdict(&self, evidence: &Evidence, scope: &mut Scope) -> Verdict {
        let language = self.language();
        if self.site.router().is_none_or(|router| !router.online) && self.site.access_points().is_empty() {
            return self.plain(VerdictKind::Inconclusive, wording::nobody_to_ask(self.site.all().is_empty(), language), Vec::new());
        }
        let findings = findings(self.library, &self.flow.name, evidence, scope);
        let known: Vec<&Finding<'_>> = findings.iter().filter(|finding| finding.missing.is_empty() && finding.score >= SURE).collect();
        let fault = known.iter().find(|finding| !finding.cause.healthy);
        if let Some(finding) = fault {
            return self.named(finding, &findings, evidence, scope);
        }
        if let Some(suspect) = findings.iter().find(|finding| !finding.missing.is_empty() && finding.score >= SURE && !finding.cause.healthy) {
            let labels = self.labels(&suspect.missing, suspect.hypothesis.for_each.as_deref());
            let text = wording::suspected(suspect.cause.title.text(language), &labels, language);
            let mut verdict = self.plain(VerdictKind::Inconclusive, text, self.cite(&suspect.hypothesis.cites, suspect, evidence));
            verdict.rivals = vec![rival(suspect, 1.0, language)];
            return verdict;
        }
        let wanted = self.flow.decisive.iter().filter(|entry| entry.when.as_ref().is_none_or(|when| scope.test(when) == Some(true)));
        let missing: Vec<String> = wanted.map(|entry| &entry.name).filter(|name| !evidence.has(name, None)).cloned().collect();
        if !missing.is_empty() {
            let shown = self.flow.healthy_cites.iter().filter_map(|name| self.view_of(name, None, None, evidence)).collect();
            let text = wording::missing(&self.labels(&missing, None), language);
            return self.plain(VerdictKind::Inconclusive, text, shown);
        }
        if let Some(finding) = known.first() {
            return self.named(finding, &findings, evidence, scope);
        }
        for doubt in &self.flow.doubts {
            if scope.test(&doubt.when) == Some(true) {
                let shown = doubt.cites.iter().filter_map(|name| self.view_of(name, None, None, evidence)).collect();
                let filler = Filler { evidence, item: None, extra: &[] };
                let text = filler.fill(doubt.text.text(language)).unwrap_or_else(|| doubt.text.text(language).to_owned());
                return self.plain(VerdictKind::Inconclusive, text, shown);
            }
        }
        let filler = Filler { evidence, item: None, extra: &[] };
        let healthy = self.flow.healthy_without_radio.as_ref().filter(|_| self.site.access_points().is_empty()).unwrap_or(&self.flow.healthy);
        let mut text = filler.fill(healthy.text(language)).unwrap_or_else(|| wording::goodbye(VerdictKind::Healthy, language));
        if let Some(when) = evidence.one.get("told").and_then(|told| told.text("when")) {
            text.push_str(&wording::measure_then(when, language));
        }
        let shown = self.flow.healthy_cites.iter().filter_map(|name| self.view_of(name, None, None, evidence)).collect();
        Verdict { confidence: 0.8, ..self.plain(VerdictKind::Healthy, text, shown) }
    }

    fn plain(&self, kind: VerdictKind, text: String, evidence: Vec<EvidenceView>) -> Verdict {
        Verdict { kind, cause: None, device_id: None, confidence: 0.0, evidence, text, rivals: Vec::new(), chart: None }
    }

    fn named(&self, finding: &Finding<'_>, findings: &[Finding<'_>], evidence: &Evidence, scope: &mut Scope) -> Verdict {
        let language = self.language();
        bind(scope, finding, self.site.router_id());
        let said = finding.hypothesis.device.as_ref().and_then(|device| scope.json(device)).and_then(|id| id.as_str().map(str::to_owned));
        let shown = self.cite(&finding.hypothesis.cites, finding, evidence);
        let device = said.or_else(|| shown.iter().map(|view| view.device_id.clone()).find(|id| !id.is_empty()));
        let item = finding.item.as_ref().map(|(key, item)| (key.as_str(), item));
        // A room has no name but its key.
        let name = item.map(|(key, item)| ("name", item.text("name").unwrap_or(key)));
        let filler = Filler { evidence, item: item.map(|(_, item)| item), extra: name.as_slice() };
        let title = finding.cause.title.text(language);
        let others = findings.iter().filter(|other| other.cause.cause != finding.cause.cause);
        Verdict {
            kind: if finding.cause.healthy { VerdictKind::Healthy } else { VerdictKind::Fault },
            cause: Some(finding.cause.cause.clone()),
            device_id: device.and_then(|id| DeviceId::from_door(&id).ok()),
            confidence: (finding.score * 100.0).round() / 100.0,
            text: filler.fill(finding.cause.text.text(language)).unwrap_or_else(|| title.to_owned()),
            rivals: others.take(MOST_RIVALS).map(|other| rival(other, 1.0 - finding.score, language)).collect(),
            chart: finding.hypothesis.chart.as_deref().and_then(|chart| self.chart(chart, item.map(|(key, _)| key), evidence)),
            evidence: shown,
        }
    }

    fn labels(&self, names: &[String], for_each: Option<&str>) -> Vec<String> {
        let label = |name: &String| {
            let canonical = crate::flow::canonical_name(name, for_each);
            let words = self.library.words.get(&canonical).map(|words| words.label.text(self.language()).to_owned());
            words.filter(|words| !words.is_empty()).unwrap_or(canonical)
        };
        let mut labels: Vec<String> = names.iter().map(label).collect();
        labels.dedup();
        labels
    }

    fn cite(&self, names: &[String], finding: &Finding<'_>, evidence: &Evidence) -> Vec<EvidenceView> {
        let item = finding.item.as_ref().map(|(_, item)| item);
        names.iter().filter_map(|name| self.view_of(name, item, finding.hypothesis.for_each.as_deref(), evidence)).collect()
    }

    /// A piece of evidence as people see it. Nothing when it is missing.
    fn view_of(&self, name: &str, item: Option<&Item>, for_each: Option<&str>, evidence: &Evidence) -> Option<EvidenceView> {
        let fact = evidence.find(name, item)?;
        let canonical = crate::flow::canonical_name(name, for_each);
        let owner = match name.split('.').collect::<Vec<_>>()[..] {
            ["it", _] => item,
            [section, _] => evidence.one.get(section),
            [section, target, _] => evidence.named.get(section).and_then(|items| items.get(target)),
            _ => None,
        };
        let value = match &fact.datum {
            Datum::Number(x) => tidy(*x),
            Datum::Text(text) => text.clone(),
            Datum::Flag(flag) => flag.to_string(),
        };
        let filler = Filler { evidence, item: owner, extra: &[("value", &value)] };
        let text = self.library.words.get(&canonical).and_then(|words| filler.fill(words.text.text(self.language()))).unwrap_or(value);
        Some(EvidenceView { name: canonical, text, value: fact.json(), trace_id: fact.trace_id.clone(), device_id: fact.device_id.clone() })
    }

    fn chart(&self, kind: &str, key: Option<&str>, evidence: &Evidence) -> Option<Chart> {
        let language = self.language();
        let points: Vec<ChartPoint> =
            match kind {
                "channels" => {
                    let current = evidence.many.get("env")?.get(key?)?.number("ch");
                    let channels = evidence.channels.get(key?)?;
                    let point = |(channel, view): (&u16, &crate::evidence::ChannelView)| {
                        Some(ChartPoint { label: channel.to_string(), value: median(&view.busy)?, marked: current == Some(f64::from(*channel)) })
                    };
                    channels.iter().filter_map(point).take(24).collect()
                }
                "talkers" => {
                    let largest = evidence.talkers.first().map(|(name, _)| name.clone());
                    evidence
                        .talkers
                        .iter()
                        .take(6)
                        .map(|(name, mbps)| ChartPoint { label: name.clone(), value: *mbps, marked: Some(name) == largest.as_ref() })
                        .collect()
                }
                "rooms" => {
                    let rooms = evidence.many.get("rooms")?;
                    let point = |(name, room): (&String, &Item)| {
                        // Bars of quality read better than negative decibels.
                        Some(ChartPoint {
                            label: name.clone(),
                            value: (2.0 * (room.number("rssi")? + 100.0)).clamp(0.0, 100.0),
                            marked: Some(name.as_str()) == key,
                        })
                    };
                    rooms.iter().filter_map(point).take(24).collect()
                }
                _ => {
                    let one = |section: &str, label: &str, marked| {
                        let value = evidence.one.get(section)?.number("dn")?;
                        Some(ChartPoint { label: label.to_owned(), value, marked })
                    };
                    let mut points: Vec<ChartPoint> =
                        [one("plan", wording::plan_word(language), false), one("spd", wording::line_word(language), true)].into_iter().flatten().collect();
                    let tests = evidence.many.get("cspd").into_iter().flatten();
                    points.extend(tests.filter_map(|(id, test)| {
                        Some(ChartPoint { label: test.text("name").unwrap_or(id).to_owned(), value: test.number("dn")?, marked: false })
                    }));
                    points
                }
            };
        let (title, unit) = wording::chart_title(kind, language);
        (points.len() >= 2).then(|| Chart { title: title.to_owned(), unit: unit.to_owned(), points })
    }
}

fn rival(finding: &Finding<'_>, room: f64, language: talkwire_core::Language) -> RivalView {
    let confidence = (finding.score * room).clamp(0.02, 0.95);
    RivalView { cause: finding.cause.cause.clone(), text: finding.cause.title.text(language).to_owned(), confidence: (confidence * 100.0).round() / 100.0 }
}

/// Binds `it` and `router`.
pub(crate) fn bind(scope: &mut Scope, finding: &Finding<'_>, router: Option<&str>) {
    scope.unbind();
    scope.bind("router", router.unwrap_or_default().to_owned());
    if let Some((key, item)) = &finding.item {
        scope.bind_item(key, item);
    }
}

/// All hypotheses that hold, the likeliest first, without those that are only symptoms of another.
pub(crate) fn findings<'a>(library: &'a Library, flow: &str, evidence: &Evidence, scope: &mut Scope) -> Vec<Finding<'a>> {
    let mut findings = holding(library, flow, None, evidence, scope);
    let symptoms: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.score >= SURE && finding.missing.is_empty())
        .flat_map(|finding| finding.hypothesis.explains.iter().map(String::as_str))
        .collect();
    findings.retain(|finding| !symptoms.contains(&finding.cause.cause.as_str()));
    let mut seen: Vec<&str> = Vec::new();
    findings.retain(|finding| {
        let first = !seen.contains(&finding.cause.cause.as_str());
        seen.push(&finding.cause.cause);
        first
    });
    findings
}

/// The hypotheses that hold, of one cause or of all, the likeliest first.
pub(crate) fn holding<'a>(library: &'a Library, flow: &str, cause: Option<&str>, evidence: &Evidence, scope: &mut Scope) -> Vec<Finding<'a>> {
    let wanted = |hypothesis: &&'a Hypothesis| {
        cause.is_none_or(|word| hypothesis.cause == word) && (hypothesis.only_in.is_empty() || hypothesis.only_in.iter().any(|name| name == flow))
    };
    let mut chosen: Vec<(usize, Chosen)> = Vec::new();
    let hypotheses: Vec<&'a Hypothesis> = library.hypotheses.iter().filter(wanted).collect();
    scope.unbind();
    for (at, hypothesis) in hypotheses.iter().enumerate().filter(|(_, hypothesis)| hypothesis.for_each.is_none()) {
        if scope.test(&hypothesis.condition) == Some(true) {
            chosen.push((at, (None, scope.number(&hypothesis.confidence).unwrap_or(0.0))));
        }
    }
    for (section, items) in &evidence.many {
        let here: Vec<usize> = (0..hypotheses.len()).filter(|at| hypotheses[*at].for_each.as_deref() == Some(*section)).collect();
        chosen.extend(best_items(&hypotheses, &here, items, scope));
    }
    scope.unbind();
    chosen.sort_by_key(|(at, _)| *at);
    let finding = |(at, (item, confidence)): (usize, Chosen)| {
        let hypothesis = hypotheses[at];
        // Checked at start.
        let cause = library.cause(&hypothesis.cause)?;
        let weight = match cause.flows.iter().position(|name| name == flow) {
            Some(0) => 1.0,
            Some(_) => 0.98,
            None if cause.severity >= 4 => 0.85,
            None => 0.7,
        };
        let found_item = item.as_ref().map(|(_, item)| item);
        let missing = hypothesis.needs.iter().filter(|name| !evidence.has(name, found_item)).cloned().collect();
        Some(Finding { hypothesis, cause, item, score: (confidence * weight).clamp(0.0, 0.99), missing })
    };
    let mut findings: Vec<Finding<'a>> = chosen.into_iter().filter_map(finding).collect();
    findings.sort_by(|a, b| b.score.total_cmp(&a.score));
    findings
}

type Chosen = (Option<(String, Item)>, f64);

/// For each hypothesis of a list, the item for which it holds most clearly.
fn best_items(hypotheses: &[&Hypothesis], here: &[usize], items: &std::collections::BTreeMap<String, Item>, scope: &mut Scope) -> Vec<(usize, Chosen)> {
    if here.is_empty() {
        return Vec::new();
    }
    let mut best: std::collections::BTreeMap<usize, (&String, &Item, f64)> = std::collections::BTreeMap::new();
    for (key, item) in items {
        scope.bind_item(key, item);
        for at in here {
            if scope.test(&hypotheses[*at].condition) != Some(true) {
                continue;
            }
            let confidence = scope.number(&hypotheses[*at].confidence).unwrap_or(0.0);
            if best.get(at).is_none_or(|(.., known)| confidence > *known) {
                best.insert(*at, (key, item, confidence));
            }
        }
    }
    best.into_iter().map(|(at, (key, item, confidence))| (at, (Some((key.clone(), item.clone())), confidence))).collect()
}
