//! Names of campaigns and rows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A row's position in the file: the header is not counted, the first record is 1.
pub type RowNumber = u32;

/// How many rows share a partition of the ledger: spreads heat, whatever way batches were cut.
pub const ROWS_PER_PARTITION: RowNumber = 64;

/// The ledger page that holds `row`.
pub fn partition_of(row: RowNumber) -> RowNumber {
    row / ROWS_PER_PARTITION
}

/// A campaign's name in keys, queue groups and callbacks: 1 to 64 of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CampaignId(String);

/// The text is no campaign id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a campaign id is 1 to 64 of a-z, 0-9 and -")]
pub struct InvalidCampaignId;

impl CampaignId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CampaignId {
    type Err = InvalidCampaignId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(InvalidCampaignId);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for CampaignId {
    type Error = InvalidCampaignId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CampaignId> for String {
    fn from(id: CampaignId) -> Self {
        id.0
    }
}

impl fmt::Display for CampaignId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Ties a callback to one attempt at one row: `{campaign}:{row}:{attempt}`, carried as `biz_opaque_callback_data`,
/// so a callback finds its row without an index, even when the answer to the send was lost.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CorrelationId {
    /// The campaign.
    pub campaign: CampaignId,
    /// The row.
    pub row: RowNumber,
    /// The attempt, from 1.
    pub attempt: u32,
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.campaign, self.row, self.attempt)
    }
}

/// The text is no tracker of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a tracker of the form campaign:row:attempt")]
pub struct InvalidCorrelationId;

impl FromStr for CorrelationId {
    type Err = InvalidCorrelationId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let (Some(campaign), Some(row), Some(attempt), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidCorrelationId);
        };
        Ok(Self {
            campaign: campaign.parse().map_err(|_| InvalidCorrelationId)?,
            row: row.parse().map_err(|_| InvalidCorrelationId)?,
            attempt: attempt.parse().map_err(|_| InvalidCorrelationId)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_tracker_survives_the_way_to_meta_and_back(
            campaign in "[a-z0-9-]{1,64}", row: u32, attempt: u32,
        ) {
            let tracker = CorrelationId { campaign: campaign.parse().expect("valid"), row, attempt };
            let text = tracker.to_string();
            prop_assert!(text.len() <= 512);
            prop_assert_eq!(text.parse::<CorrelationId>(), Ok(tracker));
        }
    }

    #[test]
    fn foreign_callback_data_is_no_tracker() {
        for text in [
            "", "abc", "a:1", "a:1:2:3", "A:1:1", "a:-1:1", "a:1:x", "::",
        ] {
            assert_eq!(
                text.parse::<CorrelationId>(),
                Err(InvalidCorrelationId),
                "{text}"
            );
        }
    }
}
