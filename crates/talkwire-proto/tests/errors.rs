//! Every code has its page in `docs/errors/`, every page its code, and the example on it names the code.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use talkwire_proto::Code;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors")
}

fn page(code: Code) -> String {
    fs::read_to_string(folder().join(format!("{code}.md"))).unwrap_or_else(|error| panic!("{code}: {error}"))
}

#[test]
fn the_codes_and_the_pages_are_the_same_list() {
    let files = fs::read_dir(folder()).expect("docs/errors is there").map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let pages: BTreeSet<String> = files.filter(|name| name != "README.md").collect();
    let codes: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
    assert_eq!(pages, codes);
    assert_eq!(codes.len(), Code::ALL.len(), "no code is there twice");
}

#[test]
fn the_index_lists_every_code_once_with_its_status() {
    let index = fs::read_to_string(folder().join("README.md")).unwrap();
    for code in Code::ALL {
        let rows: Vec<&str> = index.lines().filter(|line| line.contains(&format!("[{code}]({code}.md)"))).collect();
        assert_eq!(rows.len(), 1, "{code}");
        assert!(rows[0].ends_with(&format!("| {} |", code.http_class())), "{code}");
    }
}

#[test]
fn each_page_says_what_it_means_when_it_comes_and_what_to_do() {
    for code in Code::ALL {
        let text = page(*code);
        assert!(text.starts_with(&format!("# {code}: ")), "{code}");
        assert!(text.contains(&format!("HTTP status: {}\n", code.http_class())), "{code}");
        for part in ["\n## When\n\n- ", "\n## What to do\n\n- ", "\n## Example\n"] {
            assert!(text.contains(part), "{code} has no {part:?}");
        }
    }
}

#[test]
fn each_example_is_json_and_names_the_code() {
    for code in Code::ALL {
        let text = page(*code);
        let example = text.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_else(|| panic!("{code} has no example"));
        let value: Value = serde_json::from_str(example).unwrap_or_else(|error| panic!("{code}: {error}"));
        let named = [value.pointer("/code"), value.pointer("/error/code")].into_iter().flatten().any(|found| found == code.as_str());
        // What is no answer to a request, a log line or a status, names it in front of its sentence.
        let named =
            named || value.as_object().is_some_and(|fields| fields.values().filter_map(Value::as_str).any(|text| text.starts_with(&format!("{code}: "))));
        assert!(named, "{code}: the example does not name it");
        if let Some(status) = value.get("status").filter(|status| status.is_number()) {
            assert_eq!(status, &Value::from(code.http_class()), "{code}");
        }
    }
}

#[test]
fn the_seven_codes_of_the_diagnostics_document_are_there() {
    let names =
        ["CONTEXT_INIT_FAILED", "TOOL_NOT_AVAILABLE", "SESSION_TIMEOUT", "CAPABILITY_MISMATCH", "PERMISSION_DENIED", "CHANGESET_CONFLICT", "ROLLBACK_FAILED"];
    for name in names {
        assert!(Code::ALL.iter().any(|code| code.as_str() == format!("E_LLM_{name}")), "{name}");
    }
}

#[test]
fn a_code_is_its_text_in_json_too() {
    for code in Code::ALL {
        assert_eq!(serde_json::to_value(code).unwrap(), Value::from(code.as_str()));
    }
}
