//! Every ready-made home measures what it was made for, before and after its remedy.

use serde_json::{Value, json};
use std::time::Duration;
use talkwire_home::{HomeFile, House};

const SEEDS: [u64; 3] = [1, 2, 3];

fn house(name: &str, seed: u64) -> House {
    let path = format!("{}/../../homes/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    House::new(HomeFile::load(path).expect("a home"), seed).expect("a house")
}

fn id(house: &House, name: &str) -> String {
    house.devices().into_iter().find(|card| card.name == name).map(|card| card.device_id).expect("a device")
}

fn router(house: &House) -> String {
    house.devices()[0].device_id.clone()
}

fn agent(house: &House) -> String {
    house.devices().last().expect("an agent").device_id.clone()
}

#[track_caller]
fn call(house: &mut House, device: &str, op: &str, args: Value) -> Value {
    house.call(device, op, &args).outcome.unwrap_or_else(|fault| panic!("{op}: {fault}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Median of three speed tests: down and up.
fn speed(house: &mut House, device: &str) -> (f64, f64) {
    let runs: Vec<Value> = (0..3).map(|_| call(house, device, "network.speedtest_full", json!({"duration": 10}))).collect();
    let median = |field: &str| {
        let mut values: Vec<f64> = runs.iter().map(|run| number(&run[field])).collect();
        values.sort_by(f64::total_cmp);
        values[1]
    };
    (median("download_mbps"), median("upload_mbps"))
}

fn radio(house: &mut House, device: &str, band: &str) -> Value {
    call(house, device, "wifi.get_environment", json!({"band": band}))["radios"][0].clone()
}

fn busy_on(radio: &Value, channel: u64) -> f64 {
    let row = radio["channels"].as_array().and_then(|all| all.iter().find(|row| row["channel"] == channel));
    number(&row.expect("the channel")["utilization_external_percent"])
}

fn client(house: &mut House, mac: &str) -> Value {
    let router = router(house);
    call(house, &router, "clients.list", json!({"client_mac": mac}))["clients"][0].clone()
}

#[test]
fn evening_gets_better_on_the_quiet_channel() {
    for seed in SEEDS {
        let mut house = house("evening", seed);
        let (router, laptop, ap) = (router(&house), agent(&house), id(&house, "ap-living"));
        assert_eq!(call(&mut house, &router, "clients.list", json!({}))["total"], 11);
        let before = radio(&mut house, &ap, "2.4GHz");
        assert!((70.0..=86.0).contains(&busy_on(&before, 6)), "{before}");
        assert!(busy_on(&before, 1) <= 30.0 && busy_on(&before, 11) <= 50.0, "{before}");
        assert!(number(&before["neighbors_same"]) >= 5.0);
        let at = client(&mut house, &laptop);
        assert_eq!(at["ap"], json!(ap));
        assert!(number(&at["rssi_dbm"]) >= -60.0);
        let health = call(&mut house, &router, "clients.health", json!({"client_mac": laptop}));
        assert!((10.0..=30.0).contains(&number(&health["clients"][0]["retry_percent"])), "{health}");
        let wan = speed(&mut house, &router).0;
        let slow = speed(&mut house, &laptop).0;
        assert!(wan >= 92.0, "wan {wan}");
        assert!((11.0..=25.0).contains(&slow), "client {slow}");

        let section = house.section(&ap, "wifi.set_channel", &json!({"channel": 1})).expect("a section");
        assert_eq!(section, json!({"interface": "wlan0", "channel": 6}));
        let done = call(&mut house, &ap, "wifi.set_channel", json!({"interface": "wlan0", "channel": 1}));
        assert_eq!((&done["channel"], &done["previous_channel"]), (&json!(1), &json!(6)));
        house.advance(Duration::from_secs(40));
        let fast = speed(&mut house, &laptop).0;
        println!("evening seed {seed}: wan {wan}, client {slow} -> {fast}");
        assert!(fast > 60.0, "after {fast}");

        house.restore(&ap, "wifi.set_channel", &section).expect("restored");
        house.advance(Duration::from_secs(40));
        assert_eq!(radio(&mut house, &ap, "2.4GHz")["channel"], 6);
        assert!(speed(&mut house, &laptop).0 < 30.0);
    }
}

#[test]
fn evening_2_has_its_trouble_on_another_channel() {
    for seed in SEEDS {
        let mut house = house("evening-2", seed);
        let (laptop, ap) = (agent(&house), id(&house, "ap-lounge"));
        assert!(busy_on(&radio(&mut house, &ap, "2.4GHz"), 11) >= 65.0);
        let slow = speed(&mut house, &laptop).0;
        call(&mut house, &ap, "wifi.set_channel", json!({"channel": 6}));
        house.advance(Duration::from_secs(40));
        let fast = speed(&mut house, &laptop).0;
        println!("evening-2 seed {seed}: client {slow} -> {fast}");
        assert!(fast > 2.0 * slow, "{slow} -> {fast}");
    }
}

#[test]
fn hog_leaves_room_once_it_is_shaped() {
    for seed in SEEDS {
        let mut house = house("hog", seed);
        let (router, laptop) = (router(&house), agent(&house));
        let top = call(&mut house, &router, "traffic.get_top_talkers", json!({}));
        assert!(number(&top["total_down_mbps"]) >= 80.0 && number(&top["talkers"][0]["share_percent"]) >= 60.0, "{top}");
        let slow = speed(&mut house, &laptop).0;
        let policy = json!({"policy_name": "fair", "rules": [{"category": "bulk", "priority": "low"}]});
        call(&mut house, &router, "qos.apply_policy", policy);
        let fast = speed(&mut house, &laptop).0;
        let test = call(&mut house, &laptop, "network.speedtest_full", json!({}));
        println!("hog seed {seed}: client {slow} -> {fast}, loaded {}", test["loaded_latency_down_ms"]);
        assert!(slow < 30.0 && fast > 50.0, "{slow} -> {fast}");
        assert!(number(&test["loaded_latency_down_ms"]) < 40.0);
    }
}

#[test]
fn hog_upload_fills_the_queue_until_it_is_shaped() {
    let mut house = house("hog-upload", 1);
    let router = router(&house);
    let before = call(&mut house, &router, "network.speedtest_full", json!({}));
    call(&mut house, &router, "qos.apply_policy", json!({"policy_name": "sqm", "cap_up_mbps": 16.0}));
    let after = call(&mut house, &router, "network.speedtest_full", json!({}));
    println!("hog-upload: loaded {} -> {}", before["loaded_latency_up_ms"], after["loaded_latency_up_ms"]);
    assert!(number(&before["loaded_latency_up_ms"]) > 200.0);
    assert!(number(&after["loaded_latency_up_ms"]) < 60.0);
}

#[test]
fn wan_down_has_an_address_and_no_world() {
    let mut house = house("wan-down", 1);
    let router = router(&house);
    let wan = call(&mut house, &router, "diagnostics.wan_connectivity", json!({}));
    assert_eq!((&wan["link"], &wan["ip_kind"], &wan["http"]), (&json!("up"), &json!("public"), &json!("fail")));
    let lost = call(&mut house, &router, "diagnostics.latency_matrix", json!({"targets": ["public"]}));
    assert!(lost["targets"].as_array().expect("targets").iter().all(|row| row["loss_percent"] == 100.0), "{lost}");
    let trace = call(&mut house, &router, "network.trace_route", json!({}));
    assert_eq!((&trace["reached"], &trace["last_ok"]), (&json!(false), &json!(2)));
}

#[test]
fn link_down_says_so_in_port_and_log() {
    let mut house = house("link-down", 1);
    let router = router(&house);
    assert_eq!(call(&mut house, &router, "diagnostics.wan_connectivity", json!({}))["link"], "down");
    assert_eq!(call(&mut house, &router, "network.interface_status", json!({}))["interfaces"][0]["status"], "down");
    let log = call(&mut house, &router, "system.get_logs", json!({})).to_string();
    assert!(log.contains("wan: link is down"), "{log}");
}

#[test]
fn rogue_dhcp_is_blocked_and_its_victims_come_back() {
    for seed in SEEDS {
        let mut house = house("rogue-dhcp", seed);
        let router = router(&house);
        assert_eq!(call(&mut house, &router, "dhcpdns.scan_rogue", json!({}))["rogue_dhcp_detected"], true);
        let strangers = |house: &mut House| -> Vec<String> {
            let list = call(house, &router, "clients.list", json!({}));
            let all = list["clients"].as_array().expect("clients").clone();
            all.iter()
                .filter(|row| !row["ip_address"].as_str().unwrap_or_default().starts_with("192.168.1."))
                .map(|row| row["client_mac"].as_str().unwrap_or_default().to_string())
                .collect()
        };
        let victims = strangers(&mut house);
        assert!((2..=3).contains(&victims.len()), "{victims:?}");
        let done = call(&mut house, &router, "dhcpdns.set", json!({"disable_other_dhcp": true}));
        assert_eq!(done["other_dhcp_disabled"], true);
        for mac in &victims {
            call(&mut house, &router, "wifi.client_disconnect", json!({"client_mac": mac}));
        }
        house.advance(Duration::from_secs(60));
        assert_eq!(call(&mut house, &router, "dhcpdns.scan_rogue", json!({}))["rogue_dhcp_detected"], false);
        assert!(strangers(&mut house).is_empty());
    }
}

#[test]
fn overheat_throttles_and_cools_with_less_power() {
    for seed in SEEDS {
        let mut house = house("overheat", seed);
        let router = router(&house);
        let log = call(&mut house, &router, "system.get_logs", json!({})).to_string();
        let mut hottest: f64 = 0.0;
        for _ in 0..10 {
            if house.reachable(&router) {
                let info = house.call(&router, "system.get_hardware_info", &json!({})).outcome.unwrap_or_default();
                hottest = hottest.max(info["temperature_c"].as_f64().unwrap_or(0.0));
            }
            house.advance(Duration::from_secs(120));
        }
        let info = call(&mut house, &router, "system.get_hardware_info", json!({}));
        println!("overheat seed {seed}: {hottest} C, boots {}", info["boots_7d"]);
        assert!(hottest >= 95.0, "{hottest}");
        assert!(log.contains("thermal") || log.contains("booted"), "{log}");
        assert!(number(&info["boots_7d"]) >= 1.0);
        for interface in ["wlan0", "wlan1"] {
            let power = number(&house.section(&router, "wifi.set_power", &json!({"interface": interface})).expect("a section")["power_dbm"]);
            call(&mut house, &router, "wifi.set_power", json!({"interface": interface, "power_dbm": power - 3.0}));
        }
        house.advance(Duration::from_secs(3600));
        let cooler = number(&call(&mut house, &router, "system.get_hardware_info", json!({}))["temperature_c"]);
        println!("   after -3 dB: {cooler} C");
        assert!(cooler <= hottest - 3.0 && cooler < 96.0, "{hottest} -> {cooler}");
    }
}

#[test]
fn weak_room_is_weak_there_alone_and_gains_by_power() {
    for seed in SEEDS {
        let mut house = house("weak-room", seed);
        let (router, laptop) = (router(&house), agent(&house));
        let at = client(&mut house, &laptop);
        assert!(number(&at["rssi_dbm"]) <= -72.0 && number(&at["snr_db"]) < 20.0, "{at}");
        let level = |house: &mut House, room: &str| {
            let map = call(house, &router, "wifi.signal_map", json!({}));
            let rooms = map["rooms"].as_array().expect("rooms").clone();
            number(&rooms.iter().find(|row| row["room"] == room).expect("the room")["rssi_dbm"])
        };
        let (near, far) = (level(&mut house, "living"), level(&mut house, "bedroom"));
        assert!(near >= -55.0 && far <= -68.0, "{near} {far}");
        let before = speed(&mut house, &laptop).0;
        call(&mut house, &router, "wifi.set_power", json!({"interface": "wlan0", "power_dbm": 20}));
        house.advance(Duration::from_secs(90));
        let after = speed(&mut house, &laptop).0;
        let raised = level(&mut house, "bedroom");
        println!("weak-room seed {seed}: {far} -> {raised} dBm, client {before} -> {after}");
        assert!(raised > far && after >= 0.8 * before, "{far} -> {raised}, {before} -> {after}");
    }
}

#[test]
fn dns_down_is_cured_by_other_resolvers() {
    let mut house = house("dns-down", 1);
    let router = router(&house);
    let servers = |house: &mut House, kind: &str| -> Vec<f64> {
        let test = call(house, &router, "name.resolve_test", json!({}));
        let rows = test["servers"].as_array().expect("servers").clone();
        rows.iter().filter(|row| row["kind"] == kind).map(|row| number(&row["ok_percent"])).collect()
    };
    assert!(servers(&mut house, "configured").iter().all(|ok| *ok < 20.0));
    assert!(servers(&mut house, "public").iter().all(|ok| *ok >= 95.0));
    let asked = json!({"dns_servers": ["168.95.1.1", "1.1.1.1"]});
    let section = house.section(&router, "dhcpdns.set", &asked).expect("a section");
    call(&mut house, &router, "dhcpdns.set", asked);
    assert!(servers(&mut house, "configured").iter().all(|ok| *ok >= 95.0));
    house.restore(&router, "dhcpdns.set", &section).expect("restored");
    assert!(servers(&mut house, "configured").iter().all(|ok| *ok < 20.0));
}

#[test]
fn isp_evening_is_slow_at_the_router_itself() {
    let mut house = house("isp-evening", 1);
    let router = router(&house);
    let top = call(&mut house, &router, "traffic.get_top_talkers", json!({}));
    let evening = speed(&mut house, &router).0;
    house.advance(Duration::from_secs(7 * 3600));
    while number(&call(&mut house, &router, "traffic.get_top_talkers", json!({}))["total_down_mbps"]) > 60.0 {
        house.advance(Duration::from_secs(600));
    }
    let night = speed(&mut house, &router).0;
    println!("isp-evening: 21 h {evening}, 04 h {night}");
    assert!(number(&top["total_down_mbps"]) < 60.0);
    assert!(evening < 0.65 * night, "{evening} against {night}");
}

#[test]
fn mesh_shows_the_weak_link_behind_the_far_node() {
    let mut house = house("mesh", 1);
    let router = router(&house);
    let test = call(&mut house, &router, "mesh.backhaul_test", json!({}));
    let (near, far) = (number(&test["nodes"][0]["throughput_mbps"]), number(&test["nodes"][1]["throughput_mbps"]));
    println!("mesh: {near} and {far} Mbps");
    assert!(near > 2.0 * far, "{test}");
    let map = call(&mut house, &router, "mesh.get_topology", json!({}));
    assert!(number(&map["nodes"][1]["rssi_dbm"]) <= -70.0, "{map}");
}

#[test]
fn the_same_seed_gives_the_same_answers() {
    let run = || {
        let mut house = house("evening", 42);
        let laptop = agent(&house);
        house.advance(Duration::from_secs(1800));
        call(&mut house, &laptop, "network.speedtest_full", json!({})).to_string()
    };
    assert_eq!(run(), run());
}

#[test]
fn every_home_in_the_folder_can_be_built() {
    let folder = format!("{}/../../homes", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let file = HomeFile::load(entry.expect("an entry").path()).expect("a home");
        assert!(!House::new(file, 7).expect("a house").devices().is_empty());
        count += 1;
    }
    assert!(count >= 12, "{count}");
}

#[test]
fn a_wrong_file_is_refused_with_the_place() {
    let path = format!("{}/../../homes/evening.toml", env!("CARGO_MANIFEST_DIR"));
    let good = std::fs::read_to_string(path).expect("a home");
    let problem = |text: String| {
        let error = HomeFile::parse(&text).expect_err("refused");
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
    };
    assert!(problem(good.replace("start =", "begin =")).contains("begin"));
    assert!(problem(good.replace("channel = 149", "channel = 150")).contains("channel 150"));
    assert!(problem(good.replace("room = \"study\"", "room = \"attic\"")).contains("attic"));
    assert!(problem(good.replace("from = \"18:00\"", "from = \"18 h\"")).contains("HH:MM"));
    assert!(problem(format!("{good}\n[[event]]\nkind = \"quota\"\n")).contains("mbps"));
    assert!(problem(format!("{good}\n[[event]]\nkind = \"quota\"\nmbps = 1.0\nsize = 2\n")).contains("size"));
    assert!(problem(format!("{good}\n[[event]]\nkind = \"bandwidth_hog\"\nclient = \"nobody\"\n")).contains("nobody"));
}

#[test]
fn a_channel_that_the_law_forbids_is_refused_and_too_much_power_is_brought_down() {
    let mut house = house("evening", 1);
    let ap = id(&house, "ap-living");
    let refused = house.call(&ap, "wifi.set_channel", &json!({"interface": "wlan0", "channel": 14})).outcome.expect_err("refused");
    assert_eq!(refused.code, "E_INVALID_ARGS");
    let done = call(&mut house, &ap, "wifi.set_power", json!({"interface": "wlan0", "power_dbm": 30}));
    assert_eq!((&done["power_dbm"], &done["requested_dbm"]), (&json!(20.0), &json!(30.0)));
    let laptop = agent(&house);
    let first = house.start(&laptop, "network.speedtest_full", &Value::Null).expect("started");
    assert_eq!(house.start(&laptop, "speed_test", &Value::Null).expect_err("one at a time").code, "E_BUSY");
    house.advance(first.duration);
    assert!(number(&house.finish(first.ticket).expect("a result")["download_mbps"]) > 5.0);
}
