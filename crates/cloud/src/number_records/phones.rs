//! Which phone a number has. Meta's notifications name a phone and no id; callbacks name both.

use campaign::id::NumberId;

use super::NumberRecords;
use crate::Error;
use crate::dynamodb::{send_if, text};

impl NumberRecords {
    /// Stores the phone of a number, as digits. A process does so once.
    pub async fn note_phone(&self, id: &NumberId, phone: &str) -> Result<(), Error> {
        let mut noted = self.noted.lock().await;
        if noted.get(id).is_some_and(|known| known == phone) {
            return Ok(());
        }
        let update = self
            .update(id)
            .update_expression("SET phone = :phone")
            .condition_expression("attribute_not_exists(phone) OR phone <> :phone")
            .expression_attribute_values(":phone", text(phone));
        send_if("store the phone of a number", update).await?;
        noted.insert(id.clone(), phone.to_owned());
        Ok(())
    }

    /// Those of `numbers` that have this phone, as digits; if none is known to have it, those of which no
    /// phone is known. Without a phone, all of them.
    pub async fn with_phone<'a>(
        &self,
        phone: Option<&str>,
        numbers: impl IntoIterator<Item = &'a NumberId>,
    ) -> Result<Vec<&'a NumberId>, Error> {
        let records = self.all().await?;
        let known = |id: &NumberId| records.get(id).and_then(|record| record.phone.as_deref());
        let numbers: Vec<&NumberId> = numbers.into_iter().collect();
        let Some(phone) = phone else {
            return Ok(numbers);
        };
        let with = |wanted: Option<&str>| {
            let found = numbers.iter().filter(|id| known(id) == wanted);
            found.copied().collect::<Vec<_>>()
        };
        let theirs = with(Some(phone));
        Ok(match theirs.is_empty() {
            true => with(None),
            false => theirs,
        })
    }
}
