//! A value in memory with its age. The caches of campaigns, settings and the secret are built on it: each
//! holds a few values, and the reader says how old one may be. A cache crate such as moka would bring a dozen
//! crates for these lines.

use std::time::Duration;

use tokio::time::Instant;

/// A value and the time before it was read.
#[derive(Debug)]
pub(crate) struct Cached<T> {
    value: T,
    read_at: Instant,
}

impl<T: Clone> Cached<T> {
    /// A value whose read began at `read_at`.
    pub(crate) fn new(value: T, read_at: Instant) -> Self {
        Self { value, read_at }
    }

    /// The value, if it is younger than `max_age`.
    pub(crate) fn get(&self, max_age: Duration) -> Option<T> {
        self.is_younger_than(max_age).then(|| self.value())
    }

    /// The value, whatever its age.
    pub(crate) fn value(&self) -> T {
        self.value.clone()
    }

    /// Whether the value is younger than `max_age`.
    pub(crate) fn is_younger_than(&self, max_age: Duration) -> bool {
        self.read_at.elapsed() < max_age
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn value_is_gone_at_its_maximum_age() {
        let read_at = Instant::now() - Duration::from_secs(10);
        let cached = Cached::new(7, read_at);
        assert_eq!(cached.get(Duration::from_secs(11)), Some(7));
        assert_eq!(cached.get(Duration::from_secs(10)), None);
    }
}
