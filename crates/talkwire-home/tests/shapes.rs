//! The second part of `docs/home.md` and the tools say the same: every field of every result, both ways.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use talkwire_home::{HomeFile, House};

/// Fields that a result may lack or have besides the example.
const SOMETIMES: [&str; 6] = ["error", "leases", "ap", "ap_name", "band", "ip_address"];

fn examples() -> BTreeMap<String, Value> {
    let path = format!("{}/../../docs/home.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("docs/home.md");
    let part = text.split("# Part 2.").nth(1).expect("part 2").to_string();
    let mut found = BTreeMap::new();
    let mut op = String::new();
    let mut block: Option<String> = None;
    for line in part.lines() {
        match &mut block {
            None if line.starts_with("```json") => block = Some(String::new()),
            None if line.starts_with('`') => {
                let name = line.split('`').nth(1).unwrap_or_default();
                if name.contains('.') {
                    op = name.to_string();
                }
            }
            None => {}
            Some(text) if line.starts_with("```") => {
                let value = serde_json::from_str(text).unwrap_or_else(|error| panic!("the example of {op}: {error}"));
                found.insert(op.clone(), value);
                block = None;
            }
            Some(text) => text.push_str(line),
        }
    }
    found
}

/// What `want` has and `got` lacks.
fn lacking(want: &Value, got: &Value, path: &str) -> Vec<String> {
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => want
            .iter()
            .filter(|(name, _)| !SOMETIMES.contains(&name.as_str()))
            .flat_map(|(name, value)| match got.get(name) {
                Some(other) => lacking(value, other, &format!("{path}.{name}")),
                None if path.ends_with(".tools") => Vec::new(),
                None => vec![format!("{path}.{name}")],
            })
            .collect(),
        (Value::Array(want), Value::Array(got)) => want
            .iter()
            .filter_map(|value| {
                let best = got.iter().map(|other| lacking(value, other, path)).min_by_key(Vec::len);
                best.filter(|best| !best.is_empty())
            })
            .flatten()
            .collect(),
        (Value::Object(_), other) | (Value::Array(_), other) if !other.is_null() => vec![format!("{path}: another kind")],
        _ => Vec::new(),
    }
}

#[test]
fn the_document_and_the_tools_agree() {
    let home = |name: &str| {
        let path = format!("{}/../../homes/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        House::new(HomeFile::load(path).expect("a home"), 1).expect("a house")
    };
    let args: BTreeMap<&str, Value> = BTreeMap::from([
        ("wifi.set_channel", json!({"interface": "wlan0", "channel": 1})),
        ("wifi.set_power", json!({"interface": "wlan0", "power_dbm": 17})),
        ("qos.apply_policy", json!({"policy_name": "fair", "rules": [{"category": "bulk", "priority": "low"}]})),
        ("dhcpdns.set", json!({"dns_servers": ["1.1.1.1"]})),
        ("dhcpdns.get_config", json!({"include_leases": true})),
        ("system.restart_service", json!({"service": "dns"})),
    ]);
    let examples = examples();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (op, example) in &examples {
        let mut house = home(match op.as_str() {
            "mesh.get_topology" | "mesh.backhaul_test" => "mesh",
            "dhcpdns.scan_rogue" => "rogue-dhcp",
            "system.get_logs" => "link-down",
            _ => "evening",
        });
        let router = house.devices()[0].device_id.clone();
        let mac = house.devices().last().expect("an agent").device_id.clone();
        let given = match op.as_str() {
            "wifi.client_disconnect" => json!({"client_mac": mac}),
            _ => args.get(op.as_str()).cloned().unwrap_or(Value::Null),
        };
        let got = house.call(&router, op, &given).outcome.unwrap_or_else(|fault| panic!("{op}: {fault}"));
        wrong.extend(lacking(example, &got, op).into_iter().map(|field| format!("the result lacks {field}")));
        wrong.extend(lacking(&got, example, op).into_iter().map(|field| format!("the document lacks {field}")));
        seen += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(seen, 27, "{:?}", examples.keys());
}

#[test]
fn every_tool_of_the_table_answers_or_refuses_for_a_reason() {
    let path = format!("{}/../../homes/mesh.toml", env!("CARGO_MANIFEST_DIR"));
    let file = HomeFile::load(path).expect("a home");
    for card in House::new(file.clone(), 1).expect("a house").devices() {
        let house = House::new(file.clone(), 1).expect("a house");
        for tool in house.tools(&card.device_id) {
            let mut house = house.clone();
            let needs = matches!(tool.class, talkwire_home::Class::Act) && tool.op != "device.restart";
            match house.call(&card.device_id, tool.op, &Value::Null).outcome {
                Ok(value) => assert!(!needs && value.is_object(), "{}: {value}", tool.op),
                Err(fault) => assert!(needs && fault.code == "E_INVALID_ARGS", "{}: {fault}", tool.op),
            }
        }
    }
}
