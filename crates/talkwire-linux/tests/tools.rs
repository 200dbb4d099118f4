//! The tools on machines made of files, healthy and broken ones, and on the one that runs the tests.

mod bench;

use bench::{Machine, ask, none, tool};
use serde_json::{Value, json};
use talkwire_device::Tool;
use talkwire_linux::Root;
use talkwire_proto::Code;

fn interface<'a>(answer: &'a Value, name: &str) -> &'a Value {
    answer["interfaces"].as_array().unwrap().iter().find(|one| one["interface"] == name).unwrap()
}

#[tokio::test]
async fn hardware_is_told_from_two_readings() {
    let machine = Machine::router();
    let tool = machine.tool("system.get_hardware_info");
    let later = async {
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        machine.write("proc/stat", "cpu  130 0 110 860 0 0 0 0 0 0\ncpu0 170 0 110 820 0 0 0 0 0 0\nbtime 1772000000\n");
    };
    let (answer, ()) = tokio::join!(ask(&tool, none()), later);
    let wanted = json!({"model": "Acme Router 9", "cpu_percent": 40.0, "core_max_percent": 80.0, "memory_percent": 60.0,
        "temperature_c": 61.5, "uptime_s": 360_000, "conntrack_percent": 3.1});
    assert_eq!(answer.unwrap(), wanted);
}

#[tokio::test]
async fn what_a_machine_does_not_show_is_absent() {
    let machine = Machine::empty();
    machine.write("proc/stat", "cpu  1 1 1 1\n");
    machine.write("proc/meminfo", "rubbish \u{0} MemTotal\n");
    machine.write("sys/class/thermal/thermal_zone0/temp", "-274000\n");
    assert_eq!(machine.ask("system.get_hardware_info", none()).await.unwrap(), json!({}));
}

#[tokio::test]
async fn status_says_health_and_the_way_out() {
    let machine = Machine::router();
    let answer = machine.ask("device.status", none()).await.unwrap();
    let wanted = json!({"health": "ok", "uptime_s": 360_000, "memory_usage": 60.0, "temperature_c": 61.5, "load_1m": 0.5, "load_5m": 0.25,
        "load_15m": 0.1, "uptime": 360_000, "network_status": "connected"});
    assert_eq!(answer, wanted);
    machine.write("sys/class/thermal/thermal_zone0/temp", "97000\n");
    machine.write("proc/net/route", "Iface\tDestination\n");
    let answer = machine.ask("device.status", none()).await.unwrap();
    assert_eq!((&answer["health"], &answer["network_status"]), (&json!("warning"), &json!("disconnected")));
}

#[tokio::test]
async fn interfaces_are_told_with_what_is_wrong_on_them() {
    let machine = Machine::router();
    let answer = machine.ask("network.interface_status", none()).await.unwrap();
    assert_eq!(answer["total"], 5);
    let wan = interface(&answer, "wan");
    let wanted = json!({"interface": "wan", "type": "ethernet", "status": "up", "operstate": "up", "enabled": true, "carrier": true,
        "speed_mbps": 100, "duplex": "half", "mtu": 1500, "mac_address": "020000000001", "rx_bytes": 5000, "tx_bytes": 6000,
        "rx_packets": 200_000, "rx_errors": 41, "tx_errors": 0, "role": "wan", "crc_ppm": 200.0, "flaps_per_hour": 2.0});
    assert_eq!(wan, &wanted, "200 returns in 100 hours");
    let lan = interface(&answer, "lan1");
    assert_eq!(
        (&lan["status"], &lan["enabled"], lan.get("speed_mbps"), lan.get("duplex"), lan.get("carrier")),
        (&json!("down"), &json!(false), None, None, None)
    );
    for (name, kind, status) in [("wlan0", "wifi", "up"), ("br-lan", "bridge", "up"), ("lo", "loopback", "up")] {
        assert_eq!((&interface(&answer, name)["type"], &interface(&answer, name)["status"]), (&json!(kind), &json!(status)), "{name}");
    }
    assert_eq!(interface(&answer, "lo").get("mac_address"), None);
}

#[tokio::test]
async fn clients_are_those_inside_with_the_names_of_their_leases() {
    let machine = Machine::router();
    let answer = machine.ask("clients.list", none()).await.unwrap();
    let laptop = json!({"client_mac": "02000000a001", "hostname": "mei-laptop", "ip_address": "192.168.1.101",
        "ip_addresses": ["192.168.1.101", "192.168.1.55"], "online": true, "interface": "br-lan"});
    let phone = json!({"client_mac": "02000000a002", "ip_address": "192.168.1.102", "online": true, "interface": "wlan0", "connection": "wifi"});
    assert_eq!(answer, json!({"clients": [laptop, phone], "total": 2}), "neither the gateway nor a neighbour upstream is a client");

    let answer = machine.ask("clients.list", json!({"include_offline": true, "client_mac": "02-00-00-00-A0-03"})).await.unwrap();
    let tablet = &answer["clients"][0];
    assert_eq!((&tablet["hostname"], &tablet["online"], &tablet["ip_address"]), (&json!("old-tablet"), &json!(false), &json!("192.168.1.103")));
    assert!(tablet["lease_expires_s"].as_u64().unwrap() > 0);

    let error = machine.ask("clients.list", json!({"client_mac": "02000000a003"})).await.unwrap_err();
    assert_eq!(error.code, "E_CLIENT_NOT_FOUND");
    let error = machine.ask("clients.list", json!({"client_mac": "; reboot"})).await.unwrap_err();
    assert!(error.is(Code::InvalidArgs), "{error}");
}

#[tokio::test]
async fn an_access_point_that_bridges_lists_those_on_its_bridge() {
    let machine = Machine::router();
    let route = std::fs::read_to_string(machine.0.path().join("proc/net/route")).unwrap();
    machine.write(
        "proc/net/route",
        &route
            .replace("wan", "br-lan")
            .replace(&format!("{:08X}", u32::from_ne_bytes([203, 0, 113, 1])), &format!("{:08X}", u32::from_ne_bytes([192, 168, 1, 1]))),
    );
    machine.write("proc/net/arp", "IP\n192.168.1.1 0x1 0x2 02:00:00:00:00:ff * br-lan\n192.168.1.102 0x1 0x2 02:00:00:00:a0:02 * br-lan\n");
    let answer = machine.ask("clients.list", none()).await.unwrap();
    assert_eq!((&answer["total"], &answer["clients"][0]["client_mac"]), (&json!(1), &json!("02000000a002")));
}

#[tokio::test]
async fn a_machine_without_anything_declares_why() {
    let machine = Machine::empty();
    let reasons = [
        ("device.status", "no_proc_uptime"),
        ("system.get_hardware_info", "no_proc_stat"),
        ("network.interface_status", "no_sys_class_net"),
        ("system.get_logs", "no_journal_and_no_dmesg"),
        ("clients.list", "no_neighbour_table"),
        ("diagnostics.wan_connectivity", "no_proc_net_route"),
        ("dhcpdns.get_leases", "no_address_server"),
        ("traffic.get_top_talkers", "no_sys_class_net"),
        ("traffic.get_stats", "no_sys_class_net"),
        ("qos.get_status", "no_tc"),
    ];
    for (op, reason) in reasons {
        let support = machine.support(op);
        assert_eq!((support.supported, support.reason.as_deref()), (false, Some(reason)), "{op}");
        let error = machine.ask(op, none()).await.unwrap_err();
        assert!(error.is(Code::LlmToolNotAvailable) && error.details["reason"] == reason, "{op}: {error}");
    }
}

#[tokio::test]
async fn files_of_rubbish_break_nothing() {
    let machine = Machine::router();
    let rubbish = "\u{0}\u{feff}-1 99999999999999999999999 0x NaN\t\t\n cpu cpu0\n".repeat(200);
    for file in ["proc/stat", "proc/uptime", "proc/meminfo", "proc/loadavg", "proc/net/arp", "proc/net/route", "tmp/dhcp.leases"] {
        let before = std::fs::read_to_string(machine.0.path().join(file)).unwrap();
        machine.write(file, &rubbish);
        // The tests of the line would ask the real world.
        let reads = ["device.status", "system.get_hardware_info", "network.interface_status", "clients.list", "dhcpdns.get_config", "dhcpdns.get_leases"];
        for tool in talkwire_linux::tools(&machine.root()).into_iter().filter(|tool| reads.contains(&tool.op())) {
            if tool.support().supported {
                ask(&tool, none()).await.unwrap_or_else(|error| panic!("{} with a broken {file}: {error}", tool.op()));
            }
        }
        machine.write(file, &before);
    }
    for file in ["operstate", "carrier", "speed", "mtu", "flags", "address", "type", "statistics/rx_packets"] {
        machine.write(&format!("sys/class/net/wan/{file}"), &rubbish);
    }
    let answer = machine.ask("network.interface_status", none()).await.unwrap();
    let wan = interface(&answer, "wan");
    assert_eq!((&wan["status"], wan.get("speed_mbps"), wan.get("mac_address"), wan.get("crc_ppm")), (&json!("down"), None, None, None));
}

#[tokio::test]
async fn this_machine_answers_truthfully() {
    let root = Root::default();
    let answer = ask(&tool(&root, "system.get_hardware_info"), none()).await.unwrap();
    assert!(answer["uptime_s"].as_u64().unwrap() > 0 && answer["memory_percent"].as_f64().unwrap() > 0.0, "{answer}");
    assert!((0.0..=100.0).contains(&answer["cpu_percent"].as_f64().unwrap()), "{answer}");
    let answer = ask(&tool(&root, "network.interface_status"), none()).await.unwrap();
    assert_eq!(interface(&answer, "lo")["type"], "loopback");
    let answer = ask(&tool(&root, "device.status"), none()).await.unwrap();
    assert!(answer["cpu_usage"].is_number() && answer["process_cpu_usage"].is_number() && answer["load_1m"].is_number(), "{answer}");
}
