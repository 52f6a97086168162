//! What the identity provider says of a person. API Gateway checks the provider's token (signature, issuer, audience, times)
//! before it invokes the function, and only on the route that has the authorizer (AWS, "Control access to HTTP APIs with JWT
//! authorizers in API Gateway").

use std::collections::HashMap;

use axum::extract::Request;
use campaign::access::role::Role;
use lambda_http::request::RequestContext;
use strum::VariantArray;

/// What a role's name may begin with in the provider's groups, which other programs use, too.
const GROUP_PREFIX: &str = "crier-";

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

    /// Who it is: the e-mail address if the provider has verified it, else the provider's id. Nothing that people may choose
    /// for themselves: the audit log and approvals go by it.
    pub fn person(&self) -> Option<&str> {
        let is_verified = self.get("email_verified") == Some("true");
        self.get("email")
            .filter(|_| is_verified)
            .or_else(|| self.get("sub"))
    }

    /// The highest role that the claim names, as `sender` or `crier-sender`, alone or in a list.
    pub fn role(&self, claim: &str) -> Option<Role> {
        let is_separator = |c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '"');
        let named = self.get(claim)?.split(is_separator);
        named.filter_map(parse_role).max()
    }

    fn get(&self, claim: &str) -> Option<&str> {
        let text = self.0.get(claim)?.trim();
        (!text.is_empty()).then_some(text)
    }
}

fn parse_role(name: &str) -> Option<Role> {
    let name = name.strip_prefix(GROUP_PREFIX).unwrap_or(name);
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
        assert_eq!(claims(&[("role", "admin")]).role("groups"), None);
    }

    #[test]
    fn person_is_named_by_what_the_provider_has_verified() {
        let mail = ("email", "maria@example.com");
        let known = [mail, ("email_verified", "true"), ("sub", "42")];
        assert_eq!(claims(&known).person(), Some("maria@example.com"));
        let claimed = [mail, ("email_verified", "false"), ("sub", "42")];
        assert_eq!(claims(&claimed).person(), Some("42"));
        assert_eq!(claims(&[mail, ("sub", "42")]).person(), Some("42"));
        assert_eq!(claims(&[("name", "maria")]).person(), None);
    }
}
