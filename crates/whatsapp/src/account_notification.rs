//! What Meta says of templates, the number and the account, and what must stop for it.
//!
//! Source: Meta, "Webhooks: WhatsApp Business account fields" (September 2026).

use campaign::delivery::outcome::Millis;
use serde_json::Value;

use crate::callback::{digits, list_items, parse_timestamp, text};

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountNotification {
    /// The field it came under, such as `account_update`.
    pub field: String,
    /// What happened, as Meta names it, such as `PAUSED`.
    pub event: String,
    /// What must stop for it.
    pub pauses: PauseTarget,
    /// When, in milliseconds.
    pub at: Option<Millis>,
    /// A sentence for people.
    pub text: String,
}

/// What a notice stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PauseTarget {
    /// Nothing; it is shown.
    Nothing,
    /// Campaigns that send this template.
    Template {
        /// Its name.
        name: String,
        /// Its language code.
        language: String,
    },
    /// Every campaign.
    Account,
}

/// Reads a change that holds no messages; `None` for a field that is not known.
pub(crate) fn parse_account_notification(
    field: &str,
    value: &Value,
    at: Option<Millis>,
) -> Option<AccountNotification> {
    let event = text(&value["event"]);
    let (event, stops, sentence) = match field {
        "message_template_status_update" => template_status(value, event?),
        "message_template_quality_update" => template_quality(value)?,
        "template_category_update" => {
            let category = text(&value["new_category"])?;
            let sentence = format!(
                "Template {} is now of category {category}.",
                template(value)
            );
            (category, PauseTarget::Nothing, sentence)
        }
        "message_template_components_update" => {
            let sentence = format!("Template {} was edited.", template(value));
            ("EDITED".into(), PauseTarget::Nothing, sentence)
        }
        "account_update" => account(value, event?, at),
        "account_review_update" => {
            let decision = text(&value["decision"])?;
            let sentence = format!("The account's review ended: {decision}.");
            (decision, PauseTarget::Nothing, sentence)
        }
        "phone_number_quality_update" => number(value, event?),
        "business_capability_update" => capability(value),
        "account_alerts" => alert(value),
        _ => return None,
    };
    Some(AccountNotification {
        field: field.to_owned(),
        event,
        pauses: stops,
        at,
        text: sentence,
    })
}

/// A template's name and language, for people.
fn template(value: &Value) -> String {
    let part = |field: &str| text(&value[field]).unwrap_or_else(|| "?".into());
    format!(
        "{} ({})",
        part("message_template_name"),
        part("message_template_language")
    )
}

/// Only an approved template can be sent.
fn template_status(value: &Value, event: String) -> (String, PauseTarget, String) {
    let ends = [
        "PAUSED",
        "DISABLED",
        "REJECTED",
        "DELETED",
        "PENDING_DELETION",
        "ARCHIVED",
    ];
    let name = text(&value["message_template_name"]);
    let language = text(&value["message_template_language"]);
    let stops = match (ends.contains(&event.as_str()), name, language) {
        (true, Some(name), Some(language)) => PauseTarget::Template { name, language },
        _ => PauseTarget::Nothing,
    };
    let reasons = [
        &value["other_info"]["description"],
        &value["rejection_info"]["reason"],
        &value["reason"],
    ];
    let reason = reasons
        .into_iter()
        .filter_map(text)
        .find(|reason| reason != "NONE");
    let reason = reason
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default();
    let advice = match stops {
        PauseTarget::Nothing => "",
        _ => " Look at it in WhatsApp Manager; once it is approved again, resume.",
    };
    let sentence = format!(
        "WhatsApp says {event} of template {}{reason}.{advice}",
        template(value)
    );
    (event, stops, sentence)
}

fn template_quality(value: &Value) -> Option<(String, PauseTarget, String)> {
    let (before, now) = (
        text(&value["previous_quality_score"]),
        text(&value["new_quality_score"])?,
    );
    let before = before.unwrap_or_else(|| "unknown".into());
    let sentence = format!(
        "The quality of template {} went from {before} to {now}.",
        template(value)
    );
    Some((now, PauseTarget::Nothing, sentence))
}

fn account(value: &Value, event: String, at: Option<Millis>) -> (String, PauseTarget, String) {
    let ban = text(&value["ban_info"]["waba_ban_state"]);
    let restrictions: Vec<String> = list_items(value, "restriction_info")
        .filter(|restriction| {
            let until = parse_timestamp(&restriction["expiration"]);
            until.is_none_or(|until| at.is_none_or(|at| until >= at))
        })
        .filter_map(|restriction| text(&restriction["restriction_type"]))
        .collect();
    let stops = match event.as_str() {
        "ACCOUNT_DELETED" => true,
        "DISABLED_UPDATE" => ban.as_deref() == Some("DISABLE"),
        // Templates may not be sent, or nothing at all.
        "ACCOUNT_RESTRICTION" => restrictions
            .iter()
            .any(|kind| kind.ends_with("_INITIATED_MESSAGING")),
        _ => false,
    };
    let violation = text(&value["violation_info"]["violation_type"]);
    let more: Vec<String> = restrictions
        .into_iter()
        .chain(ban)
        .chain(violation)
        .collect();
    let more = if more.is_empty() {
        String::new()
    } else {
        format!(" ({})", more.join(", "))
    };
    let advice = if stops {
        " Open the Account Quality page in Meta's Business Manager; once it is lifted, resume."
    } else {
        ""
    };
    let sentence = format!("Meta says {event} of the account{more}.{advice}");
    (
        event,
        if stops {
            PauseTarget::Account
        } else {
            PauseTarget::Nothing
        },
        sentence,
    )
}

fn number(value: &Value, event: String) -> (String, PauseTarget, String) {
    let limit = text(&value["current_limit"])
        .or_else(|| digits(&value["max_daily_conversations_per_business"]));
    let limit = limit
        .map(|limit| format!(", limit {limit}"))
        .unwrap_or_default();
    let (stops, advice) = match event.as_str() {
        "FLAGGED" => (
            PauseTarget::Account,
            " Too many people blocked or reported it: look at the template and the list before resuming.",
        ),
        "THROUGHPUT_UPGRADE" => (
            PauseTarget::Nothing,
            " Up to 1,000 messages a second are possible now: raise TpsBudget to use it.",
        ),
        _ => (PauseTarget::Nothing, ""),
    };
    let sentence = format!("Meta says {event} of the phone number{limit}.{advice}");
    (event, stops, sentence)
}

fn capability(value: &Value) -> (String, PauseTarget, String) {
    let fields = [
        "max_daily_conversations_per_business",
        "max_daily_conversation_per_phone",
        "max_phone_numbers_per_business",
    ];
    let limits: Vec<String> = fields
        .iter()
        .filter_map(|field| Some(format!("{field} {}", limit(&value[*field])?)))
        .collect();
    let sentence = format!("The account's limits are now: {}.", limits.join(", "));
    ("LIMITS".into(), PauseTarget::Nothing, sentence)
}

/// A limit: a number, a tier's name, or -1 for none.
fn limit(value: &Value) -> Option<String> {
    match value.as_i64() {
        Some(-1) => Some("unlimited".into()),
        _ => digits(value),
    }
}

fn alert(value: &Value) -> (String, PauseTarget, String) {
    let info = &value["alert_info"];
    let part = |field: &str| text(&info[field]).or_else(|| text(&value[field]));
    let kind = part("alert_type").unwrap_or_else(|| "ALERT".into());
    let severity = part("alert_severity").unwrap_or_default();
    let description = part("alert_description").unwrap_or_default();
    let sentence = format!("Meta's alert {kind} {severity}: {description}");
    (kind, PauseTarget::Nothing, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_stops_names_what_to_do_and_the_rest_stops_nothing() {
        let paused = json!({"event": "PAUSED", "message_template_id": 1, "message_template_name": "a", "message_template_language": "en",
            "other_info": {"title": "FIRST_PAUSE", "description": "low quality"}});
        let notice = parse_account_notification("message_template_status_update", &paused, Some(1))
            .expect("a notice");
        assert!(
            matches!(notice.pauses, PauseTarget::Template { ref name, ref language } if name == "a" && language == "en")
        );
        assert!(
            notice.text.contains("low quality") && notice.text.contains("resume"),
            "{}",
            notice.text
        );
        let flagged =
            json!({"event": "FLAGGED", "current_limit": "TIER_10K", "display_phone_number": "1"});
        let notice = parse_account_notification("phone_number_quality_update", &flagged, None)
            .expect("a notice");
        assert_eq!(notice.pauses, PauseTarget::Account);
        for (field, value) in [
            (
                "phone_number_quality_update",
                json!({"event": "THROUGHPUT_UPGRADE"}),
            ),
            (
                "business_capability_update",
                json!({"max_daily_conversations_per_business": -1}),
            ),
            (
                "account_alerts",
                json!({"alert_info": {"alert_type": "OBA_APPROVED"}}),
            ),
            ("account_update", json!({"event": "PARTNER_ADDED"})),
            (
                "message_template_status_update",
                json!({"event": "APPROVED"}),
            ),
        ] {
            let notice = parse_account_notification(field, &value, None).expect("a notice");
            assert_eq!(notice.pauses, PauseTarget::Nothing, "{field}");
        }
        assert_eq!(
            parse_account_notification("a field of tomorrow", &json!({"event": "X"}), None),
            None
        );
    }

    #[test]
    fn a_restriction_that_is_over_stops_nothing() {
        let restricted = |until: u64| {
            json!({"event": "ACCOUNT_RESTRICTION",
            "restriction_info": [{"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": until}]})
        };
        let stops = |until| {
            parse_account_notification("account_update", &restricted(until), Some(2_000_000))
                .expect("a notice")
                .pauses
        };
        assert_eq!(stops(2_001), PauseTarget::Account);
        assert_eq!(stops(1_999), PauseTarget::Nothing);
    }
}
