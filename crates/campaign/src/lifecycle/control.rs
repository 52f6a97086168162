//! What an operator may ask of a campaign, and when it makes sense.

use crate::delivery::outcome::Millis;
use crate::lifecycle::campaign::{Campaign, CampaignState, FileStage};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// No new call starts; nothing is lost.
    Pause,
    /// Go on.
    Resume,
    /// Never send what was not sent.
    Cancel,
    /// The canary rows went well: send the rest.
    Continue,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandEffect {
    /// It is so already.
    AlreadyDone,
    /// The campaign changes to this state.
    Enter(CampaignState),
}

/// It makes no sense now: why, and what would.
pub type Conflict = &'static str;

/// Decides; `finished` tells whether nothing is left to send.
pub fn apply_command(
    campaign: &Campaign,
    finished: bool,
    command: Command,
    now: Millis,
) -> Result<CommandEffect, Conflict> {
    use CampaignState::{Cancelled, Failed};
    match (command, campaign.state) {
        (_, Failed) => Err(
            "its file could not be used, so nothing is or will be sent; POST /v1/campaigns/{id}/files takes another",
        ),
        (Command::Cancel, Cancelled) => Ok(CommandEffect::AlreadyDone),
        (_, Cancelled) => Err("it was cancelled, for good; make a new campaign"),
        _ if finished => Err("it is finished: nothing is left to send"),
        (Command::Cancel, _) => Ok(CommandEffect::Enter(Cancelled)),
        (Command::Pause, state) => pause(state),
        (Command::Resume, state) => resume(campaign, state, now),
        (Command::Continue, state) => continue_after_canary(campaign, state),
    }
}

fn pause(state: CampaignState) -> Result<CommandEffect, Conflict> {
    use CampaignState::{
        AwaitingUpload, Canary, Cancelled, Enqueuing, Failed, Paused, Ready, Scheduled, Sending,
        Validating,
    };
    match state {
        Paused => Ok(CommandEffect::AlreadyDone),
        Validating | Scheduled | Enqueuing | Canary | Sending => Ok(CommandEffect::Enter(Paused)),
        AwaitingUpload => {
            Err("its file is not uploaded yet, so nothing is sent; cancel it instead")
        }
        Ready => Err("it waits for POST /v1/campaigns/{id}/start, so nothing is sent"),
        Cancelled | Failed => Err("it is over"),
    }
}

fn resume(
    campaign: &Campaign,
    state: CampaignState,
    now: Millis,
) -> Result<CommandEffect, Conflict> {
    use CampaignState::{
        AwaitingUpload, Canary, Cancelled, Enqueuing, Failed, Paused, Ready, Scheduled, Sending,
        Validating,
    };
    match state {
        Validating | Scheduled | Enqueuing | Canary | Sending => Ok(CommandEffect::AlreadyDone),
        Paused => Ok(CommandEffect::Enter(state_after_resume(campaign, now))),
        AwaitingUpload => Err("its file is not uploaded yet"),
        Ready => Err("it was not started yet: POST /v1/campaigns/{id}/start"),
        Cancelled | Failed => Err("it is over"),
    }
}

/// Every row is offered again, so the file is read in any case; before its time a campaign waits for it.
fn state_after_resume(campaign: &Campaign, now: Millis) -> CampaignState {
    let read = |stage| matches!(stage, FileStage::Validated | FileStage::Enqueued);
    if !campaign.files.iter().any(|file| read(file.stage)) {
        CampaignState::Validating
    } else if !campaign.schedule.has_begun(now) {
        CampaignState::Scheduled
    } else {
        CampaignState::Enqueuing
    }
}

fn continue_after_canary(
    campaign: &Campaign,
    state: CampaignState,
) -> Result<CommandEffect, Conflict> {
    match (campaign.canary, state) {
        (None, _) => Err("it has no canary: all rows are sent anyway"),
        (Some(canary), _) if canary.released => Ok(CommandEffect::AlreadyDone),
        (Some(_), CampaignState::Canary) => Ok(CommandEffect::Enter(CampaignState::Enqueuing)),
        (Some(_), CampaignState::Paused) => {
            Err("it is paused: POST /v1/campaigns/{id}/resume, then continue")
        }
        (Some(_), _) => Err("its canary rows are not in the queue yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::campaign::tests::sample;
    use crate::lifecycle::campaign::{AfterCanary, Canary};

    const STATES: [CampaignState; 10] = [
        CampaignState::AwaitingUpload,
        CampaignState::Validating,
        CampaignState::Ready,
        CampaignState::Scheduled,
        CampaignState::Enqueuing,
        CampaignState::Canary,
        CampaignState::Sending,
        CampaignState::Paused,
        CampaignState::Cancelled,
        CampaignState::Failed,
    ];

    /// What comes of each order in each state: the state that follows, `=` for none, `!` for a conflict.
    fn effects_by_state(order: Command) -> Vec<String> {
        let cell = |state| match apply_command(&sample(state), false, order, 0) {
            Ok(CommandEffect::Enter(to)) => to.name().to_owned(),
            Ok(CommandEffect::AlreadyDone) => "=".into(),
            Err(_) => "!".into(),
        };
        STATES.into_iter().map(cell).collect()
    }

    #[test]
    fn commands_have_defined_effect_in_every_state() {
        let rows = [
            (
                Command::Pause,
                "! paused ! paused paused paused paused = ! !",
            ),
            (Command::Resume, "! = ! = = = = splitting ! !"),
            (
                Command::Cancel,
                "cancelled cancelled cancelled cancelled cancelled cancelled cancelled cancelled = !",
            ),
            (Command::Continue, "! ! ! ! ! ! ! ! ! !"),
        ];
        for (order, expected) in rows {
            assert_eq!(effects_by_state(order).join(" "), expected, "{order:?}");
        }
    }

    #[test]
    fn canary_continues_once() {
        let mut campaign = sample(CampaignState::Canary);
        let canary = Canary {
            rows: 5,
            after: AfterCanary::Wait,
            released: false,
            enqueued: 5,
        };
        campaign.canary = Some(canary);
        assert_eq!(
            apply_command(&campaign, false, Command::Continue, 0),
            Ok(CommandEffect::Enter(CampaignState::Enqueuing))
        );
        campaign.canary = Some(Canary {
            released: true,
            ..canary
        });
        assert_eq!(
            apply_command(&campaign, false, Command::Continue, 0),
            Ok(CommandEffect::AlreadyDone)
        );
    }

    #[test]
    fn finished_campaign_rejects_commands() {
        for order in [Command::Pause, Command::Resume, Command::Cancel] {
            assert!(apply_command(&sample(CampaignState::Sending), true, order, 0).is_err());
        }
    }

    #[test]
    fn resume_validates_unread_file_and_respects_schedule() {
        let mut campaign = sample(CampaignState::Paused);
        campaign.files[0].stage = FileStage::Pending;
        assert_eq!(
            apply_command(&campaign, false, Command::Resume, 0),
            Ok(CommandEffect::Enter(CampaignState::Validating))
        );
        campaign.files[0].stage = FileStage::Validated;
        campaign.schedule.not_before = Some(10);
        for (now, state) in [
            (9, CampaignState::Scheduled),
            (10, CampaignState::Enqueuing),
        ] {
            let resumed = apply_command(&campaign, false, Command::Resume, now);
            assert_eq!(resumed, Ok(CommandEffect::Enter(state)));
        }
    }
}
