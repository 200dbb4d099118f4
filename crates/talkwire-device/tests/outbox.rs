//! What must arrive does: over cut cables, killed processes, full disks and brokers that refuse.

mod bench;

use bench::ledger::{Ledger, first_times};
use bench::proxy::Cable;
use bench::{Exchange, KEY};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use talkwire_broker::PublishRefusal;
use talkwire_device::{Broker, Device, DeviceConfig, OutboxConfig, Rates, Running, Severity, ToolSupport, tool_fn};

/// The example `counter` in a process of its own.
struct Counter {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Counter {
    fn start(port: u16, folder: &Path, from: u64, to: u64) -> Self {
        Self::run(Command::new(counter()), port, folder, from, to)
    }

    fn run(mut command: Command, port: u16, folder: &Path, from: u64, to: u64) -> Self {
        command.arg(format!("127.0.0.1:{port}")).arg(folder).args([from.to_string(), to.to_string()]);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the example starts");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self { process, lines }
    }

    /// The last event that is kept and the outbox's errors by then, after so many lines.
    async fn kept(&mut self, lines: usize) -> (u64, u64) {
        tokio::task::block_in_place(|| {
            let line = (0..lines).map(|_| self.lines.next().expect("it runs").expect("text")).last().expect("a line");
            let (n, errors) = line.split_once(' ').expect("two numbers");
            (n.parse().expect("a number"), errors.parse().expect("a number"))
        })
    }

    /// At once, without any chance to tidy up.
    fn kill(self) {}
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("ended");
    }
}

fn counter() -> std::path::PathBuf {
    let test = std::env::current_exe().expect("a path");
    let example = test.ancestors().nth(2).expect("target folder").join("examples").join(format!("counter{}", std::env::consts::EXE_SUFFIX));
    assert!(example.exists(), "{} is missing; run the tests of the whole crate, which builds it", example.display());
    example
}

/// Says, also to `cargo xtask test`, what could not be tried here.
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
    if let Some(file) = std::env::var_os("TALKWIRE_SKIPPED") {
        let line = format!("device: {why}\n");
        let noted = std::fs::OpenOptions::new().append(true).create(true).open(file).and_then(|mut file| std::io::Write::write_all(&mut file, line.as_bytes()));
        noted.expect("the file of TALKWIRE_SKIPPED can be written");
    }
}

fn up_to(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

async fn device(config: DeviceConfig) -> Running {
    Device::builder(config).start().await.expect("a device")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_offline_survives_a_kill_and_arrives_once_and_in_order() {
    let ledger = Arc::new(Ledger::default());
    let mut exchange = Exchange::start_gated(ledger.clone()).await;
    exchange.stop().await;
    let data = tempfile::tempdir().unwrap();
    let mut process = Counter::start(exchange.port, data.path(), 1, 100_000);
    let (kept, _) = process.kept(250).await;
    process.kill();
    exchange.run().await;
    let _process = Counter::start(exchange.port, data.path(), 1, 0);
    let heard = ledger.until(|heard| heard.len() as u64 >= kept).await;
    assert_eq!(heard, up_to(heard.len() as u64), "kept until {kept}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(first_times(&ledger.events()).len(), ledger.events().len(), "what is acknowledged is not sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_killed_at_any_moment_while_it_talks_loses_nothing_that_was_kept() {
    let ledger = Arc::new(Ledger::default());
    let exchange = Exchange::start_gated(ledger.clone()).await;
    let data = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    for trial in 0..8u64 {
        let mut process = Counter::start(exchange.port, data.path(), trial * 10_000 + 1, (trial + 1) * 10_000);
        let (last, _) = process.kept(20 + 37 * usize::try_from(trial).unwrap()).await;
        process.kill();
        kept.extend(trial * 10_000 + 1..=last);
    }
    let _process = Counter::start(exchange.port, data.path(), 1, 0);
    let heard = ledger.until(|heard| kept.iter().all(|n| heard.contains(n))).await;
    assert!(first_times(&heard).is_sorted(), "in order, repeats aside: {heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cable_cut_after_any_byte_costs_nothing_but_time() {
    let ledger = Arc::new(Ledger::default());
    let exchange = Exchange::start_gated(ledger.clone()).await;
    let cable = Cable::to(exchange.port).await;
    let data = tempfile::tempdir().unwrap();
    let config = DeviceConfig { broker: Broker::open("127.0.0.1", cable.port), rates: Rates::unlimited(), ..exchange.device(data.path()) };
    let up = [0, 1, 2, 13, 60, 200, 350, 600, 601, 602, 900, 1500, 2500, 4000, 6000, 9000].map(|bytes| (bytes, usize::MAX));
    let down = [0, 1, 3, 4, 5, 20, 21, 22, 40, 60, 90, 150].map(|bytes| (usize::MAX, bytes));
    cable.cut(up.into_iter().chain(down).collect());
    let device = device(config).await;
    let mut last = 0;
    while cable.left() > 0 && last < 5000 {
        last += 1;
        device.event("count", Severity::Info, json!({"n": last}));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(cable.left(), 0, "every cut was made");
    let heard = ledger.until(|heard| heard.contains(&last)).await;
    assert_eq!(first_times(&heard), up_to(last), "all, and in order, repeats aside");
    assert!(device.counters()["connection_errors"].as_u64().unwrap() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_cable_is_noticed_by_both_ends_and_online_is_said_once() {
    let exchange = Exchange::start().await;
    let cable = Cable::to(exchange.port).await;
    let data = tempfile::tempdir().unwrap();
    let mut controller = exchange.controller(KEY).await;
    let config = DeviceConfig { broker: Broker::open("127.0.0.1", cable.port), keep_alive: Duration::from_secs(3), ..exchange.device(data.path()) };
    let device = device(config).await;
    controller.hear("lwt", |lwt| lwt["status"] == "online").await;
    cable.die();
    let said = controller.hear("lwt", |_| true).await;
    // The broker may see the new connection before it misses the old one; it says the will in both cases.
    assert_eq!(said["status"], "offline", "{said}");
    controller.hear("lwt", |lwt| lwt["status"] == "online").await;
    device.online().await;
    let more = controller.collect("lwt", Duration::from_millis(2500)).await;
    assert!(more.is_empty(), "nothing more is said: {more:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_cable_is_noticed_also_by_a_device_that_talks_all_the_time() {
    let ledger = Arc::new(Ledger::default());
    let exchange = Exchange::start_gated(ledger.clone()).await;
    let cable = Cable::to(exchange.port).await;
    let data = tempfile::tempdir().unwrap();
    let broker = Broker::open("127.0.0.1", cable.port);
    let config = DeviceConfig { broker, keep_alive: Duration::from_secs(2), rates: Rates::unlimited(), ..exchange.device(data.path()) };
    let running = device(config).await;
    running.online().await;
    let talking = running.device();
    let talk = tokio::spawn(async move {
        loop {
            talking.telemetry("temperature", 21, "celsius");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    // On a good cable it talks on, although nobody has a reason to answer.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(ledger.connects.lock().unwrap().len(), 1, "a broker that only listens is not given up");
    cable.die();
    running.event("count", Severity::Info, json!({"n": 1}));
    let came_back = async {
        while ledger.connects.lock().unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(6), came_back).await.expect("noticed within one and a half keep-alives, and some time for the return");
    ledger.until(|heard| heard == [1]).await;
    talk.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_over_its_rate_waits_in_the_outbox_and_holds_nothing_else_up() {
    let ledger = Arc::new(Ledger::default());
    let exchange = Exchange::start_gated(ledger.clone()).await;
    let data = tempfile::tempdir().unwrap();
    let mut controller = exchange.controller(KEY).await;
    let config = DeviceConfig { rates: Rates { telemetry: 5, events: 3, ..Rates::default() }, ..exchange.device(data.path()) };
    let echo = tool_fn("clients.list", ToolSupport::plain(), |call| async move { Ok(json!(call.id)) });
    let device = Device::builder(config).tool(echo).start().await.unwrap();
    device.online().await;
    for n in 0..500 {
        device.telemetry("temperature", n, "celsius");
    }
    for n in 1..=4 {
        device.event("count", Severity::Info, json!({"n": n}));
    }
    ledger.until(|heard| heard.len() == 3).await;
    for n in 0..70 {
        controller.send(&json!({"id": format!("c{n}"), "op": "clients.list"})).await;
    }
    for n in 0..70 {
        controller.answer(&format!("c{n}")).await;
    }
    assert_eq!((ledger.telemetry(), ledger.events()), ((0..5).collect(), vec![1, 2, 3]));
    while device.counters()["outbox_waiting"] != 495 + 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(device.counters()["outbox_dropped"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_outbox_drops_the_oldest_telemetry_first_and_counts_it() {
    let ledger = Arc::new(Ledger::default());
    let mut exchange = Exchange::start_gated(ledger.clone()).await;
    exchange.stop().await;
    let data = tempfile::tempdir().unwrap();
    let outbox = OutboxConfig { max_messages: 50, ..OutboxConfig::default() };
    let device = device(DeviceConfig { outbox, rates: Rates::unlimited(), ..exchange.device(data.path()) }).await;
    for n in 1..=80 {
        device.telemetry("temperature", n, "celsius");
        if n % 8 == 0 {
            device.event("count", Severity::Info, json!({"n": n / 8}));
        }
        device.kept().await;
    }
    assert_eq!(device.counters()["outbox_dropped"], 40);
    exchange.run().await;
    ledger.until(|heard| heard.len() == 10).await;
    while ledger.telemetry().len() < 40 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((ledger.events(), ledger.telemetry()), (up_to(10), (41..=80).collect()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_room_is_asked_again_and_one_that_refuses_is_not() {
    let ledger = Arc::new(Ledger::refusing(|publish, asked| match asked {
        0..3 => Some(PublishRefusal::QuotaExceeded),
        _ if publish.payload.windows(5).any(|part| part == b"\"n\":4") => Some(PublishRefusal::NotAuthorized),
        _ => None,
    }));
    let exchange = Exchange::start_gated(ledger.clone()).await;
    let data = tempfile::tempdir().unwrap();
    let device = device(exchange.device(data.path())).await;
    for n in 1..=6 {
        device.event("count", Severity::Info, json!({"n": n}));
    }
    let heard = ledger.until(|heard| first_times(heard).len() == 5).await;
    assert_eq!(first_times(&heard).into_iter().collect::<std::collections::BTreeSet<_>>(), [1, 2, 3, 5, 6].into());
    while device.counters()["outbox_waiting"] != 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(device.counters()["unsent"], 1);
}

/// A device on a disk of 256 KiB: `first` is done there before it starts, then 2,000 events while the broker is away.
async fn on_a_small_disk(first: &str) {
    let ledger = Arc::new(Ledger::default());
    let mut exchange = Exchange::start_gated(ledger.clone()).await;
    exchange.stop().await;
    let data = tempfile::tempdir().unwrap();
    let allowed = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).status().is_ok_and(|status| status.success());
    if !allowed {
        return skipped("no user namespaces here; the outbox was not tested on a full disk");
    }
    let mut command = Command::new("unshare");
    let script = format!("mount -t tmpfs -o size=256k tmpfs \"$2\" && {first} && exec \"$0\" \"$@\"");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).arg(counter());
    let mut process = Counter::run(command, exchange.port, data.path(), 1, 2000);
    let (kept, errors) = process.kept(2000).await;
    assert!(kept == 2000 && errors > 0, "the disk was full: {errors} errors");
    exchange.run().await;
    let heard = ledger.until(|heard| heard.len() >= 2000).await;
    assert_eq!(first_times(&heard), up_to(2000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_stops_nothing_and_loses_nothing() {
    on_a_small_disk("true").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_from_the_start_stops_nothing() {
    on_a_small_disk("{ head -c 300000 /dev/zero > \"$2/full\" 2> /dev/null || true; }").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_read_anew_at_each_connect_and_the_session_outlives_the_process() {
    let ledger = Arc::new(Ledger::default());
    let mut exchange = Exchange::start_gated(ledger.clone()).await;
    let data = tempfile::tempdir().unwrap();
    let mut controller = exchange.controller(KEY).await;
    let token = data.path().join("token");
    std::fs::write(&token, "first\n").unwrap();
    let config = || DeviceConfig { broker: Broker::open("127.0.0.1", exchange.port).token_file(&token), ..exchange.device(data.path()) };
    let running = device(config()).await;
    running.online().await;
    running.shutdown().await;
    assert_eq!(controller.hear("lwt", |lwt| lwt["status"] == "offline").await["reason"], "shutdown");
    controller.send(&json!({"id": "while-away", "op": "device.status"})).await;
    std::fs::write(&token, "second\n").unwrap();
    let running = device(config()).await;
    assert_eq!(controller.answer("while-away").await["status"], "completed", "the broker kept the command");
    std::fs::write(&token, "third\n").unwrap();
    exchange.stop().await;
    exchange.run().await;
    controller.up().await;
    running.online().await;
    let connects = ledger.connects.lock().unwrap();
    let shown = connects.iter().filter(|connect| connect.client_id == "lamp-aabbccddeeff");
    let shown: Vec<_> =
        shown.map(|connect| (connect.username.clone(), connect.password.as_deref().map(|text| String::from_utf8_lossy(text).into_owned()))).collect();
    let login = |token: &str| (Some("lamp-aabbccddeeff".to_owned()), Some(token.to_owned()));
    assert_eq!(shown, [login("first"), login("second"), login("third")]);
}
