//! The body of `POST /v1/campaigns`, validated field by field.

use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{
    AfterCanary, Campaign, Canary, OnUnconfirmed, OutsideServiceWindow, Policy, Schedule,
};
use campaign::time::Millis;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::body::whole_number;
use crate::daily_window::WindowBody;
use crate::message_schema::{MessageSchema, TemplateMessageSchema};
use crate::new_file::{FileOptions, NewFile, parse_file, required_text};
use crate::new_message::{parse_fallback, parse_message};
use crate::openapi::{AfterCanaryName, OnUnconfirmedName, OutsideServiceWindowName};
use crate::problem::Problem;
use crate::time::{format_time, parse_time_field};

/// The most characters of a campaign's name.
const MAX_NAME_CHARS: usize = 200;

/// Meta's callbacks take seconds, so a shorter time would resend messages that were delivered; after a day a resend is no
/// longer of use.
const UNCONFIRMED_TIMEOUT_SECONDS: std::ops::RangeInclusive<u32> = 30..=86_400;

/// What `POST /v1/campaigns` takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCampaign {
    /// The campaign's name, for you; up to 200 characters.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 200, pattern = "\\S",
        example = "Order updates, November")]
    name: Option<String>,
    /// The Cloud API's message object without `to`. Any string in it may contain `{{column}}`.
    #[schema(required = true, value_type = MessageSchema)]
    message: Option<Value>,
    /// For a message that is not a template: the template that is sent instead to recipients who have not written within
    /// the last 24 hours, since WhatsApp would reject the message.
    #[schema(value_type = Option<TemplateMessageSchema>)]
    fallback: Option<Value>,
    /// What happens to those recipients when there is no fallback: `skip` (the default), or `send`, for deployments whose
    /// callbacks go elsewhere, so that Crier does not know who wrote.
    #[schema(value_type = Option<OutsideServiceWindowName>, example = "skip")]
    outside_service_window: Option<OutsideServiceWindow>,
    /// The file that will be uploaded.
    #[schema(value_type = NewFile, required = true)]
    file: Option<NewFile>,
    /// How the file is read.
    #[serde(default)]
    options: FileOptions,
    /// A list of numbers to exclude, uploaded like the file: any table with a phone column.
    exclude: Option<NewFile>,
    /// Whether the campaign waits, once its file has been read, for `POST /v1/campaigns/{id}/start`.
    #[serde(default)]
    manual_start: bool,
    /// Whether the campaign may send what another one sent within the last 24 hours: the same recipients and values with the
    /// same message. Without it, such a file is refused.
    #[serde(default)]
    allow_repeat: bool,
    /// No message is sent before this time (RFC 3339); the campaign starts at it.
    #[schema(format = DateTime, example = "2026-12-01T08:00:00Z")]
    not_before: Option<String>,
    /// No message is sent from this time on (RFC 3339); the remaining rows are skipped as expired.
    #[schema(format = DateTime, example = "2099-12-01T20:00:00Z")]
    not_after: Option<String>,
    /// The hours of the day in which messages are sent; at all hours by default.
    window: Option<WindowBody>,
    /// What happens to rows that may have been sent, once `unconfirmed_timeout_seconds` are over: `leave` (the default), or
    /// `resend`, with which a recipient may get the message twice.
    #[schema(value_type = Option<OnUnconfirmedName>, example = "leave")]
    on_unconfirmed: Option<OnUnconfirmed>,
    /// How many seconds an unconfirmed row waits for a callback before it is sent again; 900 by default.
    #[schema(example = 900, minimum = 30, maximum = 86400)]
    #[serde(default, deserialize_with = "whole_number")]
    unconfirmed_timeout_seconds: Option<u32>,
    /// Whether messages that were accepted but not delivered for now (error 131049) are sent again a day later.
    #[serde(default)]
    retry_undelivered: bool,
    /// The campaign pauses when more than this share of its latest rows (at least 100) failed; 0.2 by default, 1 for never.
    #[schema(example = 0.2, minimum = 0, maximum = 1)]
    max_failure_ratio: Option<f64>,
    /// Of one row in how many it is recorded that its message was delivered and read: 1 (the default) for each, 10 for one in
    /// ten, 0 for none. These reports are half and more of what callbacks cost. That a message was sent, or failed, is always
    /// recorded; every callback is kept as it came, and forwarded.
    #[schema(example = 1, minimum = 0, maximum = 4294967295_u64, value_type = Option<u64>)]
    #[serde(default, deserialize_with = "whole_number")]
    delivery_reports_every: Option<u32>,
    /// How many rows, spread evenly over the file, are sent first; the other rows wait.
    #[schema(value_type = Option<u64>, example = 200, minimum = 1, maximum = 4294967295_u64)]
    #[serde(default, deserialize_with = "whole_number")]
    canary: Option<u32>,
    /// What the other rows wait for: `wait` (the default) for `POST /v1/campaigns/{id}/continue`, or `continue_if_clean`.
    /// Needs `canary`.
    #[schema(value_type = Option<AfterCanaryName>, example = "wait")]
    after_canary: Option<AfterCanary>,
    /// The ids of the numbers that it is sent from; by default the installation's first. With several, each recipient hears from
    /// the one that they know, or gets one by the share of its budget.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, max_items = 32, example = json!(["100000000000001"]))]
    numbers: Option<Vec<String>>,
    /// Whether the template is looked up in the account first. Set it to false only where Meta cannot be asked.
    #[serde(default = "default_true")]
    check_template: bool,
}

fn default_true() -> bool {
    true
}

impl NewCampaign {
    /// The campaign, if every field of it can work; `now` in milliseconds since the Unix epoch. It sends for the
    /// milliseconds of `sendable_for` at most.
    pub fn into_campaign(
        mut self,
        id: CampaignId,
        now: Millis,
        sendable_for: Millis,
    ) -> Result<Campaign, Problem> {
        let sendable_until = now + sendable_for;
        let schedule = self.schedule(now, sendable_until)?;
        let (policy, canary) = (self.policy()?, self.canary()?);
        let name = required_text(self.name, "/name")?;
        if name.chars().count() > MAX_NAME_CHARS {
            let detail = format!("must have at most {MAX_NAME_CHARS} characters; shorten it");
            return Err(Problem::invalid_field("/name", detail));
        }
        let message = parse_message(self.message, "/message")?;
        let fallback = parse_fallback(self.fallback, &message)?;
        let file = parse_file(self.file, "/file")?;
        let exclude = self
            .exclude
            .map(|list| parse_file(Some(list), "/exclude"))
            .transpose()?;
        let mut campaign = Campaign::new(id, name, message, file, now);
        campaign.files[0].options = self.options.into_options()?;
        Ok(Campaign {
            schedule,
            sendable_until,
            policy,
            canary,
            fallback,
            outside_service_window: self.outside_service_window.unwrap_or_default(),
            exclude,
            manual_start: self.manual_start,
            allow_repeat: self.allow_repeat,
            ..campaign
        })
    }

    fn schedule(&mut self, now: Millis, sendable_until: Millis) -> Result<Schedule, Problem> {
        let schedule = Schedule {
            not_before: parse_time_field(self.not_before.as_deref(), "/not_before")?,
            not_after: parse_time_field(self.not_after.as_deref(), "/not_after")?,
            window: self
                .window
                .take()
                .map(WindowBody::into_window)
                .transpose()?,
        };
        if schedule.has_ended(now) {
            return Err(Problem::invalid_field(
                "/not_after",
                "must be in the future; write a later time, or leave it out",
            ));
        }
        if !schedule.has_begun(sendable_until) {
            return Err(Problem::invalid_field(
                "/not_before",
                format!(
                    "must be before {}: later, what is stored of the campaign may expire (parameters RetentionDays and FileRetentionDays); create it later",
                    format_time(sendable_until)
                ),
            ));
        }
        match (schedule.not_before, schedule.not_after) {
            (Some(before), Some(after)) if after <= before => Err(Problem::invalid_field(
                "/not_after",
                "must be later than not_before; write a later time",
            )),
            _ => Ok(schedule),
        }
    }

    fn policy(&self) -> Result<Policy, Problem> {
        let default = Policy::default();
        let timeout = self
            .unconfirmed_timeout_seconds
            .unwrap_or(default.unconfirmed_timeout_seconds);
        if !UNCONFIRMED_TIMEOUT_SECONDS.contains(&timeout) {
            let (min, max) = UNCONFIRMED_TIMEOUT_SECONDS.into_inner();
            return Err(Problem::invalid_field(
                "/unconfirmed_timeout_seconds",
                format!("must be from {min} to {max} seconds"),
            ));
        }
        let max_failure_ratio = self.max_failure_ratio.unwrap_or(default.max_failure_ratio);
        if !(0.0..=1.0).contains(&max_failure_ratio) {
            return Err(Problem::invalid_field(
                "/max_failure_ratio",
                "must be from 0 to 1; with 1 the campaign never pauses because of failures",
            ));
        }
        let delivery_reports_every = self
            .delivery_reports_every
            .unwrap_or(default.delivery_reports_every);
        if delivery_reports_every != 1 && self.on_unconfirmed == Some(OnUnconfirmed::Resend) {
            return Err(Problem::invalid_field(
                "/delivery_reports_every",
                "must be 1 with `on_unconfirmed: resend`: the report that is left out may be the one that shows that a message was sent",
            ));
        }
        Ok(Policy {
            delivery_reports_every,
            on_unconfirmed: self.on_unconfirmed.unwrap_or_default(),
            unconfirmed_timeout_seconds: timeout,
            retry_undelivered: self.retry_undelivered,
            max_failure_ratio,
        })
    }

    fn canary(&self) -> Result<Option<Canary>, Problem> {
        let after = self.after_canary.unwrap_or_default();
        match self.canary {
            Some(0) => Err(Problem::invalid_field(
                "/canary",
                "must not be 0; leave it out to send all rows at once",
            )),
            Some(rows) => Ok(Some(Canary {
                rows,
                after,
                released: false,
                enqueued: None,
            })),
            None if self.after_canary.is_some() => Err(Problem::invalid_field(
                "/canary",
                "is required with after_canary; say how many rows are sent first",
            )),
            None => Ok(None),
        }
    }

    /// The ids of the numbers that it is sent from, as they were written.
    pub fn take_numbers(&mut self) -> Vec<String> {
        self.numbers.take().unwrap_or_default()
    }

    /// Whether the template is looked up in the account.
    pub fn checks_template(&self) -> bool {
        self.check_template
    }
}

#[cfg(test)]
mod tests {
    use cloud::files::MAX_UPLOAD_BYTES;
    use tabular::sheet::MAX_WORKBOOK_BYTES;

    use super::*;
    use crate::body::parse_body;
    use serde_json::json;

    fn create(body: &Value) -> Result<Campaign, Problem> {
        parse_body::<NewCampaign>(body.to_string().as_bytes())?.into_campaign(
            "c1".parse().unwrap(),
            0,
            Millis::MAX / 2,
        )
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
            ("default_region", json!("Brazil")),
            ("delimiter", json!("é")),
            ("encoding", json!("klingon")),
            ("phone_columns", json!(["Mobile", " "])),
            ("phone_columns", json!(vec!["x"; 11])),
        ] {
            let mut body = good();
            body["options"] = json!({ option: value });
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
