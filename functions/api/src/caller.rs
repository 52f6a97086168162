//! Who makes a request, what they may do, and what the request changed.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use campaign::access::role::Role;
use campaign::id::CampaignId;
use campaign::time::Millis;
use cloud::tokens::TokenHash;

use crate::problem::Problem;

/// How a request shows who makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// By a token in its header.
    Token,
    /// By the cookie of this session.
    Session(TokenHash),
    /// By a token of the identity provider, which API Gateway has checked.
    IdentityProvider,
}

/// Who makes a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The name of the token, or the name that the identity provider has: the person.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// How they showed it.
    pub via: Via,
    /// The token with which they came, or signed in; `None` for whom the identity provider named.
    pub token: Option<TokenHash>,
    /// When the token or the session ends.
    pub valid_until: Option<Millis>,
    change: Arc<Mutex<ChangeNote>>,
}

/// What a request changed of a campaign, for the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeNote {
    /// The campaign.
    pub campaign: Option<CampaignId>,
    /// Its version before.
    pub version_before: Option<u64>,
    /// Its version afterwards.
    pub version_after: Option<u64>,
}

impl Caller {
    /// Whoever makes the request.
    pub fn new(
        name: String,
        role: Role,
        via: Via,
        token: Option<TokenHash>,
        valid_until: Option<Millis>,
    ) -> Self {
        Self {
            name,
            role,
            via,
            token,
            valid_until,
            change: Arc::default(),
        }
    }

    /// Refuses whoever has a lower role than `least`.
    pub fn require(&self, least: Role) -> Result<(), Problem> {
        match self.role.includes(least) {
            true => Ok(()),
            false => Err(Problem::role_too_low(self.role, least)),
        }
    }

    /// Whether phone numbers are masked for them.
    pub fn sees_masked(&self) -> bool {
        self.role == Role::Viewer
    }

    /// Notes that the request created a campaign.
    pub fn note_created(&self, campaign: &CampaignId) {
        self.note(|note| note.campaign = Some(campaign.clone()));
    }

    /// Notes that the request changed a campaign.
    pub fn note_changed(&self, campaign: &CampaignId, before: u64, after: u64) {
        self.note(|note| {
            note.campaign = Some(campaign.clone());
            note.version_before.get_or_insert(before);
            note.version_after = Some(after);
        });
    }

    /// What the request changed.
    pub fn change(&self) -> ChangeNote {
        let note = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        note.clone()
    }

    fn note(&self, change: impl FnOnce(&mut ChangeNote)) {
        change(&mut self.change.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(Problem::unauthorized)
    }
}
