//! Notifications about templates, the phone number and the account, and what must pause for them.
//!
//! Source: Meta, "Webhooks: WhatsApp Business account fields" (September 2026).

use campaign::time::Millis;
use serde_json::Value;

use crate::json::{digits, list_items, parse_timestamp, text};

/// A notification about a template, the phone number or the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountNotification {
    /// The webhook field, such as `account_update`.
    pub field: String,
    /// Meta's name of the event, such as `PAUSED`.
    pub event: String,
    /// What must pause.
    pub pauses: PauseTarget,
    /// When, in milliseconds.
    pub at: Option<Millis>,
    /// For the operator: what happened and what to do.
    pub text: String,
}

/// What a notification pauses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PauseTarget {
    /// None. The notification is only shown.
    Nothing,
    /// Campaigns that send this template.
    Template {
        /// The template's name.
        name: String,
        /// The template's language code.
        language: String,
    },
    /// What is sent from this number.
    Number {
        /// As digits; `None` where the notification does not say which one.
        phone: Option<String>,
    },
    /// Every campaign.
    Account,
}

/// Statuses in which a template cannot be sent.
const UNSENDABLE_STATUSES: [&str; 6] = [
    "PAUSED",
    "DISABLED",
    "REJECTED",
    "DELETED",
    "PENDING_DELETION",
    "ARCHIVED",
];

/// The category of templates that is priced highest and restricted most.
const MARKETING: &str = "MARKETING";

/// The event, the campaigns to pause, and the text for the operator.
type Parsed = (String, PauseTarget, String);

/// Parses a change without messages. `None` if the field is unknown.
pub(crate) fn parse_account_notification(
    field: &str,
    value: &Value,
    at: Option<Millis>,
) -> Option<AccountNotification> {
    let event = text(&value["event"]);
    let (event, pauses, text) = match field {
        "message_template_status_update" => template_status(value, event?),
        "message_template_quality_update" => template_quality(value)?,
        "template_category_update" => template_category(value)?,
        "message_template_components_update" => {
            let text = format!("Template {} was edited.", template_label(value));
            ("EDITED".into(), PauseTarget::Nothing, text)
        }
        "account_update" => account_update(value, event?, at),
        "account_review_update" => {
            let decision = text(&value["decision"])?;
            let text = format!("The account's review ended: {decision}.");
            (decision, PauseTarget::Nothing, text)
        }
        "phone_number_quality_update" => phone_number_quality(value, event?),
        "business_capability_update" => business_capability(value),
        "account_alerts" => account_alert(value),
        _ => return None,
    };
    Some(AccountNotification {
        field: field.to_owned(),
        event,
        pauses,
        at,
        text,
    })
}

/// A template's name and language.
fn template_label(value: &Value) -> String {
    let part = |field: &str| text(&value[field]).unwrap_or_else(|| "?".into());
    format!(
        "{} ({})",
        part("message_template_name"),
        part("message_template_language")
    )
}

/// The campaigns that send the template.
fn template_target(value: &Value) -> Option<PauseTarget> {
    Some(PauseTarget::Template {
        name: text(&value["message_template_name"])?,
        language: text(&value["message_template_language"])?,
    })
}

fn template_status(value: &Value, event: String) -> Parsed {
    let is_unsendable = UNSENDABLE_STATUSES.contains(&event.as_str());
    let (pauses, advice) = match template_target(value) {
        Some(target) if is_unsendable => (
            target,
            " Check it in WhatsApp Manager; resume once it is approved again.",
        ),
        _ => (PauseTarget::Nothing, ""),
    };
    let reasons = [
        &value["other_info"]["description"],
        &value["rejection_info"]["reason"],
        &value["reason"],
    ];
    let reason = reasons
        .into_iter()
        .filter_map(text)
        .find(|reason| reason != "NONE")
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default();
    let text = format!(
        "WhatsApp reports {event} for template {}{reason}.{advice}",
        template_label(value)
    );
    (event, pauses, text)
}

fn template_quality(value: &Value) -> Option<Parsed> {
    let new = text(&value["new_quality_score"])?;
    let previous = text(&value["previous_quality_score"]).unwrap_or_else(|| "unknown".into());
    let text = format!(
        "The quality of template {} changed from {previous} to {new}.",
        template_label(value)
    );
    Some((new, PauseTarget::Nothing, text))
}

/// Meta announces a change of category 24 hours before it: then `correct_category` is what the template becomes, and
/// `new_category` what it still is. Once it has changed, `new_category` is what it became (Meta, "Webhooks reference:
/// `template_category_update`", June 2026).
fn template_category(value: &Value) -> Option<Parsed> {
    match text(&value["correct_category"]) {
        Some(category) => Some(impending_category(value, category)),
        None => changed_category(value),
    }
}

fn impending_category(value: &Value, category: String) -> Parsed {
    let from = text(&value["new_category"])
        .map(|current| format!(" from {current}"))
        .unwrap_or_default();
    let advice = match category.as_str() {
        MARKETING => {
            " Campaigns that still send it then pause. Finish them before, or ask for a review in WhatsApp Manager."
        }
        _ => "",
    };
    let text = format!(
        "The category of template {} changes{from} to {category} 24 hours after this notice.{advice}",
        template_label(value)
    );
    (category, PauseTarget::Nothing, text)
}

/// A template that became marketing costs more, reaches no US number, and is not delivered to recipients who stopped
/// marketing: its campaigns pause until the operator agrees.
fn changed_category(value: &Value) -> Option<Parsed> {
    let category = text(&value["new_category"])?;
    let previous = text(&value["previous_category"]);
    let became_marketing = category == MARKETING && previous.as_deref() != Some(MARKETING);
    let (pauses, advice) = match template_target(value) {
        Some(target) if became_marketing => (
            target,
            " It costs more now, and reaches fewer recipients: ask for a review in WhatsApp Manager, or resume.",
        ),
        _ => (PauseTarget::Nothing, ""),
    };
    let from = previous
        .map(|previous| format!(" (before: {previous})"))
        .unwrap_or_default();
    let text = format!(
        "The category of template {} is now {category}{from}.{advice}",
        template_label(value)
    );
    Some((category, pauses, text))
}

fn account_update(value: &Value, event: String, at: Option<Millis>) -> Parsed {
    let ban_state = text(&value["ban_info"]["waba_ban_state"]);
    let restrictions = current_restrictions(value, at);
    let must_pause = match event.as_str() {
        "ACCOUNT_DELETED" => true,
        "DISABLED_UPDATE" => ban_state.as_deref() == Some("DISABLE"),
        // The account may not send templates, or nothing at all.
        "ACCOUNT_RESTRICTION" => restrictions
            .iter()
            .any(|kind| kind.ends_with("_INITIATED_MESSAGING")),
        _ => false,
    };
    let violation = text(&value["violation_info"]["violation_type"]);
    let details: Vec<String> = restrictions
        .into_iter()
        .chain(ban_state)
        .chain(violation)
        .collect();
    let details = if details.is_empty() {
        String::new()
    } else {
        format!(" ({})", details.join(", "))
    };
    let (pauses, advice) = if must_pause {
        (
            PauseTarget::Account,
            " Open the Account Quality page in Meta's Business Manager; resume once the restriction is lifted.",
        )
    } else {
        (PauseTarget::Nothing, "")
    };
    let text = format!("Meta reports {event} for the account{details}.{advice}");
    (event, pauses, text)
}

/// The types of the restrictions that have not expired at the time of the notification.
fn current_restrictions(value: &Value, at: Option<Millis>) -> Vec<String> {
    let is_current = |restriction: &&Value| match (parse_timestamp(&restriction["expiration"]), at)
    {
        (Some(until), Some(at)) => until >= at,
        (None, _) | (_, None) => true,
    };
    list_items(value, "restriction_info")
        .filter(is_current)
        .filter_map(|restriction| text(&restriction["restriction_type"]))
        .collect()
}

fn phone_number_quality(value: &Value, event: String) -> Parsed {
    let limit = text(&value["current_limit"])
        .or_else(|| digits(&value["max_daily_conversations_per_business"]))
        .map(|limit| format!(", limit {limit}"))
        .unwrap_or_default();
    let (pauses, advice) = match event.as_str() {
        "FLAGGED" => (
            PauseTarget::Number {
                phone: text(&value["display_phone_number"]).and_then(|shown| phone_digits(&shown)),
            },
            " Too many recipients blocked or reported it: review the template and the recipient list before you resume the number.",
        ),
        "THROUGHPUT_UPGRADE" => (
            PauseTarget::Nothing,
            " It can now send up to 1,000 messages a second: raise TpsBudget to use that.",
        ),
        _ => (PauseTarget::Nothing, ""),
    };
    let text = format!("Meta reports {event} for the phone number{limit}.{advice}");
    (event, pauses, text)
}

/// The digits of a number as Meta shows it, such as `+1 555-0100` or `15550100`.
pub(crate) fn phone_digits(shown: &str) -> Option<String> {
    let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

fn business_capability(value: &Value) -> Parsed {
    let fields = [
        "max_daily_conversations_per_business",
        "max_daily_conversation_per_phone",
        "max_phone_numbers_per_business",
    ];
    let limits: Vec<String> = fields
        .iter()
        .filter_map(|field| Some(format!("{field} {}", capability_limit(&value[*field])?)))
        .collect();
    let text = format!("The account's limits are now: {}.", limits.join(", "));
    ("LIMITS".into(), PauseTarget::Nothing, text)
}

/// A number, the name of a tier, or -1 for no limit.
fn capability_limit(value: &Value) -> Option<String> {
    match value.as_i64() {
        Some(-1) => Some("unlimited".into()),
        _ => digits(value),
    }
}

fn account_alert(value: &Value) -> Parsed {
    let info = &value["alert_info"];
    let part = |field: &str| text(&info[field]).or_else(|| text(&value[field]));
    let alert_type = part("alert_type").unwrap_or_else(|| "ALERT".into());
    let severity = part("alert_severity").unwrap_or_default();
    let description = part("alert_description").unwrap_or_default();
    let text = format!("Meta's alert {alert_type} {severity}: {description}");
    (alert_type, PauseTarget::Nothing, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(field: &str, value: &Value, at: Option<Millis>) -> AccountNotification {
        parse_account_notification(field, value, at).expect("a notification")
    }

    #[test]
    fn paused_template_pauses_its_campaigns_and_text_says_what_to_do() {
        let paused = json!({"event": "PAUSED", "message_template_id": 1, "message_template_name": "a", "message_template_language": "en",
            "other_info": {"title": "FIRST_PAUSE", "description": "low quality"}});
        let notification = parse("message_template_status_update", &paused, Some(1));
        let template = PauseTarget::Template {
            name: "a".into(),
            language: "en".into(),
        };
        assert_eq!(notification.pauses, template);
        let text = notification.text;
        assert!(
            text.contains("low quality") && text.contains("resume"),
            "{text}"
        );
    }

    fn category_change(fields: Value) -> AccountNotification {
        let mut value = json!({"message_template_id": 1, "message_template_name": "a", "message_template_language": "en-US"});
        value
            .as_object_mut()
            .expect("an object")
            .extend(fields.as_object().expect("an object").clone());
        parse("template_category_update", &value, Some(1))
    }

    #[test]
    fn notice_of_a_category_names_what_comes_and_pauses_nothing_yet() {
        let notice = category_change(json!({
            "new_category": "UTILITY", "correct_category": "MARKETING", "category_update_timestamp": 1_746_169_200}));
        assert_eq!(
            (notice.event.as_str(), notice.pauses),
            ("MARKETING", PauseTarget::Nothing)
        );
        let expected = "changes from UTILITY to MARKETING 24 hours after this notice";
        assert!(notice.text.contains(expected), "{}", notice.text);
    }

    #[test]
    fn template_that_became_marketing_pauses_its_campaigns() {
        let template = PauseTarget::Template {
            name: "a".into(),
            language: "en-US".into(),
        };
        for (fields, pauses) in [
            (
                json!({"previous_category": "UTILITY", "new_category": "MARKETING"}),
                &template,
            ),
            (json!({"new_category": "MARKETING"}), &template),
            (
                json!({"previous_category": "MARKETING", "new_category": "UTILITY"}),
                &PauseTarget::Nothing,
            ),
            (
                json!({"previous_category": "MARKETING", "new_category": "MARKETING"}),
                &PauseTarget::Nothing,
            ),
        ] {
            assert_eq!(&category_change(fields.clone()).pauses, pauses, "{fields}");
        }
    }

    #[test]
    fn flagged_phone_number_pauses_what_is_sent_from_it() {
        for (shown, phone) in [
            (json!("+1 555-0100"), Some("15550100")),
            (json!("15550100"), Some("15550100")),
            (Value::Null, None),
        ] {
            let flagged = json!({"event": "FLAGGED", "current_limit": "TIER_10K", "display_phone_number": shown});
            let notification = parse("phone_number_quality_update", &flagged, None);
            let phone = phone.map(str::to_owned);
            assert_eq!(notification.pauses, PauseTarget::Number { phone });
        }
    }

    #[test]
    fn other_notifications_pause_nothing() {
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
            let notification = parse(field, &value, None);
            assert_eq!(notification.pauses, PauseTarget::Nothing, "{field}");
        }
        let unknown = parse_account_notification("unknown_field", &json!({"event": "X"}), None);
        assert_eq!(unknown, None);
    }

    #[test]
    fn expired_restriction_pauses_nothing() {
        let pauses = |until: u64| {
            let restricted = json!({"event": "ACCOUNT_RESTRICTION",
                "restriction_info": [{"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": until}]});
            parse("account_update", &restricted, Some(2_000_000)).pauses
        };
        assert_eq!(pauses(2_001), PauseTarget::Account);
        assert_eq!(pauses(1_999), PauseTarget::Nothing);
    }
}
