//! One request for a web page, with its name looked up by the resolvers that the machine has.

use crate::machine::Machine;
use crate::names::{ask, configured};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const TIME: Duration = Duration::from_secs(5);
const BYTES: usize = 4096;

/// The parts of an address such as `http://example.com:80/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: String,
}

impl Url {
    /// Only plain HTTP: a portal cannot redirect anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("http://")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, 80),
        };
        let fits = |c: char| c.is_ascii_graphic();
        let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        let path = if path.is_empty() { "/" } else { path };
        (is_host && path.chars().all(fits)).then(|| Self { host: host.into(), port, path: path.into() })
    }

    /// The host as the head of a request names it.
    pub(crate) fn authority(&self) -> String {
        if self.port == 80 { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fetched {
    /// The page as it should be.
    Ok,
    /// Another page stands in its place: a portal.
    Redirect,
    /// Nothing.
    Fail,
}

impl Fetched {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Redirect => "redirect",
            Self::Fail => "fail",
        }
    }
}

/// Fetches the pages one after the other until one answers.
pub(super) async fn fetch(machine: &Machine) -> Fetched {
    for url in machine.surroundings.web.iter().filter_map(|text| Url::parse(text)).take(3) {
        let Some(ip) = address(machine, &url.host).await else { continue };
        if let Ok(Some(head)) = timeout(TIME, request(&url, ip)).await {
            match judge(&url, &head) {
                Fetched::Fail => {}
                found => return found,
            }
        }
    }
    Fetched::Fail
}

/// The address of a name, by the first configured resolver that knows it.
pub(super) async fn address(machine: &Machine, host: &str) -> Option<Ipv4Addr> {
    if let Ok(ip) = host.parse() {
        return Some(ip);
    }
    let servers = configured(machine).await;
    let answers = crate::tool::all(servers.into_iter().map(|server| ask(server, host, Duration::from_secs(3))).collect()).await;
    answers.into_iter().flatten().find(|answered| answered.is_ok()).and_then(|answered| answered.addresses.first().copied())
}

async fn request(url: &Url, ip: Ipv4Addr) -> Option<String> {
    let mut stream = TcpStream::connect(SocketAddr::from((ip, url.port))).await.ok()?;
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: talkwire\r\nAccept: */*\r\nConnection: close\r\n\r\n", url.path, url.authority());
    stream.write_all(request.as_bytes()).await.ok()?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 1024]);
    while answer.len() < BYTES {
        match stream.read(&mut chunk).await {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(chunk.get(..length)?),
            // What came before the end counts.
            Err(_) if !answer.is_empty() => break,
            Err(_) => return None,
        }
    }
    Some(String::from_utf8_lossy(&answer).into_owned())
}

fn judge(url: &Url, answer: &str) -> Fetched {
    let mut words = answer.lines().next().unwrap_or_default().split_ascii_whitespace();
    let status = words.next().filter(|word| word.starts_with("HTTP/1.")).and_then(|_| words.next()?.parse::<u16>().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let wants_nothing = url.path.contains("204");
    match status {
        Some(204) => Fetched::Ok,
        Some(200) if !wants_nothing && body.to_ascii_lowercase().contains("success") => Fetched::Ok,
        Some(200 | 300..=399 | 511) => Fetched::Redirect,
        _ => Fetched::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_strange_ones_refused() {
        let url = Url::parse("http://a.example:8080/generate_204").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.path.as_str(), url.authority().as_str()), ("a.example", 8080, "/generate_204", "a.example:8080"));
        assert_eq!(Url::parse("http://a.example").unwrap().path, "/");
        for strange in ["https://a.example/", "http:///x", "http://a b/", "http://a.example/x y", "http://a:99999/", "http://u@a/", "ftp://a"] {
            assert_eq!(Url::parse(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_portal_is_told_from_the_page() {
        let (nothing, word) = (Url::parse("http://a/generate_204").unwrap(), Url::parse("http://a/success.txt").unwrap());
        assert_eq!(judge(&nothing, "HTTP/1.1 204 No Content\r\n\r\n"), Fetched::Ok);
        assert_eq!(judge(&nothing, "HTTP/1.1 200 OK\r\n\r\n<html>success"), Fetched::Redirect);
        assert_eq!(judge(&word, "HTTP/1.0 200 OK\r\n\r\nsuccess\n"), Fetched::Ok);
        assert_eq!(judge(&word, "HTTP/1.1 200 OK\r\n\r\n<html>pay"), Fetched::Redirect);
        assert_eq!(judge(&word, "HTTP/1.1 302 Found\r\nLocation: http://pay\r\n\r\n"), Fetched::Redirect);
        assert_eq!(judge(&word, "HTTP/1.1 503 Busy\r\n\r\n"), Fetched::Fail);
        assert_eq!(judge(&word, "SSH-2.0"), Fetched::Fail);
    }
}
