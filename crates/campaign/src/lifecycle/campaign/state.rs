//! A campaign's states. None is stored: they follow from what was decided and what has happened.

use serde::{Deserialize, Serialize};

use super::{Campaign, FileStage, Sendability};
use crate::time::Millis;

/// The state of a campaign. Whether it is `finished` follows from the counters, too ([`crate::lifecycle::progress`]).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CampaignState {
    /// Created; the file is not uploaded yet.
    AwaitingUpload,
    /// The file is being read to its end; nothing is sent.
    Validating,
    /// The file is validated; it is sent when the operator starts it.
    Ready,
    /// The file is validated; it is sent when its schedule begins.
    Scheduled,
    /// The file's rows are being put into the queue; the first ones may already be sent.
    Enqueuing,
    /// The canary rows are in the queue; the others wait.
    Canary,
    /// All rows of the files that were read are in the queue; a further file may be awaited or read. A finished campaign is in
    /// this state, too.
    Sending,
    /// No new send starts until the operator resumes it.
    Paused,
    /// Cancelled by the operator, for good.
    Cancelled,
    /// The file cannot be used, or was sent already by another campaign.
    Failed,
}

impl CampaignState {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether sends may start.
    pub fn may_send(self) -> bool {
        match self {
            CampaignState::Enqueuing | CampaignState::Canary | CampaignState::Sending => true,
            CampaignState::AwaitingUpload
            | CampaignState::Validating
            | CampaignState::Ready
            | CampaignState::Scheduled
            | CampaignState::Paused
            | CampaignState::Cancelled
            | CampaignState::Failed => false,
        }
    }
}

impl Campaign {
    /// Its state at `now`. Once the time for its sends has ended, neither a pause nor a missing start holds it back any more:
    /// its rows are settled as expired.
    pub fn state(&self, now: Millis) -> CampaignState {
        let has_ended = self.has_ended(now);
        let is_paused = self.paused.is_some() && !has_ended;
        if self.cancelled_at.is_some() {
            CampaignState::Cancelled
        } else if !self.has_usable_file() {
            self.state_without_file(is_paused)
        } else if is_paused {
            CampaignState::Paused
        } else if self.manual_start && self.started_at.is_none() && !has_ended {
            CampaignState::Ready
        } else if !self.schedule.has_begun(now) && !has_ended {
            CampaignState::Scheduled
        } else if !self.has_file_in(FileStage::Validated) {
            CampaignState::Sending
        } else if self.waits_for_canary() && !has_ended {
            CampaignState::Canary
        } else {
            CampaignState::Enqueuing
        }
    }

    fn state_without_file(&self, is_paused: bool) -> CampaignState {
        if self.has_file_in(FileStage::Reading) {
            match is_paused {
                true => CampaignState::Paused,
                false => CampaignState::Validating,
            }
        } else if self.has_file_in(FileStage::Pending) {
            CampaignState::AwaitingUpload
        } else {
            CampaignState::Failed
        }
    }

    fn has_usable_file(&self) -> bool {
        self.has_file_in(FileStage::Validated) || self.has_file_in(FileStage::Enqueued)
    }

    fn waits_for_canary(&self) -> bool {
        self.canary
            .is_some_and(|canary| !canary.released && canary.enqueued.is_some())
    }

    /// Whether no send may start any more: its schedule has ended, or what is stored of it may soon expire.
    pub fn has_ended(&self, now: Millis) -> bool {
        self.schedule.has_ended(now) || self.sendable_until <= now
    }

    /// Why it is in its state, as a sentence with what to do, where that needs one.
    pub fn reason(&self, now: Millis) -> Option<&str> {
        let is_unstarted = self.manual_start && self.started_at.is_none();
        match self.state(now) {
            CampaignState::Cancelled => Some("An operator cancelled it."),
            CampaignState::Failed => {
                let mut latest_first = self.files.iter().rev();
                latest_first.find_map(|file| file.problem.as_deref())
            }
            CampaignState::Paused => self.paused.as_ref().map(|pause| pause.reason.as_str()),
            CampaignState::Enqueuing | CampaignState::Sending
                if self.has_ended(now) && (self.paused.is_some() || is_unstarted) =>
            {
                Some(
                    "The schedule (not_after), or the time for which campaigns are kept, has ended.",
                )
            }
            CampaignState::AwaitingUpload
            | CampaignState::Validating
            | CampaignState::Ready
            | CampaignState::Scheduled
            | CampaignState::Enqueuing
            | CampaignState::Canary
            | CampaignState::Sending => None,
        }
    }

    /// Whether sends may start now.
    pub fn sendability(&self, now: Millis) -> Sendability {
        if !self.state(now).may_send() {
            return Sendability::Stopped;
        }
        if self.has_ended(now) {
            return Sendability::Expired;
        }
        let cooldown_end = self.cooldown.as_ref().map(|cooldown| cooldown.until);
        match cooldown_end.max(self.schedule.not_before) {
            Some(until) if until > now => Sendability::NotBefore(until),
            Some(_) | None => Sendability::Now,
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;
    use crate::lifecycle::campaign::tests::{pause, sample};
    use crate::lifecycle::campaign::{AfterCanary, Canary, PausedBy};

    #[test]
    fn names_match_json() {
        for &state in CampaignState::VARIANTS {
            assert_eq!(serde_json::to_value(state).expect("text"), state.name());
            assert_eq!(sample(state).state(0), state);
        }
    }

    #[test]
    fn pause_and_missing_start_hold_a_campaign_until_its_end() {
        for state in [
            CampaignState::Paused,
            CampaignState::Ready,
            CampaignState::Scheduled,
        ] {
            let mut campaign = sample(state);
            campaign.schedule.not_after = Some(1000);
            assert_eq!(campaign.sendability(999), Sendability::Stopped, "{state:?}");
            assert_eq!(
                campaign.sendability(1000),
                Sendability::Expired,
                "{state:?}"
            );
            campaign.schedule.not_after = None;
            campaign.sendable_until = 2000;
            assert_eq!(
                campaign.sendability(2000),
                Sendability::Expired,
                "{state:?}"
            );
        }
    }

    #[test]
    fn pause_counts_before_start_and_canary() {
        let mut campaign = sample(CampaignState::Ready);
        campaign.canary = Some(Canary {
            rows: 1,
            after: AfterCanary::Wait,
            released: false,
            enqueued: Some(1),
        });
        campaign.paused = Some(pause(PausedBy::Operator));
        assert_eq!(campaign.state(0), CampaignState::Paused);
        campaign.paused = None;
        assert_eq!(campaign.state(0), CampaignState::Ready);
        campaign.started_at = Some(0);
        assert_eq!(campaign.state(0), CampaignState::Canary);
        campaign.schedule.not_before = Some(5);
        assert_eq!(campaign.state(4), CampaignState::Scheduled);
        assert_eq!(campaign.state(5), CampaignState::Canary);
    }
}
