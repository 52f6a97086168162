//! The operator's settings: one item of the campaigns table (`id` = `settings`), cached in memory.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use campaign::contacts::settings::Settings;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Error;
use crate::cached::Cached;
use crate::dynamodb::{from_attribute, get_item, text, to_attribute};

/// A change is in force everywhere after this time.
const MAX_AGE: Duration = Duration::from_secs(30);

/// The stored settings.
#[derive(Debug)]
pub struct SettingsStore {
    client: Client,
    table: String,
    cached: Mutex<Option<Cached<Arc<Settings>>>>,
}

impl SettingsStore {
    /// In the campaigns table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            cached: Mutex::default(),
        }
    }

    /// The settings, 30 seconds old at most; the defaults if the operator has set none.
    pub async fn get(&self) -> Result<Arc<Settings>, Error> {
        let mut cached = self.cached.lock().await;
        if let Some(settings) = cached.as_ref().and_then(|cached| cached.get(MAX_AGE)) {
            return Ok(settings);
        }
        let read_at = Instant::now();
        let settings = Arc::new(self.get_latest().await?);
        *cached = Some(Cached::new(Arc::clone(&settings), read_at));
        Ok(settings)
    }

    /// The settings as they are now.
    pub async fn get_latest(&self) -> Result<Settings, Error> {
        let action = "read the settings";
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("id", text("settings"))
            .key("part", text("settings"));
        let item = get_item(action, get).await?;
        match item.and_then(|mut item| item.remove("settings")) {
            Some(settings) => from_attribute(action, settings),
            None => Ok(Settings::default()),
        }
    }

    /// Replaces the settings.
    pub async fn put(&self, settings: &Settings) -> Result<(), Error> {
        let action = "store the settings";
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("id", text("settings"))
            .item("part", text("settings"))
            .item("settings", to_attribute(action, settings)?);
        put.send().await.map_err(Error::from_sdk(action))?;
        *self.cached.lock().await = None;
        Ok(())
    }
}
