//! The other languages' programs: who runs them, what they print, what is typed to them.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What runs a program.
pub struct Runner {
    program: OsString,
    variable: (&'static str, OsString),
}

impl Runner {
    /// A command that runs what is added to it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env(self.variable.0, &self.variable.1).env("PYTHONIOENCODING", "utf-8");
        command
    }
}

/// A Python with paho-mqtt 1.x, for which the documents are written.
pub fn python() -> Result<Runner, String> {
    quick()?;
    let program = std::env::var_os("TALKWIRE_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let check = "import sys, paho.mqtt as paho; sys.exit(0 if paho.__version__.startswith('1.') else 4)";
    let runner = Runner { program, variable: ("PYTHONUNBUFFERED", "1".into()) };
    runs(runner.command().args(["-c", check])).then_some(runner).ok_or_else(|| "there is no Python with paho-mqtt 1.x; `cargo xtask test` makes one".into())
}

/// A Node with mqtt.js.
pub fn node() -> Result<Runner, String> {
    quick()?;
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gui/frontend/node_modules").into_os_string();
    let runner = Runner { program: "node".into(), variable: ("NODE_PATH", std::env::var_os("NODE_PATH").unwrap_or_else(beside)) };
    runs(runner.command().args(["-e", "require('mqtt')"]))
        .then_some(runner)
        .ok_or_else(|| "there is no Node with mqtt.js; `cargo xtask test` installs it".into())
}

fn quick() -> Result<(), String> {
    if std::env::var_os("TALKWIRE_QUICK").is_some() { Err("--quick leaves it out".into()) } else { Ok(()) }
}

fn runs(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A running program.
pub struct Program {
    child: Child,
    typing: Option<ChildStdin>,
    printed: Arc<(Mutex<String>, Condvar)>,
}

impl Program {
    /// Starts it, with a keyboard and an ear of ours.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let printed = Arc::<(Mutex<String>, Condvar)>::default();
        hear(child.stdout.take().unwrap(), printed.clone());
        hear(child.stderr.take().unwrap(), printed.clone());
        let typing = child.stdin.take();
        Self { child, typing, printed }
    }

    /// Waits until it has printed something.
    pub fn wait(&self, words: &str, limit: Duration) {
        let began = Instant::now();
        let mut printed = self.printed.0.lock().unwrap();
        while !printed.contains(words) {
            let left = limit.checked_sub(began.elapsed()).unwrap_or_else(|| panic!("not printed within {limit:?}: {words}; printed:\n{printed}"));
            printed = self.printed.1.wait_timeout(printed, left).unwrap().0;
        }
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        let typing = self.typing.as_mut().unwrap();
        writeln!(typing, "{line}")
            .and_then(|()| typing.flush())
            .unwrap_or_else(|error| panic!("it does not listen ({error}); printed:\n{}", self.printed.0.lock().unwrap()));
    }

    /// Waits for its end, which must be a good one.
    pub fn ends_well(&mut self, limit: Duration) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}; printed:\n{}", self.printed.0.lock().unwrap());
                return;
            }
            assert!(began.elapsed() < limit, "it did not end within {limit:?}; printed:\n{}", self.printed.0.lock().unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hear(mut pipe: impl Read + Send + 'static, printed: Arc<(Mutex<String>, Condvar)>) {
    std::thread::spawn(move || {
        let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = pipe.read(&mut piece) {
            bytes.extend_from_slice(&piece[..count]);
            // A character may be cut in two; its rest comes with the next piece.
            let whole = std::str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
            let text = String::from_utf8_lossy(&bytes[..whole]).into_owned();
            bytes.drain(..whole);
            printed.0.lock().unwrap().push_str(&text);
            printed.1.notify_all();
        }
    });
}
