//! The operator's settings: one item of the campaigns table (`id` = `settings`), kept in memory for a moment.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use campaign::contacts::settings::Settings;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Error;
use crate::campaigns::{text, to_attribute};

/// How old what a process knows may be: a change is in force everywhere by then.
const MAX_AGE: Duration = Duration::from_secs(30);

/// Where the settings are.
#[derive(Debug)]
pub struct SettingsStore {
    client: Client,
    table: String,
    cached: Mutex<Option<(Instant, Arc<Settings>)>>,
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

    /// The settings, half a minute old at most; the usual ones before somebody set any.
    pub async fn get(&self) -> Result<Arc<Settings>, Error> {
        let mut kept = self.cached.lock().await;
        if let Some((read_at, settings)) = &*kept
            && read_at.elapsed() < MAX_AGE
        {
            return Ok(Arc::clone(settings));
        }
        let settings = Arc::new(self.get_latest().await?);
        *kept = Some((Instant::now(), Arc::clone(&settings)));
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
            .key("part", text("settings"))
            .consistent_read(true);
        let item = get.send().await.map_err(Error::from_sdk(action))?.item;
        match item.and_then(|mut item| item.remove("settings")) {
            Some(settings) => serde_dynamo::from_attribute_value(settings)
                .map_err(|error| Error::new(action, error)),
            None => Ok(Settings::default()),
        }
    }

    /// Puts others in their place.
    pub async fn put(&self, settings: &Settings) -> Result<(), Error> {
        let action = "write the settings";
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
