//! Words by which people stop and start, in their own languages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// By language, for those who edit them; a word counts whatever language it is listed under.
pub type KeywordLists = BTreeMap<String, Vec<String>>;

/// What means stop, and what start again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptOutKeywords {
    /// A message that is one of these and nothing else is an opt-out.
    pub stop: KeywordLists,
    /// One of these an opt-in.
    pub start: KeywordLists,
    /// A button with one of these payloads is an opt-out.
    pub stop_payloads: Vec<String>,
    /// One of these an opt-in.
    pub start_payloads: Vec<String>,
}

/// What a message says about consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentIntent {
    /// No more messages.
    OptOut,
    /// Messages again.
    OptIn,
}

impl Default for OptOutKeywords {
    /// Words that mean nothing else: `cancel`, for one, is about an order more often than about messages.
    fn default() -> Self {
        let lists = |lists: &[(&str, &[&str])]| -> KeywordLists {
            let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            lists
                .iter()
                .map(|(language, words)| ((*language).to_owned(), owned(words)))
                .collect()
        };
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            stop: lists(&[
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
            ]),
            start: lists(&[
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
            ]),
            stop_payloads: owned(&["stop", "unsubscribe", "opt_out", "stop promotions"]),
            start_payloads: owned(&["start", "subscribe", "opt_in"]),
        }
    }
}

impl OptOutKeywords {
    /// What somebody says by a message: by its payload where a button was pressed, else by its words. Stop before start.
    pub fn detect_intent(
        &self,
        text: Option<&str>,
        payload: Option<&str>,
    ) -> Option<ConsentIntent> {
        let (text, payload) = (text.map(normalize_keyword), payload.map(normalize_keyword));
        let is_one = |words: &[String], what: &Option<String>| {
            what.as_ref()
                .is_some_and(|what| words.iter().any(|word| normalize_keyword(word) == *what))
        };
        let listed = |lists: &KeywordLists| lists.values().any(|words| is_one(words, &text));
        if is_one(&self.stop_payloads, &payload) || listed(&self.stop) {
            Some(ConsentIntent::OptOut)
        } else if is_one(&self.start_payloads, &payload) || listed(&self.start) {
            Some(ConsentIntent::OptIn)
        } else {
            None
        }
    }
}

/// As words are compared: small letters, single spaces, nothing but letters and digits at the ends.
pub fn normalize_keyword(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ").to_lowercase();
    text.trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_is_stop_however_it_is_written() {
        let words = OptOutKeywords::default();
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
            assert_eq!(
                words.detect_intent(Some(text), None),
                Some(ConsentIntent::OptOut),
                "{text}"
            );
        }
        for text in ["Don't stop", "bus stop?", "", "!!!", "cancel my order"] {
            assert_eq!(words.detect_intent(Some(text), None), None, "{text}");
        }
        assert_eq!(
            words.detect_intent(Some("Start"), None),
            Some(ConsentIntent::OptIn)
        );
    }

    #[test]
    fn a_button_counts_by_its_payload_and_by_its_label() {
        let words = OptOutKeywords::default();
        assert_eq!(
            words.detect_intent(Some("No, thanks"), Some("OPT_OUT")),
            Some(ConsentIntent::OptOut)
        );
        assert_eq!(
            words.detect_intent(Some("Unsubscribe"), Some("button-2")),
            Some(ConsentIntent::OptOut)
        );
        assert_eq!(
            words.detect_intent(Some("Yes"), Some("opt_in")),
            Some(ConsentIntent::OptIn)
        );
        assert_eq!(words.detect_intent(Some("Yes"), Some("yes")), None);
    }

    #[test]
    fn no_word_stops_and_starts() {
        let words = OptOutKeywords::default();
        for word in words.start.values().flatten() {
            assert_eq!(
                words.detect_intent(Some(word), None),
                Some(ConsentIntent::OptIn),
                "{word}"
            );
        }
    }
}
