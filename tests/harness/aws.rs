//! The resources of one test. Table schemas come from the template, so that they cannot differ from what is deployed.

use std::path::Path;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use aws_sdk_s3::types::{
    BucketVersioningStatus, Event, FilterRule, FilterRuleName, NotificationConfiguration,
    NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter, VersioningConfiguration,
};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_yaml_ng::Value as Yaml;

/// The clients of the services that the tests use.
#[derive(Clone)]
pub(crate) struct AwsClients {
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) secrets_manager: aws_sdk_secretsmanager::Client,
}

/// The URLs of one test's queues.
pub(crate) struct QueueUrls {
    pub(crate) sends: String,
    pub(crate) urgent: String,
    pub(crate) dead_letters: String,
    pub(crate) imports: String,
    pub(crate) jobs: String,
    pub(crate) deliveries: String,
    pub(crate) erasures: String,
    /// Has the S3 events of uploads.
    pub(crate) upload_events: String,
}

impl AwsClients {
    /// Clients of the services on this machine.
    pub(super) async fn new() -> Self {
        let endpoint =
            std::env::var("AWS_ENDPOINT_URL").expect("no services: run `cargo xtask test`");
        let is_local = endpoint.contains("127.0.0.1") || endpoint.contains("localhost");
        assert!(is_local, "tests stay on this machine");
        let config = cloud::aws::load_config();
        Self {
            dynamodb: cloud::aws::dynamodb(&config),
            s3: cloud::aws::s3(&config),
            sqs: cloud::aws::sqs(&config),
            secrets_manager: cloud::aws::secrets_manager(&config),
        }
    }

    /// Creates the tables, queues and the bucket of a test, each with `name` in its name.
    pub(super) async fn create_resources(&self, name: &str) -> QueueUrls {
        for resource in [
            "CampaignsTable",
            "MessagesTable",
            "CallbacksTable",
            "ContactsTable",
            "InboxTable",
        ] {
            self.create_table(resource, &table_name(name, resource))
                .await;
        }
        let create = async |queue: &str| self.create_queue(&format!("{name}-{queue}")).await;
        let urls = QueueUrls {
            sends: create("sends").await,
            urgent: create("urgent").await,
            dead_letters: create("dead-letters").await,
            imports: create("imports").await,
            jobs: create("jobs").await,
            deliveries: create("deliveries").await,
            erasures: create("erasures").await,
            upload_events: create("upload-events").await,
        };
        self.create_bucket(name, &urls.upload_events).await;
        urls
    }

    /// Creates a queue; gives its URL.
    pub(crate) async fn create_queue(&self, name: &str) -> String {
        let create = self.sqs.create_queue().queue_name(name);
        create.send().await.unwrap().queue_url.unwrap()
    }

    /// Deletes a queue by its name.
    pub(crate) async fn delete_queue(&self, name: &str) {
        let url = self.sqs.get_queue_url().queue_name(name).send().await;
        let url = url.unwrap().queue_url.unwrap();
        self.sqs.delete_queue().queue_url(url).send().await.unwrap();
    }

    pub(super) async fn queue_arn(&self, url: &str) -> String {
        let get = self.sqs.get_queue_attributes().queue_url(url);
        let get = get.attribute_names(QueueAttributeName::QueueArn);
        let attributes = get.send().await.unwrap().attributes.unwrap();
        attributes[&QueueAttributeName::QueueArn].clone()
    }

    async fn create_bucket(&self, name: &str, upload_events: &str) {
        self.s3.create_bucket().bucket(name).send().await.unwrap();
        let versioning = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        let put = self.s3.put_bucket_versioning().bucket(name);
        put.versioning_configuration(versioning)
            .send()
            .await
            .unwrap();
        let notifications = upload_notifications(&self.queue_arn(upload_events).await);
        self.s3
            .put_bucket_notification_configuration()
            .bucket(name)
            .notification_configuration(notifications)
            .skip_destination_validation(true)
            .send()
            .await
            .unwrap();
    }

    /// Creates a table as the template has it.
    async fn create_table(&self, resource: &str, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/template.yaml");
        let template = std::fs::read_to_string(path).unwrap();
        let template: Yaml = serde_yaml_ng::from_str(&template).unwrap();
        let properties = &template["Resources"][resource]["Properties"];
        let definitions = yaml_items(&properties["AttributeDefinitions"]).iter();
        let indexes = yaml_items(&properties["GlobalSecondaryIndexes"]).iter();
        let indexes: Vec<_> = indexes.map(secondary_index).collect();
        self.dynamodb
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(definitions.map(attribute_definition).collect()))
            .set_key_schema(Some(key_schema(&properties["KeySchema"])))
            .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes))
            .send()
            .await
            .unwrap();
    }
}

/// The name of a test's table.
pub(super) fn table_name(name: &str, resource: &str) -> String {
    format!("{name}-{resource}")
}

/// Events of uploaded files, as the template has them.
fn upload_notifications(queue_arn: &str) -> NotificationConfiguration {
    let rule = |name, value: &str| FilterRule::builder().name(name).value(value).build();
    let key = S3KeyFilter::builder()
        .filter_rules(rule(FilterRuleName::Prefix, "uploads/"))
        .filter_rules(rule(FilterRuleName::Suffix, "/input.csv"))
        .build();
    let filter = NotificationConfigurationFilter::builder().key(key).build();
    let to_queue = QueueConfiguration::builder()
        .queue_arn(queue_arn)
        .events(Event::from("s3:ObjectCreated:*"))
        .filter(filter)
        .build()
        .unwrap();
    NotificationConfiguration::builder()
        .queue_configurations(to_queue)
        .build()
}

fn attribute_definition(definition: &Yaml) -> AttributeDefinition {
    let kind = ScalarAttributeType::from(yaml_str(&definition["AttributeType"]));
    AttributeDefinition::builder()
        .attribute_name(yaml_str(&definition["AttributeName"]))
        .attribute_type(kind)
        .build()
        .unwrap()
}

fn secondary_index(index: &Yaml) -> GlobalSecondaryIndex {
    let all = Projection::builder()
        .projection_type(ProjectionType::All)
        .build();
    GlobalSecondaryIndex::builder()
        .index_name(yaml_str(&index["IndexName"]))
        .set_key_schema(Some(key_schema(&index["KeySchema"])))
        .projection(all)
        .build()
        .unwrap()
}

fn key_schema(schema: &Yaml) -> Vec<KeySchemaElement> {
    let element = |key: &Yaml| {
        KeySchemaElement::builder()
            .attribute_name(yaml_str(&key["AttributeName"]))
            .key_type(KeyType::from(yaml_str(&key["KeyType"])))
            .build()
            .unwrap()
    };
    yaml_items(schema).iter().map(element).collect()
}

fn yaml_items(list: &Yaml) -> &[Yaml] {
    list.as_sequence().map(Vec::as_slice).unwrap_or_default()
}

fn yaml_str(value: &Yaml) -> &str {
    value.as_str().unwrap()
}
