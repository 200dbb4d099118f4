//! Identifiers from a given seed: ULIDs for commands, sessions and change sets, UUIDs for messages.

use sha2::{Digest, Sha256};

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Makes identifiers that nobody can guess and that sort by time. The seed is given, so tests repeat.
#[derive(Debug, Clone)]
pub struct Ids {
    seed: [u8; 32],
    made: u64,
}

impl Ids {
    /// Starts from a seed that the caller drew at random.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, made: 0 }
    }

    fn draw(&mut self) -> [u8; 32] {
        self.made += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.made.to_be_bytes());
        hash.finalize().into()
    }

    /// A ULID: 48 bits of time, 80 of chance, in Crockford's base 32.
    pub fn ulid(&mut self, now_ms: i64) -> String {
        let chance = self.draw();
        let mut bits = u128::from(now_ms.max(0) as u64 & 0xffff_ffff_ffff) << 80;
        bits |= chance[..10].iter().fold(0u128, |sum, byte| sum << 8 | u128::from(*byte));
        (0..26).rev().map(|at| CROCKFORD[(bits >> (5 * at) & 31) as usize] as char).collect()
    }

    /// A random (version 4) UUID.
    pub fn uuid(&mut self) -> String {
        let mut bytes = self.draw();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

/// SHA-256 as lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text of a JSON value with sorted keys and no spaces: what hashes and signatures are made over.
pub fn canonical_json(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Object(object) => {
            let mut keys: Vec<_> = object.keys().collect();
            keys.sort();
            let inner: Vec<_> = keys.into_iter().map(|key| format!("{}:{}", Value::String(key.clone()), canonical_json(&object[key]))).collect();
            format!("{{{}}}", inner.join(","))
        }
        // A whole number is written as one, so that a program whose numbers are all floating reads and writes the same text.
        Value::Number(number) => match number.as_f64() {
            Some(float) if !number.is_i64() && !number.is_u64() && float.fract() == 0.0 && float.abs() < 9.0e15 => format!("{}", float as i64),
            _ => number.to_string(),
        },
        Value::Array(list) => format!("[{}]", list.iter().map(canonical_json).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulids_have_26_characters_differ_and_sort_by_time() {
        let mut ids = Ids::new([7; 32]);
        let (early, same, late) = (ids.ulid(1_000), ids.ulid(1_000), ids.ulid(2_000));
        assert_eq!(early.len(), 26);
        assert_ne!(early, same);
        assert!(early < late && same < late);
    }

    #[test]
    fn a_whole_number_reads_the_same_whether_written_with_a_point_or_without() {
        assert_eq!(canonical_json(&serde_json::json!([86.0, -0.0, 86, 77.25])), "[86,0,86,77.25]");
    }

    #[test]
    fn canonical_json_sorts_keys_at_every_depth() {
        let value = serde_json::json!({"b": [{"z": 1, "a": "é"}], "a": null});
        assert_eq!(canonical_json(&value), r#"{"a":null,"b":[{"a":"é","z":1}]}"#);
    }
}
