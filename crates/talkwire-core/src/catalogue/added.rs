//! Entries beside the built-in ones: a folder of the house may add tools, and may narrow what is built in, but never weaken it.

use super::{ArgSpec, BadCatalogue, Catalogue, Class, Permission, ToolEntry, entries};
use serde_json::Value;

/// Longest time-out of a tool that is added, in milliseconds.
const LONGEST_MS: u64 = 3_600_000;
/// The types that an argument can have.
const KINDS: [&str; 6] = ["integer", "number", "string", "boolean", "strings", "objects"];
/// The forms that a text can have.
const FORMS: [&str; 4] = ["word", "host", "mac", "text"];

impl Catalogue {
    /// The same catalogue with the entries of more files, given as (name, text).
    ///
    /// A tool that is not built in is added. One that is built in keeps its class and what is put back, asks for at least the same
    /// permission and risk, and takes no argument that the built-in entry would refuse.
    ///
    /// # Errors
    /// The first entry that cannot be taken: with file, line and what to do.
    pub fn with<'a>(mut self, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, BadCatalogue> {
        let mut added: Vec<(String, String)> = Vec::new();
        for (file, text) in files {
            for (line, entry) in entries(file, text)? {
                let refuse = |why: String| BadCatalogue::Op { file: file.into(), line, op: entry.op.clone(), why };
                if let Some((_, other)) = added.iter().find(|(op, _)| *op == entry.op) {
                    return Err(refuse(format!("is in {other} already; keep one of the two")));
                }
                check(&entry).map_err(refuse)?;
                if let Some(own) = self.tools.get(&entry.op) {
                    narrows(own, &entry).map_err(|why| refuse(format!("is built in, and an entry of yours may only narrow it: {why}")))?;
                }
                added.push((entry.op.clone(), file.to_owned()));
                self.tools.insert(entry.op.clone(), entry);
            }
        }
        Ok(self)
    }
}

/// Whether an entry makes sense by itself.
fn check(entry: &ToolEntry) -> Result<(), String> {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    match entry.op.split_once('.') {
        Some((family, name)) if entry.op.len() <= 64 && is_word(family) && is_word(name) => {}
        _ => return Err("must look like family.name, with small letters, digits and _".into()),
    }
    let least = match entry.class {
        Class::Manage => return Err("has the class manage, which belongs to change sets alone; write read, test or act".into()),
        Class::Read => Permission::Read,
        Class::Test => Permission::Test,
        Class::Act => Permission::Config,
    };
    if entry.permission < least {
        return Err(format!(
            "has the class {} with the permission {}; write permission = {:?} or more",
            word(&entry.class),
            word(&entry.permission),
            word(&least)
        ));
    }
    if !(100..=LONGEST_MS).contains(&entry.timeout_ms) || entry.typical_ms > entry.timeout_ms {
        return Err(format!(
            "has timeout_ms = {} and typical_ms = {}; timeout_ms must be from 100 to {LONGEST_MS}, and typical_ms not more",
            entry.timeout_ms, entry.typical_ms
        ));
    }
    if entry.title.en.trim().is_empty() {
        return Err("has no title; write title = { zh-TW = \"…\", zh-CN = \"…\", en = \"…\" }".into());
    }
    entry.args.iter().try_for_each(|(name, spec)| check_arg(spec).map_err(|why| format!("has the argument {name}, which {why}")))
}

fn check_arg(spec: &ArgSpec) -> Result<(), String> {
    if !KINDS.contains(&spec.kind.as_str()) {
        return Err(format!("has the type {:?}; write one of {}", spec.kind, KINDS.join(", ")));
    }
    if let Some(form) = spec.form.as_ref().filter(|form| !FORMS.contains(&form.as_str())) {
        return Err(format!("has the form {form:?}; write one of {}", FORMS.join(", ")));
    }
    if spec.min.zip(spec.max).is_some_and(|(min, max)| min > max) {
        return Err("has a min above its max".into());
    }
    let fits = |value: &Value| match spec.kind.as_str() {
        "integer" | "number" => value.is_number(),
        "string" => value.is_string(),
        _ => false,
    };
    match spec.one_of.iter().find(|value| !fits(value)) {
        Some(value) => Err(format!("has {value} in one_of, which is no {}", spec.kind)),
        None => Ok(()),
    }
}

/// Whether an entry allows nothing that the built-in one does not.
fn narrows(own: &ToolEntry, entry: &ToolEntry) -> Result<(), String> {
    if entry.class != own.class {
        return Err(format!("its class is {:?} and stays so, not {:?}", word(&own.class), word(&entry.class)));
    }
    if entry.restores != own.restores {
        return Err(format!("restores is {:?} and stays so", word(&own.restores)));
    }
    if entry.permission < own.permission {
        return Err(format!("its permission is at least {:?}, not {:?}", word(&own.permission), word(&entry.permission)));
    }
    if entry.risk < own.risk {
        return Err(format!("its risk is at least {:?}, not {:?}", own.risk.word(), entry.risk.word()));
    }
    if let Some(name) = own.args.iter().find(|(name, spec)| spec.required && !entry.args.contains_key(*name)).map(|(name, _)| name) {
        return Err(format!("the argument {name} must be given, so it cannot be left out"));
    }
    entry.args.iter().try_for_each(|(name, spec)| match own.args.get(name) {
        None => Err(format!("it takes no argument {name}")),
        Some(wide) => arg_narrows(wide, spec).map_err(|why| format!("the argument {name}: {why}")),
    })
}

fn arg_narrows(wide: &ArgSpec, narrow: &ArgSpec) -> Result<(), String> {
    if narrow.kind != wide.kind || narrow.form != wide.form {
        return Err("type and form stay as they are".into());
    }
    if wide.required && !narrow.required {
        return Err("it stays required".into());
    }
    if !narrow.one_of.is_empty() {
        // What is listed is all that is allowed, so each of it must be allowed already.
        return match narrow.one_of.iter().find(|value| !wide.allows(value)) {
            Some(value) => Err(format!("{value} is not allowed; it must be {}", wide.words())),
            None => Ok(()),
        };
    }
    if !wide.one_of.is_empty() {
        return Err(format!("write one_of with some of {}", wide.one_of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
    }
    let lower = wide.min.is_some_and(|least| narrow.min.is_none_or(|min| min < least));
    let higher = wide.max.is_some_and(|most| narrow.max.is_none_or(|max| max > most));
    let longer = narrow.max_length.unwrap_or(64) > wide.max_length.unwrap_or(64);
    if lower || higher || longer { Err(format!("it must be {}, or less", wide.words())) } else { Ok(()) }
}

/// The word of the file for a class, permission or what is put back.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAN: &str = r#"
[[tool]]
op = "fan.read"
class = "read"
permission = "read"
typical_ms = 300
timeout_ms = 10000
title = { zh-TW = "風扇", zh-CN = "风扇", en = "Fan" }
args.number = { type = "integer", min = 1, max = 4, required = true }
"#;

    fn said(text: &str) -> String {
        Catalogue::builtin().with([("tools/mine.toml", text)]).unwrap_err().to_string()
    }

    /// An own entry for a tool that is built in, with more lines.
    fn channel(class: &str, permission: &str, risk: &str, args: &str) -> String {
        format!(
            "[[tool]]\nop = \"wifi.set_channel\"\nclass = \"{class}\"\npermission = \"{permission}\"\nrisk = \"{risk}\"\ntypical_ms = 1\ntimeout_ms = 20000\n\
             title = {{ zh-TW = \"x\", zh-CN = \"x\", en = \"x\" }}\n{args}\n"
        )
    }

    #[test]
    fn a_tool_of_ones_own_is_added_beside_the_built_in_ones() {
        let all = Catalogue::builtin().with([("fan.toml", FAN)]).unwrap();
        assert_eq!(all.tool("fan.read").unwrap().class, Class::Read);
        assert_eq!(all.tools().count(), Catalogue::builtin().tools().count() + 1);
        let args = |value: Value| all.tool("fan.read").unwrap().check(value.as_object().unwrap());
        assert!(args(serde_json::json!({"number": 4})).is_ok() && args(serde_json::json!({"number": 5})).is_err());
    }

    #[test]
    fn a_built_in_tool_may_be_narrowed() {
        let text = channel("act", "admin", "high", "args.channel = { type = \"integer\", one_of = [1, 6, 11], required = true }");
        let all = Catalogue::builtin().with([("mine.toml", text.as_str())]).unwrap();
        let tool = all.tool("wifi.set_channel").unwrap();
        assert_eq!(tool.permission, Permission::Admin);
        let check = |channel: u64| tool.check(serde_json::json!({"channel": channel}).as_object().unwrap());
        assert!(check(6).is_ok() && check(36).is_err());
    }

    #[test]
    fn a_built_in_tool_is_never_weakened() {
        let usual = "args.channel = { type = \"integer\", min = 1, max = 233, required = true }";
        for (text, why) in [
            (channel("read", "read", "medium", usual), "class is \"act\""),
            (channel("act", "config", "low", usual), "risk is at least \"medium\""),
            (channel("act", "config", "medium", ""), "channel must be given"),
            (channel("act", "config", "medium", "args.channel = { type = \"integer\", min = 1, max = 999, required = true }"), "from 1 to 233"),
            (channel("act", "config", "medium", "args.channel = { type = \"integer\", min = 1, max = 233 }"), "required"),
            (channel("act", "config", "medium", "args.channel = { type = \"integer\", one_of = [999], required = true }"), "999"),
            (channel("act", "config", "medium", &format!("{usual}\nargs.evil = {{ type = \"string\" }}")), "no argument evil"),
            (channel("act", "config", "medium", usual).replace("risk", "restores = \"nothing\"\nrisk"), "restores"),
        ] {
            let said = said(&text);
            assert!(said.contains("tools/mine.toml") && said.contains("line 1") && said.contains("wifi.set_channel") && said.contains(why), "{said}");
        }
        let manage = FAN.replace("fan.read", "changeset.commit");
        assert!(said(&manage).contains("class is \"manage\""), "{}", said(&manage));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_line() {
        for (text, why) in [
            (FAN.replace("class = \"read\"", "class = \"act\""), "permission = \"config\""),
            (FAN.replace("class = \"read\"", "class = \"manage\""), "belongs to change sets"),
            (FAN.replace("fan.read", "Fan"), "family.name"),
            (FAN.replace("\"integer\"", "\"int\""), "integer, number"),
            (FAN.replace("min = 1", "min = 9"), "above its max"),
            (FAN.replace("10000", "1"), "timeout_ms"),
            (FAN.replace("en = \"Fan\"", "en = \"\""), "no title"),
            (FAN.replace("\nclass", "\nclasss"), "line 4"),
            (format!("{FAN}{FAN}"), "keep one of the two"),
        ] {
            let said = said(&text);
            assert!(said.contains("tools/mine.toml") && said.contains("line ") && said.contains(why), "{said}");
        }
    }
}
