//! What the reconciler does about a campaign: it repairs what a dead invocation, a lost message or a passed time left
//! undone.
//!
//! Every repair may be repeated without harm, so the reconciler may stop at any point.

use crate::delivery::number_suspension::NumberSuspensions;
use crate::lifecycle::apply::UPLOAD_WATCH_MS;
use crate::lifecycle::campaign::{AfterCanary, Campaign, CampaignState, FileStage, Sendability};
use crate::lifecycle::progress::{Progress, unconfirmed_to_resend};
use crate::time::Millis;

/// After this long without any activity, a campaign with an empty queue has lost its messages.
const IDLE_MS: Millis = 120_000;

/// A job that requeues rows has begun within this time, or is lost.
const REQUEUE_JOB_MS: Millis = 10 * 60_000;

/// After this long without any activity, a campaign is requeued even if the queue is not empty.
const FORCED_REQUEUE_MS: Millis = 30 * 60_000;

/// After this long without any activity, a campaign that should send raises an alarm.
const STALLED_MS: Millis = 15 * 60_000;

/// How long callbacks are awaited after the last canary row.
const CANARY_CALLBACK_MS: Millis = 180_000;

/// What is to be done about a campaign.
#[derive(Clone, Debug, PartialEq)]
pub enum RepairAction {
    /// No row is left to send: the reconciler no longer checks the campaign.
    Close,
    /// The splitter continues with the campaign's files.
    ResumeImport,
    /// The splitter puts every unsettled row into the queue again, or settles it.
    Requeue,
    /// The canary rows succeeded: the others follow.
    ReleaseCanary,
    /// The canary rows failed: the campaign pauses, for this reason.
    Pause(String),
}

/// What the reconciler knows of a campaign.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// The campaign.
    pub campaign: &'a Campaign,
    /// Its numbers.
    pub progress: &'a Progress,
    /// Whether the send queue is empty.
    pub queue_is_empty: bool,
    /// What stops its numbers.
    pub suspensions: NumberSuspensions,
    /// Now.
    pub now: Millis,
}

impl Snapshot<'_> {
    /// Whether the ledger must be read for rows that need a repair. Not while rows are being sent, unless it was last
    /// read long ago.
    pub fn needs_ledger_scan(&self) -> bool {
        let counters = &self.progress.counters;
        let unconfirmed = unconfirmed_to_resend(self.campaign, counters, self.now);
        let has_candidates = counters.claimed > 0 || counters.retry > 0 || unconfirmed > 0;
        let last_scan = self
            .campaign
            .reconciled_at
            .unwrap_or(self.campaign.created_at);
        let is_idle = self.idle_ms() >= IDLE_MS && !self.must_wait();
        let is_due = is_idle || self.elapsed_ms(last_scan) >= FORCED_REQUEUE_MS;
        has_candidates && (is_due || self.wait_is_over())
    }

    /// What is to be done; `overdue` is the number of retries that are due, where the ledger was read.
    pub fn repair_action(&self, overdue: usize) -> Option<RepairAction> {
        use CampaignState::{
            AwaitingUpload, Canary, Cancelled, Enqueuing, Failed, Paused, Ready, Scheduled,
            Sending, Validating,
        };
        match self.campaign.state(self.now) {
            AwaitingUpload | Failed if self.may_have_lost_upload() => {
                Some(RepairAction::ResumeImport)
            }
            AwaitingUpload | Failed => Some(RepairAction::Close),
            Cancelled if self.unsent_rows() == 0 || self.campaign.has_lost_file() => {
                Some(RepairAction::Close)
            }
            Cancelled => self.import_is_dead().then_some(RepairAction::Requeue),
            Validating | Enqueuing => self.import_is_dead().then_some(RepairAction::ResumeImport),
            Canary => self.canary_action(overdue),
            // First of all: a further file that is announced and not uploaded is looked for during hours.
            Sending if self.wait_is_over() && self.has_rows(self.progress.waiting, overdue) => {
                Some(RepairAction::Requeue)
            }
            Sending | Paused if self.further_file_waits() => Some(RepairAction::ResumeImport),
            Sending if self.progress.finished || self.has_only_lost_rows() => {
                Some(RepairAction::Close)
            }
            Sending => self.requeue_if_idle(self.progress.waiting, overdue),
            Ready | Scheduled | Paused => None,
        }
    }

    /// Whether the campaign should send, has rows to send, and nothing has happened for long: this raises an alarm.
    pub fn is_stalled(&self) -> bool {
        let is_sendable = self.campaign.sendability(self.now) == Sendability::Now;
        // Where each recipient has its own hours, nobody knows whether one of them should get it now.
        let may_wait = self.campaign.schedule.has_own_hours()
            || self.suspensions.is_any_paused
            || self.must_wait();
        let should_send = is_sendable && !may_wait;
        should_send && self.unsent_rows() > 0 && self.idle_ms() >= STALLED_MS
    }

    /// Unconfirmed rows per million attempts.
    pub fn unconfirmed_per_million(&self) -> u64 {
        let counters = &self.progress.counters;
        let unconfirmed = counters.unconfirmed.max(0) as u64;
        unconfirmed * 1_000_000 / counters.attempts.max(1) as u64
    }

    /// Whether no invocation reads the campaign's files, and nothing else has happened for a while.
    fn import_is_dead(&self) -> bool {
        !self.campaign.is_importing(self.now) && self.idle_ms() >= IDLE_MS
    }

    /// Whether the time for sends is over, and what is left cannot be settled, because its file can be read no more.
    fn has_only_lost_rows(&self) -> bool {
        self.campaign.has_ended(self.now) && self.campaign.has_lost_file()
    }

    /// Whether a further file was uploaded and nobody reads it, or may have been without an event.
    fn further_file_waits(&self) -> bool {
        let is_dead = !self.campaign.is_importing(self.now);
        is_dead && self.campaign.has_file_in(FileStage::Reading) || self.may_have_lost_upload()
    }

    /// Whether the event of an upload may have been lost.
    fn may_have_lost_upload(&self) -> bool {
        self.campaign.files.iter().any(|file| {
            let age = self.elapsed_ms(file.added_at);
            file.stage == FileStage::Pending && (5 * IDLE_MS..UPLOAD_WATCH_MS).contains(&age)
        })
    }

    fn canary_action(&self, overdue: usize) -> Option<RepairAction> {
        let canary = self.campaign.canary?;
        let counters = &self.progress.counters;
        let enqueued = canary.enqueued.unwrap_or_default();
        let missing = enqueued as i64 - counters.in_ledger();
        let unsettled = enqueued as i64 - counters.settled();
        if unsettled > 0 || canary.after == AfterCanary::Wait {
            return self.requeue_if_idle(missing, overdue);
        }
        if self.idle_ms() < CANARY_CALLBACK_MS {
            return None;
        }
        let failed = counters.rejected + counters.unconfirmed + counters.undelivered;
        if counters.accepted + failed == 0 {
            return Some(RepairAction::Pause(
                "None of the canary rows was sent: their recipients are suppressed, or were skipped. Check why (GET /v1/campaigns/{id}/rows?state=skipped), then resume and continue, or cancel.".into(),
            ));
        }
        let max_failed = self.campaign.policy.max_failure_ratio * enqueued as f64;
        if failed as f64 <= max_failed {
            return Some(RepairAction::ReleaseCanary);
        }
        Some(RepairAction::Pause(format!(
            "{failed} of the {enqueued} canary rows failed. Check why (GET /v1/campaigns/{{id}}/rows?state=rejected), then resume and continue, or cancel."
        )))
    }

    /// Requeues a campaign in which nothing happens, where rows should be in the queue: `missing` rows that are not in
    /// the ledger, held rows, overdue retries, and after the schedule's end every unsettled row.
    ///
    /// What waits is requeued at once when its window opens or its number is resumed. While the window is closed or all numbers
    /// are paused, nothing is requeued, even if a window opens meanwhile. Rows of recipients with hours of their own, or of one
    /// paused number, may wait all day: then only the longer time without activity shows that some are lost.
    fn requeue_if_idle(&self, missing: i64, overdue: usize) -> Option<RepairAction> {
        let has_rows = self.has_rows(missing, overdue);
        let has_expired = self.campaign.sendability(self.now) == Sendability::Expired;
        let needs_settling = has_expired && self.unsent_rows() > 0;
        // Rows of other zones, or of a paused number, may be all that is left.
        let others_may_wait =
            self.campaign.schedule.has_own_hours() || self.suspensions.is_any_paused;
        let is_suspicious = self.queue_is_empty && (has_expired || !others_may_wait);
        let queue_lost_rows = is_suspicious && self.idle_ms() >= IDLE_MS;
        let is_idle = queue_lost_rows || self.idle_ms() >= FORCED_REQUEUE_MS;
        let should_requeue = match has_expired {
            true => (has_rows || needs_settling) && is_idle,
            false => has_rows && (self.wait_is_over() || is_idle && !self.must_wait()),
        };
        should_requeue.then_some(RepairAction::Requeue)
    }

    /// Whether rows should be in the queue: `missing` ones that are not in the ledger, held ones or overdue retries.
    fn has_rows(&self, missing: i64, overdue: usize) -> bool {
        missing > 0 || self.progress.counters.held > 0 || overdue > 0
    }

    /// Whether none of its rows may be sent now.
    fn must_wait(&self) -> bool {
        self.campaign.schedule.is_closed_for_all(self.now) || self.suspensions.are_all_paused
    }

    /// Whether rows that were not requeued since wait no more: their window has opened, or their number was resumed.
    fn wait_is_over(&self) -> bool {
        let opens_at = self.campaign.window_opens_at;
        let has_opened = opens_at.is_some_and(|at| at <= self.now);
        (has_opened || self.must_requeue_resumed()) && !self.suspensions.are_all_paused
    }

    /// Whether a number was resumed after the latest requeue began, and no job for that can still be on its way.
    pub fn must_requeue_resumed(&self) -> bool {
        let Campaign {
            created_at,
            requeue_began_at,
            enqueued_at,
            ..
        } = *self.campaign;
        let is_newer = |at: Millis| {
            let has_no_job = enqueued_at.is_none_or(|enqueued_at| enqueued_at <= at);
            at >= requeue_began_at.unwrap_or(created_at)
                && (has_no_job || self.elapsed_ms(at) >= REQUEUE_JOB_MS)
        };
        self.suspensions.resumed_at.is_some_and(is_newer)
    }

    /// Rows that are being sent or may still be sent.
    fn unsent_rows(&self) -> i64 {
        let counters = &self.progress.counters;
        self.progress.waiting + counters.claimed + counters.retry + counters.held
    }

    /// How long nothing has happened: no attempt, no requeueing, no cooldown, no opening of the window.
    fn idle_ms(&self) -> Millis {
        let cooldown = self.campaign.cooldown.as_ref();
        let activities = [
            Some(self.campaign.created_at),
            self.campaign.enqueued_at,
            self.progress.counters.last_attempt_at,
            cooldown.map(|cooldown| cooldown.until),
            self.suspensions.cooldown_until,
            self.campaign.window_opens_at.filter(|&at| at <= self.now),
        ];
        let latest = activities.into_iter().flatten().max();
        self.elapsed_ms(latest.unwrap_or_default())
    }

    fn elapsed_ms(&self, since: Millis) -> Millis {
        self.now.saturating_sub(since)
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;
    use crate::lifecycle::apply;
    use crate::lifecycle::campaign;
    use crate::lifecycle::campaign::tests::sample;
    use crate::lifecycle::campaign::{CampaignFile, ImportOptions};
    use crate::lifecycle::counters::Counters;
    use crate::lifecycle::daily_window::{DailyWindow, Day};
    use crate::lifecycle::event::{Conflict, Event};
    use crate::lifecycle::progress::compute_progress;

    const HOUR: Millis = 3_600_000;

    fn action_for(
        campaign: &Campaign,
        counters: Counters,
        queue_is_empty: bool,
        now: Millis,
    ) -> Option<RepairAction> {
        let progress = compute_progress(campaign, counters, 40, now);
        Snapshot {
            campaign,
            progress: &progress,
            queue_is_empty,
            suspensions: NumberSuspensions::default(),
            now,
        }
        .repair_action(0)
    }

    fn accepted(accepted: i64, last_attempt_at: Millis) -> Counters {
        Counters {
            accepted,
            last_attempt_at: Some(last_attempt_at),
            ..Counters::default()
        }
    }

    #[test]
    fn idle_campaign_is_requeued_and_active_one_is_not() {
        let sending = sample(CampaignState::Sending);
        assert_eq!(
            action_for(&sending, accepted(90, HOUR), true, HOUR),
            Some(RepairAction::Close)
        );
        assert_eq!(
            action_for(&sending, accepted(89, HOUR), true, HOUR + 1000),
            None,
            "just attempted"
        );
        assert_eq!(
            action_for(&sending, accepted(89, HOUR), true, HOUR + IDLE_MS),
            Some(RepairAction::Requeue)
        );
        assert_eq!(
            action_for(&sending, accepted(89, HOUR), false, HOUR + IDLE_MS),
            None,
            "still in the queue"
        );
        assert_eq!(
            action_for(
                &sending,
                accepted(89, HOUR),
                false,
                HOUR + FORCED_REQUEUE_MS
            ),
            Some(RepairAction::Requeue)
        );
        let mut requeued = sending.clone();
        requeued.enqueued_at = Some(HOUR + IDLE_MS);
        assert_eq!(
            action_for(&requeued, accepted(89, HOUR), true, HOUR + IDLE_MS + 1),
            None,
            "just requeued"
        );
        let paused = sample(CampaignState::Paused);
        assert_eq!(
            action_for(&paused, accepted(89, 0), true, HOUR),
            None,
            "the operator paused it"
        );
    }

    #[test]
    fn expired_campaign_is_settled_even_when_paused() {
        for (state, stage, expected) in [
            (
                CampaignState::Paused,
                FileStage::Enqueued,
                RepairAction::Requeue,
            ),
            (
                CampaignState::Scheduled,
                FileStage::Validated,
                RepairAction::ResumeImport,
            ),
            (
                CampaignState::Ready,
                FileStage::Validated,
                RepairAction::ResumeImport,
            ),
            (
                CampaignState::Paused,
                FileStage::Reading,
                RepairAction::ResumeImport,
            ),
            (
                CampaignState::Sending,
                FileStage::Enqueued,
                RepairAction::Requeue,
            ),
        ] {
            let mut late = sample(state);
            late.files[0].stage = stage;
            late.schedule.not_after = Some(HOUR);
            let action = |now| action_for(&late, accepted(89, 0), true, now);
            assert_eq!(action(HOUR), Some(expected), "{state:?} {stage:?}");
            // A file is also read while the campaign is paused.
            if state != CampaignState::Sending && stage != FileStage::Reading {
                assert_eq!(action(HOUR - 1), None, "{state:?} {stage:?}");
            }
        }
        let mut early = sample(CampaignState::Scheduled);
        early.schedule.not_before = Some(HOUR);
        let action = |now| action_for(&early, Counters::default(), true, now);
        assert_eq!(action(HOUR - 1), None);
        assert_eq!(action(HOUR), Some(RepairAction::ResumeImport));
    }

    /// A campaign that sends from 09:00 to 20:00 UTC, with 89 of its 90 rows accepted at 12:00.
    fn in_window(zone: &str) -> (Campaign, Counters) {
        let mut campaign = sample(CampaignState::Sending);
        let [from, to] = ["09:00", "20:00"].map(|time| time.parse().expect("a time"));
        let zone = zone.parse().expect("a zone");
        let window = DailyWindow::new(from, to, zone, Day::VARIANTS.to_vec());
        campaign.schedule.window = Some(window.expect("a window"));
        campaign.sendable_until = Millis::MAX;
        (campaign, accepted(89, 12 * HOUR))
    }

    #[test]
    fn row_that_waits_for_the_window_is_requeued_when_it_opens_and_not_before() {
        let (mut campaign, counters) = in_window("UTC");
        campaign.window_opens_at = Some(33 * HOUR);
        let action =
            |campaign: &Campaign, empty, now| action_for(campaign, counters.clone(), empty, now);
        let requeue = Some(RepairAction::Requeue);
        let lost = 12 * HOUR + IDLE_MS;
        assert_eq!(action(&campaign, true, lost), requeue, "it is open");
        for now in [20 * HOUR, 33 * HOUR - 1] {
            assert_eq!(action(&campaign, true, now), None);
            assert_eq!(action(&campaign, false, now), None);
        }
        assert_eq!(action(&campaign, false, 33 * HOUR), requeue);
        // Afterwards, what is lost is seen as usual.
        campaign.window_opens_at = Some(57 * HOUR);
        campaign.enqueued_at = Some(33 * HOUR);
        assert_eq!(action(&campaign, true, 33 * HOUR + IDLE_MS - 1), None);
        assert_eq!(action(&campaign, true, 33 * HOUR + IDLE_MS), requeue);
        // A further file that nobody uploads changes nothing.
        campaign.window_opens_at = Some(57 * HOUR);
        let mut file = CampaignFile::pending(
            campaign.files[0].info.clone(),
            ImportOptions::default(),
            57 * HOUR - 10 * IDLE_MS,
        );
        file.stage = FileStage::Pending;
        campaign.files.push(file);
        assert_eq!(action(&campaign, false, 57 * HOUR), requeue);
        campaign.files.pop();
        // The end of its time comes at night, too.
        campaign.schedule.not_after = Some(45 * HOUR);
        assert_eq!(action(&campaign, true, 45 * HOUR), requeue);
    }

    #[test]
    fn rows_of_other_zones_may_wait_while_the_queue_is_empty() {
        let (mut campaign, counters) = in_window("recipient");
        campaign.window_opens_at = Some(18 * HOUR);
        let action = |empty, now| action_for(&campaign, counters.clone(), empty, now);
        assert_eq!(action(true, 12 * HOUR + FORCED_REQUEUE_MS - 1), None);
        let requeue = Some(RepairAction::Requeue);
        assert_eq!(action(true, 12 * HOUR + FORCED_REQUEUE_MS), requeue);
        assert_eq!(action(false, 18 * HOUR), requeue);
    }

    #[test]
    fn campaign_that_waits_for_its_window_is_not_stalled() {
        for (zone, queue_is_empty, now, is_stalled) in [
            ("UTC", true, 12 * HOUR + STALLED_MS, true),
            ("UTC", false, 32 * HOUR, false),
            ("UTC", false, 33 * HOUR, false),
            ("UTC", false, 33 * HOUR + STALLED_MS, true),
            ("recipient", true, 12 * HOUR + STALLED_MS, false),
            ("recipient", false, 12 * HOUR + STALLED_MS, false),
        ] {
            let (mut campaign, counters) = in_window(zone);
            campaign.window_opens_at = Some(33 * HOUR);
            let progress = compute_progress(&campaign, counters, 40, now);
            let snapshot = Snapshot {
                campaign: &campaign,
                progress: &progress,
                queue_is_empty,
                suspensions: NumberSuspensions::default(),
                now,
            };
            assert_eq!(snapshot.is_stalled(), is_stalled, "{zone} {now}");
        }
    }

    /// What is done about a campaign with 89 of 90 rows accepted in the first hour, and whether it is stalled.
    fn suspended(suspensions: NumberSuspensions, now: Millis) -> (Option<RepairAction>, bool) {
        let mut campaign = sample(CampaignState::Sending);
        campaign.enqueued_at = Some(HOUR);
        campaign.sendable_until = Millis::MAX;
        let progress = compute_progress(&campaign, accepted(89, HOUR), 40, now);
        let snapshot = Snapshot {
            campaign: &campaign,
            progress: &progress,
            queue_is_empty: true,
            suspensions,
            now,
        };
        (snapshot.repair_action(0), snapshot.is_stalled())
    }

    #[test]
    fn rows_of_a_paused_number_wait_until_it_is_resumed() {
        let requeue = Some(RepairAction::Requeue);
        let late = HOUR + 10 * FORCED_REQUEUE_MS;
        let all = NumberSuspensions {
            is_any_paused: true,
            are_all_paused: true,
            ..NumberSuspensions::default()
        };
        assert_eq!(suspended(all, late), (None, false));
        let one = NumberSuspensions {
            are_all_paused: false,
            ..all
        };
        // Rows of the other may be lost: that is looked at, but not in every run.
        assert_eq!(suspended(one, HOUR + IDLE_MS), (None, false));
        assert_eq!(
            suspended(one, HOUR + FORCED_REQUEUE_MS),
            (requeue.clone(), false)
        );
        let resumed = |at| NumberSuspensions {
            resumed_at: Some(at),
            ..NumberSuspensions::default()
        };
        assert_eq!(
            suspended(resumed(HOUR + 1), HOUR + 2),
            (requeue.clone(), false)
        );
        // They were enqueued since, perhaps by a job that looked before; one that follows from the resume may be late.
        let just_after = |now| suspended(resumed(HOUR - 1), now).0;
        assert_eq!(just_after(HOUR + 2), None);
        assert_eq!(just_after(HOUR - 1 + REQUEUE_JOB_MS), requeue);
        let cooling_down = NumberSuspensions {
            cooldown_until: Some(late),
            ..NumberSuspensions::default()
        };
        assert_eq!(suspended(cooling_down, late + IDLE_MS - 1), (None, false));
        assert_eq!(suspended(cooling_down, late + IDLE_MS).0, requeue);
    }

    #[test]
    fn further_file_is_read_although_its_event_or_its_import_was_lost() {
        let mut sending = sample(CampaignState::Sending);
        let announced = |added_at| {
            CampaignFile::pending(
                sending.files[0].info.clone(),
                ImportOptions::default(),
                added_at,
            )
        };
        let mut file = announced(HOUR);
        sending.files.push(file.clone());
        let settled = accepted(90, 0);
        let action = |campaign: &Campaign, now| action_for(campaign, settled.clone(), true, now);
        assert_eq!(
            action(&sending, HOUR + 1),
            Some(RepairAction::Close),
            "it may still be uploaded"
        );
        assert_eq!(
            apply(&sending, &Event::Close, HOUR + 1),
            Err(Conflict::StillOpen)
        );
        assert_eq!(
            action(&sending, HOUR + 5 * IDLE_MS),
            Some(RepairAction::ResumeImport)
        );
        assert_eq!(
            action(&sending, HOUR + UPLOAD_WATCH_MS),
            Some(RepairAction::Close)
        );
        assert!(apply(&sending, &Event::Close, HOUR + UPLOAD_WATCH_MS).is_ok());
        file.stage = FileStage::Reading;
        sending.files[1] = file;
        assert_eq!(action(&sending, 9 * HOUR), Some(RepairAction::ResumeImport));
        sending.lease_renewed_at = Some(9 * HOUR - 1000);
        assert_eq!(action(&sending, 9 * HOUR), None, "it is being read");
    }

    #[test]
    fn clean_canary_is_released_and_failed_canary_pauses() {
        let mut canary = sample(CampaignState::Canary);
        canary.canary = canary.canary.map(|canary| campaign::Canary {
            after: AfterCanary::ContinueIfClean,
            ..canary
        });
        let late = HOUR + CANARY_CALLBACK_MS;
        assert_eq!(
            action_for(&canary, accepted(4, HOUR), false, late),
            None,
            "one row is being sent"
        );
        assert_eq!(
            action_for(&canary, accepted(5, HOUR), true, HOUR),
            None,
            "callbacks may still come"
        );
        assert_eq!(
            action_for(&canary, accepted(5, HOUR), true, late),
            Some(RepairAction::ReleaseCanary)
        );
        let mut failed = accepted(5, HOUR);
        failed.undelivered = 2;
        assert!(matches!(
            action_for(&canary, failed, true, late),
            Some(RepairAction::Pause(_))
        ));
        let skipped = Counters {
            skipped: 5,
            ..Counters::default()
        };
        assert!(
            matches!(
                action_for(&canary, skipped, true, late),
                Some(RepairAction::Pause(_))
            ),
            "nothing is known of a message that nobody got"
        );
        canary.canary = canary.canary.map(|canary| campaign::Canary {
            after: AfterCanary::Wait,
            ..canary
        });
        assert_eq!(
            action_for(&canary, accepted(5, HOUR), true, late),
            None,
            "the operator decides"
        );
    }

    #[test]
    fn dead_import_is_resumed() {
        for state in [CampaignState::Enqueuing, CampaignState::Validating] {
            let mut importing = sample(state);
            assert_eq!(
                action_for(&importing, Counters::default(), true, HOUR),
                Some(RepairAction::ResumeImport)
            );
            importing.lease_renewed_at = Some(HOUR - 1000);
            assert_eq!(
                action_for(&importing, Counters::default(), true, HOUR),
                None,
                "it is alive"
            );
        }
    }

    #[test]
    fn cancelled_campaign_closes_when_no_row_is_unsent() {
        let cancelled = sample(CampaignState::Cancelled);
        assert_eq!(
            action_for(&cancelled, accepted(89, 0), true, HOUR),
            Some(RepairAction::Requeue)
        );
        let mut counters = accepted(89, 0);
        counters.skipped = 1;
        assert_eq!(
            action_for(&cancelled, counters, true, HOUR),
            Some(RepairAction::Close)
        );
    }
}
