//! Who may know whom: the arrows between our crates, and the libraries that one crate alone may use.

use super::{Finding, Text};
use toml::{Table, Value};

/// A crate and those of ours that it may know. `ARCHITECTURE.md` draws the same; a new arrow is a change of architecture.
const ARROWS: &[(&str, &[&str])] = &[
    ("talkwire-proto", &[]),
    ("talkwire-core", &["talkwire-proto"]),
    ("talkwire-agent", &["talkwire-core", "talkwire-proto"]),
    ("talkwire-store", &["talkwire-core", "talkwire-proto"]),
    ("talkwire-link", &["talkwire-proto"]),
    ("talkwire-broker", &["talkwire-proto"]),
    ("talkwire-device", &["talkwire-link", "talkwire-proto"]),
    ("talkwire-linux", &["talkwire-device", "talkwire-proto"]),
    ("talkwire-home", &["talkwire-device", "talkwire-proto"]),
    ("talkwire", &OURS),
    ("talkwire-bench", &["talkwire-proto", "talkwire-link", "talkwire-device", "talkwire-home"]),
    ("talkwire-example", &["talkwire-device", "talkwire-link"]),
    ("talkwire-fuzz", &["talkwire-proto"]),
    ("xtask", &[]),
];

/// Arrows that only tests have.
const TEST_ARROWS: &[(&str, &[&str])] =
    &[("talkwire-device", &["talkwire-broker"]), ("talkwire-linux", &["talkwire-broker", "talkwire-link"]), ("talkwire-example", &["talkwire-broker"])];

const OURS: [&str; 9] = [
    "talkwire-proto",
    "talkwire-core",
    "talkwire-agent",
    "talkwire-store",
    "talkwire-link",
    "talkwire-broker",
    "talkwire-device",
    "talkwire-linux",
    "talkwire-home",
];

/// Libraries with few owners: the library, who uses it, who may use it in tests besides.
const OWNED: &[(&str, &[&str], &[&str])] = &[
    ("mqtt5", &["talkwire-broker"], &[]),
    ("rumqttc", &["talkwire-link", "talkwire-bench"], &["talkwire-broker", "talkwire"]),
    ("rusqlite", &["talkwire-store", "talkwire-device"], &[]),
    ("tokio-rustls", &["talkwire-link"], &["talkwire"]),
    ("ring", &["talkwire-link"], &[]),
    ("axum", &["talkwire"], &[]),
];

/// The pure three take values in and give values out; these libraries do no more than that.
const PURE: [&str; 3] = ["talkwire-proto", "talkwire-core", "talkwire-agent"];
const PURE_LIBRARIES: [&str; 11] = ["serde", "serde_json", "schemars", "thiserror", "toml", "sha2", "ed25519-dalek", "cel", "aes", "cbc", "hmac"];

const MEND: &str = "take the dependency out, or change DESIGN, ARCHITECTURE.md and the list in xtask/src/tidy/arrows.rs together";

/// The rule.
pub fn check(texts: &[Text]) -> Vec<Finding> {
    texts.iter().filter(|text| text.path == "Cargo.toml" || text.is(&["/Cargo.toml"])).flat_map(manifest).collect()
}

fn manifest(text: &Text) -> Vec<Finding> {
    let table: Table = match text.text.parse() {
        Ok(table) => table,
        Err(error) => return vec![text.finding(1, format!("not a manifest ({})", error.message()), "mend its syntax")],
    };
    let Some(name) = table.get("package").and_then(|package| package.get("name")).and_then(Value::as_str) else { return Vec::new() };
    let mut findings = Vec::new();
    let line = |library: &str| text.text.lines().position(|line| line.trim_start().starts_with(library)).map_or(1, |at| at + 1);
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
        return vec![text.finding(
            1,
            format!("{name} is not on the map of crates"),
            "draw it in ARCHITECTURE.md and list its arrows in xtask/src/tidy/arrows.rs",
        )];
    };
    let testing = TEST_ARROWS.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, arrows)| *arrows);
    for (in_tests, library) in dependencies(&table) {
        let is_ours = library.starts_with("talkwire");
        if is_ours && !allowed.contains(&library.as_str()) && !(in_tests && testing.contains(&library.as_str())) {
            findings.push(text.finding(line(&library), format!("{name} must not know {library}"), MEND));
        }
        if let Some((_, owners, testers)) = OWNED.iter().find(|(owned, ..)| *owned == library)
            && !owners.contains(&name)
            && !(in_tests && testers.contains(&name))
        {
            findings.push(text.finding(line(&library), format!("{library} belongs to {}, {name} must not use it", owners.join(" and ")), MEND));
        }
        if PURE.contains(&name) && !in_tests && !is_ours && !PURE_LIBRARIES.contains(&library.as_str()) {
            findings.push(text.finding(line(&library), format!("{name} is pure, and {library} is not known to be"), MEND));
        }
    }
    findings
}

/// All dependencies, and whether only tests have them.
fn dependencies(table: &Table) -> Vec<(bool, String)> {
    let mut tables = vec![table];
    tables.extend(table.get("target").and_then(Value::as_table).into_iter().flat_map(|targets| targets.values().filter_map(Value::as_table)));
    let kinds = [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)];
    let mut found = Vec::new();
    for table in tables {
        for (kind, in_tests) in kinds {
            let names = table.get(kind).and_then(Value::as_table).into_iter().flatten();
            found.extend(names.map(|(name, value)| (in_tests, value.get("package").and_then(Value::as_str).unwrap_or(name).to_owned())));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::*;

    fn crate_with(name: &str, rest: &str) -> Vec<String> {
        said(check, "crates/x/Cargo.toml", &format!("[package]\nname = \"{name}\"\n{rest}"))
    }

    #[test]
    fn an_arrow_that_is_not_on_the_map_is_found_with_its_line() {
        let found = crate_with("talkwire-agent", "[dependencies]\ntalkwire-core.workspace = true\ntalkwire-store.workspace = true\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/x/Cargo.toml:5: talkwire-agent must not know talkwire-store"), "{found:?}");
    }

    #[test]
    fn an_arrow_of_tests_is_none_of_the_product() {
        assert_eq!(crate_with("talkwire-device", "[dev-dependencies]\ntalkwire-broker.workspace = true\n").len(), 0);
        assert_eq!(crate_with("talkwire-device", "[dependencies]\ntalkwire-broker.workspace = true\n").len(), 1);
    }

    #[test]
    fn an_owned_library_is_refused_elsewhere_but_in_listed_tests() {
        assert_eq!(crate_with("talkwire-home", "[dependencies]\nrumqttc.workspace = true\n").len(), 1);
        assert_eq!(crate_with("talkwire-broker", "[dev-dependencies]\nrumqttc.workspace = true\n").len(), 0);
        assert_eq!(crate_with("talkwire-broker", "[dependencies]\nrumqttc.workspace = true\n").len(), 1);
        assert_eq!(crate_with("talkwire-link", "[dependencies]\nsql = { package = \"rusqlite\", version = \"0.39\" }\n").len(), 1);
    }

    #[test]
    fn the_pure_three_take_no_library_that_acts() {
        assert_eq!(crate_with("talkwire-core", "[dependencies]\ntokio.workspace = true\n").len(), 1);
        assert_eq!(crate_with("talkwire-core", "[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n").len(), 1);
        assert_eq!(crate_with("talkwire-core", "[dev-dependencies]\nproptest.workspace = true\n").len(), 0);
    }

    #[test]
    fn a_crate_that_is_not_on_the_map_is_found() {
        assert!(crate_with("talkwire-new", "")[0].contains("not on the map"));
    }
}
