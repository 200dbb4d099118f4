//! One question to one resolver, by our own message: the machine's resolver library would hide which server answered.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

const PORT: u16 = 53;
const CLASS_IN: u16 = 1;
/// The kind of an IPv4 address.
const A: u16 = 1;
const HEAD: usize = 12;

/// What a resolver said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answered {
    /// 0 is well, 2 a failure of the server, 3 no such name, 5 refused (RFC 1035 §4.1.1).
    pub(crate) code: u8,
    /// The IPv4 addresses of the name.
    pub(crate) addresses: Vec<Ipv4Addr>,
    pub(crate) time: Duration,
}

impl Answered {
    /// Whether the name was resolved.
    pub(crate) fn is_ok(&self) -> bool {
        self.code == 0 && !self.addresses.is_empty()
    }
}

/// Asks for the IPv4 addresses of a name. None is silence, or that the machine cannot send there.
pub(crate) async fn ask(server: IpAddr, name: &str, patience: Duration) -> Option<Answered> {
    let began = Instant::now();
    let id = random();
    let message = question(id, name)?;
    let socket = connect(server).await.ok()?;
    socket.send(&message).await.ok()?;
    let mut buffer = [0; 4096];
    loop {
        let length = timeout_at(began + patience, socket.recv(&mut buffer)).await.ok()?.ok()?;
        if let Some((code, addresses)) = parse(buffer.get(..length).unwrap_or_default(), id, message.get(HEAD..).unwrap_or_default()) {
            return Some(Answered { code, addresses, time: began.elapsed() });
        }
    }
}

async fn connect(server: IpAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(SocketAddr::from((server, PORT))).await?;
    Ok(socket)
}

/// A number that others cannot foresee; the standard library seeds its hashers with one.
pub(super) fn random() -> u16 {
    RandomState::new().build_hasher().finish() as u16
}

fn question(id: u16, name: &str) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(HEAD + name.len() + 6);
    message.extend(id.to_be_bytes());
    // Recursion desired; one question.
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(A.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    Some(message)
}

/// Code and addresses of an answer to exactly this question.
fn parse(message: &[u8], id: u16, question: &[u8]) -> Option<(u8, Vec<Ipv4Addr>)> {
    let word = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let is_answer = word(0)? == id && *message.get(2)? & 0x80 != 0;
    let code = *message.get(3)? & 0xf;
    let asked = message.get(HEAD..HEAD + question.len());
    // A server that fails may leave the question out.
    let same = asked.is_some_and(|asked| asked.eq_ignore_ascii_case(question)) || (word(4)? == 0 && code != 0);
    if !is_answer || !same {
        return None;
    }
    let (mut at, mut addresses) = (HEAD + question.len(), Vec::new());
    for _ in 0..word(6)?.min(64) {
        let Some(data_at) = skip_name(message, at) else { break };
        let (Some(kind), Some(length)) = (word(data_at), word(data_at + 8)) else { break };
        let from = data_at + 10;
        let data = message.get(from..from + usize::from(length));
        if let (A, Some([a, b, c, d])) = (kind, data) {
            addresses.push(Ipv4Addr::new(*a, *b, *c, *d));
        }
        at = from + usize::from(length);
    }
    Some((code, addresses))
}

/// Where a name ends; a pointer to an earlier name ends it as well.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length & 0x3f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(id: u16, name: &str, code: u8, records: &[u8], count: u8) -> Vec<u8> {
        let mut message = question(id, name).unwrap();
        message[2] |= 0x80;
        message[3] = code;
        message[7] = count;
        message.extend(records);
        message
    }

    const ALIAS: [u8; 16] = [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, b'x', 0xc0, 12];
    const ADDRESS: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 8];

    #[test]
    fn an_answer_with_an_alias_is_read() {
        let asked = question(7, "www.Example.com").unwrap();
        assert_eq!(&asked[HEAD..HEAD + 5], b"\x03www\x07");
        let message = answer(7, "www.example.com", 0, &[ALIAS, ADDRESS].concat(), 2);
        assert_eq!(parse(&message, 7, &asked[HEAD..]), Some((0, vec![Ipv4Addr::new(192, 0, 2, 8)])));
    }

    #[test]
    fn an_answer_to_another_question_is_none() {
        let asked = question(7, "a.example").unwrap();
        assert_eq!(parse(&answer(8, "a.example", 0, &ADDRESS, 1), 7, &asked[HEAD..]), None);
        assert_eq!(parse(&answer(7, "b.example", 0, &ADDRESS, 1), 7, &asked[HEAD..]), None);
        assert_eq!(parse(&asked, 7, &asked[HEAD..]), None, "our own question");
        assert_eq!(parse(&answer(7, "a.example", 3, &[], 0), 7, &asked[HEAD..]), Some((3, Vec::new())));
    }

    #[test]
    fn names_that_do_not_fit_a_message_are_not_asked() {
        assert!(question(1, "").is_none() && question(1, "a..b").is_none() && question(1, &"x".repeat(64)).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(tail in proptest::collection::vec(any::<u8>(), 0..60), count in any::<u8>()) {
            let asked = question(7, "a.example").unwrap();
            let _ = parse(&answer(7, "a.example", 0, &tail, count), 7, &asked[HEAD..]);
            let _ = parse(&tail, 7, &asked[HEAD..]);
        }
    }
}
