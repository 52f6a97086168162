//! Identifies campaigns, rows and sends.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A row's position in the file, from 1; the header is not counted.
pub type RowNumber = u32;

/// How many rows share a partition of the ledger. Enough partitions spread the writes of one campaign over
/// DynamoDB's servers; the number does not depend on the size of batches.
pub const ROWS_PER_PARTITION: RowNumber = 64;

/// The longest campaign id.
const MAX_CAMPAIGN_ID_BYTES: usize = 64;

/// What the ids of automatic replies begin with; no list shows these campaigns.
pub const REPLY_PREFIX: &str = "reply-";

/// How the ids of single messages begin, which `POST /v1/messages` sends. No list of campaigns shows them.
pub const MESSAGE_PREFIX: &str = "message-";

/// Identifies a campaign in keys, message groups and callbacks: 1 to 64 of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CampaignId(String);

/// The text is not a campaign id.
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
        let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let has_valid_length = (1..=MAX_CAMPAIGN_ID_BYTES).contains(&text.len());
        if has_valid_length && text.bytes().all(is_allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidCampaignId)
        }
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

/// The longest id of a business phone number.
const MAX_NUMBER_ID_BYTES: usize = 32;

/// Identifies a business phone number, as Meta does (`phone_number_id`): 1 to 32 digits. It is not the number itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NumberId(String);

/// The text is not the id of a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the id of a business phone number is 1 to 32 digits, as Meta's app dashboard shows it")]
pub struct InvalidNumberId;

impl NumberId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NumberId {
    type Err = InvalidNumberId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let has_valid_length = (1..=MAX_NUMBER_ID_BYTES).contains(&text.len());
        if has_valid_length && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidNumberId)
        }
    }
}

impl TryFrom<String> for NumberId {
    type Error = InvalidNumberId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NumberId> for String {
    fn from(id: NumberId) -> Self {
        id.0
    }
}

impl fmt::Display for NumberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Links a callback to the attempt at a row that caused it. As text: `{campaign}:{row}:{attempt}`.
///
/// It travels in `biz_opaque_callback_data`, which Meta returns with each status. So a callback finds its row
/// without an index, even if the response to the send was lost.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CorrelationId {
    /// The campaign.
    pub campaign: CampaignId,
    /// The row.
    pub row: RowNumber,
    /// The attempt, from 1.
    pub attempt: u32,
}

/// The text is not a correlation id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a correlation id of the form campaign:row:attempt")]
pub struct InvalidCorrelationId;

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.campaign, self.row, self.attempt)
    }
}

impl FromStr for CorrelationId {
    type Err = InvalidCorrelationId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split(':').collect();
        let [campaign, row, attempt] = parts[..] else {
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

    /// What `biz_opaque_callback_data` may hold (Meta, "Messages").
    const MAX_CALLBACK_DATA_BYTES: usize = 512;

    proptest! {
        #[test]
        fn correlation_id_survives_formatting_and_parsing(
            campaign in "[a-z0-9-]{1,64}", row: u32, attempt: u32,
        ) {
            let id = CorrelationId { campaign: campaign.parse().expect("valid"), row, attempt };
            let text = id.to_string();
            prop_assert!(text.len() <= MAX_CALLBACK_DATA_BYTES);
            prop_assert_eq!(text.parse::<CorrelationId>(), Ok(id));
        }
    }

    #[test]
    fn id_of_a_number_is_digits() {
        assert!("100000000000001".parse::<NumberId>().is_ok());
        for text in ["", "1a", "+1", &"1".repeat(33)] {
            assert_eq!(text.parse::<NumberId>(), Err(InvalidNumberId), "{text}");
        }
    }

    #[test]
    fn other_callback_data_is_no_correlation_id() {
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
