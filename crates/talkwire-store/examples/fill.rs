//! How fast the memory takes rows: `cargo run --release -p talkwire-store --example fill -- [devices] [rows] [rows per batch]`.

use serde_json::json;
use std::time::{Duration, Instant};
use talkwire_core::Save;
use talkwire_core::effect::{EventRow, Sample};
use talkwire_proto::event::Severity;
use talkwire_store::{Options, Sqlite, Store};

const METRICS: [&str; 5] = ["cpu_usage", "memory_usage", "temperature", "wifi.clients", "wan.latency"];

fn row(at: usize, devices: usize) -> Save {
    // Rows are built outside the measured time; the names are always valid.
    let key = format!("home/flat/dev-{}", at % devices).parse().expect("a valid name");
    let ts_ms = 1_800_000_000_000 + at as i64 / 20;
    if at % 10 == 9 {
        let data = json!({"client": "aa:bb:cc:dd:ee:ff", "rssi": -61, "band": "5"});
        return Save::Event(EventRow { key, event_type: "client.roamed".into(), severity: Severity::Info, data, ts_ms, received_ms: ts_ms, flag: None });
    }
    let metric = METRICS[at / devices % METRICS.len()].into();
    Save::Sample(Sample { key, metric, ts_ms, received_ms: ts_ms + 3, value: Some(at as f64 / 7.0), unit: Some("%".into()), body: None })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let devices = numbers.next().transpose()?.unwrap_or(1_000).max(1);
    let rows = numbers.next().transpose()?.unwrap_or(400_000);
    let per_batch = numbers.next().transpose()?.unwrap_or(512).max(1);
    let dir = tempfile::tempdir_in(".")?;
    let mut store = Sqlite::open(dir.path(), Options::default())?;
    println!("{devices} devices, {} metrics each, {per_batch} rows per batch, each batch on the disk before the next", METRICS.len());
    println!("idle memory: {}", memory());
    let mut times = Vec::new();
    for first in (0..rows).step_by(per_batch) {
        let batch: Vec<_> = (first..rows.min(first + per_batch)).map(|at| row(at, devices)).collect();
        let start = Instant::now();
        store.commit(&batch)?;
        times.push(start.elapsed());
    }
    let total: Duration = times.iter().sum();
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{:.0} rows/s; a batch takes p50 {:.1?}, p99 {:.1?}, most {:.1?}", rows as f64 / total.as_secs_f64(), at(0.5), at(0.99), at(1.0));
    println!(
        "memory: {}; disk: {:.1} MiB, {:.0} bytes per row",
        memory(),
        store.reader().size_bytes()? as f64 / 1_048_576.0,
        store.reader().size_bytes()? as f64 / rows as f64
    );
    let key = "home/flat/dev-0".parse()?;
    let start = Instant::now();
    let page = store.reader().telemetry(&key, "cpu_usage", i64::MIN, i64::MAX, 500, None)?;
    println!("reading the newest {} samples of one metric: {:.1?}", page.items.len(), start.elapsed());
    drop(store);
    let start = Instant::now();
    let mut store = Sqlite::open(dir.path(), Options::default())?;
    let loaded = store.load(1_800_000_000_000)?;
    println!("opening and loading ({} devices told themselves): {:.1?}", loaded.devices.len(), start.elapsed());
    let (start, mut samples, mut slices, mut longest) = (Instant::now(), 0, 0, Duration::ZERO);
    loop {
        let slice = Instant::now();
        let pruned = store.prune(1_800_000_000_000 + 30 * 86_400_000)?;
        longest = longest.max(slice.elapsed());
        slices += 1;
        samples += pruned.samples;
        if !pruned.more {
            break;
        }
    }
    println!("folding {samples} samples: {:.1?} in {slices} slices, the longest {longest:.1?}", start.elapsed());
    Ok(())
}

/// Resident memory, where the system tells it.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")).map_or_else(|| "unknown".into(), |rest| rest.trim().to_owned())
}
