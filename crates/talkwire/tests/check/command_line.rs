//! The interface that scripts rely on: exit codes, JSON, the report file.

use crate::device::{Device, ID};
use crate::exchange::{Exchange, free_address};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};
use talkwire::check::ITEMS;
use talkwire::config::Config;
use talkwire::serve;

fn command(words: Vec<String>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_talkwire"));
    command.args(words).env_remove("TALKWIRE_BROKER").env_remove("TALKWIRE_DATA");
    command
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn talkwire(words: Vec<String>) -> Output {
    run(command(words)).await
}

/// What is printed for programs.
fn printed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn words(port: u16, more: &[&str]) -> Vec<String> {
    let broker = format!("mqtt://127.0.0.1:{port}");
    let words = ["check", ID, "--tenant", "acme", "--site", "home", "--broker", &broker, "--quick", "--open-broker"];
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
    let figures = checks.iter().find(|check| check["id"] == "B07").unwrap();
    assert!(figures["detail"].as_str().unwrap().starts_with("ok, up "), "{figures}");
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
    assert!(page.starts_with("<!doctype html>") && page.contains("class=\"failed\"") && page.contains("To mend") && page.contains(" UTC, "));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_checked_is_exit_2_with_what_to_do() {
    let nobody = free_address().port();
    let output = talkwire(words(nobody, &["--json"])).await;
    assert_eq!((output.status.code(), &printed(&output)["error"]["code"]), (Some(2), &Value::from("broker")));
    assert!(printed(&output)["error"]["text"].as_str().unwrap().contains("--broker"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--broker"));

    let exchange = Exchange::open().await;
    let output = talkwire(words(exchange.port, &["--patience", "1", "--json"])).await;
    assert_eq!((output.status.code(), &printed(&output)["error"]["code"]), (Some(2), &Value::from("device_never_heard")));
    assert!(String::from_utf8_lossy(&output.stderr).contains("start it"), "{}", String::from_utf8_lossy(&output.stderr));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "not a key").unwrap();
    for (wrong, hint) in [(["--fernet-key-file", file.to_str().unwrap()], "chmod 600"), (["--ca", file.to_str().unwrap()], "mqtts://")] {
        let output = talkwire(words(exchange.port, &wrong)).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(hint) && !said.contains("not a key"), "{said}");
    }

    let output = talkwire(["check", "x y", "--tenant", "acme", "--site", "home", "--json"].map(str::to_owned).to_vec()).await;
    assert_eq!((output.status.code(), &printed(&output)["error"]["code"]), (Some(2), &Value::from("misuse")));

    // Before anything is checked: nobody waits ten minutes for a report that cannot be written.
    let report = folder.path().join("missing/report.html");
    let output = talkwire(words(nobody, &["--json", "--report", report.to_str().unwrap()])).await;
    assert_eq!((output.status.code(), &printed(&output)["error"]["code"]), (Some(2), &Value::from("report_file")));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("connecting"), "{output:?}");
    let report = folder.path().join("report.md");
    talkwire(words(nobody, &["--report", report.to_str().unwrap()])).await;
    assert!(!report.exists(), "no empty report is left where nothing could be checked");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_printed_although_their_file_is_gone() {
    let exchange = Exchange::open().await;
    let _device = Device::start(exchange.port, None, &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reports/report.md");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    let mut child =
        command(words(exchange.port, &["--json", "--report", file.to_str().unwrap()])).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let output = tokio::task::spawn_blocking(move || {
        wait_for(&mut child, "asking");
        std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    assert_eq!((output.status.code(), &printed(&output)["failed"]), (Some(2), &Value::from(0)));
}

/// Reads what it says on standard error until there is `word`.
fn wait_for(child: &mut std::process::Child, word: &str) {
    let mut said = BufReader::new(child.stderr.as_mut().unwrap());
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended without {word:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_check_tells_what_it_saw() {
    let exchange = Exchange::open().await;
    let _device = Device::start(exchange.port, None, &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.md");
    let more = ["--json", "--watch", "300", "--report", file.to_str().unwrap()];
    let mut child = command(words(exchange.port, &more)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let output = tokio::task::spawn_blocking(move || {
        wait_for(&mut child, "watching");
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let mut text = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut text).unwrap();
        (child.wait().unwrap().code(), text)
    });
    let (code, text) = output.await.unwrap();
    let json: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!((code, &json["interrupted"], &json["failed"]), (Some(130), &Value::Bool(true), &Value::from(0)), "{json:#}");
    let check = |id: &str| json["checks"].as_array().unwrap().iter().find(|check| check["id"] == id).unwrap().clone();
    assert!(check("B09")["status"] == "passed" && check("C01")["status"] == "passed", "{json:#}");
    assert!(check("B06")["detail"].as_str().unwrap().starts_with("interrupted") && check("R01")["status"] == "skipped", "{json:#}");
    assert!(std::fs::read_to_string(folder.path().join("report.md")).unwrap().contains("INTERRUPTED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_server_on_this_machine_is_found_where_the_other_commands_look() {
    let data = tempfile::tempdir().unwrap();
    let free = "127.0.0.1:0".parse().unwrap();
    let folder = data.path().join("talkwire-data");
    let running = serve::start(&Config { data: folder, http: free, mqtt: vec![free], ws: free, ..Config::default() }).await.unwrap();
    let port = running.address("mqtt").unwrap().port();
    let _device = Device::start(port, None, &[]);
    let mut here = command(words(port, &["--json"]));
    here.current_dir(data.path());
    let output = run(here).await;
    let json = printed(&output);
    let status = |id: &str| json["checks"].as_array().unwrap().iter().find(|check| check["id"] == id).unwrap()["status"].clone();
    assert!(status("B09") == "passed" && status("C01") == "passed" && json["notes"] == serde_json::json!([]), "{json:#}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("as the owner of talkwire-data"));

    let mut elsewhere = command(words(port, &["--json"]));
    elsewhere.current_dir("/");
    let output = run(elsewhere).await;
    assert_eq!(output.status.code(), Some(0));
    let note = printed(&output)["notes"][0].as_str().unwrap().to_owned();
    assert!(note.contains("NO COMMAND WAS TESTED (B09, B10, C01") && note.contains("--data DIR"), "{note}");
    running.stop().await;
}
