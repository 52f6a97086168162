//! Tokens of the API, in the campaigns table: `id` = `tokens`, `part` = the SHA-256 of the token, so that a request finds its
//! token with one read and nothing in the table lets anybody in.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use campaign::access::role::Role;
use campaign::time::Millis;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::dynamodb::{get_value, number, put_if, query_values, send_if, text, to_item};
use crate::hash::sha256_hex;

const ID: &str = "tokens";

/// `last_used_at` is written at most this often.
const USE_PRECISION_MS: Millis = 3_600_000;

/// How many hexadecimal digits of a token's hash name it.
const TOKEN_ID_CHARS: usize = 16;

/// The SHA-256 of a token or of a session's cookie, as hexadecimal text. Both are random, so a plain hash is enough.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenHash(String);

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> Self {
        Self(sha256_hex(token))
    }

    /// The hash as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What names the token in the API: the beginning of the hash.
    pub fn id(&self) -> &str {
        &self.0[..TOKEN_ID_CHARS]
    }
}

/// A token, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredToken {
    /// The hash of its value.
    #[serde(rename = "part")]
    pub hash: TokenHash,
    /// Whose it is.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// When it was created.
    pub created_at: Millis,
    /// The name of the token or session that created it.
    pub created_by: String,
    /// When it was last used, to the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Millis>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Millis>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Millis>,
}

impl StoredToken {
    /// Whether it may be used at `now`.
    pub fn is_valid(&self, now: Millis) -> bool {
        self.revoked_at.is_none() && self.valid_until.is_none_or(|until| now < until)
    }
}

/// The tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    client: Client,
    table: String,
}

impl Tokens {
    /// In the campaigns table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Stores a new token.
    pub async fn create(&self, token: &StoredToken) -> Result<(), Error> {
        let action = "create a token";
        let mut item = to_item(action, token)?;
        item.insert("id".into(), text(ID));
        let put = self.client.put_item().table_name(&self.table);
        let put = put
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(id)");
        put_if(action, put).await.map(drop)
    }

    /// The token of that hash, as it is now.
    pub async fn get(&self, hash: &TokenHash) -> Result<Option<StoredToken>, Error> {
        get_value("read a token", self.get_item(hash)).await
    }

    /// Every token that is not revoked.
    pub async fn list(&self) -> Result<Vec<StoredToken>, Error> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("id = :id")
            .expression_attribute_values(":id", text(ID));
        let mut tokens: Vec<StoredToken> = query_values("list the tokens", query).await?;
        tokens.retain(|token| token.revoked_at.is_none());
        Ok(tokens)
    }

    /// Revokes a token: it does not exist any more for whoever uses it, or a session of it. DynamoDB deletes it later, so that
    /// the API needs no right to delete anything.
    pub async fn revoke(&self, hash: &TokenHash, now: Millis) -> Result<(), Error> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(ID))
            .key("part", text(hash.as_str()))
            .update_expression("SET revoked_at = :now, expires_at = :expires_at")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":expires_at", number(now / 1000));
        send_if("revoke a token", update).await.map(drop)
    }

    /// Notes that a token is used, once an hour. One that was revoked meanwhile is not.
    pub async fn mark_used(&self, token: &StoredToken, now: Millis) -> Result<(), Error> {
        let is_recent = |at: Millis| at + USE_PRECISION_MS > now;
        if token.last_used_at.is_some_and(is_recent) {
            return Ok(());
        }
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(ID))
            .key("part", text(token.hash.as_str()))
            .update_expression("SET last_used_at = :now")
            .condition_expression(
                "attribute_exists(id) AND attribute_not_exists(revoked_at) \
                 AND (attribute_not_exists(last_used_at) OR last_used_at < :now)",
            )
            .expression_attribute_values(":now", number(now));
        send_if("note that a token is used", update).await.map(drop)
    }

    fn get_item(&self, hash: &TokenHash) -> GetItemFluentBuilder {
        self.client
            .get_item()
            .table_name(&self.table)
            .key("id", text(ID))
            .key("part", text(hash.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_sha256_and_names_the_token() {
        let hash = TokenHash::of("abc");
        assert!(hash.as_str().starts_with("ba7816bf8f01cfea"));
        assert_eq!((hash.as_str().len(), hash.id()), (64, "ba7816bf8f01cfea"));
    }

    #[test]
    fn token_is_valid_until_its_expiry() {
        let mut token = StoredToken {
            hash: TokenHash::of("abc"),
            name: "maria".into(),
            role: Role::Sender,
            created_at: 0,
            created_by: "ops".into(),
            last_used_at: None,
            valid_until: None,
            revoked_at: None,
        };
        assert!(token.is_valid(Millis::MAX));
        token.valid_until = Some(1000);
        assert!(token.is_valid(999) && !token.is_valid(1000));
        token.revoked_at = Some(0);
        assert!(!token.is_valid(999));
    }
}
