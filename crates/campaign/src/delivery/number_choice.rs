//! From which of a campaign's numbers a recipient hears: weighted rendezvous hashing (Thaler and Ravishankar, "A Name-Based
//! Mapping Scheme for Rendezvous", 1996). Each number gets a score for each recipient, and the highest wins. So the choice
//! needs no table, each number gets a share like its budget, and a further number takes recipients from the others without
//! moving anybody between those. Whom a recipient already knows counts more; senders look that up.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::NumberId;
use crate::import::phone::CanonicalPhone;

/// A number from which a campaign is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignNumber {
    /// Its id.
    pub id: NumberId,
    /// Its sends per second when the campaign was created: its share of the recipients.
    pub budget: u32,
}

/// Chooses among the numbers of a campaign.
#[derive(Clone, Debug)]
pub struct NumberChoice {
    /// A hash of each number's id, and its budget.
    numbers: Vec<(u64, f64)>,
}

impl NumberChoice {
    /// Among these numbers; with none, every recipient has the first.
    pub fn new(numbers: &[CampaignNumber]) -> Self {
        let entry = |number: &CampaignNumber| {
            let hash = Sha256::digest(number.id.as_str().as_bytes());
            let seed = hash
                .iter()
                .take(8)
                .fold(0, |seed, &byte| seed << 8 | u64::from(byte));
            (seed, f64::from(number.budget.max(1)))
        };
        Self {
            numbers: numbers.iter().map(entry).collect(),
        }
    }

    /// The index of the number for this recipient.
    pub fn index(&self, recipient: CanonicalPhone) -> usize {
        self.index_where(recipient, |_| true)
    }

    /// The index of the best number for this recipient among those that have room, or of the best of all if none has.
    pub fn index_where(
        &self,
        recipient: CanonicalPhone,
        has_room: impl Fn(usize) -> bool,
    ) -> usize {
        if self.numbers.len() < 2 {
            return 0;
        }
        let score =
            |&(seed, budget): &(u64, f64)| -budget / unit(mix(seed ^ mix(recipient.digits()))).ln();
        let scores = self.numbers.iter().map(score).enumerate();
        let ranked = scores.map(|(index, score)| (has_room(index), score, index));
        let best =
            ranked.max_by(|one, other| (one.0.cmp(&other.0)).then(one.1.total_cmp(&other.1)));
        best.map_or(0, |(_, _, index)| index)
    }

    /// The share of the recipients that is the number's by its budget, from 0 to 1.
    pub fn share(&self, index: usize) -> f64 {
        let total: f64 = self.numbers.iter().map(|(_, budget)| budget).sum();
        self.numbers
            .get(index)
            .map_or(1.0, |(_, budget)| budget / total)
    }
}

/// Each bit of the result depends on each bit of the value (the finalizer of `SplitMix64`; Steele, Lea and Flood, 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// A number between 0 and 1, both excluded.
fn unit(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::phone;

    fn numbers(budgets: &[u32]) -> Vec<CampaignNumber> {
        let number = |(index, &budget)| CampaignNumber {
            id: format!("10000000000000{index}").parse().expect("id"),
            budget,
        };
        budgets.iter().enumerate().map(number).collect()
    }

    fn recipient(index: u32) -> CanonicalPhone {
        let phone = phone::parse(&format!("+3461{index:07}"), None).expect("phone");
        phone.canonical()
    }

    /// How many of `recipients` each number gets.
    fn shares(budgets: &[u32], recipients: u32) -> Vec<u32> {
        let choice = NumberChoice::new(&numbers(budgets));
        let mut shares = vec![0; budgets.len()];
        for index in 0..recipients {
            shares[choice.index(recipient(index))] += 1;
        }
        shares
    }

    #[test]
    fn without_a_choice_every_recipient_has_the_first() {
        for budgets in [&[][..], &[40]] {
            assert_eq!(NumberChoice::new(&numbers(budgets)).index(recipient(7)), 0);
        }
    }

    #[test]
    fn recipients_are_shared_by_budget() {
        for (budgets, recipients) in [(vec![40, 20], 60_000), (vec![80; 8], 80_000)] {
            let total: u32 = budgets.iter().sum();
            for (share, budget) in shares(&budgets, recipients).iter().zip(&budgets) {
                let expected = f64::from(recipients * budget / total);
                let difference = (f64::from(*share) - expected).abs() / expected;
                assert!(difference < 0.03, "{share} of {expected}");
            }
        }
    }

    #[test]
    fn further_number_moves_nobody_between_the_others() {
        let all = numbers(&[40, 20, 80, 40]);
        let (before, after) = (NumberChoice::new(&all[..3]), NumberChoice::new(&all));
        let mut moved = 0;
        for index in 0..20_000 {
            let (old, new) = (
                before.index(recipient(index)),
                after.index(recipient(index)),
            );
            moved += u32::from(new == 3);
            assert!(new == old || new == 3, "{old} {new}");
        }
        assert!((3_900..5_000).contains(&moved), "{moved}: about 40 of 180");
    }

    #[test]
    fn choice_of_a_recipient_is_the_same_in_every_version() {
        let choice = NumberChoice::new(&numbers(&[40, 20, 80]));
        let chosen: Vec<usize> = (0..12)
            .map(|index| choice.index(recipient(index)))
            .collect();
        assert_eq!(chosen, [1, 1, 0, 2, 2, 0, 0, 0, 0, 0, 0, 2]);
    }
}
