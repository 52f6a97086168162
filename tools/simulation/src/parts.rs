//! What a life is made of that can be left out: faults, deaths, steps of operators. A life that fails is lived again without
//! some of them, to see which ones the failure needs ([`crate::shrink`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The parts of a life. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Parts(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    omitted: BTreeSet<String>,
    counts: BTreeMap<&'static str, u64>,
    taken: Vec<String>,
}

impl Parts {
    /// The parts of a life without these.
    pub fn without(omitted: BTreeSet<String>) -> Self {
        Self(Arc::new(Mutex::new(State {
            omitted,
            ..State::default()
        })))
    }

    /// Whether the next part of this kind happens. It is called `{kind} {number}`, from 1.
    pub fn next(&self, kind: &'static str) -> bool {
        let name = {
            let mut state = self.lock();
            let count = state.counts.entry(kind).or_default();
            *count += 1;
            format!("{kind} {count}")
        };
        self.has(name)
    }

    /// Whether the part of this name happens.
    pub fn has(&self, name: String) -> bool {
        let mut state = self.lock();
        let happens = !state.omitted.contains(&name);
        if happens {
            state.taken.push(name);
        }
        happens
    }

    /// The parts that happened, in order.
    pub fn taken(&self) -> Vec<String> {
        self.lock().taken.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_names_when_others_are_omitted() {
        let all = Parts::default();
        let drawn = |parts: &Parts| [parts.next("kill"), parts.next("kill"), parts.next("kill")];
        assert_eq!(drawn(&all), [true, true, true]);
        let some = Parts::without(["kill 2".to_owned()].into());
        assert_eq!(drawn(&some), [true, false, true]);
        assert_eq!(some.taken(), ["kill 1", "kill 3"]);
    }
}
