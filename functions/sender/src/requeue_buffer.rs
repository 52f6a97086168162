//! Rows that go back to their queue, or on to that of another number, in few messages.

use std::collections::BTreeMap;
use std::time::Duration;

use campaign::delivery::batch::{Batch, MAX_BATCH_ROWS, Row};
use campaign::id::{CampaignId, NumberId};
use campaign::time::Millis;
use cloud::Error;
use cloud::batch_queue::MAX_DELAY;

use crate::send_backend::{Priority, SendBackend};

/// Rows whose due times differ by at most this go back in one message.
const GROUP_SPAN_MS: Millis = 2_000;

/// Rows that wait to go back.
#[derive(Debug, Default)]
pub(crate) struct RequeueBuffer {
    rows: Vec<DueRow>,
}

/// A queue that rows go to: one of this sender, or of another number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TargetQueue {
    pub(crate) number: Option<NumberId>,
    pub(crate) priority: Priority,
}

/// A row and when its next attempt is due.
#[derive(Clone, Debug)]
struct DueRow {
    queue: TargetQueue,
    campaign: CampaignId,
    due: Millis,
    row: Row,
    /// Of the message that it goes back in.
    hops: u32,
}

/// A message for a queue.
#[derive(Debug)]
struct DelayedBatch {
    queue: TargetQueue,
    batch: Batch,
    delay: Duration,
}

impl RequeueBuffer {
    /// Adds a row, unless it is due later than SQS can delay a message: such a row stays in the ledger only, and the
    /// reconciler puts it into the queue in time.
    pub(crate) fn push(
        &mut self,
        queue: &TargetQueue,
        campaign: &CampaignId,
        row: Row,
        due: Millis,
        now: Millis,
        hops: u32,
    ) {
        if due <= now + MAX_DELAY.as_millis() as Millis {
            let campaign = campaign.clone();
            self.rows.push(DueRow {
                queue: queue.clone(),
                campaign,
                due,
                row,
                hops,
            });
        } else {
            cloud::sometimes!("a retry is due later than a queue can delay it");
        }
    }

    /// Sends the rows to their queues and returns how many there were. If that fails, the buffer keeps all of them.
    pub(crate) async fn flush(&mut self, backend: &impl SendBackend) -> Result<usize, Error> {
        for message in group_into_batches(self.rows.clone(), backend.now()) {
            let DelayedBatch {
                queue,
                batch,
                delay,
            } = message;
            let TargetQueue { number, priority } = queue;
            backend
                .requeue(number.as_ref(), priority, batch, delay)
                .await?;
        }
        let count = self.rows.len();
        self.rows.clear();
        Ok(count)
    }
}

/// Groups rows into few batches. All rows of a batch are due once its delay is over.
fn group_into_batches(rows: Vec<DueRow>, now: Millis) -> Vec<DelayedBatch> {
    let mut by_campaign: BTreeMap<(TargetQueue, CampaignId), Vec<DueRow>> = BTreeMap::new();
    for row in rows {
        let queue = (row.queue.clone(), row.campaign.clone());
        by_campaign.entry(queue).or_default().push(row);
    }
    let mut batches = Vec::new();
    for ((queue, campaign), rows) in by_campaign {
        for rows in group_by_due_time(rows) {
            let last_due = rows.iter().map(|row| row.due).max().unwrap_or(now);
            let batch = Batch {
                campaign: campaign.clone(),
                hops: rows.iter().map(|row| row.hops).max().unwrap_or_default(),
                rows: rows.into_iter().map(|row| row.row).collect(),
            };
            batches.push(DelayedBatch {
                queue: queue.clone(),
                batch,
                delay: Duration::from_millis(last_due.saturating_sub(now)),
            });
        }
    }
    batches
}

/// Groups rows that are due at about the same time, at most as many as a batch holds.
fn group_by_due_time(mut rows: Vec<DueRow>) -> Vec<Vec<DueRow>> {
    rows.sort_by_key(|row| (row.due, row.row.row));
    let mut groups: Vec<Vec<DueRow>> = Vec::new();
    for row in rows {
        match groups.last_mut() {
            Some(group)
                if row.due <= group[0].due + GROUP_SPAN_MS && group.len() < MAX_BATCH_ROWS =>
            {
                group.push(row);
            }
            _ => groups.push(vec![row]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use campaign::import::phone;

    #[test]
    fn rows_due_together_share_a_message_and_none_is_early() {
        let to = phone::parse("+5511987654321", None).unwrap();
        let row = |campaign: &str, due, row| {
            let values = Vec::new();
            DueRow {
                queue: TargetQueue {
                    number: None,
                    priority: Priority::Bulk,
                },
                campaign: campaign.parse().unwrap(),
                due,
                hops: row,
                row: Row { row, to, values },
            }
        };
        let mut rows = vec![
            row("c1", 9_000, 4),
            row("c1", 1_500, 1),
            row("c2", 1_500, 1),
            row("c1", 2_000, 2),
            row("c1", 0, 3),
        ];
        rows.extend((0..60).map(|number| row("c3", 0, number)));
        let batches: Vec<(String, u64, Vec<u32>)> = group_into_batches(rows, 1_000)
            .into_iter()
            .map(|DelayedBatch { batch, delay, .. }| {
                let rows: Vec<u32> = batch.rows.iter().map(|row| row.row).collect();
                // Each row's number is its number of hops.
                assert_eq!(Some(&batch.hops), rows.iter().max());
                (batch.campaign.to_string(), delay.as_millis() as u64, rows)
            })
            .collect();
        let expected = [
            ("c1".to_owned(), 1_000, vec![3, 1, 2]),
            ("c1".to_owned(), 8_000, vec![4]),
            ("c2".to_owned(), 500, vec![1]),
            ("c3".to_owned(), 0, (0..50).collect()),
            ("c3".to_owned(), 0, (50..60).collect()),
        ];
        assert_eq!(batches, expected);
    }
}
