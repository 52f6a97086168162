//! The operator's commands to a campaign, its start and further files, and in which states each one is allowed.

use crate::lifecycle::campaign::{Campaign, CampaignState, FileStage};
use crate::time::Millis;

/// A command of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start no new send until it is resumed.
    Pause,
    /// Send again after a pause.
    Resume,
    /// Never send the rows that were not sent yet.
    Cancel,
    /// Send the other rows after the canary rows.
    Continue,
}

/// The effect of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandEffect {
    /// The campaign already is in that state.
    AlreadyDone,
    /// The campaign enters this state.
    Enter(CampaignState),
}

/// Why a command is not allowed now, and what the operator can do instead.
pub type Conflict = &'static str;

/// Decides what a command does; `finished` says whether no row is left to send.
pub fn apply_command(
    campaign: &Campaign,
    finished: bool,
    command: Command,
    now: Millis,
) -> Result<CommandEffect, Conflict> {
    use CampaignState::{Cancelled, Failed};
    match (command, campaign.state) {
        (_, Failed) => Err(
            "its file cannot be used, so nothing is sent; upload another one with POST /v1/campaigns/{id}/files",
        ),
        (Command::Cancel, Cancelled) => Ok(CommandEffect::AlreadyDone),
        (_, Cancelled) => Err("it was cancelled and cannot be resumed; create a new campaign"),
        _ if finished => Err("it is finished: no row is left to send"),
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
        Ready => Err("it was not started yet: use POST /v1/campaigns/{id}/start"),
        Cancelled | Failed => Err("it is over"),
    }
}

/// Decides what the start of a campaign does that was created with `manual_start`. A campaign that enqueues already enters
/// that state again, since the job of the first start may have been lost.
pub fn apply_start(campaign: &Campaign, now: Millis) -> Result<CommandEffect, String> {
    use CampaignState::{
        AwaitingUpload, Canary, Cancelled, Enqueuing, Failed, Paused, Ready, Scheduled, Sending,
        Validating,
    };
    match campaign.state {
        Ready if !campaign.schedule.has_begun(now) => Ok(CommandEffect::Enter(Scheduled)),
        Ready | Enqueuing => Ok(CommandEffect::Enter(Enqueuing)),
        Scheduled | Canary | Sending => Ok(CommandEffect::AlreadyDone),
        AwaitingUpload | Validating => Err(
            "the file has not been read yet; POST /v1/campaigns/{id}/preview shows how far it is"
                .to_owned(),
        ),
        Paused | Cancelled | Failed => {
            let reason = campaign.reason.as_deref().unwrap_or_default();
            Err(format!(
                "the campaign is {}: {reason}",
                campaign.state.name()
            ))
        }
    }
}

/// The index of a file that is added: behind the last one, or in the place of one that was never uploaded.
pub fn index_of_added_file(campaign: &Campaign) -> Result<usize, Conflict> {
    use CampaignState::{
        AwaitingUpload, Canary, Cancelled, Enqueuing, Failed, Paused, Ready, Scheduled, Sending,
        Validating,
    };
    match campaign.state {
        AwaitingUpload | Failed | Ready | Paused | Sending => {}
        Canary | Scheduled => {
            return Err(
                "the rows of the campaign's file wait to be sent; add another file once they are being sent",
            );
        }
        Validating | Enqueuing => {
            return Err("a file of this campaign is being read; try again when it has been read");
        }
        Cancelled => return Err("the campaign is cancelled; create a new one for this file"),
    }
    match campaign.next_file_index() {
        Some(index) if campaign.files[index].stage == FileStage::Pending => Ok(index),
        Some(_) => Err(
            "the previous file has been read and waits for its start; POST /v1/campaigns/{id}/start first",
        ),
        None => Ok(campaign.files.len()),
    }
}

/// Every row is requeued after a pause; before its schedule begins, the campaign waits.
fn state_after_resume(campaign: &Campaign, now: Millis) -> CampaignState {
    match campaign.state_to_go_on() {
        CampaignState::Enqueuing if !campaign.schedule.has_begun(now) => CampaignState::Scheduled,
        state => state,
    }
}

fn continue_after_canary(
    campaign: &Campaign,
    state: CampaignState,
) -> Result<CommandEffect, Conflict> {
    match (campaign.canary, state) {
        (None, _) => Err("it has no canary: all of its rows are sent"),
        (Some(canary), _) if canary.released => Ok(CommandEffect::AlreadyDone),
        (Some(_), CampaignState::Canary) => Ok(CommandEffect::Enter(CampaignState::Enqueuing)),
        (Some(_), CampaignState::Paused) => {
            Err("it is paused: use POST /v1/campaigns/{id}/resume, then continue")
        }
        (Some(_), _) => Err("its canary rows are not in the queue yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::campaign::tests::sample;
    use crate::lifecycle::campaign::{AfterCanary, Canary};
    use strum::VariantArray;

    /// The effect of a command in each state: the next state, `=` for no change, `!` for a conflict.
    fn effects_by_state(command: Command) -> Vec<&'static str> {
        let effect = |&state| match apply_command(&sample(state), false, command, 0) {
            Ok(CommandEffect::Enter(next)) => next.name(),
            Ok(CommandEffect::AlreadyDone) => "=",
            Err(_) => "!",
        };
        CampaignState::VARIANTS.iter().map(effect).collect()
    }

    #[test]
    fn commands_have_defined_effect_in_every_state() {
        let effects = [
            (
                Command::Pause,
                "! paused ! paused paused paused paused = ! !",
            ),
            (Command::Resume, "! = ! = = = = enqueuing ! !"),
            (
                Command::Cancel,
                "cancelled cancelled cancelled cancelled cancelled cancelled cancelled cancelled = !",
            ),
            (Command::Continue, "! ! ! ! ! ! ! ! ! !"),
        ];
        for (command, expected) in effects {
            assert_eq!(effects_by_state(command).join(" "), expected, "{command:?}");
        }
    }

    #[test]
    fn start_has_defined_effect_in_every_state() {
        let effect = |&state| match apply_start(&sample(state), 0) {
            Ok(CommandEffect::Enter(next)) => next.name(),
            Ok(CommandEffect::AlreadyDone) => "=",
            Err(_) => "!",
        };
        let effects: Vec<_> = CampaignState::VARIANTS.iter().map(effect).collect();
        assert_eq!(effects.join(" "), "! ! enqueuing = enqueuing = = ! ! !");
        let mut campaign = sample(CampaignState::Ready);
        campaign.schedule.not_before = Some(10);
        for (now, state) in [
            (9, CampaignState::Scheduled),
            (10, CampaignState::Enqueuing),
        ] {
            assert_eq!(apply_start(&campaign, now), Ok(CommandEffect::Enter(state)));
        }
    }

    #[test]
    fn added_file_follows_the_last_or_replaces_one_that_was_never_uploaded() {
        let states = CampaignState::VARIANTS.iter();
        let allowed: Vec<_> = states
            .filter(|&&state| index_of_added_file(&sample(state)) == Ok(1))
            .map(|state| state.name())
            .collect();
        assert_eq!(
            allowed,
            ["awaiting_upload", "ready", "sending", "paused", "failed"]
        );
        let mut campaign = sample(CampaignState::Sending);
        campaign.files[0].stage = FileStage::Pending;
        assert_eq!(index_of_added_file(&campaign), Ok(0));
        campaign.files[0].stage = FileStage::Validated;
        assert!(index_of_added_file(&campaign).is_err());
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
        for command in [Command::Pause, Command::Resume, Command::Cancel] {
            assert!(apply_command(&sample(CampaignState::Sending), true, command, 0).is_err());
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
