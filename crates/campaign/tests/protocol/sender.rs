//! The sender's steps: claim a row, send, record the outcome.

use campaign::delivery::ledger::{State, Transition};
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
        if self.rows[row].suppressed {
            if !self.apply(row, Transition::Skip, 0) {
                self.apply(row, Transition::Abandon, 0);
            }
            return;
        }
        if self.apply(row, Transition::Claim, 0) {
            self.rows[row].owner = Some(sender);
            let attempt = self.rows[row].status.map_or(0, |status| status.attempt);
            self.senders[sender] = Sender::Claimed { row, attempt };
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

    /// Records the outcome of a send. Where it pauses the campaign, the pause comes first and the row is held in a step
    /// of its own.
    pub(crate) fn record(&mut self, sender: usize) {
        let at = std::mem::replace(&mut self.senders[sender], Sender::Idle);
        match at {
            Sender::Responded {
                row,
                attempt,
                response,
            } => self.record_response(sender, row, attempt, response),
            Sender::PausedCampaign { row, attempt } => {
                self.apply(row, Transition::Hold, attempt);
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
                if self.campaign == Phase::Sending {
                    self.campaign = Phase::Paused;
                }
                self.senders[sender] = Sender::PausedCampaign { row, attempt };
                return;
            }
        };
        self.rows[row].owner = None;
        if self.apply(row, transition, attempt) && transition == Transition::Retry {
            self.ensure_message(row);
        }
    }

    /// The process dies. The queue delivers its message again.
    pub(crate) fn crash(&mut self, sender: usize) -> bool {
        let row = match self.senders[sender] {
            Sender::Idle => return false,
            Sender::HoldsMessage { row }
            | Sender::Claimed { row, .. }
            | Sender::Responded { row, .. }
            | Sender::PausedCampaign { row, .. } => row,
        };
        self.senders[sender] = Sender::Idle;
        for row in &mut self.rows {
            row.owner = row.owner.filter(|owner| *owner != sender);
        }
        self.ensure_message(row);
        true
    }
}
