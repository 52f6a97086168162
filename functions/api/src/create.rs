//! A new campaign: what the operator sends, checked field by field.

use campaign::id::CampaignId;
use campaign::message::Message;
use campaign::outcome::Millis;
use campaign::phone;
use campaign::record::{Campaign, FileInfo, Options};
use cloud::files::MAX_UPLOAD;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::problem::Problem;

/// The most characters of a campaign's name.
const MAX_NAME: usize = 200;

/// What `POST /campaigns` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCampaign {
    /// What people call it, up to 200 characters.
    #[schema(required = true, example = "Order updates, November")]
    name: Option<String>,
    /// The Cloud API's message object without `to`; any string in it may hold `{{column}}`.
    #[schema(required = true, value_type = Object, example = json!({"type": "template", "template": {
        "name": "order_update", "language": {"code": "en"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "{{name}}"}]}]}}))]
    message: Option<Value>,
    /// The file that will be uploaded.
    #[schema(required = true)]
    file: Option<NewFile>,
    /// How the file is read.
    #[serde(default)]
    options: NewOptions,
}

/// The file that will be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFile {
    /// Its name; `.csv`.
    #[schema(required = true, example = "customers.csv")]
    name: Option<String>,
    /// Its exact size in bytes, at most 5 GiB.
    #[schema(required = true, example = 48_213)]
    size: Option<u64>,
}

/// How the file is read.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOptions {
    /// The phone column, where it has none of the usual names.
    #[schema(example = "Handy")]
    phone_column: Option<String>,
    /// Region (ISO 3166-1 alpha-2) of numbers written without a country code.
    #[schema(example = "BR")]
    default_region: Option<String>,
}

/// Reads a body; errors name the place.
pub fn read(body: &[u8]) -> Result<NewCampaign, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = error.path().to_string();
        let detail = error.into_inner();
        if detail.is_syntax()
            || detail.is_eof()
            || place == "." && !detail.to_string().contains("unknown field")
        {
            return Problem::body(format!("not the expected JSON object: {detail}"));
        }
        let pointer = if place == "." {
            String::new()
        } else {
            format!("/{}", place.replace('.', "/"))
        };
        Problem::field(pointer, detail.to_string())
    })
}

impl NewCampaign {
    /// The campaign, if everything in it can work.
    pub fn checked(self, id: CampaignId, now: Millis) -> Result<Campaign, Problem> {
        let name = named(self.name, "/name")?;
        if name.chars().count() > MAX_NAME {
            return Err(Problem::field(
                "/name",
                format!("is longer than {MAX_NAME} characters"),
            ));
        }
        let (message, file) = (message(self.message)?, file(self.file)?);
        let options = options(self.options)?;
        Ok(Campaign {
            options,
            ..Campaign::new(id, name, message, file, now)
        })
    }
}

fn message(body: Option<Value>) -> Result<Message, Problem> {
    let body = body.ok_or_else(|| Problem::field("/message", "is required"))?;
    whatsapp::message::check(&body).map_err(|problem| {
        Problem::field(format!("/message{}", problem.pointer), problem.problem)
    })?;
    Message::new(body).map_err(|empty| {
        let pointer = format!("/message{}", empty.pointer);
        Problem::field(
            pointer,
            "holds `{{}}`, which names no column; write `{{column}}`",
        )
    })
}

fn file(file: Option<NewFile>) -> Result<FileInfo, Problem> {
    let file = file.ok_or_else(|| Problem::field("/file", "is required, with name and size"))?;
    let name = named(file.name, "/file/name")?;
    if !name.to_lowercase().ends_with(".csv") {
        return Err(Problem::field(
            "/file/name",
            "must end in .csv; save spreadsheets as \"CSV UTF-8\"",
        ));
    }
    let size = file
        .size
        .ok_or_else(|| Problem::field("/file/size", "is required: the exact size in bytes"))?;
    match size {
        0 => Err(Problem::field(
            "/file/size",
            "must not be 0: the file has no rows",
        )),
        1..=MAX_UPLOAD => Ok(FileInfo { name, size }),
        _ => Err(Problem::field(
            "/file/size",
            format!("must be at most {MAX_UPLOAD} bytes; split the file"),
        )),
    }
}

fn options(options: NewOptions) -> Result<Options, Problem> {
    if options
        .phone_column
        .as_deref()
        .is_some_and(|column| column.trim().is_empty())
    {
        return Err(Problem::field(
            "/options/phone_column",
            "must not be empty; leave it out for the usual names",
        ));
    }
    if options
        .default_region
        .as_deref()
        .is_some_and(|code| phone::region(code).is_none())
    {
        return Err(Problem::field(
            "/options/default_region",
            "is no ISO 3166-1 region code, such as BR",
        ));
    }
    Ok(Options {
        phone_column: options.phone_column,
        default_region: options.default_region,
    })
}

fn named(text: Option<String>, pointer: &str) -> Result<String, Problem> {
    let text = text
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    text.ok_or_else(|| Problem::field(pointer, "is required and must not be empty"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn create(body: &Value) -> Result<Campaign, Problem> {
        read(body.to_string().as_bytes())?.checked("c1".parse().unwrap(), 0)
    }

    fn good() -> Value {
        json!({"name": "Test", "message": {"type": "text", "text": {"body": "Hi {{name}}"}},
            "file": {"name": "a.CSV", "size": 10}})
    }

    #[test]
    fn a_problem_names_its_field() {
        assert!(create(&good()).is_ok());
        let cases = [
            ("/name", json!(null), "/name"),
            ("/name", json!("  "), "/name"),
            ("/name", json!("x".repeat(201)), "/name"),
            ("/name", json!(7), "/name"),
            ("/message", json!(null), "/message"),
            ("/message/type", json!("txt"), "/message/type"),
            (
                "/message/text/body",
                json!("Hi {{ }}"),
                "/message/text/body",
            ),
            ("/file", json!(null), "/file"),
            ("/file/name", json!("a.pdf"), "/file/name"),
            ("/file/size", json!(0), "/file/size"),
            ("/file/size", json!(-1), "/file/size"),
            ("/file/size", json!(MAX_UPLOAD + 1), "/file/size"),
        ];
        for (pointer, value, field) in cases {
            let mut body = good();
            *body.pointer_mut(pointer).unwrap() = value.clone();
            let problem = create(&body).expect_err(pointer);
            assert_eq!(
                (problem.status, problem.field.as_deref()),
                (422, Some(field)),
                "{pointer} {value}: {problem:?}"
            );
        }
        for (option, value) in [("phone_column", ""), ("default_region", "Brazil")] {
            let mut body = good();
            body["options"] = json!({option: value});
            let problem = create(&body).expect_err(option);
            assert_eq!(problem.field, Some(format!("/options/{option}")));
        }
    }

    #[test]
    fn what_is_no_object_or_has_unknown_fields_is_told_so() {
        for body in ["", "[]", "{", "\"x\""] {
            let problem = read(body.as_bytes()).expect_err(body);
            assert_eq!(problem.status, 400, "{body}: {problem:?}");
        }
        let mut body = good();
        body["fil"] = json!(1);
        let problem = create(&body).expect_err("unknown field");
        assert!(
            problem.status == 422 && problem.detail.contains("unknown field `fil`"),
            "{problem:?}"
        );
    }
}
