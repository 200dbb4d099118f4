//! A machine made of files in a temporary folder, and the way to call its tools.
#![allow(dead_code)]

pub mod desk;

use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use talkwire_device::{Args, Call, Progress, Tool, ToolError, ToolSupport};
use talkwire_linux::{LinuxTool, Root};
use tempfile::TempDir;

pub struct Machine(pub TempDir);

impl Machine {
    pub fn empty() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// A router: `wan` upstream, two ports and a radio on a bridge.
    pub fn router() -> Self {
        let machine = Self::empty();
        machine.write("proc/uptime", "360000.50 700000.00\n");
        machine.write("proc/loadavg", "0.50 0.25 0.10 1/100 999\n");
        machine.write("proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 100 0 100 800 0 0 0 0 0 0\nbtime 1772000000\n");
        machine.write("proc/meminfo", "MemTotal:         1000 kB\nMemFree:           10 kB\nMemAvailable:      400 kB\n");
        machine.write("proc/sys/kernel/hostname", "attic-router\n");
        machine.write("proc/sys/net/ipv4/ip_forward", "1\n");
        machine.write("proc/sys/net/netfilter/nf_conntrack_count", "512\n");
        machine.write("proc/sys/net/netfilter/nf_conntrack_max", "16384\n");
        machine.write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
        machine.write("sys/class/thermal/thermal_zone0/temp", "61500\n");
        machine.write("sys/firmware/devicetree/base/model", "Acme Router 9\0");
        machine.write("etc/os-release", "ID=acme\nPRETTY_NAME=\"Acme Linux 24\"\n");
        let gateway = u32::from_ne_bytes([203, 0, 113, 1]);
        machine.write("proc/net/route", &format!("Iface\tDestination\nwan\t00000000\t{gateway:08X}\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"));
        machine.write(
            "proc/net/arp",
            "IP address       HW type     Flags       HW address            Mask     Device\n\
             203.0.113.1      0x1         0x2         02:00:00:00:ee:01     *        wan\n\
             203.0.113.77     0x1         0x2         02:00:00:00:ee:77     *        wan\n\
             192.168.1.101    0x1         0x2         02:00:00:00:a0:01     *        br-lan\n\
             192.168.1.55     0x1         0x2         02:00:00:00:a0:01     *        br-lan\n\
             192.168.1.102    0x1         0x2         02:00:00:00:a0:02     *        wlan0\n\
             192.168.1.103    0x1         0x0         00:00:00:00:00:00     *        br-lan\n",
        );
        machine
            .write("tmp/dhcp.leases", "0 02:00:00:00:a0:01 192.168.1.101 mei-laptop *\n4102444800 02:00:00:00:a0:03 192.168.1.103 old-tablet *\nduid 00:01\n");
        machine.port("wan", &[("operstate", "up"), ("carrier", "1"), ("speed", "100"), ("duplex", "half"), ("carrier_up_count", "201")]);
        machine.write("sys/class/net/wan/device/vendor", "0x1\n");
        machine.port("lan1", &[("operstate", "down"), ("speed", "-1"), ("duplex", "unknown"), ("flags", "0x1002")]);
        machine.write("sys/class/net/lan1/device/vendor", "0x1\n");
        machine.port("wlan0", &[("operstate", "up"), ("carrier", "1"), ("uevent", "DEVTYPE=wlan\nINTERFACE=wlan0")]);
        machine.port("br-lan", &[("operstate", "up"), ("carrier", "1")]);
        machine.write("sys/class/net/br-lan/bridge/stp_state", "0\n");
        machine.port("lo", &[("operstate", "unknown"), ("carrier", "1"), ("type", "772"), ("address", "00:00:00:00:00:00")]);
        machine.write("sys/class/net/bonding_masters", "\n");
        machine
    }

    pub fn root(&self) -> Root {
        Root::new(self.0.path())
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    pub fn remove(&self, file: &str) {
        std::fs::remove_file(self.0.path().join(file)).expect("removed");
    }

    fn port(&self, name: &str, files: &[(&str, &str)]) {
        let usual = [("type", "1"), ("mtu", "1500"), ("flags", "0x1003"), ("address", "02:00:00:00:00:01")];
        let counters = [("rx_bytes", "5000"), ("tx_bytes", "6000"), ("rx_packets", "200000"), ("rx_crc_errors", "40"), ("rx_errors", "41"), ("tx_errors", "0")];
        for (file, text) in usual.iter().chain(files) {
            self.write(&format!("sys/class/net/{name}/{file}"), &format!("{text}\n"));
        }
        for (file, text) in counters {
            self.write(&format!("sys/class/net/{name}/statistics/{file}"), &format!("{text}\n"));
        }
    }

    /// A program that is a script.
    pub fn program(&self, name: &str, script: &str) {
        let file = format!("usr/bin/{name}");
        self.write(&file, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(self.0.path().join(file), std::fs::Permissions::from_mode(0o755)).expect("permitted");
    }

    pub fn tool(&self, op: &str) -> LinuxTool {
        tool(&self.root(), op)
    }

    pub async fn ask(&self, op: &str, args: Value) -> Result<Value, ToolError> {
        ask(&self.tool(op), args).await
    }

    pub fn support(&self, op: &str) -> ToolSupport {
        self.tool(op).support()
    }
}

pub fn tool(root: &Root, op: &str) -> LinuxTool {
    talkwire_linux::tools(root).into_iter().find(|tool| tool.op() == op).expect("the tool")
}

pub async fn ask(tool: &LinuxTool, args: Value) -> Result<Value, ToolError> {
    let args = Args(args.as_object().expect("an object").clone());
    tool.run(Call { id: "1".into(), op: tool.op().into(), args, progress: Progress::silent(), trace: None }).await
}

/// Waits until a file is there.
pub async fn wait_for(file: &Path) {
    for _ in 0..500 {
        if file.exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} does not appear", file.display());
}

pub fn none() -> Value {
    json!({})
}
