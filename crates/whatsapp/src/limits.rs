//! The limits of each string of a message (Meta, "Message templates", "Text messages", "Image messages", "Interactive reply
//! buttons messages", "Interactive list messages"; error 132018 for white space in a parameter).

use campaign::import::value::{Limit, SharedLimit};
use campaign::lifecycle::campaign::TemplateFacts;
use campaign::message::Message;
use serde_json::Value;

/// Characters of a text body.
pub(crate) const MAX_TEXT_CHARS: usize = 4096;
/// Characters of a caption.
pub(crate) const MAX_CAPTION_CHARS: usize = 1024;
/// Characters of the body of an interactive message, except for lists.
const MAX_INTERACTIVE_BODY_CHARS: usize = 1024;
/// Characters of the body of a list.
const MAX_LIST_BODY_CHARS: usize = 4096;
/// Characters of the header or the footer of an interactive message.
const MAX_INTERACTIVE_EDGE_CHARS: usize = 60;
const MAX_TEMPLATE_BODY_CHARS: usize = 1024;
const MAX_TEMPLATE_HEADER_CHARS: usize = 60;
const MAX_COUPON_CHARS: usize = 15;
/// Characters of a URL. Applies to every string without a limit of its own.
const MAX_OTHER_CHARS: usize = 2000;

/// The limits of every string of `message` that contains placeholders. `template` is what is known of its template.
pub fn value_limits(message: &Message, template: Option<&TemplateFacts>) -> Vec<Limit> {
    let texts = message.placeholder_texts();
    texts
        .iter()
        .map(|(pointer, _)| Limit {
            shared: shared_limit(message.body(), pointer, template),
            ..own_limit(message.body(), pointer)
        })
        .collect()
}

fn own_limit(body: &Value, pointer: &str) -> Limit {
    let (max_chars, single_line, may_be_empty) = match component_type(body, pointer) {
        Some("header") if is_text(pointer) => (MAX_TEMPLATE_HEADER_CHARS, true, false),
        Some("body") if is_text(pointer) => (MAX_TEMPLATE_BODY_CHARS, true, false),
        Some(_) if pointer.ends_with("/coupon_code") => (MAX_COUPON_CHARS, true, false),
        _ if pointer == "/text/body" => (MAX_TEXT_CHARS, false, false),
        _ if pointer == "/interactive/body/text" => (max_interactive_body(body), false, false),
        _ if pointer == "/interactive/header/text" || pointer == "/interactive/footer/text" => {
            (MAX_INTERACTIVE_EDGE_CHARS, true, false)
        }
        _ if pointer.ends_with("/caption") => (MAX_CAPTION_CHARS, false, true),
        _ => (MAX_OTHER_CHARS, true, false),
    };
    Limit {
        pointer: pointer.to_owned(),
        max_chars,
        single_line,
        may_be_empty,
        shared: None,
    }
}

/// Characters of the body of this interactive message.
pub(crate) fn max_interactive_body(message: &Value) -> usize {
    match message.pointer("/interactive/type").and_then(Value::as_str) {
        Some("list") => MAX_LIST_BODY_CHARS,
        _ => MAX_INTERACTIVE_BODY_CHARS,
    }
}

/// The parameters of a template's header or body share one limit with its fixed text, once that is known.
fn shared_limit(
    body: &Value,
    pointer: &str,
    template: Option<&TemplateFacts>,
) -> Option<SharedLimit> {
    let template = template?;
    let (group, template_chars, max_chars) = match component_type(body, pointer)? {
        "header" => ("header", template.header_chars, MAX_TEMPLATE_HEADER_CHARS),
        "body" => ("body", template.body_chars, MAX_TEMPLATE_BODY_CHARS),
        _ => return None,
    };
    is_text(pointer).then(|| SharedLimit {
        group,
        fixed_chars: template_chars + constant_chars(body, pointer),
        max_chars,
    })
}

/// Characters of the component's parameters that are the same for every row.
fn constant_chars(body: &Value, pointer: &str) -> usize {
    let parameters = pointer.split('/').take(5).collect::<Vec<_>>().join("/");
    let parameters = body.pointer(&parameters).and_then(Value::as_array);
    let texts = parameters
        .into_iter()
        .flatten()
        .filter_map(|parameter| parameter["text"].as_str());
    texts
        .filter(|text| !text.contains("{{"))
        .map(|text| text.chars().count())
        .sum()
}

/// The type of the template component that a string is in.
fn component_type<'b>(body: &'b Value, pointer: &str) -> Option<&'b str> {
    let mut segments = pointer.strip_prefix("/template/components/")?.split('/');
    let index = segments.next()?;
    body.pointer(&format!("/template/components/{index}/type"))?
        .as_str()
}

fn is_text(pointer: &str) -> bool {
    pointer.ends_with("/text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use campaign::import::value::{OnBadValue, ValueProblem, ValueValidator};
    use serde_json::json;

    fn check(
        body: Value,
        template: Option<TemplateFacts>,
        value: &str,
    ) -> Result<String, ValueProblem> {
        let message = Message::new(body).expect("message");
        let mut checker = ValueValidator::new(
            &message,
            &value_limits(&message, template.as_ref()),
            OnBadValue::Clean,
        );
        let mut values = vec![value.to_owned()];
        checker
            .validate(&mut values)
            .map_err(|(_, problem)| problem)?;
        Ok(values.remove(0))
    }

    fn template(kind: &str, parameter: Value) -> Value {
        json!({"type": "template", "template": {"name": "x", "language": {"code": "en"}, "components": [
            {"type": kind, "sub_type": "url", "index": "0", "parameters": [parameter, {"type": "text", "text": "constant"}]}]}})
    }

    #[test]
    fn each_string_has_its_own_limit() {
        let text = json!({"type": "text", "text": {"body": "{{a}}"}});
        assert_eq!(check(text.clone(), None, "a\nb").as_deref(), Ok("a\nb"));
        assert_eq!(check(text.clone(), None, " "), Err(ValueProblem::Empty));
        assert_eq!(
            check(text, None, &"x".repeat(4097)),
            Err(ValueProblem::TooLong(4096))
        );
        let caption = json!({"type": "image", "image": {"link": "https://x", "caption": "{{a}}"}});
        assert_eq!(check(caption, None, "").as_deref(), Ok(""));
        let interactive = |kind| json!({"type": "interactive", "interactive": {"type": kind, "body": {"text": "{{a}}"}}});
        let (fits, too_long) = ("x".repeat(1024), "x".repeat(1025));
        assert_eq!(check(interactive("button"), None, &fits), Ok(fits));
        assert_eq!(
            check(interactive("button"), None, &too_long),
            Err(ValueProblem::TooLong(1024))
        );
        assert_eq!(check(interactive("list"), None, &too_long), Ok(too_long));
        let footer = json!({"type": "interactive", "interactive": {"footer": {"text": "{{a}}"}}});
        assert_eq!(
            check(footer, None, &"x".repeat(61)),
            Err(ValueProblem::TooLong(60))
        );
        let parameter = json!({"type": "text", "text": "{{a}}"});
        let body = template("body", parameter.clone());
        assert_eq!(check(body.clone(), None, "a\nb").as_deref(), Ok("a b"));
        assert_eq!(
            check(body.clone(), None, &"x".repeat(1024)).map(|kept| kept.len()),
            Ok(1024)
        );
        let facts = TemplateFacts {
            body_chars: 100,
            header_chars: 50,
            ..TemplateFacts::default()
        };
        // 100 of the template, 8 of the other parameter.
        assert_eq!(
            check(body.clone(), Some(facts.clone()), &"x".repeat(916)).map(|kept| kept.len()),
            Ok(916)
        );
        assert_eq!(
            check(body, Some(facts.clone()), &"x".repeat(917)),
            Err(ValueProblem::TooLong(1024))
        );
        assert_eq!(
            check(template("header", parameter), Some(facts), "abc"),
            Err(ValueProblem::TooLong(60))
        );
        let coupon = template(
            "button",
            json!({"type": "coupon_code", "coupon_code": "{{a}}"}),
        );
        assert_eq!(
            check(coupon, None, "SAVE-20-PERCENT!"),
            Err(ValueProblem::TooLong(15))
        );
    }
}
