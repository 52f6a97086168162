//! Sessions of the console, in the campaigns table: `id` = `sessions`, `part` = the SHA-256 of the cookie's value. The session
//! of a token is the right to use the token without showing it: what the token may do, and whether it still exists, is looked
//! up with each request, so that it ends with its token.

use aws_sdk_dynamodb::Client;
use campaign::access::role::Role;
use campaign::time::Millis;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::dynamodb::{get_value, number, put_if, send_if, text, to_item};
use crate::tokens::TokenHash;

const ID: &str = "sessions";

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The hash of its cookie's value.
    #[serde(rename = "part")]
    pub hash: TokenHash,
    /// Whose it is.
    pub owner: SessionOwner,
    /// When it began.
    pub created_at: Millis,
    /// When it ends.
    pub valid_until: Millis,
}

/// Whose a session is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionOwner {
    /// The owner of this token, who may do what the token may.
    Token(TokenHash),
    /// Somebody whom the identity provider named, with the role that it gave them.
    Person {
        /// Their name.
        name: String,
        /// What they may do.
        role: Role,
    },
}

/// The sessions.
#[derive(Clone, Debug)]
pub struct Sessions {
    client: Client,
    table: String,
}

impl Sessions {
    /// In the campaigns table of that name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Stores a new session.
    pub async fn create(&self, session: &Session) -> Result<(), Error> {
        let action = "create a session";
        let mut item = to_item(action, session)?;
        item.insert("id".into(), text(ID));
        // DynamoDB deletes it some time after that; until then `valid_until` is checked.
        item.insert("expires_at".into(), number(session.valid_until / 1000));
        let put = self.client.put_item().table_name(&self.table);
        let put = put
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(id)");
        put_if(action, put).await.map(drop)
    }

    /// The session of that hash, as it is now; `None` once it has ended.
    pub async fn get(&self, hash: &TokenHash, now: Millis) -> Result<Option<Session>, Error> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("id", text(ID))
            .key("part", text(hash.as_str()));
        let session: Option<Session> = get_value("read a session", get).await?;
        Ok(session.filter(|session| now < session.valid_until))
    }

    /// Ends a session. DynamoDB deletes it later, so that the API needs no right to delete anything.
    pub async fn end(&self, hash: &TokenHash) -> Result<(), Error> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", text(ID))
            .key("part", text(hash.as_str()))
            .update_expression("SET valid_until = :never")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":never", number(0));
        send_if("end a session", update).await.map(drop)
    }
}
