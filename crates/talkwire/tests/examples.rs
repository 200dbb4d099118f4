//! The examples that people start from, run as programs: each device passes `talkwire check` as `docs/integration.md` says,
//! each chat client talks in a room. `UPDATE=1` writes the results into the table there.

#[path = "examples/chat.rs"]
mod chat;
#[path = "examples/devices.rs"]
mod devices;
#[path = "check/exchange.rs"]
mod exchange;
#[path = "documents/program.rs"]
mod program;
#[expect(dead_code, reason = "the documents tests use the rest")]
#[path = "documents/spec.rs"]
mod spec;
#[path = "examples/table.rs"]
mod table;
#[path = "check/tls_door.rs"]
mod tls_door;

use std::path::{Path, PathBuf};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Says that a test cannot run here, and why.
fn skip(name: &str, why: &str) {
    eprintln!("SKIPPED: {name}: {why}");
    if let Some(path) = std::env::var_os("TALKWIRE_SKIPPED") {
        use std::io::Write as _;
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("the list of skipped tests can be written");
        writeln!(file, "examples, {name}: {why}").expect("the list of skipped tests can be written");
    }
}

/// Unwraps, or skips the test that is named.
macro_rules! need {
    ($name:expr, $found:expr) => {
        match $found {
            Ok(found) => found,
            Err(why) => return crate::skip($name, &why),
        }
    };
}
pub(crate) use need;

/// The ESP32 sketches compiled for this machine, or why they are not.
fn sketches() -> Result<PathBuf, String> {
    static MADE: std::sync::OnceLock<Result<PathBuf, String>> = std::sync::OnceLock::new();
    MADE.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("esp32");
        std::fs::create_dir_all(&out).map_err(|error| error.to_string())?;
        let compiler = ["g++", "c++", "clang++"].into_iter().find(|name| std::process::Command::new(name).arg("--version").output().is_ok());
        let compiler = compiler.ok_or("there is no C++ compiler (`apt install g++ make`)")?;
        let flags = ["CXXFLAGS=-O1 -Wall -Wextra -Werror".to_owned(), format!("CXX={compiler}"), format!("OUT={}", out.display())];
        let make = std::process::Command::new("make").arg("-C").arg(root().join("examples/esp32/host")).args(flags).output();
        let make = make.map_err(|error| format!("there is no make ({error}); `apt install make`"))?;
        assert!(make.status.success(), "the sketches do not compile:\n{}", String::from_utf8_lossy(&make.stderr));
        Ok(out)
    })
    .clone()
}
