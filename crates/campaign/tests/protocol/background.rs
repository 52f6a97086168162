//! What happens beside the senders: the reconciler, requeueing and callbacks.

use campaign::delivery::ledger::{State, Transition, repair_transition};
use campaign::delivery::requeue::{RequeueDecision, decide_requeue, disposition};

use crate::api::SendEffect;
use crate::system::{LAST_ATTEMPT, Phase, Protocol, System};

impl Protocol {
    /// The reconciler repairs a row. Time is abstract: it may come at any time after the owner's crash, or after the
    /// timeout of an unconfirmed send.
    pub(crate) fn reconcile(&self, system: &mut System, row: usize) {
        let Some(status) = system.rows[row].status else {
            return;
        };
        let owner_is_alive = status.state == State::Claimed && system.rows[row].owner.is_some();
        let now = if owner_is_alive { 0 } else { u64::MAX / 2 };
        let sends = system.campaign == Phase::Sending;
        if let Some(transition) = repair_transition(status, 0, self.policy, sends, now) {
            system.apply(row, transition, status.attempt);
        }
    }

    pub(crate) fn requeue(&self, system: &mut System, row: usize) {
        let disposition = disposition(self.campaign(system.campaign), 0);
        match decide_requeue(system.rows[row].status, None, disposition, 0) {
            RequeueDecision::Enqueue => system.rows[row].messages = 1,
            RequeueDecision::Skip(_) => drop(system.apply(row, Transition::Skip, 0)),
            RequeueDecision::Abandon => drop(system.apply(row, Transition::Abandon, 0)),
            RequeueDecision::Leave => {}
        }
    }

    pub(crate) fn callback(&self, system: &mut System, row: usize, attempt: u32, failed: bool) {
        if !failed {
            system.apply(row, Transition::ApplyStatus, attempt);
            return;
        }
        system.rows[row].sends[attempt as usize - 1] = SendEffect::Undelivered;
        system.apply(row, Transition::ApplyFailure, attempt);
        if self.policy.retry_undelivered && attempt < LAST_ATTEMPT {
            system.apply(row, Transition::RequeueUndelivered, attempt);
        }
    }
}
