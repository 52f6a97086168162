//! The state that is explored, and the steps that change it.

use campaign::delivery::ledger::{RowStatus, State, Transition, apply};
use campaign::id::CampaignId;
use campaign::lifecycle::campaign::{
    Campaign, CampaignState, FileInfo, FileStage, OnUnconfirmed, Pause, PausedBy, Policy,
};
use campaign::lifecycle::counters::{Counters, RowFacts};
use campaign::message::Message;
use serde_json::json;

use crate::api::{ApiResponse, SendEffect};

pub(crate) const ROWS: usize = 2;
pub(crate) const SENDERS: usize = 2;

/// At this attempt the API gives a final response, so that every run ends.
pub(crate) const LAST_ATTEMPT: u32 = 2;

/// What stays the same during a run.
pub(crate) struct Protocol {
    pub(crate) faults: u8,
    pub(crate) policy: Policy,
    campaigns: [Campaign; 3],
}

/// One state of the whole system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct System {
    pub(crate) rows: [Row; ROWS],
    pub(crate) senders: [Sender; SENDERS],
    pub(crate) campaign: Phase,
    /// The counters of the ledger's states, kept as the counter function keeps them.
    pub(crate) counts: [i64; 7],
    /// How many more crashes, expired leases, duplicated and lost messages, pauses, cancels and opt-outs may happen.
    pub(crate) faults: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) status: Option<RowStatus>,
    /// The sender that claimed it last, until that sender records the outcome, crashes or loses its lease.
    pub(crate) owner: Option<usize>,
    /// What each send left behind, in order.
    pub(crate) sends: Vec<SendEffect>,
    /// Messages in the queue.
    pub(crate) messages: u8,
    /// The recipient opted out.
    pub(crate) suppressed: bool,
    /// A sender recorded an acceptance of the latest attempt, and the row does not show it. Must not happen.
    pub(crate) lost_acceptance: bool,
}

/// Where a sender is. It holds a queue message from the first step to the last, and deletes it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sender {
    Idle,
    HoldsMessage {
        row: usize,
    },
    /// It claimed the row and has seen that the campaign is sending.
    Claimed {
        row: usize,
        attempt: u32,
    },
    /// The send is over; its outcome is not recorded yet.
    Responded {
        row: usize,
        attempt: u32,
        response: ApiResponse,
    },
    /// The campaign is paused; the row is not held yet.
    PausedCampaign {
        row: usize,
        attempt: u32,
    },
    /// The row is held; the campaign is not paused yet.
    HeldRow {
        row: usize,
    },
    /// It claimed the row and found that the recipient has opted out.
    Suppressed {
        row: usize,
        attempt: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    Sending,
    Paused,
    Cancelled,
}

/// A step. The numbers are indexes of senders and rows, and an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Receive {
        sender: usize,
        row: usize,
    },
    Claim(usize),
    Send(usize, ApiResponse),
    Record(usize),
    /// The response pauses the campaign, and the row is held before the pause is stored.
    HoldFirst(usize),
    /// A sender cannot record its outcome before the lease of its claim expires; others take it for dead.
    ExpireLease(usize),
    Crash(usize),
    DuplicateMessage(usize),
    LoseMessage(usize),
    /// A callback about an attempt that was accepted; `failed` when it says that the message was not delivered.
    Callback {
        row: usize,
        attempt: u32,
        failed: bool,
    },
    Reconcile(usize),
    /// The splitter puts a row into the queue again, or settles it.
    Requeue(usize),
    OptOut(usize),
    Pause,
    Resume,
    Cancel,
}

impl Protocol {
    pub(crate) fn new(faults: u8, on_unconfirmed: OnUnconfirmed, retry_undelivered: bool) -> Self {
        let policy = Policy {
            on_unconfirmed,
            retry_undelivered,
            ..Policy::default()
        };
        Self {
            faults,
            policy,
            campaigns: [
                CampaignState::Sending,
                CampaignState::Paused,
                CampaignState::Cancelled,
            ]
            .map(campaign_in),
        }
    }

    /// The campaign as the rules see it.
    pub(crate) fn campaign(&self, phase: Phase) -> &Campaign {
        &self.campaigns[phase as usize]
    }
}

impl System {
    pub(crate) fn new(faults: u8) -> Self {
        let row = Row {
            status: None,
            owner: None,
            sends: Vec::new(),
            messages: 1,
            suppressed: false,
            lost_acceptance: false,
        };
        Self {
            rows: [row.clone(), row],
            senders: [Sender::Idle; SENDERS],
            campaign: Phase::Sending,
            counts: [0; 7],
            faults,
        }
    }

    /// Applies a transition; the counters follow from the change. Returns whether the ledger allowed it.
    pub(crate) fn apply(&mut self, row: usize, transition: Transition, attempt: u32) -> bool {
        let old = self.rows[row].status;
        let Some(new) = apply(old, transition, attempt) else {
            return false;
        };
        self.rows[row].status = Some(new);
        let mut counters = counters_of(self.counts);
        counters.apply_change(old.map(row_facts), row_facts(new));
        self.counts = state_counts(&counters);
        true
    }

    /// Puts the row's message into the queue, unless one is there.
    pub(crate) fn ensure_message(&mut self, row: usize) {
        self.rows[row].messages = self.rows[row].messages.max(1);
    }

    /// The counters as a recount of the ledger gives them.
    pub(crate) fn recount(&self) -> [i64; 7] {
        let mut counters = Counters::default();
        for status in self.rows.iter().filter_map(|row| row.status) {
            counters.apply_change(None, row_facts(status));
        }
        state_counts(&counters)
    }
}

impl Row {
    pub(crate) fn is_in(&self, state: State) -> bool {
        self.status.is_some_and(|status| status.state == state)
    }
}

fn campaign_in(state: CampaignState) -> Campaign {
    let id: CampaignId = "c1".parse().expect("id");
    let file = FileInfo {
        name: "a.csv".into(),
        size: 1,
    };
    let message = Message::new(json!({})).expect("message");
    let mut campaign = Campaign::new(id, "Test".into(), message, file, 0);
    campaign.files[0].stage = FileStage::Enqueued;
    match state {
        CampaignState::Cancelled => campaign.cancelled_at = Some(0),
        CampaignState::Paused => {
            let reason = "Why.".into();
            campaign.paused = Some(Pause {
                reason,
                by: PausedBy::Operator,
                at: 0,
                is_pausing_others: false,
            });
        }
        _ => {}
    }
    assert_eq!(campaign.state(0), state);
    campaign
}

fn row_facts(row: RowStatus) -> RowFacts {
    RowFacts {
        state: row.state,
        attempt: row.attempt,
        claimed_at: 0,
        sent: false,
        delivered: false,
        read: false,
        failed: row.failed,
        abandoned: row.abandoned,
        cause: None,
        delivered_at: None,
        read_at: None,
    }
}

fn counters_of(counts: [i64; 7]) -> Counters {
    let [
        claimed,
        retry,
        held,
        accepted,
        rejected,
        unconfirmed,
        skipped,
    ] = counts;
    Counters {
        claimed,
        retry,
        held,
        accepted,
        rejected,
        unconfirmed,
        skipped,
        ..Counters::default()
    }
}

fn state_counts(counters: &Counters) -> [i64; 7] {
    [
        counters.claimed,
        counters.retry,
        counters.held,
        counters.accepted,
        counters.rejected,
        counters.unconfirmed,
        counters.skipped,
    ]
}
