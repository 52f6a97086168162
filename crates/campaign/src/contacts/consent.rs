//! Recognizes opt-outs and opt-ins in what recipients write.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Keywords by language. The languages only help those who edit the lists: every keyword counts in every language.
pub type KeywordLists = BTreeMap<String, Vec<String>>;

/// What recipients write to opt out and in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptOutKeywords {
    /// A message that consists of one of these is an opt-out.
    pub stop: KeywordLists,
    /// A message that consists of one of these is an opt-in.
    pub start: KeywordLists,
    /// A button with one of these payloads is an opt-out.
    pub stop_payloads: Vec<String>,
    /// A button with one of these payloads is an opt-in.
    pub start_payloads: Vec<String>,
}

/// What a message says about consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentIntent {
    /// The recipient wants no further messages.
    OptOut,
    /// The recipient wants messages again.
    OptIn,
}

/// Only words without another common meaning are listed: `cancel`, for example, is about an order more often
/// than about messages.
const STOP: &[(&str, &[&str])] = &[
    ("ar", &["إيقاف", "ايقاف", "إلغاء الاشتراك", "الغاء الاشتراك"]),
    (
        "de",
        &["stopp", "abmelden", "abbestellen", "keine nachrichten mehr"],
    ),
    (
        "en",
        &[
            "stop",
            "stop all",
            "stop promotions",
            "unsubscribe",
            "opt out",
            "opt-out",
            "optout",
            "remove me",
        ],
    ),
    (
        "es",
        &[
            "baja",
            "darse de baja",
            "dar de baja",
            "no más mensajes",
            "no mas mensajes",
        ],
    ),
    (
        "fr",
        &[
            "arrêt",
            "arret",
            "arrêter",
            "arreter",
            "désabonner",
            "desabonner",
            "me désabonner",
        ],
    ),
    ("hi", &["बंद करो", "बंद करें", "रोकें"]),
    ("id", &["berhenti", "berhenti berlangganan"]),
    (
        "it",
        &["disiscrivi", "disiscrivimi", "cancellami", "basta messaggi"],
    ),
    ("nl", &["afmelden", "uitschrijven", "stoppen"]),
    (
        "pt",
        &[
            "sair",
            "parar",
            "descadastrar",
            "não quero mais",
            "nao quero mais",
        ],
    ),
    ("ru", &["стоп", "отписаться"]),
    ("tr", &["dur", "abonelikten çık"]),
];

const START: &[(&str, &[&str])] = &[
    ("ar", &["اشتراك"]),
    ("de", &["anmelden"]),
    (
        "en",
        &[
            "start",
            "unstop",
            "subscribe",
            "opt in",
            "opt-in",
            "optin",
            "resume",
        ],
    ),
    ("es", &["alta", "dar de alta"]),
    ("fr", &["reprendre", "m'abonner"]),
    ("it", &["iscrivimi"]),
    ("nl", &["aanmelden"]),
    ("pt", &["voltar", "quero receber"]),
    ("ru", &["старт", "подписаться"]),
];

const STOP_PAYLOADS: &[&str] = &["stop", "unsubscribe", "opt_out", "stop promotions"];

const START_PAYLOADS: &[&str] = &["start", "subscribe", "opt_in"];

impl Default for OptOutKeywords {
    fn default() -> Self {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let lists = |lists: &[(&str, &[&str])]| -> KeywordLists {
            lists
                .iter()
                .map(|(language, words)| ((*language).to_owned(), owned(words)))
                .collect()
        };
        Self {
            stop: lists(STOP),
            start: lists(START),
            stop_payloads: owned(STOP_PAYLOADS),
            start_payloads: owned(START_PAYLOADS),
        }
    }
}

impl OptOutKeywords {
    /// What a message with this text, or a button with this text and payload, says about consent. An opt-out
    /// precedes an opt-in.
    pub fn detect_intent(
        &self,
        text: Option<&str>,
        payload: Option<&str>,
    ) -> Option<ConsentIntent> {
        let text = text.map(normalize_keyword);
        let payload = payload.map(normalize_keyword);
        let is_listed = |keywords: &[String], written: &Option<String>| {
            written.as_ref().is_some_and(|written| {
                keywords
                    .iter()
                    .any(|keyword| normalize_keyword(keyword) == *written)
            })
        };
        let matches = |lists: &KeywordLists, payloads: &[String]| {
            is_listed(payloads, &payload) || lists.values().any(|words| is_listed(words, &text))
        };
        if matches(&self.stop, &self.stop_payloads) {
            Some(ConsentIntent::OptOut)
        } else if matches(&self.start, &self.start_payloads) {
            Some(ConsentIntent::OptIn)
        } else {
            None
        }
    }
}

/// The form in which keywords are compared: lowercase, single spaces, only letters and digits at both ends.
pub fn normalize_keyword(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ").to_lowercase();
    text.trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(text: &str, payload: Option<&str>) -> Option<ConsentIntent> {
        OptOutKeywords::default().detect_intent(Some(text), payload)
    }

    #[test]
    fn recognizes_opt_out_in_any_spelling() {
        for text in [
            "STOP",
            " Stop! ",
            "«stop»",
            "Stop\n  all",
            "Désabonner.",
            "СТОП",
            "Não quero mais",
            "إيقاف",
        ] {
            assert_eq!(detect(text, None), Some(ConsentIntent::OptOut), "{text}");
        }
        for text in ["Don't stop", "bus stop?", "", "!!!", "cancel my order"] {
            assert_eq!(detect(text, None), None, "{text}");
        }
        assert_eq!(detect("Start", None), Some(ConsentIntent::OptIn));
    }

    #[test]
    fn button_counts_by_its_payload_and_its_text() {
        assert_eq!(
            detect("No, thanks", Some("OPT_OUT")),
            Some(ConsentIntent::OptOut)
        );
        assert_eq!(
            detect("Unsubscribe", Some("button-2")),
            Some(ConsentIntent::OptOut)
        );
        assert_eq!(detect("Yes", Some("opt_in")), Some(ConsentIntent::OptIn));
        assert_eq!(detect("Yes", Some("yes")), None);
    }

    #[test]
    fn no_keyword_means_both() {
        for (_, words) in START {
            for word in *words {
                assert_eq!(detect(word, None), Some(ConsentIntent::OptIn), "{word}");
            }
        }
    }
}
