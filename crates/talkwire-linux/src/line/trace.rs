//! `network.trace_route`: which routers lie on the way, and where the packets get lost.

use super::icmp::{Incoming, Said, is_private};
use super::ping::{self, Pinger};
use crate::figures::{loss_percent, quantile};
use crate::machine::Machine;
use crate::tool::{LinuxTool, cheap, limited};
use crate::{args, target};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use talkwire_device::{Args, ToolError};
use tokio::time::{Instant, timeout_at};

const OP: &str = "network.trace_route";
const HOPS: u64 = 15;
/// Each hop is asked so often.
const ROUNDS: u16 = 4;
const PATIENCE: Duration = Duration::from_millis(1300);
/// Packets are sent this far apart: routers answer only so many at once.
const APART: Duration = Duration::from_millis(15);
/// Silent hops that are still listed behind the last that answered.
const SILENT: usize = 3;
/// The number of a request is `round * STRIDE + hops`.
const STRIDE: u16 = 256;

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    if !ping::raw_permitted() {
        return LinuxTool::lacking(OP, "no_permission_for_raw_sockets");
    }
    let machine = machine.clone();
    LinuxTool::new(OP, limited(cheap(6000), 2), move |call| {
        let machine = machine.clone();
        async move { answer(&machine, &call.args).await }
    })
}

async fn answer(machine: &Machine, args: &Args) -> Result<Value, ToolError> {
    let host = args::host(args, "target")?;
    let most = args::whole(args, "max_hops", 1..=64)?.unwrap_or(HOPS);
    let fallback = machine.surroundings.public.first().map(ToString::to_string);
    let host = host.or(fallback).ok_or_else(|| ToolError::invalid_args("args.target is needed, as no public address is configured"))?;
    let ip = target::resolve(&host).await?;
    let pinger = Pinger::open().map_err(|error| ToolError::not_available("no_permission_for_raw_sockets", format!("no raw socket: {error}")))?;
    let mut seen = vec![Hop::default(); usize::try_from(most).unwrap_or(64)];
    for round in 0..ROUNDS {
        let far = seen.iter().position(|hop| hop.is_target).map_or(seen.len(), |place| place + 1);
        seen.truncate(far);
        walk(&pinger, ip, round, &mut seen).await;
    }
    Ok(report(&host, ip, &seen))
}

/// What was seen at one distance.
#[derive(Debug, Clone, Default, PartialEq)]
struct Hop {
    address: Option<Ipv4Addr>,
    sent: usize,
    times_ms: Vec<f64>,
    is_target: bool,
}

/// One packet to each distance. Answers are read while further packets go out.
async fn walk(pinger: &Pinger, target: Ipv4Addr, round: u16, seen: &mut [Hop]) {
    let mut sent_at = Vec::with_capacity(seen.len());
    for place in 0..seen.len() {
        let hops = u8::try_from(place + 1).unwrap_or(u8::MAX);
        seen[place].sent += 1;
        sent_at.push(Instant::now());
        if pinger.set_hops(hops).is_ok() {
            // Refused by the machine itself is as lost as on the way.
            let _ = pinger.send(target, round * STRIDE + u16::from(hops), 32).await;
        }
        let next = Instant::now() + APART;
        while let Ok(Ok((incoming, from))) = timeout_at(next, pinger.next()).await {
            note(seen, &sent_at, round, target, incoming, from);
        }
        tokio::time::sleep_until(next).await;
    }
    let end = Instant::now() + PATIENCE;
    // What lies behind the target need not be waited for.
    let done = |seen: &[Hop]| {
        let far = seen.iter().position(|hop| hop.is_target).map_or(seen.len(), |place| place + 1);
        seen.iter().take(far).all(|hop| hop.times_ms.len() > usize::from(round))
    };
    while !done(seen) {
        let Ok(Ok((incoming, from))) = timeout_at(end, pinger.next()).await else { return };
        note(seen, &sent_at, round, target, incoming, from);
    }
}

fn note(seen: &mut [Hop], sent_at: &[Instant], round: u16, target: Ipv4Addr, incoming: Incoming, from: Ipv4Addr) {
    let place = usize::from(incoming.seq % STRIDE).wrapping_sub(1);
    let (Some(hop), Some(at)) = (seen.get_mut(place), sent_at.get(place)) else { return };
    if incoming.seq / STRIDE != round || hop.times_ms.len() > usize::from(round) {
        return;
    }
    let is_target = incoming.said == Said::Reply && from == target;
    // "Cannot be reached" is said instead of an answer: who says it is the end of the way, but not the target.
    if incoming.said == Said::Reply && !is_target {
        return;
    }
    hop.times_ms.push(at.elapsed().as_secs_f64() * 1000.0);
    hop.address = hop.address.or(Some(from));
    hop.is_target |= is_target;
}

fn report(host: &str, target: Ipv4Addr, seen: &[Hop]) -> Value {
    let reached = seen.iter().position(|hop| hop.is_target);
    let last_ok = reached.or_else(|| seen.iter().rposition(|hop| hop.address.is_some())).map_or(0, |place| place + 1);
    let shown = reached.map_or((last_ok + SILENT).min(seen.len()), |place| place + 1);
    let loss: Vec<f64> = seen.iter().take(shown).map(|hop| loss_percent(hop.sent, hop.times_ms.len())).collect();
    // A lossy hop in the middle only answers seldom; a loss counts where it goes on to the end.
    let loss_from = match reached {
        None => Some(last_ok + 1),
        Some(_) => loss.iter().rposition(|percent| *percent == 0.0).map_or(Some(1), |clean| Some(clean + 2)).filter(|from| *from <= shown),
    };
    let private = seen.iter().take(last_ok).take_while(|hop| hop.address.is_some_and(is_private)).count();
    let hops = seen.iter().take(shown).zip(&loss).enumerate().map(|(place, (hop, loss))| {
        json!({"hop": place + 1, "address": hop.address, "rtt_ms": quantile(&hop.times_ms, 0.5), "loss_percent": loss,
            "private": hop.address.is_some_and(is_private)})
    });
    json!({"target": host, "address": target, "reached": reached.is_some(), "hops": hops.collect::<Vec<_>>(), "private_hops": private,
        "last_ok": last_ok, "loss_from": loss_from})
}

/// Who answers at a distance, when raw sockets are permitted.
pub(super) async fn hop(target: Ipv4Addr, hops: u8) -> Option<Ipv4Addr> {
    if !ping::raw_permitted() {
        return None;
    }
    let pinger = Pinger::open().ok()?;
    pinger.set_hops(hops).ok()?;
    for seq in 0..3 {
        pinger.send(target, seq, 32).await.ok()?;
        let end = Instant::now() + Duration::from_millis(700);
        while let Ok(Ok((incoming, from))) = timeout_at(end, pinger.next()).await {
            if incoming.said == Said::Expired {
                return Some(from);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 80);

    fn hop(last: Option<u8>, answers: usize) -> Hop {
        let address = last.map(|last| Ipv4Addr::new(10, 0, 0, last));
        Hop { address, sent: 4, times_ms: vec![2.0; answers], is_target: false }
    }

    fn target(answers: usize) -> Hop {
        Hop { address: Some(TARGET), is_target: true, ..hop(None, answers) }
    }

    #[test]
    fn a_lossy_hop_in_the_middle_is_no_loss() {
        let report = report("x", TARGET, &[hop(Some(1), 4), hop(Some(2), 1), target(4)]);
        assert_eq!((&report["reached"], &report["loss_from"], &report["last_ok"], &report["private_hops"]), (&json!(true), &Value::Null, &json!(3), &json!(2)));
        assert_eq!(report["hops"][1]["loss_percent"], 75.0);
    }

    #[test]
    fn a_loss_that_goes_on_to_the_end_is_told_from_its_first_hop() {
        assert_eq!(report("x", TARGET, &[hop(Some(1), 4), hop(Some(2), 2), target(3)])["loss_from"], 2);
        assert_eq!(report("x", TARGET, &[hop(Some(1), 3), target(3)])["loss_from"], 1);
    }

    #[test]
    fn a_way_that_ends_names_its_last_hop_and_few_silent_ones() {
        let mut seen = vec![hop(Some(1), 4), hop(None, 0), hop(Some(3), 4)];
        seen.resize(15, hop(None, 0));
        let report = report("x", TARGET, &seen);
        assert_eq!((&report["reached"], &report["last_ok"], &report["loss_from"]), (&json!(false), &json!(3), &json!(4)));
        assert_eq!((report["hops"].as_array().map(Vec::len), &report["hops"][1]["address"]), (Some(6), &Value::Null));
        let nothing = super::report("x", TARGET, &vec![hop(None, 0); 15]);
        assert_eq!((&nothing["last_ok"], &nothing["loss_from"]), (&json!(0), &json!(1)));
    }
}
