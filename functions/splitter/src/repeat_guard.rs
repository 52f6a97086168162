//! A file that was already sent with the same message within 24 hours is refused, unless the campaign allows repeats.

use campaign::lifecycle::campaign::Campaign;
use cloud::imports::RowSet;
use cloud::sent_files::SentFile;
use lambda_runtime::Error;

use crate::Splitter;

impl Splitter {
    /// Why a file must not be sent that another campaign has sent, as a clause; `None` if it may be.
    pub(crate) async fn find_repeat(
        &self,
        campaign: &Campaign,
        index: usize,
    ) -> Result<Option<String>, Error> {
        let content = &campaign.files[index].content_hash;
        let Some(content) = content.as_ref().filter(|_| !campaign.allow_repeat) else {
            return Ok(None);
        };
        let begins = campaign.schedule.not_before.unwrap_or(0).max(cloud::now());
        let earlier = self.sent_files.find(content, &campaign.id, begins).await?;
        Ok(earlier.as_ref().map(describe_repeat))
    }

    /// Notes that the file at `index` begins to be sent. Returns why it must not be, as a clause, if another campaign came
    /// first. With `allow_repeat`, and where rows of it are in the queue already, nothing is refused, but the time is noted.
    pub(crate) async fn claim_content(
        &self,
        campaign: &Campaign,
        index: usize,
    ) -> Result<Option<String>, Error> {
        let Some(content) = &campaign.files[index].content_hash else {
            return Ok(None);
        };
        let mut has_begun = campaign.allow_repeat;
        for row_set in [RowSet::Canary, RowSet::Remainder] {
            let checkpoint = self.imports.get_checkpoint(&campaign.id, index, row_set);
            has_begun |= checkpoint.await?.is_some();
        }
        let now = cloud::now();
        let claim = self.sent_files.claim(content, &campaign.id, has_begun, now);
        let earlier = claim.await?.filter(|_| !has_begun);
        Ok(earlier.as_ref().map(describe_repeat))
    }
}

fn describe_repeat(earlier: &SentFile) -> String {
    cloud::sometimes!("a file that was sent already is refused");
    format!(
        "campaign {0} began to send the same message to the same recipients within the last 24 hours; for rows that it did not send use POST /v1/campaigns/{0}/retries, to send all of them once more create a campaign with allow_repeat",
        earlier.campaign
    )
}
