//! Queries about the account: its templates, and how many recipients it may message. Meta allows 200 of these management
//! calls an hour (Meta, "Graph API rate limits"), so callers cache the results.

use std::sync::Arc;

use campaign::import::preview::DailyLimit;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::connection::{ConnectError, Network};
use crate::template::Template;
use crate::transport::Transport;

/// Templates per request.
const TEMPLATES_PER_PAGE: u32 = 200;

/// Enough for 6,000 templates, the most that an account can have.
const MAX_PAGES: usize = 40;

/// Queries one account and its phone number.
#[derive(Clone)]
pub struct AccountClient {
    transport: Arc<dyn Transport>,
    base: String,
    waba_id: String,
    phone_number_id: String,
}

impl std::fmt::Debug for AccountClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AccountClient")
            .finish_non_exhaustive()
    }
}

/// What Meta says about a phone number. A field is `None` where Meta says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberFacts {
    /// The number, as Meta writes it.
    pub phone: Option<String>,
    /// The name that recipients see.
    pub name: Option<String>,
    /// Meta's rating: `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    pub quality: Option<String>,
    /// Meta's throughput level: `STANDARD` (80 messages a second) or `HIGH` (1,000), for example.
    pub throughput: Option<String>,
    /// Meta's status, such as `CONNECTED`, `FLAGGED` or `RESTRICTED`.
    pub status: Option<String>,
    /// How many recipients the number's portfolio may message in 24 hours outside of service windows.
    pub daily_limit: DailyLimit,
}

/// Why there is no result. The text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Meta answered with an error.
    #[error("WhatsApp answered with error {code}, \"{message}\"")]
    Refused {
        /// The Graph API's code.
        code: i64,
        /// Meta's message.
        message: String,
    },
    /// No response, or one that cannot be read.
    #[error("WhatsApp could not be reached: {0}")]
    Unreachable(&'static str),
}

impl AccountClient {
    /// `base` such as `https://graph.facebook.com`, `version` such as `v25.0`. `waba_id` is the WhatsApp Business account.
    pub fn new(
        base: &str,
        version: &str,
        waba_id: &str,
        phone_number_id: &str,
    ) -> Result<Self, ConnectError> {
        let base = base.trim_end_matches('/');
        let network = Arc::new(Network::new(base)?);
        let base = format!("{base}/{version}");
        Ok(Self::over(network, base, waba_id, phone_number_id))
    }

    /// A client over another transport. `base` includes the version.
    pub fn over(
        transport: Arc<dyn Transport>,
        base: String,
        waba_id: &str,
        phone_number_id: &str,
    ) -> Self {
        Self {
            transport,
            base,
            waba_id: waba_id.to_owned(),
            phone_number_id: phone_number_id.to_owned(),
        }
    }

    /// Every template of the account, approved or not.
    pub async fn templates(&self, token: &SecretString) -> Result<Vec<Template>, AccountError> {
        let fields = "id,name,language,status,category,parameter_format,components,quality_score";
        let url = format!(
            "{}/{}/message_templates?fields={fields}&limit={TEMPLATES_PER_PAGE}",
            self.base, self.waba_id
        );
        let mut templates = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let page_url = match &after {
                Some(after) => format!("{url}&after={after}"),
                None => url.clone(),
            };
            let page = self.get_json(&page_url, token).await?;
            templates.extend(
                page["data"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Template::parse),
            );
            // The last page has a cursor, too, but no link to a next page.
            let next = page
                .pointer("/paging/next")
                .and(page.pointer("/paging/cursors/after"));
            match next.and_then(Value::as_str) {
                Some(next) => after = Some(next.to_owned()),
                None => break,
            }
        }
        Ok(templates)
    }

    /// The number that messages are sent from (Meta, "WhatsApp Business Phone Number", fields).
    pub async fn number(&self, token: &SecretString) -> Result<NumberFacts, AccountError> {
        self.number_of(&self.phone_number_id, token).await
    }

    /// The same about the number of that id.
    pub async fn number_of(
        &self,
        phone_number_id: &str,
        token: &SecretString,
    ) -> Result<NumberFacts, AccountError> {
        const LIMIT: &str = "whatsapp_business_manager_messaging_limit";
        let fields =
            format!("display_phone_number,verified_name,quality_rating,throughput,status,{LIMIT}");
        let url = format!("{}/{phone_number_id}?fields={fields}", self.base);
        let number = self.get_json(&url, token).await?;
        let text = |pointer: &str| {
            let value = number.pointer(pointer).and_then(Value::as_str);
            value.map(str::to_owned)
        };
        Ok(NumberFacts {
            phone: text("/display_phone_number"),
            name: text("/verified_name"),
            quality: text("/quality_rating"),
            throughput: text("/throughput/level"),
            status: text("/status"),
            daily_limit: number[LIMIT]
                .as_str()
                .map_or(DailyLimit::Unknown, parse_tier),
        })
    }

    async fn get_json(&self, url: &str, token: &SecretString) -> Result<Value, AccountError> {
        let response = self.transport.get(url, token).await;
        let response = response.map_err(|error| AccountError::Unreachable(error.0))?;
        let is_success = (200..300).contains(&response.status);
        let json: Value = serde_json::from_slice(&response.body)
            .map_err(|_| AccountError::Unreachable("the response is not the API's"))?;
        if is_success {
            return Ok(json);
        }
        Err(AccountError::Refused {
            code: json
                .pointer("/error/code")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            message: json
                .pointer("/error/message")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        })
    }
}

/// The limit of a tier such as `TIER_2K`. A tier without a number is no permission for any number: `UNTIERED`.
fn parse_tier(tier: &str) -> DailyLimit {
    let Some(limit) = tier.strip_prefix("TIER_") else {
        return DailyLimit::Unknown;
    };
    if limit == "UNLIMITED" {
        return DailyLimit::Unlimited;
    }
    let (number, times) = match limit.strip_suffix('K') {
        Some(thousands) => (thousands, 1000),
        None => (limit, 1),
    };
    number.parse::<u64>().map_or(DailyLimit::Unknown, |number| {
        DailyLimit::Recipients(number * times)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unlimited_tier_has_no_limit() {
        let cases = [
            ("TIER_250", DailyLimit::Recipients(250)),
            ("TIER_2K", DailyLimit::Recipients(2000)),
            ("TIER_100K", DailyLimit::Recipients(100_000)),
            ("TIER_UNLIMITED", DailyLimit::Unlimited),
            ("UNTIERED", DailyLimit::Unknown),
            ("TIER_NOT_SET", DailyLimit::Unknown),
            ("x", DailyLimit::Unknown),
        ];
        for (tier, expected) in cases {
            assert_eq!(parse_tier(tier), expected, "{tier}");
        }
    }
}
