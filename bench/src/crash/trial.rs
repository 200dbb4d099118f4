//! One kill: what runs, who dies when, and what must be there afterwards.

use super::home::{self, Home};
use super::ledger::{self, Ledger};
use super::{Found, Kind};
use crate::chance::Chance;
use crate::machine::Folder;
use crate::server::{Ports, Server};
use anyhow::{Context, Result, ensure};
use std::fmt::Write;
use std::time::{Duration, Instant};

const PUBLISHERS: usize = 8;
const IN_FLIGHT: usize = 10;
/// The server is killed this long after the load began, at most.
const SERVER_DIES_WITHIN: Duration = Duration::from_millis(1_200);
/// Whoever was killed stays away at most this long.
const AWAY: Duration = Duration::from_millis(400);

/// How long a change takes from the approval to its end when nobody is killed; it must be kept.
pub fn undisturbed() -> Result<Duration> {
    let folder = Folder::new("crash")?;
    let server = Server::start(&folder, None)?;
    let api = server.api()?;
    let home = Home::start(server.ports.mqtt, folder.path())?;
    home::wait_for_device(&api)?;
    let set = home::propose(&api)?;
    let began = Instant::now();
    home::approve(&api, &set)?;
    let status = home::wait_for_end(&api, &set.0)?;
    let took = began.elapsed();
    let (kept, told, deeds) = (home.kept_channel()?, home::told_channel(&api)?, home.deeds());
    ensure!(
        (status.as_str(), kept, told, deeds) == ("committed", home::NEW, home::NEW, (1, 0)),
        "an undisturbed change ended as {status} with channel {kept} kept, {told} told and {deeds:?} deeds; nothing can be learnt from disturbed ones"
    );
    Ok(took)
}

/// Runs one trial. `span` is how long an undisturbed change takes. What happened is written to `told`.
pub fn run(kind: Kind, chance: &mut Chance, span: Duration, told: &mut String) -> Result<Found> {
    let mut folder = Folder::new("crash")?;
    let outcome = match kind {
        Kind::Server => server(chance, &folder, told),
        Kind::Router | Kind::Both => change(kind, chance, span, &folder, told),
    };
    if !outcome.as_ref().is_ok_and(Found::is_good) {
        folder.keep();
        let _ = write!(told, "; everything is kept in {}", folder.path().display());
    }
    outcome
}

fn server(chance: &mut Chance, folder: &Folder, told: &mut String) -> Result<Found> {
    let ports = Ports::free()?;
    let mut server = Server::start_at(folder, None, ports, &["serve"])?;
    let ledger = Ledger::open(ports.mqtt, PUBLISHERS, IN_FLIGHT);
    let at = chance.between(Duration::from_millis(20), SERVER_DIES_WITHIN);
    std::thread::sleep(at);
    server.kill();
    let acked = ledger.close()?;
    let server = Server::start_at(folder, None, ports, &["serve"]).context("the server does not start after the kill")?;
    let (acked, lost) = ledger::compare(&server.api()?, &acked)?;
    audit_holds(&server)?;
    let _ = write!(told, "killed at {} ms, {acked} acknowledged, {lost} lost, ready again after {} ms", at.as_millis(), server.ready_after.as_millis());
    Ok(Found { acked, lost, ..Found::default() })
}

fn change(kind: Kind, chance: &mut Chance, span: Duration, folder: &Folder, told: &mut String) -> Result<Found> {
    let ports = Ports::free()?;
    let mut server = Server::start_at(folder, None, ports, &["serve"])?;
    let mut api = server.api()?;
    let mut home = Home::start(ports.mqtt, folder.path())?;
    home::wait_for_device(&api)?;
    let set = home::propose(&api)?;
    let ledger = (kind == Kind::Both).then(|| Ledger::open(ports.mqtt, PUBLISHERS / 2, IN_FLIGHT / 2));

    // A little beyond the end, so that the commit itself is within reach too.
    let latest = span * 8 / 5;
    let home_dies = chance.between(Duration::ZERO, latest);
    let server_dies = (kind == Kind::Both).then(|| chance.between(Duration::ZERO, latest));
    let (home_away, server_away) = (chance.between(Duration::ZERO, AWAY), chance.between(Duration::ZERO, AWAY));
    let began = Instant::now();
    let approval = std::thread::spawn({
        let (api, set) = (api.clone(), set.clone());
        move || home::approve(&api, &set)
    });
    let mut deaths = vec![(home_dies, true)];
    deaths.extend(server_dies.map(|at| (at, false)));
    deaths.sort();
    for (at, is_home) in deaths {
        std::thread::sleep((began + at).saturating_duration_since(Instant::now()));
        if is_home { home.kill() } else { server.kill() }
    }
    let approved = approval.join().map_err(|_| anyhow::anyhow!("the approval stopped"))?;
    let _ = write!(told, "home killed at {} ms", home_dies.as_millis());

    let mut found = Found::default();
    let mut numbers = None;
    if let Some(at) = server_dies {
        let _ = write!(told, ", server at {} ms", at.as_millis());
        numbers = ledger.map(Ledger::close).transpose()?;
        let home_first = home_away < server_away;
        std::thread::sleep(home_away.min(server_away));
        if home_first {
            home.restart()?;
        }
        std::thread::sleep(home_away.abs_diff(server_away));
        server = Server::start_at(folder, None, ports, &["serve"]).context("the server does not start after the kill")?;
        api = server.api()?;
        if !home_first {
            home.restart()?;
        }
    } else {
        approved.as_ref().map_err(|error| anyhow::anyhow!("the approval was refused: {error:#}"))?;
        std::thread::sleep(home_away);
        home.restart()?;
    }
    let restarted = Instant::now();
    let status = home::wait_for_end(&api, &set.0)?;
    let settled = restarted.elapsed();
    if status == "proposed" {
        if approved.is_ok() {
            // The yes was acknowledged, so it must be there.
            found.lost += 1;
        }
        api.post(&format!("/changesets/{}/reject", set.0), &serde_json::json!({}))?;
    }
    found.acked += u64::from(approved.is_ok());

    let wanted = if status == "committed" { home::NEW } else { home::OLD };
    let first = (home.kept_channel()?, home::told_channel(&api)?);
    // A change that is not over on the device would be undone by the next start.
    home.kill();
    home.restart()?;
    std::thread::sleep(Duration::from_millis(300));
    let second = (home::told_channel(&api)?, home.kept_channel()?);
    let (applied, restored) = home.deeds();
    found.half_applied += u64::from(first != (wanted, wanted) || second != (wanted, wanted));
    found.double_executions += applied.saturating_sub(1);
    let _ = write!(told, ", {status} {} ms after the restart; channel {}, applied {applied}, restored {restored}", settled.as_millis(), second.0);
    if found.half_applied > 0 {
        let _ = write!(told, "; channel kept and told {first:?}, after one more restart told and kept {second:?}, wanted {wanted}");
    }
    if let Some(numbers) = numbers {
        let (acked, lost) = ledger::compare(&api, &numbers)?;
        found.acked += acked;
        found.lost += lost;
        let _ = write!(told, ", {acked} acknowledged, {lost} lost");
    }
    audit_holds(&server)?;
    Ok(found)
}

/// The chain of the audit verifies.
pub fn audit_holds(server: &Server) -> Result<()> {
    let audit = server.api()?.get("/audit?limit=1")?;
    ensure!(audit["chain"]["ok"] == true, "the audit's chain is broken: {}", audit["chain"]);
    Ok(())
}
