//! The broker alone: QoS 1 from one client to another on a topic that is nobody's but theirs.

use super::{ROUNDS, server_core};
use crate::load::on_one_thread;
use crate::machine::Folder;
use crate::peer::Mosquitto;
use crate::report::{Goal, Report};
use crate::sample::{Samples, median};
use crate::server::Server;
use crate::wire::{Packet, Road, Wire};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const PAIRS: usize = 10;
const IN_FLIGHT: usize = 20;
/// Messages per second of all pairs together when the latency is measured.
const PACE: u32 = 1_000;
const PAYLOAD: usize = 200;

/// Measures.
pub fn measure(span: Duration) -> Result<Report> {
    let core = server_core();
    let peer = Mosquitto::start(core)?;
    let folder = Folder::new("p2p")?;
    let server = Server::start(&folder, core)?;
    let mut report = Report::new("p2p");
    let (mut ours, mut theirs) = ([vec![], vec![], vec![]], [vec![], vec![], vec![]]);
    let round = |addr: SocketAddr, into: &mut [Vec<f64>; 3]| -> Result<()> {
        let (count, _) = on_one_thread(exchange(addr, span / 2, None))?;
        into[0].push(count as f64 / (span / 2).as_secs_f64());
        let (_, mut latency) = on_one_thread(exchange(addr, span / 2, Some(Duration::from_secs(1) * PAIRS as u32 / PACE)))?;
        into[1].push(latency.quantile_ms(0.5));
        into[2].push(latency.quantile_ms(0.99));
        Ok(())
    };
    for _ in 0..ROUNDS {
        round(server.ports.mqtt, &mut ours)?;
        if let Some(peer) = &peer {
            round(peer.addr, &mut theirs)?;
        }
    }
    let other = |at: usize| peer.is_some().then(|| median(&theirs[at]));
    let least = other(0).map_or(Goal::None, Goal::AtLeast);
    report.line(format!("{PAIRS} pairs × {IN_FLIGHT} in flight: delivered"), "msg_per_s", "msg/s", median(&ours[0]), other(0), least);
    report.line(format!("p50 at {PACE} msg/s"), "p50_ms", "ms", median(&ours[1]), other(1), Goal::None);
    report.line(format!("p99 at {PACE} msg/s"), "p99_ms", "ms", median(&ours[2]), other(2), Goal::AtMost(1.0));
    report.peer = peer.map(|peer| peer.name);
    report.note(format!("a plain topic: neither broker writes to disk; {PAYLOAD} bytes, both legs QoS 1, median of {ROUNDS} alternating runs"));
    Ok(report)
}

/// Lets all pairs talk for `span`; returns how many messages arrived in it and how long they took. With `every`, each pair sends at that pace.
async fn exchange(addr: SocketAddr, span: Duration, every: Option<Duration>) -> Result<(u64, Samples)> {
    let began = Instant::now();
    let mut tasks = Vec::new();
    for pair in 0..PAIRS {
        let topic = format!("bench/p2p/{pair}");
        let mut listener = Wire::connect(addr, Road::Tcp, &format!("listener-{pair}")).await?;
        listener.subscribe(&topic, 1).await?;
        let talker = Wire::connect(addr, Road::Tcp, &format!("talker-{pair}")).await?;
        tasks.push((tokio::spawn(listen(listener, began)), tokio::spawn(talk(talker, topic, began, span, every))));
    }
    let (mut count, mut latency) = (0, Samples::default());
    for (listening, talking) in tasks {
        let sent = talking.await??;
        let (heard, samples) = listening.await??;
        anyhow::ensure!(heard == sent, "{sent} messages were acknowledged, but {heard} arrived");
        count += heard;
        latency.extend(samples);
    }
    Ok((count, latency))
}

/// Publishes with the time in each message; an empty message says that it was the last. Returns how many it sent.
async fn talk(mut wire: Wire, topic: String, began: Instant, span: Duration, every: Option<Duration>) -> Result<u64> {
    let start = began.elapsed();
    let (mut id, mut sent, mut waiting) = (0u16, 0u64, 0usize);
    let most = if every.is_some() { usize::from(u16::MAX) } else { IN_FLIGHT };
    let mut payload = [b'.'; PAYLOAD];
    let mut put = |wire: &mut Wire, waiting: &mut usize| {
        id = id.checked_add(1).unwrap_or(1);
        payload[..8].copy_from_slice(&(began.elapsed().as_nanos() as u64).to_be_bytes());
        wire.publish(&topic, &payload, id, false);
        *waiting += 1;
    };
    while began.elapsed() < start + span {
        match every {
            None => {
                while waiting < most {
                    put(&mut wire, &mut waiting);
                    sent += 1;
                }
                wire.flush().await?;
                acknowledged(&mut wire, &mut waiting).await?;
            }
            Some(every) => {
                put(&mut wire, &mut waiting);
                sent += 1;
                wire.flush().await?;
                let next = tokio::time::Instant::from_std(began + start + every * u32::try_from(sent).unwrap_or(u32::MAX));
                while tokio::time::timeout_at(next, acknowledged(&mut wire, &mut waiting)).await.is_ok() {}
            }
        }
    }
    while waiting > 0 {
        tokio::time::timeout(Duration::from_secs(10), acknowledged(&mut wire, &mut waiting)).await.context("no PUBACK came in 10 s")??;
    }
    wire.publish(&topic, b"", id.checked_add(1).unwrap_or(1), false);
    wire.flush().await?;
    wire.next().await?;
    Ok(sent)
}

async fn acknowledged(wire: &mut Wire, waiting: &mut usize) -> Result<()> {
    let mut packet = Some(wire.next().await?);
    while let Some(one) = packet {
        *waiting -= usize::from(matches!(one, Packet::Puback(_)));
        packet = wire.ready()?;
    }
    Ok(())
}

async fn listen(mut wire: Wire, began: Instant) -> Result<(u64, Samples)> {
    let (mut count, mut latency) = (0, Samples::default());
    loop {
        let mut packet = Some(tokio::time::timeout(Duration::from_secs(10), wire.next()).await.context("no message came in 10 s")??);
        while let Some(one) = packet {
            if let Packet::Publish { payload, id, .. } = one {
                wire.puback(id);
                let Some(sent) = payload.first_chunk::<8>() else {
                    wire.flush().await?;
                    return Ok((count, latency));
                };
                latency.push(began.elapsed().saturating_sub(Duration::from_nanos(u64::from_be_bytes(*sent))));
                count += 1;
            }
            packet = wire.ready()?;
        }
        wire.flush().await?;
    }
}
