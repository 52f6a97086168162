//! A file that was already sent with the same message within 24 hours is refused, unless the campaign allows repeats.

use campaign::delivery::batch::Row;
use campaign::lifecycle::campaign::Campaign;
use cloud::imports::RowSet;
use cloud::sent_files::SentFile;
use lambda_runtime::Error;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Splitter;

/// Computes the hash of what a file would send: the message, then the recipients and their values in the file's order. How
/// the file is written does not matter.
pub(crate) struct ContentHasher(Sha256);

impl ContentHasher {
    pub(crate) fn new(campaign: &Campaign) -> Self {
        let mut hasher = Self(Sha256::new());
        hasher.add_value(campaign.message.body());
        let fallback = campaign.fallback.as_ref();
        hasher.add_value(fallback.map_or(&Value::Null, |fallback| fallback.body()));
        hasher
    }

    pub(crate) fn add_row(&mut self, row: &Row) {
        self.0.update(row.to.canonical().to_string());
        self.0.update((row.values.len() as u64).to_le_bytes());
        row.values.iter().for_each(|value| self.add_text(value));
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
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    pub(crate) fn finish(self) -> String {
        let hash = self.0.finalize();
        hash[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

impl Splitter {
    /// Why a file must not be sent that another campaign has sent, as a clause; `None` if it may be.
    pub(crate) async fn find_repeat(
        &self,
        campaign: &Campaign,
        index: usize,
    ) -> Result<Option<String>, Error> {
        let content = &campaign.files[index].content_hash;
        let Some(content) = content.as_ref().filter(|_| !campaign.allow_repeat) else {
            return Ok(None);
        };
        let begins = campaign.schedule.not_before.unwrap_or(0).max(cloud::now());
        let earlier = self.sent_files.find(content, &campaign.id, begins).await?;
        Ok(earlier.as_ref().map(describe_repeat))
    }

    /// Notes that the file at `index` begins to be sent. Returns why it must not be, as a clause, if another campaign came
    /// first. With `allow_repeat`, and where rows of it are in the queue already, nothing is refused, but the time is noted.
    pub(crate) async fn claim_content(
        &self,
        campaign: &Campaign,
        index: usize,
    ) -> Result<Option<String>, Error> {
        let Some(content) = &campaign.files[index].content_hash else {
            return Ok(None);
        };
        let mut has_begun = campaign.allow_repeat;
        for row_set in [RowSet::Canary, RowSet::Remainder] {
            let checkpoint = self.imports.get_checkpoint(&campaign.id, index, row_set);
            has_begun |= checkpoint.await?.is_some();
        }
        let now = cloud::now();
        let claim = self.sent_files.claim(content, &campaign.id, has_begun, now);
        let earlier = claim.await?.filter(|_| !has_begun);
        Ok(earlier.as_ref().map(describe_repeat))
    }
}

fn describe_repeat(earlier: &SentFile) -> String {
    cloud::sometimes!("a file that was sent already is refused");
    format!(
        "campaign {0} began to send the same message to the same recipients within the last 24 hours; for rows that it did not send use POST /v1/campaigns/{0}/retries, to send all of them once more create a campaign with allow_repeat",
        earlier.campaign
    )
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
