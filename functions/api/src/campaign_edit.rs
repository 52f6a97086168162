//! Changes of a campaign before its start. The body is laid over what was asked for when the campaign was created, and the
//! result is checked by the same rules.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use campaign::lifecycle::apply;
use campaign::lifecycle::campaign::Campaign;
use campaign::lifecycle::campaign::CampaignEdit;
use campaign::lifecycle::event::Event;
use campaign::time::Millis;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::Api;
use crate::body::{JsonBody, parse_body};
use crate::caller::Caller;
use crate::campaign_page::CampaignPage;
use crate::daily_window::WindowBody;
use crate::extract::CampaignPath;
use crate::message_schema::{MessageSchema, TemplateMessageSchema};
use crate::new_campaign::NewCampaign;
use crate::openapi::{
    AfterCanaryName, BodyErrors, Conflict, NotFound, OnUnconfirmedName, OutsideServiceWindowName,
    RequestErrors,
};
use crate::problem::Problem;
use crate::time::format_time;

/// Members of `POST /v1/campaigns` that can be changed later.
const EDITABLE: [&str; 17] = [
    "name",
    "message",
    "fallback",
    "outside_service_window",
    "not_before",
    "not_after",
    "on_unconfirmed",
    "unconfirmed_timeout_seconds",
    "retry_undelivered",
    "max_failure_ratio",
    "canary",
    "after_canary",
    "allow_repeat",
    "check_template",
    "window",
    "numbers",
    "delivery_reports_every",
];

/// What `PATCH /v1/campaigns/{id}` takes: what is left out stays, null stands for the default. Each member has the meaning that
/// it has in `POST /v1/campaigns`.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "describes a body that is laid over another one as JSON"
)]
pub struct CampaignChange {
    /// The name.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "\\S",
        example = "Order updates, December"
    )]
    name: Option<String>,
    /// The message. With another one, the file is read again.
    #[schema(value_type = Option<MessageSchema>)]
    message: Option<Value>,
    /// The template for recipients outside their service window.
    #[schema(value_type = Option<TemplateMessageSchema>)]
    fallback: Option<Value>,
    /// What happens to them without one.
    #[schema(value_type = Option<OutsideServiceWindowName>)]
    outside_service_window: Option<String>,
    /// No message is sent before this time.
    #[schema(format = DateTime)]
    not_before: Option<String>,
    /// No message is sent from this time on.
    #[schema(format = DateTime)]
    not_after: Option<String>,
    /// What happens to rows that may have been sent.
    #[schema(value_type = Option<OnUnconfirmedName>)]
    on_unconfirmed: Option<String>,
    /// How many seconds they wait.
    #[schema(minimum = 30, maximum = 86400)]
    unconfirmed_timeout_seconds: Option<u32>,
    /// Whether messages are sent again that were not delivered for now.
    retry_undelivered: Option<bool>,
    /// The share of failures that pauses the campaign.
    #[schema(minimum = 0, maximum = 1)]
    max_failure_ratio: Option<f64>,
    /// How many rows are sent first.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 4294967295_u64)]
    canary: Option<u32>,
    /// What the others wait for.
    #[schema(value_type = Option<AfterCanaryName>)]
    after_canary: Option<String>,
    /// Whether it may repeat what another campaign sent.
    allow_repeat: Option<bool>,
    /// Whether the template is looked up in the account first.
    check_template: Option<bool>,
    /// The hours of the day in which messages are sent, all of them: `days` that are left out are all days.
    window: Option<WindowBody>,
    /// The ids of the numbers that it is sent from.
    numbers: Option<Vec<String>>,
    /// Of one row in how many its delivery is recorded.
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 4294967295_u64)]
    delivery_reports_every: Option<u32>,
}

/// Changes a campaign that was created with `manual_start`, before its start.
///
/// With another message, its file is read again. Whatever changes beside the name makes an approval void.
#[utoipa::path(
    patch, path = "/v1/campaigns/{id}", operation_id = "updateCampaign", tag = "campaigns",
    params(CampaignPath), request_body = CampaignChange,
    responses((status = 200, body = CampaignPage, description = "The campaign after the change"),
        RequestErrors, BodyErrors, NotFound, Conflict)
)]
#[tracing::instrument(skip_all, fields(campaign.id = %id))]
pub async fn update_campaign(
    State(api): State<Arc<Api>>,
    caller: Caller,
    CampaignPath { id }: CampaignPath,
    JsonBody(change): JsonBody<Map<String, Value>>,
) -> Result<Json<CampaignPage>, Problem> {
    let now = cloud::now();
    let campaign = api.find_campaign(&id).await?;
    let edit = api.merge_edit(&campaign, change, now).await?;
    let event = Event::Edit(Box::new(edit));
    // Decided here, so that the answer says why not; then stored, unless the campaign has changed since it was read: the body
    // was laid over that version.
    let effects = apply(&campaign, &event, now).map_err(Problem::from)?;
    let is_changed = effects.campaign.version != campaign.version;
    if is_changed
        && !api
            .apply_if_unchanged(&caller, &campaign, event, now)
            .await?
    {
        let detail =
            "somebody else changed the campaign at the same time; GET it, and change it again";
        return Err(Problem::conflict(detail));
    }
    api.enqueue_job(&id, effects.job).await?;
    let old_start = campaign.schedule.not_before;
    let new_start = effects.campaign.schedule.not_before;
    if let Some(at) = new_start.filter(|&at| at > now && new_start != old_start) {
        api.schedule_start(&id, effects.campaign.version, at).await;
    }
    Ok(Json(api.campaign_page(&caller, &id).await?))
}

impl Api {
    async fn merge_edit(
        &self,
        campaign: &Campaign,
        change: Map<String, Value>,
        now: Millis,
    ) -> Result<CampaignEdit, Problem> {
        let unknown = change
            .keys()
            .find(|name| !EDITABLE.contains(&name.as_str()));
        if let Some(name) = unknown {
            let detail = format!("cannot be changed; these can: {}", EDITABLE.join(", "));
            return Err(Problem::invalid_field(format!("/{name}"), detail));
        }
        let is_numbers_changed = change.contains_key("numbers");
        let is_message_changed = ["message", "fallback"]
            .iter()
            .any(|name| change.contains_key(*name));
        let mut new: NewCampaign = parse_body(merge(campaign, change).to_string().as_bytes())?;
        let checks_template = new.checks_template() && is_message_changed;
        let numbers = new.take_numbers();
        let mut edited = new.into_campaign(campaign.id.clone(), now, self.sendable_for)?;
        edited.numbers = match is_numbers_changed {
            true => self.find_numbers(&numbers, "/numbers").await?,
            false => campaign.numbers.clone(),
        };
        let mut edit = CampaignEdit::of(&edited);
        edit.template.clone_from(&campaign.template);
        if checks_template {
            edit.template = self.find_campaign_template(&edited).await?;
        } else if is_message_changed {
            edit.template = None;
        }
        Ok(edit)
    }
}

/// What `POST /v1/campaigns` would have been given, with the change laid over it (RFC 7396).
fn merge(campaign: &Campaign, change: Map<String, Value>) -> Value {
    let policy = campaign.policy;
    let file = campaign.files.first().map(|file| &file.info);
    let mut body = json!({
        "name": campaign.name,
        "message": campaign.message.body(),
        "fallback": campaign.fallback.as_ref().map(|fallback| fallback.body()),
        "outside_service_window": campaign.outside_service_window,
        "not_before": campaign.schedule.not_before.map(format_time),
        "not_after": campaign.schedule.not_after.map(format_time),
        "window": campaign.schedule.window.clone().map(WindowBody::from),
        "on_unconfirmed": policy.on_unconfirmed,
        "unconfirmed_timeout_seconds": policy.unconfirmed_timeout_seconds,
        "retry_undelivered": policy.retry_undelivered,
        "max_failure_ratio": policy.max_failure_ratio,
        "delivery_reports_every": policy.delivery_reports_every,
        "canary": campaign.canary.map(|canary| canary.rows),
        "after_canary": campaign.canary.map(|canary| canary.after),
        "allow_repeat": campaign.allow_repeat,
        // Not changed, but a campaign has one.
        "file": {"name": file.map_or("file.csv", |file| &file.name), "size": file.map_or(1, |file| file.size.max(1))},
    });
    if let Some(members) = body.as_object_mut() {
        // Without canary rows, nothing waits for them.
        if change.get("canary").is_some_and(Value::is_null) {
            members.insert("after_canary".into(), Value::Null);
        }
        members.extend(change);
        members.retain(|_, value| !value.is_null());
    }
    body
}

#[cfg(test)]
mod tests {
    use campaign::lifecycle::campaign::{AfterCanary, Canary, FileInfo};
    use campaign::message::Message;

    use super::*;

    fn campaign() -> Campaign {
        let message = Message::new(json!({"type": "text", "text": {"body": "Hi"}}));
        let info = FileInfo {
            name: "a.csv".into(),
            size: 10,
        };
        let id = "c1".parse().expect("an id");
        let mut campaign = Campaign::new(id, "Test".into(), message.expect("a message"), info, 0);
        campaign.schedule.not_after = Some(4_000_000_000_000);
        campaign.policy.max_failure_ratio = 0.5;
        campaign.canary = Some(Canary {
            rows: 3,
            after: AfterCanary::ContinueIfClean,
            released: false,
            enqueued: None,
        });
        campaign
    }

    fn edited(change: Value) -> Result<CampaignEdit, Problem> {
        let change = change.as_object().cloned().expect("an object");
        let body = merge(&campaign(), change).to_string();
        let new: NewCampaign = parse_body(body.as_bytes())?;
        let merged = new.into_campaign(campaign().id, 0, Millis::MAX / 2)?;
        Ok(CampaignEdit::of(&merged))
    }

    #[test]
    fn what_is_left_out_stays_and_null_is_the_default() {
        assert_eq!(
            edited(json!({})).expect("valid"),
            CampaignEdit::of(&campaign())
        );
        let edit = edited(json!({"not_after": null, "max_failure_ratio": null, "canary": null}))
            .expect("valid");
        assert_eq!(
            (
                edit.schedule.not_after,
                edit.policy.max_failure_ratio,
                edit.canary
            ),
            (None, 0.2, None)
        );
        assert_eq!(edit.name, "Test");
        let edit = edited(json!({"window": {"from": "09:00", "to": "20:00", "zone": "UTC"}}));
        let window = edit.expect("valid").schedule.window.expect("a window");
        assert_eq!(window.days.len(), 7);
        let edit = edited(json!({"canary": 7})).expect("valid");
        let canary = edit.canary.expect("canary rows");
        assert_eq!(
            (canary.rows, canary.after),
            (7, AfterCanary::ContinueIfClean)
        );
    }

    #[test]
    fn change_is_checked_like_a_new_campaign() {
        for (change, field) in [
            (
                json!({"window": {"from": "09:00", "to": "9", "zone": "UTC"}}),
                "/window/to",
            ),
            (json!({"name": "  "}), "/name"),
            (json!({"message": {"type": "txt"}}), "/message/type"),
            (json!({"max_failure_ratio": 7}), "/max_failure_ratio"),
            (
                json!({"not_after": "1980-01-01T00:00:00Z", "not_before": "1990-01-01T00:00:00Z"}),
                "/not_after",
            ),
        ] {
            let problem = edited(change.clone()).expect_err("invalid");
            assert_eq!(problem.field.as_deref(), Some(field), "{change}");
        }
    }

    #[test]
    fn everything_that_is_described_can_be_changed() {
        use utoipa::PartialSchema;
        let schema = serde_json::to_value(CampaignChange::schema()).expect("JSON");
        let described = schema["properties"].as_object().expect("members").keys();
        let mut editable: Vec<&str> = EDITABLE.to_vec();
        editable.sort_unstable();
        assert_eq!(described.map(String::as_str).collect::<Vec<_>>(), editable);
    }
}
