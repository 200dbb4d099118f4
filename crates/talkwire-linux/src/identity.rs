//! Who the machine is when nobody says it: an id from its first real port, a type from what it does.

use crate::ports;
use crate::root::Root;
use crate::route;
use talkwire_proto::id::DeviceId;

/// The MAC address of the first real port: of hardware before software, wired before wireless, by name.
pub(crate) fn device_id(root: &Root) -> Option<DeviceId> {
    let rank = |name: &str| match ports::kind(root, name) {
        "ethernet" => Some(0),
        "wifi" => Some(1),
        "bridge" | "bond" => Some(2),
        "virtual" => Some(3),
        _ => None,
    };
    let mut ports: Vec<_> = ports::names(root).into_iter().filter_map(|name| Some((rank(&name)?, ports::mac_of(root, &name)?))).collect();
    // The sort keeps the order of names within a rank.
    ports.sort_by_key(|(rank, _)| *rank);
    ports.first().and_then(|(_, mac)| mac.parse().ok())
}

/// What the machine does: `router` when it forwards between ports, `access_point` when it has a radio on a bridge, else `linux`.
pub(crate) fn device_type(root: &Root) -> &'static str {
    let names = ports::names(root);
    let kinds: Vec<_> = names.iter().map(|name| ports::kind(root, name)).collect();
    let forwards = root.whole("proc/sys/net/ipv4/ip_forward") == Some(1);
    let out = route::way_out(root).flatten().map(|way| way.interface);
    let inner = |name: &String| Some(name) != out.as_ref() && matches!(ports::kind(root, name), "ethernet" | "wifi" | "bridge" | "virtual" | "vlan");
    let bridged_radio = names.iter().any(|name| ports::is_wifi(root, name) && root.has(&format!("sys/class/net/{name}/master")));
    match () {
        () if forwards && out.as_ref().is_some_and(|out| ports::kind(root, out) != "bridge") && names.iter().any(inner) => "router",
        () if bridged_radio && kinds.contains(&"bridge") => "access_point",
        () => "linux",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        for port in fs::read_dir(folder.path().join("sys/class/net")).unwrap() {
            fs::write(port.unwrap().path().join("operstate"), "up\n").unwrap();
        }
        let root = Root::new(folder.path());
        (folder, root)
    }

    const VETH: [(&str, &str); 4] = [
        ("sys/class/net/eth0/type", "1\n"),
        ("sys/class/net/eth0/address", "02:00:00:00:00:09\n"),
        ("sys/class/net/lo/type", "772\n"),
        ("sys/class/net/lo/address", "00:00:00:00:00:00\n"),
    ];

    #[test]
    fn hardware_names_the_device_before_software() {
        let (_folder, root) = machine(&VETH);
        assert_eq!(device_id(&root).unwrap().as_str(), "020000000009");
        let (_folder, root) = machine(
            &[
                &VETH[..],
                &[("sys/class/net/enp3s0/type", "1\n"), ("sys/class/net/enp3s0/address", "02:00:00:00:00:03\n"), ("sys/class/net/enp3s0/device/vendor", "1\n")],
            ]
            .concat(),
        );
        assert_eq!(device_id(&root).unwrap().as_str(), "020000000003");
        let (_folder, root) = machine(&VETH[2..]);
        assert_eq!(device_id(&root), None);
    }

    #[test]
    fn a_machine_that_forwards_is_a_router() {
        let route = "Iface\tDestination\neth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
        let lan = [("sys/class/net/lan0/type", "1\n"), ("proc/net/route", route)];
        let (_folder, root) = machine(&[&VETH[..], &lan, &[("proc/sys/net/ipv4/ip_forward", "1\n")]].concat());
        assert_eq!(device_type(&root), "router");
        let (_folder, root) = machine(&[&VETH[..], &lan, &[("proc/sys/net/ipv4/ip_forward", "0\n")]].concat());
        assert_eq!(device_type(&root), "linux");
    }

    #[test]
    fn a_radio_on_a_bridge_is_an_access_point() {
        let (_folder, root) = machine(&[
            ("sys/class/net/wlan0/uevent", "DEVTYPE=wlan\n"),
            ("sys/class/net/wlan0/master/ifindex", "3\n"),
            ("sys/class/net/br0/bridge/stp_state", "0\n"),
        ]);
        assert_eq!(device_type(&root), "access_point");
    }
}
