//! A device that claims to take changes back, over real MQTT: it must show it before it is changed.

use crate::harness::{HandDevice, House, eventually};
use serde_json::{Value, json};

const DEVICE: &str = "/api/v1/devices/home/lab/aabbccddeeff";
const HASH: &str = "5f2d";

async fn propose(house: &House) -> Value {
    let operations = json!([{"tenant": "home", "site": "lab", "device_id": "aabbccddeeff", "op": "wifi.set_channel", "args": {"channel": 11}}]);
    let (status, set) = house.owner("POST", "/api/v1/changesets", json!({"reason": "noise", "operations": operations})).await;
    assert_eq!(status, 201, "{set}");
    let path = format!("/api/v1/changesets/{}/approve", set["changeset_id"].as_str().unwrap());
    assert_eq!(house.owner("POST", &path, json!({"plan_hash": set["plan_hash"]})).await.0, 200);
    set
}

async fn ended(house: &House, set: &Value) -> Value {
    let path = format!("/api/v1/changesets/{}", set["changeset_id"].as_str().unwrap());
    eventually("the set ends", || async {
        let (_, set) = house.guest("GET", &path, Value::Null).await;
        ["committed", "rolled_back"].contains(&set["status"].as_str()?).then_some(set)
    })
    .await
}

impl HandDevice {
    /// The next command, which must be this one; its id and arguments.
    async fn asked(&mut self, op: &str) -> (Value, Value) {
        let command = self.command().await;
        assert_eq!(command["op"], op, "{command}");
        (command["id"].clone(), command["args"].clone())
    }

    async fn prepare(&mut self) {
        let (id, _) = self.asked("changeset.prepare").await;
        let previous = json!({"channel": 6, "interface": "wlan0"});
        self.result(&id, json!({"operations": [{"op": "wifi.set_channel", "previous": previous, "previous_hash": HASH}]})).await;
    }

    /// Says that it does not know the rehearsal, and takes the values that run; under which id it holds them.
    async fn rehearse(&mut self) -> Value {
        let (id, args) = self.asked("changeset.rehearse").await;
        assert_eq!(args["timeout_s"], 1);
        let error = json!({"id": id, "status": "failed", "error": {"code": "E_UNKNOWN_OP", "message": "not here"}});
        self.client.say_json(&format!("{}/cmd/res", self.base), error).await.unwrap();
        let (id, args) = self.asked("wifi.set_channel").await;
        assert_eq!((&args["channel"], &args["auto_rollback_timeout"]), (&json!(6), &json!(1)), "the value that runs, and not the one that is wanted");
        self.result(&id, json!({"config_hash": HASH, "previous_hash": HASH})).await;
        args["changeset_id"].clone()
    }

    async fn went_back(&self, id: &Value, hash: &str) {
        let event = json!({"severity": "warning", "data": {"changeset_id": id, "reason": "deadline", "restored_hash": hash}});
        self.client.say_json(&format!("{}/evt/changeset.rolled_back", self.base), event).await.unwrap();
    }
}

#[tokio::test]
async fn a_lie_about_the_way_back_is_found_before_anything_is_changed() {
    let house = House::new().await;
    let mut device = HandDevice::join(&house, "aabbccddeeff").await;
    let set = propose(&house).await;
    device.prepare().await;
    let held = device.rehearse().await;
    device.went_back(&held, "another").await;
    let refused = ended(&house, &set).await;
    assert_eq!((refused["status"].as_str(), refused["outcome"]["kind"].as_str()), (Some("rolled_back"), Some("rehearsal_failed")));
    assert!(refused["operations"][0]["error"].as_str().unwrap().starts_with("E_ROLLBACK_UNPROVEN"));
    let (id, _) = device.asked("changeset.rollback").await;
    device.result(&id, json!({"rolled_back": true})).await;
    let (_, known) = house.guest("GET", DEVICE, Value::Null).await;
    assert_eq!(known["ways_back"]["wifi.set_channel"]["state"], "failed");

    // The owner may go on, and is asked no second time.
    let set = propose(&house).await;
    assert_eq!(set["needs_admin"], true);
    device.prepare().await;
    let (id, args) = device.asked("wifi.set_channel").await;
    assert_eq!(args["channel"], 11);
    device.result(&id, json!({"config_hash": "77", "previous_hash": HASH})).await;
    let (id, _) = device.asked("changeset.commit").await;
    device.result(&id, json!({"committed": true})).await;
    assert_eq!(ended(&house, &set).await["status"], "committed");
    let (_, audit) = house.owner("GET", "/api/v1/audit?limit=500", Value::Null).await;
    let actions: Vec<_> = audit["items"].as_array().unwrap().iter().filter_map(|row| row["action"].as_str()).collect();
    assert!(["wayback.unproven", "changeset.override"].iter().all(|action| actions.contains(action)), "{actions:?}");
}

#[tokio::test]
async fn what_was_shown_once_is_believed_after_a_restart_and_until_the_software_changes() {
    let house = House::new().await;
    let mut device = HandDevice::join(&house, "aabbccddeeff").await;
    let set = propose(&house).await;
    device.prepare().await;
    let held = device.rehearse().await;
    device.went_back(&held, HASH).await;
    let (id, args) = device.asked("wifi.set_channel").await;
    assert_eq!(args["channel"], 11);
    device.result(&id, json!({"config_hash": "77", "previous_hash": HASH})).await;
    let (id, _) = device.asked("changeset.commit").await;
    device.result(&id, json!({"committed": true})).await;
    assert_eq!(ended(&house, &set).await["status"], "committed");
    drop(device);
    let house = house.restart().await;
    let _device = HandDevice::join(&house, "aabbccddeeff").await;
    let (_, known) = house.guest("GET", DEVICE, Value::Null).await;
    assert_eq!((&known["ways_back"]["wifi.set_channel"]["state"], &known["ways_back"]["wifi.set_channel"]["how"]), (&json!("proven"), &json!("rehearsal")));
    let update = json!({"changes": [{"tool": "wifi.set_channel", "change_type": "version", "new_value": "2.0"}]});
    let other = house.client("aabbccddeeff-2").await;
    other.say_json("rtk/v1/home/lab/aabbccddeeff/capability/update", json!({"capability_update": update})).await.unwrap();
    let (_, known) = house.guest("GET", DEVICE, Value::Null).await;
    assert_eq!(known["ways_back"]["wifi.set_channel"]["state"], "claimed");
}
