//! The course of a check: connect, wait for the device, ask it, watch it, cut it off, judge nothing yet.

use super::access::{self, Credentials};
use super::ask;
use super::evidence::{Cut, Evidence, Purpose};
use super::heard::{Ear, Heard};
use super::proxy::{Mode, Proxy};
use super::tap::{PREFIX, Tap, let_in, unix_ms};
use super::target::Target;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use talkwire_link::{LinkEvent, Qos};
use talkwire_proto::inbound::DeviceBody;
use talkwire_proto::lwt::Presence;
use talkwire_proto::{DeviceKey, FernetKey};

/// How a check is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// The device.
    pub key: DeviceKey,
    /// The broker.
    pub target: Target,
    /// Where the device connects through, to be cut off.
    pub proxy: Option<SocketAddr>,
    /// The harmless op, when it is not `device.status`.
    pub command: Option<String>,
    /// An op that makes the device send an event.
    pub event_op: Option<String>,
    /// How long the device is watched at most; less when everything was seen.
    pub watch: Duration,
    /// How long it is watched at least, when everything was seen before.
    pub watch_least: Duration,
    /// How long the device may take to appear.
    pub patience: Duration,
    /// How long the outage is.
    pub outage: Duration,
    /// How long the device may take to come back.
    pub back_within: Duration,
    /// How often the harmless command is asked.
    pub rounds: usize,
    /// The device's own credentials.
    pub credentials: Option<Credentials>,
    /// Whether a device without TLS fails.
    pub require_tls: bool,
    /// Whether the broker is meant to let everybody in, so that this is not tried.
    pub open_broker: bool,
    /// The key with which the device's payloads are encrypted, when they are.
    pub fernet: Option<FernetKey>,
}

impl Options {
    /// A whole check: watches for 61 to 320 s, an outage of 10 s.
    pub fn new(key: DeviceKey, target: Target) -> Self {
        let seconds = Duration::from_secs;
        Self {
            key,
            target,
            proxy: None,
            command: None,
            event_op: None,
            watch: seconds(320),
            watch_least: seconds(61),
            patience: seconds(60),
            outage: seconds(10),
            back_within: seconds(130),
            rounds: 20,
            credentials: None,
            require_tls: false,
            open_broker: false,
            fernet: None,
        }
    }

    /// A short check: watches 5 s, an outage of 4 s.
    pub fn quick(self) -> Self {
        Self {
            watch: Duration::from_secs(5),
            watch_least: Duration::ZERO,
            patience: Duration::from_secs(20),
            outage: Duration::from_secs(4),
            rounds: 8,
            ..self
        }
    }
}

/// Why no check could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotRun {
    /// The broker does not let the check in.
    #[error("the broker {broker} cannot be used ({why}); check the address with --broker, and --username and --password if it asks for them")]
    Broker {
        /// Its address.
        broker: String,
        /// What it or the network said.
        why: String,
    },
    /// Somebody else has the proxy's address.
    #[error("cannot listen on {address} ({why}); choose another address with --proxy")]
    Proxy {
        /// The address.
        address: SocketAddr,
        /// Why.
        why: String,
    },
    /// Nothing of the device was ever seen.
    #[error(
        "nothing was heard of {key} within {seconds} s; start it, and compare its tenant, site and id with --tenant, --site and the id given here (the broker's account of this check must be allowed to read rtk/v1/{key}/#)"
    )]
    NeverSeen {
        /// The device.
        key: DeviceKey,
        /// How long was waited.
        seconds: u64,
    },
    /// Only what the broker keeps was seen.
    #[error("{key} is offline: the broker keeps its last words, but it did not say anything within {seconds} s; start it and run the check again")]
    Offline {
        /// The device.
        key: DeviceKey,
        /// How long was waited.
        seconds: u64,
    },
    /// Somebody ended it before anything could be seen.
    #[error("interrupted before the broker let the check in; nothing was seen")]
    Interrupted,
}

impl CannotRun {
    /// The word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Broker { .. } => "broker",
            Self::Proxy { .. } => "proxy",
            Self::NeverSeen { .. } => "device_never_heard",
            Self::Offline { .. } => "device_offline",
            Self::Interrupted => "interrupted",
        }
    }
}

/// How far a check is.
#[derive(Debug, Clone)]
pub struct Step {
    /// Steps done.
    pub done: usize,
    /// All steps.
    pub of: usize,
    /// What is done now.
    pub what: String,
}

const STEPS: usize = 8;
/// How long a device that was just seen may take to subscribe to its commands.
const SETTLES: Duration = Duration::from_secs(1);

/// Gathers the evidence. Takes from a quarter of a minute to the time to watch, the outage and two minutes of waiting for the device.
///
/// # Errors
/// When nothing can be said about the device at all.
pub async fn inspect(options: &Options, tell: impl FnMut(Step)) -> Result<Evidence, CannotRun> {
    inspect_until(options, tell, std::future::pending()).await
}

/// The same until `stop`: then what was seen so far is the evidence, as [`Evidence::interrupted`] says.
///
/// # Errors
/// When nothing can be said about the device at all.
pub async fn inspect_until(options: &Options, mut tell: impl FnMut(Step), stop: impl Future<Output = ()>) -> Result<Evidence, CannotRun> {
    let mut tell = |done, what: &str| tell(Step { done, of: STEPS, what: what.into() });
    let began = Instant::now();
    let mut evidence = Evidence::new(options.key.clone());
    (evidence.began_ms, evidence.broker_tls, evidence.require_tls) = (unix_ms(), options.target.tls, options.require_tls);
    (evidence.keyed, evidence.open_broker) = (options.fernet.is_some(), options.open_broker);
    let ear = Ear { key: options.key.clone(), fernet: options.fernet.clone() };
    let name = format!("{PREFIX}{}", &talkwire_core::audit::to_hex(&crate::identity::seed())[..8]);
    let other: DeviceKey = format!("{}/{}/{name}", options.key.tenant, options.key.site).parse().unwrap_or_else(|_| options.key.clone());
    tokio::pin!(stop);

    tell(0, &format!("connecting to {}", options.target.shown()));
    let tap = tokio::select! {
        tap = Tap::connect(&options.target, ear.clone(), &name, &other, began) => tap.map_err(|why| no_broker(options, why))?,
        () = &mut stop => return Err(CannotRun::Interrupted),
    };
    tokio::select! {
        through = gather(&mut evidence, options, &tap, (&ear, name.as_str(), &other), began, &mut tell) => through?,
        () = &mut stop => evidence.interrupted = true,
    }
    evidence.watched = tap.now();
    evidence.heard = tap.heard();
    evidence.sent = tap.sent();
    if evidence.interrupted {
        evidence.forget_unfinished();
    }
    tap.close().await;
    Ok(evidence)
}

fn no_broker(options: &Options, why: String) -> CannotRun {
    CannotRun::Broker { broker: options.target.shown(), why }
}

/// All that is done once the broker let the check in.
async fn gather(
    evidence: &mut Evidence,
    options: &Options,
    tap: &Tap,
    (ear, name, other): (&Ear, &str, &DeviceKey),
    began: Instant,
    tell: &mut impl FnMut(usize, &str),
) -> Result<(), CannotRun> {
    // Listening before the device can come through, so that its first words are heard.
    let proxy = match options.proxy {
        None => None,
        Some(address) => {
            let started = Proxy::start(address, (options.target.host.clone(), options.target.port), began).await;
            Some(started.map_err(|why| CannotRun::Proxy { address, why: why.to_string() })?)
        }
    };

    if let Some(proxy) = &proxy {
        evidence.proxy = Some(proxy.address.to_string());
        tell(1, &format!("waiting for the device at the proxy {} (point it there)", proxy.address));
        let device_id = options.key.device_id.as_str();
        wait_for(options.patience, || proxy.came(device_id)).await;
        // Others may come through the same proxy, and a device need not show its id in its CONNECT.
        wait_for(Duration::from_secs(2), || proxy.knows(device_id).then_some(())).await;
        if let Some((_, connect)) = proxy.came(device_id) {
            evidence.came_encrypted = Some(connect.is_none());
            evidence.connect = connect;
        }
    } else {
        tell(1, "waiting for the device");
    }
    let op = appear(tap, options).await?;

    tell(2, &format!("asking {op}"));
    for _ in 1..options.rounds {
        if !ask::harmless(tap, Purpose::Harmless, &op).await {
            break;
        }
    }
    let answers = tap.until(Duration::ZERO, |heard| heard.iter().find(|heard| heard.answer().is_some()).map(|_| ())).await.is_some();
    if answers {
        tell(3, "asking what must be refused, repeated, listed");
        ask::all(tap, &op).await;
        if let Some(event_op) = &options.event_op {
            ask::harmless(tap, Purpose::Other, event_op).await;
        }
    }

    tell(4, &format!("watching for at most {} s", options.watch.as_secs()));
    watch(tap, options, answers.then_some(op.as_str())).await;
    evidence.kept = Some(kept(options, ear, name).await.map_err(|why| no_broker(options, why))?);

    if options.credentials.is_some() || !options.open_broker {
        tell(5, if options.credentials.is_some() { "trying the device's credentials" } else { "trying whether the broker lets everybody in" });
        access::try_all(evidence, &options.target, tap, options.credentials.as_ref(), name, other).await;
    }
    if let Some(proxy) = proxy.as_ref().filter(|_| evidence.came_encrypted.is_some()) {
        tell(6, &format!("cutting the device off for {} s", options.outage.as_secs()));
        evidence.cutting = Some(tap.now());
        evidence.cut = Some(cut(tap, proxy, options, &op).await);
        evidence.stranger = proxy.stranger();
    }
    if answers && evidence.cut.as_ref().is_none_or(|cut| cut.returned.is_some()) {
        tell(7, "sending nonsense");
        ask::nonsense(tap, &op).await;
        ask::unsealed(tap, &op).await;
    }
    tell(STEPS, "done");
    Ok(())
}

/// Looks again and again until there is something.
async fn wait_for<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the device is there; the op that it answers.
async fn appear(tap: &Tap, options: &Options) -> Result<String, CannotRun> {
    let seconds = options.patience.as_secs();
    let is_online = |heard: &Heard| !heard.retain || matches!(heard.body(), Some(DeviceBody::Lwt(lwt)) if lwt.status == Presence::Online);
    // A device that neither says anything nor left anything may still answer, so it is asked before it is given up.
    let seen = tap.until(options.patience, |heard| heard.iter().find(|heard| is_online(heard)).map(|_| ())).await.is_some();
    let first = options.command.clone().unwrap_or_else(|| "device.status".into());
    // It may speak before it has subscribed to its commands.
    tokio::time::sleep(SETTLES).await;
    let answered = ask::harmless(tap, Purpose::Harmless, &first).await;
    let heard = tap.heard();
    let live = heard.iter().any(|heard| !heard.retain);
    if !seen && !live {
        let key = options.key.clone();
        return Err(if heard.is_empty() { CannotRun::NeverSeen { key, seconds } } else { CannotRun::Offline { key, seconds } });
    }
    let knows = answered && heard.iter().rev().find_map(Heard::answer).is_some_and(|answer| answer.error.is_none());
    if knows || options.command.is_some() || !answered {
        return Ok(first);
    }
    // It answers, but does not know this one: the other op that every device should have.
    let second = "device.get_capabilities";
    ask::harmless(tap, Purpose::Other, second).await;
    let knows = tap.heard().iter().rev().find_map(Heard::answer).is_some_and(|answer| answer.error.is_none());
    Ok(if knows { second.into() } else { first })
}

/// Watches until everything was seen that comes by itself, at most so long.
async fn watch(tap: &Tap, options: &Options, op: Option<&str>) {
    let began = Instant::now();
    loop {
        let left = options.watch.saturating_sub(began.elapsed());
        let step = left.min(Duration::from_secs(10));
        let enough = tap.until(step, |heard| {
            let live = |family: &str| heard.iter().filter(|heard| !heard.retain && heard.family() == family).count();
            (live("state") >= 2 && live("evt") >= 1 && live("telemetry") >= 1).then_some(())
        });
        let enough = enough.await.is_some();
        let least = options.watch_least.min(options.watch).saturating_sub(began.elapsed());
        if enough && !least.is_zero() {
            tokio::time::sleep(least.min(Duration::from_secs(10))).await;
        } else if enough || left <= step {
            return;
        }
        if let Some(op) = op {
            ask::harmless(tap, Purpose::Harmless, op).await;
        }
    }
}

/// What a new subscriber is given at once.
async fn kept(options: &Options, ear: &Ear, name: &str) -> Result<Vec<Heard>, String> {
    let (link, mut events) = let_in(options.target.link(&format!("{name}-kept"))).await?;
    let began = Instant::now();
    link.subscribe(format!("rtk/v1/{}/#", options.key), Qos::AtLeastOnce);
    let mut kept = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(1500).saturating_sub(began.elapsed()), events.next()).await {
        if let LinkEvent::Message(message) = event
            && message.retain
        {
            kept.extend(ear.read(&message.topic, message.payload, true, true, (began.elapsed(), unix_ms())));
        }
    }
    link.close(Duration::from_secs(1)).await;
    Ok(kept)
}

/// Holds the device's way out so that an answer is lost, cuts it off, sends a command meanwhile, lets it come back.
async fn cut(tap: &Tap, proxy: &Proxy, options: &Options, op: &str) -> Cut {
    let device_id = options.key.device_id.as_str();
    proxy.set(Mode::Held);
    let held = tap.send(Purpose::Held, op, serde_json::Map::new(), &tap.fresh_id()).await;
    // Time for the command to reach the device and for the answer to get stuck.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let mut cut = Cut { at: tap.now(), ..Cut::default() };
    proxy.set(Mode::Closed);
    tokio::time::sleep(options.outage / 2).await;
    let outage = tap.send(Purpose::Outage, op, serde_json::Map::new(), &tap.fresh_id()).await;
    tokio::time::sleep((options.outage + cut.at).saturating_sub(tap.now())).await;
    cut.reopened = tap.now();
    proxy.set(Mode::Open);
    let back = || proxy.came(device_id).filter(|(at, _)| *at >= cut.reopened);
    cut.returned = wait_for(options.back_within, back).await.map(|(at, _)| at);
    cut.attempts = proxy.attempts(device_id, cut.at);
    if cut.returned.is_some() {
        // A result that came over while the connection was held does not count as sent again.
        for sent in [&held, &outage] {
            let again =
                |heard: &[Heard]| heard.iter().find(|heard| heard.at >= cut.reopened && heard.answer().is_some_and(|answer| answer.id == sent.id)).map(|_| ());
            if sent.refused.is_none() {
                tap.until(Duration::from_secs(8), again).await;
            }
        }
    }
    cut
}
