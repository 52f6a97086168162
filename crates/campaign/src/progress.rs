//! What an operator sees of a campaign: every term of the conservation sum, the rate, the end.

use serde::Serialize;

use crate::outcome::Millis;
use crate::record::{Campaign, CampaignState};
use crate::tally::Counters;

/// A campaign's numbers. `rows = rejected_at_import + duplicates + suppressed + enqueued` and
/// `enqueued = waiting + claimed + retry + held + accepted + rejected + unconfirmed + skipped`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Progress {
    /// Whether nothing is left to do: computed from the sum, never set.
    pub finished: bool,
    /// Records in the file, header excluded.
    pub rows: i64,
    /// Records that cannot be used.
    pub rejected_at_import: i64,
    /// Records whose number came before.
    pub duplicates: i64,
    /// Records of people who are not to be messaged.
    pub suppressed: i64,
    /// Records for the queue.
    pub enqueued: i64,
    /// Enqueued, and no attempt yet.
    pub waiting: i64,
    /// What the ledger says.
    pub counters: Counters,
    /// Whether both sums hold.
    pub conserved: bool,
    /// Calls per second, over the last ten seconds.
    pub rate: f64,
    /// When the last call may be expected.
    pub estimated_end: Option<Millis>,
}

/// Adds up a campaign; `budget` is the send budget in calls per second.
pub fn progress(campaign: &Campaign, counters: Counters, budget: u32, now: Millis) -> Progress {
    let counts = campaign.counts;
    let [rows, rejected, duplicates, counted] = [
        counts.rows,
        counts.rejected,
        counts.duplicates,
        counts.enqueued,
    ]
    .map(|count| count as i64);
    // While the file is read its counts are written every second or so, and the ledger may be ahead of them.
    let reading = campaign.state == CampaignState::Splitting || !campaign.split_done;
    let enqueued = if reading {
        counted.max(counters.seen())
    } else {
        counted
    };
    let rows = if reading {
        rows.max(rejected + duplicates + enqueued)
    } else {
        rows
    };
    let waiting = enqueued - counters.seen();
    let unsettled = enqueued - counters.settled();
    let rate = counters.rate(now);
    let sending = campaign.state.may_send();
    Progress {
        finished: campaign.state == CampaignState::Sending && campaign.split_done && unsettled == 0,
        rows,
        rejected_at_import: rejected,
        duplicates,
        suppressed: 0,
        enqueued,
        waiting,
        conserved: rows == rejected + duplicates + enqueued && waiting >= 0,
        rate,
        estimated_end: (sending && unsettled > 0)
            .then(|| now + remaining_ms(unsettled, rate, budget)),
        counters,
    }
}

/// At the rate seen, or the budget's before there is one.
fn remaining_ms(unsettled: i64, rate: f64, budget: u32) -> Millis {
    let rate = if rate > 0.0 { rate } else { f64::from(budget) };
    (unsettled as f64 / rate * 1000.0) as Millis
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::ImportCounts;
    use crate::message::Message;
    use crate::record::FileInfo;
    use serde_json::json;

    fn campaign(state: CampaignState) -> Campaign {
        let message = Message::new(json!({})).expect("message");
        let file = FileInfo {
            name: "a.csv".into(),
            size: 1,
        };
        let id = "c1".parse().expect("id");
        let counts = ImportCounts {
            rows: 100,
            rejected: 7,
            duplicates: 3,
            enqueued: 90,
        };
        let split_done = state != CampaignState::Splitting;
        Campaign {
            state,
            counts,
            split_done,
            ..Campaign::new(id, "Test".into(), message, file, 0)
        }
    }

    #[test]
    fn finished_follows_from_the_sum() {
        let mut counters = Counters {
            accepted: 80,
            rejected: 9,
            claimed: 1,
            ..Counters::default()
        };
        let open = progress(&campaign(CampaignState::Sending), counters.clone(), 40, 0);
        assert!(!open.finished && open.conserved);
        assert_eq!(open.estimated_end, Some(25));
        (counters.claimed, counters.unconfirmed) = (0, 1);
        let done = progress(&campaign(CampaignState::Sending), counters.clone(), 40, 0);
        assert!(done.finished && done.conserved && done.estimated_end.is_none());
        let paused = progress(&campaign(CampaignState::Paused), counters, 40, 0);
        assert!(!paused.finished);
    }

    #[test]
    fn the_ledger_may_be_ahead_while_the_file_is_read() {
        let counters = Counters {
            claimed: 95,
            ..Counters::default()
        };
        let seen = progress(&campaign(CampaignState::Splitting), counters.clone(), 40, 0);
        assert_eq!((seen.rows, seen.enqueued, seen.waiting), (105, 95, 0));
        let broken = progress(&campaign(CampaignState::Sending), counters, 40, 0);
        assert!(
            !broken.conserved,
            "more rows in the ledger than were enqueued must show"
        );
    }
}
