//! kill -9 at random instants: nothing that was acknowledged may be lost, no change may be half done, none done twice.

mod home;
mod ledger;
mod outside;
mod trial;

pub use outside::Outside;
pub use trial::audit_holds;

use crate::chance::Chance;
use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The server, under QoS 1 load.
    Server,
    /// A simulated home, while a change is carried out on one of its access points.
    Router,
    /// Both, under load, while a change is carried out.
    Both,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Found {
    /// Messages that were acknowledged.
    acked: u64,
    /// Of these, those that are not there after the restart.
    lost: u64,
    /// Devices whose configuration is not what the set's end says.
    half_applied: u64,
    /// Times that a device carried out a command again.
    double_executions: u64,
    /// Messages that are there more than once.
    stored_twice: u64,
    /// Messages that came again and were recognised.
    recognised: u64,
}

impl Found {
    fn add(&mut self, other: Self) {
        self.acked += other.acked;
        self.lost += other.lost;
        self.half_applied += other.half_applied;
        self.double_executions += other.double_executions;
        self.stored_twice += other.stored_twice;
        self.recognised += other.recognised;
    }

    fn is_good(&self) -> bool {
        (self.lost, self.half_applied, self.double_executions, self.stored_twice) == (0, 0, 0, 0)
    }
}

/// Runs the trials; the exit code is 1 when anything was lost, half applied or done twice, or a trial could not be judged.
pub fn run(trials: u64, as_json: bool, seed: Option<u64>, only: Option<Kind>) -> Result<ExitCode> {
    let seed = seed.unwrap_or_else(random_seed);
    let kinds: Vec<Kind> = only.map_or_else(|| vec![Kind::Server, Kind::Router, Kind::Both], |kind| vec![kind]);
    let mut span = Duration::from_millis(600);
    if kinds.iter().any(|kind| *kind != Kind::Server) {
        // The instants are drawn from the time that a change takes when nobody is killed.
        span = trial::undisturbed()?;
        eprintln!("a change takes {} ms when nobody is killed", span.as_millis());
    }
    let (mut all, mut unjudged) = (Found::default(), 0u64);
    for number in 0..trials {
        let own_seed = seed.wrapping_add(number);
        let kind = kinds[usize::try_from(number).unwrap_or(0) % kinds.len()];
        let mut chance = Chance::new(own_seed);
        let mut told = String::new();
        match trial::run(kind, &mut chance, span, &mut told) {
            Ok(found) => {
                all.add(found);
                let word = if found.is_good() { "ok" } else { "FAILED" };
                eprintln!("{:>4}/{trials} {:<6} {word}: {told}", number + 1, word_of(kind));
                if !found.is_good() {
                    again(kind, own_seed);
                }
            }
            Err(error) => {
                unjudged += 1;
                eprintln!("{:>4}/{trials} {:<6} FAILED, not judged: {error:#} ({told})", number + 1, word_of(kind));
                again(kind, own_seed);
            }
        }
    }
    if as_json {
        println!(
            "{}",
            json!({"trials": trials, "acked": all.acked, "lost": all.lost, "half_applied": all.half_applied, "double_executions": all.double_executions})
        );
    } else {
        println!("trials                     {trials}");
        println!("acknowledged               {}", all.acked);
        println!("acknowledged, but lost     {}", all.lost);
        println!("changes half applied       {}", all.half_applied);
        println!("commands carried out twice {}", all.double_executions);
        if unjudged > 0 {
            println!("trials not judged          {unjudged}");
        }
        if all.is_good() && unjudged == 0 && trials > 0 {
            println!(
                "0 failures in {trials} kills: fewer than {:.2} % of kills fail, with 95 % confidence (rule of three)",
                (300.0 / trials as f64).min(100.0)
            );
        }
    }
    Ok(if all.is_good() && unjudged == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs trials with a broker that is not ours; the exit code is 1 when anything that it kept was lost or stored twice.
pub fn run_outside(broker: Outside, trials: u64, as_json: bool, seed: Option<u64>) -> Result<ExitCode> {
    let seed = seed.unwrap_or_else(random_seed);
    let (mut all, mut unjudged) = (Found::default(), 0u64);
    for number in 0..trials {
        let own_seed = seed.wrapping_add(number);
        let victim = outside::Victim::ALL[usize::try_from(own_seed % 3).unwrap_or(0)];
        let mut told = String::new();
        let outcome = match broker {
            Outside::Mosquitto => outside::run(victim, &mut Chance::new(own_seed), &mut told),
        };
        let word = match &outcome {
            Ok(found) => {
                all.add(*found);
                if found.is_good() { "ok".to_owned() } else { "FAILED".to_owned() }
            }
            Err(error) => {
                unjudged += 1;
                format!("FAILED, not judged: {error:#}")
            }
        };
        eprintln!("{:>4}/{trials} {:<6} {word}: {told}", number + 1, victim.word());
        if word != "ok" {
            eprintln!("      again with: talkwire-bench crash --broker mosquitto --trials 1 --seed {own_seed}");
        }
    }
    if as_json {
        let figures = json!({"trials": trials, "acked": all.acked, "lost": all.lost, "stored_twice": all.stored_twice, "recognised": all.recognised, "not_judged": unjudged});
        println!("{figures}");
    } else {
        println!("trials                              {trials}");
        println!("acknowledged and kept by the broker {}", all.acked);
        println!("of these, lost                      {}", all.lost);
        println!("stored twice                        {}", all.stored_twice);
        println!("handed over again and recognised    {}", all.recognised);
        println!("trials not judged                 {unjudged}");
    }
    Ok(if all.is_good() && unjudged == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn random_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64 % 1_000_000_000
}

fn word_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Server => "server",
        Kind::Router => "router",
        Kind::Both => "both",
    }
}

fn again(kind: Kind, seed: u64) {
    eprintln!("      again with: talkwire-bench crash --trials 1 --kind {} --seed {seed}", word_of(kind));
}
