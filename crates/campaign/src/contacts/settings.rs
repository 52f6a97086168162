//! What an operator may set for the whole deployment, while it runs.

use serde::{Deserialize, Serialize};

use crate::contacts::consent::{OptOutKeywords, normalize_keyword};
use crate::delivery::outcome::Millis;
use crate::message::Message;

/// Answers anything that no other rule answers.
const CATCH_ALL: &str = "*";

/// The settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// What means stop, and what start again.
    pub opt_out_keywords: OptOutKeywords,
    /// What is answered by itself.
    pub replies: Vec<AutoReply>,
    /// How long after a campaign's message somebody's words are taken for an answer to it.
    pub attribution_hours: u32,
}

/// Answers keywords with a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutoReply {
    /// A message or a button's payload that is one of these is answered; `*` for whatever else somebody writes.
    pub keywords: Vec<String>,
    /// With this: a message object of the Cloud API without `to`.
    pub message: Message,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            opt_out_keywords: OptOutKeywords::default(),
            replies: Vec::new(),
            attribution_hours: 72,
        }
    }
}

impl Settings {
    /// The answer to somebody's words, if there is one: a keyword's before that to anything.
    pub fn find_reply(&self, text: Option<&str>, payload: Option<&str>) -> Option<&Message> {
        let said: Vec<String> = [text, payload]
            .into_iter()
            .flatten()
            .map(normalize_keyword)
            .collect();
        let answers = |rule: &&AutoReply| {
            rule.keywords
                .iter()
                .any(|keyword| keyword != CATCH_ALL && said.contains(&normalize_keyword(keyword)))
        };
        let anything = |rule: &&AutoReply| rule.keywords.iter().any(|keyword| keyword == CATCH_ALL);
        let rule = self.replies.iter().find(answers);
        let rule = rule.or_else(|| {
            self.replies
                .iter()
                .find(anything)
                .filter(|_| !said.is_empty())
        });
        rule.map(|rule| &rule.message)
    }

    /// Whether words said at `now` may be an answer to a message of `attempted_at`.
    pub fn is_attributable(&self, messaged_at: Millis, now: Millis) -> bool {
        let longest = Millis::from(self.attribution_hours) * 3_600_000;
        now.saturating_sub(messaged_at) <= longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_keyword_is_answered_before_anything_else() {
        let rule = |keywords: &[&str], text: &str| AutoReply {
            keywords: keywords.iter().map(|word| (*word).to_owned()).collect(),
            message: Message::new(json!({"type": "text", "text": {"body": text}}))
                .expect("a message"),
        };
        let settings = Settings {
            replies: vec![
                rule(&["*"], "help"),
                rule(&["Hours", "opening_hours"], "9 to 5"),
            ],
            ..Settings::default()
        };
        let answer = |text, payload| {
            let message = settings.find_reply(text, payload)?;
            message.body()["text"]["body"].as_str().map(str::to_owned)
        };
        assert_eq!(answer(Some("hours?"), None).as_deref(), Some("9 to 5"));
        assert_eq!(
            answer(Some("When"), Some("OPENING_HOURS")).as_deref(),
            Some("9 to 5")
        );
        assert_eq!(answer(Some("hello"), None).as_deref(), Some("help"));
        assert_eq!(answer(None, None), None, "a picture asks nothing");
        assert_eq!(Settings::default().find_reply(Some("hours"), None), None);
    }

    #[test]
    fn words_long_after_a_message_are_no_answer_to_it() {
        let settings = Settings::default();
        assert!(settings.is_attributable(1000, 1000 + 72 * 3_600_000));
        assert!(!settings.is_attributable(1000, 1001 + 72 * 3_600_000));
    }
}
