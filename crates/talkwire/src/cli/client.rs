//! The client side of the HTTP API.

use super::{Failure, Remote};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;

/// Talks to a server.
pub struct Client {
    agent: Agent,
    base: String,
    token: Option<String>,
}

impl Client {
    /// With the token given, or the owner's from the data folder when it can be read.
    pub fn new(remote: &Remote) -> Self {
        let token = remote.token.clone().or_else(|| std::fs::read_to_string(remote.data.join("owner.token")).ok().map(|text| text.trim().to_owned()));
        let agent = Agent::config_builder().http_status_as_error(false).timeout_connect(Some(Duration::from_secs(3))).build().into();
        Self { agent, base: remote.server.trim_end_matches('/').to_owned(), token }
    }

    fn bearer(&self) -> Option<String> {
        self.token.as_ref().map(|token| format!("Bearer {token}"))
    }

    /// Reads a resource.
    pub fn fetch(&self, path: &str) -> Result<Value, Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(bearer) = self.bearer() {
            request = request.header("Authorization", bearer);
        }
        self.answer(request.call())
    }

    /// Sends a body.
    pub fn send(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let mut request = self.agent.post(format!("{}{path}", self.base));
        if let Some(bearer) = self.bearer() {
            request = request.header("Authorization", bearer);
        }
        self.answer(request.send_json(body))
    }

    fn answer(&self, response: Result<Response<ureq::Body>, ureq::Error>) -> Result<Value, Failure> {
        let mut response = response.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body: Value = response.body_mut().read_json().map_err(|error| anyhow::anyhow!("the server's answer cannot be read: {error}"))?;
        if status.is_success() {
            return Ok(body);
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Err(Failure::Refused(format!("{} ({})", text("detail"), text("code"))))
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        match error {
            ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::HostNotFound | ureq::Error::Timeout(_) => Failure::Unreachable(self.base.clone()),
            other => anyhow::anyhow!("the request to {} failed: {other}", self.base).into(),
        }
    }

    /// Server-sent events, one after the other: name and data.
    pub fn events(&self) -> Result<impl Iterator<Item = (String, Value)> + use<>, Failure> {
        let mut request = self.agent.get(format!("{}/api/v1/events", self.base));
        if let Some(bearer) = self.bearer() {
            request = request.header("Authorization", bearer);
        }
        let response = request.call().map_err(|error| self.unreachable(&error))?;
        let mut lines = BufReader::new(response.into_body().into_reader()).lines();
        Ok(std::iter::from_fn(move || {
            let mut name = String::new();
            loop {
                let line = lines.next()?.ok()?;
                if let Some(rest) = line.strip_prefix("event: ").or_else(|| line.strip_prefix("event:")) {
                    name = rest.to_owned();
                } else if let Some(rest) = line.strip_prefix("data: ").or_else(|| line.strip_prefix("data:")) {
                    let data = serde_json::from_str(rest).unwrap_or(Value::Null);
                    return Some((std::mem::take(&mut name), data));
                }
            }
        }))
    }
}
