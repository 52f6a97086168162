//! The resources of the stack, as the template has them, so that the simulation cannot differ from what is deployed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// The region of all resources.
pub const REGION: &str = "us-east-1";
const ACCOUNT: &str = "000000000000";

/// The queues of the second number: bulk and urgent.
pub const SECOND_QUEUES: [&str; 2] = ["SecondSendsQueue", "SecondUrgentQueue"];

/// SQS's defaults, in seconds (AWS, "`CreateQueue`").
const DEFAULT_VISIBILITY_TIMEOUT: u64 = 30;
const DEFAULT_RETENTION: u64 = 345_600;

/// Tables, queues, the bucket and the secret. Names are the template's logical names.
#[derive(Clone, Debug)]
pub struct Resources {
    /// The tables by their names, such as `MessagesTable`.
    pub tables: BTreeMap<String, TableSpec>,
    /// The queues by their names, such as `SendsQueue`.
    pub queues: BTreeMap<String, QueueSpec>,
    /// The bucket.
    pub bucket: BucketSpec,
    /// The secret's name.
    pub secret: String,
}

/// A table.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// The parameters of `CreateTable`, without the table's name.
    pub create: Value,
    /// The parameter `TimeToLiveSpecification` of `UpdateTimeToLive`.
    pub time_to_live: Option<Value>,
    /// The names of the key's attributes: the partition key's first.
    pub key: Vec<String>,
    /// Whether it has a stream.
    pub has_stream: bool,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSpec {
    /// How long a received message is hidden.
    pub visibility_timeout: Duration,
    /// The delay of each new message.
    pub delay: Duration,
    /// How long a message is kept.
    pub retention: Duration,
    /// The dead-letter queue, and how often a message is received before it goes there.
    pub redrive: Option<(String, u32)>,
}

/// The bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketSpec {
    /// Its name.
    pub name: String,
    /// Whether it keeps the versions of an object.
    pub is_versioned: bool,
    /// What the key of an object begins and ends with whose creation is an event.
    pub event_keys: (String, String),
}

impl Resources {
    /// Reads the template of this repository.
    pub fn load() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/template.yaml");
        let template = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::parse(&template)
    }

    /// Reads a template.
    pub fn parse(template: &str) -> Self {
        let template: serde_yaml_ng::Value = serde_yaml_ng::from_str(template)
            .unwrap_or_else(|error| panic!("the template: {error}"));
        let template = to_json(&template);
        let resources = template["Resources"].as_object();
        let resources = resources.unwrap_or_else(|| panic!("the template has no resources"));
        let of_kind = |kind: &'static str| {
            let all = resources.iter();
            let all = all.filter(move |(_, resource)| resource["Type"] == kind);
            all.map(|(name, resource)| (name.clone(), &resource["Properties"]))
        };
        let mut queues: BTreeMap<String, QueueSpec> = of_kind("AWS::SQS::Queue")
            .map(|(name, properties)| (name, queue(properties)))
            .collect();
        // The stack of a further number has the same (infra/number.yaml).
        for (second, first) in SECOND_QUEUES.into_iter().zip(["SendsQueue", "UrgentQueue"]) {
            let spec = queues.get(first).cloned();
            queues.extend(spec.map(|spec| (second.to_owned(), spec)));
        }
        let (_, bucket) = only(of_kind("AWS::S3::Bucket"), "bucket");
        let (secret, _) = only(of_kind("AWS::SecretsManager::Secret"), "secret");
        Self {
            tables: of_kind("AWS::DynamoDB::Table")
                .map(|(name, properties)| (name, table(properties)))
                .collect(),
            queues,
            bucket: bucket_spec(bucket),
            secret,
        }
    }
}

/// A queue's URL.
pub fn queue_url(name: &str) -> String {
    format!("http://sqs.{REGION}.simulation/{ACCOUNT}/{name}")
}

/// A queue's ARN.
pub fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

/// The queue's name in its URL or its ARN.
pub fn queue_name(url_or_arn: &str) -> &str {
    url_or_arn.rsplit(['/', ':']).next().unwrap_or(url_or_arn)
}

fn only<T>(mut all: impl Iterator<Item = T>, what: &str) -> T {
    match (all.next(), all.next()) {
        (Some(only), None) => only,
        _ => panic!("the template must have exactly one {what}"),
    }
}

fn table(properties: &Value) -> TableSpec {
    let mut create = json!({});
    for name in [
        "BillingMode",
        "AttributeDefinitions",
        "KeySchema",
        "GlobalSecondaryIndexes",
    ] {
        if let Some(value) = properties.get(name) {
            create[name] = value.clone();
        }
    }
    let view = properties["StreamSpecification"].get("StreamViewType");
    if let Some(view) = view {
        create["StreamSpecification"] = json!({"StreamEnabled": true, "StreamViewType": view});
    }
    let schema = properties["KeySchema"].as_array();
    let key = schema.into_iter().flatten();
    TableSpec {
        create,
        time_to_live: properties.get("TimeToLiveSpecification").cloned(),
        key: key.map(|key| text(&key["AttributeName"])).collect(),
        has_stream: view.is_some(),
    }
}

fn queue(properties: &Value) -> QueueSpec {
    let seconds = |name: &str, default: u64| {
        Duration::from_secs(properties[name].as_u64().unwrap_or(default))
    };
    let redrive = properties.get("RedrivePolicy").map(|policy| {
        let target = text(&policy["deadLetterTargetArn"]);
        let count = policy["maxReceiveCount"].as_u64().unwrap_or_default();
        (target.trim_end_matches(".Arn").to_owned(), count as u32)
    });
    QueueSpec {
        visibility_timeout: seconds("VisibilityTimeout", DEFAULT_VISIBILITY_TIMEOUT),
        delay: seconds("DelaySeconds", 0),
        retention: seconds("MessageRetentionPeriod", DEFAULT_RETENTION),
        redrive,
    }
}

fn bucket_spec(properties: &Value) -> BucketSpec {
    let events = &properties["NotificationConfiguration"]["LambdaConfigurations"];
    let events = only(
        events.as_array().into_iter().flatten(),
        "event of the bucket",
    );
    assert_eq!(events["Event"], "s3:ObjectCreated:*", "the bucket's event");
    let rules = &events["Filter"]["S3Key"]["Rules"];
    let rule = |name: &str| {
        let mut rules = rules.as_array().into_iter().flatten();
        let rule = rules.find(|rule| rule["Name"] == name);
        rule.map(|rule| text(&rule["Value"])).unwrap_or_default()
    };
    BucketSpec {
        name: "uploads".into(),
        is_versioned: properties["VersioningConfiguration"]["Status"] == "Enabled",
        event_keys: (rule("prefix"), rule("suffix")),
    }
}

fn text(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("not a text in the template: {value}"))
        .to_owned()
}

/// YAML as JSON; of `!GetAtt Queue.Arn` and the like, only the text.
fn to_json(yaml: &serde_yaml_ng::Value) -> Value {
    use serde_yaml_ng::Value as Yaml;
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => json!(value),
        Yaml::Number(number) => number
            .as_i64()
            .map_or_else(|| json!(number.as_f64()), |number| json!(number)),
        Yaml::String(text) => json!(text),
        Yaml::Sequence(items) => items.iter().map(to_json).collect(),
        Yaml::Mapping(fields) => {
            let field = |(name, value): (&Yaml, &Yaml)| {
                let text = name.as_str().map(str::to_owned);
                (text.unwrap_or_else(|| format!("{name:?}")), to_json(value))
            };
            Value::Object(fields.iter().map(field).collect())
        }
        Yaml::Tagged(tagged) => to_json(&tagged.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_has_what_the_simulation_needs() {
        let resources = Resources::load();
        let messages = &resources.tables["MessagesTable"];
        assert!(messages.has_stream && messages.time_to_live.is_some());
        assert_eq!(messages.key, ["partition_key", "row"]);
        let sends = &resources.queues["SendsQueue"];
        assert_eq!(sends.visibility_timeout, Duration::from_secs(900));
        assert_eq!(sends.redrive, Some(("SendsDeadLetters".into(), 5)));
        let (prefix, suffix) = &resources.bucket.event_keys;
        assert_eq!((&**prefix, &**suffix), ("uploads/", "/input.csv"));
        assert!(resources.bucket.is_versioned);
        for (_, queue) in resources.queues.iter() {
            let target = queue.redrive.as_ref().map(|(target, _)| target);
            assert!(target.is_none_or(|target| resources.queues.contains_key(target)));
        }
        assert_eq!(queue_name(&queue_url("JobsQueue")), "JobsQueue");
        assert_eq!(queue_name(&queue_arn("JobsQueue")), "JobsQueue");
    }
}
