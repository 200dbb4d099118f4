//! The receipt of a change: one signed JSON object that anyone can check offline (`DESIGN.md` §5).

use crate::audit::{from_hex, to_hex};
use crate::ids::{canonical_json, sha256_hex};
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use serde_json::{Value, json};

/// Schema tag of a receipt.
pub const SCHEMA: &str = "talkwire.receipt/1.0";

/// Signs a receipt's body: adds `signature` with algorithm, public key, its id and the value.
///
/// The signature is Ed25519 over the canonical JSON (sorted keys, no spaces) of everything but `signature`.
pub fn sign(mut body: Value, key: &SigningKey) -> Value {
    body["schema"] = json!(SCHEMA);
    let public = key.verifying_key().to_bytes();
    let value = to_hex(&key.sign(canonical_json(&body).as_bytes()).to_bytes());
    body["signature"] = json!({"algorithm": "Ed25519", "public_key": to_hex(&public), "key_id": key_id(&public), "value": value});
    body
}

/// Short name of a public key: the first 16 hex digits of its SHA-256.
pub fn key_id(public: &[u8]) -> String {
    sha256_hex(public)[..16].to_owned()
}

/// Why a receipt is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotGenuine {
    /// Something that a receipt has is missing.
    #[error("this is not a Talkwire receipt: {0} is missing")]
    Missing(&'static str),
    /// Signed by somebody else than expected.
    #[error("the receipt is signed by key {found}, not by {expected}")]
    OtherKey {
        /// Whose key it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// Changed after signing, or signed with another key than it says.
    #[error("the signature does not fit the content: the receipt was changed, or is not genuine")]
    Changed,
}

/// Checks a receipt. With `trusted`, it must be signed by that public key (32 bytes as hex); else by the key it names.
///
/// Returns the id of the key that signed.
pub fn verify(receipt: &Value, trusted: Option<&str>) -> Result<String, NotGenuine> {
    let mut body = receipt.as_object().cloned().ok_or(NotGenuine::Missing("the object"))?;
    if body.get("schema").and_then(Value::as_str) != Some(SCHEMA) {
        return Err(NotGenuine::Missing("the schema"));
    }
    let signature = body.shift_remove("signature").ok_or(NotGenuine::Missing("the signature"))?;
    let text = |name| signature.get(name).and_then(Value::as_str).ok_or(NotGenuine::Missing("a field of the signature"));
    let (public, value) = (text("public_key")?, text("value")?);
    if let Some(expected) = trusted.map(str::trim).filter(|expected| !expected.eq_ignore_ascii_case(public)) {
        let id = |hex: &str| from_hex(hex).map_or_else(|| hex.to_owned(), |bytes| key_id(&bytes));
        return Err(NotGenuine::OtherKey { found: id(public), expected: id(expected) });
    }
    let key: [u8; 32] = from_hex(public).and_then(|bytes| bytes.try_into().ok()).ok_or(NotGenuine::Missing("the public key"))?;
    let key = VerifyingKey::from_bytes(&key).map_err(|_| NotGenuine::Changed)?;
    let value = from_hex(value).and_then(|bytes| Signature::from_slice(&bytes).ok()).ok_or(NotGenuine::Changed)?;
    key.verify(canonical_json(&Value::Object(body)).as_bytes(), &value).map_err(|_| NotGenuine::Changed)?;
    Ok(key_id(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_receipt_verifies_and_a_changed_one_does_not() {
        let key = SigningKey::from_bytes(&[5; 32]);
        let receipt = sign(json!({"before": 18.0, "after": 74.5, "who": "王小明"}), &key);
        let reread: Value = serde_json::from_str(&serde_json::to_string_pretty(&receipt).unwrap()).unwrap();
        assert!(verify(&reread, Some(&to_hex(&key.verifying_key().to_bytes()))).is_ok());
        let mut changed = reread.clone();
        changed["after"] = json!(740.5);
        assert_eq!(verify(&changed, None), Err(NotGenuine::Changed));
        let other = to_hex(&SigningKey::from_bytes(&[6; 32]).verifying_key().to_bytes());
        assert!(matches!(verify(&reread, Some(&other)), Err(NotGenuine::OtherKey { .. })));
    }
}
