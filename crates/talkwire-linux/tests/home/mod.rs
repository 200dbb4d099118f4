//! A small real network in network namespaces: an upstream with resolver and web page, a router with clients behind a bridge. Needs root.
#![allow(dead_code)]

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use talkwire_linux::Surroundings;
use tempfile::TempDir;

/// What the process inside a namespace is to do.
const INSIDE: &str = "TALKWIRE_INSIDE";
static NUMBER: AtomicU32 = AtomicU32::new(0);

pub const UPSTREAM: &str = "203.0.113.1";
pub const RESOLVER: &str = "198.51.100.53";
pub const WEB: &str = "203.0.113.80";

/// Says that a test cannot run here, and why.
pub fn skip(name: &str, why: &str) {
    eprintln!("SKIPPED: {name}: {why}");
    if let Some(path) = std::env::var_os("TALKWIRE_SKIPPED") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("the list of skipped tests can be written");
        writeln!(file, "linux network, {name}: {why}").expect("the list of skipped tests can be written");
    }
}

/// A network that is taken down when it is dropped.
pub struct Home {
    prefix: String,
    pub folder: TempDir,
    processes: Vec<Child>,
}

impl Home {
    /// Builds the network, or says what it needs.
    pub fn build() -> Result<Self, String> {
        for program in ["ip", "dnsmasq", "tc"] {
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().map_err(|_| format!("{program} is not installed"))?;
        }
        let prefix = format!("lr{}x{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut home = Self { prefix, folder: tempfile::tempdir().expect("a folder"), processes: Vec::new() };
        home.try_ip(&["netns", "add", &home.name("up")]).map_err(|error| format!("network namespaces cannot be made (root is needed): {error}"))?;
        for name in ["router", "client", "other"] {
            home.ip(&["netns", "add", &home.name(name)]);
        }
        home.cable("up", "down0", "router", "wan");
        home.cable("client", "eth0", "router", "lan1");
        home.cable("other", "eth0", "router", "lan2");
        home.inside("up", "ip addr add 203.0.113.1/24 dev down0; ip addr add 203.0.113.80/24 dev down0; ip addr add 198.51.100.53/32 dev lo; ip addr add 198.51.100.1/32 dev lo");
        home.inside(
            "router",
            "ip link add br-lan type bridge; ip link set br-lan up; ip link set lan1 master br-lan; ip link set lan2 master br-lan; \
             ip addr add 203.0.113.9/24 dev wan; ip addr add 192.168.1.1/24 dev br-lan; ip route add default via 203.0.113.1; sysctl -qw net.ipv4.ip_forward=1; sysctl -qw net.ipv4.conf.all.rp_filter=1",
        );
        home.inside("up", "ip route add 192.168.1.0/24 via 203.0.113.9");
        home.inside("client", "ip addr add 192.168.1.101/24 dev eth0; ip route add default via 192.168.1.1");
        home.inside("other", "ip addr add 192.168.77.1/24 dev eth0");
        home.start_dns();
        home.start_web();
        home.dnsmasq(
            "router",
            "lan",
            "interface=br-lan\nbind-interfaces\nno-resolv\nserver=198.51.100.53\ndhcp-range=192.168.1.100,192.168.1.109,1h\nport=53\n",
        );
        Ok(home)
    }

    pub fn start_dns(&mut self) {
        self.dnsmasq("up", "dns", "no-resolv\naddress=/#/203.0.113.80\nlisten-address=198.51.100.53,203.0.113.1\nbind-interfaces\nport=53\n");
    }

    pub fn start_web(&mut self) {
        let child = self.process("up", &json!({"web": "203.0.113.80:80"})).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the web server starts");
        self.processes.push(child);
    }

    pub fn name(&self, space: &str) -> String {
        format!("{}{space}", self.prefix)
    }

    fn cable(&self, one: &str, port: &str, other: &str, other_port: &str) {
        self.ip(&["link", "add", "netns", &self.name(one), "name", port, "type", "veth", "peer", "name", other_port, "netns", &self.name(other)]);
        self.inside(one, &format!("ip link set lo up; ip link set {port} up"));
        self.inside(other, &format!("ip link set lo up; ip link set {other_port} up"));
    }

    fn try_ip(&self, args: &[&str]) -> Result<(), String> {
        let output = Command::new("ip").args(args).output().map_err(|error| error.to_string())?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
    }

    fn ip(&self, args: &[&str]) {
        self.try_ip(args).unwrap_or_else(|error| panic!("ip {args:?}: {error}"));
    }

    /// Runs a line of shell in a namespace.
    pub fn inside(&self, space: &str, line: &str) -> String {
        let output = Command::new("ip").args(["netns", "exec", &self.name(space), "sh", "-ec", line]).output().expect("ip runs");
        assert!(output.status.success(), "{space}: {line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts a dnsmasq and waits until it is ready.
    pub fn dnsmasq(&mut self, space: &str, name: &str, settings: &str) {
        let path = |end: &str| self.folder.path().join(format!("{name}.{end}")).display().to_string();
        let (config, leases, log) = (path("conf"), path("leases"), path("log"));
        std::fs::write(&config, format!("{settings}no-hosts\nuser=root\ndhcp-leasefile={leases}\nlog-facility={log}\nno-ping\n")).expect("written");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(space), "dnsmasq", "--keep-in-foreground", &format!("--conf-file={config}")]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("dnsmasq starts");
        self.processes.push(child);
        let began = Instant::now();
        while !std::fs::read_to_string(&log).is_ok_and(|text| text.contains("started")) {
            assert!(began.elapsed() < Duration::from_secs(20), "dnsmasq does not start: {:?}", std::fs::read_to_string(&log));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops the process that was started as the `place`th: 0 resolver, 1 web page, 2 the router's dnsmasq.
    pub fn stop(&mut self, place: usize) {
        let child = self.processes.get_mut(place).expect("it was started");
        child.kill().expect("stopped");
        child.wait().expect("gone");
    }

    fn process(&self, space: &str, what: &Value) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(space)]).arg(std::env::current_exe().expect("this test")).args(["--exact", "inside", "--nocapture"]);
        command.env(INSIDE, what.to_string()).stdin(Stdio::null());
        command
    }

    /// Calls a tool of the machine that the namespace is. A failure is `{"error": …}`.
    pub fn ask(&self, space: &str, op: &str, args: Value) -> Value {
        run(self.process(space, &json!({"op": op, "args": args})), op)
    }

    /// The same by a process that may not open raw sockets.
    pub fn ask_without_rights(&self, space: &str, op: &str, args: Value) -> Value {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(space), "setpriv", "--bounding-set=-net_raw"]).arg(std::env::current_exe().expect("this test"));
        command.args(["--exact", "inside", "--nocapture"]).env(INSIDE, json!({"op": op, "args": args}).to_string()).stdin(Stdio::null());
        run(command, op)
    }
}

fn run(mut command: Command, op: &str) -> Value {
    let output = command.stderr(Stdio::inherit()).output().expect("the tool runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = text.lines().find_map(|line| line.split_once("ANSWER ").map(|(_, json)| json));
    answer.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_else(|| panic!("no answer to {op}: {text}"))
}

impl Drop for Home {
    fn drop(&mut self) {
        for child in &mut self.processes {
            let _ = child.kill();
            let _ = child.wait();
        }
        for name in ["up", "router", "client", "other"] {
            let _ = self.try_ip(&["netns", "del", &self.name(name)]);
        }
    }
}

/// The world as it is in the little network.
fn surroundings() -> Surroundings {
    Surroundings {
        public: vec!["203.0.113.80".parse().expect("an address"), "198.51.100.1".parse().expect("an address")],
        resolvers: vec!["203.0.113.1".parse().expect("an address")],
        names: ["example.com", "example.org", "example.net"].map(str::to_owned).into(),
        web: vec!["http://page.example/generate_204".into()],
        speed_server: Some("http://203.0.113.80".into()),
        ..Surroundings::default()
    }
}

/// Does what the environment says, in the namespace that the process was started in.
pub async fn inside(ask: impl AsyncFn(talkwire_linux::LinuxTool, Value) -> Result<Value, talkwire_device::ToolError>) {
    let Some(what) = std::env::var(INSIDE).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok()) else { return };
    if let Some(address) = what["web"].as_str() {
        return serve(&TcpListener::bind(address).expect("the address is free"));
    }
    let op = what["op"].as_str().expect("an op");
    let tools = talkwire_linux::tools_within(&talkwire_linux::Root::default(), surroundings());
    let tool = tools.into_iter().find(|tool| talkwire_device::Tool::op(tool) == op).expect("the tool");
    let answer = ask(tool, what["args"].clone()).await.unwrap_or_else(|error| json!({"error": error.code, "message": error.message}));
    println!("\nANSWER {answer}");
}

/// A page that answers 204, and a speed server: it sends what is asked for and takes what comes.
fn serve(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            let mut stream = stream;
            while let Some(head) = head(&mut stream) {
                let number = |after: &str| {
                    let digits = head.split_once(after).map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
                    digits.and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(0)
                };
                let done = if head.starts_with("GET /api/v1/speedtest/down") {
                    let length = number("bytes=");
                    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").and_then(|()| stream.write_all(&vec![7; length]))
                } else if head.starts_with("POST") {
                    let mut body = (&mut stream).take(number("content-length: ") as u64);
                    std::io::copy(&mut body, &mut std::io::sink()).and_then(|_| stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n"))
                } else {
                    stream.write_all(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
                };
                if done.is_err() || head.contains("connection: close") {
                    return;
                }
            }
        });
    }
}

fn head(stream: &mut std::net::TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8192 {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    // Names of fields are the same in capitals; the path is not touched by what is looked for.
    Some(head.lines().enumerate().map(|(n, line)| if n == 0 { format!("{line}\n") } else { format!("{}\n", line.to_ascii_lowercase()) }).collect())
}
