//! The browser test: where Chromium is, and how the test is called.

use crate::{process, tree};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What to say when there is no browser.
pub const MISSING: &str = "no Chromium found; install one (`apt install chromium`), or name it in CHROMIUM=/path/to/it";

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const ELSEWHERE: [&str; 2] = ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium"];

/// The browser that `CHROMIUM` names, or the first in the usual places.
pub fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    NAMES.iter().find_map(|name| process::find(name)).or_else(|| ELSEWHERE.iter().map(PathBuf::from).find(|path| path.is_file()))
}

/// Whether a missing browser is a failure, as it is in CI.
pub fn is_required() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true") || std::env::var("TALKWIRE_REQUIRE_BROWSER").is_ok_and(|value| value == "1")
}

/// The main job, by clicking and typing, against the server at `url`.
pub fn main_job(url: &str, chromium: &Path) -> Command {
    let mut node = Command::new("node");
    node.arg("e2e/main-job.mjs").current_dir(tree::console()).env("TALKWIRE_URL", url).env("CHROMIUM", chromium);
    node
}
