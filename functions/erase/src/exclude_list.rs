//! A campaign's exclude list. Its lines about an erased recipient can go, because the suppression list has the recipient.

use campaign::import::phone;
use campaign::lifecycle::campaign::Campaign;
use cloud::files::{Upload, input_key};
use cloud::multipart::MultipartWriter;
use lambda_runtime::Error;

use crate::Eraser;
use crate::subject::DataSubject;

impl Eraser {
    /// Returns the list without the recipient's lines, or `None` if it has no such line.
    pub(crate) async fn exclude_list_without(
        &self,
        campaign: &Campaign,
        subject: &DataSubject,
    ) -> Result<Option<String>, Error> {
        if campaign.exclude.is_none() {
            return Ok(None);
        }
        let key = input_key(&campaign.id, Upload::Exclusions);
        let Some(bytes) = self.files.read_object(&key).await? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        let options = campaign.files.last().map(|file| &file.options);
        let region = options.and_then(|options| options.default_region.as_deref());
        let region = region.and_then(phone::parse_region);
        let is_theirs = |cell: &str| {
            let phone = phone::parse(cell.trim().trim_matches('"'), region);
            phone.is_ok_and(|phone| phone.canonical() == subject.phone)
        };
        let (theirs, others): (Vec<&str>, Vec<&str>) = text
            .lines()
            .partition(|line| line.split([',', ';', '\t']).any(is_theirs));
        if theirs.is_empty() {
            return Ok(None);
        }
        Ok(Some(
            others.iter().map(|line| format!("{line}\n")).collect(),
        ))
    }

    /// Writes the list and deletes its older versions.
    pub(crate) async fn replace_exclude_list(
        &self,
        campaign: &Campaign,
        content: &str,
    ) -> Result<(), Error> {
        let key = input_key(&campaign.id, Upload::Exclusions);
        let mut output = MultipartWriter::new(&self.files, key.clone());
        output.write(content.as_bytes()).await?;
        output.finish().await?;
        let version = self.files.latest_version(&key).await?;
        Ok(self.files.delete_versions(&key, version.as_deref()).await?)
    }
}
