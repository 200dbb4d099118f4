//! From the file of a home to a house that stands.

use super::state::{Client, Doing, LeaseFrom, Loads, Neighbour, Node, Pool, Radio, Role, Session, Shaper, Spot, Trouble};
use super::{House, Trace};
use crate::clock::Clock;
use crate::error::HomeError;
use crate::file::place::{span, time_of_day};
use crate::file::{self, HomeFile, LineKind};
use crate::physics::machine;
use crate::random::{Random, fixed_unit, key};
use std::collections::{BTreeMap, VecDeque};

impl House {
    /// Builds the house. The same file, seed and calls give the same answers.
    pub fn new(file: HomeFile, seed: u64) -> Result<Self, HomeError> {
        let clock = Clock::new(time_of_day("site.start", &file.site.start)?, file.site.weekday, span("site.history", &file.site.history)?);
        let nodes: Vec<Node> = build_nodes(&file);
        let clients = file.clients.iter().enumerate().map(|(index, client)| build_client(&file, seed, index, client)).collect::<Result<Vec<_>, _>>()?;
        let troubles = file
            .events
            .iter()
            .enumerate()
            .map(|(index, event)| {
                let window = event.when.read(&format!("event {}", index + 1))?;
                Ok(Trouble { window, fault: event.fault.clone(), active: false, since: 0.0, eased_until: f64::NEG_INFINITY })
            })
            .collect::<Result<Vec<_>, HomeError>>()?;
        let neighbours = file
            .neighbours
            .iter()
            .enumerate()
            .map(|(index, neighbour)| Neighbour { load: neighbour.load, bssid: format!("0200000f{:04x}", index + 1), file: neighbour.clone() })
            .collect();
        let delivered = file.plan.delivered.unwrap_or(0.95 + 0.13 * fixed_unit(seed, &[key("delivered")]));
        let mut house = House {
            seed,
            random: Random::new(seed),
            clock,
            loads: Loads {
                client_down: vec![0.0; clients.len()],
                client_up: vec![0.0; clients.len()],
                air_own: nodes.iter().map(|node| vec![0.02; node.radios.len()]).collect(),
                ..Loads::default()
            },
            airs: Vec::new(),
            obstacles: Vec::new(),
            nodes,
            clients,
            neighbours,
            troubles,
            pool: Pool {
                subnet: file.dhcp.subnet.clone(),
                first: file.dhcp.first,
                last: file.dhcp.last,
                lease_s: file.dhcp.lease_s,
                extra_used: file.dhcp.extra_used,
                ping_check: file.dhcp.ping_check,
                block_others: false,
            },
            dns_servers: file.dns.servers.clone(),
            shaper: Shaper {
                enabled: file.qos.enabled,
                policy: file.qos.enabled.then(|| "preset".into()),
                cap_down: file.qos.cap_down_mbps,
                cap_up: file.qos.cap_up_mbps,
                rules: Vec::new(),
            },
            session: Session {
                address: if file.plan.kind == LineKind::Radio { "100.72.9.31" } else { "203.0.113.9" }.into(),
                since: -file.router.uptime_days * 86_400.0,
                down_until: f64::NEG_INFINITY,
                port_up: true,
                flaps: Vec::new(),
            },
            delivered,
            runs: BTreeMap::new(),
            next_ticket: 1,
            happenings: Vec::new(),
            trace: Trace::default(),
            noise: true,
            file,
        };
        house.measure_obstacles();
        house.refresh_air();
        house.join_everybody();
        house.begin_sessions();
        house.step(0.0);
        house.advance(std::time::Duration::from_secs_f64(-house.now()));
        house.happenings.clear();
        Ok(house)
    }
}

fn spot_of(file: &HomeFile, room: &str, at: Option<[f64; 2]>, shift: [f64; 2]) -> Spot {
    let room = file.rooms.iter().find(|known| known.name == room);
    let (x, y, floor) = room.map_or((0.0, 0.0, 0), |room| (room.x, room.y, room.floor));
    let [x, y] = at.unwrap_or([x + shift[0], y + shift[1]]);
    Spot { x, y, floor }
}

fn build_nodes(file: &HomeFile) -> Vec<Node> {
    let roles = std::iter::once(Role::Router).chain(file.access_points.iter().map(|_| Role::AccessPoint)).chain(file.mesh_nodes.iter().map(|_| Role::MeshNode));
    file.nodes().zip(roles).map(|(node, role)| build_node(file, node, role)).collect()
}

fn build_node(file: &HomeFile, node: &file::Node, role: Role) -> Node {
    Node {
        id: node.id.clone(),
        name: node.name.clone(),
        model: node.model.clone(),
        role,
        room: node.room.clone(),
        spot: spot_of(file, &node.room, node.at, [0.0, 0.0]),
        radios: node.radios.iter().map(build_radio).collect(),
        backhaul: node.backhaul.clone(),
        machine: node.machine,
        placement: node.placement,
        thermometer: node.thermometer,
        die_c: machine::settled_c(file.site.ambient_c, node.placement, machine::watts(0.1, 0.3)),
        memory_percent: 45.0,
        core_max_percent: 8.0,
        up_since: -node.uptime_days * 86_400.0,
        down_until: f64::NEG_INFINITY,
        boots: Vec::new(),
        log: VecDeque::new(),
        throttled: false,
        noise_rise_db: 0.0,
        antenna_loss_db: 0.0,
    }
}

fn build_radio(radio: &file::RadioFile) -> Radio {
    Radio {
        interface: radio.interface.clone(),
        band: radio.band,
        channel: radio.channel,
        width_mhz: radio.width_mhz,
        power_dbm: radio.power_dbm,
        generation: radio.generation,
        streams: radio.streams,
        chains: radio.chains,
        airtime_fair: radio.airtime_fairness,
        silent_until: f64::NEG_INFINITY,
        closed: Vec::new(),
    }
}

fn build_client(file: &HomeFile, seed: u64, index: usize, client: &file::Client) -> Result<Client, HomeError> {
    let name = key(&client.mac);
    let shift = [0, 1].map(|axis| 2.0 * fixed_unit(seed, &[name, axis]) - 1.0);
    let doing = client
        .habits
        .iter()
        .map(|habit| Ok(Doing { window: habit.window(&client.name)?, part: habit.part, minutes: habit.minutes, need: habit.need(), until: None }))
        .collect::<Result<Vec<_>, HomeError>>()?;
    let host = usize::from(file.dhcp.first) + 1 + index;
    Ok(Client {
        spot: spot_of(file, &client.room, client.at, shift),
        link: None,
        back_at: 0.0,
        last_node: None,
        refused: None,
        address: format!("{}.{}", file.dhcp.subnet, host.min(254)),
        lease: LeaseFrom::Router,
        doing,
        drops: Vec::new(),
        roams: Vec::new(),
        last_reason: "none",
        file: client.clone(),
    })
}
