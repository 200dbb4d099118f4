//! The device's key, when it has one: seals what is said and opens what is heard (`PROTOCOL.md` §5).

use crate::error::DeviceError;
use talkwire_proto::FernetKey;

/// Why a text was not sealed or opened, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SealError(String);

/// Nothing, or a key.
#[derive(Debug, Clone)]
pub(crate) struct Seal(Option<FernetKey>);

impl Seal {
    pub(crate) fn new(key: Option<FernetKey>) -> Result<Self, DeviceError> {
        if key.is_some() && !cfg!(feature = "fernet") {
            return Err(DeviceError::Feature("fernet"));
        }
        Ok(Self(key))
    }

    /// What goes on the wire in place of a text.
    pub(crate) fn close(&self, text: String) -> Result<Vec<u8>, SealError> {
        match &self.0 {
            None => Ok(text.into_bytes()),
            Some(key) => close(key, text.as_bytes()),
        }
    }

    /// The text of what came from the wire. With a key, only what was sealed with it, and lately, is taken.
    pub(crate) fn open<'a>(&self, payload: &'a [u8]) -> Result<std::borrow::Cow<'a, [u8]>, SealError> {
        match &self.0 {
            None => Ok(payload.into()),
            Some(key) => open(key, payload).map(Into::into),
        }
    }

    /// How many bytes a text of so many bytes has on the wire.
    pub(crate) fn bytes(&self, text: usize) -> usize {
        if self.0.is_some() { (25 + (text / 16 + 1) * 16 + 32).div_ceil(3) * 4 } else { text }
    }
}

#[cfg(feature = "fernet")]
fn close(key: &FernetKey, text: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut iv = [0; 16];
    getrandom::fill(&mut iv).map_err(|error| SealError(format!("the system gives no random bytes: {error}")))?;
    Ok(key.encrypt(text, now_s(), iv).into_bytes())
}

#[cfg(feature = "fernet")]
fn open(key: &FernetKey, payload: &[u8]) -> Result<Vec<u8>, SealError> {
    key.decrypt(payload, now_s(), Some(talkwire_proto::fernet::TTL_S)).map_err(|error| SealError(error.to_string()))
}

#[cfg(feature = "fernet")]
fn now_s() -> u64 {
    u64::try_from(crate::clock::unix_ms() / 1000).unwrap_or(0)
}

#[cfg(not(feature = "fernet"))]
fn close(_: &FernetKey, _: &[u8]) -> Result<Vec<u8>, SealError> {
    Err(SealError("built without the feature `fernet`".into()))
}

#[cfg(not(feature = "fernet"))]
fn open(_: &FernetKey, _: &[u8]) -> Result<Vec<u8>, SealError> {
    Err(SealError("built without the feature `fernet`".into()))
}

#[cfg(all(test, feature = "fernet"))]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_is_opened_and_has_the_size_that_was_foretold() {
        let seal = Seal::new(Some(FernetKey::new([3; 32]))).unwrap();
        for length in [0, 1, 15, 16, 17, 1000] {
            let text = "x".repeat(length);
            let sealed = seal.close(text.clone()).unwrap();
            assert_eq!(sealed.len(), seal.bytes(length));
            assert_eq!(seal.open(&sealed).unwrap().as_ref(), text.as_bytes());
        }
        assert!(seal.open(b"{\"id\":\"1\",\"op\":\"device.status\"}").is_err());
        assert_ne!(seal.close("a".into()).unwrap(), seal.close("a".into()).unwrap());
    }
}
