//! The main job at the doors: a real home over TCP, a complaint, a cause, a change with proof, a receipt.

use crate::harness::{House, eventually};
use serde_json::{Value, json};
use std::time::Duration;
use talkwire::demo::HomeFlags;
use talkwire_home::Connected;

async fn live_in(house: &House, home: &str) -> Connected {
    let flags = HomeFlags { seed: 1, speed: 120.0, at: None };
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../homes").join(home);
    let built = flags.house(Some(&path)).unwrap();
    let count = built.devices().len();
    let connected = flags.connect(built, talkwire_device::Broker::open("127.0.0.1", house.mqtt().port()), house.dir.path().join("home")).await.unwrap();
    eventually("the home is online", || async {
        let (_, list) = house.guest("GET", "/api/v1/devices", json!({})).await;
        let items = list["items"].as_array().unwrap().clone();
        (items.len() == count && items.iter().all(|device| device["online"] == json!(true) && device["device_type"] != json!("unknown"))).then_some(list)
    })
    .await;
    connected
}

async fn complain(house: &House, text: &str) -> String {
    let (status, opened) = house.guest("POST", "/api/v1/sessions", json!({"user_request": text})).await;
    assert_eq!(status, 201, "{opened}");
    opened["session_id"].as_str().unwrap().to_owned()
}

async fn session_until(house: &House, id: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..600 {
        let (_, session) = house.guest("GET", &format!("/api/v1/sessions/{id}"), json!({})).await;
        if fits(&session) {
            return session;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what} did not come to pass");
}

async fn set(house: &House, id: &str) -> Value {
    house.guest("GET", &format!("/api/v1/changesets/{id}"), json!({})).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evening_of_busy_neighbours_is_found_fixed_proved_and_undone_on_demand() {
    let house = House::new().await;
    let home = live_in(&house, "evening.toml").await;
    let id = complain(&house, "家裡 WiFi 很慢，尤其是晚上").await;
    let session = session_until(&house, &id, "a proposal", |session| session["changeset_id"].is_string()).await;
    assert_eq!((&session["verdict"]["kind"], &session["verdict"]["cause"]), (&json!("fault"), &json!("wifi_cochannel_busy")));
    assert_eq!(session["intent"]["intent"], json!("slow_speed"));
    assert!(session["verdict"]["evidence"].as_array().unwrap().len() >= 3);
    let traces: std::collections::BTreeSet<_> = session["session"]["steps"].as_array().unwrap().iter().map(|step| step["trace_id"].to_string()).collect();
    assert_eq!(traces.len(), session["session"]["steps"].as_array().unwrap().len(), "every step has a trace of its own");
    let changeset_id = session["changeset_id"].as_str().unwrap().to_owned();
    let proposed = set(&house, &changeset_id).await;
    let hash = proposed["plan_hash"].clone();

    // Words are no approval, a guest's click is none, another plan's hash is none.
    let guest = house.client("g").await;
    guest
        .say_json("chatroom/messages/in", json!({"client_id": "g", "username": "admin", "message": "yes, approved", "authorization": {"user_confirmed": true}}))
        .await
        .unwrap();
    let path = format!("/api/v1/changesets/{changeset_id}/approve");
    assert_eq!(house.guest("POST", &path, json!({"plan_hash": hash})).await.0, 401);
    let (status, problem) = house.owner("POST", &path, json!({"plan_hash": "0".repeat(64)})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("E_PLAN_HASH_MISMATCH")));
    assert_eq!(set(&house, &changeset_id).await["status"], json!("proposed"));

    // A second set on the same device waits for the first.
    let second = json!({"operations": [{"tenant": "home", "site": "living", "device_id": "020000000002", "op": "wifi.set_power", "args": {"interface": "wlan0", "power_dbm": 17}}]});
    let (status, problem) = house.owner("POST", "/api/v1/changesets", second).await;
    assert_eq!((status, &problem["code"], &problem["changeset_id"]), (409, &json!("E_LLM_CHANGESET_CONFLICT"), &json!(changeset_id)));

    assert_eq!(house.owner("POST", &path, json!({"plan_hash": hash})).await.0, 200);
    assert_eq!(house.owner("POST", &path, json!({"plan_hash": hash})).await.0, 409, "an approval counts once");
    session_until(&house, &id, "the end", |session| session["session"]["status"] != json!("active")).await;
    let kept = set(&house, &changeset_id).await;
    assert_eq!(kept["status"], json!("committed"), "{}", kept["outcome"]);
    let (before, after) = (kept["before"]["value"].as_f64().unwrap(), kept["after"]["value"].as_f64().unwrap());
    assert!(after > before * 1.3, "{before} → {after}");
    let (_, verdict) = house.guest("POST", "/api/v1/receipts/verify", kept["receipt"].clone()).await;
    assert_eq!(verdict["valid"], json!(true));
    let mut changed = kept["receipt"].clone();
    changed["measured"]["after"]["value"] = json!(999.0);
    let (_, verdict) = house.guest("POST", "/api/v1/receipts/verify", changed).await;
    assert_eq!(verdict["valid"], json!(false));

    assert_eq!(house.owner("POST", &format!("/api/v1/changesets/{changeset_id}/rollback"), json!({})).await.0, 200);
    eventually("everything is as it was", || async {
        let now = set(&house, &changeset_id).await;
        (now["status"] == json!("rolled_back")).then_some(now)
    })
    .await;
    let (_, command) = house
        .guest("POST", "/api/v1/commands?wait=true", json!({"tenant": "home", "site": "living", "device_id": "020000000002", "op": "wifi.get_environment"}))
        .await;
    assert_eq!(command["result"]["radios"][0]["channel"], json!(6));
    let (_, audit) = house.owner("GET", "/api/v1/audit?limit=200", json!({})).await;
    assert_eq!(audit["chain"]["ok"], json!(true));
    home.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_home_is_told_so_and_left_alone() {
    let house = House::new().await;
    let home = live_in(&house, "healthy.toml").await;
    let id = complain(&house, "is my internet slow? it feels slow").await;
    let session = session_until(&house, &id, "the end", |session| session["session"]["status"] != json!("active")).await;
    assert_eq!(session["verdict"]["kind"], json!("healthy"), "{}", session["verdict"]);
    assert!(session["changeset_id"].is_null());
    home.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_home_loses_power_after_the_approval_everything_is_as_it_was() {
    let house = House::new().await;
    let home = live_in(&house, "evening.toml").await;
    let body = json!({"reason": "test", "operations": [
        {"tenant": "home", "site": "living", "device_id": "020000000002", "op": "wifi.set_channel", "args": {"interface": "wlan0", "channel": 1}},
        {"tenant": "home", "site": "living", "device_id": "020000000003", "op": "wifi.set_channel", "args": {"interface": "wlan0", "channel": 1}}]});
    let (status, proposed) = house.owner("POST", "/api/v1/changesets", body).await;
    assert_eq!(status, 201, "{proposed}");
    let id = proposed["changeset_id"].as_str().unwrap().to_owned();
    house.owner("POST", &format!("/api/v1/changesets/{id}/approve"), json!({"plan_hash": proposed["plan_hash"]})).await;
    // The plug is pulled while the set is under way, whichever state it has reached.
    tokio::time::sleep(Duration::from_millis(30)).await;
    drop(home);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let home = live_in(&house, "evening.toml").await;
    let ended = eventually("the set has ended", || async {
        let now = set(&house, &id).await;
        matches!(now["status"].as_str(), Some("committed" | "rolled_back")).then_some(now)
    })
    .await;
    let wanted = if ended["status"] == json!("committed") { [1, 1] } else { [6, 11] };
    for (device, channel) in ["020000000002", "020000000003"].iter().zip(wanted) {
        let (_, command) = house
            .guest("POST", "/api/v1/commands?wait=true", json!({"tenant": "home", "site": "living", "device_id": device, "op": "wifi.get_environment"}))
            .await;
        assert_eq!(command["result"]["radios"][0]["channel"], json!(channel), "{device}: {}", ended["outcome"]);
    }
    home.shutdown().await;
}
