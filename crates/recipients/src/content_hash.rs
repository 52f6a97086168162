//! The hash by which a file that was sent already is recognised.

use campaign::delivery::batch::Row;
use campaign::lifecycle::campaign::Campaign;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Computes the hash of what a file would send: the message, then the recipients and their values in the file's order. How
/// the file is written does not matter.
#[derive(Debug)]
pub struct ContentHasher {
    sha: Sha256,
    /// The bytes of a row, together: a call for each value would take longer than the hash.
    row: Vec<u8>,
}

impl ContentHasher {
    /// For a file of this campaign, whose message is part of the hash.
    pub fn new(campaign: &Campaign) -> Self {
        let mut hasher = Self {
            sha: Sha256::new(),
            row: Vec::new(),
        };
        hasher.add_value(campaign.message.body());
        let fallback = campaign.fallback.as_ref();
        hasher.add_value(fallback.map_or(&Value::Null, |fallback| fallback.body()));
        hasher
    }

    /// Adds a row that can be sent.
    pub fn add_row(&mut self, row: &Row) {
        let bytes = &mut self.row;
        bytes.clear();
        bytes.extend(row.to.canonical().digits().to_le_bytes());
        bytes.extend((row.values.len() as u64).to_le_bytes());
        for value in &row.values {
            bytes.extend((value.len() as u64).to_le_bytes());
            bytes.extend(value.as_bytes());
        }
        self.sha.update(bytes);
    }

    /// The keys of an object in order: the table does not keep theirs.
    fn add_value(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                let mut names: Vec<&String> = fields.keys().collect();
                names.sort();
                self.add_text("object");
                self.add_text(&names.len().to_string());
                for name in names {
                    self.add_text(name);
                    self.add_value(&fields[name]);
                }
            }
            Value::Array(items) => {
                self.add_text("array");
                self.add_text(&items.len().to_string());
                items.iter().for_each(|item| self.add_value(item));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                self.add_text(&value.to_string());
            }
        }
    }

    /// With its length, so that no two lists of texts give the same bytes.
    fn add_text(&mut self, text: &str) {
        self.sha.update((text.len() as u64).to_le_bytes());
        self.sha.update(text);
    }

    /// The hash in hexadecimal digits.
    pub fn finish(self) -> String {
        hex::encode(&self.sha.finalize()[..16])
    }
}

#[cfg(test)]
mod tests {
    use campaign::import::phone;
    use campaign::lifecycle::campaign::FileInfo;
    use campaign::message::Message;
    use serde_json::json;

    use super::*;

    fn hash(body: &str, rows: &[(&str, &[&str])]) -> String {
        let info = FileInfo {
            name: "a.csv".into(),
            size: 1,
        };
        let message =
            Message::new(json!({"type": "text", "text": {"body": body}})).expect("message");
        let id = "c1".parse().expect("id");
        let campaign = Campaign::new(id, "Test".into(), message, info, 0);
        let mut hasher = ContentHasher::new(&campaign);
        for (to, values) in rows {
            hasher.add_row(&Row {
                row: 1,
                to: phone::parse(to, None).expect("phone"),
                values: values.iter().map(|&value| value.to_owned()).collect(),
            });
        }
        hasher.finish()
    }

    #[test]
    fn same_content_has_same_hash_and_nothing_else_has() {
        let ana: (&str, &[&str]) = ("+34610000001", &["Ana", "x"]);
        let bo: (&str, &[&str]) = ("+34610000002", &["Bo", "y"]);
        let first = hash("Hi", &[ana, bo]);
        assert_eq!(first, hash("Hi", &[("+34 610 000 001", ana.1), bo]));
        for other in [
            hash("Hello", &[ana, bo]),
            hash("Hi", &[ana]),
            hash("Hi", &[bo, ana]),
            hash("Hi", &[(ana.0, &["Anax", ""]), bo]),
            hash("Hi", &[(ana.0, &["Ana"]), bo]),
        ] {
            assert_ne!(first, other);
        }
    }
}
