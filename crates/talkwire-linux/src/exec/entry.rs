//! An entry of `[exec]` as the server's catalogue writes it: what may be asked, and who may ask, is decided there by a person.

use super::argument::{ArgKind, Kind};
use super::{ExecClass, ExecEntry};
use std::fmt::Write as _;

/// Most that a time-out in the catalogue may be, in milliseconds.
const LONGEST_MS: u64 = 3_600_000;
/// How much longer than its programs the server waits for a tool, in milliseconds.
const MORE_MS: u64 = 5_000;
/// What a call usually takes when nobody measured it, in milliseconds.
const TYPICAL_MS: u64 = 1_000;

/// What stands above the entries.
pub(crate) const HEAD: &str = "\
# Tools of a device's own, for the server: put this file into DIR/tools/ and start with `talkwire serve --catalog DIR`.
# The class is yours to decide, not the device's: read changes nothing, test disturbs for a moment, act changes something.
";

impl ExecEntry {
    /// The entry as TOML. Without a decision it is an Act for administrators, which nobody can run by mistake.
    pub(super) fn lines(&self, op: &str, decided: Option<ExecClass>) -> String {
        let (class, permission, risk) = match decided {
            Some(ExecClass::Read) => ("read", "read", "low"),
            Some(ExecClass::Test) => ("test", "test", "low"),
            Some(ExecClass::Act) => ("act", "config", "medium"),
            None => ("act", "admin", "high"),
        };
        let title = if self.about.is_empty() { op } else { &self.about };
        // An Act captures, changes, captures again and, when it comes to that, restores.
        let programs = if self.class == ExecClass::Act { 4.0 } else { 1.0 };
        let timeout_ms = ((self.timeout_s * programs * 1000.0) as u64 + MORE_MS).min(LONGEST_MS);
        let mut text = String::from("\n[[tool]]\n");
        let mut line = |name: &str, value: String| {
            // Writing into a String does not fail.
            let _ = writeln!(text, "{name} = {value}");
        };
        line("op", quoted(op));
        line("class", quoted(class));
        line("permission", quoted(permission));
        line("risk", quoted(risk));
        line("typical_ms", TYPICAL_MS.min(timeout_ms).to_string());
        line("timeout_ms", timeout_ms.to_string());
        line("resource", quoted("low"));
        let three = |text: &str| format!("{{ zh-TW = {0}, zh-CN = {0}, en = {0} }}", quoted(text));
        line("title", three(title));
        if class == "act" {
            line("impact", three("Not described; ask the device's maker what people feel."));
        }
        if !self.args.is_empty() {
            text.push_str("[tool.args]\n");
        }
        for (name, kind) in &self.args {
            let _ = writeln!(text, "{name} = {}", kind.catalogue());
        }
        text
    }

    /// The entry with what the person has to know about its class.
    pub(crate) fn catalogue(&self, op: &str, decided: Option<ExecClass>) -> Result<String, String> {
        if let Some(decided) = decided
            && (decided == ExecClass::Act) != (self.class == ExecClass::Act)
        {
            return Err(match self.class {
                ExecClass::Act => "act: the device runs it with capture and restore, inside a change set alone".into(),
                other => format!("read or test: the device's file calls it {}, and has no capture and restore for a change", other.word()),
            });
        }
        let lines = self.lines(op, decided);
        if decided.is_some() {
            return Ok(lines);
        }
        let advice = match self.class {
            ExecClass::Act => "# The device's file calls it act. When an operator may approve it: permission = \"config\", risk = \"medium\".".to_owned(),
            other => format!(
                "# The device's file calls it {0}. As an act it cannot run at all; when you know that this is true: class = \"{0}\", permission = \"{0}\", risk = \"low\",\n\
                 # and no impact. The same by `--class {op}={0}`.",
                other.word()
            ),
        };
        Ok(format!("\n{advice}{lines}"))
    }
}

impl ArgKind {
    /// The argument as an inline table of the catalogue. It takes at least what the program takes; the device has the last word.
    fn catalogue(&self) -> String {
        let mut parts = Vec::new();
        let mut text = |form: &str, most: usize| {
            parts.extend([quoted_pair("type", "string"), quoted_pair("form", form), format!("max_length = {most}")]);
        };
        match self.kind {
            Kind::Integer => {
                parts.push(quoted_pair("type", "integer"));
                parts.extend(self.min.map(|min| format!("min = {min}")));
                parts.extend(self.max.map(|max| format!("max = {max}")));
            }
            Kind::Boolean => parts.push(quoted_pair("type", "boolean")),
            Kind::Enum => {
                let words: Vec<_> = self.one_of.iter().map(|word| quoted(word)).collect();
                parts.extend([quoted_pair("type", "string"), format!("one_of = [{}]", words.join(", "))]);
            }
            Kind::Host => text("host", 253),
            Kind::Ip => text("host", 45),
            Kind::Mac => text("mac", 17),
            Kind::String => text("text", self.lengths().1),
        }
        if self.required {
            parts.push("required = true".into());
        }
        format!("{{ {} }}", parts.join(", "))
    }
}

fn quoted_pair(name: &str, value: &str) -> String {
    format!("{name} = {}", quoted(value))
}

/// A basic string of TOML; JSON escapes the same characters, but not DEL.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
