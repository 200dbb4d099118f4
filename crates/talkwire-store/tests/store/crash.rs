//! kill -9 at any instant: what was acknowledged is there, and the database is whole.

use crate::made;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use talkwire_core::Save;
use talkwire_store::{Options, Reader, Sqlite, Store};

const FOLDER: &str = "TALKWIRE_STORE_CRASH_FOLDER";
const TRIALS: u32 = 20;
const ROWS: usize = 7;

/// Batch `n`: a setting and some samples that all carry the number.
fn batch(n: i64) -> Vec<Save> {
    let mut rows = vec![made::setting(&n.to_string(), json!("x".repeat(300)))];
    rows.extend((0..ROWS).map(|_| Save::Sample(made::sample("router-1", "cpu_usage", n, n as f64))));
    rows
}

/// The program that is killed: commits and tells each number once it is acknowledged.
fn commit_for_ever(dir: &Path) -> ! {
    let mut store = Sqlite::open(dir, Options { cache_kib: 256 }).unwrap();
    let first = store.reader().settings().unwrap().len() as i64;
    for n in first.. {
        store.commit(&batch(n)).unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {n}").and_then(|()| out.flush()).unwrap();
    }
    unreachable!("numbers do not end")
}

#[test]
fn acknowledged_batches_survive_kill_9() {
    if let Some(dir) = std::env::var_os(FOLDER) {
        commit_for_ever(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut stored) = (-1, 0);
    for trial in 0..TRIALS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::acknowledged_batches_survive_kill_9", "--nocapture", "--test-threads=1"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut told = lines.filter_map(|line| line.rsplit_once("acknowledged ").and_then(|(_, n)| n.parse::<i64>().ok()));
        let first = told.next().expect("the child ended without an acknowledgement");
        // From its first acknowledgement on, an instant that differs from trial to trial; nothing depends on how far the child came.
        std::thread::sleep(Duration::from_millis(u64::from(trial) * 37 % 160));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = told.last().unwrap_or(first);

        let store = Sqlite::open(dir.path(), Options::default()).unwrap();
        assert_eq!(store.check().unwrap(), [""; 0], "trial {trial}");
        let reader = Reader::open(dir.path()).unwrap();
        let before = std::mem::replace(&mut stored, reader.settings().unwrap().len() as i64);
        assert!(stored > acknowledged, "trial {trial}: {acknowledged} was acknowledged, {stored} are stored");
        // At most the batch that was under way is there without having been told of, and it is there as a whole.
        assert!((before..=acknowledged + 2).contains(&stored), "trial {trial}: {acknowledged} was acknowledged, {stored} are stored");
        for n in [0, acknowledged, stored - 1] {
            let found = reader.telemetry(&made::key("router-1"), "cpu_usage", n, n, 100, None).unwrap().items.len();
            assert_eq!(found, ROWS, "trial {trial}, batch {n}");
        }
    }
    println!("{TRIALS} kills, {} batches acknowledged, 0 lost: fewer than {:.0} % of kills lose one (at 95 %)", acknowledged + 1, 300.0 / f64::from(TRIALS));
}
