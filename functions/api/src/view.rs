//! Response bodies of campaigns.

use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{
    AfterCanary, Campaign, CampaignFile, CampaignState, Canary, Cooldown, FileStage, OnUnconfirmed,
    Policy,
};
use campaign::lifecycle::progress::Progress;
use campaign::time::Millis;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::daily_window::WindowBody;
use crate::new_file::FileOptions;
use crate::openapi::{AfterCanaryName, CampaignStateName, FileStageName, OnUnconfirmedName};
use crate::time::format_time;

/// A campaign and its counts.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignView {
    /// Its id.
    pub id: String,
    /// Its name, for you.
    pub name: String,
    /// Its state.
    #[schema(value_type = CampaignStateName, example = "sending")]
    pub state: &'static str,
    /// Why it is `failed`, `paused` or `cancelled`, and what to do.
    pub reason: Option<String>,
    /// The cool-down that WhatsApp asked for, if one is in force: no message is sent.
    pub cooldown: Option<CooldownView>,
    /// No message is sent before this time.
    #[schema(format = DateTime)]
    pub not_before: Option<String>,
    /// No message is sent from this time on.
    #[schema(format = DateTime)]
    pub not_after: Option<String>,
    /// The ids of the numbers that it is sent from; none for the installation's first.
    pub numbers: Vec<String>,
    /// The hours of the day in which it sends; null at all hours.
    pub window: Option<WindowBody>,
    /// Whether that window is closed now; null where each recipient has hours of its own.
    pub window_is_closed: Option<bool>,
    /// The next time at which it opens for one of the rows, also while it is open; null before rows were put into the queue.
    #[schema(format = DateTime)]
    pub window_opens_at: Option<String>,
    /// What happens to unconfirmed and failed rows.
    pub policy: PolicyView,
    /// The rows that are sent first, if there are any.
    pub canary: Option<CanaryView>,
    /// When it was created.
    #[schema(format = DateTime, example = "2026-11-22T09:00:00Z")]
    pub created_at: String,
    /// Its files, in the order in which they were added.
    pub files: Vec<FileView>,
    /// The campaign of which it sends chosen rows again, if it does.
    pub retry_of: Option<String>,
    /// The campaigns that send chosen rows of this one again.
    pub retries: Vec<String>,
    /// The message, as created.
    #[schema(value_type = Object)]
    pub message: Value,
    /// How many rows are in which state.
    pub rows: RowCounts,
    /// How fast it sends.
    pub sending: SendingView,
    /// What WhatsApp reported about accepted messages.
    pub delivery: DeliveryCounts,
}

/// A cool-down that WhatsApp asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct CooldownView {
    /// Its end.
    #[schema(format = DateTime)]
    pub until: String,
    /// Why.
    pub reason: String,
}

/// What happens to unconfirmed and failed rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyView {
    /// What happens to rows that may have been sent.
    #[schema(value_type = OnUnconfirmedName)]
    pub on_unconfirmed: OnUnconfirmed,
    /// How many seconds they wait for a callback before that.
    pub unconfirmed_timeout_seconds: u32,
    /// Whether accepted messages that were not delivered for now are sent again.
    pub retry_undelivered: bool,
    /// The campaign pauses when more than this share of its latest rows failed; 1 for never.
    pub max_failure_ratio: f64,
    /// Of one row in how many the delivery is recorded: 1 for each, 0 for none. `delivered` and `read` count these rows alone.
    pub delivery_reports_every: u32,
}

/// The rows that are sent first.
#[derive(Debug, Serialize, ToSchema)]
pub struct CanaryView {
    /// How many, spread evenly over the file.
    pub rows: u32,
    /// What the other rows wait for.
    #[schema(value_type = AfterCanaryName)]
    pub after: AfterCanary,
    /// Whether the other rows may be sent.
    pub released: bool,
    /// How many canary rows are in the queue; known once all of them are.
    pub enqueued: u64,
}

/// A file of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileView {
    /// Its number, from 1.
    pub number: usize,
    /// Its name on the operator's machine.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When its upload was signed.
    #[schema(format = DateTime)]
    pub added_at: String,
    /// How it is read, as far as it was said.
    #[schema(value_type = FileOptions)]
    pub options: Value,
    /// How far it is.
    #[schema(value_type = FileStageName)]
    pub stage: FileStage,
    /// Why the whole file cannot be used.
    pub problem: Option<String>,
    /// Its rows.
    pub rows: u64,
    /// The rows that cannot be used.
    pub rejected_at_import: u64,
    /// The rows whose number came before.
    pub duplicates: u64,
    /// The rows of recipients who must not be messaged.
    pub suppressed: u64,
    /// The rows to be sent.
    pub enqueued: u64,
}

/// The state of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignStateView {
    /// Its id.
    pub id: String,
    /// Its state.
    #[schema(value_type = CampaignStateName)]
    pub state: &'static str,
}

/// How many rows are in which state: `total = rejected_at_import + duplicates + suppressed + enqueued`, and
/// `enqueued = waiting + claimed + retry + held + accepted + rejected + unconfirmed + skipped`.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowCounts {
    /// Rows in the file.
    pub total: i64,
    /// Rows that cannot be used; they are listed in the rejects file.
    pub rejected_at_import: i64,
    /// Rows whose number came earlier in the file.
    pub duplicates: i64,
    /// Rows of recipients who must not be messaged.
    pub suppressed: i64,
    /// Rows to be sent.
    pub enqueued: i64,
    /// Rows without an attempt.
    pub waiting: i64,
    /// Rows with an attempt in progress.
    pub claimed: i64,
    /// Rows that were certainly not sent and are tried again soon.
    pub retry: i64,
    /// Rows that were certainly not sent and wait until the campaign resumes.
    pub held: i64,
    /// Rows that WhatsApp accepted.
    pub accepted: i64,
    /// Rows that WhatsApp rejected for good.
    pub rejected: i64,
    /// Rows that may have been sent.
    pub unconfirmed: i64,
    /// Rows that were not sent on purpose.
    pub skipped: i64,
    /// Whether both sums hold.
    pub balanced: bool,
}

/// How fast a campaign sends.
#[derive(Debug, Serialize, ToSchema)]
pub struct SendingView {
    /// The send budget: messages per second, at most.
    pub budget: u32,
    /// Attempts per second over the last ten seconds.
    pub rate: f64,
    /// Attempts so far.
    pub attempts: i64,
    /// When the first attempt began.
    #[schema(format = DateTime)]
    pub first_attempt_at: Option<String>,
    /// When the latest attempt began.
    #[schema(format = DateTime)]
    pub last_attempt_at: Option<String>,
    /// When the last attempt is expected; null where each recipient has hours of its own. On the page of a campaign it is also null while all of its numbers are paused or unregistered; lists do not consider that.
    #[schema(format = DateTime)]
    pub estimated_end: Option<String>,
}

/// What WhatsApp reported about accepted messages.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryCounts {
    /// On their way to the device.
    pub sent: i64,
    /// On the device.
    pub delivered: i64,
    /// Read.
    pub read: i64,
    /// Not delivered, although they had been accepted.
    pub undelivered: i64,
}

impl CampaignView {
    /// The view; `budget` in messages per second, `now` in milliseconds since the Unix epoch.
    pub fn new(campaign: Campaign, progress: Progress, budget: u32, now: Millis) -> Self {
        let state = match progress.finished {
            true => "finished",
            false => campaign.state(now).name(),
        };
        let reason = campaign.reason(now).map(str::to_owned);
        let schedule = &campaign.schedule;
        let has_common_hours = schedule.window.is_some() && !schedule.has_own_hours();
        let cooldown = campaign
            .cooldown
            .filter(|cooldown| cooldown.until > now)
            .map(CooldownView::from);
        Self {
            id: campaign.id.to_string(),
            name: campaign.name,
            state,
            reason,
            cooldown,
            not_before: campaign.schedule.not_before.map(format_time),
            not_after: campaign.schedule.not_after.map(format_time),
            window_is_closed: has_common_hours.then(|| campaign.schedule.is_closed_for_all(now)),
            numbers: (campaign.numbers.iter())
                .map(|number| number.id.to_string())
                .collect(),
            window: campaign.schedule.window.map(WindowBody::from),
            window_opens_at: campaign
                .window_opens_at
                .filter(|&at| at > now)
                .map(format_time),
            policy: campaign.policy.into(),
            canary: campaign.canary.map(CanaryView::from),
            created_at: format_time(campaign.created_at),
            files: campaign
                .files
                .into_iter()
                .enumerate()
                .map(FileView::new)
                .collect(),
            retry_of: campaign.retry_of.map(|link| link.campaign.to_string()),
            retries: campaign
                .retries
                .iter()
                .map(|link| link.campaign.to_string())
                .collect(),
            message: campaign.message.into(),
            rows: RowCounts::new(&progress),
            sending: SendingView::new(&progress, budget),
            delivery: DeliveryCounts::new(&progress),
        }
    }
}

impl CampaignStateView {
    /// The view.
    pub fn new(id: &CampaignId, state: CampaignState) -> Self {
        Self {
            id: id.to_string(),
            state: state.name(),
        }
    }
}

impl From<Cooldown> for CooldownView {
    fn from(cooldown: Cooldown) -> Self {
        Self {
            until: format_time(cooldown.until),
            reason: cooldown.reason,
        }
    }
}

impl From<Policy> for PolicyView {
    fn from(policy: Policy) -> Self {
        Self {
            on_unconfirmed: policy.on_unconfirmed,
            unconfirmed_timeout_seconds: policy.unconfirmed_timeout_seconds,
            retry_undelivered: policy.retry_undelivered,
            max_failure_ratio: policy.max_failure_ratio,
            delivery_reports_every: policy.delivery_reports_every,
        }
    }
}

impl From<Canary> for CanaryView {
    fn from(canary: Canary) -> Self {
        Self {
            rows: canary.rows,
            after: canary.after,
            released: canary.released,
            enqueued: canary.enqueued.unwrap_or_default(),
        }
    }
}

impl FileView {
    fn new((index, file): (usize, CampaignFile)) -> Self {
        Self {
            number: index + 1,
            size: file.info.size,
            options: serde_json::to_value(&file.options).unwrap_or_default(),
            added_at: format_time(file.added_at),
            duplicates: file.counts.duplicates,
            suppressed: file.counts.suppressed,
            enqueued: file.counts.enqueued,
            name: file.info.name,
            stage: file.stage,
            problem: file.problem,
            rows: file.counts.rows,
            rejected_at_import: file.counts.rejected,
        }
    }
}

impl RowCounts {
    fn new(progress: &Progress) -> Self {
        let counters = &progress.counters;
        Self {
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
        }
    }
}

impl SendingView {
    fn new(progress: &Progress, budget: u32) -> Self {
        let counters = &progress.counters;
        Self {
            budget,
            rate: progress.rate,
            attempts: counters.attempts,
            first_attempt_at: counters.first_attempt_at.map(format_time),
            last_attempt_at: counters.last_attempt_at.map(format_time),
            estimated_end: progress.estimated_end.map(format_time),
        }
    }
}

impl DeliveryCounts {
    fn new(progress: &Progress) -> Self {
        let counters = &progress.counters;
        Self {
            sent: counters.sent,
            delivered: counters.delivered,
            read: counters.read,
            undelivered: counters.undelivered,
        }
    }
}
