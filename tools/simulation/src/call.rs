//! A message that left a sender, and what the sender was told about it.

use std::fmt;

use serde_json::Value;

/// Codes that come with HTTP 5xx and do not say whether the message was sent (Meta, "Error codes"); those that Meta does not
/// document say nothing either.
const UNCERTAIN_SERVER_ERRORS: [i64; 5] = [1, 2, 131_000, 131_016, 133_004];
const UNDOCUMENTED: i64 = 999_999;

/// What a caller was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// That the message was accepted.
    Accepted,
    /// That it was certainly not.
    Refused(i64),
    /// Nothing that says whether it was.
    Nothing,
}

/// A message that left a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When it left, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Campaign, row and attempt, as the callback data names them.
    pub campaign: String,
    /// The row.
    pub row: u32,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The recipient, with `+`.
    pub to: String,
    /// The id of the number that it was sent from.
    pub number: String,
    /// The first value of the message's text.
    pub name: String,
    /// The process.
    pub host: String,
    /// Its invocation.
    pub invocation: String,
    /// Whether Meta accepted it.
    pub accepted: bool,
    /// What the caller was told.
    pub told: Told,
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call {
            at_ms,
            campaign,
            row,
            attempt,
            to,
            host,
            invocation,
            ..
        } = self;
        write!(
            formatter,
            "{at_ms} {host} {invocation} meta.send {campaign}/{row} attempt {attempt} to {to}: {:?}, accepted: {}",
            self.told, self.accepted
        )
    }
}

/// What a response says, by Meta's documentation.
pub fn told(status: u16, body: &Value) -> Told {
    let code = body
        .pointer("/error/code")
        .and_then(Value::as_i64)
        .unwrap_or(UNDOCUMENTED);
    let is_uncertain = UNCERTAIN_SERVER_ERRORS.contains(&code) || code == UNDOCUMENTED;
    match status {
        200..300 => Told::Accepted,
        500.. if is_uncertain => Told::Nothing,
        _ => Told::Refused(code),
    }
}
