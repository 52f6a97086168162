//! Which steps are possible in a state.

use crate::api::{ApiResponse, SendEffect};
use crate::system::{Action, LAST_ATTEMPT, Phase, Protocol, ROWS, SENDERS, Sender, System};

impl Protocol {
    /// Callbacks about every attempt that was accepted, as often as they like.
    pub(crate) fn callbacks(&self, system: &System) -> Vec<Action> {
        let mut callbacks = Vec::new();
        for (row, sends) in system.rows.iter().map(|row| &row.sends).enumerate() {
            for (effect, attempt) in sends.iter().zip(1..) {
                let accepted = matches!(effect, SendEffect::Sent | SendEffect::Undelivered);
                let kinds: &[bool] = match (accepted, self.policy.retry_undelivered) {
                    (false, _) => &[],
                    (true, false) => &[false],
                    (true, true) => &[false, true],
                };
                callbacks.extend(kinds.iter().map(|&failed| Action::Callback {
                    row,
                    attempt,
                    failed,
                }));
            }
        }
        callbacks
    }
}

/// What may happen without any fault.
pub(crate) fn regular_actions(system: &System) -> Vec<Action> {
    let mut actions = Vec::new();
    for (sender, at) in system.senders.iter().enumerate() {
        match *at {
            Sender::Idle => {
                let with_message = (0..ROWS).filter(|&row| system.rows[row].messages > 0);
                actions.extend(with_message.map(|row| Action::Receive { sender, row }));
            }
            Sender::HoldsMessage { .. } => actions.push(Action::Claim(sender)),
            Sender::Claimed { attempt, .. } => {
                let responses = possible_responses(attempt);
                actions.extend(responses.map(|response| Action::Send(sender, response)));
            }
            Sender::Responded { response, .. } => {
                actions.push(Action::Record(sender));
                if response == ApiResponse::CampaignRejected {
                    actions.push(Action::HoldFirst(sender));
                }
            }
            Sender::PausedCampaign { .. } | Sender::HeldRow { .. } | Sender::Suppressed { .. } => {
                actions.push(Action::Record(sender));
            }
        }
    }
    for row in 0..ROWS {
        actions.push(Action::Reconcile(row));
        if system.rows[row].messages == 0 {
            actions.push(Action::Requeue(row));
        }
    }
    actions
}

fn possible_responses(attempt: u32) -> impl Iterator<Item = ApiResponse> {
    let is_last = attempt >= LAST_ATTEMPT;
    ApiResponse::ALL.into_iter().filter(move |response| {
        !is_last
            || matches!(
                response,
                ApiResponse::Accepted | ApiResponse::RecipientRejected
            )
    })
}

/// What may go wrong, or be asked for at a bad moment.
pub(crate) fn faults(system: &System) -> Vec<Action> {
    let mut faults: Vec<Action> = (0..SENDERS)
        .filter(|&sender| system.senders[sender] != Sender::Idle)
        .map(Action::Crash)
        .collect();
    faults.extend(
        (0..SENDERS)
            .filter(|&sender| system.holds_outcome_under_lease(sender))
            .map(Action::ExpireLease),
    );
    for (index, row) in system.rows.iter().enumerate() {
        if row.messages > 0 {
            faults.extend([Action::DuplicateMessage(index), Action::LoseMessage(index)]);
        }
        if !row.suppressed {
            faults.push(Action::OptOut(index));
        }
    }
    if system.campaign == Phase::Sending {
        faults.extend([Action::Pause, Action::Cancel]);
    }
    faults
}

pub(crate) fn is_fault(action: Action) -> bool {
    match action {
        Action::Crash(_)
        | Action::ExpireLease(_)
        | Action::DuplicateMessage(_)
        | Action::LoseMessage(_)
        | Action::OptOut(_)
        | Action::Pause
        | Action::Cancel => true,
        Action::Receive { .. }
        | Action::Claim(_)
        | Action::Send(..)
        | Action::Record(_)
        | Action::HoldFirst(_)
        | Action::Callback { .. }
        | Action::Reconcile(_)
        | Action::Requeue(_)
        | Action::Resume => false,
    }
}
