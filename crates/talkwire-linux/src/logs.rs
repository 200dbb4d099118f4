//! `system.get_logs`: the last lines of the journal, of `logread`, of the file that a syslog daemon writes, or of the kernel's ring where neither is kept; and of dnsmasq's own file.

mod journal;
mod kernel;
mod syslog;

use crate::machine::Machine;
use crate::names::dnsmasq;
use crate::root::Root;
use crate::text::clean;
use crate::tool::{LinuxTool, cheap};
use crate::{args, cpu, program};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use talkwire_device::{Args, ToolError, ToolSupport};

const OP: &str = "system.get_logs";
/// How long the program may take; less than the 15 s that the catalogue gives the tool.
const TIME: Duration = Duration::from_secs(10);
/// Where syslog daemons write what is not for others.
const FILES: [&str; 2] = ["var/log/messages", "var/log/syslog"];
const LINES: u64 = 200;
const MOST_LINES: u64 = 1000;
const MOST_SINCE_S: u64 = 30 * 86_400;
/// Most bytes of all entries together, so that the answer fits into one message.
const ANSWER_BYTES: usize = 160 * 1024;
const MESSAGE_CHARS: usize = 400;
const SOURCE_CHARS: usize = 48;
/// How bad a line is, by the words of the catalogue.
const LEVELS: [&str; 4] = ["info", "warning", "error", "critical"];

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// Unix milliseconds, when they are known.
    ts_ms: Option<i64>,
    /// The place in [`LEVELS`], when it is known.
    level: Option<usize>,
    source: String,
    message: String,
}

/// What was asked.
#[derive(Debug, Clone, Copy)]
struct Wish {
    lines: u64,
    level: Option<usize>,
    since_s: Option<u64>,
}

/// Who keeps the log.
#[derive(Debug, Clone)]
enum Keeper {
    Journal(PathBuf),
    Logread(PathBuf),
    /// A file that a syslog daemon writes, below the root.
    File(&'static str),
    Ring(PathBuf),
}

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    let Some(keeper) = keeper(&machine.root) else { return LinuxTool::lacking(OP, "no_journal_and_no_dmesg") };
    let mut support = ToolSupport { limitations: [("concurrent_limit".to_owned(), json!(2))].into_iter().collect(), ..cheap(1200) };
    if matches!(keeper, Keeper::Ring(_)) {
        support.limitations.insert("source".into(), json!("kernel_ring"));
    }
    let machine = machine.clone();
    LinuxTool::new(OP, support, move |call| {
        let (machine, keeper) = (machine.clone(), keeper.clone());
        async move { answer(&machine.root, &keeper, wish(&call.args)?).await }
    })
}

/// `journalctl` without files would answer that there are no lines, which sounds as if all were well.
fn keeper(root: &Root) -> Option<Keeper> {
    let kept = ["var/log/journal", "run/log/journal"].into_iter().any(|folder| !root.names(folder).is_empty());
    let journal = root.program("journalctl").filter(|_| kept).map(Keeper::Journal);
    let file = || FILES.into_iter().find(|file| root.path(file).is_file()).map(Keeper::File);
    journal.or_else(|| root.program("logread").map(Keeper::Logread)).or_else(file).or_else(|| root.program("dmesg").map(Keeper::Ring))
}

fn wish(args: &Args) -> Result<Wish, ToolError> {
    Ok(Wish {
        lines: args::whole(args, "limit", 1..=MOST_LINES)?.unwrap_or(LINES),
        level: args::choice(args, "level", &LEVELS)?,
        since_s: args::whole(args, "since_s", 1..=MOST_SINCE_S)?,
    })
}

async fn answer(root: &Root, keeper: &Keeper, wish: Wish) -> Result<Value, ToolError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since_ms = wish.since_s.map_or(i64::MIN, |since_s| now.saturating_sub(Duration::from_secs(since_s)).as_millis() as i64);
    let (mut entries, cut, from) = match keeper {
        Keeper::Journal(program) => {
            let output = program::run(program, &journal::args(wish, now.as_secs()), TIME).await?;
            (journal::parse(&output.text), output.cut, "journal")
        }
        Keeper::Logread(program) => {
            // OpenWrt's can tell the time without the zone; that of BusyBox cannot.
            let output = match program::run(program, &["-t".into()], TIME).await {
                Ok(output) => output,
                Err(_) => program::run(program, &[], TIME).await?,
            };
            let wanted = |entry: &Entry| entry.ts_ms.is_none_or(|ts_ms| ts_ms >= since_ms) && wish.level.is_none_or(|level| entry.level == Some(level));
            (syslog::parse(&output.text).into_iter().filter(wanted).collect(), output.cut, "logread")
        }
        Keeper::File(file) => {
            let (root, file) = (root.clone(), *file);
            let read = move || {
                let written = std::fs::metadata(root.path(file)).and_then(|meta| meta.modified())?;
                let end_ms = written.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
                let text = root.tail(file).ok_or_else(|| std::io::Error::other("it cannot be read"))?;
                std::io::Result::Ok(syslog::parse_file(&text, end_ms))
            };
            let refused = |error: String| {
                ToolError::not_available("log_unreadable", format!("/{file} cannot be read: {error}; let this user read it (on Debian: group adm)"))
            };
            let entries = tokio::task::spawn_blocking(read).await.map_err(|error| refused(error.to_string()))?.map_err(|error| refused(error.to_string()))?;
            let wanted = |entry: &Entry| entry.ts_ms.is_none_or(|ts_ms| ts_ms >= since_ms) && wish.level.is_none_or(|level| entry.level == Some(level));
            (entries.into_iter().filter(wanted).collect(), false, "syslog_file")
        }
        Keeper::Ring(program) => {
            let output = program::run(program, &["-r".into()], TIME).await?;
            let started = root.text("proc/stat").and_then(|text| cpu::parse_boot_time(&text));
            let entries = kernel::parse(&output.text, started);
            let whole_ring = cpu::uptime_s(root).zip(wish.since_s).is_none_or(|(uptime_s, since_s)| uptime_s <= since_s);
            // A line without a time counts only when the whole ring is young enough.
            let wanted = |entry: &Entry| entry.ts_ms.map_or(whole_ring, |ts_ms| ts_ms >= since_ms) && wish.level.is_none_or(|level| entry.level == Some(level));
            (entries.into_iter().filter(wanted).collect(), output.cut, "kernel_ring")
        }
    };
    let own = dnsmasq_file(root, wish, since_ms).await;
    if !own.is_empty() {
        entries.extend(own);
        entries.sort_by_key(|entry| entry.ts_ms);
    }
    let (entries, dropped) = fit(&entries, wish.lines);
    Ok(json!({"total": entries.len(), "entries": entries, "from": from, "truncated": dropped || (cut && (entries.len() as u64) < wish.lines)}))
}

/// The file that dnsmasq keeps itself when it is told to: the other logs know nothing of it then.
async fn dnsmasq_file(root: &Root, wish: Wish, since_ms: i64) -> Vec<Entry> {
    let root = root.clone();
    let read = move || {
        let file = dnsmasq::find(&root)?.log_file?;
        let file = file.trim_start_matches('/');
        let written = std::fs::metadata(root.path(file)).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let entries = syslog::parse_file(&root.tail(file)?, i64::try_from(written.as_millis()).ok()?);
        // How bad a line is does not stand in it.
        let wanted = |entry: &Entry| wish.level.is_none() && entry.ts_ms.is_some_and(|ts_ms| ts_ms >= since_ms);
        Some(entries.into_iter().filter(wanted).collect::<Vec<_>>())
    };
    tokio::task::spawn_blocking(read).await.ok().flatten().unwrap_or_default()
}

/// The newest entries that were asked for and fit into a message, newest last, and whether one had to stay behind.
fn fit(entries: &[Entry], lines: u64) -> (Vec<Value>, bool) {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for entry in entries.iter().rev().take(usize::try_from(lines).unwrap_or(usize::MAX)) {
        let row = row(entry);
        bytes += row.to_string().len() + 1;
        if bytes > ANSWER_BYTES {
            rows.reverse();
            return (rows, true);
        }
        rows.push(row);
    }
    rows.reverse();
    (rows, false)
}

fn row(entry: &Entry) -> Value {
    let mut row = json!({"source": clean(&entry.source, SOURCE_CHARS), "message": clean(&entry.message, MESSAGE_CHARS)});
    if let Some(ts_ms) = entry.ts_ms {
        row["ts"] = json!(ts_ms);
    }
    if let Some(level) = entry.level.and_then(|level| LEVELS.get(level)) {
        row["level"] = json!(level);
    }
    row
}

/// The place in [`LEVELS`] of a priority of syslog, 0 (worst) to 7.
fn level_of(priority: u64) -> Option<usize> {
    match priority {
        0..=2 => Some(3),
        3 => Some(2),
        4 => Some(1),
        5..=7 => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(message: &str) -> Entry {
        Entry { ts_ms: Some(5), level: Some(1), source: "kernel".into(), message: message.into() }
    }

    #[test]
    fn the_newest_lines_stay_when_not_all_fit() {
        let long = "\"".repeat(MESSAGE_CHARS);
        let entries: Vec<Entry> = (0..1000).map(|n| entry(&format!("{n} {long}"))).collect();
        let (rows, dropped) = fit(&entries, 1000);
        assert!(dropped && rows.len() > 100);
        assert!(rows.last().unwrap()["message"].as_str().unwrap().starts_with("999 "));
        assert!(Value::from(rows).to_string().len() <= ANSWER_BYTES + 2);
        let (rows, dropped) = fit(&entries[..5], 2);
        assert_eq!((rows.len(), dropped), (2, false));
    }

    #[test]
    fn what_is_not_known_of_a_line_is_absent() {
        assert_eq!(row(&entry("wan: link is down")), json!({"ts": 5, "level": "warning", "source": "kernel", "message": "wan: link is down"}));
        let bare = Entry { ts_ms: None, level: None, ..entry("x\u{1b}y") };
        assert_eq!(row(&bare), json!({"source": "kernel", "message": "xy"}));
    }
}
