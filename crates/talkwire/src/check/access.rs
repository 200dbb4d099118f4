//! What the broker lets the device's credentials do, or nobody's, tried with connections of the check's own.

use super::evidence::{Access, Evidence};
use super::tap::{PROBE, Tap, let_in, sealed, unix_ms};
use super::target::{Secret, Target};
use serde_json::json;
use std::time::Duration;
use talkwire_link::{Events, Link, LinkEvent, Qos};
use talkwire_proto::DeviceKey;

/// How long a message may take to arrive that must not.
const ARRIVE: Duration = Duration::from_millis(1500);

/// The device's own name and password at the broker.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// What is written where nobody may write: no server can take it for a device's message, so no device comes of it.
const NO_MESSAGE: &str = "talkwire check: tries whether this can be written here; not a device";

/// Tries to come in without a name, with a wrong password, and as the device; as the device, or as nobody where everybody is let in,
/// to write and read where it may not.
pub async fn try_all(evidence: &mut Evidence, target: &Target, tap: &Tap, credentials: Option<&Credentials>, name: &str, other: &DeviceKey) {
    let enter = |username: Option<&str>, password: Option<&str>, part: &str| {
        let mut target = target.clone();
        if username.is_none() {
            // A certificate would say who it is.
            target.identity = None;
        }
        target.username = username.map(str::to_owned);
        target.password = password.map(|text| Secret(text.to_owned()));
        let_in(target.link(&format!("{name}-{part}")))
    };
    evidence.anonymous = Some(leave(enter(None, None, "nobody").await).await);
    let mut access = Access { as_nobody: credentials.is_none(), ..Access::default() };
    let entered = match credentials {
        Some(credentials) => {
            evidence.wrong_password = Some(leave(enter(Some(&credentials.username), Some("talkwire-check: a wrong password"), "wrong").await).await);
            enter(Some(&credentials.username), Some(&credentials.password.0), "device").await
        }
        None if evidence.anonymous == Some(Ok(())) => enter(None, None, "somebody").await,
        None => return,
    };
    match entered {
        Err(why) => access.login = Some(Err(why)),
        Ok((link, mut events)) => {
            access.login = Some(Ok(()));
            link.subscribe(format!("rtk/v1/{other}/cmd/req"), Qos::AtLeastOnce);
            let foreign = [format!("rtk/v1/{other}/telemetry/{PROBE}"), format!("rtk/v1/{other}/evt/{PROBE}"), format!("rtk/v1/{other}/cmd/res")];
            for topic in &foreign {
                say(&link, topic, NO_MESSAGE.into()).await;
            }
            let own = format!("rtk/v1/{}/telemetry/{PROBE}", evidence.key);
            if credentials.is_some() {
                let sample = json!({"schema": format!("telemetry.{PROBE}/1.0"), "ts": unix_ms(), "value": 1, "unit": "count"}).to_string();
                let token = tap.fernet().and_then(|key| sealed(key, &sample, Duration::ZERO).ok());
                say(&link, &own, token.unwrap_or(sample)).await;
            }
            let taken = tap.command_other(other).await;
            let heard = tokio::time::timeout(ARRIVE, async {
                loop {
                    match events.next().await {
                        Some(LinkEvent::Message(message)) if message.topic == format!("rtk/v1/{other}/cmd/req") => return true,
                        Some(_) => {}
                        None => return false,
                    }
                }
            });
            let heard = heard.await.unwrap_or(false);
            access.foreign_read = taken.then_some(heard);
            let arrived = tap.other_topics();
            // Without a sign that its own messages arrive, silence proves nothing.
            access.own_arrived = arrived.contains(&own);
            access.foreign_arrived = foreign.into_iter().filter(|topic| arrived.contains(topic)).collect();
            link.close(Duration::from_secs(1)).await;
        }
    }
    evidence.access = Some(access);
}

/// A refusal is as good as silence; what counts is what arrives.
async fn say(link: &Link, topic: &str, payload: String) {
    let _ = tokio::time::timeout(ARRIVE, link.publish(topic.to_owned(), payload, Qos::AtLeastOnce, false)).await;
}

async fn leave(entered: Result<(Link, Events), String>) -> Result<(), String> {
    let (link, _events) = entered?;
    link.close(Duration::from_secs(1)).await;
    Ok(())
}
