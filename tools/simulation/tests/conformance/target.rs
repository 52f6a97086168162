//! Where the requests go.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use campaign::id::CampaignId;
use serde_json::{Value, json};
use simulation::aws::{Aws, Host, QueueSpec, Resources, TableSpec, queue_url};
use simulation::clock;
use simulation::random::Random;

/// A time in 2030: items that expire after it are not expired.
pub(crate) const NOW: u64 = 1_900_000_000_000;

/// The results of a case's requests.
pub(crate) type Results = Vec<String>;

/// The resources of one case.
pub(crate) struct Target {
    pub(crate) config: SdkConfig,
    pub(crate) bucket: String,
    prefix: String,
    is_fake: bool,
}

impl Target {
    pub(crate) fn table(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(crate) async fn queue(&self, name: &str) -> String {
        if self.is_fake {
            return queue_url(name);
        }
        let client = cloud::aws::sqs(&self.config);
        let get = client.get_queue_url().queue_name(self.table(name));
        let url = get.send().await.expect("queue").queue_url;
        url.expect("URL")
    }
}

pub(crate) fn campaign_id() -> CampaignId {
    "c1".parse().expect("id")
}

/// Runs a case in the simulation.
pub(crate) fn on_fakes(case: impl AsyncFnOnce(&Target) -> Results + Send) -> Results {
    let resources = Resources::load();
    clock::run(1, NOW, || async move {
        let aws = Aws::new(&Random::new(1), &resources);
        let target = Target {
            config: aws.config(&Host::new("test", 1)),
            bucket: resources.bucket.name,
            prefix: String::new(),
            is_fake: true,
        };
        case(&target).await
    })
}

/// Runs a case against the services at `AWS_ENDPOINT_URL`.
pub(crate) fn on_emulators(name: &str, case: impl AsyncFnOnce(&Target) -> Results) -> Results {
    let resources = Resources::load();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("runtime").block_on(async {
        let endpoint = std::env::var("AWS_ENDPOINT_URL").expect("run `cargo xtask test`");
        assert!(endpoint.contains("127.0.0.1"), "tests stay on this machine");
        let id = std::process::id();
        let target = Target {
            config: cloud::aws::load_config(),
            bucket: format!("{}-{id}", name.replace('_', "-")),
            prefix: format!("{name}-{id}-"),
            is_fake: false,
        };
        for (table, spec) in &resources.tables {
            create_table(&target, &target.table(table), spec).await;
        }
        // Dead-letter queues first.
        let mut queues: Vec<_> = resources.queues.iter().collect();
        queues.sort_by_key(|(_, spec)| spec.redrive.is_some());
        for (queue, spec) in queues {
            create_queue(&target, queue, spec).await;
        }
        create_bucket(&target).await;
        case(&target).await
    })
}

async fn create_queue(target: &Target, name: &str, spec: &QueueSpec) {
    let client = cloud::aws::sqs(&target.config);
    let visibility = spec.visibility_timeout.as_secs().to_string();
    let mut create = client
        .create_queue()
        .queue_name(target.table(name))
        .attributes(QueueAttributeName::VisibilityTimeout, visibility);
    if let Some((dead_letters, max)) = &spec.redrive {
        let url = target.queue(dead_letters).await;
        let get = client.get_queue_attributes().queue_url(url);
        let get = get.attribute_names(QueueAttributeName::QueueArn);
        let attributes = get.send().await.expect("queue").attributes;
        let arn = &attributes.expect("attributes")[&QueueAttributeName::QueueArn];
        let policy = json!({"deadLetterTargetArn": arn, "maxReceiveCount": max}).to_string();
        create = create.attributes(QueueAttributeName::RedrivePolicy, policy);
    }
    create.send().await.expect("queue");
}

async fn create_bucket(target: &Target) {
    let client = cloud::aws::s3(&target.config);
    let create = client.create_bucket().bucket(&target.bucket);
    create.send().await.expect("bucket");
    let versioning = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    let put = client
        .put_bucket_versioning()
        .bucket(&target.bucket)
        .versioning_configuration(versioning);
    put.send().await.expect("versioning");
}

async fn create_table(target: &Target, name: &str, spec: &TableSpec) {
    let definition = |definition: &Value| {
        AttributeDefinition::builder()
            .attribute_name(text(&definition["AttributeName"]))
            .attribute_type(ScalarAttributeType::from(text(
                &definition["AttributeType"],
            )))
            .build()
            .expect("definition")
    };
    let definitions = items(&spec.create["AttributeDefinitions"]);
    let indexes = items(&spec.create["GlobalSecondaryIndexes"]);
    let indexes: Vec<_> = indexes.iter().map(secondary_index).collect();
    cloud::aws::dynamodb(&target.config)
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(definitions.iter().map(definition).collect()))
        .set_key_schema(Some(key_schema(&spec.create["KeySchema"])))
        .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes))
        .send()
        .await
        .expect("table");
}

fn secondary_index(index: &Value) -> GlobalSecondaryIndex {
    let kind = ProjectionType::from(text(&index["Projection"]["ProjectionType"]));
    GlobalSecondaryIndex::builder()
        .index_name(text(&index["IndexName"]))
        .set_key_schema(Some(key_schema(&index["KeySchema"])))
        .projection(Projection::builder().projection_type(kind).build())
        .build()
        .expect("index")
}

fn key_schema(schema: &Value) -> Vec<KeySchemaElement> {
    let element = |key: &Value| {
        KeySchemaElement::builder()
            .attribute_name(text(&key["AttributeName"]))
            .key_type(KeyType::from(text(&key["KeyType"])))
            .build()
            .expect("key")
    };
    items(schema).iter().map(element).collect()
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}
