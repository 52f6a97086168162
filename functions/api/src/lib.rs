//! The operator's HTTP API: creates campaigns, signs uploads, shows progress. Behind an HTTP API of API Gateway it is a
//! Lambda; the router itself runs anywhere.
//!
//! - [`campaign_list`], [`campaign_edit`], [`approval`], [`timeline`], [`failures`], [`campaigns`], [`files`], [`part_upload`], [`preview`], [`test_send`], [`control`], [`retry`], [`rows`], [`report`], [`suppression`], [`templates`], [`contacts`],
//!   [`people`], [`conversations`], [`messages`], [`row_history`], [`inbox`], [`settings`], [`account`], [`metrics`]: the routes
//! - [`new_campaign`], [`new_file`], [`new_message`]: request bodies, validated field by field
//! - [`view`], [`campaign_page`], [`preview_view`], [`conversation_view`]: response bodies
//! - [`extract`], [`body`]: paths, query strings and bodies of requests; [`csv`]: answers that are files
//! - [`auth`]: who may make a request: [`identity`] finds out who does, [`claims`] reads what an identity provider says of them, [`tried_tokens`] limits how often one may guess, [`roles`] says what they may do, [`caller`] is what handlers
//!   know of them, [`audit_trail`] writes down what they do, [`masking`] masks phone numbers
//! - [`session`], [`session_cookie`], [`tokens`], [`audit`]: sign in and out; tokens; the audit log
//! - [`problem`]: errors as RFC 9457 problem documents
//! - [`openapi`], [`message_schema`]: the OpenAPI description, made from the handlers and their types
//! - [`state`]: AWS resources and clients

pub mod account;
pub mod approval;
pub mod audit;
pub mod audit_trail;
pub mod auth;
pub mod body;
pub mod caller;
pub mod campaign_edit;
pub mod campaign_list;
pub mod campaign_page;
pub mod campaigns;
pub mod claims;
pub mod contacts;
pub mod control;
pub mod conversation_view;
pub mod conversations;
pub mod csv;
pub mod daily_window;
pub mod extract;
pub mod failures;
pub mod files;
pub mod identity;
pub mod inbox;
pub mod masking;
pub mod message_schema;
pub mod messages;
pub mod metrics;
pub mod new_campaign;
pub mod new_file;
pub mod new_message;
pub mod numbers;
pub mod openapi;
pub mod part_upload;
pub mod people;
pub mod preview;
pub mod preview_view;
pub mod problem;
pub mod report;
pub mod retry;
pub mod roles;
pub mod row_history;
pub mod rows;
pub mod session;
pub mod session_cookie;
pub mod settings;
pub mod signed_url;
pub mod state;
pub mod suppression;
pub mod templates;
pub mod test_send;
pub mod time;
pub mod timeline;
pub mod tokens;
pub mod tried_tokens;
pub mod view;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::routing::get;
use axum::{Json, Router, middleware};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Guard;
pub use crate::body::MAX_BODY_BYTES;
use crate::problem::Problem;
use crate::roles::Operation;
pub use crate::state::Api;

/// The routes with their description, which takes longer to make than a request takes: once per process is enough.
static ROUTES: LazyLock<Router<Arc<Api>>> = LazyLock::new(|| {
    let (routes, description) = described_routes().split_for_parts();
    let description = Arc::new(completed(description));
    routes.route(
        "/openapi.json",
        get(|| async { Json(description) }).route_layer(middleware::from_fn(extract::reject_query)),
    )
});

/// The description with what no single route says.
fn completed(mut description: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    openapi::link_campaign_operations(&mut description);
    openapi::describe_roles(&mut description);
    description
}

/// The operation of each route. A route without a role fails the tests; at run time nobody may use it.
static OPERATIONS: LazyLock<HashMap<(Method, String), Operation>> = LazyLock::new(|| {
    let description = described_routes().into_openapi();
    auth::operations_by_route(&description).unwrap_or_default()
});

/// Every route. All but `/health` need a token.
pub fn router(api: Api) -> Router {
    let api = Arc::new(api);
    ROUTES
        .clone()
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async { Problem::unknown_route() })
        .layer(middleware::from_fn_with_state(
            Guard {
                api: Arc::clone(&api),
                operations: &OPERATIONS,
            },
            auth::require_role,
        ))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .route(
            "/health",
            get(|| async { Json(serde_json::json!({"status": "ok"})) }),
        )
        .with_state(api)
}

/// The routes with their OpenAPI description.
fn described_routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(openapi::Description::openapi())
        .merge(routes_without_query())
        .routes(routes!(
            campaign_list::list_campaigns,
            campaigns::create_campaign
        ))
        .routes(routes!(files::get_rejects))
        .routes(routes!(part_upload::get_upload, part_upload::abort_upload))
        .routes(routes!(rows::list_rows))
        .routes(routes!(inbox::list_inbox))
        .routes(routes!(conversations::list_conversations))
        .routes(routes!(
            conversations::list_messages,
            conversations::send_reply
        ))
        .routes(routes!(people::export_opt_outs))
        .routes(routes!(messages::get_message))
        .routes(routes!(templates::list_templates))
        .routes(routes!(audit::list_audit))
        .routes(routes!(audit::export_audit))
}

fn routes_without_query() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(
            session::sign_in,
            session::get_session,
            session::sign_out
        ))
        .routes(routes!(session::sign_in_with_oidc))
        .routes(routes!(tokens::list_tokens, tokens::create_token))
        .routes(routes!(tokens::revoke_token))
        .routes(routes!(
            campaigns::get_campaign,
            campaign_edit::update_campaign
        ))
        .routes(routes!(timeline::get_timeline))
        .routes(routes!(failures::get_failures))
        .routes(routes!(approval::request_approval))
        .routes(routes!(
            approval::give_approval,
            approval::withdraw_approval
        ))
        .routes(routes!(files::add_file))
        .routes(routes!(part_upload::start_upload))
        .routes(routes!(part_upload::sign_parts))
        .routes(routes!(part_upload::complete_upload))
        .routes(routes!(preview::preview_campaign))
        .routes(routes!(test_send::send_test))
        .routes(routes!(control::start_campaign))
        .routes(routes!(control::pause_campaign))
        .routes(routes!(control::resume_campaign))
        .routes(routes!(control::cancel_campaign))
        .routes(routes!(control::continue_campaign))
        .routes(routes!(retry::create_retry))
        .routes(routes!(report::request_report, report::get_report))
        .routes(routes!(report::request_recount, report::get_recount))
        .routes(routes!(
            suppression::request_suppression,
            suppression::get_suppression
        ))
        .routes(routes!(
            contacts::get_contact,
            contacts::update_contact,
            contacts::erase_contact
        ))
        .routes(routes!(people::import_opt_outs))
        .routes(routes!(messages::send_message))
        .routes(routes!(people::export_contact))
        .routes(routes!(row_history::get_row))
        .routes(routes!(row_history::get_recipient))
        .routes(routes!(settings::get_settings, settings::update_settings))
        .routes(routes!(account::get_account))
        .routes(routes!(numbers::list_numbers))
        .routes(routes!(numbers::pause_number))
        .routes(routes!(numbers::resume_number))
        .routes(routes!(metrics::get_metrics))
        .route_layer(middleware::from_fn(extract::reject_query))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Serialize as _;
    use serde_json::Value;

    use super::*;

    fn description() -> Value {
        let description = completed(described_routes().into_openapi());
        serde_json::to_value(description).expect("JSON")
    }

    /// The console's types are made of it. `CRIER_WRITE_DOCS=1` writes it.
    #[test]
    fn console_has_this_description() {
        const COPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../console/web/openapi.json");
        let description = completed(described_routes().into_openapi());
        let mut text = Vec::new();
        let indent = serde_json::ser::PrettyFormatter::with_indent(b" ");
        let mut writer = serde_json::Serializer::with_formatter(&mut text, indent);
        description.serialize(&mut writer).expect("JSON");
        text.push(b'\n');
        if std::env::var_os("CRIER_WRITE_DOCS").is_some() {
            std::fs::write(COPY, &text).expect("write the copy");
        }
        let copy = std::fs::read(COPY).expect("read the copy");
        assert!(
            text == copy,
            "the description has changed: run `CRIER_WRITE_DOCS=1 cargo test -p api description`, then `npm run types` in functions/console/web"
        );
    }

    /// Every operation, with its path and method.
    fn operations(description: &Value) -> Vec<(String, &Value)> {
        let paths = description["paths"].as_object().expect("paths");
        paths
            .iter()
            .flat_map(|(path, item)| {
                let item = item.as_object().expect("a path item");
                item.iter()
                    .map(move |(method, operation)| (format!("{method} {path}"), operation))
            })
            .collect()
    }

    #[test]
    fn operation_ids_are_unique_and_present() {
        let description = description();
        let operations = operations(&description);
        let ids: BTreeSet<&str> = operations
            .iter()
            .map(|(route, operation)| operation["operationId"].as_str().expect(route))
            .collect();
        assert_eq!(ids.len(), operations.len());
        assert!(ids.contains("createCampaign") && ids.contains("listInbox"));
    }

    #[test]
    fn every_operation_has_a_role_and_every_role_an_operation() {
        let description = described_routes().into_openapi();
        let operations = auth::operations_by_route(&description).expect("a role for each");
        assert_eq!(operations.len(), roles::OPERATIONS.len());
        for ((method, path), operation) in operations {
            // HEAD is a GET, so what reads must be one; a preview has a body.
            let reads = operation.effect == roles::Effect::Reads;
            let is_get = method == Method::GET;
            assert!(
                reads == is_get || operation.id == "previewCampaign",
                "{method} {path}"
            );
        }
    }

    #[test]
    fn every_error_is_described_as_a_problem_document() {
        let description = description();
        for (route, operation) in operations(&description) {
            let responses = operation["responses"].as_object().expect("responses");
            for status in ["400", "401", "403", "405", "429", "503"] {
                assert!(responses.contains_key(status), "{route} {status}");
            }
            let is_campaign_route = route.contains("{id}");
            assert!(
                !is_campaign_route || responses.contains_key("404"),
                "{route}"
            );
            for (status, response) in responses {
                if status.starts_with(['4', '5']) {
                    let schema = &response["content"]["application/problem+json"]["schema"];
                    assert_eq!(
                        schema["$ref"], "#/components/schemas/Problem",
                        "{route} {status}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_operation_has_a_tag_and_every_reference_a_schema() {
        let description = description();
        let tags: Vec<&Value> = description["tags"]
            .as_array()
            .expect("tags")
            .iter()
            .map(|tag| &tag["name"])
            .collect();
        for (route, operation) in operations(&description) {
            assert!(tags.contains(&&operation["tags"][0]), "{route}");
        }
        let schemas = &description["components"]["schemas"];
        let text = description.to_string();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap_or_default();
            assert!(schemas[name].is_object(), "{name}");
        }
    }

    #[test]
    fn new_campaign_links_to_operations_that_exist() {
        let description = description();
        let created = &description["paths"]["/v1/campaigns"]["post"]["responses"]["201"];
        let links = created["links"].as_object().expect("links");
        let operations = operations(&description);
        for (name, link) in links {
            assert_eq!(&link["operationId"], name);
            let mut ids = operations
                .iter()
                .map(|(_, operation)| &operation["operationId"]);
            assert!(ids.any(|id| id == name), "{name}");
        }
        assert!(links.contains_key("getCampaign"));
    }

    #[test]
    fn states_are_described_as_enums() {
        let description = description();
        let schemas = &description["components"]["schemas"];
        let names = |schema: &str| schemas[schema]["enum"].as_array().map_or(0, Vec::len);
        assert_eq!(names("CampaignState"), 11);
        assert_eq!(names("RowState"), 7);
        for schema in [
            "FileStage",
            "JobState",
            "ConsentSource",
            "OnUnconfirmed",
            "OutsideServiceWindow",
            "AfterCanary",
            "OnBadValue",
            "Attribution",
        ] {
            assert!(names(schema) > 1, "{schema}");
        }
    }
}
