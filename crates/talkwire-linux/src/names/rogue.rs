//! `dhcpdns.scan_rogue`: who answers a question for an address? Real DISCOVERs go out; no address is taken.

use super::config::serves;
use super::dhcp::{self, Offer};
use super::{dns, server};
use crate::machine::Machine;
use crate::tool::{LinuxTool, all, limited, medium};
use crate::{address, args, bridge, ports};
use serde_json::{Value, json};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use talkwire_device::{Args, ToolError};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

const OP: &str = "dhcpdns.scan_rogue";
const LISTEN_S: u64 = 6;
/// Longer than this does not fit into the catalogue's 30 s.
const MOST_S: u64 = 25;
const CLIENT: u16 = 68;
const SERVER: u16 = 67;
const ETHERTYPE_IPV4: u16 = 0x0800;
/// When the question is asked, after the beginning. A server that checks an address first answers after a second or two.
const ASK_AT: [Duration; 3] = [Duration::ZERO, Duration::from_millis(1200), Duration::from_millis(3500)];
const MOST_INTERFACES: usize = 8;
const MOST_SERVERS: usize = 32;

pub(crate) fn tool(machine: &Arc<Machine>) -> LinuxTool {
    if raw().is_err() {
        return LinuxTool::lacking(OP, "no_permission_for_raw_sockets");
    }
    let machine = machine.clone();
    LinuxTool::new(OP, limited(medium(10_000), 1), move |call| {
        let machine = machine.clone();
        async move { answer(&machine, &call.args).await }
    })
}

/// An offer, where and from whom.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    interface: String,
    offer: Offer,
    /// The address in the packet; `offer.server` is what the server calls itself.
    from: Ipv4Addr,
    mac: Option<[u8; 6]>,
}

impl Found {
    fn server(&self) -> Ipv4Addr {
        self.offer.server.unwrap_or(self.from)
    }
}

async fn answer(machine: &Machine, args: &Args) -> Result<Value, ToolError> {
    let root = &machine.root;
    let listen_s = args::whole(args, "scan_timeout", 1..=60)?.unwrap_or(LISTEN_S).min(MOST_S);
    let asked = args::interface(args, "interface")?;
    let own = address::all(root).await;
    let interfaces = match asked {
        Some(name) => {
            ports::must_be(root, &name)?;
            vec![name]
        }
        None => inside(machine, &own).await,
    };
    if interfaces.is_empty() {
        return Err(ToolError::failed("no interface with clients is known; name one with args.interface"));
    }
    let listen = Duration::from_secs(listen_s);
    let scans = interfaces.iter().map(|interface| scan(machine, interface.clone(), listen)).collect();
    let mut found: BTreeMap<(String, Ipv4Addr), Found> = BTreeMap::new();
    let mut problems = Vec::new();
    for (interface, scanned) in interfaces.iter().zip(all(scans).await) {
        match scanned {
            Ok(offers) => {
                for offer in offers {
                    let key = (interface.clone(), offer.server());
                    // The frame tells more than the datagram.
                    if offer.mac.is_some() || !found.contains_key(&key) {
                        found.insert(key, offer);
                    }
                }
            }
            Err(error) => problems.push(format!("{interface}: {error}")),
        }
    }
    if problems.len() == interfaces.len() {
        return Err(ToolError::failed(format!("the question for an address cannot be sent: {}", problems.join("; "))));
    }
    let found: Vec<Found> = found.into_values().collect();
    let ours: Vec<Ipv4Addr> = own.iter().map(|address| address.ip).collect();
    let gateway = machine.way_out().and_then(|way| way.gateway);
    let serves = serves(server::find(root).as_ref());
    let rogue = rogue(&found, &ours, gateway, serves);
    let rows: Vec<Value> = rogue.iter().map(|found| row(machine, found)).collect();
    let mut result = json!({"rogue_dhcp_detected": !rows.is_empty(), "rogue_servers": rows, "servers_seen": found.len(), "interfaces": interfaces,
        "servers": found.iter().map(|found| json!({"ip_address": found.server(), "interface": found.interface, "own": ours.contains(&found.server())})).collect::<Vec<_>>()});
    if !problems.is_empty() {
        result["not_scanned"] = json!(problems);
    }
    Ok(result)
}

/// The interfaces with clients behind them: all with an address but the way out; on a machine with one port, that port.
async fn inside(machine: &Machine, own: &[address::Address]) -> Vec<String> {
    let way_out = machine.way_out().map(|way| way.interface);
    let mut names: Vec<String> = own.iter().map(|address| address.interface.clone()).filter(|name| Some(name) != way_out.as_ref()).collect();
    if names.is_empty() || !machine.is_router().await {
        names.extend(way_out);
    }
    names.sort();
    names.dedup();
    names.retain(|name| ports::mac_of(&machine.root, name).is_some());
    names.truncate(MOST_INTERFACES);
    names
}

/// The servers that should not be there. A machine that serves itself wants no other; on the rest the one that names the known gateway is right.
fn rogue(found: &[Found], ours: &[Ipv4Addr], gateway: Option<Ipv4Addr>, serves: bool) -> Vec<Found> {
    let mut foreign: Vec<Found> = found.iter().filter(|found| !ours.contains(&found.server())).cloned().collect();
    if !serves {
        let is_known = |found: &Found| {
            let named = found.offer.gateway;
            (gateway.is_some() && (Some(found.server()) == gateway || named == gateway)) || named.is_some_and(|ip| ours.contains(&ip))
        };
        // The gateway itself is the likeliest of those that name it.
        let right = foreign.iter().position(|found| Some(found.server()) == gateway).or_else(|| foreign.iter().position(is_known));
        if let Some(place) = right {
            foreign.remove(place);
        } else if gateway.is_none() && !foreign.is_empty() {
            // Nothing is known of this network: the first that answers is nobody's rival.
            foreign.remove(0);
        }
    }
    foreign
}

fn row(machine: &Machine, found: &Found) -> Value {
    let hex = found.mac.map(|mac| mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let port = hex.as_deref().and_then(|mac| bridge::port_of(&machine.root, &found.interface, mac)).unwrap_or_else(|| found.interface.clone());
    let prefix = found.offer.netmask.map(|mask| u32::from(mask).leading_ones() as u8);
    let net = prefix.zip(found.offer.address).map(|(prefix, ip)| format!("{}/{prefix}", address::network(ip, prefix)));
    json!({"ip_address": found.server(), "mac_address": hex, "offered_gateway": found.offer.gateway, "offered_subnet": net, "offered_address": found.offer.address,
        "offered_dns": found.offer.resolvers, "lease_s": found.offer.lease_s, "interface": found.interface, "port": port})
}

/// Asks on one interface and collects the offers.
async fn scan(machine: &Machine, interface: String, listen: Duration) -> io::Result<Vec<Found>> {
    let mac = ports::mac_of(&machine.root, &interface).and_then(|digits| bytes(&digits)).ok_or_else(|| io::Error::other("it has no MAC address"))?;
    let transaction = (u32::from(dns::random()) << 16) | u32::from(dns::random());
    let message = dhcp::discover(transaction, mac);
    let frames = frames()?;
    let datagrams = datagrams(&interface)?;
    let began = Instant::now();
    let (end, mut asked, mut found) = (began + listen, 0, Vec::new());
    let (mut frame, mut datagram) = (vec![0; 4096], vec![0; 4096]);
    let mut sent = None;
    while Instant::now() < end && found.len() < MOST_SERVERS {
        if ASK_AT.get(asked).is_some_and(|at| began + *at <= Instant::now()) {
            asked += 1;
            let result = datagrams.send_to(&message, SocketAddr::from((Ipv4Addr::BROADCAST, SERVER))).await;
            sent = Some(match sent {
                Some(Ok(())) => Ok(()),
                _ => result.map(drop),
            });
        }
        let wake = ASK_AT.get(asked).map_or(end, |at| began + *at).min(end);
        tokio::select! {
            () = sleep_until(wake) => {}
            // A frame tells the server's MAC address, and is seen even where the kernel would drop an answer from a foreign network.
            Ok(length) = frames.recv(&mut frame) => {
                let heard = frame.get(..length).and_then(dhcp::unwrap_frame);
                found.extend(heard.and_then(|(message, sender, from)| Some(Found { interface: interface.clone(), offer: dhcp::parse(message, transaction, mac)?, from, mac: Some(sender) })));
            }
            // The server of this machine is heard only so.
            Ok((length, from)) = datagrams.recv_from(&mut datagram) => {
                let offer = datagram.get(..length).and_then(|message| dhcp::parse(message, transaction, mac));
                if let (Some(offer), SocketAddr::V4(from)) = (offer, from) {
                    found.push(Found { interface: interface.clone(), offer, from: *from.ip(), mac: None });
                }
            }
        }
    }
    match sent {
        Some(Err(error)) => Err(error),
        _ => Ok(found),
    }
}

fn bytes(digits: &str) -> Option<[u8; 6]> {
    let number = u64::from_str_radix(digits, 16).ok()?;
    number.to_be_bytes().get(2..)?.try_into().ok()
}

/// A socket bound to the interface. Port 68 is shared with a client that may run there; when that is refused another port serves to ask.
fn datagrams(interface: &str) -> io::Result<UdpSocket> {
    let open = |port: u16| -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_broadcast(true)?;
        socket.bind_device(Some(interface.as_bytes()))?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
        Ok(socket)
    };
    let socket = open(CLIENT).or_else(|_| open(0))?;
    UdpSocket::from_std(socket.into())
}

/// A socket that hears frames to the port of DHCP clients, on all interfaces.
fn frames() -> io::Result<UdpSocket> {
    UdpSocket::from_std(raw()?.into())
}

fn raw() -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(ETHERTYPE_IPV4.to_be()))))?;
    socket.attach_filter(&filter())?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// IPv4, UDP, whole, to port 68: all else is dropped before it wakes us.
fn filter() -> [SockFilter; 11] {
    const HALF: u16 = 0x28;
    const BYTE: u16 = 0x30;
    const IS: u16 = 0x15;
    const HAS: u16 = 0x45;
    const HEADER: u16 = 0xb1;
    const HALF_BEHIND: u16 = 0x48;
    const RETURN: u16 = 0x06;
    [
        SockFilter::new(HALF, 0, 0, 12),
        SockFilter::new(IS, 0, 8, u32::from(ETHERTYPE_IPV4)),
        SockFilter::new(BYTE, 0, 0, 23),
        SockFilter::new(IS, 0, 6, 17),
        SockFilter::new(HALF, 0, 0, 20),
        SockFilter::new(HAS, 4, 0, 0x1fff),
        SockFilter::new(HEADER, 0, 0, 14),
        SockFilter::new(HALF_BEHIND, 0, 0, 16),
        SockFilter::new(IS, 0, 1, u32::from(CLIENT)),
        SockFilter::new(RETURN, 0, 0, 0xffff),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(server: [u8; 4], gateway: [u8; 4]) -> Found {
        let offer = Offer { server: Some(server.into()), gateway: Some(gateway.into()), ..Offer::default() };
        Found { interface: "br-lan".into(), offer, from: server.into(), mac: None }
    }

    #[test]
    fn a_machine_that_serves_wants_no_other() {
        let offers = [found([192, 168, 1, 1], [192, 168, 1, 1]), found([192, 168, 77, 1], [192, 168, 77, 1])];
        let rogue = rogue(&offers, &[[192, 168, 1, 1].into()], None, true);
        assert_eq!(rogue.iter().map(Found::server).collect::<Vec<_>>(), [Ipv4Addr::new(192, 168, 77, 1)]);
    }

    #[test]
    fn elsewhere_the_one_that_names_the_gateway_is_right() {
        let (right, second, foreign) =
            (found([192, 168, 1, 1], [192, 168, 1, 1]), found([192, 168, 1, 9], [192, 168, 1, 1]), found([10, 0, 0, 1], [10, 0, 0, 1]));
        let gateway = Some(Ipv4Addr::new(192, 168, 1, 1));
        assert_eq!(super::rogue(std::slice::from_ref(&right), &[], gateway, false), []);
        assert_eq!(super::rogue(&[second.clone(), right, foreign.clone()], &[], gateway, false), [second, foreign.clone()]);
        assert_eq!(super::rogue(&[foreign], &[], None, false), [], "nothing is known of the network");
    }

    #[test]
    fn digits_become_bytes() {
        assert_eq!(bytes("02000000a0ff"), Some([2, 0, 0, 0, 0xa0, 0xff]));
        assert_eq!(bytes("x"), None);
    }
}
