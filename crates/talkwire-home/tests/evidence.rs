//! Evidence, measured through the tools alone: a healthy home shows none of it, each fault shows its own and no other.

use serde_json::{Value, json};
use std::time::Duration;
use talkwire_home::{HomeFile, House};

/// The healthy home on a plan of 300/60 Mbps, with more text.
fn home(more: &str, seed: u64) -> House {
    let path = format!("{}/../../homes/healthy.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the healthy home");
    let text = text.replace("down_mbps = 100.0", "down_mbps = 300.0").replace("up_mbps = 40.0", "up_mbps = 60.0");
    House::new(HomeFile::parse(&format!("{text}\n{more}")).expect("a home"), seed).expect("a house")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// What the router and its access points tell at one moment.
struct Looked {
    wan: Value,
    port: Value,
    info: Value,
    log: String,
    top: Value,
    public: Vec<f64>,
    isp_ms: f64,
    isp_loss: f64,
    last_ok: f64,
    names: Value,
    rogue: Value,
    clients: Vec<Value>,
    health: Vec<Value>,
    radios: Vec<(String, Value)>,
    speed: Option<Value>,
}

fn look(house: &mut House, with_speed: bool) -> Option<Looked> {
    let router = house.devices()[0].device_id.clone();
    let aps: Vec<String> = house.devices().into_iter().filter(|card| card.device_type != "client").map(|card| card.device_id).collect();
    let mut ask = |device: &str, op: &str| house.call(device, op, &Value::Null).outcome.ok();
    let latency = ask(&router, "diagnostics.latency_matrix")?;
    let rows = latency["targets"].as_array()?.clone();
    let of = |kind: &str| rows.iter().filter(|row| row["target"] == kind).cloned().collect::<Vec<_>>();
    let mut radios = Vec::new();
    for ap in &aps {
        let found = ask(ap, "wifi.get_environment")?;
        radios.extend(found["radios"].as_array()?.iter().map(|radio| (ap.clone(), radio.clone())));
    }
    Some(Looked {
        wan: ask(&router, "diagnostics.wan_connectivity")?,
        port: ask(&router, "network.interface_status")?["interfaces"][0].clone(),
        info: ask(&router, "system.get_hardware_info")?,
        log: ask(&router, "system.get_logs")?.to_string(),
        top: ask(&router, "traffic.get_top_talkers")?,
        public: of("public").iter().map(|row| number(&row["loss_percent"])).collect(),
        isp_ms: of("isp").first().map_or(f64::NAN, |row| number(&row["median_ms"])),
        isp_loss: of("isp").first().map_or(f64::NAN, |row| number(&row["loss_percent"])),
        last_ok: number(&ask(&router, "network.trace_route")?["last_ok"]),
        names: ask(&router, "name.resolve_test")?["servers"].clone(),
        rogue: ask(&router, "dhcpdns.scan_rogue")?,
        clients: ask(&router, "clients.list")?["clients"].as_array()?.clone(),
        health: ask(&router, "clients.health")?["clients"].as_array()?.clone(),
        radios,
        speed: if with_speed { ask(&router, "network.speedtest_full") } else { None },
    })
}

impl Looked {
    fn reaches(&self) -> bool {
        self.public.iter().all(|loss| *loss < 5.0)
    }

    fn speed(&self) -> f64 {
        self.speed.as_ref().map_or(f64::NAN, |speed| number(&speed["download_mbps"]))
    }

    fn answered(&self, kind: &str) -> f64 {
        let rows = self.names.as_array().into_iter().flatten().filter(|row| row["kind"] == kind);
        rows.map(|row| number(&row["ok_percent"])).fold(0.0, f64::max)
    }

    fn quiet(&self) -> bool {
        number(&self.top["total_down_mbps"]) < 60.0 && number(&self.top["total_up_mbps"]) < 40.0
    }

    /// The rules whose evidence holds now.
    fn rules(&self) -> Vec<&'static str> {
        let band = |name: &'static str| self.radios.iter().filter(move |(_, radio)| radio["band"] == name);
        let cochannel = self.radios.iter().any(|(ap, radio)| {
            number(&radio["utilization_external_percent"]) >= 50.0
                && number(&radio["non_wifi_percent"]) < 30.0
                && self.health.iter().any(|row| {
                    row["ap"] == json!(ap)
                        && row["band"] == radio["band"]
                        && number(&row["rssi_dbm"]) >= -67.0
                        && (10.0..=32.0).contains(&number(&row["retry_percent"]))
                })
        });
        let share = self.top["talkers"].as_array().and_then(|all| all.first()).map_or(0.0, |row| number(&row["share_percent"]));
        let (down, up) = (number(&self.top["total_down_mbps"]), number(&self.top["total_up_mbps"]));
        let thermal = self.log.contains("throttling") || self.log.contains("critical temperature");
        let hot = number(&self.info["temperature_c"]) >= 95.0;
        let memory = number(&self.info["memory_percent"]) >= 90.0 || self.log.contains("Out of memory");
        let gigabit = number(&self.port["speed_mbps"]) >= 1000.0;
        let (speed, idle) = (self.speed(), self.isp_ms < 14.0);
        let table = [
            ("34 cochannel", cochannel),
            ("71 hog", down >= 240.0 && share >= 60.0),
            ("72 upload", up >= 48.0 && share >= 60.0),
            ("28 heat", hot && thermal),
            ("29 memory", memory),
            ("30 power", number(&self.info["boots_7d"]) >= 3.0 && !hot && !thermal && !memory),
            ("01 link", self.wan["link"] == "down"),
            ("06 lease", self.wan["link"] == "up" && self.wan["ip_kind"] == "none"),
            ("03 outage", self.wan["ip_kind"] == "public" && self.public.iter().all(|loss| *loss >= 90.0) && (1.0..=5.0).contains(&self.last_ok)),
            ("15 names", self.answered("configured") < 20.0 && self.answered("public") >= 95.0 && self.reaches()),
            ("20 rogue", self.rogue["rogue_dhcp_detected"] == true),
            ("45 weak", self.clients.iter().any(|row| number(&row["rssi_dbm"]) <= -72.0 && number(&row["snr_db"]) < 20.0)),
            ("47 power low", band("2.4GHz").any(|(_, radio)| number(&radio["tx_power_dbm"]) <= 14.0)),
            ("38 usb", band("2.4GHz").any(|(_, radio)| number(&radio["noise_dbm"]) >= -84.0 && number(&radio["utilization_external_percent"]) < 30.0)),
            ("37 oven", self.radios.iter().any(|(_, radio)| number(&radio["non_wifi_percent"]) >= 30.0)),
            ("23 port", self.port["status"] == "up" && !gigabit && speed < 100.0),
            ("08 peak", gigabit && speed < 0.65 * 300.0 && self.isp_ms >= 16.0 && self.quiet()),
            ("09 quota", gigabit && speed < 0.5 * 300.0 && speed > 0.0 && idle && self.isp_loss < 0.5 && self.quiet()),
            ("11 errors", self.isp_loss >= 0.5 && self.isp_loss < 50.0 && self.quiet() && idle),
        ];
        table.into_iter().filter(|(_, holds)| *holds).map(|(name, _)| name).collect()
    }
}

#[test]
fn check_20_a_healthy_home_stays_clean_for_a_week() {
    let mut house = home("", 5);
    let mut runs = std::collections::BTreeMap::<&str, usize>::new();
    let mut looked = 0;
    for hour in 0..168 {
        if let Some(seen) = look(&mut house, hour % 6 == 0) {
            let rules = seen.rules();
            runs.retain(|rule, _| rules.contains(rule));
            for rule in rules {
                let row = runs.entry(rule).or_default();
                *row += 1;
                assert!(*row < 3, "{rule} holds three times in a row at hour {hour}");
            }
            looked += 1;
        }
        house.advance(Duration::from_secs(3500));
    }
    assert!(looked >= 166, "{looked}");
}

#[test]
fn check_21_each_fault_shows_its_own_evidence_and_no_other() {
    let always = "[[event]]\n";
    let cases: [(&str, String, u64); 18] = [
        ("34 cochannel", format!("{always}kind = \"busy_neighbours\"\nband = \"2.4GHz\"\nchannel = 1\ncount = 1\nload = 0.75\n"), 0),
        ("71 hog", format!("{always}kind = \"bandwidth_hog\"\nclient = \"game-pc\"\n"), 0),
        ("72 upload", format!("{always}kind = \"bandwidth_hog\"\nclient = \"game-pc\"\nup_mbps = 500.0\n"), 0),
        ("28 heat", format!("{always}kind = \"hot_room\"\nambient_c = 71.0\n"), 0),
        ("29 memory", format!("{always}kind = \"memory_leak\"\ndevice = \"router\"\npercent_per_day = 24.0\n"), 2 * 86_400),
        ("30 power", format!("{always}kind = \"power_unstable\"\ndevice = \"router\"\nevery_h = 4.0\n"), 86_400),
        ("01 link", format!("{always}kind = \"wan_link_down\"\n"), 0),
        ("06 lease", format!("{always}kind = \"wan_no_lease\"\n"), 0),
        ("03 outage", format!("{always}kind = \"isp_outage\"\n"), 0),
        ("15 names", format!("{always}kind = \"dns_down\"\n"), 0),
        ("20 rogue", format!("{always}kind = \"rogue_dhcp\"\nvictims = [\"bo-phone\"]\n"), 0),
        ("45 weak", format!("{always}kind = \"extra_wall\"\nroom = \"study\"\nloss_db = 33.0\n"), 0),
        ("47 power low", format!("{always}kind = \"low_power\"\ndevice = \"router\"\nband = \"2.4GHz\"\npower_dbm = 10.0\n"), 0),
        ("38 usb", format!("{always}kind = \"usb3_noise\"\ndevice = \"router\"\nnoise_db = 15.0\n"), 0),
        ("37 oven", format!("{always}kind = \"oven\"\nroom = \"hall\"\n"), 0),
        ("23 port", format!("{always}kind = \"slow_port\"\n"), 0),
        ("08 peak", format!("{always}kind = \"isp_congestion\"\nclass = \"oversubscribed\"\n"), 2400),
        ("09 quota", format!("{always}kind = \"quota\"\nmbps = 60.0\n"), 0),
    ];
    for (own, event, wait_s) in cases {
        let mut house = home(&event, 11);
        house.advance(Duration::from_secs(wait_s));
        let mut seen = None;
        for _ in 0..10 {
            seen = look(&mut house, true).filter(|seen| seen.rules().contains(&own)).or(seen);
            if seen.as_ref().is_some_and(|seen| seen.rules().contains(&own)) {
                break;
            }
            house.advance(Duration::from_secs(300));
        }
        let seen = seen.expect("the router answers");
        println!("{own}: {:?}", seen.rules());
        assert_eq!(
            seen.rules(),
            vec![own],
            "wan {} port {} info {} speed {:?} isp {} top {}",
            seen.wan,
            seen.port,
            seen.info,
            seen.speed,
            seen.isp_ms,
            seen.top
        );
    }
}

#[test]
fn lossy_line_shows_at_the_first_hop() {
    let mut house = home("[[event]]\nkind = \"line_errors\"\nloss_percent = 4.0\n", 3);
    let rules = look(&mut house, true).expect("the router answers").rules();
    assert!(rules.contains(&"11 errors"), "{rules:?}");
}

#[test]
fn check_15_radar_empties_the_channel() {
    for (next, low, high) in [(100, 60.0, 75.0), (36, 1.0, 5.0)] {
        let event = format!("[[event]]\nwhen = {{ after = \"60s\", lasting = \"5s\" }}\nkind = \"radar\"\nchannel = 52\nnext = {next}\n");
        let mut house = home(&event, 2);
        let ap = house.devices().into_iter().find(|card| card.name == "ap-bedroom").expect("the access point").device_id;
        house.advance(Duration::from_secs(59));
        house.advance(Duration::from_secs(1));
        let up = |house: &mut House| {
            let seen = house.call(&ap, "network.interface_status", &Value::Null).outcome.expect("interfaces");
            seen["interfaces"][2]["status"] == "up"
        };
        let mut gone = 0.0;
        while !up(&mut house) {
            gone += 0.5;
            assert!(gone < 100.0);
        }
        assert!((low - 2.0..=high).contains(&gone), "{next}: {gone}");
        let refused = house.call(&ap, "wifi.set_channel", &json!({"interface": "wlan1", "channel": 52})).outcome.expect_err("closed");
        assert_eq!(refused.code, "E_INVALID_ARGS");
        house.advance(Duration::from_secs(1800));
        house.call(&ap, "wifi.set_channel", &json!({"interface": "wlan1", "channel": 52})).outcome.expect("open again");
        let log = house.call(&ap, "system.get_logs", &Value::Null).outcome.expect("a log").to_string();
        assert!(log.contains("DFS-RADAR-DETECTED"), "{log}");
    }
}
