//! What must hold in every state, and what must be reachable.

use campaign::delivery::ledger::State;
use campaign::lifecycle::campaign::OnUnconfirmed;
use stateright::{Model, Property};

use crate::actions::regular_actions;
use crate::api::{ApiResponse, SendEffect};
use crate::system::{Action, Phase, Protocol, Row, SENDERS, Sender, System};

/// Steps after which every row must have settled.
const SETTLE_STEPS: usize = 60;

pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(
            "no send follows one that may have arrived, unless the policy allows it",
            |model: &Protocol, system: &System| {
                model.policy.on_unconfirmed == OnUnconfirmed::Resend
                    || system.rows.iter().all(earlier_sends_did_not_arrive)
            },
        ),
        Property::always(
            "a row that was sent is not shown as not sent",
            |_, system: &System| system.rows.iter().all(shows_what_was_sent),
        ),
        Property::always("an accepted row was accepted", |_, system: &System| {
            system.rows.iter().all(|row| {
                let accepted =
                    |send: &SendEffect| matches!(send, SendEffect::Sent | SendEffect::Undelivered);
                !row.is_in(State::Accepted) || row.sends.iter().any(accepted)
            })
        }),
        Property::always(
            "an acceptance that is recorded is shown",
            |_, system: &System| !system.rows.iter().any(|row| row.lost_acceptance),
        ),
        Property::always("every send is an attempt", |_, system: &System| {
            system.rows.iter().all(|row| {
                row.sends.len() <= row.status.map_or(0, |status| status.attempt as usize)
            })
        }),
        Property::always("counters equal the ledger", |_, system: &System| {
            system.recount() == system.counts
        }),
        Property::always(
            "every row settles once faults end",
            |model: &Protocol, system: &System| settles(model, system),
        ),
        Property::sometimes("a row is unconfirmed", |_, system: &System| {
            let unconfirmed = |row: &Row| row.status.is_some_and(|status| status.was_unconfirmed);
            system.rows.iter().any(unconfirmed)
        }),
        Property::sometimes("a cancelled campaign skips a row", |_, system: &System| {
            system.rows.iter().any(|row| row.is_in(State::Skipped))
        }),
    ]
}

fn earlier_sends_did_not_arrive(row: &Row) -> bool {
    let before_last = row.sends.len().saturating_sub(1);
    row.sends[..before_last]
        .iter()
        .all(|send| matches!(send, SendEffect::NotSent | SendEffect::Undelivered))
}

fn shows_what_was_sent(row: &Row) -> bool {
    let shown = row.status.is_some_and(|status| match status.state {
        State::Accepted | State::Claimed | State::Unconfirmed => true,
        State::Retry | State::Held | State::Rejected => status.was_unconfirmed,
        State::Skipped => false,
    });
    shown || !row.sends.contains(&SendEffect::Sent)
}

/// Whether every row settles after faults end and an operator resumes, in a bounded number of steps.
fn settles(model: &Protocol, system: &System) -> bool {
    let mut system = system.clone();
    for _ in 0..SETTLE_STEPS {
        if system.campaign == Phase::Paused {
            system.campaign = Phase::Sending;
        }
        let idle = system.senders == [Sender::Idle; SENDERS];
        if idle
            && system
                .rows
                .iter()
                .all(|row| is_settled(model, &system, row))
        {
            return true;
        }
        let mut actions = regular_actions(&system);
        actions.retain(succeeds);
        // A sender that has begun continues first: otherwise two senders could alternate on a row for ever.
        actions.sort_by_key(|action| match action {
            Action::Record(_) | Action::Send(..) => 0,
            Action::Claim(_) => 1,
            _ => 2,
        });
        let next = actions
            .into_iter()
            .find_map(|action| model.next_state(&system, action));
        match next {
            Some(next) => system = next,
            None => return false,
        }
    }
    false
}

fn succeeds(action: &Action) -> bool {
    match action {
        Action::Send(_, response) => *response == ApiResponse::Accepted,
        _ => true,
    }
}

fn is_settled(model: &Protocol, system: &System, row: &Row) -> bool {
    let resends =
        model.policy.on_unconfirmed == OnUnconfirmed::Resend && system.campaign == Phase::Sending;
    row.status.is_some_and(|status| match status.state {
        State::Accepted | State::Rejected | State::Skipped => true,
        State::Unconfirmed => !resends || status.abandoned,
        State::Claimed | State::Retry | State::Held => false,
    })
}
