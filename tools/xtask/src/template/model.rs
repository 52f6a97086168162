//! The template after SAM's transform: what CloudFormation would get, and questions about it.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::emulator::REGION;
use crate::paths::{files, root};
use crate::setup::DEPLOY;

/// What a fact found wrong, one sentence each.
pub(super) type Findings = Vec<String>;

/// Prints the transformed template, by the SAM CLI's own translator. It works offline. `$1`: the template.
const TRANSFORM: &str = "import json, sys\n\
    from boto3.session import Session\n\
    from samcli.yamlhelper import yaml_parse\n\
    from samtranslator.parser.parser import Parser\n\
    from samtranslator.translator.translator import Translator\n\
    with open(sys.argv[1]) as file:\n    \
        template = yaml_parse(file.read())\n\
    for resource in template['Resources'].values():\n    \
        if resource['Type'] == 'AWS::Serverless::Function':\n        \
            resource['Properties']['CodeUri'] = 's3://bucket/key'\n\
    translator = Translator({}, Parser(), boto_session=Session(region_name=sys.argv[2]))\n\
    print(json.dumps(translator.translate(template, parameter_values={})))";

/// What is checked.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) template: Template,
    /// `docs/operations.md`.
    pub(super) operations: String,
    /// The names of the metrics that the functions emit.
    pub(super) metric_names: BTreeSet<String>,
}

/// A template.
#[derive(Clone, Debug)]
pub(super) struct Template(pub(super) Value);

/// A function that a queue or a stream invokes.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventSource<'t> {
    pub(super) id: &'t str,
    pub(super) function: &'t str,
    /// The queue or the table.
    pub(super) source: &'t str,
    pub(super) properties: &'t Value,
}

/// A right that a policy gives.
#[derive(Clone, Debug)]
pub(super) struct Statement<'t> {
    pub(super) actions: Vec<&'t str>,
    pub(super) resources: Vec<&'t Value>,
}

impl Checked {
    /// Reads the template of that name, the documentation and the functions' sources.
    pub(super) fn read(name: &str) -> Result<Self> {
        let mut metric_names = BTreeSet::new();
        for folder in ["functions", "crates/cloud/src"] {
            for file in files(&root().join(folder), "rs")? {
                let text = fs::read_to_string(file)?;
                for call in [".add_count(\"", ".add_millis(\""] {
                    let names = text.split(call).skip(1);
                    let names = names.filter_map(|rest| rest.split('"').next());
                    metric_names.extend(names.map(str::to_owned));
                }
            }
        }
        Ok(Self {
            template: Template::transform(name)?,
            operations: fs::read_to_string(root().join("docs/operations.md"))?,
            metric_names,
        })
    }
}

impl Template {
    /// A template of the folder `infra`, transformed.
    fn transform(name: &str) -> Result<Self> {
        DEPLOY.install()?;
        let output = Command::new(DEPLOY.program("python"))
            .args(["-c", TRANSFORM])
            .arg(root().join("infra").join(name))
            .arg(REGION)
            .output()
            .context("start Python")?;
        ensure!(
            output.status.success(),
            "the template was not transformed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Self(serde_json::from_slice(&output.stdout)?))
    }

    /// Every resource by its logical id.
    pub(super) fn resources(&self) -> impl Iterator<Item = (&str, &Value)> {
        let resources = self.0["Resources"].as_object();
        resources
            .into_iter()
            .flatten()
            .map(|(id, resource)| (id.as_str(), resource))
    }

    /// The logical ids and the properties of the resources of a type.
    pub(super) fn of_type<'t>(
        &'t self,
        kind: &'t str,
    ) -> impl Iterator<Item = (&'t str, &'t Value)> {
        self.resources()
            .filter(move |(_, resource)| resource["Type"] == kind)
            .map(|(id, resource)| (id, &resource["Properties"]))
    }

    pub(super) fn functions(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.of_type("AWS::Lambda::Function")
    }

    /// The properties of a resource; `Null` if there is no such resource.
    pub(super) fn properties(&self, id: &str) -> &Value {
        &self.0["Resources"][id]["Properties"]
    }

    /// The type of a resource; empty if there is no such resource.
    pub(super) fn kind(&self, id: &str) -> &str {
        self.0["Resources"][id]["Type"].as_str().unwrap_or_default()
    }

    pub(super) fn event_sources(&self) -> Vec<EventSource<'_>> {
        self.of_type("AWS::Lambda::EventSourceMapping")
            .filter_map(|(id, properties)| {
                Some(EventSource {
                    id,
                    function: referred(&properties["FunctionName"])?,
                    source: referred(&properties["EventSourceArn"])?,
                    properties,
                })
            })
            .collect()
    }

    /// The rights of a function: those of its role.
    pub(super) fn rights(&self, function: &str) -> Vec<Statement<'_>> {
        let role = referred(&self.properties(function)["Role"]).unwrap_or_default();
        statements(self.properties(role))
    }

    /// Whether a function may do this; `resource` as the template writes it.
    pub(super) fn may(&self, function: &str, action: &str, resource: &Value) -> bool {
        self.rights(function)
            .iter()
            .any(|statement| statement.allows(action, resource))
    }
}

impl Statement<'_> {
    fn allows(&self, action: &str, resource: &Value) -> bool {
        let is_allowed = self.actions.iter().any(|allowed| {
            let prefix = allowed.strip_suffix('*');
            prefix.map_or(*allowed == action, |prefix| action.starts_with(prefix))
        });
        let mut resources = self.resources.iter();
        is_allowed && resources.any(|allowed| *allowed == "*" || *allowed == resource)
    }
}

/// The statements of the policies in a role, or of a policy.
pub(super) fn statements(properties: &Value) -> Vec<Statement<'_>> {
    let of_role = properties["Policies"].as_array().into_iter().flatten();
    let documents = of_role
        .map(|policy| &policy["PolicyDocument"])
        .chain([&properties["PolicyDocument"]]);
    documents
        .flat_map(|document| document["Statement"].as_array().into_iter().flatten())
        .map(|statement| Statement {
            actions: items(&statement["Action"])
                .into_iter()
                .filter_map(Value::as_str)
                .collect(),
            resources: items(&statement["Resource"]),
        })
        .collect()
}

/// The items of a list, or the one value that stands for a list.
pub(super) fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        value => vec![value],
    }
}

/// The logical id that `Ref` or `GetAtt` refers to.
pub(super) fn referred(value: &Value) -> Option<&str> {
    value["Ref"]
        .as_str()
        .or_else(|| value["Fn::GetAtt"][0].as_str())
}

/// The three arguments of `If`: the condition, and what holds if it is true or false.
pub(super) fn condition(value: &Value) -> Option<(&str, &Value, &Value)> {
    let arguments = value["Fn::If"].as_array()?;
    match arguments.as_slice() {
        [condition, yes, no] => Some((condition.as_str()?, yes, no)),
        _ => None,
    }
}
