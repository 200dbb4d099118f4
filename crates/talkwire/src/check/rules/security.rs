//! S01–S07: encryption, authentication, secrets, access, trust, sealed payloads.

use super::{failed, no_proxy, none_wrong, passed, skipped, some};
use crate::check::evidence::{Access, Evidence, Purpose, Stranger};
use crate::check::report::Verdict;
use serde_json::Value;

/// Fields whose text is a secret.
const SECRETS: [&str; 12] =
    ["password", "passwd", "passphrase", "psk", "wpa_key", "private_key", "secret", "client_secret", "token", "access_token", "api_key", "wifi_password"];

/// S01.
pub fn tls(evidence: &Evidence) -> Verdict {
    match evidence.came_encrypted {
        Some(true) => passed("the device's connection begins with a TLS handshake"),
        Some(false) if evidence.require_tls => failed("the device connects without TLS"),
        Some(false) => skipped("the device connects without TLS; that is for a network of its own only: judge it with --require-tls"),
        None => no_proxy(evidence),
    }
}

/// S02.
pub fn authentication(evidence: &Evidence) -> Verdict {
    match (&evidence.wrong_password, &evidence.anonymous) {
        (Some(Ok(())), _) => failed("the broker lets the device's name in with a wrong password"),
        (_, Some(Ok(()))) => failed("the broker lets clients in that do not say who they are"),
        (Some(Err(why)), _) => match evidence.login_refused() {
            Some(refused) => wrong_credentials(refused),
            None => passed(format!("a wrong password is refused ({why}), so is no name at all")),
        },
        (None, Some(Err(why))) => skipped(format!("a client without a name is refused ({why}); whether a wrong password is too {CREDENTIALS}")),
        (None, None) => not_tried(evidence),
    }
}

const CREDENTIALS: &str = "needs the device's credentials: add --device-username NAME --device-password PASSWORD";

fn not_tried(evidence: &Evidence) -> Verdict {
    if evidence.open_broker { skipped(format!("left out by --open-broker; it {CREDENTIALS}")) } else { skipped(CREDENTIALS) }
}

fn wrong_credentials(why: &str) -> Verdict {
    skipped(format!("the broker refused --device-username and --device-password ({why}): give those with which the device itself connects"))
}

fn search(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let here = format!("{path}.{name}");
                let lower = name.to_ascii_lowercase();
                match inner {
                    Value::String(text) if SECRETS.contains(&lower.as_str()) && !is_masked(text) => found.push(format!("{here} is said in the clear")),
                    _ => search(inner, &here, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| search(inner, path, found)),
        _ => {}
    }
}

/// Nothing, stars, or a word that stands for it.
fn is_masked(text: &str) -> bool {
    let text = text.trim();
    text.is_empty()
        || text.chars().all(|c| matches!(c, '*' | '•' | 'x' | 'X' | '-' | '.' | '…'))
        || ["redacted", "hidden", "[redacted]", "<hidden>", "masked"].contains(&text.to_ascii_lowercase().as_str())
}

/// S03.
pub fn secrets(evidence: &Evidence) -> Verdict {
    let mut found = Vec::new();
    let mut count = 0;
    for heard in &evidence.heard {
        if let Some(envelope) = heard.envelope() {
            count += 1;
            search(&envelope.raw, &heard.tail, &mut found);
        }
    }
    if count == 0 { skipped("nothing could be read") } else { none_wrong(&found, format!("{count} messages, none with a password, key or token")) }
}

fn with_access(evidence: &Evidence, rule: impl FnOnce(&Access) -> Verdict) -> Verdict {
    match &evidence.access {
        None => not_tried(evidence),
        Some(access) => match &access.login {
            Some(Ok(())) => rule(access),
            Some(Err(why)) if access.as_nobody => skipped(format!("the broker let a client without a name in once, then not: {why}")),
            Some(Err(why)) => wrong_credentials(why),
            None => skipped("the device's credentials were not tried"),
        },
    }
}

/// S04.
pub fn write_other(evidence: &Evidence) -> Verdict {
    with_access(evidence, |access| {
        if !access.foreign_arrived.is_empty() {
            let who = if access.as_nobody { "anybody, without a name," } else { "it" };
            return failed(format!("{who} could write: {}", some(&access.foreign_arrived)));
        }
        if access.as_nobody {
            return skipped(format!("a client without a name could not write there; whether the device can {CREDENTIALS}"));
        }
        if !access.own_arrived {
            return skipped(
                "nothing of it arrived, in its own tree neither, so silence elsewhere proves nothing: does this check's account see the device's tree?",
            );
        }
        passed("its own tree is open to it, another device's state, telemetry and commands are not")
    })
}

/// S05.
pub fn read_other(evidence: &Evidence) -> Verdict {
    with_access(evidence, |access| match access.foreign_read {
        Some(true) if access.as_nobody => failed("anybody, without a name, receives the commands that are sent to another device"),
        Some(true) => failed("it received a command that was sent to another device"),
        Some(false) if access.as_nobody => skipped(format!("a client without a name could not read it; whether the device can {CREDENTIALS}")),
        Some(false) => passed("a command to another device did not reach it"),
        None => skipped("this check's account may not publish a command to another device, so nothing could be seen"),
    })
}

/// S06.
pub fn stranger(evidence: &Evidence) -> Verdict {
    match (&evidence.stranger, evidence.came_encrypted) {
        (Some(Stranger::Trusted { named }), _) => {
            let what = if *named { "its name and password" } else { "its CONNECT" };
            failed(format!("it gave {what} to a stranger who stood in the broker's place with a certificate of his own"))
        }
        (Some(Stranger::Refused(how)), _) => passed(format!("a stranger in the broker's place got nothing: {how}")),
        (Some(Stranger::Unclear(why)), _) => skipped(format!("the handshake with a stranger ended before he could show his certificate: {why}")),
        (None, Some(true)) => skipped("the device did not try to come back while it was cut off; a longer outage shows it"),
        (None, Some(false)) => skipped("the device connects without TLS (see S01)"),
        (None, None) => no_proxy(evidence),
    }
}

/// S07.
pub fn sealed(evidence: &Evidence) -> Verdict {
    if !evidence.keyed {
        return skipped("only for devices that encrypt their payloads: give the device's key with --fernet-key-file FILE");
    }
    let clear = evidence.heard.iter().filter(|heard| !heard.sealed);
    let mut wrong: Vec<String> = clear.map(|heard| format!("{}: {}", heard.tail, heard.read.as_ref().err().cloned().unwrap_or_default())).collect();
    let mut seen = 0;
    for (purpose, how) in [
        (Purpose::Clear, "a command in clear"),
        (Purpose::Forged, "a command that was sealed with another key"),
        (Purpose::Stale, "a command that was sealed ten minutes ago"),
    ] {
        let Some(exchange) = evidence.exchange(purpose).filter(|exchange| exchange.sent.refused.is_none()) else { continue };
        seen += 1;
        if !exchange.acks.is_empty() || !exchange.answers.is_empty() {
            wrong.push(format!("it took {how}"));
        }
    }
    let count = evidence.heard.len();
    if wrong.is_empty() && (count == 0 || seen == 0) {
        return skipped(format!("{count} messages were sealed, but no command that must be refused reached the device"));
    }
    none_wrong(&wrong, format!("{count} messages, all sealed; {seen} commands that its key does not open, or not any more, were not taken"))
}
