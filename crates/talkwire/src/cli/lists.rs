//! Lists and single things, as tables for people and JSON for programs.

use super::client::Client;
use super::say::say;
use super::{Failure, Remote};
use clap::Subcommand;
use serde_json::{Value, json};

/// What can be done with change sets.
#[derive(Debug, Clone, Subcommand)]
pub enum ChangesetCommand {
    /// Show one.
    Show {
        /// Which one.
        id: String,
    },
    /// Say yes to exactly what is proposed.
    Approve {
        /// Which one.
        id: String,
        /// The plan's hash that you saw [default: that of the proposal as it stands].
        #[arg(long)]
        plan_hash: Option<String>,
    },
    /// Say no.
    Reject {
        /// Which one.
        id: String,
    },
    /// Put everything back.
    Rollback {
        /// Which one.
        id: String,
    },
    /// End one that could not be undone, after you saw to its devices by hand; its devices are free again.
    Settle {
        /// Which one.
        id: String,
    },
}

fn text(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Columns as wide as their widest cell; a Chinese character counts as two.
fn table(heads: &[&str], rows: &[Vec<String>]) {
    let width = |cell: &str| cell.chars().map(|c| if c as u32 >= 0x1100 { 2 } else { 1 }).sum::<usize>();
    let widths: Vec<usize> = (0..heads.len()).map(|at| rows.iter().map(|row| width(&row[at])).chain([width(heads[at])]).max().unwrap_or(0)).collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<_> = cells.iter().enumerate().map(|(at, cell)| format!("{cell}{}", " ".repeat(widths[at] - width(cell)))).collect();
        say!("{}", padded.join("  ").trim_end());
    };
    line(heads.to_vec());
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
}

fn print(value: &Value) -> Result<(), Failure> {
    say!("{}", serde_json::to_string_pretty(value).map_err(anyhow::Error::from)?);
    Ok(())
}

/// All pages of a list, as one.
fn all(client: &Client, path: &str) -> Result<Value, Failure> {
    let mut items = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let more = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let page = client.fetch(&format!("{path}?limit=200{more}"))?;
        items.extend(page["items"].as_array().cloned().unwrap_or_default());
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() || items.len() >= 2_000 {
            return Ok(json!({"items": items, "next": after}));
        }
    }
}

fn ago(ms: &Value) -> String {
    let Some(ms) = ms.as_i64() else { return String::new() };
    let now = crate::clock::Clock::start().now_ms();
    match (now - ms).max(0) / 1000 {
        seconds if seconds < 90 => format!("{seconds} s ago"),
        seconds if seconds < 5_400 => format!("{} min ago", seconds / 60),
        seconds if seconds < 129_600 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} d ago", seconds / 86_400),
    }
}

/// `talkwire devices`
pub fn devices(remote: &Remote, one: Option<&str>) -> Result<(), Failure> {
    let client = Client::new(remote);
    if let Some(name) = one {
        if name.split('/').count() != 3 || name.contains(['?', '#', ' ']) {
            return Err(Failure::Refused(format!("{name:?} is not a device; name it as `talkwire devices` shows it, tenant/site/device_id")));
        }
        return print(&client.fetch(&format!("/api/v1/devices/{name}"))?);
    }
    let list = all(&client, "/api/v1/devices")?;
    if remote.json {
        return print(&list);
    }
    let rows = list["items"].as_array().into_iter().flatten().map(|device| {
        let lamp = if device["online"] == json!(true) { "● online" } else { "○ offline" };
        vec![
            lamp.into(),
            text(device, "name"),
            text(device, "device_type"),
            format!("{}/{}/{}", text(device, "tenant"), text(device, "site"), text(device, "device_id")),
            text(device, "health"),
            ago(&device["last_seen_ms"]),
        ]
    });
    table(&["state", "name", "type", "device", "health", "last seen"], &rows.collect::<Vec<_>>());
    Ok(())
}

/// `talkwire sessions`
pub fn sessions(remote: &Remote, one: Option<&str>) -> Result<(), Failure> {
    let client = Client::new(remote);
    if let Some(id) = one {
        return print(&client.fetch(&format!("/api/v1/sessions/{id}"))?);
    }
    let list = all(&client, "/api/v1/sessions")?;
    if remote.json {
        return print(&list);
    }
    let rows = list["items"].as_array().into_iter().flatten().map(|session| {
        let verdict = &session["verdict"];
        let cause = if verdict["cause"].is_null() { text(verdict, "kind") } else { text(verdict, "cause") };
        vec![
            text(session, "session_id"),
            ago(&session["session"]["created_at"]),
            text(&session["session"], "status"),
            text(&session["intent"], "intent"),
            cause,
            text(&session["session"], "user_request").chars().take(40).collect(),
        ]
    });
    table(&["session", "opened", "status", "intent", "verdict", "request"], &rows.collect::<Vec<_>>());
    Ok(())
}

/// `talkwire changesets`
pub fn changesets(remote: &Remote, command: Option<ChangesetCommand>) -> Result<(), Failure> {
    let client = Client::new(remote);
    let set = match command {
        None => {
            let list = all(&client, "/api/v1/changesets")?;
            if remote.json {
                return print(&list);
            }
            let rows =
                list["items"].as_array().into_iter().flatten().map(|set| {
                    vec![text(set, "changeset_id"), ago(&set["created_ms"]), text(set, "status"), text(set, "title"), text(&set["view"], "outcome")]
                });
            table(&["change set", "proposed", "status", "what", "outcome"], &rows.collect::<Vec<_>>());
            return Ok(());
        }
        Some(ChangesetCommand::Show { id }) => client.fetch(&format!("/api/v1/changesets/{id}"))?,
        Some(ChangesetCommand::Approve { id, plan_hash }) => {
            let hash = match plan_hash {
                Some(hash) => hash,
                None => text(&client.fetch(&format!("/api/v1/changesets/{id}"))?, "plan_hash"),
            };
            client.send(&format!("/api/v1/changesets/{id}/approve"), &json!({"plan_hash": hash}))?
        }
        Some(ChangesetCommand::Reject { id }) => client.send(&format!("/api/v1/changesets/{id}/reject"), &json!({}))?,
        Some(ChangesetCommand::Rollback { id }) => client.send(&format!("/api/v1/changesets/{id}/rollback"), &json!({}))?,
        Some(ChangesetCommand::Settle { id }) => client.send(&format!("/api/v1/changesets/{id}/settle"), &json!({}))?,
    };
    if remote.json {
        return print(&set);
    }
    say!("{}  {}\n{}", text(&set, "changeset_id"), text(&set, "status"), text(&set, "title"));
    for operation in set["view"]["operations"].as_array().into_iter().flatten() {
        say!("  {} · {}  {} → {}", text(operation, "device_name"), text(operation, "label"), text(operation, "before"), text(operation, "after"));
    }
    let outcome = text(&set["view"], "outcome");
    if !outcome.is_empty() {
        say!("  {outcome}");
    }
    for line in set["history"].as_array().into_iter().flatten() {
        say!("  {:<16} {}  {}", text(line, "state"), ago(&line["at_ms"]), text(line, "why"));
    }
    Ok(())
}
