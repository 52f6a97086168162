//! An account's templates, and whether a message fits one (Meta, "Message templates": the list's `components`).

use std::collections::BTreeSet;

use campaign::lifecycle::campaign::TemplateFacts;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::InvalidMessage;

/// A template, as far as sending needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// Such as `en` or `pt_BR`.
    pub language: String,
    /// Only `APPROVED` can be sent.
    pub status: String,
    /// `MARKETING`, `UTILITY` or `AUTHENTICATION`.
    pub category: String,
    /// What its header wants.
    pub header: Header,
    /// What its body wants.
    pub body: Parameters,
    /// Its buttons that want a parameter.
    pub buttons: Vec<Button>,
    /// Characters of its body and header apart from parameters.
    pub body_chars: usize,
    /// Those of its header.
    pub header_chars: usize,
}

/// What a header wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Header {
    /// Nothing.
    None,
    /// Text parameters, one at most.
    Text(Parameters),
    /// `image`, `video`, `document` or `location`.
    Media(String),
}

/// Text parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameters {
    /// That many, in order.
    Positional(usize),
    /// Each with its `parameter_name`.
    Named(BTreeSet<String>),
}

/// A button that wants a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// Its place, from 0.
    pub index: usize,
    /// `url` or `copy_code`.
    pub sub_type: String,
}

impl Template {
    /// Reads an item of the list; `None` where it is none.
    pub fn parse(item: &Value) -> Option<Self> {
        let text = |key: &str| item[key].as_str().map(str::to_owned);
        let named = item["parameter_format"] == "NAMED";
        let components: Vec<&Value> = item["components"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();
        let of = |kind: &str| {
            components
                .iter()
                .copied()
                .find(|component| component["type"] == kind)
        };
        let body = of("BODY")
            .and_then(|body| body["text"].as_str())
            .unwrap_or_default();
        let (header, header_text) =
            of("HEADER").map_or((Header::None, ""), |header| parse_header(header, named));
        let buttons = of("BUTTONS").and_then(|buttons| buttons["buttons"].as_array());
        Some(Self {
            name: text("name")?,
            language: text("language")?,
            status: text("status").unwrap_or_default(),
            category: text("category").unwrap_or_default(),
            header,
            body: parameters(body, named),
            buttons: buttons
                .into_iter()
                .flatten()
                .enumerate()
                .filter_map(parse_button)
                .collect(),
            body_chars: fixed_chars(body),
            header_chars: fixed_chars(header_text),
        })
    }

    /// What limits and warnings need of it.
    pub fn facts(&self) -> TemplateFacts {
        TemplateFacts {
            category: self.category.clone(),
            body_chars: self.body_chars,
            header_chars: self.header_chars,
        }
    }
}

fn parse_header(header: &Value, named: bool) -> (Header, &str) {
    let text = header["text"].as_str().unwrap_or_default();
    match header["format"].as_str().unwrap_or_default() {
        "IMAGE" | "VIDEO" | "DOCUMENT" | "LOCATION" => {
            let kind = header["format"].as_str().unwrap_or_default().to_lowercase();
            (Header::Media(kind), "")
        }
        _ => match parameters(text, named) {
            Parameters::Positional(0) => (Header::None, text),
            wanted => (Header::Text(wanted), text),
        },
    }
}

/// A url button wants a parameter if its url has a place, a code button always.
fn parse_button((index, button): (usize, &Value)) -> Option<Button> {
    let sub_type = match button["type"].as_str()? {
        "URL" if button["url"].as_str().is_some_and(|url| url.contains("{{")) => "url",
        "COPY_CODE" => "copy_code",
        "OTP" => "url",
        _ => return None,
    };
    Some(Button {
        index,
        sub_type: sub_type.into(),
    })
}

/// The places of a template's text.
fn placeholders(text: &str) -> BTreeSet<String> {
    let pieces = text.split("{{").skip(1);
    pieces
        .filter_map(|piece| Some(piece.split_once("}}")?.0.trim().to_owned()))
        .collect()
}

fn parameters(text: &str, named: bool) -> Parameters {
    let places = placeholders(text);
    if named && !places.is_empty() {
        Parameters::Named(places)
    } else {
        Parameters::Positional(places.len())
    }
}

fn fixed_chars(text: &str) -> usize {
    let all = text.chars().count();
    let places: usize = text
        .split("{{")
        .skip(1)
        .filter_map(|piece| Some(piece.split_once("}}")?.0.chars().count() + 4))
        .sum();
    all - places
}

/// Holds a message against the account's templates: what it is if it fits, else everything that is missing. `None` where
/// the message is no template, or which one depends on the row.
pub fn match_template<'t>(
    message: &Value,
    templates: &'t [Template],
) -> Result<Option<&'t Template>, InvalidMessage> {
    let Some(wanted) = message.get("template") else {
        return Ok(None);
    };
    let name = wanted["name"].as_str().unwrap_or_default();
    let language = wanted
        .pointer("/language/code")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if name.contains("{{") || language.contains("{{") {
        return Ok(None);
    }
    let template = find(name, language, templates)?;
    let missing = missing(wanted, template);
    if missing.is_empty() {
        return Ok(Some(template));
    }
    Err(InvalidMessage {
        pointer: "/template/components".into(),
        reason: format!("template `{name}` in `{language}` {}", missing.join("; ")),
    })
}

fn find<'t>(
    name: &str,
    language: &str,
    templates: &'t [Template],
) -> Result<&'t Template, InvalidMessage> {
    let problem = |pointer: &str, problem: String| {
        Err(InvalidMessage {
            pointer: pointer.into(),
            reason: problem,
        })
    };
    let named: Vec<&Template> = templates
        .iter()
        .filter(|template| template.name == name)
        .collect();
    if named.is_empty() {
        let mut names: Vec<&str> = templates
            .iter()
            .filter(|t| t.status == "APPROVED")
            .map(|t| t.name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        let some = names
            .iter()
            .take(10)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        let more = if names.len() > 10 {
            ", … (GET /v1/templates lists all)"
        } else {
            ""
        };
        return problem(
            "/template/name",
            format!("the account has no template `{name}`; approved ones are: {some}{more}"),
        );
    }
    let Some(template) = named.iter().find(|template| template.language == language) else {
        let languages: Vec<&str> = named
            .iter()
            .map(|template| template.language.as_str())
            .collect();
        return problem(
            "/template/language/code",
            format!(
                "template `{name}` is not there in `{language}`, only in: {}",
                languages.join(", ")
            ),
        );
    };
    if template.status != "APPROVED" {
        return problem(
            "/template/name",
            format!(
                "template `{name}` in `{language}` is {}; only approved ones can be sent",
                template.status
            ),
        );
    }
    Ok(template)
}

/// Everything in which the message differs from what the template wants.
fn missing(wanted: &Value, template: &Template) -> Vec<String> {
    let components: Vec<&Value> = wanted["components"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let given = |kind: &str| -> Vec<&Value> {
        let of_kind = components.iter().filter(|c| {
            c["type"]
                .as_str()
                .is_some_and(|t| t.eq_ignore_ascii_case(kind))
        });
        of_kind
            .flat_map(|component| component["parameters"].as_array().into_iter().flatten())
            .collect()
    };
    let mut missing = Vec::new();
    missing.extend(differs("body", &template.body, &given("body")));
    match &template.header {
        Header::None => missing.extend(differs(
            "header",
            &Parameters::Positional(0),
            &given("header"),
        )),
        Header::Text(parameters) => missing.extend(differs("header", parameters, &given("header"))),
        Header::Media(kind) => match given("header").as_slice() {
            [parameter] if parameter["type"] == kind.as_str() => {}
            _ => missing.push(format!("wants one header parameter of type {kind}")),
        },
    }
    missing.extend(buttons(template, &components));
    missing
}

fn differs(part: &str, wanted: &Parameters, given: &[&Value]) -> Option<String> {
    match wanted {
        Parameters::Positional(count)
            if given.len() == *count && given.iter().all(|p| p.get("parameter_name").is_none()) =>
        {
            None
        }
        Parameters::Positional(0) => Some(format!(
            "wants no {part} parameters, {} are given",
            given.len()
        )),
        Parameters::Positional(count) => Some(format!(
            "wants {count} {part} parameters in order, {} are given",
            given.len()
        )),
        Parameters::Named(names) => {
            let given: BTreeSet<String> = given
                .iter()
                .filter_map(|parameter| parameter["parameter_name"].as_str().map(str::to_owned))
                .collect();
            if &given == names {
                return None;
            }
            let list =
                |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
            Some(format!(
                "wants {part} parameters with the names {}, given are: {}",
                list(names),
                list(&given)
            ))
        }
    }
}

fn buttons(template: &Template, components: &[&Value]) -> Vec<String> {
    let given: Vec<(usize, String)> = components
        .iter()
        .filter(|component| {
            component["type"]
                .as_str()
                .is_some_and(|t| t.eq_ignore_ascii_case("button"))
        })
        .filter_map(|button| {
            // Meta takes both (cloud-api: write a string, read both).
            let index = button["index"]
                .as_u64()
                .or_else(|| button["index"].as_str()?.parse().ok())?;
            Some((index as usize, button["sub_type"].as_str()?.to_lowercase()))
        })
        .collect();
    let unmet = template
        .buttons
        .iter()
        .filter(|wanted| !given.contains(&(wanted.index, wanted.sub_type.clone())));
    unmet
        .map(|wanted| {
            format!(
                "wants a parameter for button {} ({})",
                wanted.index, wanted.sub_type
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
    fn a_template_is_read_for_what_it_wants() {
        let templates = account();
        let order = &templates[0];
        assert_eq!(order.header, Header::Media("image".into()));
        assert_eq!(order.body, Parameters::Positional(2));
        assert_eq!(
            order.buttons,
            [Button {
                index: 1,
                sub_type: "url".into()
            }]
        );
        assert_eq!(order.body_chars, "Hi , you owe . Thanks, !".len());
        assert_eq!(
            templates[1].body,
            Parameters::Named(["nome".to_owned(), "oferta".to_owned()].into())
        );
        assert_eq!(
            (templates[1].header.clone(), templates[1].header_chars),
            (Header::None, 7)
        );
    }

    #[test]
    fn a_message_that_fits_is_taken() {
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
                .map(|t| t.category.clone()),
            Some("UTILITY".into())
        );
        let named = |name: &str| json!({"type": "text", "text": "x", "parameter_name": name});
        let fits = message(
            "promo",
            "pt_BR",
            json!([{"type": "body", "parameters": [named("oferta"), named("nome")]}]),
        );
        assert!(match_template(&fits, &account()).expect("fits").is_some());
        assert_eq!(
            match_template(&json!({"type": "text", "text": {"body": "x"}}), &account()),
            Ok(None)
        );
        assert_eq!(
            match_template(&message("order_{{plan}}", "en", json!([])), &account()),
            Ok(None)
        );
    }

    #[test]
    fn what_is_missing_is_named() {
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
                message("order", "en", one.clone()),
                "/template/components",
                "wants 2 body parameters in order, 1 are given",
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
        for (message, pointer, words) in cases {
            let problem = match_template(&message, &account()).expect_err(words);
            assert_eq!(problem.pointer, pointer);
            assert!(problem.reason.contains(words), "{}", problem.reason);
        }
    }
}
