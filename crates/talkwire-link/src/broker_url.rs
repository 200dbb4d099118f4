//! The address of a broker as people write it: `mqtt(s)://[user[:password]@]host[:port]`, or `host:port`.

use std::fmt;
use std::str::FromStr;

/// A broker's address. `Display` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Whether the connection is protected (`mqtts://`).
    pub tls: bool,
    /// User name, when one is given.
    pub username: Option<String>,
    /// Password, when one is given.
    pub password: Option<String>,
    /// Name or address, without brackets.
    pub host: String,
    /// TCP port; 1883, or 8883 with TLS, when none is given.
    pub port: u16,
}

/// Why a text is not a broker's address. The text itself is not shown: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write mqtt://host, mqtts://user:password@host:8883 or host:port")]
pub struct BadUrl(&'static str);

impl FromStr for BrokerUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let (tls, rest) = match text.split_once("://") {
            Some(("mqtt" | "tcp", rest)) => (false, rest),
            Some(("mqtts" | "ssl" | "tls", rest)) => (true, rest),
            Some(_) => return Err(BadUrl("the scheme is neither mqtt nor mqtts")),
            None => (false, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', ' ']) {
            return Err(BadUrl("there is something after the address"));
        }
        let (login, address) = rest.rsplit_once('@').map_or((None, rest), |(login, address)| (Some(login), address));
        let (username, password) = match login.map(|login| login.split_once(':').map_or((login, None), |(name, password)| (name, Some(password)))) {
            None => (None, None),
            Some(("", _)) => return Err(BadUrl("the user name is missing before the password")),
            Some((name, password)) => (Some(unescape(name)?), password.map(unescape).transpose()?),
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed.split_once(']').ok_or(BadUrl("the bracket of the IPv6 address is not closed"))?;
                (host, after.strip_prefix(':').or(after.is_empty().then_some("")).ok_or(BadUrl("there is something between the address and the port"))?)
            }
            None => address.split_once(':').unwrap_or((address, "")),
        };
        if host.is_empty() {
            return Err(BadUrl("the host is missing"));
        }
        let usual = if tls { 8883 } else { 1883 };
        let port = if port.is_empty() { usual } else { port.parse().map_err(|_| BadUrl("the port is not a number from 1 to 65535"))? };
        if port == 0 {
            return Err(BadUrl("the port is not a number from 1 to 65535"));
        }
        Ok(Self { tls, username, password, host: host.into(), port })
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brackets = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{}://{}{}{}:{}", if self.tls { "mqtts" } else { "mqtt" }, brackets.0, self.host, brackets.1, self.port)
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUrl({self})")
    }
}

/// `%40` is `@` and so on, so that a password may hold any character.
fn unescape(text: &str) -> Result<String, BadUrl> {
    let wrong = BadUrl("a % in user name or password is not followed by two hexadecimal digits");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or(wrong)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong)?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| BadUrl("user name or password is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<BrokerUrl>().map(|url| (url.to_string(), url.username, url.password));
        assert_eq!(read("mqtt://127.0.0.1").unwrap(), ("mqtt://127.0.0.1:1883".into(), None, None));
        assert_eq!(read("127.0.0.1:2883").unwrap().0, "mqtt://127.0.0.1:2883");
        let (shown, name, password) = read("mqtts://hub:p%40ss:w%C3%B6rd@broker.example/").unwrap();
        assert_eq!((shown.as_str(), name.as_deref(), password.as_deref()), ("mqtts://broker.example:8883", Some("hub"), Some("p@ss:wörd")));
        assert_eq!(read("mqtt://u@[::1]:99").unwrap(), ("mqtt://[::1]:99".into(), Some("u".into()), None));
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_a_password() {
        for wrong in
            ["", "http://h", "mqtt://", "mqtt://:secret@h", "mqtt://u:secret@h:port", "mqtt://u:secret%zz@h", "mqtt://[::1", "mqtt://h/path", "mqtt://h:0"]
        {
            let said = wrong.parse::<BrokerUrl>().unwrap_err().to_string();
            assert!(!said.contains("secret") && said.contains("mqtt://host"), "{wrong}: {said}");
        }
    }
}
