//! Radios, clients of an access point, mesh and bridges, on machines made of files and programs that print what real ones print. No radio was there.

mod bench;

use bench::{Machine, none};
use serde_json::{Value, json};
use talkwire_proto::Code;

/// An access point with one radio on channel 6, neighbours around it, and one client.
fn access_point() -> Machine {
    let machine = Machine::router();
    machine.write("sys/class/ieee80211/phy0/index", "0\n");
    machine.program("iw", IW);
    machine
}

const IW: &str = r#"case "$*" in
"dev") cat <<'END'
phy#0
	Interface wlan0
		ifindex 8
		addr 02:00:00:00:01:00
		ssid home
		type AP
		channel 6 (2437 MHz), width: 20 MHz, center1: 2437 MHz
		txpower 17.00 dBm
END
;;
"dev wlan0 survey dump") cat <<'END'
Survey data from wlan0
	frequency:			2412 MHz
	channel active time:		100 ms
	channel busy time:		22 ms
Survey data from wlan0
	frequency:			2437 MHz [in use]
	noise:				-92 dBm
	channel active time:		1000 ms
	channel busy time:		810 ms
	channel receive time:		700 ms
	channel transmit time:		50 ms
Survey data from wlan0
	frequency:			2417 MHz
	channel active time:		100 ms
	channel busy time:		99 ms
END
;;
"dev wlan0 scan ap-force") cat <<'END'
BSS 02:00:00:0f:00:01(on wlan0)
	freq: 2437
	signal: -58.00 dBm
	SSID: Sunny-4F
BSS 02:00:00:0f:00:02(on wlan0)
	freq: 2447
	signal: -70.00 dBm
	SSID: 
BSS 02:00:00:0f:00:03(on wlan0)
	freq: 2437
	signal: -90.00 dBm
	SSID: far
BSS 02:00:00:00:01:00(on wlan0)
	freq: 2437
	signal: -10.00 dBm
	SSID: home
END
;;
"dev wlan0 station dump") cat <<'END'
Station 02:00:00:00:a0:02 (on wlan0)
	inactive time:	20 ms
	tx packets:	860
	tx retries:	140
	signal:  	-61 [-62, -64] dBm
	tx bitrate:	144.4 MBit/s MCS 15 short GI
	rx bitrate:	130.0 MBit/s MCS 15
	connected time:	600 seconds
END
;;
"dev mesh0 mpath dump") printf 'DEST ADDR NEXT HOP IFACE SN METRIC QLEN EXPTIME DTIM DRET FLAGS HOP_COUNT PATH_CHANGE\n02:00:00:00:00:03 02:00:00:00:00:03 mesh0 5 66 0 1 1 0 0x5 1 1\n' ;;
*) echo "not asked for: $*" >&2; exit 1 ;;
esac"#;

#[tokio::test]
async fn the_air_is_told_with_what_is_in_it() {
    let machine = access_point();
    let answer = machine.ask("wifi.get_environment", none()).await.unwrap();
    let radio = &answer["radios"][0];
    let wanted = json!({"interface": "wlan0", "band": "2.4GHz", "channel": 6, "width_mhz": 20, "utilization_percent": 81.0, "utilization_external_percent": 76.0,
        "non_wifi_percent": 6.0, "noise_dbm": -92.0, "tx_power_dbm": 17.0, "dfs": false, "neighbors_same": 1, "neighbors_adjacent": 1, "neighbors_total": 3,
        "neighbor_max_dbm": -58.0,
        "channels": [{"channel": 1, "neighbors": 0, "dfs": false, "utilization_external_percent": 22.0}, {"channel": 6, "neighbors": 1, "dfs": false, "utilization_external_percent": 76.0}],
        "neighbors": [{"ssid": "Sunny-4F", "bssid": "0200000f0001", "channel": 6, "rssi_dbm": -58.0}, {"ssid": "", "bssid": "0200000f0002", "channel": 8, "rssi_dbm": -70.0},
            {"ssid": "far", "bssid": "0200000f0003", "channel": 6, "rssi_dbm": -90.0}]});
    assert_eq!(radio, &wanted);
    let named = machine.ask("wifi.basic_scan", json!({"band": "2.4GHz", "include_hidden": false})).await.unwrap();
    assert_eq!(named["radios"][0]["neighbors"].as_array().map(Vec::len), Some(2));
    for args in [json!({"band": "; reboot"}), json!({"scan_duration": 999_999}), json!({"include_hidden": "../../etc/passwd"})] {
        assert!(machine.ask("wifi.get_environment", args.clone()).await.unwrap_err().is(Code::InvalidArgs), "{args}");
    }
    let error = machine.ask("wifi.get_environment", json!({"band": "5GHz"})).await.unwrap_err();
    assert!(error.is(Code::Device), "{error}");
}

#[tokio::test]
async fn what_disturbs_is_named() {
    let machine = access_point();
    let answer = machine.ask("wifi.get_interference_sources", none()).await.unwrap();
    let kinds: Vec<&Value> = answer["sources"].as_array().unwrap().iter().map(|source| &source["type"]).collect();
    assert_eq!(kinds, ["wifi_same_channel", "wifi_overlapping"], "{answer}");
    let all = machine.ask("wifi.get_interference_sources", json!({"threshold_dbm": -95})).await.unwrap();
    assert_eq!(all["total"], 3);
    assert!(machine.ask("wifi.get_interference_sources", json!({"threshold_dbm": 999_999})).await.unwrap_err().is(Code::InvalidArgs));
}

#[tokio::test]
async fn a_scan_that_is_refused_leaves_the_rest_and_says_so() {
    let machine = access_point();
    machine.program("iw", &IW.replace("\"dev wlan0 scan ap-force\")", "\"never\")"));
    let answer = machine.ask("wifi.get_environment", none()).await.unwrap();
    let radio = &answer["radios"][0];
    assert_eq!((&radio["utilization_percent"], radio.get("neighbors_same")), (&json!(81.0), None));
    assert!(radio["scan_failed"].as_str().unwrap().contains("iw failed"), "{radio}");
}

#[tokio::test]
async fn wireless_clients_are_told_with_their_signal() {
    let machine = access_point();
    let answer = machine.ask("clients.list", json!({"client_mac": "02000000a002"})).await.unwrap();
    let phone = json!({"client_mac": "02000000a002", "ip_address": "192.168.1.102", "online": true, "interface": "wlan0", "connection": "wifi", "band": "2.4GHz",
        "rssi_dbm": -61.0, "snr_db": 31.0, "phy_down_mbps": 144.4, "phy_up_mbps": 130.0, "generation": "n", "streams": 2, "width_mhz": 20});
    assert_eq!(answer["clients"][0], phone);
    let answer = machine.ask("clients.health", none()).await.unwrap();
    let rows = answer["clients"].as_array().unwrap();
    let phone = rows.iter().find(|row| row["client_mac"] == "02000000a002").unwrap();
    assert_eq!((&phone["retry_percent"], &phone["chains_dbm"], &phone["connected_s"]), (&json!(14.0), &json!([-62.0, -64.0]), &json!(600)));
    assert_eq!(answer["total"], 2);
    let map = machine.ask("topology.get_full", none()).await.unwrap();
    let link = map["connections"].as_array().unwrap().iter().find(|link| link["to_device"] == "02000000a002").unwrap();
    assert_eq!((&link["connection_type"], &link["rssi_dbm"], &link["bandwidth_mbps"]), (&json!("wifi"), &json!(-61.0), &json!(144.4)), "{map}");
    assert!(machine.ask("clients.health", json!({"client_mac": "; reboot"})).await.unwrap_err().is(Code::InvalidArgs));
}

#[tokio::test]
async fn a_machine_without_a_radio_says_so() {
    let machine = Machine::router();
    for op in ["wifi.get_environment", "wifi.basic_scan", "wifi.get_interference_sources"] {
        assert_eq!(machine.support(op).reason.as_deref(), Some("no_radio"), "{op}");
    }
    assert_eq!(machine.support("mesh.get_topology").reason.as_deref(), Some("no_mesh"));
    machine.write("sys/class/ieee80211/phy0/index", "0\n");
    assert_eq!(machine.support("wifi.get_environment").reason.as_deref(), Some("no_iw"));
}

#[tokio::test]
async fn a_mesh_of_batman_is_told_with_its_ways() {
    let machine = access_point();
    machine.write("sys/class/net/bat0/mesh/routing_algo", "BATMAN_V\n");
    machine.program(
        "batctl",
        r#"[ "$*" = "meshif bat0 originators_json" ] || exit 1
echo '[{"hard_ifname":"wlan0","orig_address":"02:00:00:00:a0:02","neigh_address":"02:00:00:00:a0:02","best":true,"throughput":6486,"last_seen_msecs":40},{"hard_ifname":"wlan0","orig_address":"02:00:00:00:a0:09","neigh_address":"02:00:00:00:a0:02","best":true,"throughput":900}]'"#,
    );
    let answer = machine.ask("mesh.get_topology", none()).await.unwrap();
    let nodes = &answer["nodes"];
    assert_eq!(
        (&nodes[0]["hops"], &nodes[0]["kind"], &nodes[0]["rssi_dbm"], &nodes[0]["phy_mbps"]),
        (&json!(1), &json!("radio"), &json!(-61.0), &json!(144.4))
    );
    assert_eq!((&nodes[1]["parent_id"], nodes[1].get("hops"), &nodes[1]["phy_mbps"]), (&json!("02000000a002"), None, &json!(90.0)));
    let answer = machine.ask("mesh.get_backhaul", json!({"node_id": "02:00:00:00:a0:02"})).await.unwrap();
    assert_eq!((&answer["total"], &answer["links"][0]["retry_percent"], &answer["links"][0]["expected_mbps"]), (&json!(1), &json!(14.0), &json!(648.6)));
    assert!(machine.ask("mesh.get_backhaul", json!({"node_id": "../../etc/passwd"})).await.unwrap_err().is(Code::InvalidArgs));
    machine.program("batctl", "echo 'Error - no'; exit 0");
    assert!(machine.ask("mesh.get_topology", none()).await.unwrap_err().is(Code::Device));
}

#[tokio::test]
async fn tables_are_told_as_they_are() {
    let machine = Machine::router();
    assert_eq!(machine.support("topology.query_bridge_table").reason, None);
    machine.write("sys/class/net/br-lan/brif/lan1/port_no", "0x3\n");
    std::fs::write(machine.0.path().join("sys/class/net/br-lan/brforward"), [&[2, 0, 0, 0, 0xa0, 1, 3, 0][..], &500_u32.to_ne_bytes(), &[0; 4]].concat())
        .unwrap();
    let answer = machine.ask("topology.query_bridge_table", json!({"bridge_name": "br-lan", "include_aging_info": true})).await.unwrap();
    assert_eq!(
        answer["bridges"],
        json!([{"bridge": "br-lan", "ports": ["lan1"], "entries": [{"mac_address": "02000000a001", "port": "lan1", "local": false, "age_s": 5}], "total": 1}])
    );
    let answer = machine.ask("topology.query_interfaces", json!({"interface_filter": ["wan"], "include_routing": true})).await.unwrap();
    assert_eq!(
        (&answer["total"], &answer["routes"][0]["gateway"], &answer["routes"][0]["destination"]),
        (&json!(1), &json!("203.0.113.1"), &json!("0.0.0.0/0"))
    );
    let answer = machine.ask("topology.query_dhcp_leases", json!({"include_expired": true})).await.unwrap();
    assert_eq!((&answer["total"], &answer["leases"][0]["hostname"]), (&json!(2), &json!("mei-laptop")));
    for (op, args) in [
        ("topology.query_bridge_table", json!({"bridge_name": "../../etc"})),
        ("topology.query_interfaces", json!({"interface_filter": ["; reboot"]})),
        ("topology.query_dhcp_leases", json!({"interface": "nothing0"})),
    ] {
        assert!(machine.ask(op, args.clone()).await.unwrap_err().is(Code::InvalidArgs), "{op} {args}");
    }
    let map = machine.ask("topology.get_full", none()).await.unwrap();
    assert_eq!((&map["gateway"]["device_id"], &map["metadata"]["device_count"]), (&json!("02000000ee01"), &json!(4)), "{map}");
}
