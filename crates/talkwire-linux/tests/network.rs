//! The tests of the line on a real small network in network namespaces, whole and broken.

mod bench;
mod home;

use home::Home;
use serde_json::{Value, json};

/// Builds the network, or skips the test that is named.
macro_rules! home {
    ($name:expr) => {
        match Home::build() {
            Ok(home) => home,
            Err(why) => return home::skip($name, &why),
        }
    };
}

/// What the other tests start inside a namespace; by itself it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inside() {
    home::inside(async |tool, args| bench::ask(&tool, args).await).await;
}

fn row<'a>(answer: &'a Value, list: &str, field: &str, value: &str) -> &'a Value {
    let rows = answer[list].as_array().unwrap_or_else(|| panic!("no {list} in {answer}"));
    rows.iter().find(|row| row[field] == value).unwrap_or_else(|| panic!("no {field} {value} in {answer}"))
}

#[test]
fn a_line_that_works_is_told_part_by_part() {
    let home = home!("a_line_that_works_is_told_part_by_part");
    let wan = home.ask("router", "diagnostics.wan_connectivity", json!({}));
    let wanted = [
        ("link", json!("up")),
        ("ip", json!("203.0.113.9")),
        ("ip_kind", json!("public")),
        ("gateway_reachable", json!(true)),
        ("dns_ok", json!(true)),
        ("http", json!("ok")),
        ("mtu_ok", json!(true)),
        ("first_fault", Value::Null),
    ];
    for (field, value) in wanted {
        assert_eq!(wan[field], value, "{field} in {wan}");
    }
    let resolve = home.ask("router", "name.resolve_test", json!({"count": 6}));
    for (server, kind) in [("192.168.1.1", "configured"), ("198.51.100.53", "configured"), ("203.0.113.1", "public")] {
        let row = row(&resolve, "servers", "server", server);
        assert_eq!((&row["kind"], &row["ok_percent"]), (&json!(kind), &json!(100.0)), "{resolve}");
        assert!(row["median_ms"].as_f64().unwrap() < 1000.0, "{resolve}");
    }
    let trace = home.ask("client", "network.trace_route", json!({"target": "198.51.100.1"}));
    assert_eq!(
        (&trace["reached"], &trace["last_ok"], &trace["loss_from"], &trace["private_hops"]),
        (&json!(true), &json!(2), &Value::Null, &json!(1)),
        "{trace}"
    );
    let matrix = home.ask("router", "diagnostics.latency_matrix", json!({"count": 10}));
    for (kind, name) in [("isp", "isp-gateway"), ("public", "203.0.113.80"), ("public", "198.51.100.1"), ("client", "192.168.1.101")] {
        let row = row(&matrix, "targets", "name", name);
        assert_eq!((&row["target"], &row["loss_percent"]), (&json!(kind), &json!(0.0)), "{matrix}");
        assert!(row["median_ms"].as_f64().unwrap() < 500.0 && row["jitter_ms"].is_number(), "{matrix}");
    }
    let config = home.ask("router", "dhcpdns.get_config", json!({}));
    let wanted = [
        ("dhcp_range", json!("192.168.1.100-192.168.1.109")),
        ("subnet", json!("192.168.1.0/24")),
        ("gateway", json!("192.168.1.1")),
        ("lease_s", json!(3600)),
        ("pool_size", json!(10)),
        ("pool_used", json!(0)),
        ("dns_servers", json!(["198.51.100.53"])),
    ];
    for (field, value) in wanted {
        assert_eq!(config[field], value, "{field} in {config}");
    }
}

#[test]
fn a_dead_resolver_is_told_from_a_dead_line() {
    let mut home = home!("a_dead_resolver_is_told_from_a_dead_line");
    home.stop(0);
    let resolve = home.ask("router", "name.resolve_test", json!({"count": 3}));
    for server in ["192.168.1.1", "198.51.100.53", "203.0.113.1"] {
        let row = row(&resolve, "servers", "server", server);
        assert_eq!((&row["ok_percent"], &row["median_ms"]), (&json!(0.0), &Value::Null), "{resolve}");
    }
    let wan = home.ask("router", "diagnostics.wan_connectivity", json!({}));
    assert_eq!(
        (&wan["gateway_reachable"], &wan["dns_ok"], &wan["http"], &wan["first_fault"]),
        (&json!(true), &json!(false), &json!("fail"), &json!("names")),
        "{wan}"
    );

    home.inside("up", "ip link set down0 down");
    let wan = home.ask("router", "diagnostics.wan_connectivity", json!({}));
    assert_eq!((&wan["link"], &wan["ip_kind"], &wan["first_fault"]), (&json!("down"), &json!("none"), &json!("link")), "{wan}");
}

#[test]
fn a_route_into_nothing_ends_where_it_ends() {
    let home = home!("a_route_into_nothing_ends_where_it_ends");
    home.inside("up", "ip addr del 198.51.100.1/32 dev lo; ip route add blackhole 198.51.100.1/32");
    let matrix = home.ask("router", "diagnostics.latency_matrix", json!({"count": 5, "targets": ["public"]}));
    assert_eq!(row(&matrix, "targets", "name", "198.51.100.1")["loss_percent"], 100.0, "{matrix}");
    assert_eq!(row(&matrix, "targets", "name", "203.0.113.80")["loss_percent"], 0.0, "{matrix}");
    let trace = home.ask("client", "network.trace_route", json!({"target": "198.51.100.1", "max_hops": 5}));
    assert_eq!(trace["reached"], false, "{trace}");
    assert!(trace["last_ok"].as_u64().unwrap() >= 1, "{trace}");
}

#[test]
fn a_second_address_server_is_found_behind_its_port() {
    let mut home = home!("a_second_address_server_is_found_behind_its_port");
    let scan = home.ask("router", "dhcpdns.scan_rogue", json!({"scan_timeout": 5}));
    assert_eq!((&scan["rogue_dhcp_detected"], &scan["servers_seen"]), (&json!(false), &json!(1)), "the router hears its own server: {scan}");
    home.dnsmasq("other", "rogue", "interface=eth0\nbind-interfaces\ndhcp-range=192.168.77.10,192.168.77.20,1h\nport=0\n");
    let scan = home.ask("router", "dhcpdns.scan_rogue", json!({"scan_timeout": 5, "interface": "br-lan"}));
    let rogue = row(&scan, "rogue_servers", "ip_address", "192.168.77.1");
    let mac = home.inside("other", "cat /sys/class/net/eth0/address").trim().replace(':', "");
    let told = [("offered_gateway", json!("192.168.77.1")), ("offered_subnet", json!("192.168.77.0/24")), ("port", json!("lan2")), ("mac_address", json!(mac))];
    for (field, value) in told {
        assert_eq!(rogue[field], value, "{field} in {scan}");
    }
    assert_eq!((&scan["rogue_dhcp_detected"], scan["rogue_servers"].as_array().map(Vec::len)), (&json!(true), Some(1)), "{scan}");
    let leases = home.folder.path().join("rogue.leases");
    assert_eq!(std::fs::read_to_string(leases).unwrap_or_default(), "", "no address was taken");
    let wrong = home.ask("router", "dhcpdns.scan_rogue", json!({"interface": "nothing0"}));
    assert_eq!(wrong["error"], "E_INVALID_ARGS");
}

#[test]
fn a_cap_on_the_line_is_told() {
    let home = home!("a_cap_on_the_line_is_told");
    assert_eq!(home.ask("router", "qos.get_status", json!({}))["enabled"], false);
    home.inside("router", "tc qdisc add dev wan root tbf rate 20mbit burst 32kb latency 50ms; tc qdisc add dev br-lan root handle 1: htb default 10; tc class add dev br-lan parent 1: classid 1:10 htb rate 5mbit ceil 8mbit");
    let qos = home.ask("router", "qos.get_status", json!({}));
    assert_eq!((&qos["enabled"], &qos["cap_up_mbps"], &qos["cap_down_mbps"]), (&json!(true), &json!(20.0), &json!(8.0)), "{qos}");
}

#[test]
fn the_speed_of_the_line_is_what_it_is_limited_to() {
    let home = home!("the_speed_of_the_line_is_what_it_is_limited_to");
    home.inside("up", "tc qdisc add dev down0 root tbf rate 20mbit burst 64kb latency 200ms");
    home.inside("router", "tc qdisc add dev wan root tbf rate 8mbit burst 32kb latency 300ms");
    let speed = home.ask("router", "network.speedtest_full", json!({"duration": 10, "parallel_streams": 4}));
    let figure = |name: &str| speed[name].as_f64().unwrap_or_else(|| panic!("no {name} in {speed}"));
    assert!((12.0..=21.5).contains(&figure("download_mbps")), "{speed}");
    assert!((4.5..=9.5).contains(&figure("upload_mbps")), "{speed}");
    assert!(figure("loaded_latency_up_ms") > figure("latency_ms") + 20.0, "a full queue of 300 ms is felt: {speed}");
    assert_eq!((&speed["side"], &speed["server"]), (&json!("wan"), &json!("203.0.113.80")), "{speed}");
    for args in [
        json!({"duration": 999_999}),
        json!({"server": "; reboot"}),
        json!({"server": "../../etc/passwd"}),
        json!({"parallel_streams": 0}),
        json!({"direction": "sideways"}),
    ] {
        assert_eq!(home.ask("router", "network.speedtest_full", args.clone())["error"], "E_INVALID_ARGS", "{args}");
    }
    let nobody = home.ask("router", "network.speedtest_full", json!({"server": "203.0.113.1", "duration": 5}));
    assert_eq!(nobody["error"], "E_LLM_TOOL_NOT_AVAILABLE", "{nobody}");
}

#[test]
fn a_client_that_floods_is_the_top_talker() {
    let home = home!("a_client_that_floods_is_the_top_talker");
    home.inside("router", "sysctl -qw net.netfilter.nf_conntrack_acct=1; nft 'add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; add rule ip nat post oifname wan masquerade'");
    home.inside("up", "tc qdisc add dev down0 root tbf rate 20mbit burst 64kb latency 100ms");
    let talkers = std::thread::scope(|scope| {
        let load = scope.spawn(|| home.ask("client", "network.speedtest_full", json!({"duration": 12, "direction": "download"})));
        // The load runs for twelve seconds; it is looked at in its middle.
        let mut talkers = home.ask("router", "traffic.get_top_talkers", json!({"window_s": 2}));
        for _ in 0..4 {
            // On a busy machine the load takes a moment to swell.
            let is_load = |row: &Value| row["down_mbps"].as_f64().is_some_and(|mbps| mbps > 5.0);
            if talkers["talkers"].as_array().is_some_and(|rows| rows.iter().any(is_load)) {
                break;
            }
            talkers = home.ask("router", "traffic.get_top_talkers", json!({"window_s": 2}));
        }
        load.join().expect("the load ran");
        talkers
    });
    let row = row(&talkers, "talkers", "ip_address", "192.168.1.101");
    assert!(row["down_mbps"].as_f64().unwrap() > 5.0 && row["share_percent"].as_f64().unwrap() > 60.0, "{talkers}");
    let mac = home.inside("client", "cat /sys/class/net/eth0/address").trim().replace(':', "");
    assert_eq!((&row["client_mac"], &talkers["source"]), (&json!(mac), &json!("conntrack")), "{talkers}");
}

#[test]
fn without_the_right_to_raw_sockets_pings_go_another_way_and_the_rest_says_why() {
    let home = home!("without_the_right_to_raw_sockets_pings_go_another_way_and_the_rest_says_why");
    if std::process::Command::new("setpriv").arg("--version").output().is_err() {
        return home::skip("without_the_right_to_raw_sockets", "setpriv is not installed");
    }
    for op in ["network.trace_route", "dhcpdns.scan_rogue", "diagnostics.latency_matrix"] {
        let answer = home.ask_without_rights("router", op, json!({}));
        assert_eq!(answer["error"], "E_LLM_TOOL_NOT_AVAILABLE", "{op}: {answer}");
    }
    home.inside("router", "sysctl -qw net.ipv4.ping_group_range='0 2147483647'");
    let matrix = home.ask_without_rights("router", "diagnostics.latency_matrix", json!({"count": 5, "targets": ["isp", "public"]}));
    for name in ["isp-gateway", "203.0.113.80", "198.51.100.1"] {
        assert_eq!(row(&matrix, "targets", "name", name)["loss_percent"], 0.0, "{matrix}");
    }
    let wan = home.ask_without_rights("router", "diagnostics.wan_connectivity", json!({}));
    assert_eq!((&wan["gateway_reachable"], &wan["mtu_ok"], &wan["first_fault"]), (&json!(true), &json!(true), &Value::Null), "{wan}");
}

#[test]
fn an_exhausted_pool_is_told_with_the_words_of_its_server() {
    let home = home!("an_exhausted_pool_is_told_with_the_words_of_its_server");
    let leases: String = (100..=109).map(|last| format!("4102444800 02:00:00:00:b0:{last:02x} 192.168.1.{last} c{last} *\n")).collect();
    std::fs::write(home.folder.path().join("lan.leases"), leases).unwrap();
    let config = home.ask("router", "dhcpdns.get_config", json!({"include_leases": true}));
    assert_eq!(
        (&config["pool_used"], &config["pool_used_percent"], config["leases"].as_array().map(Vec::len)),
        (&json!(10), &json!(100.0), Some(10)),
        "{config}"
    );
    let log = home.ask("router", "system.get_logs", json!({"since_s": 3600}));
    let is_there = log["entries"].as_array().is_some_and(|rows| rows.iter().any(|row| row["source"] == "dnsmasq" && row["ts"].is_i64()));
    assert!(is_there || log["error"] == "E_LLM_TOOL_NOT_AVAILABLE", "dnsmasq's own file is read where any log is: {log}");
}
