//! What the identity provider says of a person. API Gateway checks the provider's token (signature, issuer, audience, times)
//! before it invokes the function, and only on the route that has the authorizer (AWS, "Control access to HTTP APIs with JWT
//! authorizers in API Gateway").

use std::collections::HashMap;

use axum::extract::Request;
use campaign::access::role::Role;
use cloud::env::{self, InvalidVariable};
use lambda_http::request::RequestContext;
use strum::VariantArray;

/// What a role's name begins with in the provider's groups.
const GROUP_PREFIX: &str = "crier-";

/// Which claims of the identity provider's tokens say who a person is, and what they may do.
#[derive(Clone, Debug)]
pub struct OidcClaims {
    /// Who, such as `email`.
    pub name_claim: String,
    /// What they may do, such as `cognito:groups`.
    pub role_claim: String,
}

impl OidcClaims {
    /// Reads the environment: `OIDC_ROLE_CLAIM`, empty where there is no provider, and `OIDC_NAME_CLAIM`.
    pub fn from_env() -> Result<Option<Self>, InvalidVariable> {
        let Some(role_claim) = env::optional("OIDC_ROLE_CLAIM") else {
            return Ok(None);
        };
        let name_claim = env::required("OIDC_NAME_CLAIM")?;
        Ok(Some(Self {
            name_claim,
            role_claim,
        }))
    }
}

/// The claims of a token that was checked. API Gateway writes each as a text, a list as `[a b]`.
pub struct Claims(HashMap<String, String>);

impl Claims {
    /// Those of a request; `None` if it did not pass the authorizer.
    pub fn of(request: &Request) -> Option<Self> {
        let context = request.extensions().get::<RequestContext>()?;
        let RequestContext::ApiGatewayV2(context) = context else {
            return None;
        };
        let jwt = context.authorizer.as_ref()?.jwt.as_ref()?;
        Some(Self(jwt.claims.clone()))
    }

    /// Who it is, by this claim. One person must have one name: the audit log and approvals go by it. So there is no other claim
    /// to fall back on, an e-mail address counts only if the provider has verified it, and access tokens, which may lack claims
    /// that ID tokens have, are refused where they say what they are (Cognito: `token_use`).
    pub fn person(&self, claim: &str) -> Option<&str> {
        let is_id_token = self.get("token_use").is_none_or(|usage| usage == "id");
        let is_verified = claim != "email" || self.get("email_verified") == Some("true");
        self.get(claim).filter(|_| is_id_token && is_verified)
    }

    /// The highest role that the claim names: `sender` alone, or `crier-sender`, alone or in a list of groups. Other programs
    /// have groups with names such as `admin`, too, and API Gateway separates names by the spaces that they may contain, so in a
    /// list only the prefix tells which names are meant for Crier.
    pub fn role(&self, claim: &str) -> Option<Role> {
        let text = self.get(claim)?;
        let is_separator = |c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '"');
        let groups = text.split(is_separator);
        let named = groups.filter_map(|group| parse_role(group.strip_prefix(GROUP_PREFIX)?));
        parse_role(text).into_iter().chain(named).max()
    }

    fn get(&self, claim: &str) -> Option<&str> {
        let text = self.0.get(claim)?.trim();
        (!text.is_empty()).then_some(text)
    }
}

fn parse_role(name: &str) -> Option<Role> {
    Role::VARIANTS
        .iter()
        .copied()
        .find(|role| role.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(claims: &[(&str, &str)]) -> Claims {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Claims(claims.iter().map(owned).collect())
    }

    #[test]
    fn role_is_the_highest_that_is_named() {
        let role = |groups: &str| claims(&[("groups", groups)]).role("groups");
        assert_eq!(role("sender"), Some(Role::Sender));
        assert_eq!(
            role("[staff crier-author crier-viewer]"),
            Some(Role::Author)
        );
        assert_eq!(role("[\"crier-admin\",\"staff\"]"), Some(Role::Admin));
        assert_eq!(role("staff Admin crier-owner"), None);
        assert_eq!(role("[Everyone Help desk admin]"), None);
        assert_eq!(claims(&[("role", "admin")]).role("groups"), None);
    }

    #[test]
    fn person_is_named_by_what_the_provider_has_verified() {
        let mail = ("email", "maria@example.com");
        let verified = ("email_verified", "true");
        let known = claims(&[mail, verified, ("sub", "42")]);
        assert_eq!(known.person("email"), Some("maria@example.com"));
        assert_eq!(known.person("sub"), Some("42"));
        let claimed = claims(&[mail, ("email_verified", "false"), ("sub", "42")]);
        assert_eq!(claimed.person("email"), None);
        assert_eq!(claims(&[mail]).person("email"), None);
        // No second name: neither by a token without the claim, nor by an access token.
        assert_eq!(claims(&[("sub", "42")]).person("email"), None);
        let access = claims(&[mail, verified, ("sub", "42"), ("token_use", "access")]);
        assert_eq!((access.person("email"), access.person("sub")), (None, None));
    }
}
