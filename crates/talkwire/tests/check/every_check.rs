//! Every check can pass and can fail, on the wire.

use crate::device::{Device, ID};
use crate::exchange::{Exchange, PASSWORD, free_address};
use std::collections::BTreeSet;
use std::time::Duration;
use talkwire::check::access::Credentials;
use talkwire::check::target::Secret;
use talkwire::check::{ITEMS, Options, Report, Status, Target, inspect};
use talkwire_device::{Attributes, Broker, DeviceConfig, StateReport};

/// Many bad things in one device, as far as one does not hide another.
const WORST: &[&str] = &[
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B09", "B10", "B11", "B12", "C01", "C02", "C04", "C05", "R02", "R05", "P01", "S01", "S02", "S03", "S04",
    "S05",
];
const NOISY: &[&str] = &["B08", "B13", "B14", "B15", "B16", "B17", "B18", "R03", "R04", "P02", "P04", "P05"];
const GONE: &[&str] = &["C03", "R01", "P03"];
/// These need TLS and a key; see `encrypted.rs`.
const LOCKED: &[&str] = &["S06", "S07"];

pub fn options(port: u16) -> Options {
    let target = Target::parse(&format!("mqtt://127.0.0.1:{port}")).unwrap();
    let options = Options::new(format!("acme/home/{ID}").parse().unwrap(), target).quick();
    Options { proxy: Some(free_address()), watch: Duration::from_secs(9), rounds: 6, open_broker: true, ..options }
}

pub async fn report(options: &Options) -> Report {
    let evidence = inspect(options, |_| {}).await.unwrap();
    Report::judge(&evidence, "test")
}

pub fn failed(report: &Report) -> BTreeSet<&'static str> {
    report.findings.iter().filter(|finding| finding.status == Status::Failed).map(|finding| finding.id).collect()
}

/// Exactly the checks fail that the device shall fail; each says what was seen and how to mend it.
async fn fails(bad: &[&'static str], options: &Options) {
    let device = Device::start(options.proxy.unwrap().port(), None, bad);
    let report = report(options).await;
    drop(device);
    assert_eq!(failed(&report), bad.iter().copied().collect(), "{}", report.text());
    for finding in report.findings.iter().filter(|finding| finding.status == Status::Failed) {
        assert!(!finding.detail.is_empty() && !finding.mend.is_empty(), "{finding:?}");
    }
}

#[test]
fn there_is_a_bad_device_for_every_check() {
    let bad: BTreeSet<&str> = WORST.iter().chain(NOISY).chain(GONE).chain(LOCKED).copied().collect();
    assert_eq!(bad, ITEMS.iter().map(|item| item.id).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_device_at_a_broker_with_accounts_passes_all_that_needs_neither_time_nor_tls_nor_a_key() {
    let exchange = Exchange::with_accounts().await;
    let mut options = options(exchange.port);
    (options.target.username, options.target.password) = (Some("check".into()), Some(Secret(PASSWORD.into())));
    options.credentials = Some(Credentials { username: ID.into(), password: Secret(PASSWORD.into()) });
    let _device = Device::start(options.proxy.unwrap().port(), Some(PASSWORD), &[]);
    let report = report(&options).await;
    let not_passed: Vec<_> = report.findings.iter().filter(|finding| finding.status != Status::Passed).map(|finding| finding.id).collect();
    assert_eq!(not_passed, ["P04", "P05", "S01", "S06", "S07"], "{}", report.text());
    for id in ["P04", "P05"] {
        assert!(report.finding(id).unwrap().detail.contains("--watch 61"), "too short a time shows neither: {}", report.text());
    }
    assert!(report.notes().is_empty(), "{}", report.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worst_device_fails_nearly_everything() {
    let exchange = Exchange::open().await;
    let mut options = options(exchange.port);
    options.require_tls = true;
    options.credentials = Some(Credentials { username: ID.into(), password: Secret(PASSWORD.into()) });
    fails(WORST, &options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_noisy_and_forgetful_device_fails() {
    let exchange = Exchange::open().await;
    fails(NOISY, &options(exchange.port)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_does_not_come_back_fails() {
    let exchange = Exchange::open().await;
    let mut options = options(exchange.port);
    options.back_within = Duration::from_secs(4);
    let device = Device::start(options.proxy.unwrap().port(), None, GONE);
    let report = report(&options).await;
    drop(device);
    // What needs it back cannot be seen, and is not held against it twice.
    assert!(GONE.iter().all(|id| failed(&report).contains(id)), "{}", report.text());
    for id in ["R03", "R04", "R05"] {
        assert_eq!(report.finding(id).unwrap().status, Status::Skipped, "{}", report.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_the_sdk_fails_nothing() {
    let (exchange, data) = (Exchange::open().await, tempfile::tempdir().unwrap());
    let options = options(exchange.port);
    let config = DeviceConfig::new(options.key.clone(), "sensor", Broker::open("127.0.0.1", options.proxy.unwrap().port()));
    let text = |text: &str| Some(text.to_owned());
    let attributes = Attributes { manufacturer: text("Acme"), model: text("S1"), firmware_version: text("1.0"), ..Attributes::default() };
    let config = DeviceConfig { data_dir: data.path().into(), attributes, ..config };
    let figures = serde_json::json!({"cpu_usage": 2.0, "memory_usage": 30.0}).as_object().unwrap().clone();
    let device =
        talkwire_device::Device::builder(config).state(move || StateReport { figures: figures.clone(), ..StateReport::default() }).start().await.unwrap();
    let report = report(&options).await;
    assert!(failed(&report).is_empty(), "{}", report.text());
    for id in ["B02", "C01", "C02", "C04", "C05", "R01", "R02", "R03", "R04", "R05"] {
        assert_eq!(report.finding(id).unwrap().status, Status::Passed, "{}", report.text());
    }
    device.shutdown().await;
    exchange.stop().await;
}
