//! `system.get_logs` with programs that answer, hang, fail and talk nonsense.

mod bench;

use bench::{Machine, none};
use serde_json::json;
use std::time::{Duration, Instant};
use talkwire_device::ToolError;
use talkwire_proto::Code;

const LINE: &str = r#"{"__REALTIME_TIMESTAMP":"1772483400123456","PRIORITY":"3","SYSLOG_IDENTIFIER":"dnsmasq-dhcp","MESSAGE":"no address range available"}"#;

fn with_journal(script: &str) -> Machine {
    let machine = Machine::empty();
    machine.write("var/log/journal/0123/system.journal", "");
    machine.program("journalctl", script);
    machine
}

#[tokio::test]
async fn the_journal_is_asked_with_plain_arguments() {
    let machine = Machine::empty();
    let told = machine.0.path().join("told");
    machine.write("run/log/journal/0123/system.journal", "");
    machine.program("journalctl", &format!("printf '%s\\n' \"$@\" > {}\ncat <<'END'\n{LINE}\nnonsense\nEND", told.display()));
    let answer = machine.ask("system.get_logs", json!({"limit": 5, "level": "error", "since_s": 60})).await.unwrap();
    let entry = json!({"source": "dnsmasq-dhcp", "message": "dnsmasq-dhcp: no address range available", "ts": 1_772_483_400_123_i64, "level": "error"});
    assert_eq!(answer, json!({"total": 1, "entries": [entry], "from": "journal", "truncated": false}));
    let told = std::fs::read_to_string(told).unwrap();
    assert!(told.contains("--lines=5\n--since=@") && told.ends_with("--priority=3..3\n"), "{told}");
}

#[tokio::test]
async fn without_a_journal_the_ring_of_the_kernel_is_read() {
    let machine = Machine::empty();
    machine.program("journalctl", "echo 'never asked'; exit 1");
    machine.program("dmesg", "[ \"$*\" = -r ] || exit 2\nprintf '<6>[    1.5] old\\n<4>[  100.5] wan: link is down\\n<4>no time\\n'");
    machine.write("proc/stat", "cpu 1 1 1 1\nbtime 4000000000\n");
    machine.write("proc/uptime", "9000.00 1.00\n");
    assert_eq!(machine.support("system.get_logs").limitations["source"], "kernel_ring");
    let answer = machine.ask("system.get_logs", json!({"level": "warning", "limit": 1})).await.unwrap();
    assert_eq!(answer["entries"], json!([{"source": "kernel", "message": "no time", "level": "warning"}]));
    let answer = machine.ask("system.get_logs", json!({"level": "warning", "since_s": 60})).await.unwrap();
    assert_eq!(
        answer["entries"],
        json!([{"source": "kernel", "message": "wan: link is down", "ts": 4_000_000_100_500_i64, "level": "warning"}]),
        "a line without a time may be old"
    );
    assert_eq!(answer["from"], "kernel_ring");
}

#[tokio::test]
async fn openwrt_is_asked_by_logread_and_dnsmasq_by_its_own_file() {
    let machine = Machine::empty();
    machine.program("logread", "[ \"$*\" = -t ] || exit 2\nprintf 'Sat Nov 21 15:23:08 2026 [4000000000.123] daemon.warn hostapd[77]: radar\\nSat Nov 21 15:23:09 2026 [1.0] daemon.info old[7]: x\\n'");
    machine.program("dnsmasq", "exit 0");
    machine.write("etc/dnsmasq.conf", "log-facility=/var/log/dnsmasq.log\n");
    machine.write("var/log/dnsmasq.log", "Nov 21 15:23:10 dnsmasq-dhcp[7]: DHCPDISCOVER(br-lan) 02:00:00:00:a0:01 no address available\n");
    let answer = machine.ask("system.get_logs", json!({"since_s": 600})).await.unwrap();
    let messages: Vec<_> = answer["entries"].as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["dnsmasq-dhcp: DHCPDISCOVER(br-lan) 02:00:00:00:a0:01 no address available", "hostapd: radar"]);
    assert_eq!((&answer["from"], &answer["entries"][1]["level"]), (&json!("logread"), &json!("warning")));
    let answer = machine.ask("system.get_logs", json!({"level": "warning"})).await.unwrap();
    assert_eq!((&answer["total"], &answer["entries"][0]["source"]), (&json!(1), &json!("hostapd")));

    machine.program("logread", "[ $# = 0 ] || exit 2\necho 'Nov 21 15:23:08 attic kern.err kernel: wan: link is down'");
    machine.remove("var/log/dnsmasq.log");
    let answer = machine.ask("system.get_logs", json!({"since_s": 600})).await.unwrap();
    assert_eq!(answer["entries"], json!([{"source": "kernel", "message": "wan: link is down", "level": "error"}]), "BusyBox tells no time");
}

#[tokio::test]
async fn wrong_arguments_never_reach_the_program() {
    let machine = with_journal("touch \"$0.ran\"");
    for args in
        [json!({"limit": 999_999}), json!({"limit": "5; reboot"}), json!({"level": "--vacuum-size=1"}), json!({"since_s": -5}), json!({"since_s": 1e300})]
    {
        let error = machine.ask("system.get_logs", args.clone()).await.unwrap_err();
        assert!(error.is(Code::InvalidArgs), "{args}: {error}");
    }
    assert!(!machine.0.path().join("usr/bin/journalctl.ran").exists());
}

#[tokio::test]
async fn a_refused_permission_is_told() {
    let machine = with_journal("echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1");
    let error = machine.ask("system.get_logs", none()).await.unwrap_err();
    assert!(error.is(Code::Device) && error.message.contains("insufficient permissions"), "{error}");
}

#[tokio::test]
async fn a_megabyte_of_nonsense_is_no_entry_and_a_great_log_fits_into_a_message() {
    let machine = with_journal("head -c 3000000 /dev/urandom");
    let answer = machine.ask("system.get_logs", none()).await.unwrap();
    assert_eq!((&answer["total"], &answer["truncated"]), (&json!(0), &json!(true)), "lines were lost, so that nothing was seen is not certain");

    let machine =
        with_journal("i=0; while [ $i -lt 1000 ]; do i=$((i+1)); printf '{\"PRIORITY\":\"6\",\"_COMM\":\"x\",\"MESSAGE\":\"%s %0900d\"}\\n' $i 0; done");
    let answer = machine.ask("system.get_logs", json!({"limit": 1000})).await.unwrap();
    let (entries, bytes) = (answer["entries"].as_array().unwrap(), answer.to_string().len());
    assert!(bytes < 200 * 1024 && entries.len() > 100 && answer["truncated"] == true, "{} entries in {bytes} bytes", entries.len());
    assert!(entries.last().unwrap()["message"].as_str().unwrap().starts_with("x: 1000 0"));
}

#[tokio::test]
async fn a_call_that_is_given_up_takes_the_program_with_it() {
    let machine = Machine::empty();
    let pid = machine.0.path().join("pid");
    machine.write("var/log/journal/0123/system.journal", "");
    machine.program("journalctl", &format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 60", pid.display()));
    let began = Instant::now();
    let result: Option<Result<_, ToolError>> = tokio::select! {
        answer = machine.ask("system.get_logs", none()) => Some(answer),
        () = bench::wait_for(&pid) => None,
    };
    assert!(result.is_none() && began.elapsed() < Duration::from_secs(9), "{result:?}");
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(!std::path::Path::new("/proc").join(pid.trim()).exists(), "the program still runs");
}

#[tokio::test]
async fn the_file_of_a_syslog_daemon_is_read_where_nothing_else_keeps_a_log() {
    let machine = Machine::empty();
    machine.program("dmesg", "echo never asked; exit 1");
    machine.write("var/log/messages", "Nov 21 15:23:08 attic daemon.info udhcpc: eth0: bound\nnonsense\nNov 21 15:23:09 attic daemon.err dnsmasq[7]: failed\n");
    let answer = machine.ask("system.get_logs", json!({"since_s": 600})).await.unwrap();
    let messages: Vec<_> = answer["entries"].as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap()).collect();
    assert_eq!((messages, &answer["from"]), (vec!["udhcpc: eth0: bound", "dnsmasq: failed"], &json!("syslog_file")));
    let answer = machine.ask("system.get_logs", json!({"level": "error"})).await.unwrap();
    assert_eq!(answer["total"], 1);
}
