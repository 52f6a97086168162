//! Contacts of an environment, and downloads by signed URL.

use campaign::contacts::contact::{ConsentEvent, ConsentSource, Contact};
use campaign::import::phone::Phone;
use cloud::contacts::ContactKey;
use serde_json::Value;

use super::TestEnv;
use super::json::text;

impl TestEnv {
    /// The contact of a number, which must be there.
    pub(crate) async fn contact(&self, phone: Phone) -> Contact {
        let contact = self.contacts.get(&ContactKey::Phone(phone)).await.unwrap();
        contact.expect("a contact")
    }

    /// Puts a number on the suppression list, or takes it off.
    pub(crate) async fn set_suppressed(&self, phone: Phone, suppressed: bool) {
        let event = ConsentEvent {
            at: cloud::now(),
            suppressed,
            source: ConsentSource::Operator,
            text: None,
        };
        let key = ContactKey::Phone(phone);
        self.contacts.record_consent(&key, event).await.unwrap();
    }

    /// Downloads a file by its signed URL.
    pub(crate) async fn download(&self, url: &Value) -> Vec<u8> {
        let response = reqwest::get(text(url)).await.unwrap();
        assert!(response.status().is_success());
        response.bytes().await.unwrap().to_vec()
    }

    /// Downloads a text file by its signed URL.
    pub(crate) async fn download_text(&self, url: &Value) -> String {
        String::from_utf8(self.download(url).await).unwrap()
    }
}
