//! The file of a home: what stands where, who lives there, and what goes wrong when.

pub mod event;
pub mod line;
pub mod node;
pub mod people;
pub mod place;

use crate::error::HomeError;
use serde::{Deserialize, Serialize};
use std::path::Path;

pub use event::{Event, Fault, Window};
pub use line::{Dhcp, Dns, Kind as LineKind, Plan, Qos};
pub use node::{Backhaul, Node, RadioFile};
pub use people::{Activity, Client, ClientKind, Habit, Neighbour};
pub use place::{Passage, Room, Site, Wall};

/// A whole home, as written in TOML. Unknown keys are refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HomeFile {
    /// Where it is and when the clock starts.
    pub site: Site,
    /// The line that was bought.
    pub plan: Plan,
    /// Rooms, by name.
    #[serde(rename = "room")]
    pub rooms: Vec<Room>,
    /// Walls on the floor plan.
    #[serde(default, rename = "wall")]
    pub walls: Vec<Wall>,
    /// What stands between two rooms, instead of the walls of the plan.
    #[serde(default, rename = "passage")]
    pub passages: Vec<Passage>,
    /// The gateway.
    pub router: Node,
    /// Further access points, by cable or by radio.
    #[serde(default, rename = "access_point")]
    pub access_points: Vec<Node>,
    /// Mesh nodes.
    #[serde(default, rename = "mesh_node")]
    pub mesh_nodes: Vec<Node>,
    /// Everything that uses the network.
    #[serde(default, rename = "client")]
    pub clients: Vec<Client>,
    /// Foreign networks in the air.
    #[serde(default, rename = "neighbour")]
    pub neighbours: Vec<Neighbour>,
    /// Addresses.
    #[serde(default)]
    pub dhcp: Dhcp,
    /// Names.
    #[serde(default)]
    pub dns: Dns,
    /// The shaper as it is at the start.
    #[serde(default)]
    pub qos: Qos,
    /// What goes wrong, and when.
    #[serde(default, rename = "event")]
    pub events: Vec<Event>,
}

impl HomeFile {
    /// Reads a home from a file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, HomeError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| HomeError::Read { path: path.display().to_string(), source })?;
        Self::parse(&text)
    }

    /// Reads a home from its text.
    pub fn parse(text: &str) -> Result<Self, HomeError> {
        let file: HomeFile = toml::from_str(text)?;
        file.check()?;
        Ok(file)
    }

    /// All devices with radios: the router first.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        std::iter::once(&self.router).chain(&self.access_points).chain(&self.mesh_nodes)
    }

    fn check(&self) -> Result<(), HomeError> {
        self.site.check()?;
        self.dhcp.check()?;
        let room_known = |place: String, room: &str| {
            if self.rooms.iter().any(|known| known.name == room) {
                return Ok(());
            }
            Err(HomeError::invalid(place, format!("there is no room {room:?}, add a [[room]] with that name")))
        };
        let mut ids = std::collections::BTreeSet::new();
        for node in self.nodes() {
            let place = format!("device {:?}", node.name);
            room_known(place.clone(), &node.room)?;
            node.check(self.site.region)?;
            if !ids.insert(node.id.clone()) {
                return Err(HomeError::invalid(place, format!("the id {} is used twice", node.id)));
            }
        }
        for client in &self.clients {
            let place = format!("client {:?}", client.name);
            room_known(place.clone(), &client.room)?;
            client.check()?;
            if !ids.insert(client.mac.clone()) {
                return Err(HomeError::invalid(place, format!("the mac {} is used twice", client.mac)));
            }
            if let Some(ap) = &client.ap
                && !self.nodes().any(|node| &node.name == ap)
            {
                return Err(HomeError::invalid(place, format!("there is no access point named {ap:?}")));
            }
        }
        for (index, event) in self.events.iter().enumerate() {
            self.check_event(&format!("event {}", index + 1), event)?;
        }
        Ok(())
    }

    fn check_event(&self, place: &str, event: &Event) -> Result<(), HomeError> {
        event.when.check(place)?;
        let known = |name: &str| self.clients.iter().any(|client| client.name == name) || self.nodes().any(|node| node.name == name);
        match event.fault.names().into_iter().find(|name| !known(name)) {
            Some(name) => Err(HomeError::invalid(place, format!("there is no device or client named {name:?}"))),
            None => Ok(()),
        }
    }
}

pub(crate) fn check_mac(place: &str, mac: &str) -> Result<(), HomeError> {
    if mac.len() == 12 && mac.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Ok(());
    }
    Err(HomeError::invalid(place, format!("{mac:?} is not 12 lower-case hex digits")))
}
