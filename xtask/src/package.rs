//! `package`: the Debian package of the release binary, unpacked again and tried.

use crate::process::{self, timed};
use crate::{house, tree};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Oldest C library that we build against: that of Debian 12.
const LIBC: &str = "2.36";

struct Wanted {
    binary: Option<PathBuf>,
    out: PathBuf,
}

fn parse(words: &[String]) -> Result<Wanted> {
    let mut wanted = Wanted { binary: None, out: tree::target().join("package") };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().map(PathBuf::from).with_context(|| format!("{word} needs a path"))?;
        match word.as_str() {
            "--binary" => wanted.binary = Some(value),
            "--out" => wanted.out = value,
            other => bail!("{other} is not known; --binary FILE takes a binary that is built already, --out DIR says where the package goes"),
        }
    }
    Ok(wanted)
}

/// The task.
pub fn run(words: &[String]) -> Result<ExitCode> {
    let wanted = parse(words)?;
    if process::find("dpkg-deb").is_none() {
        bail!("dpkg-deb is missing; it is part of Debian (`apt install dpkg`)");
    }
    let binary = match wanted.binary {
        Some(binary) => binary,
        None => {
            house::build()?;
            tree::binary()
        }
    };
    let package = timed("package", || build(&binary, &wanted.out))?;
    timed("unpack and try", || try_it(&package))?;
    eprintln!("{}", package.display());
    Ok(ExitCode::SUCCESS)
}

/// The name that Debian gives to this machine's processors.
fn architecture() -> Result<&'static str> {
    Ok(match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "armhf",
        "riscv64" => "riscv64",
        other => bail!("Debian's name for {other} is not known here; add it to xtask/src/package.rs"),
    })
}

fn put(to: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(to, bytes).with_context(|| format!("cannot write {}", to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).with_context(|| format!("cannot set the mode of {}", to.display()))
}

fn read(path: &str) -> Result<Vec<u8>> {
    let path = tree::root().join(path);
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// What stands in the package, besides the binary: our file, its place, its mode.
const FILES: &[(&str, &str, u32)] = &[
    ("deploy/systemd/talkwire-device.service", "lib/systemd/system/talkwire-device.service", 0o644),
    ("deploy/debian/talkwire.sysusers", "usr/lib/sysusers.d/talkwire.conf", 0o644),
    ("deploy/debian/50-talkwire.rules", "usr/share/polkit-1/rules.d/50-talkwire.rules", 0o644),
    ("deploy/debian/copyright", "usr/share/doc/talkwire/copyright", 0o644),
    ("docs/device-linux.md", "usr/share/doc/talkwire/device-linux.md", 0o644),
    ("LICENSE-MIT", "usr/share/doc/talkwire/LICENSE-MIT", 0o644),
    ("LICENSE-APACHE", "usr/share/doc/talkwire/LICENSE-APACHE", 0o644),
    ("deploy/debian/postinst", "DEBIAN/postinst", 0o755),
    ("deploy/debian/prerm", "DEBIAN/prerm", 0o755),
    ("deploy/debian/postrm", "DEBIAN/postrm", 0o755),
];

const CONFIG: &str = "etc/talkwire/device.toml";

fn build(binary: &Path, out: &Path) -> Result<PathBuf> {
    let version = env!("CARGO_PKG_VERSION");
    let architecture = architecture()?;
    let name = format!("talkwire_{version}_{architecture}");
    let tree = out.join(&name);
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("cannot remove {}", tree.display()))?;
    }
    let program = fs::read(binary).with_context(|| format!("cannot read {}; build it first with `cargo xtask build`", binary.display()))?;
    put(&tree.join("usr/bin/talkwire"), &program, 0o755)?;
    if process::find("strip").is_some() {
        process::quiet(Command::new("strip").arg("--strip-unneeded").arg(tree.join("usr/bin/talkwire")))?;
    }
    for (from, to, mode) in FILES {
        put(&tree.join(to), &read(from)?, *mode)?;
    }
    // The configuration is what the program itself says it to be.
    put(&tree.join(CONFIG), &example(binary)?, 0o644)?;
    put(&tree.join("DEBIAN/conffiles"), format!("/{CONFIG}\n").as_bytes(), 0o644)?;
    let control = String::from_utf8(read("deploy/debian/control")?)?;
    put(&tree.join("DEBIAN/control"), fill(&control, version, architecture, kilobytes(&tree)).as_bytes(), 0o644)?;
    let package = out.join(format!("{name}.deb"));
    process::quiet(Command::new("dpkg-deb").args(["--root-owner-group", "-Zgzip", "--build"]).arg(&tree).arg(&package))?;
    fs::remove_dir_all(&tree).with_context(|| format!("cannot remove {}", tree.display()))?;
    Ok(package)
}

fn fill(control: &str, version: &str, architecture: &str, size_kb: u64) -> String {
    let values =
        [("@VERSION@", version.to_owned()), ("@ARCHITECTURE@", architecture.to_owned()), ("@SIZE_KB@", size_kb.to_string()), ("@LIBC@", LIBC.to_owned())];
    values.iter().fold(control.to_owned(), |text, (mark, value)| text.replace(mark, value))
}

fn kilobytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { kilobytes(&entry.path()) } else { entry.metadata().map_or(0, |meta| meta.len().div_ceil(1024)) }).sum()
}

fn example(binary: &Path) -> Result<Vec<u8>> {
    let output = Command::new(binary).args(["device", "--example-config"]).output().with_context(|| format!("cannot run {}", binary.display()))?;
    ensure!(output.status.success(), "{} device --example-config failed ({})", binary.display(), output.status);
    Ok(output.stdout)
}

/// Unpacks the package as an installation would, and runs what is in it.
fn try_it(package: &Path) -> Result<()> {
    let folder = package.with_extension("tried");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    process::quiet(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&folder))?;
    process::quiet(Command::new("dpkg-deb").arg("--control").arg(package).arg(folder.join("DEBIAN")))?;
    let program = folder.join("usr/bin/talkwire");
    process::quiet(Command::new(&program).args(["device", "--help"]))?;
    // What the unit says must be what the program takes.
    process::quiet(Command::new(&program).args(["device", "--print-config", "--device-id", "try", "--config"]).arg(folder.join(CONFIG)))?;
    for script in ["postinst", "prerm", "postrm"] {
        process::quiet(Command::new("sh").arg("-n").arg(folder.join("DEBIAN").join(script)))?;
    }
    if process::find("systemd-analyze").is_some() {
        verify_unit(&folder)?;
    }
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

fn verify_unit(folder: &Path) -> Result<()> {
    let unit = folder.join("lib/systemd/system/talkwire-device.service");
    // The unit names the program where it will be; here it is looked at where it is.
    let text = fs::read_to_string(&unit)?.replace("/usr/bin/talkwire", &folder.join("usr/bin/talkwire").display().to_string());
    let here = folder.join("talkwire-device.service");
    fs::write(&here, text)?;
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&here).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("talkwire-device.service:")).collect();
    ensure!(ours.is_empty(), "systemd does not take the unit:\n{}", ours.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_file_has_no_marks_left_and_names_what_dpkg_asks_for() {
        let control = fill(&String::from_utf8(read("deploy/debian/control").unwrap()).unwrap(), "1.2.3", "amd64", 42);
        assert!(!control.contains('@') || control.matches('@').count() == control.matches("@talkwire.example").count(), "{control}");
        for field in ["Package: talkwire", "Version: 1.2.3", "Architecture: amd64", "Installed-Size: 42", "Maintainer: ", "Description: "] {
            assert!(control.lines().any(|line| line.starts_with(field)), "{field}");
        }
    }

    #[test]
    fn every_file_of_the_package_is_there() {
        for (from, _, _) in FILES {
            assert!(!read(from).unwrap().is_empty(), "{from}");
        }
    }

    #[test]
    fn a_word_that_is_not_known_is_refused() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(parse(&words("--binary")).is_err() && parse(&words("--speed 5")).is_err());
        assert_eq!(parse(&words("--out a --binary b")).unwrap().binary, Some("b".into()));
    }

    /// The script with procd's functions in the place of the real ones: what would be started.
    fn procd(config: &str) -> String {
        let script = tree::root().join("deploy/openwrt/files/talkwire.init");
        let shims = "procd_open_instance() { :; }; procd_close_instance() { echo; }; procd_set_param() { [ \"$1\" = command ] && shift && printf '%s ' \"$@\"; return 0; }
            procd_append_param() { shift; printf '[%s] ' \"$@\"; }; config_load() { :; }; config_foreach() { \"$1\" main; }
            config_get() { eval \"$1=\\\"\\$conf_$3\\\"\"; }; config_get_bool() { eval \"$1=\\\"\\${conf_$3:-$4}\\\"\"; }";
        let text = format!("{shims}\n{config}\n. {}\nstart_service", script.display());
        let output = Command::new("sh").args(["-c", &text]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    #[test]
    fn the_script_of_openwrt_gives_each_option_as_one_word_and_starts_nothing_unasked() {
        let started = procd("conf_enabled=1; conf_broker='mqtts://b.example'; conf_site='a; reboot'; conf_data=/etc/talkwire/data");
        assert_eq!(started, "/usr/bin/talkwire device [--broker] [mqtts://b.example] [--site] [a; reboot] [--data] [/etc/talkwire/data]");
        assert_eq!(procd("conf_broker='mqtt://b.example'"), "");
    }
}
