//! `talkwire ask`: a complaint in the terminal, with live steps, the cause and, if wished, the change.

use super::client::Client;
use super::say::say;
use super::{Failure, Remote};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Asks, shows each step when it ends, then the verdict; with `apply` approves the proposal and waits for its end.
pub fn ask(remote: &Remote, text: &str, apply: bool, tenant: Option<String>, site: Option<String>) -> Result<(), Failure> {
    let client = Client::new(remote);
    let events = client.events()?;
    let opened = client.send("/api/v1/sessions", &json!({"user_request": text, "tenant": tenant, "site": site}))?;
    let id = opened["session_id"].as_str().unwrap_or_default().to_owned();
    if !remote.json {
        say!("{}", opened["text"].as_str().unwrap_or_default());
    }
    let mut shown = BTreeMap::new();
    let mut session = client.fetch(&format!("/api/v1/sessions/{id}"))?;
    let mut watch = events;
    let mut asked = false;
    loop {
        if !remote.json {
            show_steps(&session, &mut shown);
        }
        let has_ended = session["session"]["status"] != "active";
        if let Some(changeset_id) = session["changeset_id"].as_str().filter(|_| !has_ended && !asked) {
            asked = true;
            let set = client.fetch(&format!("/api/v1/changesets/{changeset_id}"))?;
            if !remote.json {
                show_verdict(&session);
                show_card(&set["view"]);
            }
            if !apply {
                if !remote.json {
                    say!("\nTo apply it: talkwire changesets approve {changeset_id} --server {} --data {}", remote.server, remote.data.display());
                }
                return finish(remote, &session, &set, false);
            }
            client.send(&format!("/api/v1/changesets/{changeset_id}/approve"), &json!({"plan_hash": set["plan_hash"]}))?;
        }
        if has_ended {
            return conclude(remote, &client, &session, asked, &opened["text"]);
        }
        let ours = |name: &str, data: &Value| {
            (name == "session" && data["session_id"] == json!(id)) || (name == "changeset" && data["session_id"] == json!(id)) || name == "lagged"
        };
        if watch.find(|(name, data)| ours(name, data)).is_none() {
            return Err(Failure::Unreachable(remote.server.clone()));
        }
        session = client.fetch(&format!("/api/v1/sessions/{id}"))?;
    }
}

fn conclude(remote: &Remote, client: &Client, session: &Value, asked: bool, first: &Value) -> Result<(), Failure> {
    let set = match session["changeset_id"].as_str() {
        Some(changeset_id) => client.fetch(&format!("/api/v1/changesets/{changeset_id}"))?,
        None => Value::Null,
    };
    if !remote.json {
        if !asked {
            show_verdict(session);
        }
        if set.is_null() {
            // A short answer is the first sentence and the last.
            if session["text"] != *first {
                say!("\n{}", session["text"].as_str().unwrap_or_default());
            }
        } else {
            let view = &set["view"];
            say!("\n{}: {}", view["status"].as_str().unwrap_or_default(), view["outcome"].as_str().unwrap_or_default());
            if view["has_receipt"] == json!(true) {
                say!(
                    "receipt: talkwire receipt get {} --server {} --data {}",
                    set["changeset_id"].as_str().unwrap_or_default(),
                    remote.server,
                    remote.data.display()
                );
            }
        }
    }
    finish(remote, session, &set, asked)
}

fn finish(remote: &Remote, session: &Value, set: &Value, applied: bool) -> Result<(), Failure> {
    if remote.json {
        let mut whole = session.clone();
        whole["changeset"] = set.clone();
        say!("{}", serde_json::to_string_pretty(&whole).map_err(anyhow::Error::from)?);
    }
    match session["session"]["status"].as_str() {
        Some("failed" | "timed_out") => Err(Failure::Refused("the diagnosis did not come to an end".into())),
        // What was approved here and not kept is a no, whatever undid it.
        _ if applied && set["status"] != "committed" => Err(Failure::Refused("the change was not kept".into())),
        _ => Ok(()),
    }
}

fn show_steps(session: &Value, shown: &mut BTreeMap<String, String>) {
    for step in session["session"]["steps"].as_array().into_iter().flatten() {
        let text = |name: &str| step[name].as_str().unwrap_or_default();
        let status = text("status");
        let has_ended = matches!(status, "completed" | "failed" | "skipped");
        let (trace_id, summary) = (text("trace_id").to_owned(), text("summary"));
        let line = match status {
            "completed" => summary.to_owned(),
            _ => step["error"]["message"].as_str().unwrap_or_default().to_owned(),
        };
        if !has_ended || shown.contains_key(&trace_id) || (status == "completed" && summary.is_empty() && session["verdict"].is_null()) {
            continue;
        }
        let seconds = step["completed_at"].as_i64().zip(step["started_at"].as_i64()).map_or(0.0, |(end, start)| (end - start) as f64 / 1000.0);
        let mark = match status {
            "completed" => "✓",
            "failed" => "✗",
            _ => "–",
        };
        say!("  {mark} {}  {}  {}  {seconds:.1} s  {line}", text("step_description"), text("tool"), text("device_name"));
        shown.insert(trace_id, line);
    }
}

fn show_verdict(session: &Value) {
    let verdict = &session["verdict"];
    if verdict.is_null() {
        return;
    }
    say!("\n{}", verdict["text"].as_str().unwrap_or_default());
    for (number, evidence) in verdict["evidence"].as_array().into_iter().flatten().enumerate() {
        say!("  ({}) {}", number + 1, evidence["text"].as_str().unwrap_or_default());
    }
    let rivals: Vec<_> = verdict["rivals"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|rival| format!("{} {:.0} %", rival["text"].as_str().unwrap_or_default(), rival["confidence"].as_f64().unwrap_or_default() * 100.0))
        .collect();
    if !rivals.is_empty() {
        say!("  also considered: {}", rivals.join(", "));
    }
}

fn show_card(view: &Value) {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    say!("\nproposed change (risk: {})", text(view, "risk"));
    for operation in view["operations"].as_array().into_iter().flatten() {
        say!("  {} · {}  {} → {}", text(operation, "device_name"), text(operation, "label"), text(operation, "before"), text(operation, "after"));
    }
    for line in ["expect", "impact", "undo"] {
        let line = text(view, line);
        if !line.is_empty() {
            say!("  {line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_approved_and_not_kept_is_a_no_for_scripts() {
        let remote = Remote { server: String::new(), data: "data".into(), token: None, json: false };
        let session = json!({"session": {"status": "completed"}});
        let ends = |status: &str, applied: bool| finish(&remote, &session, &json!({"status": status}), applied).is_ok();
        assert!(ends("committed", true) && ends("proposed", false));
        assert!(!ends("rolled_back", true) && !ends("rollback_failed", true) && !ends("expired", true));
        assert!(finish(&remote, &session, &Value::Null, false).is_ok(), "nothing had to be changed");
    }
}
