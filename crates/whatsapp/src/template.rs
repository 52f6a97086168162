//! An account's templates (Meta, "Message templates": the list's `components`).

use std::collections::BTreeSet;

use campaign::lifecycle::campaign::TemplateFacts;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::template_preview::{TemplatePreview, find_component};

/// A template, as far as sending needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The template's name.
    pub name: String,
    /// The language code, such as `en` or `pt_BR`.
    pub language: String,
    /// The status. Only `APPROVED` templates can be sent.
    pub status: String,
    /// `MARKETING`, `UTILITY` or `AUTHENTICATION`.
    pub category: String,
    /// The parameters of the header.
    pub header: Header,
    /// The parameters of the body.
    pub body: Parameters,
    /// The buttons that need a parameter.
    pub buttons: Vec<Button>,
    /// Characters of the body without its placeholders.
    pub body_chars: usize,
    /// Characters of the header without its placeholders.
    pub header_chars: usize,
    /// Its texts; none in what an earlier version cached.
    #[serde(default)]
    pub preview: Option<TemplatePreview>,
    /// Meta's rating: `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    #[serde(default)]
    pub quality: Option<String>,
}

/// The parameters that a header needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Header {
    /// No parameter.
    None,
    /// Text parameters, one at most.
    Text(Parameters),
    /// One parameter of type `image`, `video`, `document` or `location`. A `gif` is sent by the Marketing Messages API
    /// only (Meta, "Template components": media header).
    Media(String),
}

/// Text parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameters {
    /// This many, in order.
    Positional(usize),
    /// Each with its `parameter_name`.
    Named(BTreeSet<String>),
}

/// A button that needs a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// Position among the template's buttons, from 0.
    pub index: usize,
    /// `url` or `copy_code`.
    pub sub_type: String,
}

impl Template {
    /// Parses an item of the list. `None` if it has no name or language.
    pub fn parse(item: &Value) -> Option<Self> {
        let text = |key: &str| item[key].as_str().map(str::to_owned);
        let is_named = item["parameter_format"] == "NAMED";
        let body = find_component(item, "BODY")
            .and_then(|body| body["text"].as_str())
            .unwrap_or_default();
        let (header, header_text) = find_component(item, "HEADER")
            .map_or((Header::None, ""), |header| parse_header(header, is_named));
        let buttons = find_component(item, "BUTTONS")
            .and_then(|buttons| buttons["buttons"].as_array())
            .map(Vec::as_slice)
            .unwrap_or_default();
        Some(Self {
            name: text("name")?,
            language: text("language")?,
            status: text("status").unwrap_or_default(),
            category: text("category").unwrap_or_default(),
            header,
            body: parse_parameters(body, is_named),
            buttons: buttons
                .iter()
                .enumerate()
                .filter_map(|(index, button)| parse_button(index, button))
                .collect(),
            body_chars: fixed_chars(body),
            header_chars: fixed_chars(header_text),
            preview: Some(TemplatePreview::parse(item)),
            quality: item["quality_score"]["score"].as_str().map(str::to_owned),
        })
    }

    /// Whether only the Marketing Messages API can send it.
    pub fn needs_marketing_api(&self) -> bool {
        matches!(&self.header, Header::Media(format) if format.eq_ignore_ascii_case(GIF))
    }

    /// What limits and warnings need to know of the template.
    pub fn facts(&self) -> TemplateFacts {
        TemplateFacts {
            category: self.category.clone(),
            body_chars: self.body_chars,
            header_chars: self.header_chars,
        }
    }
}

/// The format of a header that the Cloud API does not send.
const GIF: &str = "GIF";

/// The parameters of a header, and its text.
fn parse_header(header: &Value, is_named: bool) -> (Header, &str) {
    let text = header["text"].as_str().unwrap_or_default();
    match header["format"].as_str().unwrap_or_default() {
        format @ ("IMAGE" | "VIDEO" | "DOCUMENT" | "LOCATION" | GIF) => {
            (Header::Media(format.to_lowercase()), "")
        }
        _ => match parse_parameters(text, is_named) {
            Parameters::Positional(0) => (Header::None, text),
            parameters => (Header::Text(parameters), text),
        },
    }
}

/// A url button needs a parameter if its url has a placeholder. A code button always needs one.
fn parse_button(index: usize, button: &Value) -> Option<Button> {
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

fn parse_parameters(text: &str, is_named: bool) -> Parameters {
    let names: BTreeSet<String> = placeholders(text)
        .map(|placeholder| placeholder.trim().to_owned())
        .collect();
    if is_named && !names.is_empty() {
        Parameters::Named(names)
    } else {
        Parameters::Positional(names.len())
    }
}

fn fixed_chars(text: &str) -> usize {
    let all = text.chars().count();
    let in_placeholders: usize = placeholders(text)
        .map(|placeholder| "{{}}".len() + placeholder.chars().count())
        .sum();
    all - in_placeholders
}

/// The content of each `{{…}}`.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    let segments = text.split("{{").skip(1);
    segments.filter_map(|segment| Some(segment.split_once("}}")?.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parse_finds_parameters_of_header_body_and_buttons() {
        let order = json!({"name": "order", "language": "en", "status": "APPROVED", "category": "UTILITY", "components": [
            {"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Hi {{1}}, you owe {{2}}. Thanks, {{1}}!"},
            {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Stop"}, {"type": "URL", "url": "https://x/{{1}}"}]}]});
        let order = Template::parse(&order).expect("a template");
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
    }

    #[test]
    fn parse_finds_named_parameters() {
        let promo = json!({"name": "promo", "language": "pt_BR", "status": "APPROVED", "category": "MARKETING", "parameter_format": "NAMED",
            "components": [{"type": "BODY", "text": "Oi {{nome}}, {{oferta}}"}, {"type": "HEADER", "format": "TEXT", "text": "Só hoje"}]});
        let promo = Template::parse(&promo).expect("a template");
        assert_eq!(
            promo.body,
            Parameters::Named(["nome".to_owned(), "oferta".to_owned()].into())
        );
        assert_eq!((promo.header, promo.header_chars), (Header::None, 7));
    }
}
