//! Random numbers from a seed.

use std::cell::Cell;
use std::ops::Range;
use std::time::Duration;

use crate::parts::Parts;

/// A stream of random numbers. Streams with different names are independent, so that one more draw in one of
/// them changes nothing in the others.
#[derive(Clone, Debug)]
pub struct Random {
    seed: u64,
    state: Cell<u64>,
    parts: Parts,
}

impl Random {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Self::with_parts(seed, Parts::default())
    }

    /// The stream of this seed, for a life that may lack some parts.
    pub fn with_parts(seed: u64, parts: Parts) -> Self {
        // Seeds are small numbers; the first draws of close seeds would be alike.
        let state = hash(seed, b"");
        Self {
            seed: state,
            state: Cell::new(state),
            parts,
        }
    }

    /// The parts of the life.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Whether a fault of this kind happens, which it does with this probability.
    pub fn fault(&self, kind: &'static str, probability: f64) -> bool {
        self.chance(probability) && self.parts.next(kind)
    }

    /// A stream of its own. It depends on the seed and the name, not on the numbers drawn so far: the same name
    /// gives the same stream.
    pub fn fork(&self, name: &str) -> Self {
        let state = hash(self.seed, name.as_bytes());
        Self {
            seed: state,
            state: Cell::new(state),
            parts: self.parts.clone(),
        }
    }

    /// True with this probability.
    pub fn chance(&self, probability: f64) -> bool {
        // No draw for zero: a fault that is switched off does not change the other faults.
        probability > 0.0 && self.draw(fastrand::Rng::f64) < probability
    }

    /// A number of the range; its start if it is empty.
    pub fn range(&self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return range.start;
        }
        self.draw(|rng| rng.u64(range))
    }

    /// Milliseconds of the range.
    pub fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.range(range))
    }

    /// One of the items, which may not be empty.
    pub fn pick<'i, T>(&self, items: &'i [T]) -> &'i T {
        &items[self.draw(|rng| rng.usize(0..items.len()))]
    }

    /// Puts the items into a random order.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        self.draw(|rng| rng.shuffle(items));
    }

    /// Any number, such as a seed.
    pub fn number(&self) -> u64 {
        self.draw(|rng| rng.u64(..))
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        let mut rng = fastrand::Rng::with_seed(self.state.get());
        let drawn = draw(&mut rng);
        self.state.set(rng.get_seed());
        drawn
    }
}

/// FNV-1a over the seed and the name, then the finalizer of `MurmurHash3`, which spreads the bits.
pub(crate) fn hash(seed: u64, name: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in seed.to_le_bytes().iter().chain(name) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    for multiplier in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(multiplier);
    }
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(random: &Random) -> Vec<u64> {
        (0..5).map(|_| random.range(0..1000)).collect()
    }

    #[test]
    fn fork_depends_on_seed_and_name_only() {
        let (random, other) = (Random::new(1), Random::new(1));
        other.number();
        assert_eq!(numbers(&random.fork("a")), numbers(&other.fork("a")));
        assert_ne!(numbers(&random.fork("a")), numbers(&random.fork("b")));
        assert_ne!(
            numbers(&random.fork("a")),
            numbers(&Random::new(2).fork("a"))
        );
    }

    #[test]
    fn chance_has_its_probability() {
        let random = Random::new(7);
        let hits = (0..10_000).filter(|_| random.chance(0.1)).count();
        assert!((800..1200).contains(&hits), "{hits}");
        assert!(!random.chance(0.0) && random.chance(1.0));
    }
}
