//! The time and the results of a run.

use std::collections::BTreeMap;

use campaign::id::NumberId;
use campaign::lifecycle::repair::Snapshot;
use campaign::time::Millis;
use cloud::metrics::Metrics;
use cloud::number_records::NumberRecord;

/// The time that is left for the step in progress when a run stops.
const SHUTDOWN_RESERVE_MS: Millis = 15_000;

/// One run of the reconciler.
#[derive(Debug)]
pub(crate) struct Run {
    /// When it began.
    pub(crate) now: Millis,
    deadline: Millis,
    /// The records of the numbers, read once for all campaigns.
    pub(crate) number_records: BTreeMap<NumberId, NumberRecord>,
    pub(crate) stats: ReconcileStats,
}

impl Run {
    pub(crate) fn new(now: Millis, deadline: Millis) -> Self {
        Self {
            now,
            deadline,
            number_records: BTreeMap::new(),
            stats: ReconcileStats::default(),
        }
    }

    /// Whether no further step may begin.
    pub(crate) fn is_over(&self) -> bool {
        let is_over = cloud::now() + SHUTDOWN_RESERVE_MS > self.deadline;
        if is_over {
            cloud::sometimes!("a run of the reconciler ends because its time is over");
        }
        is_over
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReconcileStats {
    /// Campaigns checked.
    pub campaigns: usize,
    /// Rows that became unconfirmed because their sender died.
    pub unconfirmed: usize,
    /// Unconfirmed rows that are sent again.
    pub resent: usize,
    /// Campaigns whose rows are requeued or settled.
    pub requeued: usize,
    /// Campaigns whose import is resumed.
    pub imports_resumed: usize,
    /// Campaigns closed.
    pub closed: usize,
    /// Jobs that waited and are in their queues now.
    pub jobs_woken: usize,
    /// Batches taken from the dead-letter queue.
    pub dead_letters: usize,
    /// Campaigns that should send and do not.
    pub stalled: usize,
    /// Campaigns whose numbers do not add up.
    pub unbalanced: usize,
    /// Unconfirmed rows per million attempts, in the campaign with the most.
    pub unconfirmed_per_million: usize,
}

impl ReconcileStats {
    /// Adds what the snapshot of a campaign shows.
    pub(crate) fn add_snapshot(&mut self, snapshot: &Snapshot<'_>) {
        let unconfirmed = snapshot.unconfirmed_per_million();
        let unconfirmed = usize::try_from(unconfirmed).unwrap_or(usize::MAX);
        self.unconfirmed_per_million = self.unconfirmed_per_million.max(unconfirmed);
        self.stalled += usize::from(snapshot.is_stalled());
        self.unbalanced += usize::from(!snapshot.progress.balanced);
    }

    /// Writes them to the log and as metrics.
    pub(crate) fn emit(self) {
        tracing::info!(stats = ?self, "reconciled");
        Metrics::for_function("reconciler")
            .add_count("Campaigns", self.campaigns)
            .add_count("Unconfirmed", self.unconfirmed)
            .add_count("Resent", self.resent)
            .add_count("Requeued", self.requeued)
            .add_count("ImportsResumed", self.imports_resumed)
            .add_count("Closed", self.closed)
            .add_count("JobsWoken", self.jobs_woken)
            .add_count("DeadLetters", self.dead_letters)
            .add_count("StalledCampaigns", self.stalled)
            .add_count("UnbalancedCampaigns", self.unbalanced)
            .add_count("UnconfirmedPerMillion", self.unconfirmed_per_million)
            .emit();
    }
}
