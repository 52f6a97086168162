//! How rows are cut into queue messages: long ones while there is plenty, short ones near the end.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::delivery::pacing::Rate;
use crate::id::{CampaignId, RowNumber};
use crate::import::phone::Phone;

/// The most rows of a batch: at one call a second it keeps a slot busy for 50 s.
pub const MAX_BATCH_ROWS: usize = 50;

/// The most bytes of a batch: well below the 256 KiB that every version of SQS takes in one message.
pub const MAX_BATCH_BYTES: usize = 96 * 1024;

/// A queue message: rows of one campaign for one slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The campaign; its record has the message.
    pub campaign: CampaignId,
    /// The rows, in the order of the file.
    pub rows: Vec<Row>,
}

/// A row as the sender needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its number.
    pub row: RowNumber,
    /// The recipient.
    pub to: Phone,
    /// Values in the order of `Message::columns`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

impl Row {
    /// At least as many bytes as the row takes in a batch.
    fn max_serialized_bytes(&self) -> usize {
        const FIXED: usize = r#"{"row":4294967295,"to":"+123456789012345","values":[]},"#.len();
        let escaped = |value: &String| {
            let special = value
                .bytes()
                .filter(|&b| b < 0x20 || b == b'"' || b == b'\\')
                .count();
            value.len() + 5 * special + 3
        };
        FIXED + self.values.iter().map(escaped).sum::<usize>()
    }
}

/// Cuts a stream of rows: full batches, but the last `slots × 50` rows are held back and cut by
/// [guided scheduling](https://doi.org/10.1109/TC.1987.5009495), so that all slots finish together.
#[derive(Debug)]
pub struct Batcher {
    rate: Rate,
    buffered: VecDeque<Row>,
}

impl Batcher {
    /// Starts with nothing held back.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            buffered: VecDeque::new(),
        }
    }

    /// Takes a row; gives a batch's rows whenever more than the tail is in hand.
    pub fn push(&mut self, row: Row) -> Option<Vec<Row>> {
        self.buffered.push_back(row);
        let tail = self.rate.slots as usize * MAX_BATCH_ROWS;
        (self.buffered.len() >= tail + MAX_BATCH_ROWS).then(|| self.take_batch(MAX_BATCH_ROWS))
    }

    /// The file has ended: gives the tail in ever shorter batches.
    pub fn finish(mut self) -> Vec<Vec<Row>> {
        let mut batches = Vec::new();
        while !self.buffered.is_empty() {
            batches.push(self.take_batch(guided_batch_rows(self.buffered.len(), self.rate)));
        }
        batches
    }

    /// Takes up to `most` rows, fewer where they are heavy.
    fn take_batch(&mut self, most: usize) -> Vec<Row> {
        let mut rows = Vec::with_capacity(most);
        let mut bytes = 0;
        while rows.len() < most {
            let Some(next) = self.buffered.front() else {
                break;
            };
            bytes += next.max_serialized_bytes();
            if bytes > MAX_BATCH_BYTES && !rows.is_empty() {
                break;
            }
            rows.extend(self.buffered.pop_front());
        }
        rows
    }
}

/// Two thirds of an equal share of what is left, so late slots find work too; never so short that the next
/// invocation's own cost shows (about a second of calls, and two at least).
fn guided_batch_rows(left: usize, rate: Rate) -> usize {
    let share = (2 * left).div_ceil(3 * rate.slots as usize);
    let shortest = (rate.per_slot as usize).clamp(2, MAX_BATCH_ROWS);
    share.clamp(shortest, MAX_BATCH_ROWS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::phone;
    use proptest::prelude::*;

    fn row(number: RowNumber, value: &str) -> Row {
        let to = phone::parse("+5511987654321", None).expect("valid");
        Row {
            row: number,
            to,
            values: vec![value.to_owned()],
        }
    }

    fn cut(rows: u32, rate: Rate) -> Vec<Vec<Row>> {
        let mut cutter = Batcher::new(rate);
        let mut batches: Vec<Vec<Row>> = (1..=rows)
            .filter_map(|n| cutter.push(row(n, "Ana")))
            .collect();
        batches.extend(cutter.finish());
        batches
    }

    #[test]
    fn a_small_file_is_spread_over_the_slots() {
        let batches = cut(
            100,
            Rate {
                slots: 80,
                per_slot: 1,
            },
        );
        assert_eq!(batches.len(), 50);
        assert!(batches.iter().all(|batch| batch.len() == 2));
    }

    #[test]
    fn a_large_file_begins_with_full_batches() {
        let batches = cut(
            10_000,
            Rate {
                slots: 10,
                per_slot: 1,
            },
        );
        let full = batches
            .iter()
            .take_while(|batch| batch.len() == MAX_BATCH_ROWS)
            .count();
        assert_eq!(full, 190);
        assert!(batches.last().is_some_and(|batch| batch.len() <= 2));
    }

    /// Slots that take the next batch when free, each call one second: none may idle long before the end.
    fn makespan(batches: &[Vec<Row>], slots: usize, late: impl Fn(usize) -> u64) -> u64 {
        let mut free: Vec<u64> = (0..slots).map(late).collect();
        for batch in batches {
            let next = (0..slots).min_by_key(|&slot| free[slot]).expect("a slot");
            free[next] += batch.len() as u64;
        }
        free.into_iter().max().expect("a slot")
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_batch_in_order(rows in 0u32..4000, slots in 1u32..90, per_slot in 1u32..12) {
            let batches = cut(rows, Rate { slots, per_slot });
            let numbers: Vec<u32> = batches.iter().flatten().map(|row| row.row).collect();
            prop_assert_eq!(numbers, (1..=rows).collect::<Vec<_>>());
            prop_assert!(batches.iter().all(|batch| (1..=MAX_BATCH_ROWS).contains(&batch.len())));
        }

        #[test]
        fn slots_finish_together_though_they_start_apart(rows in 1u32..6000, slots in 2u32..90, ramp in 0u64..10) {
            let batches = cut(rows, Rate { slots, per_slot: 1 });
            let late = |slot: usize| slot as u64 * ramp / u64::from(slots);
            let total: u64 = u64::from(rows) + (0..slots as usize).map(late).sum::<u64>();
            let ideal = total.div_ceil(u64::from(slots)).max(ramp.min(2));
            prop_assert!(makespan(&batches, slots as usize, late) <= ideal + 3 + ramp / 2);
        }

        #[test]
        fn no_batch_outgrows_the_queue(sizes in prop::collection::vec(0usize..16_000, 1..80), fill in prop::sample::select(vec!['x', '"', '\u{1}', 'é'])) {
            let mut cutter = Batcher::new(Rate { slots: 1, per_slot: 1 });
            let weigh = |size: usize| fill.to_string().repeat(size / fill.len_utf8());
            let mut batches: Vec<Vec<Row>> = sizes.iter().zip(1..).filter_map(|(&size, n)| cutter.push(row(n, &weigh(size)))).collect();
            batches.extend(cutter.finish());
            for rows in batches {
                let single = rows.len() == 1;
                let text = serde_json::to_string(&rows).expect("text");
                prop_assert!(text.len() <= MAX_BATCH_BYTES || single && text.len() <= MAX_BATCH_BYTES + 1024);
            }
        }
    }
}
