//! The way of a request: to its service and back, with everything that may go wrong.

use std::fmt;
use std::future::pending;
use std::io;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use serde_json::Value;
use tokio::time::sleep;

use super::faults::{Draw, Fault, Service};
use super::history::Entry;
use super::host::{Host, KillPoint};
use super::message::{Request, Response};
use super::resources::REGION;
use super::{Aws, dynamodb, s3, scheduler, sqs};
use crate::clock;

/// The endpoint of all services; nothing resolves it.
const ENDPOINT: &str = "http://aws.simulation";

/// When a connection breaks on which nothing arrives, if the client has no limit of its own.
const DEAD_CONNECTION: Duration = Duration::from_secs(120);

impl Aws {
    /// What a process's clients are made of, as [`cloud::aws::load_config`] does on Lambda.
    pub fn config(&self, host: &Host) -> SdkConfig {
        let credentials = Credentials::new("AKIDSIMULATION", "secret", None, None, "simulation");
        let client = Connector::new(self.clone(), host.clone());
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            // The SDK's quota of retries is one per service and region of a program. Each process has its own.
            .region(Region::new(format!("{REGION}-{}", host.id())))
            .endpoint_url(ENDPOINT)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .time_source(SharedTimeSource::new(SystemTimeSource::new()))
            .timeout_config(cloud::aws::timeouts())
            .http_client(SharedHttpClient::new(client))
            .build()
    }
}

/// The HTTP client of one process.
#[derive(Clone)]
pub(super) struct Connector {
    aws: Aws,
    host: Host,
}

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Connector")
            .field(&self.host.label())
            .finish()
    }
}

impl HttpClient for Connector {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { aws, host } = self.clone();
        HttpConnectorFuture::new(async move {
            let request = Request::read(request).await?;
            host.goes_on().await;
            if host.is_dead() {
                return pending().await;
            }
            // A task of its own: a request that is on its way arrives, whether or not its client still waits.
            let exchange = Exchange::new(aws, host.clone(), request).run();
            let result = tokio::spawn(exchange).await;
            host.goes_on().await;
            match result {
                Ok(result) => result,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => pending().await,
            }
        })
    }
}

impl Connector {
    pub(super) fn new(aws: Aws, host: Host) -> Self {
        Self { aws, host }
    }
}

/// One request and its answer.
struct Exchange {
    aws: Aws,
    host: Host,
    number: u64,
    kill_point: Option<KillPoint>,
    service: Service,
    operation: String,
    draw: Draw,
    request: Request,
    /// The request's body, of the services that speak JSON.
    json: Value,
    /// What it is about, for the history.
    key: String,
}

impl Exchange {
    fn new(aws: Aws, host: Host, request: Request) -> Self {
        let (number, kill_point) = host.count_request();
        let (service, operation) = target(&request);
        let draw = aws.faults().draw(service, &operation);
        let json = match service {
            Service::S3 | Service::Scheduler => Value::Null,
            _ => request.json(),
        };
        let key = match service {
            Service::DynamoDb => dynamodb::describe(aws.dynamodb(), &json),
            Service::Sqs => sqs::describe(&json),
            Service::S3 => s3::describe(&request),
            Service::Scheduler => scheduler::describe(&request),
            Service::SecretsManager | Service::EventBridge => String::new(),
        };
        Self {
            aws,
            host,
            number,
            kill_point,
            service,
            operation,
            draw,
            request,
            json,
            key,
        }
    }

    async fn run(mut self) -> Result<HttpResponse, ConnectorError> {
        if self.kill_point.is_some_and(|point| !point.is_applied) {
            self.record("killed before");
            return self.die().await;
        }
        sleep(self.draw.latency_there).await;
        if let Some(result) = self.fail_before().await {
            return match self.kill_point {
                Some(_) => self.die().await,
                None => result,
            };
        }
        let response = self.apply().await;
        let code = response.code.as_deref().unwrap_or_default();
        self.record(format!("{} {code}", response.status).trim_end());
        if self.kill_point.is_some() {
            return self.die().await;
        }
        self.fail_after().await?;
        sleep(self.draw.latency_back).await;
        Ok(match self.draw.fault {
            Some(Fault::InternalError { is_applied: true }) => {
                Response::internal_error(self.service).into_http()
            }
            Some(Fault::BodyCut) => response.into_cut_http(),
            _ => response.into_http(),
        })
    }

    /// The process dies, and nobody waits for the answer.
    async fn die(&self) -> Result<HttpResponse, ConnectorError> {
        self.host.kill();
        pending().await
    }

    /// What goes wrong before the service executes the request.
    async fn fail_before(&self) -> Option<Result<HttpResponse, ConnectorError>> {
        let response = match self.draw.fault? {
            Fault::Refused => {
                self.record("refused");
                return Some(Err(broken(io::ErrorKind::ConnectionRefused)));
            }
            Fault::RequestDelayed(delay) => {
                sleep(delay).await;
                return None;
            }
            Fault::Throttled => Response::throttled(self.service),
            Fault::InternalError { is_applied: false } => Response::internal_error(self.service),
            _ => return None,
        };
        self.record(&response.status.to_string());
        sleep(self.draw.latency_back).await;
        Some(Ok(response.into_http()))
    }

    /// What goes wrong afterwards.
    async fn fail_after(&self) -> Result<(), ConnectorError> {
        match self.draw.fault {
            Some(Fault::AnswerLost) => {
                sleep(self.draw.latency_back).await;
                Err(broken(io::ErrorKind::ConnectionReset))
            }
            Some(Fault::NoAnswer) => {
                sleep(DEAD_CONNECTION).await;
                Err(broken(io::ErrorKind::TimedOut))
            }
            Some(Fault::AnswerDelayed(delay)) => {
                sleep(delay).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn apply(&mut self) -> Response {
        let is_partial = self.draw.fault == Some(Fault::Partial);
        let json = std::mem::take(&mut self.json);
        let (aws, operation) = (&*self.aws.0, &*self.operation);
        match self.service {
            Service::DynamoDb => aws.dynamodb.call(operation, json, is_partial),
            Service::Sqs => aws.sqs.call(operation, json, is_partial).await,
            Service::S3 => aws.s3.call(&self.request),
            Service::SecretsManager => aws.secrets.call(operation, &json),
            Service::Scheduler => aws.scheduler.call(&self.request),
            Service::EventBridge => aws.event_bus.call(operation, &json, is_partial),
        }
    }

    fn record(&self, outcome: &str) {
        let service = match self.service {
            Service::DynamoDb => "dynamodb",
            Service::Sqs => "sqs",
            Service::S3 => "s3",
            Service::SecretsManager => "secrets",
            Service::Scheduler => "scheduler",
            Service::EventBridge => "events",
        };
        self.aws.history().push(Entry {
            at_ms: clock::now_ms(),
            host: self.host.label().into(),
            request: self.number,
            operation: format!("{service}.{}", self.operation),
            key: self.key.clone(),
            outcome: outcome.into(),
            fault: self.draw.fault,
        });
    }
}

fn broken(kind: io::ErrorKind) -> ConnectorError {
    ConnectorError::io(io::Error::from(kind).into())
}

/// The service and the operation that a request asks for.
fn target(request: &Request) -> (Service, String) {
    if let Some(target) = request.header("x-amz-target") {
        let (service, operation) = target.split_once('.').unwrap_or((target, ""));
        let service = match service {
            "DynamoDB_20120810" => Service::DynamoDb,
            "AmazonSQS" => Service::Sqs,
            "secretsmanager" => Service::SecretsManager,
            "AWSEvents" => Service::EventBridge,
            _ => panic!("the simulation has no service {target}"),
        };
        return (service, operation.to_owned());
    }
    if request.path.starts_with("/schedules/") {
        return (Service::Scheduler, scheduler::operation(request).into());
    }
    (Service::S3, s3::operation(request).into())
}
