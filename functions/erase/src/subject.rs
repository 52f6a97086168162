//! The data subject: the recipient to erase, and how to recognize their data.

use campaign::import::phone::{self, CanonicalPhone, Phone};
use campaign::lifecycle::campaign::ImportOptions;

/// The recipient to erase.
pub(crate) struct DataSubject {
    pub(crate) phone: CanonicalPhone,
    /// WhatsApp's id of the user, if it is known.
    pub(crate) user_id: Option<String>,
}

impl DataSubject {
    /// Whether a cell of a table is or contains the recipient's number, as the options of an import understand it.
    pub(crate) fn is_in_cell(&self, cell: &str, options: &ImportOptions) -> bool {
        let region = options.default_region.as_deref();
        let region = region.and_then(phone::parse_region);
        let phone = phone::parse(cell, region).map(Phone::canonical);
        phone == Ok(self.phone) || self.is_mentioned_in(cell)
    }

    /// Whether the text contains the recipient's number, in any spelling, or WhatsApp's user id.
    pub(crate) fn is_mentioned_in(&self, text: &str) -> bool {
        let user_id = self.user_id.as_deref();
        if user_id.is_some_and(|id| text.contains(id)) {
            return true;
        }
        // E.164 numbers have at most 15 digits.
        text.split(|c: char| !c.is_ascii_digit())
            .filter(|digits| (7..=15).contains(&digits.len()))
            .filter_map(|digits| phone::parse(&format!("+{digits}"), None).ok())
            .any(|phone| phone.canonical() == self.phone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_recipient_in_any_spelling_and_nobody_else() {
        let subject = DataSubject {
            phone: phone::parse("+5511987654321", None)
                .expect("a phone")
                .canonical(),
            user_id: Some("BR.1".into()),
        };
        for text in [
            r#"{"from":"551187654321"}"#,
            "+5511987654321",
            r#"{"user_id":"BR.1"}"#,
        ] {
            assert!(subject.is_mentioned_in(text), "{text}");
        }
        for text in ["15511987654321", "5511987654322", "98765", ""] {
            assert!(!subject.is_mentioned_in(text), "{text}");
        }
    }
}
