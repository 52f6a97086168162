//! Hashes that stand for what must not be stored, or not be shown.

use sha2::{Digest, Sha256};

/// The SHA-256 of a text, as hexadecimal text.
pub(crate) fn sha256_hex(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
