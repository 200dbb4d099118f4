//! Takes the lab apart: after each case, at the end, and also when the lab is interrupted or killed.

use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What every namespace's name begins with.
const FIRST: &str = "twlab-";
/// Ends what runs in the namespaces whose name begins with $1, and removes them.
const SWEEP: &str = "for space in $(ip netns list | cut -d' ' -f1 | grep \"^$1\"); do
    for round in 1 2 3 4 5; do
        pids=$(ip netns pids $space) && [ -n \"$pids\" ] || break
        kill -9 $pids 2>/dev/null
        sleep 0.05
    done
    ip netns del $space
done; true";
/// Removing takes at most this long.
const WITHIN: Duration = Duration::from_secs(20);

/// A process that waits for the end of this one and then removes everything.
///
/// It holds the reading end of a pipe whose writing end only this process has: Ctrl-C, a panic and `kill -9` all close it.
pub struct Janitor {
    child: Child,
    prefix: String,
}

impl Janitor {
    /// Removes what earlier labs left whose process is gone, and starts to wait.
    pub fn start() -> Result<Self> {
        let prefix = format!("{FIRST}{}-", std::process::id());
        sweep_orphans()?;
        let script = format!("trap '' HUP INT TERM; while read -r line; do :; done; {SWEEP}");
        // A group of its own: Ctrl-C in the terminal goes to the lab and not to whom it leaves the cleaning.
        let child = Command::new("sh").args(["-c", &script, "sh", &prefix]).stdin(Stdio::piped()).process_group(0).spawn();
        Ok(Self { child: child.context("cannot start sh")?, prefix })
    }

    /// What the names of the namespaces of one lane of this lab begin with.
    pub fn prefix(&self, lane: usize) -> String {
        format!("{}{lane}-", self.prefix)
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let began = Instant::now();
        while began.elapsed() < WITHIN && !self.child.try_wait().is_ok_and(|status| status.is_some()) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Removes what a lane left.
///
/// # Errors
/// When something stays.
pub fn sweep(prefix: &str) -> Result<()> {
    crate::process::quiet(Command::new("sh").args(["-c", SWEEP, "sh", prefix]))?;
    let left = names(prefix)?;
    anyhow::ensure!(left.is_empty(), "these namespaces could not be removed: {}; `ip netns del NAME` removes one", left.join(", "));
    Ok(())
}

/// Namespaces are named after the lab's process; where that is gone, nobody will come for them.
fn sweep_orphans() -> Result<()> {
    for name in names(FIRST)? {
        let owner = name.strip_prefix(FIRST).and_then(|rest| rest.split('-').next()).and_then(|pid| pid.parse::<u32>().ok());
        if let Some(pid) = owner.filter(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()) {
            sweep(&format!("{FIRST}{pid}-"))?;
        }
    }
    Ok(())
}

fn names(prefix: &str) -> Result<Vec<String>> {
    let output = Command::new("ip").args(["netns", "list"]).stdin(Stdio::null()).output().context("cannot run ip")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(said.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| name.starts_with(prefix)).map(str::to_owned).collect())
}
