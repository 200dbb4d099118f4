//! Kills around a broker that is not ours: the server, the broker, or both, under load; what the broker kept must be there once.

use super::Found;
use super::ledger::{self, Ledger};
use crate::chance::Chance;
use crate::machine::Folder;
use crate::peer::Mosquitto;
use crate::server::{Ports, Server};
use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::Value;
use std::fmt::Write;
use std::time::{Duration, Instant};

const PUBLISHERS: usize = 4;
const IN_FLIGHT: usize = 5;
/// Each publisher rests this long after each batch: the broker writes everything that it keeps after every change.
const PACE: Duration = Duration::from_millis(10);
const DIES_WITHIN: Duration = Duration::from_millis(1_500);
const AWAY: Duration = Duration::from_millis(400);
/// What the broker acknowledged this shortly before it was killed it may not have written: that is its own promise, not ours.
const UNWRITTEN: Duration = Duration::from_millis(300);
/// Everything must have arrived after this.
const WITHIN: Duration = Duration::from_secs(60);

/// Brokers that are not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Outside {
    /// Mosquitto, with persistence after every change.
    Mosquitto,
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The server.
    Server,
    /// The broker.
    Broker,
    /// Both.
    Both,
}

impl Victim {
    /// In turn.
    pub const ALL: [Self; 3] = [Self::Server, Self::Broker, Self::Both];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Broker => "broker",
            Self::Both => "both",
        }
    }
}

/// One trial. What happened is written to `told`.
pub fn run(victim: Victim, chance: &mut Chance, told: &mut String) -> Result<Found> {
    let mut folder = Folder::new("crash")?;
    let outcome = trial(victim, chance, &folder, told);
    if !outcome.as_ref().is_ok_and(Found::is_good) {
        folder.keep();
        let _ = write!(told, "; everything is kept in {}", folder.path().display());
    }
    outcome
}

fn trial(victim: Victim, chance: &mut Chance, folder: &Folder, told: &mut String) -> Result<Found> {
    let mut broker = Mosquitto::start_keeping()?.context("Mosquitto is not installed (Debian and Ubuntu: apt install mosquitto)")?;
    let url = format!("mqtt://{}", broker.addr);
    let words = ["serve", "--broker", url.as_str()];
    let ports = Ports::free()?;
    let mut server = Server::start_at(folder, None, ports, &words)?;
    let mut ledger = Ledger::open_paced(broker.addr, PUBLISHERS, IN_FLIGHT, PACE);
    let began = Instant::now();
    let draw = |chance: &mut Chance| chance.between(Duration::from_millis(50), DIES_WITHIN);
    let mut deaths = Vec::new();
    if victim != Victim::Broker {
        deaths.push((draw(chance), true));
    }
    if victim != Victim::Server {
        deaths.push((draw(chance), false));
    }
    deaths.sort();
    let mut broker_died = None;
    for (at, is_server) in deaths {
        std::thread::sleep((began + at).saturating_duration_since(Instant::now()));
        let who = if is_server {
            server.kill();
            "server"
        } else {
            broker_died = Some(Instant::now());
            broker.kill();
            "broker"
        };
        let _ = write!(told, "{who} killed at {} ms, ", at.as_millis());
    }
    std::thread::sleep(chance.between(Duration::ZERO, AWAY));
    ledger.stop();
    let acked = ledger.close_with_instants()?;
    if broker_died.is_some() {
        broker.restart()?;
    }
    let server =
        if victim == Victim::Broker { server } else { Server::start_at(folder, None, ports, &words).context("the server does not start after the kill")? };
    let (kept, gap) = ledger::split(&acked, broker_died.map(|at| at - UNWRITTEN));
    let api = server.api()?;
    let began = Instant::now();
    let (mut total, mut lost, mut twice);
    loop {
        (total, lost, twice) = ledger::compare_each(&api, &kept)?;
        if lost == 0 || began.elapsed() > WITHIN {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    // What would come a second time comes soon after.
    std::thread::sleep(Duration::from_millis(300));
    twice = twice.max(ledger::compare_each(&api, &kept)?.2);
    let system = api.get("/system")?;
    let number = |name: &str| system["broker"][name].as_u64().unwrap_or(0);
    let _ = write!(
        told,
        "{total} acknowledged and kept, {lost} lost, {twice} stored twice; {gap} acknowledged within {} ms of the broker's death; {} handed over again, {} recognised, session {}",
        UNWRITTEN.as_millis(),
        number("redelivered"),
        number("recognised"),
        if system["broker"]["session_resumed"] == Value::Bool(true) { "resumed" } else { "new" },
    );
    super::trial::audit_holds(&server)?;
    Ok(Found { acked: total, lost, stored_twice: twice, recognised: number("recognised"), ..Found::default() })
}
