//! Everything that a check saw: what the rules judge.

use super::ask::ANSWER;
use super::heard::Heard;
use super::sniff::Connect;
use std::time::Duration;
use talkwire_proto::DeviceKey;
use talkwire_proto::command::{Ack, Answer};

/// What a command was sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The harmless command, first of all and many times.
    Harmless,
    /// An op that no device has.
    UnknownOp,
    /// Arguments of the wrong kind.
    BadArgs,
    /// The first of two with one id.
    First,
    /// The second of two with one id.
    Repeat,
    /// The same op under another id, to see whether results differ at all.
    Other,
    /// A list of commands.
    Batch,
    /// Bytes that are no command.
    Nonsense,
    /// The harmless command after the nonsense.
    AfterNonsense,
    /// Sent while the device's way out was held, so that its answer is lost in the cut.
    Held,
    /// Sent while the device was cut off.
    Outage,
    /// In clear, to a device that has a key.
    Clear,
    /// Sealed with another key than the device's.
    Forged,
    /// Sealed with the device's key, long ago.
    Stale,
}

/// A command that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What for.
    pub purpose: Purpose,
    /// Its id.
    pub id: String,
    /// The op.
    pub op: String,
    /// When, since the check began.
    pub at: Duration,
    /// Why the broker did not take it.
    pub refused: Option<String>,
}

/// A command with what came back.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// The command.
    pub sent: &'a Sent,
    /// Acknowledgements, each with the time since the command.
    pub acks: Vec<(Duration, &'a Ack)>,
    /// Final answers, each with the time since the command.
    pub answers: Vec<(Duration, &'a Answer)>,
}

/// What the proxy saw.
#[derive(Debug, Clone, Default)]
pub struct Cut {
    /// When the connection was cut, since the check began.
    pub at: Duration,
    /// When the proxy let connections through again.
    pub reopened: Duration,
    /// Attempts to connect in between, since the check began.
    pub attempts: Vec<Duration>,
    /// When the device was connected again.
    pub returned: Option<Duration>,
}

/// What the device did when a stranger with a certificate of his own stood in the broker's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stranger {
    /// It hung up; how.
    Refused(String),
    /// It spoke MQTT to him; whether it named itself.
    Trusted {
        /// Whether its CONNECT carried a user name.
        named: bool,
    },
    /// The two did not get so far; why.
    Unclear(String),
}

/// What was tried with the device's own credentials, or as nobody where the broker lets everybody in.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Whether it was tried without a name.
    pub as_nobody: bool,
    /// Whether the broker let the device's credentials in, or what it said.
    pub login: Option<Result<(), String>>,
    /// Whether a message in the device's own tree arrived: without it, silence proves nothing.
    pub own_arrived: bool,
    /// The topics in other trees on which a message of the device's arrived.
    pub foreign_arrived: Vec<String>,
    /// Whether a command to another device reached the device.
    pub foreign_read: Option<bool>,
}

/// Everything that a check saw.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The device.
    pub key: DeviceKey,
    /// When the check began, in Unix milliseconds.
    pub began_ms: i64,
    /// How long the device was watched.
    pub watched: Duration,
    /// All its messages, in their order.
    pub heard: Vec<Heard>,
    /// What a new subscriber is given at once; `None` when nobody asked.
    pub kept: Option<Vec<Heard>>,
    /// All commands sent.
    pub sent: Vec<Sent>,
    /// The address of the proxy, when there is one.
    pub proxy: Option<String>,
    /// The device's CONNECT as it went through the proxy; `None` when it did not come through, or was encrypted.
    pub connect: Option<Connect>,
    /// Whether the device came through the proxy, and whether it was encrypted.
    pub came_encrypted: Option<bool>,
    /// The cut, when the device came through the proxy.
    pub cut: Option<Cut>,
    /// Whether the device refuses a broker that it cannot trust; `None` when it did not come while that was tried.
    pub stranger: Option<Stranger>,
    /// Whether the device's payloads are encrypted with a key that this check has.
    pub keyed: bool,
    /// Whether this check's own connection is encrypted.
    pub broker_tls: bool,
    /// Whether the device must be.
    pub require_tls: bool,
    /// What a wrong password was told; `Ok` means let in.
    pub wrong_password: Option<Result<(), String>>,
    /// What nobody in particular was told; `Ok` means let in.
    pub anonymous: Option<Result<(), String>>,
    /// What was tried with the device's credentials, or without any.
    pub access: Option<Access>,
    /// Whether it was left out to see if the broker lets everybody in.
    pub open_broker: bool,
    /// When the check began to cut the device off.
    pub cutting: Option<Duration>,
    /// Whether somebody ended the check before it was through.
    pub interrupted: bool,
}

impl Evidence {
    /// Nothing yet.
    pub fn new(key: DeviceKey) -> Self {
        Self {
            key,
            began_ms: 0,
            watched: Duration::ZERO,
            heard: Vec::new(),
            kept: None,
            sent: Vec::new(),
            proxy: None,
            connect: None,
            came_encrypted: None,
            cut: None,
            stranger: None,
            keyed: false,
            broker_tls: false,
            require_tls: false,
            wrong_password: None,
            anonymous: None,
            access: None,
            open_broker: false,
            cutting: None,
            interrupted: false,
        }
    }

    /// Leaves out what was still going on when the check was interrupted: that nothing came of it proves nothing.
    pub fn forget_unfinished(&mut self) {
        if let (None, Some(since)) = (&self.cut, self.cutting) {
            self.heard.retain(|heard| heard.at < since);
            self.sent.retain(|sent| sent.at < since);
        }
        let (heard, end) = (&self.heard, self.watched);
        self.sent.retain(|sent| sent.refused.is_some() || end.saturating_sub(sent.at) >= ANSWER || !exchange(sent, heard).answers.is_empty());
    }

    /// How long the device was seen: from its first word to the end of the check, or to `end` when that came sooner.
    pub fn seen_for(&self, end: Option<Duration>) -> Duration {
        let first = self.heard.iter().find(|heard| !heard.retain).map_or(self.watched, |heard| heard.at);
        end.map_or(self.watched, |end| end.min(self.watched)).saturating_sub(first)
    }

    /// Why the broker let the device's credentials not in.
    pub fn login_refused(&self) -> Option<&str> {
        self.access.as_ref()?.login.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// The first command for a purpose, with what came back.
    pub fn exchange(&self, purpose: Purpose) -> Option<Exchange<'_>> {
        self.exchanges(purpose).into_iter().next()
    }

    /// All commands for a purpose, with what came back.
    pub fn exchanges(&self, purpose: Purpose) -> Vec<Exchange<'_>> {
        self.sent.iter().filter(|sent| sent.purpose == purpose).map(|sent| exchange(sent, &self.heard)).collect()
    }

    /// Live messages of a family.
    pub fn live<'a>(&'a self, family: &'a str) -> impl Iterator<Item = &'a Heard> {
        self.heard.iter().filter(move |heard| heard.family() == family && !heard.retain)
    }

    /// The newest message on a tail, live or kept.
    pub fn newest(&self, tail: &str) -> Option<&Heard> {
        let newest = |list: &'_ [Heard]| list.iter().rposition(|heard| heard.tail == tail);
        match newest(&self.heard) {
            Some(place) => self.heard.get(place),
            None => self.kept.as_ref().and_then(|kept| kept.iter().rfind(|heard| heard.tail == tail)),
        }
    }

    /// Whether a moment lies in the outage that the check made, or so shortly after that the device was not back.
    pub fn in_outage(&self, at: Duration) -> bool {
        self.cut.as_ref().is_some_and(|cut| at >= cut.at && at <= cut.returned.unwrap_or(Duration::MAX))
    }
}

/// What came back for one command.
pub fn exchange<'a>(sent: &'a Sent, heard: &'a [Heard]) -> Exchange<'a> {
    // What came before it answers an earlier command of the same id.
    let later = || heard.iter().filter(|heard| heard.at >= sent.at);
    let acks = later().filter_map(|heard| heard.ack().filter(|ack| ack.id == sent.id).map(|ack| (heard.at - sent.at, ack)));
    let answers =
        later().filter_map(|heard| heard.answer().filter(|answer| answer.id == sent.id && answer.outcome.is_some()).map(|answer| (heard.at - sent.at, answer)));
    Exchange { sent, acks: acks.collect(), answers: answers.collect() }
}
