//! QoS 1 with 100 publishers: ours acknowledges after commit and fsync, Mosquitto before it writes anything.

use super::{ROUNDS, server_core};
use crate::load::{self, Load, event, event_topic};
use crate::machine::Folder;
use crate::peer::Mosquitto;
use crate::report::{Goal, Report};
use crate::sample::median;
use crate::server::Server;
use anyhow::Result;
use std::net::SocketAddr;
use std::time::Duration;

/// Rate, median and 99th percentile of one kind of load, round by round.
#[derive(Default)]
struct Rounds {
    rate: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Rounds {
    fn run(&mut self, load: &Load) -> Result<()> {
        let mut seen = load::run(load)?;
        self.rate.push(seen.rate());
        self.p50.push(seen.latency.quantile_ms(0.5));
        self.p99.push(seen.latency.quantile_ms(0.99));
        Ok(())
    }
}

struct Shape {
    name: &'static str,
    key: &'static str,
    publishers: usize,
    in_flight: usize,
    goals: [Goal; 3],
}

const SHAPES: [Shape; 3] = [
    Shape { name: "100 publishers × 20 in flight", key: "x20", publishers: 100, in_flight: 20, goals: [Goal::AtLeast(20_000.0), Goal::None, Goal::None] },
    Shape {
        name: "100 publishers × 1 in flight",
        key: "x1",
        publishers: 100,
        in_flight: 1,
        goals: [Goal::AtLeast(20_000.0), Goal::AtMost(5.0), Goal::AtMost(15.0)],
    },
    Shape { name: "1 publisher × 1 in flight", key: "single", publishers: 1, in_flight: 1, goals: [Goal::None; 3] },
];

/// Measures.
pub fn measure(span: Duration) -> Result<Report> {
    let core = server_core();
    let peer = Mosquitto::start(core)?;
    let folder = Folder::new("durable")?;
    let server = Server::start(&folder, core)?;
    let mut report = Report::new("durable");
    for shape in &SHAPES {
        let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
        let load =
            |addr: SocketAddr| Load { addr, publishers: shape.publishers, in_flight: shape.in_flight, span: span / 2, topic: event_topic, payload: event };
        // The first seconds of a process are not its usual ones.
        load::run(&Load { span: Duration::from_millis(300), ..load(server.ports.mqtt) })?;
        for _ in 0..ROUNDS {
            ours.run(&load(server.ports.mqtt))?;
            if let Some(peer) = &peer {
                theirs.run(&load(peer.addr))?;
            }
        }
        let [rate, p50, p99] = shape.goals;
        let other = |values: &[f64]| peer.is_some().then(|| median(values));
        report.line(format!("{}: acknowledged", shape.name), format!("{}_msg_per_s", shape.key), "msg/s", median(&ours.rate), other(&theirs.rate), rate);
        report.line(format!("{}: p50", shape.name), format!("{}_p50_ms", shape.key), "ms", median(&ours.p50), other(&theirs.p50), p50);
        report.line(format!("{}: p99", shape.name), format!("{}_p99_ms", shape.key), "ms", median(&ours.p99), other(&theirs.p99), p99);
    }
    report.peer = peer.map(|peer| peer.name);
    report.note("our PUBACK means: committed to SQLite with fsync. Mosquitto's means: taken into memory; with Debian's settings it writes its database every 30 min and at an orderly stop, so a kill loses what it acknowledged");
    report.note(format!("median of {ROUNDS} alternating runs of {:.1} s each; an RTK event of about 200 bytes", (span / 2).as_secs_f64()));
    Ok(report)
}
