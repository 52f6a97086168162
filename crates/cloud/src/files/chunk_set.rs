//! The keys of what an import found in a file.

use campaign::id::CampaignId;
use campaign::lifecycle::campaign::Campaign;

/// The objects that one import wrote about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkSet {
    prefix: String,
}

impl ChunkSet {
    /// What an import under this lease writes about the campaign's file at `index`.
    pub fn new(campaign: &CampaignId, index: usize, lease_epoch: u64) -> Self {
        let prefix = format!(
            "{}{}/{lease_epoch}/",
            recipients_prefix(campaign),
            index + 1
        );
        Self { prefix }
    }

    /// What the campaign knows of its file at `index`; `None` if that is not validated.
    pub fn of(campaign: &Campaign, index: usize) -> Option<Self> {
        let set = campaign.files.get(index)?.chunk_set?;
        Some(Self::new(&campaign.id, index, set))
    }

    /// The key of the chunk at `number`, from 0.
    pub fn chunk_key(&self, number: usize) -> String {
        format!("{}{number:05}", self.prefix)
    }

    /// The key of the manifest.
    pub fn manifest_key(&self) -> String {
        format!("{}manifest", self.prefix)
    }

    /// The key of the numbers of all rows.
    pub fn phones_key(&self) -> String {
        format!("{}phones", self.prefix)
    }

    /// What the keys of its objects begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the object at `key` is of this set.
    pub fn has_key(&self, key: &str) -> bool {
        key.starts_with(&self.prefix)
    }
}

/// What the keys of all sets of a campaign begin with.
pub fn recipients_prefix(campaign: &CampaignId) -> String {
    format!("recipients/{campaign}/")
}
