//! What a template looks like: its texts, with the placeholders in them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The texts of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplatePreview {
    /// The header, if it has one.
    pub header: Option<PreviewHeader>,
    /// The body.
    pub body: String,
    /// The footer.
    pub footer: Option<String>,
    /// The buttons, in their order.
    pub buttons: Vec<PreviewButton>,
}

/// The header of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewHeader {
    /// `TEXT`, `IMAGE`, `VIDEO`, `DOCUMENT`, `LOCATION` or `GIF`.
    pub format: String,
    /// Its text.
    pub text: Option<String>,
}

/// A button of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewButton {
    /// Meta's type, such as `QUICK_REPLY` or `URL`.
    pub kind: String,
    /// What it says.
    pub text: String,
}

impl TemplatePreview {
    /// The texts of an item of Meta's list.
    pub fn parse(item: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let component = |kind: &str| find_component(item, kind);
        let buttons = component("BUTTONS").and_then(|buttons| buttons["buttons"].as_array());
        let button = |button: &Value| PreviewButton {
            kind: text(&button["type"]).unwrap_or_default(),
            text: text(&button["text"]).unwrap_or_default(),
        };
        Self {
            header: component("HEADER").map(|header| PreviewHeader {
                format: text(&header["format"]).unwrap_or_else(|| "TEXT".into()),
                text: text(&header["text"]),
            }),
            body: component("BODY")
                .and_then(|body| text(&body["text"]))
                .unwrap_or_default(),
            footer: component("FOOTER").and_then(|footer| text(&footer["text"])),
            buttons: buttons.into_iter().flatten().map(button).collect(),
        }
    }
}

/// The component of that type of an item of Meta's list.
pub(crate) fn find_component<'v>(item: &'v Value, component_type: &str) -> Option<&'v Value> {
    let mut components = item["components"].as_array().into_iter().flatten();
    components.find(|component| component["type"] == component_type)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parse_keeps_every_text() {
        let item = json!({"components": [
            {"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Hi {{1}}"}, {"type": "FOOTER", "text": "Bye"},
            {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Stop"}]}]});
        let preview = TemplatePreview::parse(&item);
        assert_eq!(
            preview.header.map(|header| (header.format, header.text)),
            Some(("IMAGE".into(), None))
        );
        assert_eq!(
            (preview.body.as_str(), preview.footer.as_deref()),
            ("Hi {{1}}", Some("Bye"))
        );
        assert_eq!(preview.buttons[0].text, "Stop");
        assert_eq!(
            TemplatePreview::parse(&json!({})),
            TemplatePreview::default()
        );
    }
}
