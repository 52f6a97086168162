//! What WhatsApp takes in each string of a message that depends on the row (Meta, "Message templates", "Text messages";
//! error 132018 for white space in a parameter).

use campaign::import::value::{Limit, SharedLimit};
use campaign::lifecycle::campaign::TemplateFacts;
use campaign::message::Message;
use serde_json::Value;

/// Characters of a text body, of a caption, of a template's body and header, of a coupon code.
const BODY: usize = 4096;
const CAPTION: usize = 1024;
const TEMPLATE_BODY: usize = 1024;
const TEMPLATE_HEADER: usize = 60;
const COUPON: usize = 15;

/// The longest URL, and the most of any other string.
const OTHER: usize = 2000;

/// The limits of every string of `message` with places in it; `template` as far as it is known.
pub fn value_limits(message: &Message, template: Option<&TemplateFacts>) -> Vec<Limit> {
    let places = message.placeholder_texts();
    places
        .iter()
        .map(|(pointer, _)| {
            let limit = limit(message.body(), pointer);
            Limit {
                shared: shared(message.body(), pointer, template),
                ..limit
            }
        })
        .collect()
}

fn limit(body: &Value, pointer: &str) -> Limit {
    let (max_chars, one_line, may_be_empty) = match component(body, pointer) {
        Some("header") if is_text(pointer) => (TEMPLATE_HEADER, true, false),
        Some("body") if is_text(pointer) => (TEMPLATE_BODY, true, false),
        Some(_) if pointer.ends_with("/coupon_code") => (COUPON, true, false),
        _ if pointer == "/text/body" || pointer == "/interactive/body/text" => (BODY, false, false),
        _ if pointer.ends_with("/caption") => (CAPTION, false, true),
        _ => (OTHER, true, false),
    };
    Limit {
        pointer: pointer.to_owned(),
        max_chars,
        single_line: one_line,
        may_be_empty,
        shared: None,
    }
}

/// The parameters of a template's header or body count together with its own text, once that is known.
fn shared(body: &Value, pointer: &str, template: Option<&TemplateFacts>) -> Option<SharedLimit> {
    let template = template?;
    let (group, own, max_chars) = match component(body, pointer)? {
        "header" => ("header", template.header_chars, TEMPLATE_HEADER),
        "body" => ("body", template.body_chars, TEMPLATE_BODY),
        _ => return None,
    };
    is_text(pointer).then(|| SharedLimit {
        group,
        fixed_chars: own + constant_chars(body, pointer),
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
fn component<'b>(body: &'b Value, pointer: &str) -> Option<&'b str> {
    let mut steps = pointer.strip_prefix("/template/components/")?.split('/');
    let index = steps.next()?;
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
    fn each_place_has_its_own_limit() {
        let text = json!({"type": "text", "text": {"body": "{{a}}"}});
        assert_eq!(check(text.clone(), None, "a\nb").as_deref(), Ok("a\nb"));
        assert_eq!(check(text.clone(), None, " "), Err(ValueProblem::Empty));
        assert_eq!(
            check(text, None, &"x".repeat(4097)),
            Err(ValueProblem::TooLong(4096))
        );
        let caption = json!({"type": "image", "image": {"link": "https://x", "caption": "{{a}}"}});
        assert_eq!(check(caption, None, "").as_deref(), Ok(""));
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
