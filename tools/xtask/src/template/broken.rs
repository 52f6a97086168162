//! How each fact of the template can be broken.

use serde_json::{Value, json};

use super::model::Checked;

/// A fact, a change that breaks it, and a part of what it then finds.
pub(super) type Broken = (&'static str, fn(&mut Checked), &'static str);

/// A resource.
fn resource<'c>(checked: &'c mut Checked, id: &str) -> &'c mut Value {
    let resource = &mut checked.template.0["Resources"][id];
    assert!(resource.is_object(), "no {id}");
    resource
}

/// The properties of a resource.
fn of<'c>(checked: &'c mut Checked, id: &str) -> &'c mut Value {
    &mut resource(checked, id)["Properties"]
}

/// The statements of a role.
fn rights<'c>(checked: &'c mut Checked, role: &str) -> &'c mut Vec<Value> {
    let statements = &mut of(checked, role)["Policies"][0]["PolicyDocument"]["Statement"];
    statements.as_array_mut().expect("statements")
}

/// Takes the statements with this action from a role.
fn forbid(checked: &mut Checked, role: &str, action: &str) {
    let rights = rights(checked, role);
    let before = rights.len();
    rights.retain(|statement| !statement["Action"].to_string().contains(action));
    assert!(rights.len() < before, "{role} has no {action}");
}

fn allow(checked: &mut Checked, role: &str, action: &str, resource: Value) {
    rights(checked, role).push(json!({"Effect": "Allow", "Action": action, "Resource": resource}));
}

/// Takes a field from an object.
fn remove(object: &mut Value, name: &str) {
    let fields = object.as_object_mut().expect("an object");
    assert!(fields.remove(name).is_some(), "no {name}");
}

fn remove_resource(checked: &mut Checked, id: &str) {
    remove(&mut checked.template.0["Resources"], id);
}

const STORAGE: &[Broken] = &[
    (
        "data_is_kept_or_deleted_on_purpose",
        |checked| resource(checked, "MessagesTable")["DeletionPolicy"] = json!("Retain"),
        "MessagesTable: DeletionPolicy is Retain",
    ),
    (
        "data_is_kept_or_deleted_on_purpose",
        |checked| remove(resource(checked, "CallbacksTable"), "DeletionPolicy"),
        "CallbacksTable: DeletionPolicy is nothing",
    ),
    (
        "names_are_generated",
        |checked| of(checked, "SendsQueue")["QueueName"] = json!({"Ref": "AWS::StackName"}),
        "SendsQueue: has the name QueueName",
    ),
    (
        "bucket_is_named_after_the_stack_id",
        |checked| {
            of(checked, "UploadsBucket")["BucketName"] =
                json!({"Fn::Sub": "${AWS::StackName}-uploads"})
        },
        "is not a prefix and the UUID",
    ),
    (
        "bucket_is_named_after_the_stack_id",
        |checked| {
            let variables = &mut of(checked, "Splitter")["Environment"]["Variables"];
            variables["UPLOADS_BUCKET"]["Fn::Sub"][0] = json!("others-${Id}");
        },
        "Splitter: UPLOADS_BUCKET is not the bucket's name",
    ),
    (
        "bucket_is_named_after_the_stack_id",
        |checked| {
            let source = &mut of(checked, "SplitterInvokePermission")["SourceArn"];
            source["Fn::Sub"][0] = json!("arn:${AWS::Partition}:s3:::others-${Id}");
        },
        "is not the ARN of the bucket",
    ),
    (
        "queue_hides_messages_while_its_function_runs",
        |checked| of(checked, "SendsQueue")["VisibilityTimeout"] = json!(899),
        "SendsQueue: messages are visible again after 899 s, but Sender may run for 900 s",
    ),
    (
        "dead_letters_outlive_their_queue",
        |checked| of(checked, "FailedEvents")["MessageRetentionPeriod"] = json!(86_400),
        "FailedEvents: keeps messages for less time than ImportQueue",
    ),
    (
        "dead_letters_outlive_their_queue",
        |checked| of(checked, "ForwardDeadLetters")["MessageRetentionPeriod"] = json!(1_209_601),
        "ForwardDeadLetters: MessageRetentionPeriod",
    ),
];

const CAPACITY: &[Broken] = &[
    (
        "emulator_is_never_meta",
        |checked| checked.template.0["Parameters"]["Emulator"]["Default"] = json!("true"),
        "Emulator: must be false by default",
    ),
    (
        "emulator_is_never_meta",
        |checked| remove(&mut checked.template.0["Rules"], "EmulatorIsNotMeta"),
        "a rule must forbid it",
    ),
    (
        "parameters_refuse_what_aws_refuses",
        |checked| checked.template.0["Parameters"]["Slots"]["Type"] = json!("Number"),
        "Slots: must be a String",
    ),
    (
        "parameters_refuse_what_aws_refuses",
        |checked| {
            of(checked, "ForwardDeliveries")["ScalingConfig"]["MaximumConcurrency"] = json!(1)
        },
        "ForwardDeliveries: MaximumConcurrency must be 2 to 1000",
    ),
    (
        "sender_runs_as_many_slots_as_the_budget",
        |checked| remove(of(checked, "SenderSends"), "ScalingConfig"),
        "SenderSends: MaximumConcurrency",
    ),
    (
        "sender_runs_as_many_slots_as_the_budget",
        |checked| of(checked, "Sender")["ReservedConcurrentExecutions"]["Fn::If"][1] = json!(1000),
        "Sender: its reserved concurrency",
    ),
    (
        "sender_runs_as_many_slots_as_the_budget",
        |checked| {
            let mut second = resource(checked, "SenderSends").clone();
            second["Properties"]["EventSourceArn"] = json!({"Fn::GetAtt": ["UrgentQueue", "Arn"]});
            checked.template.0["Resources"]["SenderUrgent"] = second;
        },
        "Sender: 2 event sources",
    ),
    (
        "sender_has_time_to_send",
        |checked| of(checked, "Sender")["Timeout"] = json!(160),
        "Sender: may run for 160 s, but claims no row in its last 160 s",
    ),
    (
        "reservations_can_be_turned_off",
        |checked| {
            of(checked, "Webhook")["ReservedConcurrentExecutions"] = json!({"Ref": "TpsBudget"})
        },
        "Webhook: ReservedConcurrentExecutions",
    ),
    (
        "reservations_can_be_turned_off",
        |checked| of(checked, "Report")["ReservedConcurrentExecutions"] = json!(2),
        "Report: ReservedConcurrentExecutions",
    ),
    (
        "reservations_can_be_turned_off",
        |checked| of(checked, "Counter")["ReservedConcurrentExecutions"]["Fn::If"][1] = json!(60),
        "the account needs slots + `TpsBudget` + 180",
    ),
    (
        "loops_are_declared",
        |checked| remove(of(checked, "Sender"), "RecursiveLoop"),
        "Sender: may send to a queue that invokes it again",
    ),
    (
        "loops_are_declared",
        |checked| {
            let queue = json!({"Fn::GetAtt": ["JobsQueue", "Arn"]});
            allow(checked, "ReportRole", "sqs:SendMessage", queue);
        },
        "Report: may send to a queue that invokes it again",
    ),
    (
        "loops_are_declared",
        |checked| of(checked, "Webhook")["RecursiveLoop"] = json!("Allow"),
        "Webhook: nothing that it sends invokes it again",
    ),
];

const RIGHTS: &[Broken] = &[
    (
        "each_function_has_a_role_of_its_own",
        |checked| of(checked, "Report")["Role"] = json!({"Fn::GetAtt": ["SplitterRole", "Arn"]}),
        "Report: its role is not ReportRole",
    ),
    (
        "each_function_has_a_role_of_its_own",
        |checked| {
            of(checked, "ApiRole")["ManagedPolicyArns"] =
                json!(["arn:aws:iam::aws:policy/AdministratorAccess"])
        },
        "ApiRole: has managed policies",
    ),
    (
        "rights_name_actions_and_resources",
        |checked| allow(checked, "CounterRole", "sqs:SendMessage", json!("*")),
        "CounterRole: sqs:SendMessage on every resource",
    ),
    (
        "rights_name_actions_and_resources",
        |checked| {
            let table = json!({"Fn::GetAtt": ["MessagesTable", "Arn"]});
            allow(checked, "CounterRole", "dynamodb:*", table);
        },
        "CounterRole: dynamodb:* is more than one action",
    ),
    (
        "roles_may_read_event_sources",
        |checked| forbid(checked, "ReportRole", "sqs:GetQueueAttributes"),
        "Report: may not sqs:GetQueueAttributes, which ReportJobs needs",
    ),
    (
        "roles_may_read_event_sources",
        |checked| forbid(checked, "CounterRole", "dynamodb:GetShardIterator"),
        "Counter: may not dynamodb:GetShardIterator, which CounterLedger needs",
    ),
    (
        "roles_may_send_what_failed",
        |checked| forbid(checked, "CounterRole", "sqs:SendMessage"),
        "Counter: may not send to the failure destination of CounterLedger",
    ),
    (
        "roles_may_send_traces",
        |checked| {
            let roles = of(checked, "TracingPolicy")["Roles"].as_array_mut();
            roles
                .expect("roles")
                .retain(|role| role["Ref"] != "EraseRole");
        },
        "Erase: TracingPolicy lacks its role",
    ),
    (
        "schedules_are_in_the_group_of_the_stack",
        |checked| allow(checked, "ApiRole", "scheduler:CreateSchedule", json!("*")),
        "Api: may create schedules",
    ),
    (
        "schedules_are_in_the_group_of_the_stack",
        |checked| remove_resource(checked, "ScheduleGroup"),
        "SCHEDULE_GROUP is not the schedule group of the stack",
    ),
    (
        "scheduled_runs_are_not_repeated_for_long",
        |checked| {
            remove(
                &mut of(checked, "ReconcilerEvery")["Targets"][0],
                "RetryPolicy",
            )
        },
        "ReconcilerEvery: retries a run",
    ),
    (
        "scheduled_runs_are_not_repeated_for_long",
        |checked| remove_resource(checked, "ReconcilerEventInvokeConfig"),
        "Reconciler: Lambda repeats a run that failed",
    ),
];

const WATCHING: &[Broken] = &[
    (
        "stage_is_throttled_by_the_budget",
        |checked| remove(of(checked, "HttpStage"), "DefaultRouteSettings"),
        "HttpStage: ThrottlingRateLimit",
    ),
    (
        "access_is_logged_without_personal_data",
        |checked| remove(of(checked, "HttpStage"), "AccessLogSettings"),
        "HttpStage: writes no access log",
    ),
    (
        "access_is_logged_without_personal_data",
        |checked| {
            let settings = &mut of(checked, "HttpStage")["AccessLogSettings"];
            settings["Format"] = json!(r#"{"ip":"$context.identity.sourceIp"}"#);
        },
        "HttpStage: the access log has $context.identity",
    ),
    (
        "access_is_logged_without_personal_data",
        |checked| of(checked, "AccessLogs")["LogGroupName"]["Fn::Sub"] = json!("/crier/access"),
        "AccessLogs: the name must begin with /aws/vendedlogs/",
    ),
    (
        "no_level_drops_metrics",
        |checked| of(checked, "Sender")["LoggingConfig"]["ApplicationLogLevel"] = json!("WARN"),
        "Sender: logs must be JSON, of level INFO or lower",
    ),
    (
        "each_function_writes_to_its_log_group",
        |checked| forbid(checked, "ForwardRole", "logs:PutLogEvents"),
        "Forward: may not logs:PutLogEvents in ForwardLogs",
    ),
    (
        "each_function_writes_to_its_log_group",
        |checked| remove(&mut of(checked, "Forward")["LoggingConfig"], "LogGroup"),
        "Forward: its log group is not ForwardLogs",
    ),
    (
        "each_function_writes_to_its_log_group",
        |checked| remove(of(checked, "ApiLogs"), "RetentionInDays"),
        "ApiLogs: keeps logs for ever",
    ),
    (
        "metrics_are_of_one_stack",
        |checked| {
            remove(
                &mut of(checked, "Sender")["Environment"]["Variables"],
                "STACK_NAME",
            )
        },
        "Sender: STACK_NAME",
    ),
    (
        "metrics_are_of_one_stack",
        |checked| {
            of(checked, "CallbacksAlarm")["Dimensions"] =
                json!([{"Name": "function", "Value": "webhook"}])
        },
        "CallbacksAlarm: \"StoreFailures\" of every stack",
    ),
    (
        "metrics_are_of_one_stack",
        |checked| {
            let body = &mut of(checked, "Dashboard")["DashboardBody"]["Fn::Sub"];
            let text = body.as_str().expect("a text");
            *body = json!(text.replacen(r#""stack", "${AWS::StackName}", "#, "", 1));
        },
        "Dashboard: Attempts of every stack",
    ),
    (
        "metrics_exist",
        |checked| of(checked, "StalledCampaignsAlarm")["MetricName"] = json!("StalledThings"),
        "StalledCampaignsAlarm: no function emits StalledThings",
    ),
    (
        "each_function_has_its_alarms",
        |checked| remove_resource(checked, "EraseThrottlesAlarm"),
        "Erase: no alarm on Throttles",
    ),
    (
        "each_function_has_its_alarms",
        |checked| remove_resource(checked, "ForwardLagAlarm"),
        "Forward: no alarm on IteratorAge",
    ),
    (
        "each_function_has_its_alarms",
        |checked| remove_resource(checked, "RecursiveInvocationsAlarm"),
        "Api: no alarm on RecursiveInvocationsDropped",
    ),
    (
        "silent_callbacks_raise_an_alarm",
        |checked| remove_resource(checked, "SilentCallbacksAlarm"),
        "SilentCallbacksAlarm: does not compare",
    ),
    (
        "alarms_reach_the_operator_and_end",
        |checked| remove(of(checked, "ApiErrorsAlarm"), "AlarmActions"),
        "ApiErrorsAlarm: does not go to the topic",
    ),
    (
        "alarms_reach_the_operator_and_end",
        |checked| remove(of(checked, "ApiErrorsAlarm"), "TreatMissingData"),
        "ApiErrorsAlarm: does not end",
    ),
    (
        "alarms_reach_the_operator_and_end",
        |checked| resource(checked, "ApiErrorsAlarm")["Condition"] = json!("IsTraced"),
        "ApiErrorsAlarm: is not in every stack",
    ),
    (
        "every_alarm_is_in_the_docs",
        |checked| checked.operations = checked.operations.replace("`ImportAgeAlarm`", "an alarm"),
        "the table of alarms lacks ImportAgeAlarm",
    ),
    (
        "every_alarm_is_in_the_docs",
        |checked| remove_resource(checked, "ImportAgeAlarm"),
        "the template has no ImportAgeAlarm",
    ),
];

/// Every way.
pub(super) fn broken() -> impl Iterator<Item = &'static Broken> {
    [STORAGE, CAPACITY, RIGHTS, WATCHING].into_iter().flatten()
}
