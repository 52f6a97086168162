//! The keys of the bucket's objects.

use campaign::id::CampaignId;

/// A file that the operator uploads to a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upload {
    /// The campaign's file at this index, from 0.
    File(usize),
    /// The list of recipients to leave out.
    Exclusions,
}

/// The key of an upload.
pub fn input_key(campaign: &CampaignId, upload: Upload) -> String {
    format!("uploads/{campaign}/{}input.csv", folder(upload))
}

/// The key of the list of rows that were rejected from a file.
pub fn rejects_key(campaign: &CampaignId, index: usize) -> String {
    format!(
        "uploads/{campaign}/{}rejects.csv",
        folder(Upload::File(index))
    )
}

/// The key of the report on a file.
pub fn report_key(campaign: &CampaignId, index: usize) -> String {
    format!("reports/{campaign}/{}.csv", index + 1)
}

/// The key of a campaign's summary.
pub fn summary_key(campaign: &CampaignId) -> String {
    format!("reports/{campaign}/summary.json")
}

/// The key of cached data.
pub(super) fn cache_key(name: &str) -> String {
    format!("cache/{name}.json")
}

/// The key of the note that explains why an upload was refused.
pub(super) fn refusal_key(upload_key: &str) -> String {
    format!("{}.refused.txt", upload_key.trim_end_matches(".csv"))
}

/// The first file has no folder; the others are numbered from 2.
fn folder(upload: Upload) -> String {
    match upload {
        Upload::File(0) => String::new(),
        Upload::File(index) => format!("files/{}/", index + 1),
        Upload::Exclusions => "exclude/".into(),
    }
}

/// The campaign and the upload that `key` belongs to.
pub fn parse_upload_key(key: &str) -> Option<(CampaignId, Upload)> {
    let (campaign, rest) = key.strip_prefix("uploads/")?.split_once('/')?;
    let upload = match rest.strip_suffix("input.csv")? {
        "" => Upload::File(0),
        "exclude/" => Upload::Exclusions,
        folder => {
            let number: usize = folder
                .strip_prefix("files/")?
                .strip_suffix('/')?
                .parse()
                .ok()?;
            Upload::File(number.checked_sub(1).filter(|&index| index > 0)?)
        }
    };
    Some((campaign.parse().ok()?, upload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_identifies_its_campaign_and_upload() {
        let campaign: CampaignId = "c-1".parse().expect("id");
        for upload in [
            Upload::File(0),
            Upload::File(1),
            Upload::File(9),
            Upload::Exclusions,
        ] {
            assert_eq!(
                parse_upload_key(&input_key(&campaign, upload)),
                Some((campaign.clone(), upload))
            );
        }
        assert_eq!(
            input_key(&campaign, Upload::File(1)),
            "uploads/c-1/files/2/input.csv"
        );
        for key in [
            rejects_key(&campaign, 0),
            "uploads/input.csv".into(),
            "uploads/A B/input.csv".into(),
            "uploads/c/files/1/input.csv".into(),
            "uploads/c/files/0/input.csv".into(),
            "uploads/c/other/input.csv".into(),
            "x/c/input.csv".into(),
        ] {
            assert_eq!(parse_upload_key(&key), None, "{key}");
        }
    }
}
