//! What the page of a campaign shows beside its numbers: who did what, what you can do now, the approval.

use campaign::delivery::number_suspension::{NumberGate, NumberSuspension};
use campaign::id::NumberId;
use campaign::lifecycle::actions::{AvailableAction, available_actions};
use campaign::lifecycle::approval::{approval_hash, check_approval, check_second_person};
use campaign::lifecycle::campaign::{Campaign, PausedBy};
use campaign::lifecycle::progress::Progress;
use campaign::time::Millis;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::openapi::{ActionName, PausedByName};
use crate::roles;
use crate::time::format_time;
use crate::view::CampaignView;

/// How much slower than the budget a campaign sends before it counts as slowed down.
const SLOWED_SHARE: f64 = 0.8;

/// A campaign, and what you can do with it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignPage {
    /// The campaign.
    #[serde(flatten)]
    pub campaign: CampaignView,
    /// How often the campaign was changed: the audit log names these versions.
    pub version: u64,
    /// Whether it waits for its start.
    pub manual_start: bool,
    /// Who created it.
    pub created_by: Option<String>,
    /// Who started it.
    pub started_by: Option<String>,
    /// When it was started.
    #[schema(format = DateTime)]
    pub started_at: Option<String>,
    /// When it was paused, if it is.
    #[schema(format = DateTime)]
    pub paused_at: Option<String>,
    /// Who or what paused it.
    #[schema(value_type = Option<PausedByName>)]
    pub paused_by: Option<PausedBy>,
    /// When it was cancelled.
    #[schema(format = DateTime)]
    pub cancelled_at: Option<String>,
    /// How many seconds its sends still take at the rate of the last ten seconds; null if it does not send.
    pub remaining_seconds: Option<u64>,
    /// Whether it sends clearly slower than the budget although rows wait: other campaigns send, too, or WhatsApp slows it down.
    pub slowed: bool,
    /// Its numbers that are paused, cool down, or are not registered any more: their rows wait.
    pub suspended_numbers: Vec<SuspendedNumberView>,
    /// What makes sense in its state and with your role.
    pub actions: Vec<ActionView>,
    /// The approval of a second person.
    pub approval: ApprovalView,
}

/// A number of a campaign from which nothing is sent now.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SuspendedNumberView {
    /// Its id.
    #[schema(example = "100000000000001")]
    pub id: String,
    /// Why, and what to do.
    pub reason: String,
    /// When it sends again; null for a pause, which ends when an operator resumes the number, and for a number that is not registered.
    #[schema(format = DateTime)]
    pub until: Option<String>,
}

/// Something that you can do with a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActionView {
    /// Its name.
    #[schema(value_type = ActionName)]
    pub action: &'static str,
    /// The operation of this description that does it.
    #[schema(example = "pauseCampaign")]
    pub operation: &'static str,
    /// What it will do, as a sentence.
    pub effect: String,
    /// How many rows it concerns.
    pub rows: Option<u64>,
    /// Whether it is possible now.
    pub allowed: bool,
    /// Why it is not, as a clause.
    pub reason: Option<String>,
}

/// The approval of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalView {
    /// Whether the campaign starts only with it.
    pub required: bool,
    /// The hash of all that would be sent now: whoever approves names it. Null until the file has been read.
    pub hash: Option<String>,
    /// Who asked for it.
    pub requested_by: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    pub requested_at: Option<String>,
    /// What they want the other person to know.
    pub note: Option<String>,
    /// Who gave it.
    pub approved_by: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    pub approved_at: Option<String>,
    /// Whether somebody else approved exactly what would be sent now.
    pub valid: bool,
    /// Why an approval that was given does not count any more, as a clause.
    pub void_because: Option<String>,
    /// Who changed last what would be sent.
    pub changed_by: Option<String>,
    /// Whether you may give it.
    pub may_approve: bool,
    /// Why you may not, as a clause.
    pub may_not_because: Option<String>,
}

impl CampaignPage {
    /// The page as `caller` sees it; `budget` in messages per second.
    pub fn new(
        campaign: Campaign,
        progress: Progress,
        budget: u32,
        suspended_numbers: Vec<SuspendedNumberView>,
        caller: &Caller,
        now: Millis,
    ) -> Self {
        let allowed = roles::allowed(caller.role);
        let actions = available_actions(&campaign, &progress, &caller.name, now).into_iter();
        let is_closed = campaign.schedule.is_closed_for_all(now);
        let is_sending = progress.estimated_end.is_some() && !is_closed;
        let is_slow = progress.rate < f64::from(budget) * SLOWED_SHARE;
        Self {
            version: campaign.version,
            manual_start: campaign.manual_start,
            created_by: campaign.created_by.clone(),
            started_by: campaign.started_by.clone(),
            started_at: campaign.started_at.map(format_time),
            paused_at: campaign.paused.as_ref().map(|pause| format_time(pause.at)),
            paused_by: campaign.paused.as_ref().map(|pause| pause.by),
            cancelled_at: campaign.cancelled_at.map(format_time),
            remaining_seconds: remaining_seconds(&progress, now),
            slowed: is_sending
                && is_slow
                && suspended_numbers.is_empty()
                && progress.counters.attempts > 0,
            suspended_numbers,
            actions: actions
                .filter(|action| allowed.contains(&action.action.operation()))
                .map(ActionView::from)
                .collect(),
            approval: ApprovalView::new(&campaign, &caller.name),
            campaign: CampaignView::new(campaign, progress, budget, now),
        }
    }
}

impl SuspendedNumberView {
    /// Of a number that is not there any more.
    pub(crate) fn unregistered(id: &NumberId) -> Self {
        Self {
            id: id.to_string(),
            reason: "The number is not registered any more: deploy its stack again, or cancel the campaign.".into(),
            until: None,
        }
    }

    /// The view, if the number is held back at `now`.
    pub(crate) fn of(id: &NumberId, suspension: NumberSuspension, now: Millis) -> Option<Self> {
        let (reason, until) = match (suspension.gate(now), suspension.paused, suspension.cooldown) {
            (NumberGate::Paused, Some(pause), _) => (pause.reason, None),
            (NumberGate::CoolingDown(until), _, Some(cooldown)) => {
                (cooldown.reason, Some(format_time(until)))
            }
            _ => return None,
        };
        Some(Self {
            id: id.to_string(),
            reason,
            until,
        })
    }
}

/// How long a campaign still sends.
pub(crate) fn remaining_seconds(progress: &Progress, now: Millis) -> Option<u64> {
    let end = progress.estimated_end?;
    Some(end.saturating_sub(now).div_ceil(1000))
}

impl From<AvailableAction> for ActionView {
    fn from(available: AvailableAction) -> Self {
        Self {
            action: available.action.name(),
            operation: available.action.operation(),
            effect: available.effect,
            rows: available.rows,
            allowed: available.refused.is_none(),
            reason: available.refused,
        }
    }
}

impl ApprovalView {
    /// The approval as `who` sees it.
    pub fn new(campaign: &Campaign, who: &str) -> Self {
        let approval = &campaign.approval;
        let (request, given) = (approval.request.as_ref(), approval.given.as_ref());
        let checked = check_approval(campaign);
        let hash = approval_hash(campaign);
        let may = check_second_person(campaign, who);
        Self {
            required: approval.is_required,
            requested_by: request.map(|request| request.by.clone()),
            requested_at: request.map(|request| format_time(request.at)),
            note: request.and_then(|request| request.note.clone()),
            approved_by: given.map(|given| given.by.clone()),
            approved_at: given.map(|given| format_time(given.at)),
            valid: checked.is_ok(),
            void_because: checked.err().filter(|_| given.is_some()),
            changed_by: campaign.changed_by.clone(),
            may_approve: hash.is_some() && may.is_ok(),
            may_not_because: may.err(),
            hash,
        }
    }
}
