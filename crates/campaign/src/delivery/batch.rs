//! Groups rows into batches, one queue message each: full batches while many rows remain, shorter ones
//! towards the end.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::delivery::number_choice::NumberChoice;
use crate::delivery::pacing::Rate;
use crate::id::{CampaignId, RowNumber};
use crate::import::phone::Phone;

/// The most rows of a batch. At one send a second, they keep a slot busy for 50 s.
pub const MAX_BATCH_ROWS: usize = 50;

/// The most bytes of a batch, well below the 256 KiB that SQS accepts in one message.
pub const MAX_BATCH_BYTES: usize = 96 * 1024;

/// A queue message: rows of one campaign, for one slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The campaign, which has the message.
    pub campaign: CampaignId,
    /// The rows, in the order of the file.
    pub rows: Vec<Row>,
    /// How many messages led to this one, one after the other: 0 for the first, which an operator, an upload, a callback or
    /// a timer caused; one more for each that was sent because of another. Lambda ends a chain in which it invokes a
    /// function about sixteen times, unless that is allowed (AWS, "Use Lambda recursive loop detection to prevent infinite
    /// loops"). Messages without the field are older than it.
    #[serde(default)]
    pub hops: u32,
}

/// A row as the sender needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The row's number.
    pub row: RowNumber,
    /// The recipient.
    pub to: Phone,
    /// The values, in the order of `Message::columns`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

impl Row {
    /// An upper bound of the row's size in the JSON of a batch.
    fn max_serialized_bytes(&self) -> usize {
        const FIXED: usize = r#"{"row":4294967295,"to":"+123456789012345","values":[]},"#.len();
        /// Two quotation marks and a comma.
        const PER_VALUE: usize = 3;
        /// JSON writes a control character as `\u0000`, which is six bytes for one.
        const PER_ESCAPE: usize = 5;
        let needs_escape = |&b: &u8| b < 0x20 || b == b'"' || b == b'\\';
        let value_bytes = |value: &String| {
            let escapes = value.bytes().filter(needs_escape).count();
            value.len() + PER_ESCAPE * escapes + PER_VALUE
        };
        FIXED + self.values.iter().map(value_bytes).sum::<usize>()
    }
}

/// The rows of a batch, and which of the campaign's numbers they are for.
#[derive(Clone, Debug, PartialEq)]
pub struct RoutedRows {
    /// The index of the number.
    pub number: usize,
    /// The rows, in the order of the file.
    pub rows: Vec<Row>,
}

/// Groups a stream of rows into batches for the numbers of a campaign. The last `slots × 50` rows are held back and divided by
/// [guided self-scheduling](https://doi.org/10.1109/TC.1987.5009495), so that all slots finish at about the same time.
#[derive(Debug)]
pub struct Batcher {
    /// Of each number.
    rates: Vec<Rate>,
    choice: NumberChoice,
    /// How many rows each number got.
    routed: Vec<u64>,
    buffered: VecDeque<Row>,
    held_back: usize,
}

/// The most rows that are held back: as many as the largest budget of one number needs. They are enqueued in one step.
const MAX_HELD_BACK_ROWS: usize = 50_000;

/// By how much a number may exceed its share of the rows, and by how many rows at the beginning. Hashing alone differs by chance:
/// of 32 numbers with 31,250 rows each, the first and the last would be 2.7 % apart (consistent hashing with bounded loads;
/// Mirrokni, Thorup and Zadimoghaddam, 2016).
const MAX_EXCESS: f64 = 1.005;
const EXCESS_ROWS: f64 = 25.0;

impl Batcher {
    /// Starts without any row, for numbers with these rates, at least one.
    pub fn new(rates: Vec<Rate>, choice: NumberChoice) -> Self {
        let slots: usize = rates.iter().map(|rate| rate.slots as usize).sum();
        Self {
            routed: vec![0; rates.len()],
            rates,
            choice,
            buffered: VecDeque::new(),
            held_back: (slots * MAX_BATCH_ROWS).min(MAX_HELD_BACK_ROWS),
        }
    }

    /// Adds a row.
    pub fn push(&mut self, row: Row) {
        self.buffered.push_back(row);
    }

    /// How many rows [`Batcher::take_ready`] gives: those beyond the ones that are held back for the end.
    pub fn ready_rows(&self) -> usize {
        let ready = self.buffered.len().saturating_sub(self.held_back);
        ready - ready % MAX_BATCH_ROWS
    }

    /// Takes batches with all rows up to one of them, which is the last in the order of the file.
    pub fn take_ready(&mut self) -> Vec<RoutedRows> {
        let ready = self.ready_rows();
        let rows = self.buffered.drain(..ready).collect::<Vec<_>>();
        self.route(rows, |_, _| MAX_BATCH_ROWS)
    }

    /// Ends the stream. Returns the remaining rows in batches that become shorter and shorter.
    pub fn finish(mut self) -> Vec<RoutedRows> {
        let rows = std::mem::take(&mut self.buffered);
        self.route(rows, guided_batch_rows)
    }

    /// Cuts the rows of each number into batches of as many rows as `max_rows` says for those that are left.
    fn route(
        &mut self,
        rows: impl IntoIterator<Item = Row>,
        max_rows: impl Fn(usize, Rate) -> usize,
    ) -> Vec<RoutedRows> {
        let mut by_number = vec![VecDeque::new(); self.rates.len()];
        for row in rows {
            by_number[self.next_number(&row)].push_back(row);
        }
        let mut batches = Vec::new();
        for (number, (mut rows, &rate)) in by_number.into_iter().zip(&self.rates).enumerate() {
            while !rows.is_empty() {
                let max_rows = max_rows(rows.len(), rate);
                let rows = take_batch(&mut rows, max_rows);
                batches.push(RoutedRows { number, rows });
            }
        }
        batches
    }
}

/// Which number a row is for.
impl Batcher {
    fn next_number(&mut self, row: &Row) -> usize {
        let Self { choice, routed, .. } = self;
        let total = (routed.iter().sum::<u64>() + 1) as f64;
        let has_room = |number: usize| {
            (routed[number] as f64) < choice.share(number) * total * MAX_EXCESS + EXCESS_ROWS
        };
        let number = choice.index_where(row.to.canonical(), has_room);
        routed[number] += 1;
        number
    }
}

/// Takes up to `max_rows` rows, and fewer if they would exceed [`MAX_BATCH_BYTES`], but at least one.
fn take_batch(waiting: &mut VecDeque<Row>, max_rows: usize) -> Vec<Row> {
    let mut rows = Vec::with_capacity(max_rows);
    let mut bytes = 0;
    while rows.len() < max_rows
        && let Some(next) = waiting.front()
    {
        bytes += next.max_serialized_bytes();
        if bytes > MAX_BATCH_BYTES && !rows.is_empty() {
            break;
        }
        rows.extend(waiting.pop_front());
    }
    rows
}

/// How many rows the next batch has when `remaining` rows are left: two thirds of an equal share, so that
/// slots which start late find rows, too. A batch lasts about a second and has two rows at least, because
/// each invocation has a cost of its own.
fn guided_batch_rows(remaining: usize, rate: Rate) -> usize {
    let share = (2 * remaining).div_ceil(3 * rate.slots as usize);
    let min_rows = (rate.per_slot as usize).clamp(2, MAX_BATCH_ROWS);
    share.clamp(min_rows, MAX_BATCH_ROWS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::number_choice::CampaignNumber;
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

    fn batch(rows: u32, rate: Rate) -> Vec<Vec<Row>> {
        let mut batcher = single(rate);
        let mut batches = Vec::new();
        for number in 1..=rows {
            batcher.push(row(number, "Ana"));
            batches.extend(batcher.take_ready());
        }
        batches.extend(batcher.finish());
        batches.into_iter().map(|batch| batch.rows).collect()
    }

    /// For a campaign with one number.
    fn single(rate: Rate) -> Batcher {
        Batcher::new(vec![rate], NumberChoice::new(&[]))
    }

    #[test]
    fn rows_of_several_numbers_are_in_batches_of_each_and_complete_up_to_some_row() {
        let number = |id: &str, budget| CampaignNumber {
            id: id.parse().expect("id"),
            budget,
        };
        let numbers = [number("1", 40), number("2", 20)];
        let rates = [40, 20].map(|slots| Rate { slots, per_slot: 1 });
        let choice = NumberChoice::new(&numbers);
        let mut batcher = Batcher::new(rates.to_vec(), choice.clone());
        let (mut taken, mut counts, mut as_hashed) = (Vec::new(), [0, 0], 0);
        let mut check = |batches: Vec<RoutedRows>| {
            for RoutedRows { number, rows } in batches {
                assert!((1..=MAX_BATCH_ROWS).contains(&rows.len()));
                counts[number] += rows.len();
                for row in rows {
                    as_hashed += usize::from(choice.index(row.to.canonical()) == number);
                    taken.push(row.row);
                }
            }
            taken.sort_unstable();
            assert_eq!(taken, (1..=taken.len() as u32).collect::<Vec<_>>());
        };
        for number in 1..=9_999 {
            let to = phone::parse(&format!("+34610{number:06}"), None).expect("valid");
            let values = Vec::new();
            batcher.push(Row {
                row: number,
                to,
                values,
            });
            if batcher.ready_rows() >= 1_000 {
                check(batcher.take_ready());
            }
        }
        check(batcher.finish());
        assert_eq!(taken.len(), 9_999);
        // By their budgets, and nearly all by the hash.
        assert!(counts[0].abs_diff(6_666) < 70, "{counts:?}");
        assert!(as_hashed > 9_900, "{as_hashed}");
    }

    #[test]
    fn small_file_is_spread_over_all_slots() {
        let batches = batch(
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
    fn large_file_begins_with_full_batches() {
        let batches = batch(
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

    /// When the last slot finishes, if each takes the next batch as soon as it is free and each send takes
    /// one second. `late` is when a slot starts.
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
            let batches = batch(rows, Rate { slots, per_slot });
            let numbers: Vec<u32> = batches.iter().flatten().map(|row| row.row).collect();
            prop_assert_eq!(numbers, (1..=rows).collect::<Vec<_>>());
            prop_assert!(batches.iter().all(|batch| (1..=MAX_BATCH_ROWS).contains(&batch.len())));
        }

        #[test]
        fn slots_finish_together_even_if_they_start_apart(rows in 1u32..6000, slots in 2u32..90, ramp in 0u64..10) {
            let batches = batch(rows, Rate { slots, per_slot: 1 });
            let late = |slot: usize| slot as u64 * ramp / u64::from(slots);
            let total: u64 = u64::from(rows) + (0..slots as usize).map(late).sum::<u64>();
            let ideal = total.div_ceil(u64::from(slots)).max(ramp.min(2));
            prop_assert!(makespan(&batches, slots as usize, late) <= ideal + 3 + ramp / 2);
        }

        #[test]
        fn every_batch_fits_into_a_queue_message(sizes in prop::collection::vec(0usize..16_000, 1..80), fill in prop::sample::select(vec!['x', '"', '\u{1}', 'é'])) {
            let mut batcher = single(Rate { slots: 1, per_slot: 1 });
            let value = |size: usize| fill.to_string().repeat(size / fill.len_utf8());
            sizes.iter().zip(1..).for_each(|(&size, n)| batcher.push(row(n, &value(size))));
            let batches = batcher.take_ready().into_iter().chain(batcher.finish());
            for RoutedRows { rows, .. } in batches {
                let is_single = rows.len() == 1;
                let text = serde_json::to_string(&rows).expect("text");
                prop_assert!(text.len() <= MAX_BATCH_BYTES || is_single && text.len() <= MAX_BATCH_BYTES + 1024);
            }
        }
    }
}
