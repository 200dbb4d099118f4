//! TLS: the check through it, and a device through it and the proxy, at a Mosquitto with a certificate of ours.

use crate::device::ID;
use crate::every_check::{options, report};
use crate::exchange::free_address;
use crate::mosquitto::{Mosquitto, program, skip};
use std::path::Path;
use std::process::{Command, Stdio};
use talkwire::check::{CannotRun, Status, inspect};
use talkwire_device::{Attributes, Broker, Device, DeviceConfig, StateReport, Tls};

fn openssl(folder: &Path, line: &str) -> bool {
    Command::new("openssl")
        .args(line.split_whitespace())
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn certificates(folder: &Path) -> bool {
    std::fs::write(folder.join("san"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(folder, "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=authority -days 1")
        && openssl(folder, "req -newkey rsa:2048 -nodes -keyout broker.key -out broker.csr -subj /CN=broker")
        && openssl(folder, "x509 -req -in broker.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out broker.crt -days 1 -extfile san")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_tls_passes_also_what_needs_the_cut() {
    let Some(mosquitto) = program("mosquitto") else { return skip("with TLS", "it is not installed (`apt install mosquitto`)") };
    let folder = tempfile::tempdir().unwrap();
    if !certificates(folder.path()) {
        return skip("with TLS", "openssl is not installed");
    }
    let file = |name: &str| folder.path().join(name);
    let port = free_address().port();
    let settings = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\ncertfile {}\nkeyfile {}\npersistence false\nuser root\n",
        file("broker.crt").display(),
        file("broker.key").display()
    );
    let _running = Mosquitto::start(&mosquitto, folder.path(), &settings, port).await;

    let mut options = options(port);
    (options.target.tls, options.require_tls) = (true, true);
    assert!(matches!(inspect(&options, |_| {}).await, Err(CannotRun::Broker { .. })), "a broker whose authority nobody knows is not trusted");
    options.target.ca_file = Some(file("ca.crt"));

    let broker = Broker::tls("127.0.0.1", options.proxy.unwrap().port(), Tls::ca(file("ca.crt")));
    let text = |text: &str| Some(text.to_owned());
    let attributes = Attributes { manufacturer: text("Acme"), model: text("S1"), firmware_version: text("1.0"), ..Attributes::default() };
    let config = DeviceConfig::new(format!("acme/home/{ID}").parse().unwrap(), "sensor", broker);
    let config = DeviceConfig { data_dir: file("data"), attributes, ..config };
    let figures = serde_json::json!({"cpu_usage": 2.0, "memory_usage": 30.0}).as_object().unwrap().clone();
    let device = Device::builder(config).state(move || StateReport { figures: figures.clone(), ..StateReport::default() }).start().await.unwrap();
    let report = report(&options).await;
    assert_eq!(report.count(Status::Failed), 0, "{}", report.text());
    for id in ["S01", "B02", "B09", "R01", "R03", "R04", "R05"] {
        assert_eq!(report.finding(id).unwrap().status, Status::Passed, "{}", report.text());
    }
    device.shutdown().await;
}
