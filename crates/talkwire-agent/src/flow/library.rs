//! Reads all flow files and checks them at start: expressions compile, tools, arguments, causes and evidence names exist.

use super::bad::BadFlow;
use super::{Decisive, Doubt, Expression, Flow, GatherStep, Hypothesis, Remedy, RemedyOperation, Target, Verify, canonical_name};
use crate::cause::{Cause, CauseFile, EvidenceWords};
use crate::evidence::{Layout, SECTIONS};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use talkwire_core::catalogue::{Catalogue, Class, ToolEntry};
use talkwire_core::language::Text3;

/// All flows, steps, hypotheses, remedies and causes.
#[derive(Debug, Default)]
pub struct Library {
    /// Flows by name.
    pub flows: BTreeMap<String, Flow>,
    /// Steps by key.
    pub steps: BTreeMap<String, GatherStep>,
    /// Hypotheses in the order of the files.
    pub hypotheses: Vec<Hypothesis>,
    /// Remedies in the order of the files, the better one of a cause first.
    pub remedies: Vec<Remedy>,
    /// Causes in the order of their file.
    pub causes: Vec<Cause>,
    /// Words for evidence by name.
    pub words: BTreeMap<String, EvidenceWords>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlowFile {
    flow: Option<RawFlow>,
    #[serde(default)]
    step: Vec<RawStep>,
    #[serde(default)]
    hypothesis: Vec<RawHypothesis>,
    #[serde(default)]
    remedy: Vec<RawRemedy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFlow {
    name: String,
    title: Text3,
    opening: Text3,
    gather: Vec<String>,
    decisive: Vec<String>,
    #[serde(default)]
    doubt: Vec<RawDoubt>,
    healthy: Text3,
    healthy_without_radio: Option<Text3>,
    #[serde(default)]
    healthy_cites: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDoubt {
    when: String,
    #[serde(default)]
    cites: Vec<String>,
    text: Text3,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    key: String,
    tool: String,
    target: Target,
    #[serde(default)]
    args: Map<String, Value>,
    when: Option<String>,
    #[serde(default = "one")]
    samples: usize,
    repeat_when: Option<String>,
    #[serde(default)]
    needs: Vec<String>,
    along: Option<String>,
    #[serde(default)]
    alone: bool,
    #[serde(default)]
    optional: bool,
    min_version: Option<String>,
    about: Text3,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHypothesis {
    cause: String,
    for_each: Option<String>,
    condition: String,
    confidence: Value,
    #[serde(default)]
    cites: Vec<String>,
    #[serde(default)]
    needs: Vec<String>,
    device: Option<String>,
    #[serde(default)]
    explains: Vec<String>,
    #[serde(default)]
    only_in: Vec<String>,
    chart: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRemedy {
    cause: String,
    when: Option<String>,
    title: Text3,
    operation: Vec<RawOperation>,
    verify: Vec<RawVerify>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOperation {
    op: String,
    device: String,
    #[serde(default)]
    args: BTreeMap<String, String>,
    #[serde(default)]
    undo_args: BTreeMap<String, String>,
    label: Text3,
    before: Text3,
    after: Text3,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVerify {
    metric: String,
    value: String,
    tool: String,
    device: String,
    #[serde(default)]
    args: BTreeMap<String, String>,
    when: Option<String>,
    unit: String,
    direction: String,
    min_gain: Option<Value>,
    min_gain_percent: Option<f64>,
    #[serde(default = "three")]
    samples: usize,
    #[serde(default = "one")]
    settle: usize,
    expect: Text3,
    about: Text3,
}

fn one() -> usize {
    1
}

fn three() -> usize {
    3
}

const MOST_SAMPLES: usize = 9;
const MOST_SETTLE: usize = 20;
const CHARTS: &[&str] = &["channels", "talkers", "rooms", "speeds"];

/// What goes wrong in one file.
struct Check<'a> {
    file: &'a str,
    catalogue: &'a Catalogue,
}

impl Library {
    /// Reads flow files and files of causes given as (name, text); a file is one of causes when its name begins with `causes`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its file and place.
    pub fn load<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>, catalogue: &Catalogue) -> Result<Self, BadFlow> {
        let mut library = Self::default();
        let mut flow_files = Vec::new();
        for (file, text) in files {
            let parse = |source| BadFlow::Parse { file: file.to_owned(), source: Box::new(source) };
            if file.rsplit('/').next().is_some_and(|name| name.starts_with("causes")) {
                let parsed: CauseFile = toml::from_str(text).map_err(parse)?;
                library.causes.extend(parsed.cause);
                library.words.extend(parsed.evidence.into_iter().map(|words| (words.name.clone(), words)));
            } else {
                flow_files.push((file, toml::from_str::<FlowFile>(text).map_err(parse)?));
            }
        }
        for (file, parsed) in flow_files {
            library.take(Check { file, catalogue }, parsed)?;
        }
        library.check_whole(catalogue)?;
        Ok(library)
    }

    /// The flows that are built in.
    ///
    /// # Errors
    /// None in a program that was tested.
    pub fn builtin() -> Result<Self, BadFlow> {
        Self::builtin_with(&Catalogue::builtin())
    }

    /// The flows that are built in, checked against a catalogue that may allow less than the built-in one.
    ///
    /// # Errors
    /// The first place that asks for what the catalogue does not allow.
    pub fn builtin_with(catalogue: &Catalogue) -> Result<Self, BadFlow> {
        Self::load(super::files::BUILTIN.iter().copied(), catalogue)
    }

    /// A cause by its word.
    pub fn cause(&self, word: &str) -> Option<&Cause> {
        self.causes.iter().find(|cause| cause.cause == word)
    }

    fn take(&mut self, check: Check<'_>, parsed: FlowFile) -> Result<(), BadFlow> {
        for raw in parsed.step {
            let step = check.step(raw)?;
            if self.steps.contains_key(&step.key) {
                return Err(check.wrong(&format!("step {}", step.key), "is there twice"));
            }
            self.steps.insert(step.key.clone(), step);
        }
        for raw in parsed.hypothesis {
            self.hypotheses.push(check.hypothesis(raw, self)?);
        }
        for raw in parsed.remedy {
            self.remedies.push(check.remedy(raw, self)?);
        }
        if let Some(raw) = parsed.flow {
            let flow = check.flow(raw)?;
            if self.flows.contains_key(&flow.name) {
                return Err(check.wrong(&format!("flow {}", flow.name), "is there twice"));
            }
            self.flows.insert(flow.name.clone(), flow);
        }
        Ok(())
    }

    fn check_whole(&self, catalogue: &Catalogue) -> Result<(), BadFlow> {
        let check = Check { file: "all", catalogue };
        for flow in self.flows.values() {
            for key in &flow.gather {
                if !self.steps.contains_key(key) {
                    return Err(check.wrong(&format!("flow {}", flow.name), &format!("gathers {key:?}, and no [[step]] has this key")));
                }
            }
        }
        for step in self.steps.values() {
            for other in step.needs.iter().chain(&step.along) {
                if !self.steps.contains_key(other) {
                    return Err(check.wrong(&format!("step {}", step.key), &format!("names step {other:?}, which is not there")));
                }
            }
        }
        for cause in &self.causes {
            for flow in &cause.flows {
                if !self.flows.contains_key(flow) {
                    return Err(check.wrong(&format!("cause {}", cause.cause), &format!("belongs to flow {flow:?}, which is not there")));
                }
            }
        }
        for hypothesis in &self.hypotheses {
            for other in &hypothesis.explains {
                if self.cause(other).is_none() {
                    return Err(check.wrong(&format!("hypothesis {}", hypothesis.cause), &format!("explains {other:?}, which is no cause")));
                }
            }
        }
        Ok(())
    }
}

impl Check<'_> {
    fn wrong(&self, place: &str, why: &str) -> BadFlow {
        BadFlow::Wrong { file: self.file.into(), place: place.into(), why: why.into() }
    }

    fn expression(&self, place: &str, source: &str, bound: &[&str]) -> Result<Expression, BadFlow> {
        let expression = Expression::compile(source).map_err(|why| self.wrong(place, &format!("`{source}` is no expression: {why}")))?;
        self.names(place, source, &expression, bound)?;
        Ok(expression)
    }

    fn maybe(&self, place: &str, source: Option<&String>, bound: &[&str]) -> Result<Option<Expression>, BadFlow> {
        source.map(|source| self.expression(place, source, bound)).transpose()
    }

    /// Every section that is named exists, and every fact of a section with one item too.
    fn names(&self, place: &str, source: &str, expression: &Expression, bound: &[&str]) -> Result<(), BadFlow> {
        for name in expression.variables() {
            let known = bound.contains(&name.as_str()) || SECTIONS.iter().any(|(section, ..)| *section == name) || source.contains(&format!("({name},"));
            if !known {
                return Err(self.wrong(place, &format!("`{source}` speaks of {name:?}, which is no evidence")));
            }
        }
        for (section, field) in dotted(source) {
            if let Some((_, Layout::One, fields)) = SECTIONS.iter().find(|(name, ..)| *name == section)
                && !fields.contains(&field.as_str())
            {
                return Err(self.wrong(place, &format!("`{source}`: {section} has no {field:?}; it has {}", fields.join(", "))));
            }
        }
        Ok(())
    }

    /// `spd.dn`, `it.util_ext`, `lat.isp.med` or a whole section or target.
    fn evidence(&self, place: &str, name: &str, for_each: Option<&str>) -> Result<(), BadFlow> {
        let mut parts = name.split('.');
        let first = parts.next().unwrap_or_default();
        let section = if first == "it" { for_each.unwrap_or_default() } else { first };
        let Some((_, layout, fields)) = SECTIONS.iter().find(|(known, ..)| *known == section) else {
            return Err(self.wrong(place, &format!("{name:?} is no evidence")));
        };
        let field = match layout {
            Layout::Named => parts.nth(1),
            _ => parts.next(),
        };
        match field {
            Some(field) if !fields.contains(&field) => Err(self.wrong(place, &format!("{name:?}: {section} has no {field:?}"))),
            _ => Ok(()),
        }
    }

    fn tool(&self, place: &str, op: &str, classes: &[Class]) -> Result<&ToolEntry, BadFlow> {
        let entry = self.catalogue.tool(op).filter(|entry| entry.op == op).ok_or_else(|| self.wrong(place, &format!("tool {op:?} is not in the catalogue")))?;
        if classes.contains(&entry.class) {
            Ok(entry)
        } else {
            Err(self.wrong(place, &format!("tool {op:?} has the class {:?}, which has no place here", entry.class)))
        }
    }

    fn step(&self, raw: RawStep) -> Result<GatherStep, BadFlow> {
        let place = format!("step {}", raw.key);
        if raw.key.is_empty() || raw.key.contains(['@', '#', '~']) {
            return Err(self.wrong(&place, "a key may not be empty or contain @, # or ~"));
        }
        let entry = self.tool(&place, &raw.tool, &[Class::Read, Class::Test])?;
        entry.check(&raw.args).map_err(|refusal| self.wrong(&place, &refusal.to_string()))?;
        if !(1..=MOST_SAMPLES).contains(&raw.samples) {
            return Err(self.wrong(&place, "samples must be 1 to 9"));
        }
        self.texts(&place, "about", &raw.about)?;
        Ok(GatherStep {
            when: self.maybe(&place, raw.when.as_ref(), &[])?,
            repeat_when: self.maybe(&place, raw.repeat_when.as_ref(), &["dev"])?,
            key: raw.key,
            tool: raw.tool,
            target: raw.target,
            args: raw.args,
            samples: raw.samples,
            needs: raw.needs,
            along: raw.along,
            alone: raw.alone,
            optional: raw.optional,
            min_version: raw.min_version,
            about: raw.about,
        })
    }

    fn hypothesis(&self, raw: RawHypothesis, library: &Library) -> Result<Hypothesis, BadFlow> {
        let place = format!("hypothesis {}", raw.cause);
        let cause = library.cause(&raw.cause).ok_or_else(|| self.wrong(&place, "is no cause of causes.toml"))?;
        self.texts(&place, "text of the cause", &cause.text)?;
        if let Some(section) = &raw.for_each
            && !SECTIONS.iter().any(|(name, layout, _)| name == section && *layout == Layout::Many)
        {
            return Err(self.wrong(&place, &format!("for_each: {section:?} is no list of evidence")));
        }
        let bound: &[&str] = if raw.for_each.is_some() { &["it", "router"] } else { &["router"] };
        for name in raw.cites.iter().chain(&raw.needs) {
            self.evidence(&place, name, raw.for_each.as_deref())?;
            let canonical = canonical_name(name, raw.for_each.as_deref());
            if raw.cites.contains(name) && library.words.get(&canonical).is_none_or(|words| words.text.en.is_empty()) {
                return Err(self.wrong(&place, &format!("cites {canonical:?}, and causes.toml has no words for it")));
            }
        }
        if let Some(chart) = &raw.chart
            && !CHARTS.contains(&chart.as_str())
        {
            return Err(self.wrong(&place, &format!("chart must be one of {}", CHARTS.join(", "))));
        }
        let confidence = match &raw.confidence {
            Value::Number(number) => format!("{:?}", number.as_f64().unwrap_or_default()),
            Value::String(source) => source.clone(),
            _ => return Err(self.wrong(&place, "confidence must be a number or an expression")),
        };
        if let Some(section) = &raw.for_each {
            self.item_fields(&place, section, [&raw.condition, &confidence].into_iter().chain(&raw.device))?;
        }
        Ok(Hypothesis {
            condition: self.expression(&place, &raw.condition, bound)?,
            confidence: self.expression(&place, &confidence, bound)?,
            device: self.maybe(&place, raw.device.as_ref(), &["it", "router"])?,
            cause: raw.cause,
            for_each: raw.for_each,
            cites: raw.cites,
            needs: raw.needs,
            explains: raw.explains,
            only_in: raw.only_in,
            chart: raw.chart,
        })
    }

    /// Every `it.field` is a fact of the list.
    fn item_fields<'s>(&self, place: &str, section: &str, sources: impl Iterator<Item = &'s String>) -> Result<(), BadFlow> {
        // The section was checked before.
        let fields = SECTIONS.iter().find(|(name, ..)| *name == section).map_or(&[][..], |(_, _, fields)| fields);
        for source in sources {
            if let Some((_, field)) = dotted(source).into_iter().find(|(owner, field)| owner == "it" && !fields.contains(&field.as_str())) {
                return Err(self.wrong(place, &format!("`{source}`: {section} has no {field:?}")));
            }
        }
        Ok(())
    }

    fn remedy(&self, raw: RawRemedy, library: &Library) -> Result<Remedy, BadFlow> {
        let place = format!("remedy {}", raw.cause);
        if library.cause(&raw.cause).is_none() {
            return Err(self.wrong(&place, "is no cause of causes.toml"));
        }
        if raw.operation.is_empty() || raw.verify.is_empty() {
            return Err(self.wrong(&place, "needs at least one operation and one verify"));
        }
        self.texts(&place, "title", &raw.title)?;
        let operations = raw.operation.into_iter().map(|raw| self.operation(&place, raw)).collect::<Result<_, _>>()?;
        let verify = raw.verify.into_iter().map(|raw| self.verify(&place, raw)).collect::<Result<_, _>>()?;
        Ok(Remedy { when: self.maybe(&place, raw.when.as_ref(), &["it"])?, cause: raw.cause, title: raw.title, operations, verify })
    }

    fn values(&self, place: &str, entry: &ToolEntry, args: &BTreeMap<String, String>) -> Result<BTreeMap<String, Expression>, BadFlow> {
        let mut compiled = BTreeMap::new();
        for (name, source) in args {
            if !entry.args.contains_key(name) {
                return Err(self.wrong(place, &format!("tool {:?} has no argument {name:?}", entry.op)));
            }
            compiled.insert(name.clone(), self.expression(place, source, &["it", "before"])?);
        }
        Ok(compiled)
    }

    fn operation(&self, place: &str, raw: RawOperation) -> Result<RemedyOperation, BadFlow> {
        let entry = self.tool(place, &raw.op, &[Class::Act])?;
        if let Some((missing, _)) = entry.args.iter().find(|(name, spec)| spec.required && !raw.args.contains_key(*name)) {
            return Err(self.wrong(place, &format!("argument {missing:?} of {:?} is missing", raw.op)));
        }
        for (name, text) in [("label", &raw.label), ("before", &raw.before), ("after", &raw.after)] {
            self.texts(place, name, text)?;
        }
        Ok(RemedyOperation {
            device: self.expression(place, &raw.device, &["it", "router"])?,
            args: self.values(place, entry, &raw.args)?,
            undo_args: self.values(place, entry, &raw.undo_args)?,
            op: raw.op,
            label: raw.label,
            before: raw.before,
            after: raw.after,
        })
    }

    fn verify(&self, place: &str, raw: RawVerify) -> Result<Verify, BadFlow> {
        let place = format!("{place}, verify {}", raw.metric);
        let entry = self.tool(&place, &raw.tool, &[Class::Read, Class::Test])?;
        if !matches!(raw.direction.as_str(), "up" | "down") {
            return Err(self.wrong(&place, "direction must be up or down"));
        }
        if !(2..=MOST_SAMPLES).contains(&raw.samples) || raw.settle > MOST_SETTLE {
            return Err(self.wrong(&place, "samples must be 2 to 9 and settle at most 20"));
        }
        let min_gain = match &raw.min_gain {
            None => None,
            Some(Value::Number(number)) => Some(format!("{:?}", number.as_f64().unwrap_or_default())),
            Some(Value::String(source)) => Some(source.clone()),
            Some(_) => return Err(self.wrong(&place, "min_gain must be a number or an expression")),
        };
        if min_gain.is_none() && raw.min_gain_percent.is_none() {
            return Err(self.wrong(&place, "needs min_gain or min_gain_percent: the smallest gain worth claiming"));
        }
        self.texts(&place, "expect", &raw.expect)?;
        self.texts(&place, "about", &raw.about)?;
        Ok(Verify {
            value: self.expression(&place, &raw.value, &["it"])?,
            device: self.expression(&place, &raw.device, &["it", "router"])?,
            args: self.values(&place, entry, &raw.args)?,
            when: self.maybe(&place, raw.when.as_ref(), &["it"])?,
            min_gain: min_gain.map(|source| self.expression(&place, &source, &["it", "before"])).transpose()?,
            metric: raw.metric,
            tool: raw.tool,
            unit: raw.unit,
            direction: raw.direction,
            min_gain_percent: raw.min_gain_percent,
            samples: raw.samples,
            settle: raw.settle,
            expect: raw.expect,
            about: raw.about,
        })
    }

    fn flow(&self, raw: RawFlow) -> Result<Flow, BadFlow> {
        let place = format!("flow {}", raw.name);
        let mut decisive = Vec::new();
        for entry in &raw.decisive {
            let (name, when) = entry.split_once(" if ").map_or((entry.as_str(), None), |(name, when)| (name, Some(when)));
            let when = when.map(|source| self.expression(&place, source, &[])).transpose()?;
            decisive.push(Decisive { name: name.trim().to_owned(), when });
        }
        for name in decisive.iter().map(|entry| &entry.name).chain(&raw.healthy_cites) {
            self.evidence(&place, name, None)?;
        }
        let texts = [("title", &raw.title), ("opening", &raw.opening), ("healthy", &raw.healthy)];
        for (name, text) in texts.into_iter().chain(raw.healthy_without_radio.iter().map(|text| ("healthy_without_radio", text))) {
            self.texts(&place, name, text)?;
        }
        let mut doubts = Vec::new();
        for doubt in raw.doubt {
            self.texts(&place, "doubt", &doubt.text)?;
            doubts.push(Doubt { when: self.expression(&place, &doubt.when, &[])?, cites: doubt.cites, text: doubt.text });
        }
        Ok(Flow {
            name: raw.name,
            title: raw.title,
            opening: raw.opening,
            gather: raw.gather,
            decisive,
            doubts,
            healthy: raw.healthy,
            healthy_without_radio: raw.healthy_without_radio,
            healthy_cites: raw.healthy_cites,
        })
    }

    fn texts(&self, place: &str, what: &str, text: &Text3) -> Result<(), BadFlow> {
        let empty = [&text.zh_tw, &text.zh_cn, &text.en].iter().any(|text| text.trim().is_empty());
        if empty { Err(self.wrong(place, &format!("{what} needs a text in each of zh-TW, zh-CN and en"))) } else { Ok(()) }
    }
}

/// The pairs `owner.field` in a text that do not belong to a longer chain's tail.
fn dotted(source: &str) -> Vec<(String, String)> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut in_text = false;
    let chars: Vec<char> = source.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        if chars[at] == '\'' || chars[at] == '"' {
            in_text = !in_text;
        }
        let begins = !in_text && (chars[at].is_ascii_alphabetic() || chars[at] == '_') && (at == 0 || (!word(chars[at - 1]) && chars[at - 1] != '.'));
        if !begins {
            at += 1;
            continue;
        }
        let end = (at..chars.len()).find(|i| !word(chars[*i])).unwrap_or(chars.len());
        if chars.get(end) == Some(&'.') && chars.get(end + 1).is_some_and(|c| c.is_ascii_alphabetic() || *c == '_') {
            let stop = (end + 1..chars.len()).find(|i| !word(chars[*i])).unwrap_or(chars.len());
            if chars.get(stop) != Some(&'(') {
                found.push((chars[at..end].iter().collect(), chars[end + 1..stop].iter().collect()));
            }
        }
        at = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_names_are_found_outside_texts_and_method_calls() {
        let found = dotted("spd.dn >= 0.9*plan.dn && told.when == 'a.b' && lat.pub.loss > 1.0 && cl.exists(c, c.rssi < 1.0)");
        let names: Vec<String> = found.iter().map(|(a, b)| format!("{a}.{b}")).collect();
        assert_eq!(names, ["spd.dn", "plan.dn", "told.when", "lat.pub", "c.rssi"]);
    }
}
