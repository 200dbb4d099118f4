//! Fernet: a payload encrypted and signed with a key that a device and the server share (`PROTOCOL.md` §5).
//!
//! A token is `0x80 ‖ seconds (8 bytes) ‖ IV (16) ‖ AES-128-CBC ciphertext ‖ HMAC-SHA256 (32)`, in base64url. The time and the IV are
//! given, as everywhere in this crate.

use std::fmt;
use std::str::FromStr;

/// How old a token may be (`PROTOCOL.md` §5), in seconds. Retained messages and wills are older by nature and exempt.
pub const TTL_S: u64 = 300;
/// How far ahead of ours the clock of the other side may be, in seconds.
#[cfg(feature = "fernet")]
const SKEW_S: u64 = 60;

/// The 32 bytes that both sides know. `Debug` shows nothing of them.
#[derive(Clone, PartialEq, Eq)]
pub struct FernetKey([u8; 32]);

impl FernetKey {
    /// A key of these bytes: 16 for signing, 16 for encrypting.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key as text: 44 characters of base64url, as the integration guide's `Fernet.generate_key()` makes them.
    pub fn encode(&self) -> String {
        encode(&self.0)
    }
}

impl fmt::Debug for FernetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FernetKey(…)")
    }
}

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a Fernet key is 32 bytes in base64url, 44 characters")]
pub struct BadKey;

impl FromStr for FernetKey {
    type Err = BadKey;
    fn from_str(text: &str) -> Result<Self, BadKey> {
        decode(text.trim().as_bytes()).and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(BadKey)
    }
}

/// Why a token is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Not base64url of the right lengths and version.
    #[error("it is no Fernet token")]
    Shape,
    /// Signed with another key, or changed on the way.
    #[error("the token was made with another key, or changed on the way")]
    Signature,
    /// Older than is allowed: perhaps a replay, perhaps a wrong clock.
    #[error("the token is {0} s old, over the limit; is it a replay, or is a clock wrong?")]
    Expired(u64),
    /// From the future.
    #[error("the token is from {0} s in the future; a clock is wrong")]
    Future(u64),
}

#[cfg(feature = "fernet")]
mod work {
    use super::{BadToken, FernetKey, SKEW_S, decode, encode};
    use aes::Aes128;
    use cbc::cipher::block_padding::Pkcs7;
    use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::Sha256;

    const VERSION: u8 = 0x80;
    const HEAD: usize = 1 + 8 + 16;
    const SIGNATURE: usize = 32;

    impl FernetKey {
        fn signer(&self) -> Hmac<Sha256> {
            // HMAC takes keys of any length.
            Hmac::new(&<hmac::digest::Key<Hmac<Sha256>>>::from({
                let mut block = [0u8; 64];
                block[..16].copy_from_slice(&self.0[..16]);
                block
            }))
        }

        fn cipher_key(&self) -> [u8; 16] {
            let mut key = [0; 16];
            key.copy_from_slice(&self.0[16..]);
            key
        }

        /// The token of a text, made at `now_s` (Unix seconds). `iv` must be random and used once.
        pub fn encrypt(&self, text: &[u8], now_s: u64, iv: [u8; 16]) -> String {
            let mut token = Vec::with_capacity(HEAD + text.len() + 16 + SIGNATURE);
            token.push(VERSION);
            token.extend_from_slice(&now_s.to_be_bytes());
            token.extend_from_slice(&iv);
            token.extend_from_slice(&cbc::Encryptor::<Aes128>::new(&self.cipher_key().into(), &iv.into()).encrypt_padded_vec::<Pkcs7>(text));
            let mut signer = self.signer();
            signer.update(&token);
            token.extend_from_slice(&signer.finalize().into_bytes());
            encode(&token)
        }

        /// The text of a token. `ttl_s`: how old it may be at `now_s` (Unix seconds); `None`: as old as it is.
        ///
        /// # Errors
        /// See [`BadToken`]. Nothing is decrypted whose signature is wrong.
        pub fn decrypt(&self, token: &[u8], now_s: u64, ttl_s: Option<u64>) -> Result<Vec<u8>, BadToken> {
            let bytes = decode(token.trim_ascii()).ok_or(BadToken::Shape)?;
            let body = bytes.len().checked_sub(SIGNATURE).filter(|body| *body >= HEAD + 16 && (body - HEAD).is_multiple_of(16) && bytes[0] == VERSION);
            let (signed, signature) = bytes.split_at(body.ok_or(BadToken::Shape)?);
            let mut signer = self.signer();
            signer.update(signed);
            signer.verify_slice(signature).map_err(|_| BadToken::Signature)?;
            let (mut made, mut iv) = ([0; 8], [0; 16]);
            made.copy_from_slice(&signed[1..9]);
            iv.copy_from_slice(&signed[9..HEAD]);
            let made_s = u64::from_be_bytes(made);
            if let Some(ttl_s) = ttl_s {
                if now_s.saturating_sub(made_s) > ttl_s {
                    return Err(BadToken::Expired(now_s - made_s));
                }
                if made_s.saturating_sub(now_s) > SKEW_S {
                    return Err(BadToken::Future(made_s - now_s));
                }
            }
            let opener = cbc::Decryptor::<Aes128>::new(&self.cipher_key().into(), &iv.into());
            opener.decrypt_padded_vec::<Pkcs7>(&signed[HEAD..]).map_err(|_| BadToken::Shape)
        }
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            text.push(if at <= chunk.len() { char::from(DIGITS[(word >> (18 - 6 * at)) as usize & 63]) } else { '=' });
        }
    }
    text
}

/// Base64url with its padding; `None` for anything else, also for bits that would be lost.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let last = (text.len() / 4).saturating_sub(1);
    for (at, chunk) in text.chunks(4).enumerate() {
        let digits = chunk.iter().rposition(|byte| *byte != b'=').map_or(0, |end| end + 1);
        if digits < 2 || (digits < 4 && at != last) {
            return None;
        }
        let mut word = 0u32;
        for byte in &chunk[..digits] {
            word = word << 6 | u32::try_from(DIGITS.iter().position(|digit| digit == byte)?).ok()?;
        }
        word <<= 6 * (4 - digits);
        let [_, whole @ ..] = word.to_be_bytes();
        if whole[digits - 1..].iter().any(|rest| *rest != 0) {
            return None;
        }
        bytes.extend_from_slice(&whole[..digits - 1]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_text_of_44_characters_and_never_shown() {
        let key: FernetKey = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=".parse().unwrap();
        assert_eq!(key.encode(), "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=");
        assert_eq!(format!("{key:?}"), "FernetKey(…)");
        for bad in ["", "short", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4", "cw+0x689RpI-jtRR7oE8h/eQsKImvJapLeSbXpwF4e4=", "AAAA"] {
            assert_eq!(bad.parse::<FernetKey>(), Err(BadKey), "{bad}");
        }
    }

    #[test]
    fn base64_comes_back_and_its_loose_forms_are_refused() {
        for length in 0..70u8 {
            let bytes: Vec<u8> = (0..length).map(|n| n.wrapping_mul(37)).collect();
            assert_eq!(decode(encode(&bytes).as_bytes()), Some(bytes));
        }
        for bad in ["A", "AA", "AB==", "AA==AAAA", "A===", "====", "AA=A"] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }

    #[cfg(feature = "fernet")]
    mod tokens {
        use super::*;

        /// The vectors that the Fernet specification publishes (generate.json and verify.json).
        const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
        const TOKEN: &str = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
        const MADE_S: u64 = 499_162_800;

        fn key() -> FernetKey {
            KEY.parse().unwrap()
        }

        #[test]
        fn the_published_token_is_made_and_opened() {
            let iv = std::array::from_fn(|at| u8::try_from(at).unwrap());
            assert_eq!(key().encrypt(b"hello", MADE_S, iv), TOKEN);
            assert_eq!(key().decrypt(TOKEN.as_bytes(), MADE_S + 1, Some(60)).unwrap(), b"hello");
        }

        #[test]
        fn an_old_a_future_and_a_foreign_token_are_refused_by_name() {
            assert_eq!(key().decrypt(TOKEN.as_bytes(), MADE_S + 301, Some(TTL_S)), Err(BadToken::Expired(301)));
            assert_eq!(key().decrypt(TOKEN.as_bytes(), MADE_S + 300, Some(TTL_S)).unwrap(), b"hello");
            assert_eq!(key().decrypt(TOKEN.as_bytes(), MADE_S - 61, Some(TTL_S)), Err(BadToken::Future(61)));
            assert_eq!(key().decrypt(TOKEN.as_bytes(), MADE_S + 9_999_999, None).unwrap(), b"hello");
            assert_eq!(FernetKey::new([7; 32]).decrypt(TOKEN.as_bytes(), MADE_S, None), Err(BadToken::Signature));
        }

        #[test]
        fn no_changed_or_cut_token_is_opened() {
            let token = key().encrypt("{\"溫度\":21}".as_bytes(), MADE_S, [9; 16]);
            for cut in 0..token.len() {
                assert!(key().decrypt(&token.as_bytes()[..cut], MADE_S, None).is_err(), "cut at {cut}");
                let mut changed = token.clone().into_bytes();
                changed[cut] = if changed[cut] == b'A' { b'B' } else { b'A' };
                assert!(key().decrypt(&changed, MADE_S, None).is_err(), "changed at {cut}");
            }
            assert_eq!(key().decrypt(b"", MADE_S, None), Err(BadToken::Shape));
        }
    }
}
