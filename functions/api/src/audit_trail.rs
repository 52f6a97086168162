//! The audit entry of one request: written before it is executed, completed afterwards.

use axum::RequestPartsExt;
use axum::extract::RawPathParams;
use axum::http::StatusCode;
use axum::http::request::Parts;
use campaign::id::{CampaignId, NumberId};
use cloud::audit::{AuditEntry, entry_id};
use cloud::contacts::contact_id;

use crate::Api;
use crate::caller::{Caller, Via};
use crate::extract::parse_phone;
use crate::problem::Problem;

/// Stores what somebody is about to do. If that fails, nothing is done.
pub async fn begin_entry(
    api: &Api,
    caller: &Caller,
    operation: &'static str,
    parts: &mut Parts,
) -> Result<AuditEntry, Problem> {
    let Subjects {
        campaign,
        contact,
        number,
    } = subjects(parts).await;
    let entry = AuditEntry {
        campaign,
        contact,
        number,
        ..new_entry(caller, operation)
    };
    api.audit.begin(&entry).await?;
    Ok(entry)
}

/// The same for a campaign that is known.
pub async fn begin_entry_of_campaign(
    api: &Api,
    caller: &Caller,
    operation: &'static str,
    campaign: &CampaignId,
) -> Result<AuditEntry, Problem> {
    let entry = AuditEntry {
        campaign: Some(campaign.clone()),
        ..new_entry(caller, operation)
    };
    api.audit.begin(&entry).await?;
    Ok(entry)
}

fn new_entry(caller: &Caller, operation: &'static str) -> AuditEntry {
    let at = cloud::now();
    AuditEntry {
        id: entry_id(at, rand::random()),
        at,
        who: caller.name.clone(),
        role: caller.role,
        via: match caller.via {
            Via::Token => "token".into(),
            Via::Session(_) => "session".into(),
            Via::IdentityProvider => "identity_provider".into(),
        },
        operation: operation.to_owned(),
        campaign: None,
        contact: None,
        number: None,
        version_before: None,
        version_after: None,
        status: None,
    }
}

/// What the path names.
#[derive(Default)]
struct Subjects {
    campaign: Option<CampaignId>,
    /// The hash of the phone, which stays after an erasure.
    contact: Option<String>,
    number: Option<NumberId>,
}

async fn subjects(parts: &mut Parts) -> Subjects {
    let Ok(parameters) = parts.extract::<RawPathParams>().await else {
        return Subjects::default();
    };
    let find = |wanted: &str| {
        let mut all = parameters.iter();
        all.find(|(name, _)| *name == wanted).map(|(_, text)| text)
    };
    // Tokens have ids, too.
    let names_campaign = parts.uri.path().contains("/v1/campaigns/");
    let campaign = find("id").filter(|_| names_campaign);
    let phone = find("phone").and_then(|text| parse_phone(text).ok());
    Subjects {
        campaign: campaign.and_then(|id| id.parse().ok()),
        contact: phone.map(contact_id),
        number: find("number").and_then(|id| id.parse().ok()),
    }
}

/// Stores how it ended. It was done by then: a failure leaves the entry without a status.
pub async fn complete_entry(api: &Api, caller: &Caller, mut entry: AuditEntry, status: StatusCode) {
    let change = caller.change();
    entry.status = Some(status.as_u16());
    entry.campaign = change.campaign.or(entry.campaign);
    entry.version_before = change.version_before;
    entry.version_after = change.version_after;
    if let Err(error) = api.audit.complete(&entry).await {
        tracing::error!("an entry of the audit log stays without its status: {error}");
    }
}
