//! One machine of the lab: a network namespace with a file system view of its own.

use super::watch;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// From its start until a machine is there.
const UP_WITHIN: Duration = Duration::from_secs(10);
/// Gives the machine its own `/etc`, `/dev` (with the socket of its log), `/run`, leases and logs, says that it is ready, and stays. All of it is gone with the process.
const LIVE: &str = "set -e
mount --make-rprivate /
mount -t tmpfs tmpfs \"$1\"
mkdir \"$1/etc\"; cp -a /etc/. \"$1/etc\"
rm -f \"$1/etc/resolv.conf\" \"$1/etc/dnsmasq.conf\"; rm -rf \"$1/etc/dnsmasq.d\"; mkdir \"$1/etc/dnsmasq.d\"
echo \"$2\" > \"$1/etc/hostname\"; : > \"$1/etc/resolv.conf\"
mount --bind \"$1/etc\" /etc
mkdir \"$1/dev\"
for node in null zero full random urandom tty; do : > \"$1/dev/$node\"; mount --bind /dev/$node \"$1/dev/$node\"; done
ln -s /proc/self/fd \"$1/dev/fd\"; mount --rbind \"$1/dev\" /dev
for folder in /run /var/log /var/lib/misc; do [ ! -d $folder ] || mount -t tmpfs tmpfs $folder; done
echo ready > \"$3\"
exec sleep infinity";

/// A machine. Its programs end with it.
pub struct Space {
    name: String,
    live: Child,
    folder: PathBuf,
    children: Vec<(String, Child)>,
}

impl Space {
    /// Makes it, with `lo` up. `role` is its name in the lab and its host name; its logs go below `folder`.
    pub fn new(prefix: &str, role: &str, folder: &Path) -> Result<Self> {
        let name = format!("{prefix}{role}");
        let folder = folder.join(role);
        let (own, ready) = (folder.join("own"), folder.join("ready"));
        fs::create_dir_all(&own)?;
        let _ = fs::remove_file(&ready);
        host(&["ip", "netns", "add", &name])?;
        let log = File::create(folder.join("machine.log"))?;
        let mut live = Command::new("ip");
        live.args(["netns", "exec", &name, "sh", "-c", LIVE, "sh"]).arg(&own).arg(role).arg(&ready);
        let live = live.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn().context("cannot start ip")?;
        let space = Self { name, live, folder, children: Vec::new() };
        watch::until(&format!("the machine {role} (see {})", space.folder.join("machine.log").display()), UP_WITHIN, || ready.exists().then_some(()))?;
        space.run(&["ip", "link", "set", "lo", "up"])?;
        Ok(space)
    }

    /// The name of its namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its folder, for logs and files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A program on this machine.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.live.id().to_string(), "--net", "--mount", "--", program]).stdin(Stdio::null());
        command
    }

    /// Runs a program to its end; what it printed.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        let output = self.command(words[0]).args(&words[1..]).output().context("cannot start nsenter")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "on {}: {} failed ({}): {}", self.name, words.join(" "), output.status, said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs the lines of a shell script, up to the first that fails.
    pub fn script(&self, script: &str) -> Result<String> {
        self.run(&["sh", "-e", "-c", script])
    }

    /// Writes a file as this machine sees it.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        self.run(&["sh", "-c", "printf %s \"$2\" > \"$1\"", "sh", path, text]).map(drop)
    }

    /// Starts a program that stays; its output goes to `NAME.log` in this machine's folder.
    pub fn start(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let path = self.folder.join(format!("{name}.log"));
        let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        self.children.push((name.to_owned(), child.with_context(|| format!("cannot start {name}"))?));
        Ok(())
    }

    /// Ends a program that was started, at once.
    pub fn stop(&mut self, name: &str) -> Result<()> {
        let at = self.children.iter().position(|(known, _)| known == name);
        let (_, mut child) = self.children.remove(at.with_context(|| format!("{name} does not run on {}", self.name))?);
        child.kill().and_then(|()| child.wait()).with_context(|| format!("{name} could not be ended"))?;
        Ok(())
    }

    /// A program that was started and has ended by itself, with the end of what it said.
    pub fn fallen(&mut self) -> Option<String> {
        for (name, child) in &mut self.children {
            if let Ok(Some(status)) = child.try_wait() {
                let said = fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(5).collect();
                return Some(format!("{name} on {} ended ({status}): {}", self.name, last.into_iter().rev().collect::<Vec<_>>().join(" | ")));
            }
        }
        None
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        for child in self.children.iter_mut().map(|(_, child)| child).chain([&mut self.live]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Lays a cable between two machines.
pub fn cable(one: (&Space, &str), other: (&Space, &str)) -> Result<()> {
    host(&["ip", "link", "add", "name", one.1, "netns", one.0.name(), "type", "veth", "peer", "name", other.1, "netns", other.0.name()])?;
    one.0.run(&["ip", "link", "set", one.1, "up"])?;
    other.0.run(&["ip", "link", "set", other.1, "up"]).map(drop)
}

fn host(words: &[&str]) -> Result<()> {
    crate::process::quiet(Command::new(words[0]).args(&words[1..]))
}
