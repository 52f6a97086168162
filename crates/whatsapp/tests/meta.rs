//! Crier's requests against Meta's own OpenAPI description.

use campaign::id::CorrelationId;
use campaign::import::phone;
use campaign::message::Message;
use serde_json::{Value, json};

/// Meta's schema of a message, without its known errors: `language.policy` is marked as required though Meta's own
/// examples leave it out, the pattern of `index` refuses "0", and each half of an `allOf` forbids the other's fields.
fn schema(kind: &str) -> Value {
    let mut schema: Value =
        serde_json::from_str(include_str!("meta-openapi/message.json")).expect("json");
    let schemas = &mut schema["components"]["schemas"];
    schemas["LanguageObject"]["required"] = json!(["code"]);
    schemas["TemplateComponent"]["properties"]["index"] = json!({"type": "string"});
    for part in schemas
        .as_object_mut()
        .into_iter()
        .flat_map(|all| all.values_mut())
    {
        for half in part
            .get_mut("allOf")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            half.as_object_mut()
                .expect("schema")
                .remove("additionalProperties");
        }
    }
    let name = format!("{}{}Message", kind[..1].to_uppercase(), &kind[1..]);
    schema["$ref"] = json!(format!("#/components/schemas/{name}"));
    schema
}

/// Messages as operators write them.
fn messages() -> Vec<Value> {
    let template = |components: Value| json!({"type": "template", "template": {"name": "order", "language": {"code": "pt_BR"}, "components": components}});
    let parameters = |kind: &str, list: Value| json!([{"type": kind, "parameters": list}]);
    vec![
        json!({"type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"}}}),
        template(parameters(
            "body",
            json!([{"type": "text", "text": "{{name}}"}, {"type": "text", "text": "{{amount}} €"}]),
        )),
        template(parameters(
            "body",
            json!([{"type": "text", "parameter_name": "first", "text": "{{name}}"}]),
        )),
        template(parameters(
            "header",
            json!([{"type": "text", "text": "{{name}}"}]),
        )),
        template(parameters(
            "header",
            json!([{"type": "image", "image": {"link": "https://example.com/{{amount}}.png"}}]),
        )),
        template(parameters(
            "header",
            json!([{"type": "document", "document": {"id": "123", "filename": "{{name}}.pdf"}}]),
        )),
        template(
            json!([{"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "{{amount}}"}]}]),
        ),
        json!({"type": "text", "text": {"body": "Hello {{name}}", "preview_url": false}}),
        json!({"type": "image", "image": {"link": "https://example.com/a.png", "caption": "For {{name}}"}}),
        json!({"type": "video", "video": {"id": "123"}}),
        json!({"type": "document", "document": {"link": "https://example.com/a.pdf", "filename": "a.pdf"}}),
    ]
}

#[test]
fn requests_match_metas_description() {
    let to = phone::parse("+5511987654321", None).expect("phone");
    let correlation_id = CorrelationId {
        campaign: "c1".parse().expect("id"),
        row: 7,
        attempt: 1,
    };
    for body in messages() {
        whatsapp::message::validate(&body).unwrap_or_else(|error| panic!("{body}: {error}"));
        let message = Message::new(body).expect("a message");
        let values: Vec<String> = message
            .columns()
            .iter()
            .map(|column| format!("value of {column}"))
            .collect();
        let request = whatsapp::message::build_request(message.fill(&values), to, &correlation_id);
        let kind = request["type"].as_str().expect("type");
        let validator = jsonschema::validator_for(&schema(kind)).expect("schema");
        let errors: Vec<String> = validator
            .iter_errors(&request)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{request}\n{errors:?}");
        assert_eq!(request["to"], "+5511987654321");
        assert_eq!(request["biz_opaque_callback_data"], "c1:7:1");
        assert!(!request.to_string().contains("{{"), "{request}");
    }
}

#[test]
fn metas_description_rejects_invalid_request() {
    let validator = jsonschema::validator_for(&schema("text")).expect("schema");
    assert!(
        !validator.is_valid(&json!({"messaging_product": "whatsapp", "type": "text", "text": {}}))
    );
}

#[test]
fn validate_names_the_invalid_field() {
    let long = "x".repeat(4097);
    let cases = [
        (json!("hello"), ""),
        (json!({"text": {"body": "x"}}), "/type"),
        (json!({"type": "reaction", "reaction": {}}), "/type"),
        (json!({"type": "text", "text": {"body": " "}}), "/text/body"),
        (
            json!({"type": "text", "text": {"body": long}}),
            "/text/body",
        ),
        (
            json!({"type": "text", "to": "+1", "text": {"body": "x"}}),
            "/to",
        ),
        (
            json!({"type": "image", "image": {"id": "1", "link": "https://x"}}),
            "/image",
        ),
        (
            json!({"type": "template", "template": {"name": "a"}}),
            "/template/language",
        ),
        (
            json!({"type": "template", "template": {"name": "a", "language": {"code": "en"}, "components": [{"type": "boddy"}]}}),
            "/template/components/0/type",
        ),
        (
            json!({"type": "template", "template": {"name": "a", "language": {"code": "en"}, "components": [
            {"type": "body", "parameters": [{"type": "text"}]}]}}),
            "/template/components/0/parameters/0/text",
        ),
        (
            json!({"type": "template", "template": {"name": "a", "language": {"code": "en"}, "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "parameter_name": "b"}]}]}}),
            "/template/components/0/parameters",
        ),
        (
            json!({"type": "template", "template": {"name": "a", "language": {"code": "en"}, "components": [
            {"type": "button", "sub_type": "url", "parameters": []}]}}),
            "/template/components/0/index",
        ),
    ];
    for (message, pointer) in cases {
        let error = whatsapp::message::validate(&message).expect_err(pointer);
        assert_eq!(error.pointer, pointer, "{message}");
    }
}
