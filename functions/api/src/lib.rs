//! The operator's API: creates campaigns, signs uploads, shows progress. Behind an HTTP API of API Gateway it is a
//! Lambda; the router itself runs anywhere.
//!
//! - [`campaigns`], [`import`], [`control`], [`rows`], [`report`], [`templates`], [`contacts`], [`inbox`], [`settings`], [`account`],
//!   [`metrics`]: the routes
//! - [`create`]: a new campaign, checked field by field
//! - [`view`], [`preview`]: what people see of a campaign
//! - [`auth`]: who may call
//! - [`problem`]: errors as RFC 9457 problem documents

pub mod account;
pub mod auth;
pub mod campaigns;
pub mod contacts;
pub mod control;
pub mod create;
pub mod import;
pub mod inbox;
pub mod metrics;
pub mod preview;
pub mod problem;
pub mod report;
pub mod rows;
pub mod settings;
pub mod templates;
pub mod view;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Json, Router, middleware};
use cloud::account_events::AccountEvents;
use cloud::batch_queue::BatchQueue;
use cloud::campaigns::Campaigns;
use cloud::contacts::Contacts;
use cloud::counters::CounterTable;
use cloud::erasure_queue::ErasureQueue;
use cloud::files::Files;
use cloud::import_queue::ImportQueue;
use cloud::imports::Imports;
use cloud::inbox::Inbox;
use cloud::jobs::Jobs;
use cloud::ledger::Ledger;
use cloud::schedules::Schedules;
use cloud::secrets::Secrets;
use cloud::settings::SettingsStore;
use lambda_http::Error;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use whatsapp::account::AccountClient;

use crate::problem::Problem;

/// The most bytes of a request body: a message is a few kilobytes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// What the API needs, made once per process.
#[derive(Debug)]
pub struct Api {
    /// The campaigns table, and what is beside it.
    pub campaigns: Campaigns,
    /// Counters.
    pub counters: CounterTable,
    /// Previews.
    pub imports: Imports,
    /// Rows.
    pub ledger: Ledger,
    /// Campaigns that start by themselves.
    pub schedules: Schedules,
    /// People.
    pub contacts: Contacts,
    /// What they wrote.
    pub inbox: Inbox,
    /// Words and answers.
    pub settings: SettingsStore,
    /// What Meta said of the account.
    pub account_events: AccountEvents,
    /// The bucket.
    pub files: Files,
    /// Where test sends go.
    pub queue: BatchQueue,
    /// Reports and recounts.
    pub jobs: Jobs,
    /// Who is to be forgotten.
    pub erasures: ErasureQueue,
    /// Where the splitter is told to go on.
    pub import_queue: ImportQueue,
    /// Who may call, and with what Meta is asked.
    pub secrets: Secrets,
    /// Meta, about the account.
    pub account: AccountClient,
    /// Calls per second.
    pub messages_per_second: u32,
}

impl Api {
    /// Reads the environment; fails where anything is missing.
    pub async fn from_env() -> Result<Self, Error> {
        use cloud::{aws, env};
        let budget = env::send_rate()?.budget();
        let retention = env::parsed("RETENTION_DAYS")?;
        let table = env::required("CAMPAIGNS_TABLE")?;
        let config = aws::load_config().await;
        let (dynamodb, sqs) = (aws::dynamodb(&config), aws::sqs(&config));
        Ok(Self {
            campaigns: Campaigns::new(dynamodb.clone(), table.clone(), retention),
            counters: CounterTable::new(dynamodb.clone(), table.clone(), retention),
            imports: Imports::new(dynamodb.clone(), table.clone(), retention),
            settings: SettingsStore::new(dynamodb.clone(), table.clone()),
            account_events: AccountEvents::new(dynamodb.clone(), table.clone(), retention),
            jobs: Jobs::new(
                dynamodb.clone(),
                table,
                retention,
                sqs.clone(),
                env::required("JOBS_QUEUE_URL")?,
            ),
            inbox: Inbox::new(
                dynamodb.clone(),
                env::required("INBOX_TABLE")?,
                env::parsed("INBOX_RETENTION_DAYS")?,
            ),
            contacts: Contacts::new(
                dynamodb.clone(),
                env::required("CONTACTS_TABLE")?,
                retention,
            ),
            ledger: Ledger::new(dynamodb, env::required("MESSAGES_TABLE")?, retention),
            schedules: Schedules::new(
                aws::scheduler(&config),
                env::required("IMPORT_QUEUE_ARN")?,
                env::required("SCHEDULE_ROLE_ARN")?,
            ),
            files: Files::new(aws::s3(&config), env::required("UPLOADS_BUCKET")?),
            queue: BatchQueue::new(sqs.clone(), env::required("SENDS_QUEUE_URL")?),
            erasures: ErasureQueue::new(sqs.clone(), env::required("ERASURE_QUEUE_URL")?),
            import_queue: ImportQueue::new(sqs, env::required("IMPORT_QUEUE_URL")?),
            secrets: Secrets::new(aws::secrets_manager(&config), env::required("SECRET_ARN")?),
            account: AccountClient::new(
                &env::required("GRAPH_API_URL")?,
                &env::required("GRAPH_API_VERSION")?,
                &env::required("WABA_ID")?,
                &env::required("PHONE_NUMBER_ID")?,
            )?,
            messages_per_second: budget,
        })
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
        .routes(routes!(import::add_file))
        .routes(routes!(import::preview))
        .routes(routes!(import::start))
        .routes(routes!(import::test))
        .routes(routes!(control::pause))
        .routes(routes!(control::resume))
        .routes(routes!(control::cancel))
        .routes(routes!(control::go_on))
        .routes(routes!(rows::list))
        .routes(routes!(report::request, report::show))
        .routes(routes!(report::recount, report::recounted))
        .routes(routes!(templates::list))
        .routes(routes!(contacts::show, contacts::put, contacts::erase))
        .routes(routes!(inbox::list))
        .routes(routes!(settings::show, settings::put))
        .routes(routes!(account::show))
        .routes(routes!(metrics::show))
        .split_for_parts();
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    description
        .components
        .get_or_insert_default()
        .add_security_scheme("token", bearer);
    routes
        .route("/openapi.json", get(|| async { Json(description) }))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async { Problem::unknown_route() })
        .layer(middleware::from_fn_with_state(
            Arc::clone(&api),
            auth::require_token,
        ))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .route(
            "/health",
            get(|| async { Json(serde_json::json!({"status": "ok"})) }),
        )
        .with_state(api)
}
