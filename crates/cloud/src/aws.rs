//! The SDK's clients, made once per process.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::RequestChecksumCalculation;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The limit of each attempt at a request; the SDK makes up to three.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Loads what all clients share: region, credentials, endpoint, timeouts.
pub async fn load_config() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts())
        .load()
        .await
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
