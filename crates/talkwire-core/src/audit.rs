//! The audit: append-only rows, chained by SHA-256 per tenant, with signed heads (`DESIGN.md` §5).

use crate::ids::{canonical_json, sha256_hex};
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A head is signed after so many rows…
pub const HEAD_ROWS: u64 = 1_000;
/// …or after this time, in milliseconds.
pub const HEAD_MS: i64 = 60_000;
/// The hash before the first row.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One row, written before the act that it speaks of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRow {
    /// From 1, without gaps, per tenant.
    pub n: u64,
    /// Unix milliseconds.
    pub ts_ms: i64,
    /// Whose chain.
    pub tenant: String,
    /// Who acted.
    pub actor: String,
    /// What was done, for example `changeset.approved`.
    pub action: String,
    /// On what.
    pub subject: String,
    /// Particulars, without secrets.
    pub detail: Value,
    /// Hash of the row before.
    pub prev_hash: String,
    /// Hash of this row.
    pub hash: String,
}

impl AuditRow {
    fn hash_of(&self) -> String {
        let content = json!({"n": self.n, "ts_ms": self.ts_ms, "tenant": self.tenant, "actor": self.actor, "action": self.action, "subject": self.subject, "detail": self.detail, "prev_hash": self.prev_hash});
        sha256_hex(canonical_json(&content).as_bytes())
    }
}

/// A signed statement that a chain reached a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Whose chain.
    pub tenant: String,
    /// The row reached.
    pub n: u64,
    /// Its hash.
    pub hash: String,
    /// When it was signed, in Unix milliseconds.
    pub ts_ms: i64,
    /// Ed25519 over tenant, row, hash and time, as lower-case hex.
    pub signature: String,
}

impl AuditHead {
    fn message(&self) -> String {
        canonical_json(&json!({"tenant": self.tenant, "n": self.n, "hash": self.hash, "ts_ms": self.ts_ms}))
    }
}

/// The ends of all chains.
#[derive(Debug, Clone, Default)]
pub struct Chains {
    ends: BTreeMap<String, End>,
}

#[derive(Debug, Clone)]
struct End {
    n: u64,
    hash: String,
    head_n: u64,
    head_ms: i64,
}

impl Chains {
    /// Takes up a chain where the store left it.
    pub fn resume(&mut self, tenant: &str, n: u64, hash: String, head_n: u64) {
        self.ends.insert(tenant.into(), End { n, hash, head_n, head_ms: 0 });
    }

    /// The next row of a tenant's chain.
    pub fn append(&mut self, now_ms: i64, tenant: &str, actor: &str, action: &str, subject: &str, detail: Value) -> AuditRow {
        let end = self.ends.entry(tenant.into()).or_insert_with(|| End { n: 0, hash: GENESIS.into(), head_n: 0, head_ms: now_ms });
        let mut row = AuditRow {
            n: end.n + 1,
            ts_ms: now_ms,
            tenant: tenant.into(),
            actor: actor.into(),
            action: action.into(),
            subject: subject.into(),
            detail,
            prev_hash: end.hash.clone(),
            hash: String::new(),
        };
        row.hash = row.hash_of();
        end.n = row.n;
        end.hash.clone_from(&row.hash);
        row
    }

    /// Heads that are due: a thousand rows or a minute after the last.
    pub fn due_heads(&mut self, now_ms: i64, key: &SigningKey, all: bool) -> Vec<AuditHead> {
        let due = self.ends.iter_mut().filter(|(_, end)| end.n > end.head_n && (all || end.n - end.head_n >= HEAD_ROWS || now_ms - end.head_ms >= HEAD_MS));
        due.map(|(tenant, end)| {
            let mut head = AuditHead { tenant: tenant.clone(), n: end.n, hash: end.hash.clone(), ts_ms: now_ms, signature: String::new() };
            head.signature = to_hex(&key.sign(head.message().as_bytes()).to_bytes());
            (end.head_n, end.head_ms) = (end.n, now_ms);
            head
        })
        .collect()
    }

    /// When the next head is due, in Unix milliseconds.
    pub fn next_head_ms(&self) -> Option<i64> {
        let due = |end: &End| if end.n - end.head_n >= HEAD_ROWS { end.head_ms } else { end.head_ms + HEAD_MS };
        self.ends.values().filter(|end| end.n > end.head_n).map(due).min()
    }
}

/// What a check of a chain found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Row numbers checked.
    pub checked: u64,
    /// The first thing that is wrong, in words; `None`: the chain is whole.
    pub fault: Option<String>,
}

/// Checks rows (of one tenant, in order) and the heads that were signed over them.
///
/// `first_prev` is the hash before the first row: [`GENESIS`], or that of a signed checkpoint at which older rows were cut.
pub fn verify(rows: &[AuditRow], heads: &[AuditHead], key: &VerifyingKey, first_prev: &str) -> Finding {
    let fault = |checked: usize, text: String| Finding { checked: checked as u64, fault: Some(text) };
    let mut prev = first_prev.to_owned();
    let first_n = rows.first().map_or(1, |row| row.n);
    for (at, row) in rows.iter().enumerate() {
        if row.n != first_n + at as u64 {
            return fault(at, format!("row {} is missing: row {} follows", first_n + at as u64, row.n));
        }
        if row.prev_hash != prev {
            return fault(at, format!("row {} does not continue row {}", row.n, row.n.saturating_sub(1)));
        }
        if row.hash != row.hash_of() {
            return fault(at, format!("row {} was changed after it was written", row.n));
        }
        prev.clone_from(&row.hash);
    }
    for head in heads {
        let genuine = from_hex(&head.signature)
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .is_some_and(|signature| key.verify(head.message().as_bytes(), &signature).is_ok());
        if !genuine {
            return fault(rows.len(), format!("the head at row {} is not signed by this server's key", head.n));
        }
        if head.n < first_n {
            continue;
        }
        match rows.get((head.n - first_n) as usize) {
            None => return fault(rows.len(), format!("rows after {} are missing: a head was signed at row {}", rows.last().map_or(0, |row| row.n), head.n)),
            Some(row) if row.hash != head.hash => return fault(rows.len(), format!("row {} is not the one that a head was signed over", head.n)),
            Some(_) => {}
        }
    }
    Finding { checked: rows.len() as u64, fault: None }
}

/// Checks a chain as it is kept: from its first row, or from the signed checkpoint at which older rows were cut.
pub fn verify_kept(rows: &[AuditRow], heads: &[AuditHead], key: &VerifyingKey) -> Finding {
    match rows.first() {
        Some(first) if first.n > 1 => match heads.iter().find(|head| head.n + 1 == first.n) {
            Some(checkpoint) => verify(rows, heads, key, &checkpoint.hash),
            None => Finding { checked: 0, fault: Some(format!("rows before {} are missing, and no signed checkpoint says that they were cut", first.n)) },
        },
        _ => verify(rows, heads, key, GENESIS),
    }
}

/// The newest signed head with at least `rows` rows after it, up to row `newest`: a check of the newest part begins there, because what
/// stands before was signed once and cannot be checked again at every look. `None`: the chain is short, check all of it.
pub fn head_before(heads: &[AuditHead], newest: u64, rows: u64) -> Option<usize> {
    heads.iter().rposition(|head| head.n.saturating_add(rows) <= newest)
}

/// Lower-case hex of bytes.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of a hex text.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let even = text.len().is_multiple_of(2) && text.is_ascii();
    even.then(|| (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain(rows: usize) -> (Vec<AuditRow>, Vec<AuditHead>, SigningKey) {
        let key = SigningKey::from_bytes(&[3; 32]);
        let mut chains = Chains::default();
        let rows: Vec<_> = (0..rows).map(|at| chains.append(at as i64, "home", "person:ann", "test", &format!("thing {at}"), json!({"at": at}))).collect();
        let heads = chains.due_heads(1_000_000, &key, true);
        (rows, heads, key)
    }

    #[test]
    fn a_chain_as_written_is_whole() {
        let (rows, heads, key) = chain(20);
        assert_eq!(verify(&rows, &heads, &key.verifying_key(), GENESIS), Finding { checked: 20, fault: None });
    }

    #[test]
    fn the_newest_part_of_a_long_chain_is_checked_from_a_signed_head_on() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let (mut chains, mut rows, mut heads) = (Chains::default(), Vec::new(), Vec::new());
        for at in 0..100 {
            rows.push(chains.append(at, "home", "person:ann", "test", "thing", json!({})));
            if at % 10 == 9 {
                heads.extend(chains.due_heads(1_000_000 + at, &key, true));
            }
        }
        assert_eq!(head_before(&heads, 100, 1_000), None);
        let from = head_before(&heads, 100, 25).unwrap();
        assert_eq!(heads[from].n, 70);
        let part = |rows: &[AuditRow]| verify_kept(rows, &heads[from..], &key.verifying_key());
        assert_eq!(part(&rows[70..]), Finding { checked: 30, fault: None });
        assert!(part(&rows[70..99]).fault.is_some(), "a missing end is still found");
        assert!(part(&rows[71..]).fault.is_some(), "so is a missing beginning");
    }

    #[test]
    fn a_chain_rebuilt_from_scratch_does_not_match_the_signed_head() {
        let (_, heads, key) = chain(20);
        let mut forged = Chains::default();
        let rows: Vec<_> = (0..20).map(|at| forged.append(at, "home", "person:eve", "test", "thing", json!({}))).collect();
        assert!(verify(&rows, &heads, &key.verifying_key(), GENESIS).fault.is_some());
    }

    #[test]
    fn rows_may_be_cut_only_at_a_signed_checkpoint() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let mut chains = Chains::default();
        let mut write = |from: i64, to: i64| (from..to).map(|at| chains.append(at, "home", "person:ann", "test", "thing", json!({}))).collect::<Vec<_>>();
        let old = write(0, 10);
        let new = write(10, 20);
        let mut before = Chains::default();
        for at in 0..10 {
            before.append(at, "home", "person:ann", "test", "thing", json!({}));
        }
        let heads = before.due_heads(5, &key, true);
        assert_eq!(heads[0].hash, old[9].hash);
        assert_eq!(verify_kept(&new, &heads, &key.verifying_key()).fault, None);
        assert!(verify_kept(&new[1..], &heads, &key.verifying_key()).fault.is_some());
        assert!(verify_kept(&new, &[], &key.verifying_key()).fault.is_some());
    }

    proptest! {
        #[test]
        fn every_edit_of_a_chain_is_found(at in 0usize..20, edit in 0u8..7) {
            let (mut rows, heads, key) = chain(20);
            match edit {
                0 => rows[at].actor = "person:eve".into(),
                1 => rows[at].ts_ms += 1,
                2 => rows[at].detail = json!({"at": "other"}),
                3 => { rows.remove(at); }
                4 => rows.swap(at, (at + 1) % 20),
                5 => rows.truncate(at),
                _ => { let row = rows[at].clone(); rows.insert(at, row); }
            }
            prop_assert!(verify(&rows, &heads, &key.verifying_key(), GENESIS).fault.is_some());
        }
    }
}
