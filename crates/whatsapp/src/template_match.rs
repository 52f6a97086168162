//! Whether a message fits one of the account's templates.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::message::InvalidMessage;
use crate::template::{Header, Parameters, Template};

/// How many names an error lists.
const MAX_LISTED_NAMES: usize = 10;

/// Finds the template that a message uses, and checks that the message fits it. `None` if the message does not use a
/// template, or the template depends on the row.
pub fn match_template<'t>(
    message: &Value,
    templates: &'t [Template],
) -> Result<Option<&'t Template>, InvalidMessage> {
    let Some(reference) = message.get("template") else {
        return Ok(None);
    };
    let name = reference["name"].as_str().unwrap_or_default();
    let language = reference["language"]["code"].as_str().unwrap_or_default();
    if name.contains("{{") || language.contains("{{") {
        return Ok(None);
    }
    let template = find_template(name, language, templates)?;
    let differences = find_differences(reference, template);
    if differences.is_empty() {
        return Ok(Some(template));
    }
    Err(InvalidMessage {
        pointer: "/template/components".into(),
        reason: format!(
            "template `{name}` in `{language}` {}",
            differences.join("; ")
        ),
    })
}

fn find_template<'t>(
    name: &str,
    language: &str,
    templates: &'t [Template],
) -> Result<&'t Template, InvalidMessage> {
    let invalid = |pointer: &str, reason: String| InvalidMessage {
        pointer: pointer.into(),
        reason,
    };
    let candidates: Vec<&Template> = templates
        .iter()
        .filter(|template| template.name == name)
        .collect();
    if candidates.is_empty() {
        let approved = list_approved_names(templates);
        return Err(invalid(
            "/template/name",
            format!("the account has no template `{name}`; approved ones are: {approved}"),
        ));
    }
    let Some(template) = candidates
        .iter()
        .find(|template| template.language == language)
    else {
        let languages: Vec<&str> = candidates
            .iter()
            .map(|template| template.language.as_str())
            .collect();
        return Err(invalid(
            "/template/language/code",
            format!(
                "template `{name}` does not exist in `{language}`, only in: {}",
                languages.join(", ")
            ),
        ));
    };
    if template.status != "APPROVED" {
        return Err(invalid(
            "/template/name",
            format!(
                "template `{name}` in `{language}` is {}; only approved ones can be sent",
                template.status
            ),
        ));
    }
    if template.needs_marketing_api() {
        return Err(invalid(
            "/template/name",
            format!(
                "template `{name}` in `{language}` has a GIF header, which only Meta's Marketing Messages API can send; use a template with an image or a video"
            ),
        ));
    }
    Ok(template)
}

fn list_approved_names(templates: &[Template]) -> String {
    let names: BTreeSet<&str> = templates
        .iter()
        .filter(|template| template.status == "APPROVED")
        .map(|template| template.name.as_str())
        .collect();
    let has_more = names.len() > MAX_LISTED_NAMES;
    let listed: Vec<&str> = names.into_iter().take(MAX_LISTED_NAMES).collect();
    let more = if has_more {
        ", … (GET /v1/templates lists all)"
    } else {
        ""
    };
    format!("{}{more}", listed.join(", "))
}

/// Everything in which the message differs from what the template needs.
fn find_differences(reference: &Value, template: &Template) -> Vec<String> {
    let body = component_parameters(reference, "body");
    let header = component_parameters(reference, "header");
    let mut differences = Vec::new();
    differences.extend(compare_parameters("body", &template.body, &body));
    differences.extend(compare_header(&template.header, &header));
    differences.extend(missing_buttons(template, reference));
    differences
}

fn components_of_type<'v>(
    reference: &'v Value,
    component_type: &str,
) -> impl Iterator<Item = &'v Value> {
    let components = reference["components"].as_array().into_iter().flatten();
    components.filter(move |component| {
        component["type"]
            .as_str()
            .is_some_and(|given| given.eq_ignore_ascii_case(component_type))
    })
}

fn component_parameters<'v>(reference: &'v Value, component_type: &str) -> Vec<&'v Value> {
    components_of_type(reference, component_type)
        .flat_map(|component| component["parameters"].as_array().into_iter().flatten())
        .collect()
}

fn compare_header(expected: &Header, given: &[&Value]) -> Option<String> {
    match expected {
        Header::None => compare_parameters("header", &Parameters::Positional(0), given),
        Header::Text(parameters) => compare_parameters("header", parameters, given),
        Header::Media(kind) => match given {
            [parameter] if parameter["type"] == kind.as_str() => None,
            _ => Some(format!("needs one header parameter of type {kind}")),
        },
    }
}

fn compare_parameters(part: &str, expected: &Parameters, given: &[&Value]) -> Option<String> {
    let given_count = given.len();
    match expected {
        Parameters::Positional(count) => {
            let is_positional = given
                .iter()
                .all(|parameter| parameter.get("parameter_name").is_none());
            match count {
                _ if given_count == *count && is_positional => None,
                0 => Some(format!("has no {part} parameters, {given_count} are given")),
                _ => Some(format!(
                    "needs {count} {part} parameters in order, {given_count} are given"
                )),
            }
        }
        Parameters::Named(names) => {
            let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
            let given_names: BTreeSet<&str> = given
                .iter()
                .filter_map(|parameter| parameter["parameter_name"].as_str())
                .collect();
            let list = |names: BTreeSet<&str>| Vec::from_iter(names).join(", ");
            (names != given_names).then(|| {
                format!(
                    "needs {part} parameters with the names {}, given are: {}",
                    list(names),
                    list(given_names)
                )
            })
        }
    }
}

fn missing_buttons(template: &Template, reference: &Value) -> Vec<String> {
    let given: Vec<(u64, String)> = components_of_type(reference, "button")
        .filter_map(|button| {
            // Meta accepts an index as a string and as a number.
            let index = &button["index"];
            let index = index.as_u64().or_else(|| index.as_str()?.parse().ok())?;
            Some((index, button["sub_type"].as_str()?.to_lowercase()))
        })
        .collect();
    let is_given = |index: usize, sub_type: &str| {
        given
            .iter()
            .any(|(given_index, given_type)| *given_index == index as u64 && given_type == sub_type)
    };
    template
        .buttons
        .iter()
        .filter(|button| !is_given(button.index, &button.sub_type))
        .map(|button| {
            format!(
                "needs a parameter for button {} ({})",
                button.index, button.sub_type
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn account() -> Vec<Template> {
        let list = json!([
            {"name": "order", "language": "en", "status": "APPROVED", "category": "UTILITY", "components": [
                {"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Hi {{1}}, you owe {{2}}. Thanks, {{1}}!"},
                {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Stop"}, {"type": "URL", "url": "https://x/{{1}}"}]}]},
            {"name": "promo", "language": "pt_BR", "status": "APPROVED", "category": "MARKETING", "parameter_format": "NAMED",
             "components": [{"type": "BODY", "text": "Oi {{nome}}, {{oferta}}"}, {"type": "HEADER", "format": "TEXT", "text": "Só hoje"}]},
            {"name": "promo", "language": "es", "status": "PAUSED", "category": "MARKETING", "components": [{"type": "BODY", "text": "Hola"}]},
            {"name": "zoo", "language": "en", "status": "APPROVED", "category": "MARKETING",
             "components": [{"type": "HEADER", "format": "GIF"}, {"type": "BODY", "text": "Hi"}]},
        ]);
        list.as_array()
            .expect("list")
            .iter()
            .filter_map(Template::parse)
            .collect()
    }

    fn message(name: &str, language: &str, components: Value) -> Value {
        json!({"type": "template", "template": {"name": name, "language": {"code": language}, "components": components}})
    }

    #[test]
    fn finds_the_template_of_a_message_that_fits() {
        let text = |text: &str| json!({"type": "text", "text": text});
        let fits = message(
            "order",
            "en",
            json!([
            {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://x"}}]},
            {"type": "body", "parameters": [text("{{a}}"), text("{{b}}")]},
            {"type": "button", "sub_type": "url", "index": "1", "parameters": [text("{{c}}")]}]),
        );
        assert_eq!(
            match_template(&fits, &account())
                .expect("fits")
                .map(|template| template.category.clone()),
            Some("UTILITY".into())
        );
        let named = |name: &str| json!({"type": "text", "text": "x", "parameter_name": name});
        let fits = message(
            "promo",
            "pt_BR",
            json!([{"type": "body", "parameters": [named("oferta"), named("nome")]}]),
        );
        assert!(match_template(&fits, &account()).expect("fits").is_some());
    }

    #[test]
    fn finds_no_template_for_other_messages_and_names_from_the_row() {
        let text = json!({"type": "text", "text": {"body": "x"}});
        assert_eq!(match_template(&text, &account()), Ok(None));
        let name_from_row = message("order_{{plan}}", "en", json!([]));
        assert_eq!(match_template(&name_from_row, &account()), Ok(None));
    }

    #[test]
    fn error_names_each_difference() {
        let one = json!([{"type": "body", "parameters": [{"type": "text", "text": "x"}]}]);
        let cases = [
            (
                message("ordr", "en", json!([])),
                "/template/name",
                "approved ones are: order, promo",
            ),
            (
                message("order", "de", json!([])),
                "/template/language/code",
                "only in: en",
            ),
            (
                message("promo", "es", json!([])),
                "/template/name",
                "is PAUSED",
            ),
            (
                message("zoo", "en", json!([])),
                "/template/name",
                "only Meta's Marketing Messages API can send",
            ),
            (
                message("order", "en", one.clone()),
                "/template/components",
                "needs 2 body parameters in order, 1 are given",
            ),
            (
                message("order", "en", one.clone()),
                "/template/components",
                "one header parameter of type image",
            ),
            (
                message("order", "en", one.clone()),
                "/template/components",
                "button 1 (url)",
            ),
            (
                message("promo", "pt_BR", one),
                "/template/components",
                "the names nome, oferta",
            ),
        ];
        for (message, pointer, text) in cases {
            let error = match_template(&message, &account()).expect_err(text);
            assert_eq!(error.pointer, pointer);
            assert!(error.reason.contains(text), "{}", error.reason);
        }
    }
}
