//! What operators set for the whole deployment, at any time.

use serde::{Deserialize, Serialize};

use crate::contacts::consent::{OptOutKeywords, normalize_keyword};
use crate::import::phone::Phone;
use crate::message::Message;
use crate::time::Millis;

/// The keyword of a reply to all messages that no other reply matches.
const CATCH_ALL: &str = "*";

const HOUR_MS: Millis = 3_600_000;

/// The settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// What recipients write to opt out and in.
    pub opt_out_keywords: OptOutKeywords,
    /// Automatic replies.
    pub replies: Vec<AutoReply>,
    /// For how many hours after a campaign's message the recipient's messages count as replies to it.
    pub attribution_hours: u32,
    /// Whether a campaign starts only after a second person approved it.
    pub approval_required: bool,
    /// Numbers of the operators' own, for test sends.
    pub test_numbers: Vec<TestNumber>,
}

/// A number for test sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestNumber {
    /// Whose it is.
    pub name: String,
    /// The number.
    pub phone: Phone,
}

/// A message that is sent automatically when a recipient writes a keyword.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutoReply {
    /// Keywords, compared with the text of a message and the payload of a button; `*` matches what no other
    /// reply matches.
    pub keywords: Vec<String>,
    /// The reply: a message object of the Cloud API without `to`.
    pub message: Message,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            opt_out_keywords: OptOutKeywords::default(),
            replies: Vec::new(),
            attribution_hours: 72,
            approval_required: false,
            test_numbers: Vec::new(),
        }
    }
}

impl Settings {
    /// The reply to a message with this text or button payload: one with a matching keyword, else one for all
    /// messages. A message without either, such as a picture, gets none.
    pub fn find_reply(&self, text: Option<&str>, payload: Option<&str>) -> Option<&Message> {
        let written: Vec<String> = [text, payload]
            .into_iter()
            .flatten()
            .map(normalize_keyword)
            .collect();
        if written.is_empty() {
            return None;
        }
        let is_written = |keyword: &String| {
            keyword != CATCH_ALL && written.contains(&normalize_keyword(keyword))
        };
        let matching = |reply: &&AutoReply| reply.keywords.iter().any(is_written);
        let catch_all = |reply: &&AutoReply| reply.keywords.iter().any(|k| k == CATCH_ALL);
        let mut replies = self.replies.iter();
        let reply = replies
            .clone()
            .find(matching)
            .or_else(|| replies.find(catch_all))?;
        Some(&reply.message)
    }

    /// Whether a message received at `now` counts as a reply to one sent at `messaged_at`.
    pub fn is_attributable(&self, messaged_at: Millis, now: Millis) -> bool {
        now.saturating_sub(messaged_at) <= Millis::from(self.attribution_hours) * HOUR_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keyword_precedes_catch_all() {
        let reply = |keywords: &[&str], text: &str| AutoReply {
            keywords: keywords.iter().map(|word| (*word).to_owned()).collect(),
            message: Message::new(json!({"type": "text", "text": {"body": text}}))
                .expect("a message"),
        };
        let settings = Settings {
            replies: vec![
                reply(&["*"], "help"),
                reply(&["Hours", "opening_hours"], "9 to 5"),
            ],
            ..Settings::default()
        };
        let find = |text, payload| {
            let message = settings.find_reply(text, payload)?;
            message.body()["text"]["body"].as_str().map(str::to_owned)
        };
        assert_eq!(find(Some("hours?"), None).as_deref(), Some("9 to 5"));
        assert_eq!(
            find(Some("When"), Some("OPENING_HOURS")).as_deref(),
            Some("9 to 5")
        );
        assert_eq!(find(Some("hello"), None).as_deref(), Some("help"));
        assert_eq!(find(None, None), None, "a picture gets no reply");
        assert_eq!(Settings::default().find_reply(Some("hours"), None), None);
    }

    #[test]
    fn reply_is_attributed_within_the_hours_set() {
        let settings = Settings::default();
        assert!(settings.is_attributable(1000, 1000 + 72 * HOUR_MS));
        assert!(!settings.is_attributable(1000, 1001 + 72 * HOUR_MS));
    }
}
