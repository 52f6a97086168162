//! What an operator can do with a campaign now, and what each of it will do, in words.
//!
//! Whether something is allowed is not decided here: [`apply()`] is asked what it would do.

use serde::Serialize;

use crate::lifecycle::apply;
use crate::lifecycle::approval::approval_hash;
use crate::lifecycle::campaign::CampaignEdit;
use crate::lifecycle::campaign::{Campaign, CampaignState, FileStage, PausedBy};
use crate::lifecycle::event::{ApprovalEvent, Event};
use crate::lifecycle::progress::Progress;
use crate::time::Millis;

/// Something that an operator can do with a campaign.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, strum::IntoStaticStr, strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Action {
    /// Change its message or its rules.
    Edit,
    /// Read its file in another way.
    SetOptions,
    /// Send a test.
    Test,
    /// Ask for the approval of a second person.
    RequestApproval,
    /// Approve it.
    GiveApproval,
    /// Take the approval back.
    WithdrawApproval,
    /// Start it.
    Start,
    /// Pause it.
    Pause,
    /// End the pause.
    Resume,
    /// Send the rest after the canary rows.
    Continue,
    /// Cancel it.
    Cancel,
    /// Upload another file.
    AddFile,
    /// Send chosen rows again.
    Retry,
    /// Get the files back with the outcome of each row.
    Report,
}

impl Action {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The operation of the API that does it.
    pub fn operation(self) -> &'static str {
        match self {
            Action::Edit => "updateCampaign",
            Action::SetOptions => "previewCampaign",
            Action::Test => "sendTest",
            Action::RequestApproval => "requestApproval",
            Action::GiveApproval => "giveApproval",
            Action::WithdrawApproval => "withdrawApproval",
            Action::Start => "startCampaign",
            Action::Pause => "pauseCampaign",
            Action::Resume => "resumeCampaign",
            Action::Continue => "continueCampaign",
            Action::Cancel => "cancelCampaign",
            Action::AddFile => "addFile",
            Action::Retry => "createRetry",
            Action::Report => "requestReport",
        }
    }
}

/// An action that makes sense in the campaign's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvailableAction {
    /// The action.
    pub action: Action,
    /// What it will do, as a sentence.
    pub effect: String,
    /// How many rows it concerns, where that is a number.
    pub rows: Option<u64>,
    /// Why it is not possible now, as a clause; `None` if it is.
    pub refused: Option<String>,
}

/// What somebody can do with a campaign now. What makes no sense in its state is not listed.
pub fn available_actions(
    campaign: &Campaign,
    progress: &Progress,
    who: &str,
    now: Millis,
) -> Vec<AvailableAction> {
    let sensible = sensible_actions(campaign, progress, now);
    let available = |action: Action| AvailableAction {
        action,
        effect: effect(action, campaign, progress, now),
        rows: rows(action, campaign, progress),
        refused: refusal(action, campaign, who, now),
    };
    sensible.into_iter().map(available).collect()
}

fn sensible_actions(campaign: &Campaign, progress: &Progress, now: Millis) -> Vec<Action> {
    use Action::{
        AddFile, Cancel, Continue, Edit, GiveApproval, Pause, Report, RequestApproval, Resume,
        Retry, SetOptions, Start, Test, WithdrawApproval,
    };
    let approval = &campaign.approval;
    let mut actions = match campaign.state(now) {
        CampaignState::AwaitingUpload => vec![Edit, AddFile, Cancel],
        CampaignState::Validating => vec![Edit, SetOptions, Pause, Cancel],
        CampaignState::Ready if approval.is_required => {
            vec![
                Edit,
                SetOptions,
                Test,
                RequestApproval,
                GiveApproval,
                Start,
                Cancel,
            ]
        }
        CampaignState::Ready => vec![Edit, SetOptions, Test, Start, Cancel],
        CampaignState::Canary => vec![Continue, Pause, Cancel],
        CampaignState::Paused => vec![Resume, Cancel],
        CampaignState::Scheduled | CampaignState::Enqueuing => vec![Pause, Cancel],
        CampaignState::Sending if progress.finished || campaign.is_closed() => {
            vec![Retry, AddFile]
        }
        CampaignState::Sending => vec![Pause, Cancel, AddFile],
        CampaignState::Cancelled => vec![Retry],
        CampaignState::Failed => vec![SetOptions, AddFile, Edit],
    };
    if approval.request.is_some() || approval.given.is_some() {
        let waits = campaign.state(now) == CampaignState::Ready;
        actions.extend(waits.then_some(WithdrawApproval));
    }
    let is_read = |stage: FileStage| stage != FileStage::Pending;
    let has_results = campaign.files.iter().any(|file| is_read(file.stage));
    actions.extend(has_results.then_some(Report));
    actions
}

/// How many rows an action concerns.
fn rows(action: Action, campaign: &Campaign, progress: &Progress) -> Option<u64> {
    let counters = &progress.counters;
    let rows = match action {
        Action::Start | Action::Cancel | Action::Pause | Action::Resume => progress.unsettled,
        Action::Continue => {
            let canary = campaign.canary.and_then(|canary| canary.enqueued);
            progress.enqueued - i64::try_from(canary.unwrap_or_default()).unwrap_or_default()
        }
        Action::Retry => counters.rejected + counters.undelivered,
        Action::Report => progress.rows,
        Action::GiveApproval | Action::RequestApproval => progress.enqueued,
        Action::Edit
        | Action::SetOptions
        | Action::Test
        | Action::WithdrawApproval
        | Action::AddFile => return None,
    };
    Some(u64::try_from(rows).unwrap_or_default())
}

fn effect(action: Action, campaign: &Campaign, progress: &Progress, now: Millis) -> String {
    let unsettled = progress.unsettled.max(0);
    let accepted = progress.counters.accepted;
    match action {
        Action::Edit => "Changes the message, the schedule or the rules. With another message the file is read again. An approval becomes void.".into(),
        Action::SetOptions => "Reads the file again in another way. Nothing is sent. An approval becomes void.".into(),
        Action::Test => "Sends one row's message to a number of your own, at the usual rate. No recipient gets anything.".into(),
        Action::RequestApproval => "Asks a second person to approve exactly what would be sent now. Nothing is sent.".into(),
        Action::GiveApproval => "Approves exactly what would be sent now. Nothing is sent before somebody starts the campaign.".into(),
        Action::WithdrawApproval => "Takes the request and the approval back. The campaign cannot start before it is approved again.".into(),
        Action::Start if !campaign.schedule.has_begun(now) => format!(
            "Starts the campaign at its time (not_before): {unsettled} messages are sent then."
        ),
        Action::Start => format!("Sends {unsettled} messages, beginning now."),
        Action::Pause => format!(
            "No new message is sent later than two seconds after this. {unsettled} rows wait; nothing is lost, and messages on their way stay on their way."
        ),
        Action::Resume => format!(
            "Sends on: {unsettled} rows go into the queue again. Nobody gets a message twice."
        ),
        Action::Continue => "Sends the rows that waited for the canary rows.".into(),
        Action::Cancel => format!(
            "Ends the campaign for good. {unsettled} rows are not sent; the {accepted} messages that WhatsApp accepted stay sent."
        ),
        Action::AddFile => "Takes a further file, such as the corrected rows. Numbers of earlier files of this campaign are not messaged again.".into(),
        Action::Retry => "Sends chosen rows again, as a new campaign with the same message: by default those that WhatsApp rejected or did not deliver.".into(),
        Action::Report => "Writes your files back with the outcome of each row. Nothing is sent.".into(),
    }
}

/// Why an action is not possible now.
fn refusal(action: Action, campaign: &Campaign, who: &str, now: Millis) -> Option<String> {
    let event = match action {
        Action::Edit => Event::Edit(Box::new(CampaignEdit::of(campaign))),
        Action::SetOptions => {
            let options = campaign.files.last().map(|file| file.options.clone());
            Event::SetOptions(options.unwrap_or_default())
        }
        Action::RequestApproval => Event::Approval(ApprovalEvent::Request {
            by: who.to_owned(),
            note: None,
        }),
        Action::GiveApproval => Event::Approval(ApprovalEvent::Give {
            by: who.to_owned(),
            hash: approval_hash(campaign).unwrap_or_default(),
        }),
        Action::WithdrawApproval => Event::Approval(ApprovalEvent::Withdraw),
        Action::Start => Event::Start,
        Action::Pause => Event::Pause {
            reason: String::new(),
            by: PausedBy::Operator,
            caused_at: None,
        },
        Action::Resume => Event::Resume,
        Action::Continue => Event::Continue,
        Action::Cancel => Event::Cancel,
        Action::AddFile => {
            let info = campaign.files.last().map(|file| file.info.clone())?;
            Event::AddFile(info)
        }
        Action::Test | Action::Retry | Action::Report => return None,
    };
    apply(campaign, &event, now)
        .err()
        .map(|conflict| conflict.to_string())
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;
    use crate::lifecycle::campaign::tests::sample;
    use crate::lifecycle::counters::Counters;
    use crate::lifecycle::progress::compute_progress;

    fn actions(campaign: &Campaign) -> Vec<AvailableAction> {
        let progress = compute_progress(campaign, Counters::default(), 40, 10);
        available_actions(campaign, &progress, "ana", 10)
    }

    fn possible(state: CampaignState) -> Vec<&'static str> {
        let found = actions(&sample(state)).into_iter();
        let found = found.filter(|action| action.refused.is_none());
        found.map(|action| action.action.name()).collect()
    }

    #[test]
    fn what_is_possible_follows_from_the_state() {
        use CampaignState as S;
        for (state, expected) in [
            (
                S::Ready,
                vec!["edit", "set_options", "test", "start", "cancel", "report"],
            ),
            (S::Sending, vec!["pause", "cancel", "add_file", "report"]),
            (S::Canary, vec!["continue", "pause", "cancel", "report"]),
            (S::Paused, vec!["resume", "cancel", "report"]),
            (S::Cancelled, vec!["retry", "report"]),
            (S::AwaitingUpload, vec!["add_file", "cancel"]),
        ] {
            assert_eq!(possible(state), expected, "{state:?}");
        }
    }

    #[test]
    fn start_says_how_many_messages_and_why_it_is_refused() {
        let mut campaign = sample(CampaignState::Ready);
        let start = |campaign: &Campaign| {
            let found = actions(campaign).into_iter();
            found
                .into_iter()
                .find(|action| action.action == Action::Start)
                .expect("listed")
        };
        assert_eq!(start(&campaign).rows, Some(90));
        assert!(start(&campaign).effect.contains("Sends 90 messages"));
        campaign.approval.is_required = true;
        let refused = start(&campaign).refused.expect("not approved");
        assert!(refused.contains("second person"), "{refused}");
    }

    #[test]
    fn every_action_has_words_and_an_operation_in_every_state() {
        for &state in CampaignState::VARIANTS {
            for action in actions(&sample(state)) {
                assert!(action.effect.ends_with('.'), "{action:?}");
                assert_ne!(action.refused.as_deref(), Some(""), "{action:?}");
            }
        }
        for action in Action::VARIANTS {
            assert!(!action.operation().is_empty());
        }
    }
}
