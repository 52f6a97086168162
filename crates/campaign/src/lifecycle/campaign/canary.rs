//! The rows that are sent before the others.

use serde::{Deserialize, Serialize};

/// Rows that are sent before the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// How many rows, evenly spread over the file.
    pub rows: u32,
    /// What the other rows wait for.
    pub after: AfterCanary,
    /// Whether the other rows may follow.
    #[serde(default)]
    pub released: bool,
    /// How many canary rows are in the queue, once all of them are.
    #[serde(default)]
    pub enqueued: Option<u64>,
}

impl Canary {
    /// Whether the row at `index` (from 0) of `usable` rows is a canary row.
    pub fn includes(self, index: u64, usable: u64) -> bool {
        let rows = u64::from(self.rows);
        rows >= usable || (index + 1) * rows / usable > index * rows / usable
    }
}

/// What the other rows of a campaign wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterCanary {
    /// The operator's `POST /v1/campaigns/{id}/continue`.
    #[default]
    Wait,
    /// Canary rows without too many failures.
    ContinueIfClean,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn canary_has_requested_size_and_even_spread(rows in 1u32..300, usable in 1u64..3000) {
            let canary = Canary { rows, after: AfterCanary::Wait, released: false, enqueued: None };
            let chosen: Vec<u64> = (0..usable).filter(|&index| canary.includes(index, usable)).collect();
            prop_assert_eq!(chosen.len() as u64, u64::from(rows).min(usable));
            let widest_gap = chosen.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
            prop_assert!(widest_gap <= usable.div_ceil(u64::from(rows)) + 1);
        }
    }
}
