//! What the page has to know before anybody is signed in: whether there is an identity provider.

use lambda_http::Error;
use serde::Serialize;

/// The ways to sign in beside a token, as the page reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SignIn {
    /// The identity provider (OpenID Connect); null for none.
    pub oidc: Option<IdentityProvider>,
}

/// An identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IdentityProvider {
    /// Its URL, below which `.well-known/openid-configuration` is.
    pub issuer: String,
    /// The id that it knows Crier by.
    pub client_id: String,
}

impl SignIn {
    /// Reads the environment: `OIDC_ISSUER` and `OIDC_CLIENT_ID`, both or none.
    pub fn from_env() -> Result<Self, Error> {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        match (variable("OIDC_ISSUER"), variable("OIDC_CLIENT_ID")) {
            (None, None) => Ok(Self::default()),
            (Some(issuer), Some(client_id)) => Ok(Self {
                oidc: Some(IdentityProvider { issuer, client_id }),
            }),
            _ => Err("OIDC_ISSUER and OIDC_CLIENT_ID need each other: set both or none".into()),
        }
    }
}
