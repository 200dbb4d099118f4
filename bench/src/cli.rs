//! The command line: `bench NAME`, `crash`, or `faults`.

use crate::crash;
use crate::faults;
use crate::figures::{self, FIGURES};
use crate::keeper;
use crate::machine::sync_ms;
use crate::play;
use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const AFTER: &str = "What can be measured: durable, ingest, command, p2p, start, memory, agent, chat, device, hour, or all of them.\n\
Example:\n  talkwire-bench bench durable --seconds 5\n  talkwire-bench crash --trials 20\n  talkwire-bench faults --only outage --trials 4 --seconds 8";

/// Measures Talkwire beside its peers, and kills it to see what it keeps.
#[derive(Debug, Parser)]
#[command(name = "talkwire-bench", arg_required_else_help = true, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure one figure, or `all`.
    #[command(after_help = AFTER)]
    Bench {
        /// Which figure.
        name: String,
        /// Print `{"name","ours","peer","ratio"}` instead of a table, one line per figure.
        #[arg(long)]
        json: bool,
        /// How long each run of a load lasts.
        #[arg(long, value_name = "N")]
        seconds: Option<u64>,
    },
    /// Kill the server and the devices at random instants, and count what was lost.
    #[command(after_help = AFTER)]
    Crash {
        /// How many kills.
        #[arg(long, value_name = "N", default_value_t = 20)]
        trials: u64,
        /// Print `{"trials","acked","lost","half_applied","double_executions"}`.
        #[arg(long)]
        json: bool,
        /// Where chance begins; a failing trial prints its own.
        #[arg(long, value_name = "S")]
        seed: Option<u64>,
        /// Only one kind: `server`, `router` or `both`.
        #[arg(long, value_name = "KIND")]
        kind: Option<crash::Kind>,
        /// Kill around a broker that is not ours: the server, the broker, or both in turn.
        #[arg(long, value_name = "BROKER", conflicts_with = "kind")]
        broker: Option<crash::Outside>,
    },
    /// Bring faults about (a broker that is away, dead cables, a failing disk, a wrong clock) and judge what came of each.
    #[command(after_help = AFTER)]
    Faults {
        /// Only this fault; may be given several times. Default: all.
        #[arg(long, value_name = "FAULT")]
        only: Vec<faults::Fault>,
        /// How many trials of each case. Default: what each fault finds right.
        #[arg(long, value_name = "N")]
        trials: Option<u64>,
        /// How long the fault lasts. Default: what each fault finds right.
        #[arg(long, value_name = "S")]
        seconds: Option<u64>,
        /// Where chance begins; a failing trial prints its own.
        #[arg(long, value_name = "SEED")]
        seed: Option<u64>,
        /// Print `{"ok","seed","rows":[{"fault","case","ok","trials","failed","not_judged","missing","bound_percent","figures"}]}`.
        #[arg(long)]
        json: bool,
    },
    /// Be a device on the SDK that counts.
    #[command(hide = true)]
    PlayNumbers(play::Numbers),
    /// Be a device on the SDK that talks until it is killed.
    #[command(hide = true)]
    PlayDevice {
        /// The broker.
        addr: SocketAddr,
        /// Where it keeps its data.
        folder: PathBuf,
        /// How many messages a second.
        per_second: u32,
        /// Limit it to this rate.
        #[arg(long)]
        limited: bool,
    },
    /// Be a device on the SDK with a setting in a file.
    #[command(hide = true)]
    PlayKeeper {
        /// The broker.
        addr: SocketAddr,
        /// Where it keeps its data.
        folder: PathBuf,
        /// Its id.
        id: String,
    },
}

/// Runs what was asked for.
pub fn main() -> Result<ExitCode> {
    match Cli::parse_from(words()).task {
        Task::Bench { name, json, seconds } => bench(&name, json, seconds),
        Task::PlayDevice { addr, folder, per_second, limited } => play::device(addr, folder, per_second, limited).map(|()| ExitCode::SUCCESS),
        Task::PlayNumbers(how) => play::numbers(how).map(|()| ExitCode::SUCCESS),
        Task::PlayKeeper { addr, folder, id } => keeper::run(addr, &folder, &id).map(|()| ExitCode::SUCCESS),
        Task::Faults { only, trials, seconds, seed, json } => faults::run(&only, trials, seconds, seed, json),
        Task::Crash { trials, json, seed, broker: Some(broker), .. } => crash::run_outside(broker, trials, json, seed),
        Task::Crash { trials, json, seed, kind, broker: None } => crash::run(trials, json, seed, kind),
    }
}

/// `talkwire-bench durable` is `talkwire-bench bench durable`.
fn words() -> Vec<String> {
    let mut words: Vec<String> = std::env::args().collect();
    let figure = words.iter().skip(1).position(|word| word == "all" || FIGURES.iter().any(|figure| figure.name == word));
    if figure.is_some() && !words.iter().any(|word| matches!(word.as_str(), "bench" | "crash" | "faults")) {
        words.insert(1, "bench".into());
    }
    words
}

fn bench(name: &str, json: bool, seconds: Option<u64>) -> Result<ExitCode> {
    // `hour` takes a quarter of one and is measured when it is asked for.
    let chosen: Vec<_> = FIGURES.iter().filter(|figure| figure.name == name || (name == "all" && figure.name != "hour")).collect();
    if chosen.is_empty() {
        bail!("nothing is called {name:?}; there are: all, {}", FIGURES.iter().map(|figure| figure.name).collect::<Vec<_>>().join(", "));
    }
    let pinned = figures::pin_load();
    let short = if name == "all" { 3 } else { 5 };
    let span = Duration::from_secs(seconds.unwrap_or(short).clamp(1, 600));
    let mut failed = 0;
    for figure in chosen {
        match (figure.measure)(span) {
            Ok(mut report) => {
                report.notes.insert(0, format!("{pinned}; one fdatasync of 512 bytes takes {:.2} ms here", sync_ms()?));
                if json {
                    println!("{}", report.to_json());
                } else {
                    println!("{report}");
                }
            }
            Err(error) if name == "all" => {
                failed += 1;
                eprintln!("{} could not be measured: {error:#}", figure.name);
            }
            Err(error) => return Err(error.context(format!("{} could not be measured", figure.name))),
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
