//! The server's HTTP door, on a connection that is kept.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Most items of one page.
const PAGE: usize = 500;

/// A client that says who it is with the owner's token. A clone has a connection of its own.
#[derive(Debug)]
pub struct Api {
    agent: ureq::Agent,
    base: String,
    token: String,
}

impl Clone for Api {
    fn clone(&self) -> Self {
        Self { agent: agent(), base: self.base.clone(), token: self.token.clone() }
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(30))).http_status_as_error(false).build().into()
}

impl Api {
    /// A client of the server at `addr`.
    pub fn new(addr: SocketAddr, token: &str) -> Self {
        Self { agent: agent(), base: format!("http://{addr}/api/v1"), token: format!("Bearer {token}") }
    }

    /// Asks.
    pub fn get(&self, path: &str) -> Result<Value> {
        let answer = self.agent.get(format!("{}{path}", self.base)).header("authorization", &self.token).call();
        read(path, answer)
    }

    /// Orders.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.agent.post(format!("{}{path}", self.base)).header("authorization", &self.token).send_json(body);
        read(path, answer)
    }

    /// Asks, or orders when there is a body: the status and the JSON of whatever is answered.
    pub fn answer(&self, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let url = format!("{}{path}", self.base);
        let answer = match body {
            None => self.agent.get(url).header("authorization", &self.token).call(),
            Some(body) => self.agent.post(url).header("authorization", &self.token).send_json(body),
        };
        let mut answer = answer.with_context(|| format!("{path} is not answered"))?;
        let body = answer.body_mut().read_json().with_context(|| format!("{path} is not answered in JSON"))?;
        Ok((answer.status().as_u16(), body))
    }

    /// All items of a list, page after page.
    pub fn each(&self, path: &str, mut take: impl FnMut(&Value)) -> Result<()> {
        let mut after = String::new();
        loop {
            let sign = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{sign}limit={PAGE}{after}"))?;
            page["items"].as_array().context("a list has items")?.iter().for_each(&mut take);
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(()),
            }
        }
    }

    /// Asks again and again until `wanted` finds what it looks for.
    pub fn wait_for<T>(&self, path: &str, within: Duration, mut wanted: impl FnMut(&Value) -> Option<T>) -> Result<T> {
        let began = Instant::now();
        let mut last = Value::Null;
        while began.elapsed() < within {
            if let Ok(value) = self.get(path) {
                if let Some(found) = wanted(&value) {
                    return Ok(found);
                }
                last = value;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let text: String = last.to_string().chars().take(600).collect();
        bail!("{path} did not come to what was waited for in {} s; last: {text}", within.as_secs())
    }
}

fn read(path: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value> {
    let mut answer = answer.with_context(|| format!("{path} is not answered"))?;
    let status = answer.status();
    let body: Value = answer.body_mut().with_config().limit(64 << 20).read_json().with_context(|| format!("{path} is not answered in JSON"))?;
    if !status.is_success() {
        bail!("{path}: {status} {}", body["detail"].as_str().unwrap_or_default());
    }
    Ok(body)
}

/// Whether `/readyz` says yes.
pub fn is_ready(addr: SocketAddr) -> bool {
    readiness(addr) == Some(200)
}

/// The HTTP status of `/readyz`; `None` when nobody answers.
pub fn readiness(addr: SocketAddr) -> Option<u16> {
    let ask = || -> std::io::Result<[u8; 12]> {
        let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("GET /readyz HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n").as_bytes())?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head)
    };
    std::str::from_utf8(&ask().ok()?[9..]).ok()?.parse().ok()
}
