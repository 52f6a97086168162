//! What people see of a campaign.

use campaign::delivery::outcome::Millis;
use campaign::lifecycle::campaign::{Campaign, CampaignFile, Canary, Cooldown, FileStage, Policy};
use campaign::lifecycle::progress::Progress;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A campaign with its numbers.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignView {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `awaiting_upload`, `examining`, `ready`, `scheduled`, `splitting`, `canary`, `sending`, `finished`, `paused`,
    /// `cancelled` or `failed`.
    #[schema(example = "sending")]
    pub state: &'static str,
    /// Why it is `failed`, `paused` or `cancelled`, and what to do.
    pub reason: Option<String>,
    /// Why nobody calls for a while, and until when: WhatsApp asked for it.
    pub cooldown: Option<CooldownView>,
    /// No call starts before.
    pub not_before: Option<String>,
    /// No call starts from then on.
    pub not_after: Option<String>,
    /// What becomes of doubts and failures.
    #[schema(value_type = Object)]
    pub policy: Policy,
    /// Rows that go first.
    #[schema(value_type = Option<Object>)]
    pub canary: Option<Canary>,
    /// When it was created.
    #[schema(example = "2026-11-22T09:00:00Z")]
    pub created_at: String,
    /// Its files, in the order they were announced.
    pub files: Vec<FileView>,
    /// The message, as created.
    #[schema(value_type = Object)]
    pub message: Value,
    /// What became of each row.
    pub rows: RowCounts,
    /// How it goes.
    pub sending: SendingView,
    /// What WhatsApp reported since.
    pub delivery: DeliveryCounts,
}

/// A rest that WhatsApp asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct CooldownView {
    /// Its end.
    pub until: String,
    /// Why.
    pub reason: String,
}

/// A file of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileView {
    /// Its name on the operator's machine.
    pub name: String,
    /// `announced`, `examined`, `split` (in the queue) or `failed`.
    #[schema(value_type = String)]
    pub stage: FileStage,
    /// Why none of it can be used.
    pub problem: Option<String>,
    /// Its rows.
    pub rows: u64,
    /// Those that cannot be used.
    pub rejected: u64,
}

/// Where a campaign stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignStateView {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: &'static str,
}

/// What became of each row: `total = rejected_at_import + duplicates + suppressed + enqueued`, and
/// `enqueued = waiting + claimed + retry + held + accepted + rejected + unconfirmed + skipped`.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowCounts {
    /// Rows in the file.
    pub total: i64,
    /// Not usable; listed in the rejects file.
    pub rejected_at_import: i64,
    /// The number came earlier in the file.
    pub duplicates: i64,
    /// Not to be messaged.
    pub suppressed: i64,
    /// To be sent.
    pub enqueued: i64,
    /// No attempt yet.
    pub waiting: i64,
    /// A call is about to start or under way.
    pub claimed: i64,
    /// Certainly not sent; tried again soon.
    pub retry: i64,
    /// Certainly not sent; waits for the campaign to go on.
    pub held: i64,
    /// Taken by WhatsApp.
    pub accepted: i64,
    /// Refused by WhatsApp for good.
    pub rejected: i64,
    /// May have been sent.
    pub unconfirmed: i64,
    /// Not sent on purpose.
    pub skipped: i64,
    /// Whether both sums hold.
    pub balanced: bool,
}

/// How it goes.
#[derive(Debug, Serialize, ToSchema)]
pub struct SendingView {
    /// The send budget, calls per second.
    pub budget: u32,
    /// Calls per second over the last ten seconds.
    pub rate: f64,
    /// Calls so far.
    pub attempts: i64,
    /// The first call.
    pub first_attempt_at: Option<String>,
    /// The last call so far.
    pub last_attempt_at: Option<String>,
    /// When the last call may be expected.
    pub estimated_end: Option<String>,
}

/// What WhatsApp reported of accepted messages.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryCounts {
    /// On their way.
    pub sent: i64,
    /// On the device.
    pub delivered: i64,
    /// Seen.
    pub read: i64,
    /// Refused after acceptance.
    pub undelivered: i64,
}

/// A request to make as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedUpload {
    /// `PUT`.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Headers to send exactly so.
    pub headers: BTreeMap<String, String>,
    /// Until when.
    pub expires_at: String,
}

/// A download to make as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedDownload {
    /// Where from.
    pub url: String,
    /// Until when.
    pub expires_at: String,
}

/// A new campaign and the upload it waits for.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignUpload {
    /// Its id.
    pub id: String,
    /// `awaiting_upload`.
    pub state: &'static str,
    /// The upload it waits for.
    pub upload: SignedUpload,
    /// Where the exclude list goes, if one was announced; nothing is sent before it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_upload: Option<SignedUpload>,
}

/// Campaigns, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignList {
    /// Newest first.
    pub campaigns: Vec<CampaignView>,
}

/// A campaign as people see it; `budget` in calls per second.
pub fn campaign_view(
    campaign: Campaign,
    progress: Progress,
    budget: u32,
    now: Millis,
) -> CampaignView {
    let counters = &progress.counters;
    CampaignView {
        id: campaign.id.to_string(),
        name: campaign.name,
        state: if progress.finished {
            "finished"
        } else {
            campaign.state.name()
        },
        reason: campaign.reason,
        cooldown: campaign
            .cooldown
            .filter(|rest| rest.until > now)
            .map(cooldown_view),
        not_before: campaign.schedule.not_before.map(format_time),
        not_after: campaign.schedule.not_after.map(format_time),
        policy: campaign.policy,
        canary: campaign.canary,
        created_at: format_time(campaign.created_at),
        files: campaign.files.into_iter().map(file_view).collect(),
        message: campaign.message.into(),
        rows: RowCounts {
            total: progress.rows,
            rejected_at_import: progress.rejected_at_import,
            duplicates: progress.duplicates,
            suppressed: progress.suppressed,
            enqueued: progress.enqueued,
            waiting: progress.waiting,
            claimed: counters.claimed,
            retry: counters.retry,
            held: counters.held,
            accepted: counters.accepted,
            rejected: counters.rejected,
            unconfirmed: counters.unconfirmed,
            skipped: counters.skipped,
            balanced: progress.balanced,
        },
        sending: SendingView {
            budget,
            rate: progress.rate,
            attempts: counters.attempts,
            first_attempt_at: counters.first_attempt_at.map(format_time),
            last_attempt_at: counters.last_attempt_at.map(format_time),
            estimated_end: progress.estimated_end.map(format_time),
        },
        delivery: DeliveryCounts {
            sent: counters.sent,
            delivered: counters.delivered,
            read: counters.read,
            undelivered: counters.undelivered,
        },
    }
}

fn cooldown_view(rest: Cooldown) -> CooldownView {
    CooldownView {
        until: format_time(rest.until),
        reason: rest.reason,
    }
}

fn file_view(file: CampaignFile) -> FileView {
    FileView {
        name: file.info.name,
        stage: file.stage,
        problem: file.problem,
        rows: file.counts.rows,
        rejected: file.counts.rejected,
    }
}

/// RFC 3339, in UTC.
pub fn format_time(at: Millis) -> String {
    let millis = i64::try_from(at).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis)
        .map(|at| at.to_string())
        .unwrap_or_default()
}
