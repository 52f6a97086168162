//! The sender's steps: claim a row, send, record the outcome.

use campaign::delivery::ledger::{State, Transition, next_attempt};
use campaign::delivery::outcome::NextAction;

use crate::api::ApiResponse;
use crate::system::{Phase, Sender, System};

impl System {
    /// Claims the row whose message the sender holds, after the checks that the sender makes.
    pub(crate) fn claim(&mut self, sender: usize, row: usize) {
        self.senders[sender] = Sender::Idle;
        if self.campaign != Phase::Sending {
            return;
        }
        let attempt = next_attempt(self.rows[row].status);
        if self.apply(row, Transition::Claim, attempt) {
            self.rows[row].owner = Some(sender);
            self.senders[sender] = match self.rows[row].suppressed {
                true => Sender::Suppressed { row, attempt },
                false => Sender::Claimed { row, attempt },
            };
            return;
        }
        self.check_other_claim(row);
    }

    /// The row could not be claimed: another sender may be at work on it, or have crashed.
    fn check_other_claim(&mut self, row: usize) {
        let claimed = self.rows[row]
            .status
            .filter(|status| status.state == State::Claimed);
        let Some(status) = claimed else { return };
        if self.rows[row].owner.is_none() {
            self.apply(row, Transition::MarkUnconfirmed, status.attempt);
        } else {
            self.ensure_message(row);
        }
    }

    pub(crate) fn send(&mut self, sender: usize, response: ApiResponse) {
        if let Sender::Claimed { row, attempt } = self.senders[sender] {
            self.rows[row].sends.push(response.effect());
            self.senders[sender] = Sender::Responded {
                row,
                attempt,
                response,
            };
        }
    }

    /// Records the outcome of a send. Where it pauses the campaign, the pause and the hold are two steps, in any order.
    pub(crate) fn record(&mut self, sender: usize) {
        let at = std::mem::replace(&mut self.senders[sender], Sender::Idle);
        match at {
            Sender::Responded {
                row,
                attempt,
                response,
            } => self.record_response(sender, row, attempt, response),
            Sender::PausedCampaign { row, attempt } => {
                self.release(sender, row);
                self.apply(row, Transition::Hold, attempt);
            }
            Sender::HeldRow { .. } => self.pause(),
            Sender::Suppressed { row, attempt } => {
                self.release(sender, row);
                if !self.apply(row, Transition::SkipClaimed, attempt) {
                    self.apply(row, Transition::AbandonClaimed, attempt);
                }
            }
            Sender::Idle | Sender::HoldsMessage { .. } | Sender::Claimed { .. } => {}
        }
    }

    fn record_response(&mut self, sender: usize, row: usize, attempt: u32, response: ApiResponse) {
        let transition = match response.next_action(attempt) {
            NextAction::Accept(_) => Transition::Accept,
            NextAction::Reject(_) => Transition::Reject,
            NextAction::MarkUnconfirmed { .. } => Transition::MarkUnconfirmed,
            NextAction::Retry { .. } => Transition::Retry,
            NextAction::Hold { .. } => {
                self.pause();
                self.senders[sender] = Sender::PausedCampaign { row, attempt };
                return;
            }
        };
        self.release(sender, row);
        let applied = self.apply(row, transition, attempt);
        match transition {
            Transition::Retry => self.ensure_message(row),
            Transition::Accept if !applied => self.check_lost_acceptance(row, attempt),
            _ => {}
        }
    }

    /// An acceptance that the ledger does not take must be there already, unless the operator's choice began another
    /// attempt.
    fn check_lost_acceptance(&mut self, row: usize, attempt: u32) {
        let status = self.rows[row].status;
        let is_shown = status.is_some_and(|status| {
            status.attempt != attempt || status.state == State::Accepted || status.failed
        });
        self.rows[row].lost_acceptance |= !is_shown;
    }

    /// Holds the row of a response that pauses the campaign, before the pause.
    pub(crate) fn hold_first(&mut self, sender: usize) {
        if let Sender::Responded { row, attempt, .. } = self.senders[sender] {
            self.release(sender, row);
            self.apply(row, Transition::Hold, attempt);
            self.senders[sender] = Sender::HeldRow { row };
        }
    }

    fn pause(&mut self) {
        if self.campaign == Phase::Sending {
            self.campaign = Phase::Paused;
        }
    }

    /// The sender no longer works on its claim of the row.
    fn release(&mut self, sender: usize, row: usize) {
        let owner = &mut self.rows[row].owner;
        *owner = owner.filter(|owner| *owner != sender);
    }

    /// Whether a sender has an outcome to record for a row that is still claimed by it.
    pub(crate) fn holds_outcome_under_lease(&self, sender: usize) -> bool {
        match self.senders[sender] {
            Sender::Responded { row, .. }
            | Sender::PausedCampaign { row, .. }
            | Sender::Suppressed { row, .. } => self.rows[row].owner == Some(sender),
            Sender::Idle
            | Sender::HoldsMessage { .. }
            | Sender::Claimed { .. }
            | Sender::HeldRow { .. } => false,
        }
    }

    /// The lease of a sender's claim expires while the sender still tries to record the outcome.
    pub(crate) fn expire_lease(&mut self, sender: usize) {
        if let Sender::Responded { row, .. }
        | Sender::PausedCampaign { row, .. }
        | Sender::Suppressed { row, .. } = self.senders[sender]
        {
            self.release(sender, row);
        }
    }

    /// The process dies. The queue delivers its message again.
    pub(crate) fn crash(&mut self, sender: usize) -> bool {
        let row = match self.senders[sender] {
            Sender::Idle => return false,
            Sender::HoldsMessage { row }
            | Sender::Claimed { row, .. }
            | Sender::Responded { row, .. }
            | Sender::PausedCampaign { row, .. }
            | Sender::HeldRow { row }
            | Sender::Suppressed { row, .. } => row,
        };
        self.senders[sender] = Sender::Idle;
        for row in &mut self.rows {
            row.owner = row.owner.filter(|owner| *owner != sender);
        }
        self.ensure_message(row);
        true
    }
}
