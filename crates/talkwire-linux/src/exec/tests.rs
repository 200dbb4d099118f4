//! Commands as tools, with real programs: what they may be given, and what becomes of those that hang, fail, flood or talk nonsense.

use super::*;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Instant;
use talkwire_device::{Act, Call, Code, Progress, Tool};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn script(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_string_lossy().into_owned()
    }
}

fn entry(value: Value) -> ExecEntry {
    serde_json::from_value(value).unwrap()
}

fn tool(value: Value) -> ExecTool {
    let entry = entry(value);
    entry.check("fan.read").unwrap();
    ExecTool::new(&Root::default(), "fan.read", &entry)
}

async fn call(tool: &ExecTool, args: Value) -> Result<Value, ToolError> {
    let args = Args(args.as_object().cloned().unwrap());
    Tool::run(tool, Call { id: "1".into(), op: "fan.read".into(), args, progress: Progress::silent(), trace: None }).await
}

#[tokio::test]
async fn arguments_reach_the_program_as_single_words_and_never_a_shell() {
    let tool = tool(json!({
        "class": "read", "result": "lines",
        "run": ["/usr/bin/printf", "%s\\n", "--name={name}", "{host}", "{number}", "{{plain}}"],
        "args": {
            "name": {"type": "string", "chars": " -~", "required": true},
            "host": {"type": "host", "required": true},
            "number": {"type": "integer", "min": 1, "max": 4, "default": 2},
        },
    }));
    let result = call(&tool, json!({"name": "a; echo $(id) 'b'", "host": "dns.example"})).await.unwrap();
    assert_eq!(result, json!({"lines": ["--name=a; echo $(id) 'b'", "dns.example", "2", "{plain}"], "total": 4}));
    for (args, name) in [
        (json!({"name": "x", "host": "; reboot"}), "host"),
        (json!({"name": "x", "host": "../../etc/passwd"}), "host"),
        (json!({"name": "x", "host": "a", "number": 999_999}), "number"),
        (json!({"name": "-rf", "host": "a"}), "name"),
        (json!({"host": "a"}), "name"),
        (json!({"name": "x", "host": "a", "extra": 1}), "extra"),
    ] {
        let error = call(&tool, args).await.unwrap_err();
        assert!(error.is(Code::InvalidArgs) && error.details["argument"] == name, "{error}");
    }
}

#[tokio::test]
async fn what_it_says_becomes_the_result() {
    let folder = Folder::new();
    let said = |result: &str, text: &str| {
        let program = folder.script("say", &format!("printf '%s' '{text}'"));
        tool(json!({"class": "read", "result": result, "run": [program]}))
    };
    assert_eq!(call(&said("json", "{\"rpm\": 900}\n"), json!({})).await.unwrap(), json!({"rpm": 900}));
    assert_eq!(call(&said("json", "[1, 2]"), json!({})).await.unwrap(), json!({"value": [1, 2]}));
    assert_eq!(call(&said("text", " fast\u{1b}[1m\n"), json!({})).await.unwrap(), json!({"text": "fast[1m"}));
    assert_eq!(call(&said("lines", "a\nb\n"), json!({})).await.unwrap(), json!({"lines": ["a", "b"], "total": 2}));
    let error = call(&said("json", "<html>oh no</html>"), json!({})).await.unwrap_err();
    assert!(error.is(Code::Device) && error.details["reason"] == "not_json" && error.message.contains("<html>"), "{error}");
}

#[tokio::test]
async fn a_command_that_hangs_is_stopped_with_all_that_it_started() {
    let folder = Folder::new();
    let pid = folder.path("pid");
    let program = folder.script("hang", &format!("sleep 600 & echo $! > {}\nwait", pid.display()));
    let began = Instant::now();
    let error = call(&tool(json!({"class": "test", "run": [program], "timeout_s": 0.5})), json!({})).await.unwrap_err();
    assert!(error.is(Code::Timeout) && error.details["timeout_ms"] == 500, "{error}");
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
    let stat = PathBuf::from("/proc").join(std::fs::read_to_string(pid).unwrap().trim()).join("stat");
    // An orphan that was killed may stay in the table until its new parent looks.
    let gone = || std::fs::read_to_string(&stat).map_or(true, |text| text.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')));
    let deadline = Instant::now() + std::time::Duration::from_secs(10);
    while !gone() {
        assert!(Instant::now() < deadline, "what the command started runs on");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_flood_a_failure_and_a_missing_program_have_their_own_codes() {
    let flood = tool(json!({"class": "read", "result": "text", "run": ["/usr/bin/head", "-c", "1000001", "/dev/zero"], "max_output_bytes": 1_000_000}));
    let error = call(&flood, json!({})).await.unwrap_err();
    assert!(error.is(Code::TooLarge) && error.details["limit"] == 1_000_000, "{error}");

    let folder = Folder::new();
    let fail = tool(json!({"class": "read", "run": [folder.script("fail", "echo 'fan is gone' >&2; exit 7")]}));
    let error = call(&fail, json!({})).await.unwrap_err();
    assert!(error.is(Code::Device) && error.message.contains("status: 7): fan is gone"), "{error}");

    let missing = tool(json!({"class": "read", "run": ["/nowhere/fan"]}));
    assert_eq!((missing.support().supported, missing.support().reason.as_deref()), (false, Some("program_missing")));
    let error = call(&missing, json!({})).await.unwrap_err();
    assert!(error.is(Code::LlmToolNotAvailable) && error.details["reason"] == "program_missing", "{error}");

    let plain = folder.path("plain");
    std::fs::write(&plain, "no program").unwrap();
    let refused = tool(json!({"class": "read", "run": [plain]}));
    let error = call(&refused, json!({})).await.unwrap_err();
    assert!(error.is(Code::LlmToolNotAvailable) && error.details["reason"] == "program_refused", "{error}");
}

#[tokio::test]
async fn an_act_captures_changes_proves_and_puts_back() {
    let folder = Folder::new();
    let state = folder.path("speed");
    std::fs::write(&state, "40\n").unwrap();
    let shown = state.display();
    let entry = entry(json!({
        "class": "act", "result": "json",
        "run": [folder.script("set", &format!("echo \"$1\" > {shown}; echo '{{\"note\": \"spun\"}}'")), "{percent}"],
        "capture": [folder.script("capture", &format!("printf '{{\"percent\": %s}}' \"$(cat {shown})\""))],
        "restore": [folder.script("restore", &format!("sed 's/.*\"percent\":\\([0-9]*\\)}}.*/\\1/' > {shown}"))],
        "args": {"percent": {"type": "integer", "min": 0, "max": 100, "required": true}},
    }));
    entry.check("fan.set_speed").unwrap();
    let act = ExecAct(ExecTool::new(&Root::default(), "fan.set_speed", &entry));
    let args = |percent: i64| Args(json!({"percent": percent}).as_object().cloned().unwrap());

    assert!(act.check(&args(101)).await.unwrap_err().is(Code::InvalidArgs));
    assert!(act.capture(&args(101)).await.unwrap_err().is(Code::InvalidArgs));
    let before = act.capture(&args(70)).await.unwrap();
    assert_eq!(before["running"], json!({"percent": 40}));
    let applied = act.apply(&args(70)).await.unwrap();
    assert_eq!((&applied.section["running"], &applied.result["note"]), (&json!({"percent": 70}), &json!("spun")));
    assert_eq!(act.restore(&before).await.unwrap(), before);
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "40\n");
}

#[test]
fn a_wrong_entry_is_refused_with_what_to_do() {
    let refuse = |op: &str, value: Value, hint: &str| {
        let why = entry(value).check(op).unwrap_err();
        assert!(why.contains(hint), "{why}");
    };
    let run = json!(["/bin/true"]);
    refuse("fan", json!({"class": "read", "run": run}), "family.name");
    refuse("changeset.commit", json!({"class": "read", "run": run}), "family.name");
    refuse("fan.read", json!({"class": "read", "run": []}), "empty");
    refuse("fan.read", json!({"class": "read", "run": ["true"]}), "absolute path");
    refuse("fan.read", json!({"class": "read", "run": ["/bin/../bin/true"]}), "absolute path");
    refuse("fan.read", json!({"class": "read", "run": ["/bin/{x}"], "args": {"x": {"type": "host", "required": true}}}), "absolute path");
    refuse("fan.read", json!({"class": "read", "run": ["/bin/true", "{x}"]}), "args.x");
    refuse("fan.read", json!({"class": "read", "run": ["/bin/true", "{x}"], "args": {"x": {"type": "host"}}}), "required = true");
    refuse("fan.read", json!({"class": "read", "run": run, "args": {"x": {"type": "host", "required": true}}}), "never used");
    refuse("fan.read", json!({"class": "read", "run": run, "args": {"x y": {"type": "host"}}}), "letters, digits");
    refuse("fan.read", json!({"class": "read", "run": run, "timeout_s": 0}), "timeout_s");
    refuse("fan.read", json!({"class": "read", "run": run, "max_output_bytes": 9_000_000}), "max_output_bytes");
    refuse("fan.read", json!({"class": "read", "run": run, "concurrent": 0}), "concurrent");
    refuse("fan.read", json!({"class": "read", "run": run, "capture": run}), "only class act");
    refuse("fan.set", json!({"class": "act", "run": run, "capture": run}), "`restore`");
    refuse(
        "fan.set",
        json!({"class": "act", "run": ["/bin/true", "{x}"], "capture": run, "restore": ["/bin/true", "{x}"], "args": {"x": {"type": "ip", "required": true}}}),
        "standard input",
    );
}
