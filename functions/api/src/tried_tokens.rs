//! Tokens that were tried: which address has tried too many wrong ones.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use campaign::access::guess_limit::GuessLimit;
use campaign::time::Millis;
use cloud::tokens::TokenHash;

use crate::problem::Problem;

/// What a process remembers of tokens that were tried.
#[derive(Debug, Default)]
pub struct TriedTokens(Mutex<Tried>);

#[derive(Debug, Default)]
struct Tried {
    limit: GuessLimit,
    /// Tokens of the secret that were right: their number is that of the tokens there.
    accepted: HashSet<TokenHash>,
}

impl TriedTokens {
    /// Refuses an address that has tried too many wrong tokens, unless this very token was right before.
    pub fn check(&self, address: &str, hash: &TokenHash, now: Millis) -> Result<(), Problem> {
        let tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match tried.limit.wait_seconds(address, now) {
            Some(seconds) if !tried.accepted.contains(hash) => {
                Err(Problem::too_many_wrong_tokens(seconds))
            }
            _ => Ok(()),
        }
    }

    /// Remembers a token of the secret that was right.
    pub fn accept(&self, hash: &TokenHash) {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tried.accepted.insert(hash.clone());
    }

    /// Notes a wrong token of this address.
    pub fn refuse(&self, address: &str, now: Millis) -> Problem {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tried.limit.record(address, now);
        Problem::unauthorized()
    }
}
