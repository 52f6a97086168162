//! A new campaign: what the operator sends, checked field by field.

use campaign::delivery::outcome::Millis;
use campaign::id::CampaignId;
use campaign::import::phone;
use campaign::import::value::OnBadValue;
use campaign::lifecycle::campaign::{
    AfterCanary, Campaign, Canary, FileInfo, ImportOptions, OnUnconfirmed, OutsideServiceWindow,
    Policy, Schedule,
};
use campaign::message::Message;
use cloud::files::MAX_UPLOAD_BYTES;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tabular::sheet::MAX_WORKBOOK_BYTES;
use utoipa::ToSchema;

use crate::problem::Problem;

/// The most characters of a campaign's name.
const MAX_NAME_CHARS: usize = 200;

/// Grace times that make sense: callbacks take seconds, and a day is as long as anybody waits.
const UNCONFIRMED_TIMEOUT_SECONDS: std::ops::RangeInclusive<u32> = 30..=86_400;

/// What `POST /v1/campaigns` takes.
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
    /// For a message that is no template: the template that is sent in its place to people who have not written within the
    /// last 24 hours, since WhatsApp would refuse the message.
    #[schema(value_type = Option<Object>)]
    fallback: Option<Value>,
    /// What becomes of those people without a fallback: `skip` (unless said otherwise), or `send`, for those whose callbacks
    /// go elsewhere, so that Crier does not know who wrote.
    #[schema(value_type = Option<String>, example = "skip")]
    outside_service_window: Option<OutsideServiceWindow>,
    /// The file that will be uploaded.
    #[schema(required = true)]
    file: Option<NewFile>,
    /// How the file is read.
    #[serde(default)]
    options: FileOptions,
    /// A list of people to leave out, uploaded beside the file: any table with a phone column.
    exclude: Option<NewFile>,
    /// Whether to wait, once the file is read, for `POST /v1/campaigns/{id}/start`.
    #[serde(default)]
    manual_start: bool,
    /// No call starts before (RFC 3339); the campaign starts by itself then.
    #[schema(example = "2026-12-01T08:00:00Z")]
    not_before: Option<String>,
    /// No call starts from then on (RFC 3339); what is left is skipped as expired.
    #[schema(example = "2026-12-01T20:00:00Z")]
    not_after: Option<String>,
    /// What becomes of rows that may have been sent, once their grace time is over: `leave` (unless said otherwise), or
    /// `resend`, with which somebody may get the message twice.
    #[schema(value_type = Option<String>, example = "leave")]
    on_unconfirmed: Option<OnUnconfirmed>,
    /// How long a doubt waits for a callback before it is sent again, in seconds; 900 unless said.
    #[schema(example = 900)]
    unconfirmed_timeout_seconds: Option<u32>,
    /// Whether messages that were accepted and not delivered for now (131049) are tried again, a day later.
    #[serde(default)]
    retry_undelivered: bool,
    /// The campaign stops when more than this share of its latest rows (100 at least) failed; 0.2 unless said, 1 for never.
    #[schema(example = 0.2)]
    max_failure_ratio: Option<f64>,
    /// How many rows, evenly over the file, go first; the rest waits.
    #[schema(example = 200)]
    canary: Option<u32>,
    /// What the rest waits for: `wait` (unless said otherwise) for `POST /v1/campaigns/{id}/continue`, or `continue_if_clean`.
    #[schema(value_type = Option<String>, example = "wait")]
    after_canary: Option<AfterCanary>,
    /// Whether the template is looked up in the account first; only to be left out where Meta cannot be asked.
    #[serde(default = "default_true")]
    check_template: bool,
}

fn default_true() -> bool {
    true
}

/// The file that will be uploaded.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFile {
    /// Its name; `.csv`, `.txt`, `.tsv`, any of these with `.gz`, or `.xlsx`.
    #[schema(required = true, example = "customers.csv")]
    name: Option<String>,
    /// Its exact size in bytes, at most 5 GiB.
    #[schema(required = true, example = 48_213)]
    size: Option<u64>,
}

/// How the file is read.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileOptions {
    /// The phone column, where it has none of the usual names.
    #[schema(example = "Handy")]
    phone_column: Option<String>,
    /// Region (ISO 3166-1 alpha-2) of numbers written without a country code.
    #[schema(example = "BR")]
    default_region: Option<String>,
    /// What is between cells, where detection is wrong.
    #[schema(example = ";")]
    delimiter: Option<char>,
    /// The encoding, where detection is wrong.
    #[schema(example = "windows-1252")]
    encoding: Option<String>,
    /// Whether white space that WhatsApp refuses in a parameter is cleaned (unless said otherwise) or its row rejected.
    #[schema(value_type = Option<String>, example = "clean")]
    on_bad_value: Option<OnBadValue>,
}

/// Reads a body; errors name the place.
pub fn parse_body<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = error.path().to_string();
        let detail = error.into_inner();
        if detail.is_syntax()
            || detail.is_eof()
            || place == "." && !detail.to_string().contains("unknown field")
        {
            return Problem::unreadable_body(format!("not the expected JSON object: {detail}"));
        }
        let pointer = if place == "." {
            String::new()
        } else {
            format!("/{}", place.replace('.', "/"))
        };
        Problem::invalid_field(pointer, detail.to_string())
    })
}

impl NewCampaign {
    /// The campaign, if everything in it can work.
    pub fn into_campaign(self, id: CampaignId, now: Millis) -> Result<Campaign, Problem> {
        let (window, policy, canary) = (self.schedule(now)?, self.policy()?, self.canary()?);
        let name = required_text(self.name, "/name")?;
        if name.chars().count() > MAX_NAME_CHARS {
            return Err(Problem::invalid_field(
                "/name",
                format!("is longer than {MAX_NAME_CHARS} characters"),
            ));
        }
        let message = parse_message(self.message, "/message")?;
        let fallback = parse_fallback(self.fallback, &message)?;
        let announced = parse_file(self.file, "/file")?;
        let exclude = self
            .exclude
            .map(|list| parse_file(Some(list), "/exclude"))
            .transpose()?;
        Ok(Campaign {
            schedule: window,
            policy,
            canary,
            fallback,
            outside_service_window: self.outside_service_window.unwrap_or_default(),
            options: self.options.into_options()?,
            exclude,
            manual_start: self.manual_start,
            ..Campaign::new(id, name, message, announced, now)
        })
    }

    fn schedule(&self, now: Millis) -> Result<Schedule, Problem> {
        let window = Schedule {
            not_before: parse_time(self.not_before.as_deref(), "/not_before")?,
            not_after: parse_time(self.not_after.as_deref(), "/not_after")?,
        };
        if window.has_ended(now) {
            return Err(Problem::invalid_field("/not_after", "is over already"));
        }
        match (window.not_before, window.not_after) {
            (Some(before), Some(after)) if after <= before => Err(Problem::invalid_field(
                "/not_after",
                "must be later than not_before",
            )),
            _ => Ok(window),
        }
    }

    fn policy(&self) -> Result<Policy, Problem> {
        let usual = Policy::default();
        let unconfirmed_timeout_seconds = self
            .unconfirmed_timeout_seconds
            .unwrap_or(usual.unconfirmed_timeout_seconds);
        if !UNCONFIRMED_TIMEOUT_SECONDS.contains(&unconfirmed_timeout_seconds) {
            let (least, most) = (
                UNCONFIRMED_TIMEOUT_SECONDS.start(),
                UNCONFIRMED_TIMEOUT_SECONDS.end(),
            );
            return Err(Problem::invalid_field(
                "/unconfirmed_timeout_seconds",
                format!("must be between {least} and {most}"),
            ));
        }
        let max_failure_ratio = self.max_failure_ratio.unwrap_or(usual.max_failure_ratio);
        if !(0.0..=1.0).contains(&max_failure_ratio) {
            return Err(Problem::invalid_field(
                "/max_failure_ratio",
                "must be between 0 and 1; 1 stands for never",
            ));
        }
        Ok(Policy {
            on_unconfirmed: self.on_unconfirmed.unwrap_or_default(),
            unconfirmed_timeout_seconds: unconfirmed_timeout_seconds,
            retry_undelivered: self.retry_undelivered,
            max_failure_ratio,
        })
    }

    fn canary(&self) -> Result<Option<Canary>, Problem> {
        let then = self.after_canary.unwrap_or_default();
        match self.canary {
            Some(0) => Err(Problem::invalid_field(
                "/canary",
                "must not be 0; leave it out for none",
            )),
            Some(rows) => Ok(Some(Canary {
                rows,
                after: then,
                released: false,
                enqueued: 0,
            })),
            None if self.after_canary.is_some() => Err(Problem::invalid_field(
                "/canary",
                "is required with after_canary: how many rows go first",
            )),
            None => Ok(None),
        }
    }

    /// Whether the template is to be looked up.
    pub fn checks_template(&self) -> bool {
        self.check_template
    }
}

impl NewFile {
    /// The file, if it can be uploaded.
    pub fn into_file_info(self) -> Result<FileInfo, Problem> {
        parse_file(Some(self), "")
    }
}

/// A moment as people write it, in milliseconds since the Unix epoch.
pub(crate) fn parse_time(text: Option<&str>, pointer: &str) -> Result<Option<Millis>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    let moment: Option<Timestamp> = text.parse().ok();
    let millis = moment.and_then(|moment| Millis::try_from(moment.as_millisecond()).ok());
    millis.map(Some).ok_or_else(|| {
        Problem::invalid_field(
            pointer,
            "must be a time with its zone, such as 2026-12-01T08:00:00Z or 2026-12-01T09:00:00+01:00",
        )
    })
}

fn parse_fallback(body: Option<Value>, message: &Message) -> Result<Option<Message>, Problem> {
    let Some(body) = body else {
        return Ok(None);
    };
    let fallback = self::parse_message(Some(body), "/fallback")?;
    if message.is_template() {
        let detail = "makes no sense with a template as the message, which may be sent at any time; leave it out";
        return Err(Problem::invalid_field("/fallback", detail));
    }
    if !fallback.is_template() {
        let detail = "must be a template: nothing else may be sent to people who have not written within a day";
        return Err(Problem::invalid_field("/fallback/type", detail));
    }
    Ok(Some(fallback))
}

/// A message at `pointer` of the body, if WhatsApp may take it.
pub(crate) fn parse_message(body: Option<Value>, pointer: &str) -> Result<Message, Problem> {
    let body = body.ok_or_else(|| Problem::invalid_field(pointer, "is required"))?;
    whatsapp::message::validate(&body).map_err(|problem| {
        Problem::invalid_field(format!("{pointer}{}", problem.pointer), problem.reason)
    })?;
    Message::new(body).map_err(|empty| {
        let pointer = format!("{pointer}{}", empty.pointer);
        Problem::invalid_field(
            pointer,
            "holds `{{}}`, which names no column; write `{{column}}`",
        )
    })
}

/// Endings of files that can be read.
const FILE_EXTENSIONS: [&str; 8] = [
    ".csv", ".txt", ".tsv", ".csv.gz", ".txt.gz", ".tsv.gz", ".gz", ".xlsx",
];

fn parse_file(file: Option<NewFile>, pointer: &str) -> Result<FileInfo, Problem> {
    let at = |field: &str| format!("{pointer}/{field}");
    let file =
        file.ok_or_else(|| Problem::invalid_field(pointer, "is required, with name and size"))?;
    let name = required_text(file.name, &at("name"))?;
    let lower = name.to_lowercase();
    if !FILE_EXTENSIONS.iter().any(|ending| lower.ends_with(ending)) {
        let detail = "must end in .csv, .txt, .tsv (each also with .gz) or .xlsx; save other spreadsheets as one of these";
        return Err(Problem::invalid_field(at("name"), detail));
    }
    let size = file.size.ok_or_else(|| {
        Problem::invalid_field(at("size"), "is required: the exact size in bytes")
    })?;
    let workbook = lower.ends_with(".xlsx");
    match size {
        0 => Err(Problem::invalid_field(
            at("size"),
            "must not be 0: the file has no rows",
        )),
        _ if workbook && size > MAX_WORKBOOK_BYTES => Err(Problem::invalid_field(
            at("size"),
            format!(
                "must be at most {MAX_WORKBOOK_BYTES} bytes for a workbook; save it as CSV, which may have 5 GiB"
            ),
        )),
        1..=MAX_UPLOAD_BYTES => Ok(FileInfo { name, size }),
        _ => Err(Problem::invalid_field(
            at("size"),
            format!("must be at most {MAX_UPLOAD_BYTES} bytes; split the file, or compress it"),
        )),
    }
}

impl FileOptions {
    /// The options, if all of them mean something.
    pub fn into_options(self) -> Result<ImportOptions, Problem> {
        let problem = |option: &str, detail: &str| {
            Err(Problem::invalid_field(format!("/options/{option}"), detail))
        };
        if self
            .phone_column
            .as_deref()
            .is_some_and(|column| column.trim().is_empty())
        {
            return problem(
                "phone_column",
                "must not be empty; leave it out for the usual names",
            );
        }
        if self
            .default_region
            .as_deref()
            .is_some_and(|code| phone::parse_region(code).is_none())
        {
            return problem("default_region", "is no ISO 3166-1 region code, such as BR");
        }
        if self
            .delimiter
            .is_some_and(|c| !c.is_ascii() || matches!(c, '"' | '\r' | '\n'))
        {
            return problem("delimiter", "must be one ASCII character, such as ;");
        }
        if self
            .encoding
            .as_deref()
            .is_some_and(|name| tabular::encoding::for_label(name).is_none())
        {
            return problem(
                "encoding",
                "is no encoding's name, such as utf-8, utf-16le or windows-1252",
            );
        }
        Ok(ImportOptions {
            phone_column: self.phone_column,
            default_region: self.default_region,
            delimiter: self.delimiter,
            encoding: self.encoding,
            on_bad_value: self.on_bad_value.unwrap_or_default(),
        })
    }
}

fn required_text(text: Option<String>, pointer: &str) -> Result<String, Problem> {
    let text = text
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    text.ok_or_else(|| Problem::invalid_field(pointer, "is required and must not be empty"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn create(body: &Value) -> Result<Campaign, Problem> {
        parse_body::<NewCampaign>(body.to_string().as_bytes())?
            .into_campaign("c1".parse().unwrap(), 0)
    }

    fn good() -> Value {
        json!({"name": "Test", "message": {"type": "text", "text": {"body": "Hi {{name}}"}},
            "file": {"name": "a.CSV", "size": 10}})
    }

    #[test]
    fn problem_names_its_field() {
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
            ("/file/size", json!(MAX_UPLOAD_BYTES + 1), "/file/size"),
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
        for (option, value) in [
            ("phone_column", ""),
            ("default_region", "Brazil"),
            ("delimiter", "é"),
            ("encoding", "klingon"),
        ] {
            let mut body = good();
            body["options"] = json!({option: value});
            let problem = create(&body).expect_err(option);
            assert_eq!(problem.field, Some(format!("/options/{option}")));
        }
    }

    #[test]
    fn validates_times_and_choices() {
        let mut body = good();
        body["not_before"] = json!("2026-12-01T09:00:00+01:00");
        body["on_unconfirmed"] = json!("resend");
        body["canary"] = json!(200);
        let campaign = create(&body).expect("valid");
        assert_eq!(campaign.schedule.not_before, Some(1_796_112_000_000));
        assert_eq!(campaign.policy.on_unconfirmed, OnUnconfirmed::Resend);
        assert_eq!(campaign.canary.map(|canary| canary.rows), Some(200));
        for (field, value, pointer) in [
            ("not_before", json!("tomorrow"), "/not_before"),
            ("not_before", json!("2026-12-01T09:00:00"), "/not_before"),
            ("not_after", json!("1969-12-31T00:00:00Z"), "/not_after"),
            ("not_after", json!("2026-11-01T00:00:00Z"), "/not_after"),
            ("on_unconfirmed", json!("guess"), "/on_unconfirmed"),
            (
                "unconfirmed_timeout_seconds",
                json!(5),
                "/unconfirmed_timeout_seconds",
            ),
            ("max_failure_ratio", json!(20), "/max_failure_ratio"),
            ("canary", json!(0), "/canary"),
            ("after_canary", json!("never"), "/after_canary"),
        ] {
            let mut body = body.clone();
            body[field] = value;
            let problem = create(&body).expect_err(field);
            assert_eq!(problem.field.as_deref(), Some(pointer), "{problem:?}");
        }
    }

    #[test]
    fn accepts_workbooks_and_compressed_files_but_no_huge_workbook() {
        for (name, size, taken) in [
            ("a.xlsx", 1, true),
            ("a.csv.gz", MAX_UPLOAD_BYTES, true),
            ("a.TSV", 1, true),
            ("a.xlsx", MAX_WORKBOOK_BYTES + 1, false),
            ("a.xls", 1, false),
        ] {
            let mut body = good();
            body["exclude"] = json!({"name": name, "size": size});
            let created = create(&body);
            assert_eq!(created.is_ok(), taken, "{name} {created:?}");
            assert!(
                taken
                    || created.is_err_and(|problem| problem
                        .field
                        .is_some_and(|at| at.starts_with("/exclude/")))
            );
        }
    }

    #[test]
    fn rejects_non_objects_and_unknown_fields() {
        for body in ["", "[]", "{", "\"x\""] {
            let problem = parse_body::<NewCampaign>(body.as_bytes()).expect_err(body);
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
