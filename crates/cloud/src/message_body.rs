//! The bodies of queue messages, and of jobs that wait in the table: JSON with the version of its format. While a new version
//! of the code is deployed, both are at work: a message that one of them does not know comes again, for the other, and ends
//! among the dead letters if no code knows it.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};

/// One version for all formats: raise it when any of them changes.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Encoded<'a, T> {
    version: u32,
    #[serde(flatten)]
    message: &'a T,
}

#[derive(Deserialize)]
struct Decoded<T> {
    version: u32,
    #[serde(flatten)]
    message: T,
}

/// The body of a message.
pub fn encode<T: Serialize>(message: &T) -> Result<String, serde_json::Error> {
    let version = VERSION;
    serde_json::to_string(&Encoded { version, message })
}

/// The message of a body. Fails if it has another version.
pub fn decode<T: DeserializeOwned>(body: &str) -> Result<T, serde_json::Error> {
    let Decoded { version, message } = serde_json::from_str(body)?;
    match version {
        VERSION => Ok(message),
        other => Err(serde_json::Error::custom(format!(
            "a message of version {other}, which this code does not know"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use campaign::delivery::batch::Batch;
    use campaign::id::CampaignId;

    use super::*;

    #[test]
    fn message_of_another_version_is_refused() {
        let batch = Batch {
            campaign: CampaignId::try_from("c1".to_owned()).expect("id"),
            rows: Vec::new(),
            hops: 2,
        };
        let body = encode(&batch).expect("JSON");
        assert_eq!(decode::<Batch>(&body).expect("a batch"), batch);
        for other in [
            body.replace("\"version\":1", "\"version\":2"),
            body.replace("\"version\":1,", ""),
        ] {
            assert!(decode::<Batch>(&other).is_err(), "{other}");
        }
    }
}
