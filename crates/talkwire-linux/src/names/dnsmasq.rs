//! The dnsmasq of this machine: the settings that it runs with, from its command line and its files.

use crate::root::Root;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

/// Where dnsmasq looks by itself.
const USUAL: &str = "/etc/dnsmasq.conf";
/// Files that are read at most; a folder may hold block lists.
const MOST_FILES: usize = 64;
const MOST_LINES: usize = 20_000;
const DAY_S: u64 = 86_400;
/// The lease time of dnsmasq when none is set.
const LEASE_S: u64 = 3600;

/// A pool of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pool {
    pub(crate) first: Ipv4Addr,
    pub(crate) last: Ipv4Addr,
    pub(crate) netmask: Option<Ipv4Addr>,
    /// None is for ever.
    pub(crate) lease_s: Option<u64>,
}

/// What dnsmasq runs with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Dnsmasq {
    pub(crate) pools: Vec<Pool>,
    /// Resolvers that are asked for everything.
    pub(crate) servers: Vec<IpAddr>,
    /// The gateway that clients are given, when it is not the machine itself.
    pub(crate) router: Option<Ipv4Addr>,
    /// The resolvers that clients are given, when it is not the machine itself.
    pub(crate) offered: Vec<Ipv4Addr>,
    pub(crate) listen: Vec<Ipv4Addr>,
    pub(crate) lease_file: Option<String>,
    pub(crate) log_file: Option<String>,
    pub(crate) resolv_file: Option<String>,
    pub(crate) no_resolv: bool,
    /// It answers no names.
    pub(crate) no_names: bool,
    pub(crate) is_running: bool,
}

/// The dnsmasq that runs beside us in the same network; else the one that is configured.
pub(crate) fn find(root: &Root) -> Option<Dnsmasq> {
    let running = running(root);
    let is_running = !running.is_empty();
    let mut found = Dnsmasq { is_running, ..Dnsmasq::default() };
    if is_running {
        for arguments in running {
            let options = options(&arguments);
            let elsewhere = options.iter().any(|(name, _)| name == "conf-file");
            if !elsewhere {
                found.read_file(root, USUAL, &mut BTreeSet::new());
            }
            found.read(root, options, &mut BTreeSet::new());
        }
        return Some(found);
    }
    root.has(USUAL.trim_start_matches('/')).then(|| found.read_file(root, USUAL, &mut BTreeSet::new()))?;
    root.program("dnsmasq").map(|_| found)
}

/// The arguments of each dnsmasq in our network namespace.
fn running(root: &Root) -> Vec<Vec<String>> {
    let space = |process: &str| std::fs::read_link(root.path(&format!("proc/{process}/ns/net"))).ok();
    let ours = space("self");
    let processes = root.names("proc").into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let dnsmasq = processes.filter(|process| root.word(&format!("proc/{process}/comm")).as_deref() == Some("dnsmasq"));
    // One that belongs to another user does not show its network; it is taken for ours.
    let here = dnsmasq.filter(|process| space(process).is_none_or(|space| ours.as_ref().is_none_or(|ours| *ours == space)));
    let mut found: Vec<Vec<String>> = here
        .filter_map(|process| root.text(&format!("proc/{process}/cmdline")))
        .map(|line| line.split('\0').skip(1).filter(|word| !word.is_empty()).map(str::to_owned).collect())
        .collect();
    // With some settings a helper runs beside it, with the same arguments.
    found.sort();
    found.dedup();
    found
}

/// `--name=value`, `--name value` is not used by dnsmasq for long options; of the short ones those that matter here.
fn options(arguments: &[String]) -> Vec<(String, String)> {
    let short = [
        ("C", "conf-file"),
        ("F", "dhcp-range"),
        ("S", "server"),
        ("O", "dhcp-option"),
        ("l", "dhcp-leasefile"),
        ("r", "resolv-file"),
        ("8", "log-facility"),
        ("p", "port"),
        ("a", "listen-address"),
        ("7", "conf-dir"),
        ("R", "no-resolv"),
    ];
    let (mut found, mut words) = (Vec::new(), arguments.iter().peekable());
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').unwrap_or((long, ""));
            // GNU permits the value to be the next word.
            let next = if value.is_empty() { words.next_if(|next| !next.starts_with('-')).cloned() } else { None };
            found.push((name.to_owned(), next.unwrap_or_else(|| value.to_owned())));
        } else if let Some((letter, rest)) = word.strip_prefix('-').and_then(|rest| Some((rest.get(..1)?, rest.get(1..)?))) {
            let Some((_, name)) = short.iter().find(|(known, _)| *known == letter) else { continue };
            let value = if rest.is_empty() && *name != "no-resolv" { words.next().cloned().unwrap_or_default() } else { rest.to_owned() };
            found.push(((*name).to_owned(), value));
        }
    }
    found
}

impl Dnsmasq {
    fn read_file(&mut self, root: &Root, path: &str, seen: &mut BTreeSet<String>) {
        if seen.len() >= MOST_FILES || !seen.insert(path.to_owned()) {
            return;
        }
        let Some(text) = root.text(path.trim_start_matches('/')) else { return };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).take(MOST_LINES);
        let options = lines.map(|line| {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            let value = value.split(" #").next().unwrap_or_default();
            (name.trim().to_owned(), value.trim().to_owned())
        });
        self.read(root, options.collect(), seen);
    }

    fn read(&mut self, root: &Root, options: Vec<(String, String)>, seen: &mut BTreeSet<String>) {
        for (name, value) in options {
            match name.as_str() {
                "conf-file" => self.read_file(root, &value, seen),
                "conf-dir" => self.read_folder(root, &value, seen),
                "dhcp-range" => self.pools.extend(pool(&value)),
                // One that is only for some names tells nothing about the others.
                "server" if !value.starts_with('/') => {
                    let bare = value.split(['#', '@']).next().unwrap_or_default();
                    self.servers.extend(bare.parse::<IpAddr>().ok());
                }
                "dhcp-option" => self.option(&value),
                "listen-address" => self.listen.extend(value.split(',').filter_map(|text| text.trim().parse::<Ipv4Addr>().ok())),
                "dhcp-leasefile" => self.lease_file = Some(value),
                "log-facility" if value.starts_with('/') => self.log_file = Some(value),
                "resolv-file" => self.resolv_file = Some(value),
                "no-resolv" => self.no_resolv = true,
                "port" => self.no_names = value == "0",
                _ => {}
            }
        }
    }

    /// `folder,*.conf` or `folder,.bak`: only these endings, or all but these.
    fn read_folder(&mut self, root: &Root, value: &str, seen: &mut BTreeSet<String>) {
        let mut parts = value.split(',');
        let folder = parts.next().unwrap_or_default().trim_end_matches('/');
        let (only, without): (Vec<&str>, Vec<&str>) = parts.partition(|part| part.starts_with('*'));
        for name in root.names(folder.trim_start_matches('/')) {
            let is_wanted = only.is_empty() || only.iter().any(|end| name.ends_with(end.trim_start_matches('*')));
            let is_hidden = name.starts_with('.') || name.ends_with('~') || without.iter().any(|end| name.ends_with(end));
            if is_wanted && !is_hidden {
                self.read_file(root, &format!("{folder}/{name}"), seen);
            }
        }
    }

    fn option(&mut self, value: &str) {
        let mut parts = value.split(',').map(str::trim).skip_while(|part| part.starts_with("tag:") || part.starts_with("set:") || part.starts_with("net:"));
        let kind = parts.next().unwrap_or_default();
        // 0.0.0.0 stands for the machine itself.
        let mut addresses = parts.filter_map(|part| part.parse::<Ipv4Addr>().ok()).filter(|ip| !ip.is_unspecified());
        match kind {
            "3" | "option:router" => self.router = addresses.next().or(self.router),
            "6" | "option:dns-server" => self.offered = addresses.collect(),
            _ => {}
        }
    }
}

/// `[tag:x,]first,last[,netmask[,broadcast]][,time]`; a range that is `static` or of IPv6 is no pool.
fn pool(value: &str) -> Option<Pool> {
    let parts: Vec<&str> = value.split(',').map(str::trim).filter(|part| !part.contains(':')).collect();
    let from = parts.iter().position(|part| part.parse::<Ipv4Addr>().is_ok())?;
    let first: Ipv4Addr = parts.get(from)?.parse().ok()?;
    let last: Ipv4Addr = parts.get(from + 1)?.parse().ok()?;
    let netmask = parts.get(from + 2).and_then(|part| part.parse::<Ipv4Addr>().ok());
    let time = parts.iter().skip(from + 2).rev().find_map(|part| lease_time(part));
    (last >= first).then_some(Pool { first, last, netmask, lease_s: time.unwrap_or(Some(LEASE_S)) })
}

/// `12h`, `45m`, `1d`, `600`, `infinite` (the inner `None`).
fn lease_time(text: &str) -> Option<Option<u64>> {
    if text == "infinite" {
        return Some(None);
    }
    let (number, unit) = match text.char_indices().last()? {
        (at, 'd') => (text.get(..at)?, DAY_S),
        (at, 'h') => (text.get(..at)?, 3600),
        (at, 'm') => (text.get(..at)?, 60),
        (at, 's') => (text.get(..at)?, 1),
        (at, 'w') => (text.get(..at)?, 7 * DAY_S),
        _ => (text, 1),
    };
    Some(Some(number.parse::<u64>().ok()?.checked_mul(unit)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_are_read_with_their_lease_times() {
        let wanted = Pool { first: ip("192.168.1.100"), last: ip("192.168.1.249"), netmask: Some(ip("255.255.255.0")), lease_s: Some(43_200) };
        assert_eq!(pool("set:lan,192.168.1.100,192.168.1.249,255.255.255.0,12h"), Some(wanted.clone()));
        assert_eq!(pool("192.168.1.100,192.168.1.249"), Some(Pool { netmask: None, lease_s: Some(3600), ..wanted.clone() }));
        assert_eq!(pool("192.168.1.100,192.168.1.249,infinite").unwrap().lease_s, None);
        for none in ["fd00::1,fd00::9,64,12h", "192.168.1.0,static", "192.168.1.9,192.168.1.2", "", "x,y"] {
            assert_eq!(pool(none), None, "{none}");
        }
    }

    #[test]
    fn the_command_line_and_the_files_behind_it_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/12/comm", "dnsmasq\n");
        write("proc/12/cmdline", "dnsmasq\0-C\0/var/etc/d.conf\0--dhcp-leasefile=/tmp/l\0--server\x00192.0.2.53\0-k\0");
        write(
            "var/etc/d.conf",
            "# x\ndhcp-range=192.168.1.100,192.168.1.149,1h\nserver=/lan/192.168.1.1\nserver=2001:db8::1#53 # near\ndhcp-option=tag:lan,option:router,192.168.1.254\ndhcp-option=6,0.0.0.0,9.9.9.9\nconf-dir=/var/etc/d.d,*.conf\nno-resolv\nconf-file=/var/etc/d.conf\n",
        );
        write("var/etc/d.d/a.conf", "log-facility=/var/log/dnsmasq.log\nlisten-address=192.168.1.1,127.0.0.1\n");
        write("var/etc/d.d/b.bak", "port=0\n");
        let found = find(&Root::new(folder.path())).unwrap();
        assert_eq!((found.pools.len(), found.is_running, found.no_resolv, found.no_names), (1, true, true, false));
        assert_eq!(found.servers, ["2001:db8::1".parse::<IpAddr>().unwrap(), "192.0.2.53".parse().unwrap()]);
        assert_eq!((found.router, found.offered, found.listen.len()), (Some(ip("192.168.1.254")), vec![ip("9.9.9.9")], 2));
        assert_eq!((found.lease_file.as_deref(), found.log_file.as_deref()), (Some("/tmp/l"), Some("/var/log/dnsmasq.log")));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(value in "([0-9.]{0,15},?){0,4}[0-9]{0,22}[dhmsw]?|\\PC{0,40}") {
            let _ = pool(&value);
            Dnsmasq::default().option(&value);
        }
    }
}
