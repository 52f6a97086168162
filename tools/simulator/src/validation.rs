//! Requests that Meta would refuse before it looks at the recipient.

use serde_json::Value;

use crate::settings::Settings;

/// An error of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Graph API code.
    pub code: i64,
    /// `error_data.details`.
    pub details: String,
}

fn refuse<T>(code: i64, details: impl Into<String>) -> Result<T, ApiError> {
    Err(ApiError {
        code,
        details: details.into(),
    })
}

/// Checks the access token and the phone number id.
pub fn validate_caller(
    settings: &Settings,
    phone_number_id: &str,
    authorization: Option<&str>,
) -> Result<(), ApiError> {
    let token = authorization.and_then(|header| header.strip_prefix("Bearer "));
    if token != Some(settings.access_token.as_str()) {
        return refuse(190, "Invalid OAuth access token");
    }
    if !settings.knows_number(phone_number_id) {
        return refuse(
            33,
            format!("Object with ID '{phone_number_id}' does not exist"),
        );
    }
    Ok(())
}

/// Checks the body of a send. Returns `to`.
pub fn validate_request(body: &Value) -> Result<&str, ApiError> {
    if body["messaging_product"] != "whatsapp" {
        return refuse(100, "messaging_product must be whatsapp");
    }
    let to = body["to"].as_str().unwrap_or_default();
    let digits = to.strip_prefix('+').unwrap_or_default();
    if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return refuse(131009, "to must be + and the international number");
    }
    let callback_data = body["biz_opaque_callback_data"]
        .as_str()
        .unwrap_or_default();
    if callback_data.chars().count() > 512 {
        return refuse(
            100,
            "biz_opaque_callback_data is longer than 512 characters",
        );
    }
    let mut message = body.clone();
    for field in ["to", "recipient_type", "biz_opaque_callback_data"] {
        message.as_object_mut().map(|fields| fields.remove(field));
    }
    if let Err(problem) = whatsapp::message::validate(&message) {
        return refuse(131008, problem.to_string());
    }
    validate_template(&body["template"])?;
    Ok(to)
}

/// Template parameters may contain no newline, no tab and no run of more than 4 spaces.
fn validate_template(template: &Value) -> Result<(), ApiError> {
    if template["name"]
        .as_str()
        .is_some_and(|name| name.starts_with("missing_"))
    {
        return refuse(132001, "Template name does not exist in the translation");
    }
    let components = template["components"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for parameter in components
        .iter()
        .filter_map(|component| component["parameters"].as_array())
        .flatten()
    {
        let text = parameter["text"].as_str().unwrap_or_default();
        if text.contains(['\n', '\t']) || text.contains("     ") {
            return refuse(
                132018,
                "Param text cannot have new-line/tab characters or more than 4 consecutive spaces",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn refuses_requests_that_meta_would_refuse() {
        let good = json!({"messaging_product": "whatsapp", "to": "+5511987654321", "type": "text", "text": {"body": "x"}});
        assert_eq!(validate_request(&good), Ok("+5511987654321"));
        let broken = |pointer: &str, value: Value| {
            let mut body = good.clone();
            body[pointer] = value;
            validate_request(&body).expect_err(pointer).code
        };
        assert_eq!(broken("messaging_product", json!("sms")), 100);
        assert_eq!(broken("to", json!("5511987654321")), 131009);
        assert_eq!(broken("text", json!({})), 131008);
        assert_eq!(
            broken("biz_opaque_callback_data", json!("x".repeat(513))),
            100
        );
        let parameters = |text: &str| {
            json!({"messaging_product": "whatsapp", "to": "+5511987654321", "type": "template", "template": {
                "name": "a", "language": {"code": "en"},
                "components": [{"type": "body", "parameters": [{"type": "text", "text": text}]}]}})
        };
        assert!(validate_request(&parameters("fine    still fine")).is_ok());
        assert_eq!(
            validate_request(&parameters("a\nb"))
                .expect_err("newline")
                .code,
            132018
        );
    }

    #[test]
    fn accepts_only_the_right_token_and_known_numbers() {
        let settings = Settings {
            further_numbers: vec!["2".into()],
            ..Settings::default()
        };
        let right = format!("Bearer {}", settings.access_token);
        for known in [settings.phone_number_id.as_str(), "2"] {
            assert!(validate_caller(&settings, known, Some(&right)).is_ok());
        }
        assert_eq!(
            validate_caller(&settings, "1", Some(&right))
                .expect_err("number")
                .code,
            33
        );
        assert_eq!(
            validate_caller(&settings, "1", Some("Bearer x"))
                .expect_err("token")
                .code,
            190
        );
        assert_eq!(
            validate_caller(&settings, "1", None)
                .expect_err("token")
                .code,
            190
        );
    }
}
