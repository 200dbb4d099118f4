//! A process held by `strace`: what it asks of the disk is written down, or answered with an error.

use crate::server::Process;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What writes, or makes, moves and removes files.
const CALLS: &str =
    "write,writev,pwrite64,pwritev,fsync,fdatasync,sync_file_range,ftruncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,mkdir,openat,fchmod,chmod";

/// A call of the disk that fails.
#[derive(Debug, Clone)]
pub struct Injection {
    /// Which call.
    pub call: String,
    /// Of which file.
    pub path: PathBuf,
    /// From which one on, counted in each thread from 1.
    pub n: u64,
    /// `EIO` or `ENOSPC`.
    pub error: &'static str,
    /// All calls from that one on, and not only that one.
    pub lasting: bool,
}

/// One call that was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// The thread.
    pub thread: String,
    /// Which call.
    pub call: String,
    /// Of which file.
    pub path: String,
}

/// Holds a process until dropped or released.
#[derive(Debug)]
pub struct Grip {
    strace: Child,
    log: PathBuf,
}

/// Fails, and says what is missing, where processes cannot be held.
pub fn is_possible() -> Result<()> {
    let version = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    ensure!(version.is_ok_and(|status| status.success()), "the faults of the disk need strace: apt-get install strace");
    let tried = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ensure!(
        tried.is_ok_and(|status| status.success()),
        "strace may not hold processes here: the faults of the disk need ptrace (root, or kernel.yama.ptrace_scope=0; in a container --cap-add SYS_PTRACE)"
    );
    let python = Command::new("python3").args(["-c", "import sqlite3"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ensure!(python.is_ok_and(|status| status.success()), "the faults of the disk need python3 with sqlite3, to check the databases from outside");
    Ok(())
}

/// Sends a signal by its name.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).stderr(Stdio::null()).status().context("kill cannot be started")?;
    ensure!(status.success(), "process {pid} is gone");
    Ok(())
}

/// The command, which stops itself before its first step until it is told to go on.
pub fn held(program: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "kill -STOP $$; exec \"$@\"", "sh"]).arg(program);
    command
}

fn of_status(pid: u32, field: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(field)).map(|value| value.trim().to_owned())
}

fn until(what: &str, mut done: impl FnMut() -> bool) -> Result<()> {
    let began = Instant::now();
    while !done() {
        if began.elapsed() > Duration::from_secs(10) {
            bail!("{what} did not happen within 10 s");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

impl Grip {
    /// Takes hold of a process that was started by [`held`] and lets it go on: writing down what it does, or with one call that fails.
    pub fn take(process: &Process, injection: Option<&Injection>, log: PathBuf) -> Result<Self> {
        let pid = process.id();
        until("the stop before the first step", || of_status(pid, "State:").is_some_and(|state| state.starts_with('T')))?;
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-qq", "-s", "256", "-o"]).arg(&log);
        match injection {
            None => {
                command.args(["-e", &format!("trace={CALLS}")]);
            }
            Some(injection) => {
                let Injection { call, path, n, error, lasting } = injection;
                let plus = if *lasting { "+" } else { "" };
                command.arg("-P").arg(path).args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:error={error}:when={n}{plus}")]);
            }
        }
        let strace = command.args(["-p", &pid.to_string()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let grip = Self { strace: strace.context("strace cannot be started")?, log };
        until("strace taking hold", || of_status(pid, "TracerPid:").is_some_and(|tracer| tracer != "0"))?;
        signal(pid, "CONT")?;
        Ok(grip)
    }

    /// Lets go; the process runs on without errors.
    pub fn release(&mut self) {
        // It may be gone, with the process that it held.
        let _ = signal(self.strace.id(), "INT");
        let _ = self.strace.wait();
    }

    fn text(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// How many calls were answered with an error.
    pub fn injected(&self) -> usize {
        self.text().matches("(INJECTED)").count()
    }

    /// Every call that was seen on files of a folder; the paths are relative to it.
    pub fn calls(&self, folder: &Path) -> Vec<Seen> {
        let folder = folder.to_string_lossy();
        self.text().lines().filter_map(|line| seen(line, &folder)).collect()
    }
}

impl Drop for Grip {
    fn drop(&mut self) {
        self.release();
    }
}

/// `12 fsync(3</folder/file>) = 0`, and `12 openat(AT_FDCWD</>, "/folder/file", …) = 3`.
fn seen(line: &str, folder: &str) -> Option<Seen> {
    let (thread, rest) = line.split_once(' ')?;
    let (call, args) = rest.trim_start().split_once('(')?;
    if !call.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return None;
    }
    let named = matches!(call, "openat" | "rename" | "renameat" | "renameat2" | "unlink" | "unlinkat" | "mkdir" | "chmod");
    let path = if named { args.split('"').nth(1)? } else { args.split_once('<')?.1.split(['>', '"']).next()? };
    let inner = path.strip_prefix(folder)?;
    (inner.is_empty() || inner.starts_with('/')).then(|| Seen { thread: thread.into(), call: call.into(), path: inner.trim_start_matches('/').into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_strace_names_the_call_and_the_file_within_the_folder() {
        let read = |line| seen(line, "/tmp/f").map(|seen| (seen.call, seen.path));
        let is = |call: &str, path: &str| Some((call.to_owned(), path.to_owned()));
        assert_eq!(read("17 fsync(3</tmp/f/a.db-wal>)       = 0"), is("fsync", "a.db-wal"));
        assert_eq!(read(r#"17 pwrite64(3</tmp/f/a.db>, "x<y>", 3, 0 <unfinished ...>"#), is("pwrite64", "a.db"));
        assert_eq!(read(r#"17 openat(AT_FDCWD</tmp>, "/tmp/f", O_RDONLY) = 4</tmp/f>"#), is("openat", ""));
        assert_eq!(read(r#"17 rename("/tmp/f/journal/a.new", "/tmp/f/journal/a") = 0"#), is("rename", "journal/a.new"));
        assert_eq!(read(r#"17 write(1</tmp/log>, "/tmp/f", 6) = 6"#), None);
        assert_eq!(read(r#"17 openat(AT_FDCWD</tmp>, "/tmp/folder", O_RDONLY) = 4"#), None);
        assert_eq!(read("17 <... fsync resumed>) = 0"), None);
    }
}
