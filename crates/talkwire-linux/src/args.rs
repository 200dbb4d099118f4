//! Reading the arguments of a call: a wrong one is refused by name, an absent or `null` one is `None`.

use serde_json::Value;
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
