//! The console: serves the operator's single-page application. It has no rights: what the application does, it asks of the
//! API, as every other client does.
//!
//! The application's sources are in `web`; `dist` has what was built of them, each file also in brotli and gzip, and becomes
//! part of this program. The function writes nothing, so where its process dies, nothing is left undone: the browser asks
//! again.
//!
//! - [`assets`]: the files
//! - [`encoding`]: the smallest variant that a browser takes
//! - [`headers`]: what the browser may do with them
//! - [`sign_in`]: the identity provider, if there is one

pub mod assets;
pub mod encoding;
pub mod headers;
pub mod sign_in;

use lambda_http::http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY,
};
use lambda_http::http::response::Builder;
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Error, Request, RequestExt, Response};

use crate::assets::Asset;
use crate::encoding::accepted_encodings;
use crate::headers::{ContentSecurityPolicy, SECURITY_HEADERS};
use crate::sign_in::SignIn;

/// What is shown where the application was not built into the program.
const NOT_BUILT: &str = "The console was not built into this function. Run `cargo xtask console`, then build and deploy \
     Crier again. The API works without it.\n";

/// Where the page asks how people may sign in.
const SIGN_IN_PATH: &str = "/assets/sign-in.json";

/// A file whose name has the hash of its content never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// The page is asked for each time, and sent only if it has changed.
const REVALIDATE: &str = "no-cache";

/// The console, made once per process.
#[derive(Debug)]
pub struct Console {
    policy: ContentSecurityPolicy,
    sign_in: SignIn,
}

impl Console {
    /// Reads the environment: `CONNECT_ORIGINS`, what pages may connect to beside the console's own address (the bucket, the
    /// identity provider), and who the provider is. Fails if something is not an origin.
    pub fn from_env() -> Result<Self, Error> {
        let origins = std::env::var("CONNECT_ORIGINS").unwrap_or_default();
        Ok(Self::new(&origins, SignIn::from_env()?)?)
    }

    /// The console whose pages may connect to `origins`, with spaces between them.
    pub fn new(origins: &str, sign_in: SignIn) -> Result<Self, headers::NotAnOrigin> {
        let policy = ContentSecurityPolicy::new(origins)?;
        Ok(Self { policy, sign_in })
    }

    /// 200, 304 not modified, 404, 405, 503 if the application was not built.
    pub fn respond(&self, request: &Request) -> Result<Response<Body>, Error> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let response = self.start_response(StatusCode::METHOD_NOT_ALLOWED);
            return text(
                response.header(ALLOW, "GET, HEAD"),
                "The console is only read.\n",
                request,
            );
        }
        if request.raw_http_path().ends_with(SIGN_IN_PATH) {
            let response = self.start_response(StatusCode::OK);
            let response = response.header(CONTENT_TYPE, "application/json");
            return uncached(response, serde_json::to_string(&self.sign_in)?, request);
        }
        let accepted = request.headers().get_all(ACCEPT_ENCODING);
        let encodings = accepted_encodings(accepted.iter().filter_map(|value| value.to_str().ok()));
        match assets::find(request.raw_http_path(), &encodings) {
            Some(asset) => self.respond_with(asset, request),
            None if !assets::is_built() => {
                let response = self.start_response(StatusCode::SERVICE_UNAVAILABLE);
                text(response, NOT_BUILT, request)
            }
            None => {
                let response = self.start_response(StatusCode::NOT_FOUND);
                text(response, "There is no such file.\n", request)
            }
        }
    }

    fn respond_with(&self, asset: Asset, request: &Request) -> Result<Response<Body>, Error> {
        let cache_control = match asset.is_page {
            true => REVALIDATE,
            false => IMMUTABLE,
        };
        let is_known = request
            .headers()
            .get_all(IF_NONE_MATCH)
            .iter()
            .any(|tags| tags.to_str().is_ok_and(|tags| matches(tags, &asset.etag)));
        let status = match is_known {
            true => StatusCode::NOT_MODIFIED,
            false => StatusCode::OK,
        };
        let mut response = self
            .start_response(status)
            .header(CACHE_CONTROL, cache_control)
            .header(ETAG, &asset.etag)
            .header(VARY, "accept-encoding");
        if is_known {
            return Ok(response.body(Body::Empty)?);
        }
        response = response
            .header(CONTENT_TYPE, asset.content_type)
            .header(CONTENT_LENGTH, asset.content.len());
        if let Some(encoding) = asset.encoding {
            response = response.header(CONTENT_ENCODING, encoding.name());
        }
        let body = match *request.method() == Method::HEAD {
            true => Body::Empty,
            false => Body::Binary(asset.content.into_owned()),
        };
        Ok(response.body(body)?)
    }

    fn start_response(&self, status: StatusCode) -> Builder {
        let response = Response::builder()
            .status(status)
            .header("content-security-policy", self.policy.as_str());
        SECURITY_HEADERS
            .iter()
            .fold(response, |response, (name, value)| {
                response.header(*name, *value)
            })
    }
}

fn text(response: Builder, text: &'static str, request: &Request) -> Result<Response<Body>, Error> {
    let response = response.header(CONTENT_TYPE, "text/plain; charset=utf-8");
    uncached(response, text.into(), request)
}

fn uncached(response: Builder, text: String, request: &Request) -> Result<Response<Body>, Error> {
    let response = response.header(CACHE_CONTROL, "no-store");
    let body = match *request.method() == Method::HEAD {
        true => Body::Empty,
        false => Body::from(text),
    };
    Ok(response.body(body)?)
}

/// Whether a list of entity tags has this one (RFC 9110, 13.1.2: compared without their weakness).
fn matches(tags: &str, etag: &str) -> bool {
    tags.split(',')
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag == etag)
}

#[cfg(test)]
mod tests {
    use lambda_http::http::HeaderMap;

    use super::*;
    use crate::sign_in::IdentityProvider;

    fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = lambda_http::http::Request::builder()
            .method(method)
            .uri(format!("https://console.example{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
            .body(Body::Empty)
            .expect("a request")
            .with_raw_http_path(path)
    }

    fn respond(method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let console = Console::new("https://uploads.example", SignIn::default());
        let console = console.expect("an origin");
        console
            .respond(&request(method, path, headers))
            .expect("a response")
    }

    fn header<'r>(headers: &'r HeaderMap, name: &str) -> &'r str {
        headers[name].to_str().expect("text")
    }

    #[test]
    fn every_response_has_the_security_headers() {
        for (method, path) in [("GET", "/"), ("GET", "/assets/none.js"), ("POST", "/")] {
            let response = respond(method, path, &[]);
            let headers = response.headers();
            let policy = header(headers, "content-security-policy");
            assert!(policy.starts_with("default-src 'none';"), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(
                policy.contains("connect-src 'self' https://uploads.example;"),
                "{policy}"
            );
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(header(headers, "x-content-type-options"), "nosniff");
            assert_eq!(header(headers, "referrer-policy"), "no-referrer");
        }
    }

    #[test]
    fn page_learns_who_the_identity_provider_is() {
        let answer = |sign_in| {
            let console = Console::new("", sign_in).expect("no origin");
            let response = console.respond(&request("GET", "/assets/sign-in.json", &[]));
            let response = response.expect("a response");
            assert_eq!(header(response.headers(), "cache-control"), "no-store");
            String::from_utf8(response.body().to_vec()).expect("text")
        };
        assert_eq!(answer(SignIn::default()), r#"{"oidc":null}"#);
        let provider = IdentityProvider {
            issuer: "https://id.example".into(),
            client_id: "crier".into(),
        };
        let sign_in = SignIn {
            oidc: Some(provider),
        };
        let expected = r#"{"oidc":{"issuer":"https://id.example","client_id":"crier"}}"#;
        assert_eq!(answer(sign_in), expected);
    }

    #[test]
    fn other_methods_are_refused() {
        let response = respond("POST", "/", &[]);
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(header(response.headers(), "allow"), "GET, HEAD");
    }

    #[test]
    fn unknown_files_and_missing_builds_are_told_apart() {
        let response = respond("GET", "/assets/none.js", &[]);
        let expected = match assets::is_built() {
            true => StatusCode::NOT_FOUND,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        assert_eq!(response.status(), expected);
        assert_eq!(header(response.headers(), "cache-control"), "no-store");
        // Nothing outside of the application's folder can be named.
        for path in ["/assets/../index.html.br", "/assets/%2e%2e/x", "//", "/x"] {
            assert_eq!(respond("GET", path, &[]).status(), expected, "{path}");
        }
    }

    #[test]
    fn page_is_revalidated_and_assets_are_immutable() {
        let Some(script) = assets::names().find(|name| name.ends_with(".js")) else {
            return;
        };
        let page = respond("GET", "/", &[("accept-encoding", "gzip, br")]);
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(header(page.headers(), "cache-control"), "no-cache");
        assert_eq!(header(page.headers(), "content-encoding"), "br");
        assert_eq!(
            header(page.headers(), "content-type"),
            "text/html; charset=utf-8"
        );
        let etag = header(page.headers(), "etag");
        let again = respond(
            "GET",
            "/",
            &[("accept-encoding", "br"), ("if-none-match", etag)],
        );
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(again.body().is_empty());
        // Another variant of the file has another tag.
        let plain = respond("GET", "/", &[("if-none-match", etag)]);
        assert_eq!(plain.status(), StatusCode::OK);
        assert!(!plain.headers().contains_key("content-encoding"));

        let script = respond("GET", &format!("/{script}"), &[]);
        assert_eq!(header(script.headers(), "cache-control"), IMMUTABLE);
        assert_eq!(
            header(script.headers(), "content-type"),
            "text/javascript; charset=utf-8"
        );
    }

    #[test]
    fn head_has_the_headers_of_get_without_the_body() {
        if !assets::is_built() {
            return;
        }
        let get = respond("GET", "/", &[]);
        let head = respond("HEAD", "/", &[]);
        assert_eq!(head.headers(), get.headers());
        assert!(head.body().is_empty() && !get.body().is_empty());
    }

    #[test]
    fn tags_match_in_lists_and_without_their_weakness() {
        assert!(matches("\"a\", W/\"b\"", "\"b\""));
        assert!(matches("*", "\"b\""));
        assert!(!matches("\"ab\"", "\"b\""));
    }
}
