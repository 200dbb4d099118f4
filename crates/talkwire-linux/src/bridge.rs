//! Bridges: their ports, and behind which port a MAC address was learned, from `/sys/class/net/*/brforward`.

use crate::root::Root;

const FOLDER: &str = "sys/class/net";
/// Bytes of one entry of the kernel's table.
const ENTRY: usize = 16;
const MOST: usize = 4096;

/// One learned address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Learned {
    pub(crate) mac: String,
    pub(crate) port: u16,
    /// It belongs to the bridge itself.
    pub(crate) is_local: bool,
    /// Seconds since it was seen last.
    pub(crate) age_s: u32,
}

/// The bridges of the machine.
pub(crate) fn bridges(root: &Root) -> Vec<String> {
    root.names(FOLDER).into_iter().filter(|name| root.has(&format!("{FOLDER}/{name}/bridge"))).collect()
}

/// The ports of a bridge, by their numbers.
pub(crate) fn ports(root: &Root, bridge: &str) -> Vec<(u16, String)> {
    let number = |port: &str| {
        let text = root.word(&format!("{FOLDER}/{bridge}/brif/{port}/port_no"))?;
        u16::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    };
    root.names(&format!("{FOLDER}/{bridge}/brif")).into_iter().filter_map(|port| Some((number(&port)?, port))).collect()
}

pub(crate) fn learned(root: &Root, bridge: &str) -> Vec<Learned> {
    root.bytes(&format!("{FOLDER}/{bridge}/brforward")).map(|bytes| parse(&bytes)).unwrap_or_default()
}

/// The name of the port behind which an address was learned.
pub(crate) fn port_of(root: &Root, bridge: &str, mac: &str) -> Option<String> {
    let entry = learned(root, bridge).into_iter().find(|entry| entry.mac == mac && !entry.is_local)?;
    ports(root, bridge).into_iter().find(|(number, _)| *number == entry.port).map(|(_, name)| name)
}

/// Entries of `mac[6] port_low local age[4] port_high pad[3]`, the age in hundredths of a second.
fn parse(bytes: &[u8]) -> Vec<Learned> {
    let entry = |entry: &[u8]| {
        let [m0, m1, m2, m3, m4, m5, low, local, a0, a1, a2, a3, high, ..] = *entry else { return None };
        let mac = [m0, m1, m2, m3, m4, m5].iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Learned { mac, port: u16::from_be_bytes([high, low]), is_local: local != 0, age_s: u32::from_ne_bytes([a0, a1, a2, a3]) / 100 })
    };
    bytes.chunks_exact(ENTRY).filter_map(entry).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learned_addresses_are_read() {
        let mut bytes = vec![2, 0, 0, 0, 0xee, 1, 3, 0];
        bytes.extend(1234_u32.to_ne_bytes());
        bytes.extend([1, 0, 0, 0, 9, 9]);
        let wanted = Learned { mac: "02000000ee01".into(), port: 0x103, is_local: false, age_s: 12 };
        assert_eq!(parse(&bytes), [wanted]);
    }
}
