//! S01–S05: encryption, authentication, secrets, access.

use super::{failed, no_proxy, none_wrong, passed, skipped, some};
use crate::check::evidence::{Access, Evidence};
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
        None if evidence.broker_tls && evidence.proxy.is_none() => no_proxy(evidence),
        None => no_proxy(evidence),
    }
}

/// S02.
pub fn authentication(evidence: &Evidence) -> Verdict {
    if let Some(Err(why)) = evidence.access.as_ref().and_then(|access| access.login.clone()) {
        return failed(format!("the broker does not let the device's credentials in: {why}"));
    }
    match (&evidence.wrong_password, &evidence.anonymous) {
        (Some(Ok(())), _) => failed("the broker lets the device's name in with a wrong password"),
        (Some(Err(_)), Some(Ok(()))) => failed("the broker lets clients in that do not say who they are"),
        (Some(Err(why)), _) => passed(format!("a wrong password is refused ({why}), so is no name at all")),
        (None, _) => skipped("needs the device's credentials: add --device-username NAME --device-password PASSWORD"),
    }
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
        None => skipped("needs the device's credentials: add --device-username NAME --device-password PASSWORD"),
        Some(access) => match &access.login {
            Some(Ok(())) => rule(access),
            Some(Err(why)) => skipped(format!("the broker does not let the device's credentials in: {why}")),
            None => skipped("the device's credentials were not tried"),
        },
    }
}

/// S04.
pub fn write_other(evidence: &Evidence) -> Verdict {
    with_access(evidence, |access| {
        if !access.foreign_arrived.is_empty() {
            return failed(format!("it could write: {}", some(&access.foreign_arrived)));
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
        Some(true) => failed("it received a command that was sent to another device"),
        Some(false) => passed("a command to another device did not reach it"),
        None => skipped("this check's account may not publish a command to another device, so nothing could be seen"),
    })
}
