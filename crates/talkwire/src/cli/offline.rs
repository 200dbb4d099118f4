//! Receipts and the audit: fetched from a server, and checked without one.

use super::client::Client;
use super::say::say;
use super::{Failure, Remote};
use anyhow::Context;
use clap::Subcommand;
use ed25519_dalek::VerifyingKey;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use talkwire_core::audit::{self, AuditHead, from_hex};
use talkwire_core::receipt as proof;
use talkwire_store::Reader;

/// What can be done with receipts.
#[derive(Debug, Clone, Subcommand)]
pub enum ReceiptCommand {
    /// Fetch the receipt of a change set.
    Get {
        #[command(flatten)]
        remote: Remote,
        /// The change set.
        id: String,
    },
    /// Check a receipt offline: exit code 0 when it is genuine, 1 when not.
    Verify {
        /// The receipt.
        file: PathBuf,
        /// File of the server's public key (`signing.pub`); without it the receipt is checked against the key it names.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
}

/// What can be done with the audit.
#[derive(Debug, Clone, Subcommand)]
pub enum AuditCommand {
    /// The newest rows, from the server.
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Check the chains of a data folder offline: exit code 0 when whole, 1 when not.
    Verify {
        /// The data folder.
        #[arg(long, value_name = "DIR", env = "TALKWIRE_DATA", default_value = "talkwire-data")]
        data: PathBuf,
        /// File of the public key [default: signing.pub in the data folder].
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
}

/// `talkwire receipt`
pub fn receipt(command: ReceiptCommand) -> Result<(), Failure> {
    match command {
        ReceiptCommand::Get { remote, id } => {
            let receipt = Client::new(&remote).fetch(&format!("/api/v1/receipts/{id}"))?;
            say!("{}", serde_json::to_string_pretty(&receipt).map_err(anyhow::Error::from)?);
            Ok(())
        }
        ReceiptCommand::Verify { file, key, json } => {
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let receipt: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
            let trusted = key.as_deref().map(read_key).transpose()?;
            let found = proof::verify(&receipt, trusted.as_deref());
            if json {
                say!("{}", json!({"valid": found.is_ok(), "key_id": found.as_ref().ok(), "reason": found.as_ref().err().map(ToString::to_string)}));
            }
            match found {
                Ok(_) if json => Ok(()),
                Ok(key_id) => {
                    let known = if trusted.is_some() { "the given key" } else { "the key that it names; give --key to be sure whose it is" };
                    say!(
                        "genuine: signed by {key_id} ({known})\n{}  {}",
                        receipt["outcome"]["status"].as_str().unwrap_or_default(),
                        receipt["plan"]["title"].as_str().unwrap_or_default()
                    );
                    Ok(())
                }
                Err(why) => Err(Failure::Refused(format!("E_NOT_GENUINE: {why}"))),
            }
        }
    }
}

/// The signed heads that the server wrote beside the database.
fn read_heads(path: &Path) -> anyhow::Result<Vec<AuditHead>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // The last line may be torn by a power cut.
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn read_key(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the key {}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// `talkwire audit`
pub fn audit(command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::List { remote } => {
            let found = Client::new(&remote).fetch("/api/v1/audit?limit=50")?;
            if remote.json {
                say!("{}", serde_json::to_string_pretty(&found).map_err(anyhow::Error::from)?);
                return Ok(());
            }
            for row in found["items"].as_array().into_iter().flatten() {
                let text = |name: &str| row[name].as_str().unwrap_or_default();
                say!(
                    "{:>6}  {}  {:<28} {:<32} {}",
                    row["n"],
                    talkwire_proto::envelope::iso_text(row["ts_ms"].as_i64().unwrap_or_default(), 0),
                    text("actor"),
                    text("action"),
                    text("subject")
                );
            }
            Ok(())
        }
        AuditCommand::Verify { data, key, json } => verify(&data, key, json),
    }
}

fn verify(data: &Path, key: Option<PathBuf>, json: bool) -> Result<(), Failure> {
    let path = key.unwrap_or_else(|| data.join("signing.pub"));
    let bytes: [u8; 32] =
        from_hex(&read_key(&path)?).and_then(|bytes| bytes.try_into().ok()).with_context(|| format!("{} is not a public key", path.display()))?;
    let key = VerifyingKey::from_bytes(&bytes).with_context(|| format!("{} is not a public key", path.display()))?;
    let reader = Reader::open(data).map_err(anyhow::Error::from)?;
    let exported = read_heads(&data.join(crate::hub::HEADS))?;
    let mut broken = Vec::new();
    let mut chains = Vec::new();
    // A tenant whose rows are all gone is known by the heads that were signed.
    let mut tenants: BTreeSet<_> = reader.tenants().map_err(anyhow::Error::from)?.into_iter().collect();
    tenants.extend(exported.iter().map(|head| head.tenant.clone()));
    for tenant in tenants {
        let mut rows = Vec::new();
        loop {
            let from = rows.last().map_or(0, |row: &audit::AuditRow| row.n + 1);
            let more = reader.audit_rows_from(&tenant, from, 10_000).map_err(anyhow::Error::from)?;
            if more.is_empty() {
                break;
            }
            rows.extend(more);
        }
        // The heads beside the database are there to tell when rows, or the database's own heads, were taken away.
        let mut heads = reader.audit_heads(&tenant).map_err(anyhow::Error::from)?;
        let known: BTreeSet<_> = heads.iter().map(|head| head.n).collect();
        let cut_before = rows.first().map_or(0, |row| row.n.saturating_sub(1));
        heads.extend(exported.iter().filter(|head| head.tenant == tenant && head.n >= cut_before && !known.contains(&head.n)).cloned());
        let finding = audit::verify_kept(&rows, &heads, &key);
        if !json {
            let state = finding.fault.clone().unwrap_or_else(|| "whole".into());
            say!("{tenant}: {} rows, {} signed heads: {state}", finding.checked, heads.len());
        }
        broken.extend(finding.fault.clone().map(|fault| format!("{tenant}: {fault}")));
        chains.push(json!({"tenant": tenant, "checked": finding.checked, "heads": heads.len(), "fault": finding.fault}));
    }
    if json {
        say!("{}", json!({"ok": broken.is_empty(), "chains": chains}));
    }
    if broken.is_empty() { Ok(()) } else { Err(Failure::Refused(format!("E_NOT_GENUINE: {}", broken.join("; ")))) }
}
