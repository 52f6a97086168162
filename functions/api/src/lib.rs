//! The operator's API: creates campaigns, signs uploads, shows progress. Behind an HTTP API of API Gateway it is a
//! Lambda; the router itself runs anywhere.
//!
//! - [`campaigns`]: the routes
//! - [`create`]: a new campaign, checked field by field
//! - [`view`]: what people see of a campaign
//! - [`access`]: who may call
//! - [`problem`]: errors as RFC 9457 problem documents

pub mod access;
pub mod campaigns;
pub mod create;
pub mod problem;
pub mod view;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Json, Router, middleware};
use cloud::campaigns::Campaigns;
use cloud::counters::CounterTable;
use cloud::files::Files;
use cloud::secrets::Secrets;
use lambda_http::Error;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::Problem;

/// The most bytes of a request body: a message is a few kilobytes.
pub const MAX_BODY: usize = 256 * 1024;

/// What the API needs, made once per process.
#[derive(Debug)]
pub struct Api {
    campaigns: Campaigns,
    counters: CounterTable,
    files: Files,
    secrets: Secrets,
    budget: u32,
}

impl Api {
    /// Reads the environment; fails where anything is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let rate = env::rate()?;
        let retention = env::parsed("RETENTION_DAYS")?;
        let table = env::required("CAMPAIGNS_TABLE")?;
        let config = aws::config().await;
        let dynamodb = aws::dynamodb(&config);
        let files = Files::new(aws::s3(&config), env::required("UPLOADS_BUCKET")?);
        let secrets = Secrets::new(aws::secrets(&config), env::required("SECRET_ARN")?);
        let campaigns = Campaigns::new(dynamodb.clone(), table.clone(), retention);
        Ok(Self::new(
            campaigns,
            CounterTable::new(dynamodb, table, retention),
            files,
            secrets,
            rate.budget(),
        ))
    }

    /// An API of these parts; `budget` in calls per second.
    pub fn new(
        campaigns: Campaigns,
        counters: CounterTable,
        files: Files,
        secrets: Secrets,
        budget: u32,
    ) -> Self {
        Self {
            campaigns,
            counters,
            files,
            secrets,
            budget,
        }
    }
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Crier", description = "WhatsApp broadcasts from a CSV, at exactly the rate you are allowed."),
    security(("token" = []))
)]
struct Description;

/// Every route; all but `/health` want a token.
pub fn router(api: Api) -> Router {
    let api = Arc::new(api);
    let (routes, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(campaigns::create, campaigns::list))
        .routes(routes!(campaigns::show))
        .routes(routes!(campaigns::rejects))
        .split_for_parts();
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    description
        .components
        .get_or_insert_default()
        .add_security_scheme("token", bearer);
    routes
        .route("/openapi.json", get(|| async { Json(description) }))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async { Problem::no_route() })
        .layer(middleware::from_fn_with_state(
            Arc::clone(&api),
            access::authorize,
        ))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .route(
            "/health",
            get(|| async { Json(serde_json::json!({"status": "ok"})) }),
        )
        .with_state(api)
}
