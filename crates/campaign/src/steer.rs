//! What an operator may ask of a campaign, and when it makes sense.

use crate::outcome::Millis;
use crate::record::{Campaign, CampaignState, FileStage};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
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
pub enum Steer {
    /// It is so already.
    Already,
    /// The campaign changes to this state.
    Enter(CampaignState),
}

/// It makes no sense now: why, and what would.
pub type Conflict = &'static str;

/// Decides; `finished` tells whether nothing is left to send.
pub fn steer(
    campaign: &Campaign,
    finished: bool,
    order: Order,
    now: Millis,
) -> Result<Steer, Conflict> {
    use CampaignState::{Cancelled, Failed};
    match (order, campaign.state) {
        (_, Failed) => Err(
            "its file could not be used, so nothing is or will be sent; POST /campaigns/{id}/files takes another",
        ),
        (Order::Cancel, Cancelled) => Ok(Steer::Already),
        (_, Cancelled) => Err("it was cancelled, for good; make a new campaign"),
        _ if finished => Err("it is finished: nothing is left to send"),
        (Order::Cancel, _) => Ok(Steer::Enter(Cancelled)),
        (Order::Pause, state) => pause(state),
        (Order::Resume, state) => resume(campaign, state, now),
        (Order::Continue, state) => go_on(campaign, state),
    }
}

fn pause(state: CampaignState) -> Result<Steer, Conflict> {
    use CampaignState::{
        AwaitingUpload, Canary, Cancelled, Examining, Failed, Paused, Ready, Scheduled, Sending,
        Splitting,
    };
    match state {
        Paused => Ok(Steer::Already),
        Examining | Scheduled | Splitting | Canary | Sending => Ok(Steer::Enter(Paused)),
        AwaitingUpload => {
            Err("its file is not uploaded yet, so nothing is sent; cancel it instead")
        }
        Ready => Err("it waits for POST /campaigns/{id}/start, so nothing is sent"),
        Cancelled | Failed => Err("it is over"),
    }
}

fn resume(campaign: &Campaign, state: CampaignState, now: Millis) -> Result<Steer, Conflict> {
    use CampaignState::{
        AwaitingUpload, Canary, Cancelled, Examining, Failed, Paused, Ready, Scheduled, Sending,
        Splitting,
    };
    match state {
        Examining | Scheduled | Splitting | Canary | Sending => Ok(Steer::Already),
        Paused => Ok(Steer::Enter(goes_on_as(campaign, now))),
        AwaitingUpload => Err("its file is not uploaded yet"),
        Ready => Err("it was not started yet: POST /campaigns/{id}/start"),
        Cancelled | Failed => Err("it is over"),
    }
}

/// Every row is offered again, so the file is read in any case; before its time a campaign waits for it.
fn goes_on_as(campaign: &Campaign, now: Millis) -> CampaignState {
    let read = |stage| matches!(stage, FileStage::Examined | FileStage::Split);
    if !campaign.files.iter().any(|file| read(file.stage)) {
        CampaignState::Examining
    } else if !campaign.window.is_open(now) {
        CampaignState::Scheduled
    } else {
        CampaignState::Splitting
    }
}

fn go_on(campaign: &Campaign, state: CampaignState) -> Result<Steer, Conflict> {
    match (campaign.canary, state) {
        (None, _) => Err("it has no canary: all rows are sent anyway"),
        (Some(canary), _) if canary.released => Ok(Steer::Already),
        (Some(_), CampaignState::Canary) => Ok(Steer::Enter(CampaignState::Splitting)),
        (Some(_), CampaignState::Paused) => {
            Err("it is paused: POST /campaigns/{id}/resume, then continue")
        }
        (Some(_), _) => Err("its canary rows are not in the queue yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::sample;
    use crate::record::{AfterCanary, Canary};

    const STATES: [CampaignState; 10] = [
        CampaignState::AwaitingUpload,
        CampaignState::Examining,
        CampaignState::Ready,
        CampaignState::Scheduled,
        CampaignState::Splitting,
        CampaignState::Canary,
        CampaignState::Sending,
        CampaignState::Paused,
        CampaignState::Cancelled,
        CampaignState::Failed,
    ];

    /// What comes of each order in each state: the state that follows, `=` for none, `!` for a conflict.
    fn table(order: Order) -> Vec<String> {
        let cell = |state| match steer(&sample(state), false, order, 0) {
            Ok(Steer::Enter(to)) => to.name().to_owned(),
            Ok(Steer::Already) => "=".into(),
            Err(_) => "!".into(),
        };
        STATES.into_iter().map(cell).collect()
    }

    #[test]
    fn every_order_in_every_state() {
        let rows = [
            (Order::Pause, "! paused ! paused paused paused paused = ! !"),
            (Order::Resume, "! = ! = = = = splitting ! !"),
            (
                Order::Cancel,
                "cancelled cancelled cancelled cancelled cancelled cancelled cancelled cancelled = !",
            ),
            (Order::Continue, "! ! ! ! ! ! ! ! ! !"),
        ];
        for (order, expected) in rows {
            assert_eq!(table(order).join(" "), expected, "{order:?}");
        }
    }

    #[test]
    fn a_canary_goes_on_once() {
        let mut campaign = sample(CampaignState::Canary);
        let canary = Canary {
            rows: 5,
            then: AfterCanary::Wait,
            released: false,
            enqueued: 5,
        };
        campaign.canary = Some(canary);
        assert_eq!(
            steer(&campaign, false, Order::Continue, 0),
            Ok(Steer::Enter(CampaignState::Splitting))
        );
        campaign.canary = Some(Canary {
            released: true,
            ..canary
        });
        assert_eq!(
            steer(&campaign, false, Order::Continue, 0),
            Ok(Steer::Already)
        );
    }

    #[test]
    fn what_is_finished_cannot_be_stopped() {
        for order in [Order::Pause, Order::Resume, Order::Cancel] {
            assert!(steer(&sample(CampaignState::Sending), true, order, 0).is_err());
        }
    }

    #[test]
    fn a_campaign_that_was_paused_early_reads_its_file_first_and_waits_for_its_time() {
        let mut campaign = sample(CampaignState::Paused);
        campaign.files[0].stage = FileStage::Announced;
        assert_eq!(
            steer(&campaign, false, Order::Resume, 0),
            Ok(Steer::Enter(CampaignState::Examining))
        );
        campaign.files[0].stage = FileStage::Examined;
        campaign.window.not_before = Some(10);
        for (now, state) in [
            (9, CampaignState::Scheduled),
            (10, CampaignState::Splitting),
        ] {
            let resumed = steer(&campaign, false, Order::Resume, now);
            assert_eq!(resumed, Ok(Steer::Enter(state)));
        }
    }
}
