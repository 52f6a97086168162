//! The operator's settings: one item of the campaigns table (`id` = `settings`), kept in memory for a moment.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use campaign::settings::Settings;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Error;
use crate::campaigns::{attribute, text};

/// How old what a process knows may be: a change is in force everywhere by then.
const FRESH: Duration = Duration::from_secs(30);

/// Where the settings are.
#[derive(Debug)]
pub struct SettingsStore {
    client: Client,
    table: String,
    kept: Mutex<Option<(Instant, Arc<Settings>)>>,
}

impl SettingsStore {
    /// In the campaigns table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            kept: Mutex::default(),
        }
    }

    /// The settings, half a minute old at most; the usual ones before somebody set any.
    pub async fn get(&self) -> Result<Arc<Settings>, Error> {
        let mut kept = self.kept.lock().await;
        if let Some((read_at, settings)) = &*kept
            && read_at.elapsed() < FRESH
        {
            return Ok(Arc::clone(settings));
        }
        let settings = Arc::new(self.read().await?);
        *kept = Some((Instant::now(), Arc::clone(&settings)));
        Ok(settings)
    }

    /// The settings as they are now.
    pub async fn read(&self) -> Result<Settings, Error> {
        let action = "read the settings";
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("id", text("settings"))
            .key("part", text("settings"))
            .consistent_read(true);
        let item = get.send().await.map_err(Error::aws(action))?.item;
        match item.and_then(|mut item| item.remove("settings")) {
            Some(settings) => serde_dynamo::from_attribute_value(settings)
                .map_err(|error| Error::new(action, error)),
            None => Ok(Settings::default()),
        }
    }

    /// Puts others in their place.
    pub async fn write(&self, settings: &Settings) -> Result<(), Error> {
        let action = "write the settings";
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("id", text("settings"))
            .item("part", text("settings"))
            .item("settings", attribute(action, settings)?);
        put.send().await.map_err(Error::aws(action))?;
        *self.kept.lock().await = None;
        Ok(())
    }
}
