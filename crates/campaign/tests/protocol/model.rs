//! The model as stateright explores it: what each step does to a state.

use stateright::{Model, Property};

use crate::actions::{faults, is_fault, regular_actions};
use crate::properties;
use crate::system::{Action, Phase, Protocol, Sender, System};

impl Model for Protocol {
    type State = System;
    type Action = Action;

    fn init_states(&self) -> Vec<System> {
        vec![System::new(self.faults)]
    }

    fn actions(&self, system: &System, actions: &mut Vec<Action>) {
        actions.extend(regular_actions(system));
        actions.extend(self.callbacks(system));
        if system.faults > 0 {
            actions.extend(faults(system));
        }
        if system.campaign == Phase::Paused {
            actions.push(Action::Resume);
        }
    }

    fn next_state(&self, before: &System, action: Action) -> Option<System> {
        let mut system = before.clone();
        if is_fault(action) {
            system.faults -= 1;
        }
        match action {
            Action::Receive { sender, row } => {
                system.rows[row].messages -= 1;
                system.senders[sender] = Sender::HoldsMessage { row };
            }
            Action::Claim(sender) => {
                if let Sender::HoldsMessage { row } = system.senders[sender] {
                    system.claim(sender, row);
                }
            }
            Action::Send(sender, response) => system.send(sender, response),
            Action::Record(sender) => system.record(sender),
            Action::HoldFirst(sender) => system.hold_first(sender),
            Action::ExpireLease(sender) => system.expire_lease(sender),
            Action::Crash(sender) if system.crash(sender) => {}
            Action::Crash(_) => return None,
            Action::DuplicateMessage(row) => system.rows[row].messages += 1,
            Action::LoseMessage(row) => system.rows[row].messages -= 1,
            Action::Callback {
                row,
                attempt,
                failed,
            } => self.callback(&mut system, row, attempt, failed),
            Action::Reconcile(row) => self.reconcile(&mut system, row),
            Action::Requeue(row) => self.requeue(&mut system, row),
            Action::OptOut(row) => system.rows[row].suppressed = true,
            Action::Pause => system.campaign = Phase::Paused,
            Action::Resume => system.campaign = Phase::Sending,
            Action::Cancel => system.campaign = Phase::Cancelled,
        }
        (system != *before).then_some(system)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
