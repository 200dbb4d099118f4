//! The interface that scripts rely on: exit codes, JSON, the report file.

use crate::device::{Device, ID};
use crate::exchange::{Exchange, free_address};
use serde_json::Value;
use std::process::Output;
use talkwire::check::ITEMS;

async fn talkwire(words: Vec<String>) -> Output {
    let run = move || std::process::Command::new(env!("CARGO_BIN_EXE_talkwire")).args(words).env_remove("TALKWIRE_BROKER").output().unwrap();
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn words(port: u16, more: &[&str]) -> Vec<String> {
    let broker = format!("mqtt://127.0.0.1:{port}");
    let words = ["check", ID, "--tenant", "acme", "--site", "home", "--broker", &broker, "--quick"];
    words.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_device_is_exit_0_a_bad_one_exit_1_with_json_and_a_report() {
    let exchange = Exchange::open().await;
    let good = Device::start(exchange.port, None, &[]);
    let output = talkwire(words(exchange.port, &["--json"])).await;
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &json["failed"]), (Some(0), &Value::from(0)), "{json:#}");
    let checks = json["checks"].as_array().unwrap();
    assert_eq!(checks.len(), ITEMS.len());
    assert!(checks.iter().all(|check| ["id", "name", "status", "detail", "mend"].iter().all(|field| check[field].is_string())));
    let sum: u64 = ["passed", "failed", "skipped"].iter().map(|word| json[word].as_u64().unwrap()).sum();
    assert_eq!(sum as usize, checks.len());
    let skipped = checks.iter().find(|check| check["id"] == "B02").unwrap();
    assert!(skipped["detail"].as_str().unwrap().contains("--proxy"), "a check that was left out says how to enable it");
    drop(good);

    let _bad = Device::start(exchange.port, None, &["B05", "C01"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    let output = talkwire(words(exchange.port, &["--report", file.to_str().unwrap()])).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("✗ C01") && text.contains("→ ") && text.contains("✓ B09"), "{text}");
    let page = std::fs::read_to_string(file).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("class=\"failed\"") && page.contains("To mend"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_checked_is_exit_2_with_what_to_do() {
    let nobody = free_address().port();
    let output = talkwire(words(nobody, &["--json"])).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--broker"));

    let exchange = Exchange::open().await;
    let output = talkwire(words(exchange.port, &["--patience", "1"])).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("start it"), "{}", String::from_utf8_lossy(&output.stderr));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "not a key").unwrap();
    for (wrong, hint) in [(["--fernet-key-file", file.to_str().unwrap()], "chmod 600"), (["--ca", file.to_str().unwrap()], "mqtts://")] {
        let output = talkwire(words(exchange.port, &wrong)).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(hint) && !said.contains("not a key"), "{said}");
    }

    let output = talkwire(["check", "x y", "--tenant", "acme", "--site", "home"].map(str::to_owned).to_vec()).await;
    assert_eq!(output.status.code(), Some(2));
}
