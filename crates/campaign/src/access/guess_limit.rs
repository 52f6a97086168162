//! How often an address may try a token that does not exist.
//!
//! A token has 256 random bits, so nobody guesses one; the limit is for tokens that people made up themselves. It is a
//! budget of wrong tokens for each address. Nothing waits, since a function that waits is a function that is busy for
//! everybody else; nothing is written; and whoever has a token that is known to the process, or a session, is never asked
//! about the budget, so that nobody locks out an operator, also not from behind the same address.

use std::collections::HashMap;

use crate::time::Millis;

/// How many wrong tokens an address may try at once.
const BURST: u32 = 30;

/// After that, one more each time this has passed.
const REFILL_MS: Millis = 2_000;

/// Addresses that are remembered. A forgotten one has its whole budget again.
const MAX_ADDRESSES: usize = 10_000;

/// The budgets of all addresses.
#[derive(Debug, Default)]
pub struct GuessLimit {
    spent: HashMap<String, Spent>,
}

/// What an address has spent of its budget.
#[derive(Clone, Copy, Debug)]
struct Spent {
    guesses: u32,
    at: Millis,
}

impl Spent {
    /// What is left of it at `now`: the budget fills again over time.
    fn at(self, now: Millis) -> Self {
        let refilled = now.saturating_sub(self.at) / REFILL_MS;
        Self {
            guesses: self
                .guesses
                .saturating_sub(u32::try_from(refilled).unwrap_or(u32::MAX)),
            at: self.at + refilled * REFILL_MS,
        }
    }
}

impl GuessLimit {
    /// How many seconds this address must wait before it may try a token; `None` if it may try one now.
    pub fn wait_seconds(&self, address: &str, now: Millis) -> Option<u64> {
        let spent = self.spent.get(address)?.at(now);
        (spent.guesses >= BURST).then(|| (spent.at + REFILL_MS).saturating_sub(now).div_ceil(1000))
    }

    /// Notes that this address tried a token that does not exist.
    pub fn record(&mut self, address: &str, now: Millis) {
        if self.spent.len() >= MAX_ADDRESSES {
            self.spent.retain(|_, spent| spent.at(now).guesses > 0);
        }
        if self.spent.len() >= MAX_ADDRESSES {
            self.spent.clear();
        }
        let fresh = Spent {
            guesses: 0,
            at: now,
        };
        let known = self.spent.get(address).map_or(fresh, |spent| spent.at(now));
        // An untouched budget begins to fill with its first use.
        let at = if known.guesses == 0 { now } else { known.at };
        let guesses = known.guesses + 1;
        self.spent.insert(address.to_owned(), Spent { guesses, at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_may_guess_a_burst_then_once_in_two_seconds() {
        let mut limit = GuessLimit::default();
        for _ in 0..BURST {
            assert_eq!(limit.wait_seconds("a", 1000), None);
            limit.record("a", 1000);
        }
        assert_eq!(limit.wait_seconds("a", 1000), Some(2));
        assert_eq!(limit.wait_seconds("a", 2500), Some(1));
        assert_eq!(limit.wait_seconds("b", 1000), None, "another address");
        assert_eq!(limit.wait_seconds("a", 3000), None);
        limit.record("a", 3000);
        assert_eq!(limit.wait_seconds("a", 3000), Some(2));
        let later = 3000 + REFILL_MS * Millis::from(BURST);
        for _ in 0..BURST {
            assert_eq!(limit.wait_seconds("a", later), None);
            limit.record("a", later);
        }
        assert!(limit.wait_seconds("a", later).is_some());
    }

    #[test]
    fn memory_does_not_grow_with_the_number_of_addresses() {
        let mut limit = GuessLimit::default();
        for number in 0..3 * MAX_ADDRESSES {
            limit.record(&number.to_string(), 0);
        }
        assert!(limit.spent.len() <= MAX_ADDRESSES);
    }
}
