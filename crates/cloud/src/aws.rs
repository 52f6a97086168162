//! The SDK's clients, made once per process.

use std::env;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::config::SharedCredentialsProvider;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The limit of each attempt at a request; the SDK makes up to three.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Names the address of every service, where it is not AWS's.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL";

/// What all clients share: region, credentials, endpoint, timeouts, from the environment variables that Lambda sets. The SDK's
/// own loader would look into files and ask other services, too, and brings their clients into every binary.
pub fn load_config() -> SdkConfig {
    let credentials = EnvironmentVariableCredentialsProvider::new();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(env::var("AWS_REGION").ok().map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .timeout_config(timeouts())
        .service_config(EndpointVariables);
    config.set_endpoint_url(env::var(ENDPOINT_VARIABLE).ok());
    config.build()
}

/// The addresses of single services, such as `AWS_ENDPOINT_URL_DYNAMODB`.
#[derive(Debug)]
struct EndpointVariables;

impl LoadServiceConfig for EndpointVariables {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        if key.env() != ENDPOINT_VARIABLE {
            return None;
        }
        let service = key.service_id().to_uppercase().replace(' ', "_");
        let of_service = env::var(format!("{ENDPOINT_VARIABLE}_{service}"));
        of_service.or_else(|_| env::var(ENDPOINT_VARIABLE)).ok()
    }
}

/// The limits of each attempt at a request.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build()
}

/// S3. An emulator (it has an endpoint of its own, such as `AWS_ENDPOINT_URL`) has no host name per bucket.
pub fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let is_emulated = config.endpoint_url().is_some();
    let config = aws_sdk_s3::config::Builder::from(config)
        .force_path_style(is_emulated)
        // Otherwise the SDK signs the checksum of an empty body into every upload URL.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        // No limit per attempt: a large file streams for minutes. The SDK's stalled-stream protection limits
        // each read.
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .build(),
        )
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// SQS.
pub fn sqs(config: &SdkConfig) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(config)
}

/// DynamoDB.
pub fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(config)
}

/// Secrets Manager.
pub fn secrets_manager(config: &SdkConfig) -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(config)
}

/// `EventBridge`.
pub fn eventbridge(config: &SdkConfig) -> aws_sdk_eventbridge::Client {
    aws_sdk_eventbridge::Client::new(config)
}

/// `EventBridge` Scheduler.
pub fn scheduler(config: &SdkConfig) -> aws_sdk_scheduler::Client {
    aws_sdk_scheduler::Client::new(config)
}
