//! The drop-in file of dnsmasq that belongs to Talkwire. Lines that it does not know stay as they are.

use super::{Hands, Told, Wish, parse_lease};
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use talkwire_device::ToolError;

const HEAD: &str = "# Talkwire changes the lines server, no-resolv and dhcp-range of this file.\n";
/// Largest drop-in file.
const BYTES: usize = 64 * 1024;

fn path(hands: &Hands) -> PathBuf {
    hands.root.path(hands.settings.dhcpdns.drop_in.to_string_lossy().trim_start_matches('/'))
}

fn read(path: &Path) -> Result<String, ToolError> {
    match fs::read_to_string(path) {
        Ok(text) if text.len() <= BYTES => Ok(text),
        Ok(_) => Err(ToolError::failed(format!("{} has more than {BYTES} bytes", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(refused(path, &error)),
    }
}

fn refused(path: &Path, error: &io::Error) -> ToolError {
    ToolError::not_available("file_refused", format!("{} cannot be used: {error}; give the file to the user of this program", path.display()))
}

/// Writes beside and puts in place; where only the file itself may be written, into the file.
fn write(path: &Path, text: &str) -> Result<(), ToolError> {
    if text.is_empty() && !path.exists() {
        return Ok(());
    }
    // dnsmasq does not read names that begin with a dot.
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = path.with_file_name(format!(".{name}.new"));
    let put = |target: &Path| {
        let mut file = fs::File::create(target)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all())
    };
    let written = match put(&beside) {
        Ok(()) => fs::rename(&beside, path),
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) && path.exists() => put(path),
        Err(error) => Err(error),
    };
    written.map_err(|error| refused(path, &error))
}

fn option<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.trim().strip_prefix(name)?.trim_start();
    rest.strip_prefix('=').map(str::trim)
}

/// The resolver of a line `server=…` that is for all names.
fn server(line: &str) -> Option<&str> {
    option(line, "server").filter(|value| !value.starts_with('/'))
}

fn range(line: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let mut addresses = option(line, "dhcp-range")?.split(',').filter_map(|part| part.trim().parse::<Ipv4Addr>().ok());
    Some((addresses.next()?, addresses.next()?))
}

fn lease(line: &str) -> Option<u64> {
    option(line, "dhcp-range")?.split(',').next_back().and_then(|last| parse_lease(last.trim()))
}

fn told(text: &str) -> Told {
    let line = text.lines().find(|line| range(line).is_some());
    Told { dns_servers: text.lines().filter_map(server).map(str::to_owned).collect(), range: line.and_then(range), lease_s: line.and_then(lease) }
}

/// A line of dnsmasq's other files that says what the drop-in would say; dnsmasq would take both.
fn elsewhere(hands: &Hands, says: impl Fn(&str) -> bool) -> Option<String> {
    let own = path(hands);
    let mut files = vec![hands.root.path("etc/dnsmasq.conf")];
    for folder in [own.parent().map(Path::to_path_buf), Some(hands.root.path("etc/dnsmasq.d"))].into_iter().flatten() {
        files.extend(fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()));
    }
    let is_read = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        *path != own && !name.starts_with('.') && !name.ends_with('~') && !name.contains(".dpkg-")
    };
    files.into_iter().filter(is_read).find_map(|path| {
        let text = fs::read_to_string(&path).ok()?;
        let at = text.lines().position(&says)?;
        Some(format!("{}:{}", path.display(), at + 1))
    })
}

/// The text of the file with the wish in it.
fn with(hands: &Hands, text: &str, wish: &Wish) -> Result<String, ToolError> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let belongs = |place: String, name: &str| {
        let file = path(hands);
        ToolError::not_available("set_elsewhere", format!("`{name}` stands in {place}; move that line into {}, so that it can be changed", file.display()))
    };
    if let Some(servers) = &wish.dns_servers {
        if let Some(place) = elsewhere(hands, |line| server(line).is_some()) {
            return Err(belongs(place, "server"));
        }
        lines.retain(|line| server(line).is_none() && line.trim() != "no-resolv");
        lines.push("no-resolv".into());
        lines.extend(servers.iter().map(|server| format!("server={server}")));
    }
    if wish.range.is_some() || wish.lease_s.is_some() {
        let at = lines.iter().position(|line| range(line).is_some());
        if at.is_none()
            && let Some(place) = elsewhere(hands, |line| range(line).is_some())
        {
            return Err(belongs(place, "dhcp-range"));
        }
        match (at, wish.range) {
            (Some(at), _) => lines[at] = changed(&lines[at], wish),
            (None, Some((first, last))) => lines.push(format!("dhcp-range={first},{last},{}", wish.lease_s.unwrap_or(3600))),
            (None, None) => return Err(ToolError::invalid_args("args.lease_s: no range is set here yet; give args.dhcp_range as well")),
        }
    }
    let head = if text.is_empty() { HEAD } else { "" };
    Ok(format!("{head}{}\n", lines.join("\n")))
}

/// A line `dhcp-range` with other addresses or another lease time; its tags and its mask stay.
fn changed(line: &str, wish: &Wish) -> String {
    let mut parts: Vec<String> = option(line, "dhcp-range").unwrap_or_default().split(',').map(|part| part.trim().to_owned()).collect();
    if let Some((first, last)) = wish.range {
        let places: Vec<usize> = parts.iter().enumerate().filter(|(_, part)| part.parse::<Ipv4Addr>().is_ok()).map(|(at, _)| at).take(2).collect();
        for (at, address) in places.into_iter().zip([first, last]) {
            parts[at] = address.to_string();
        }
    }
    if let Some(seconds) = wish.lease_s {
        if lease(line).is_some() {
            parts.pop();
        }
        parts.push(seconds.to_string());
    }
    format!("dhcp-range={}", parts.join(","))
}

fn section_of(text: &str) -> Value {
    told(text).section(("file", json!(text)))
}

pub(super) fn section(hands: &Hands) -> Result<Value, ToolError> {
    Ok(section_of(&read(&path(hands))?))
}

pub(super) fn preview(hands: &Hands, wish: &Wish) -> Result<Value, ToolError> {
    let path = path(hands);
    // Opening changes nothing, and tells whether it may be written.
    if path.exists() {
        fs::OpenOptions::new().append(true).open(&path).map_err(|error| refused(&path, &error))?;
    }
    Ok(section_of(&with(hands, &read(&path)?, wish)?))
}

/// Writes the file, lets dnsmasq judge it and read it, and tells what is in it then.
async fn put(hands: &Hands, text: &str) -> Result<Value, ToolError> {
    let path = path(hands);
    write(&path, text)?;
    if path.exists() && hands.programs.has("dnsmasq") {
        hands.programs.run("dnsmasq", &["--test", &format!("--conf-file={}", path.display())]).await?;
    }
    hands.reload_dnsmasq().await?;
    Ok(section_of(&read(&path)?))
}

pub(super) async fn apply(hands: &Hands, wish: &Wish) -> Result<Value, ToolError> {
    let text = with(hands, &read(&path(hands))?, wish)?;
    put(hands, &text).await
}

pub(super) async fn restore(hands: &Hands, previous: &Value) -> Result<Value, ToolError> {
    let unknown = || ToolError::failed("the captured section does not hold the file");
    let text = previous.get("file").and_then(Value::as_str).ok_or_else(unknown)?;
    if read(&path(hands))? == text { section(hands) } else { put(hands, text).await }
}

#[cfg(test)]
mod tests {
    use super::super::super::recorded::{Tape, args, hands};
    use super::super::SetDhcpDns;
    use super::*;
    use crate::root::Root;
    use crate::settings::Settings;
    use talkwire_device::{Act, Code};

    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new(files: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join("etc/dnsmasq.d")).unwrap();
            fs::create_dir_all(folder.path().join("run/systemd/system")).unwrap();
            for (file, text) in files {
                fs::write(folder.path().join(file), text).unwrap();
            }
            Self(folder)
        }

        fn drop_in(&self) -> String {
            fs::read_to_string(self.0.path().join("etc/dnsmasq.d/talkwire.conf")).unwrap()
        }

        fn act(&self, exchanges: &[(&str, &str)]) -> (SetDhcpDns, std::sync::Arc<Tape>) {
            let tape = Tape::new(&["dnsmasq", "systemctl"], exchanges);
            (SetDhcpDns(hands(&tape, &Root::new(self.0.path()), Settings::default())), tape)
        }

        fn reload(&self) -> [(String, &'static str); 3] {
            let file = self.0.path().join("etc/dnsmasq.d/talkwire.conf");
            [
                (format!("dnsmasq --test --conf-file={}", file.display()), "dnsmasq: syntax check OK."),
                ("systemctl restart dnsmasq".into(), ""),
                ("systemctl is-active --quiet dnsmasq".into(), ""),
            ]
        }
    }

    #[tokio::test]
    async fn range_and_resolvers_change_and_everything_else_stays() {
        let before =
            "# the flat\ninterface=br-lan\ndhcp-range=set:lan,192.168.1.100,192.168.1.110,255.255.255.0,12h\nserver=/corp.example/10.0.0.1\nserver=192.0.2.1\n";
        let machine = Machine::new(&[("etc/dnsmasq.d/talkwire.conf", before)]);
        let reload = machine.reload();
        let twice: Vec<_> = reload.iter().chain(&reload).map(|(asked, said)| (asked.as_str(), *said)).collect();
        let (act, tape) = machine.act(&twice);
        let call = args(json!({"dhcp_range": "192.168.1.20-192.168.1.250", "dns_servers": ["9.9.9.9", "2620:fe::fe"], "lease_s": 3600}));
        let would = act.check(&call).await.unwrap();
        let captured = act.capture(&call).await.unwrap();
        assert_eq!(
            (&captured["dhcp_range"], &captured["lease_s"], &captured["dns_servers"]),
            (&json!("192.168.1.100-192.168.1.110"), &json!(43_200), &json!(["192.0.2.1"]))
        );
        let applied = act.apply(&call).await.unwrap();
        assert_eq!(applied.section, would);
        let after = "# the flat\ninterface=br-lan\ndhcp-range=set:lan,192.168.1.20,192.168.1.250,255.255.255.0,3600\nserver=/corp.example/10.0.0.1\nno-resolv\nserver=9.9.9.9\nserver=2620:fe::fe\n";
        assert_eq!(machine.drop_in(), after);
        assert_eq!(act.restore(&captured).await.unwrap(), captured);
        assert_eq!(machine.drop_in(), before);
        tape.assert_played();
    }

    #[tokio::test]
    async fn a_line_that_stands_elsewhere_is_named_and_nothing_is_changed() {
        let machine = Machine::new(&[("etc/dnsmasq.conf", "# x\ndhcp-range=10.0.0.2,10.0.0.9\nserver=1.1.1.1\n")]);
        for call in [json!({"lease_s": 600}), json!({"dns_servers": ["9.9.9.9"]})] {
            let (act, _) = machine.act(&[]);
            let error = act.check(&args(call)).await.unwrap_err();
            assert!(error.is(Code::LlmToolNotAvailable) && error.message.contains("etc/dnsmasq.conf:"), "{error}");
        }
        assert!(!machine.0.path().join("etc/dnsmasq.d/talkwire.conf").exists());
    }

    #[tokio::test]
    async fn a_file_that_dnsmasq_does_not_take_is_an_error_and_the_one_before_can_be_put_back() {
        let machine = Machine::new(&[]);
        let [(test, _), (restart, _), (runs, _)] = machine.reload();
        let exchanges = [(test.as_str(), "!dnsmasq failed (exit status: 1): bad dhcp-range"), (test.as_str(), ""), (restart.as_str(), ""), (runs.as_str(), "")];
        let (act, tape) = machine.act(&exchanges);
        let call = args(json!({"dns_servers": ["9.9.9.9"]}));
        let before = act.capture(&call).await.unwrap();
        assert!(act.apply(&call).await.unwrap_err().message.contains("bad dhcp-range"));
        assert_eq!(act.restore(&before).await.unwrap(), before);
        tape.assert_played();
    }
}
