//! Reading the arguments of a call: a wrong one is refused by name, an absent or `null` one is `None`.

use serde_json::Value;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use talkwire_device::{Args, ToolError};
use talkwire_proto::id::mac_digits;

fn given<'a>(args: &'a Args, name: &str) -> Option<&'a Value> {
    args.get(name).filter(|value| !value.is_null())
}

/// A whole number within bounds.
pub(crate) fn whole(args: &Args, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, ToolError> {
    let Some(value) = given(args, name) else { return Ok(None) };
    let wrong = || ToolError::invalid_args(format!("args.{name} must be a whole number from {} to {}", range.start(), range.end()));
    value.as_u64().filter(|number| range.contains(number)).map(Some).ok_or_else(wrong)
}

/// Yes or no.
pub(crate) fn flag(args: &Args, name: &str) -> Result<Option<bool>, ToolError> {
    let Some(value) = given(args, name) else { return Ok(None) };
    value.as_bool().map(Some).ok_or_else(|| ToolError::invalid_args(format!("args.{name} must be true or false")))
}

/// One of a few words, by its place among them.
pub(crate) fn choice(args: &Args, name: &str, words: &[&str]) -> Result<Option<usize>, ToolError> {
    let Some(value) = given(args, name) else { return Ok(None) };
    let place = value.as_str().and_then(|word| words.iter().position(|known| *known == word));
    place.map(Some).ok_or_else(|| ToolError::invalid_args(format!("args.{name} must be one of {}", words.join(", "))))
}

/// A MAC address as twelve lower-case digits.
pub(crate) fn mac(args: &Args, name: &str) -> Result<Option<String>, ToolError> {
    let Some(value) = given(args, name) else { return Ok(None) };
    let digits = value.as_str().and_then(mac_digits);
    digits.map(Some).ok_or_else(|| ToolError::invalid_args(format!("args.{name} must be a MAC address such as 02000000a001")))
}

/// A list of words out of a few.
pub(crate) fn words<'a>(args: &Args, name: &str, known: &[&'a str]) -> Result<Option<Vec<&'a str>>, ToolError> {
    let wrong = || ToolError::invalid_args(format!("args.{name} must be a list of {}", known.join(", ")));
    let Some(list) = texts(args, name)? else { return Ok(None) };
    list.into_iter().map(|word| known.iter().find(|known| **known == word).copied()).collect::<Option<_>>().map(Some).ok_or_else(wrong)
}

/// The name or address of a host.
pub(crate) fn host(args: &Args, name: &str) -> Result<Option<String>, ToolError> {
    let Some(value) = given(args, name) else { return Ok(None) };
    let host = value.as_str().filter(|text| is_host(text));
    host.map(|text| Some(text.to_owned())).ok_or_else(|| ToolError::invalid_args(format!("args.{name} must be a host name or an address")))
}

/// Names or addresses of hosts.
pub(crate) fn hosts(args: &Args, name: &str) -> Result<Option<Vec<String>>, ToolError> {
    let Some(list) = texts(args, name)? else { return Ok(None) };
    match list.iter().all(|text| is_host(text)) {
        true => Ok(Some(list.into_iter().map(str::to_owned).collect())),
        false => Err(ToolError::invalid_args(format!("args.{name} must be a list of host names or addresses"))),
    }
}

/// IP addresses.
pub(crate) fn addresses(args: &Args, name: &str) -> Result<Option<Vec<IpAddr>>, ToolError> {
    let Some(list) = texts(args, name)? else { return Ok(None) };
    let parsed: Option<Vec<IpAddr>> = list.into_iter().map(|text| text.parse().ok()).collect();
    parsed.map(Some).ok_or_else(|| ToolError::invalid_args(format!("args.{name} must be a list of IP addresses")))
}

/// The name of an interface, as the kernel permits it and no path or option can be.
pub(crate) fn interface(args: &Args, name: &str) -> Result<Option<String>, ToolError> {
    let Some(value) = given(args, name) else { return Ok(None) };
    let fits = |text: &&str| is_interface(text);
    let text = value.as_str().filter(fits).map(str::to_owned);
    text.map(Some).ok_or_else(|| ToolError::invalid_args(format!("args.{name} must be the name of an interface such as eth0")))
}

/// Names of interfaces.
pub(crate) fn interfaces(args: &Args, name: &str) -> Result<Option<Vec<String>>, ToolError> {
    let Some(list) = texts(args, name)? else { return Ok(None) };
    match list.iter().all(|text| is_interface(text)) {
        true => Ok(Some(list.into_iter().map(str::to_owned).collect())),
        false => Err(ToolError::invalid_args(format!("args.{name} must be a list of names of interfaces such as eth0"))),
    }
}

/// Whether a text can be the name of an interface.
pub(crate) fn is_interface(text: &str) -> bool {
    (1..=15).contains(&text.len()) && !text.starts_with(['-', '.']) && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-@".contains(c))
}

const MOST_TEXTS: usize = 100;

fn texts<'a>(args: &'a Args, name: &str) -> Result<Option<Vec<&'a str>>, ToolError> {
    let Some(value) = given(args, name) else { return Ok(None) };
    let list = value.as_array().filter(|list| (1..=MOST_TEXTS).contains(&list.len()));
    let texts = list.and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    texts.map(Some).ok_or_else(|| ToolError::invalid_args(format!("args.{name} must be a list of 1 to {MOST_TEXTS} texts")))
}

fn is_host(text: &str) -> bool {
    let label =
        |label: &str| (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') && !label.starts_with('-');
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.trim_end_matches('.').split('.').all(label))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use talkwire_proto::Code;

    fn args(value: Value) -> Args {
        Args(value.as_object().expect("an object").clone())
    }

    #[test]
    fn hostile_values_are_refused_and_named() {
        for value in [json!("; reboot"), json!(-1), json!(0), json!(999_999), json!(1.5), json!([])] {
            let error = whole(&args(json!({"limit": value})), "limit", 1..=1000).expect_err("refused");
            assert!(error.is(Code::InvalidArgs) && error.message.contains("args.limit"), "{error}");
        }
        assert!(choice(&args(json!({"level": "../../etc/passwd"})), "level", &["info"]).is_err());
        assert!(mac(&args(json!({"client_mac": "$(reboot)"})), "client_mac").is_err());
        assert!(flag(&args(json!({"include_offline": "yes"})), "include_offline").is_err());
        for hostile in ["; reboot", "../../etc/passwd", "-f", "a b", "", "x..y", "$(id)", "\u{202e}x", "a\nb"] {
            assert!(host(&args(json!({"target": hostile})), "target").is_err(), "{hostile:?}");
            assert!(hosts(&args(json!({"hostnames": ["example.com", hostile]})), "hostnames").is_err(), "{hostile:?}");
            assert!(addresses(&args(json!({"dns_servers": [hostile]})), "dns_servers").is_err(), "{hostile:?}");
            assert!(hostile == "x..y" || interface(&args(json!({"interface": hostile})), "interface").is_err(), "{hostile:?}");
            assert!(words(&args(json!({"targets": [hostile]})), "targets", &["isp"]).is_err(), "{hostile:?}");
        }
        assert!(hosts(&args(json!({"hostnames": []})), "hostnames").is_err());
        assert!(interface(&args(json!({"interface": "sixteen-letters-"})), "interface").is_err());
    }

    #[test]
    fn names_of_hosts_and_interfaces_fit() {
        let given = args(json!({"target": "www.example.com.", "dns_servers": ["192.0.2.1", "2001:db8::1"], "interface": "br-lan.10", "targets": ["isp"]}));
        assert_eq!(host(&given, "target"), Ok(Some("www.example.com.".into())));
        assert_eq!(addresses(&given, "dns_servers").map(|list| list.map(|list| list.len())), Ok(Some(2)));
        assert_eq!(interface(&given, "interface"), Ok(Some("br-lan.10".into())));
        assert_eq!(words(&given, "targets", &["client", "isp"]), Ok(Some(vec!["isp"])));
    }

    #[test]
    fn what_fits_is_read_and_null_is_absent() {
        let args = args(json!({"limit": 7, "level": "error", "client_mac": "02:00:00:00:A0:01", "since_s": null}));
        assert_eq!(whole(&args, "limit", 1..=1000), Ok(Some(7)));
        assert_eq!(whole(&args, "since_s", 1..=9), Ok(None));
        assert_eq!(choice(&args, "level", &["info", "error"]), Ok(Some(1)));
        assert_eq!(mac(&args, "client_mac"), Ok(Some("02000000a001".into())));
        assert_eq!(flag(&args, "include_offline"), Ok(None));
    }
}
