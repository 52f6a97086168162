//! Facts of AWS that the template must obey, since nothing else does so before a deployment: each is a function over the
//! transformed template that names its source, and a test shows it failing on a template that breaks it.
//!
//! - [`model`]: the transformed template and what it is compared with, and questions about them
//! - [`storage`], [`capacity`], [`rights`], [`loops`], [`schedules`], [`http`], [`logs`], [`alarms`]: the facts

mod alarms;
mod capacity;
mod http;
mod logs;
mod loops;
mod model;
mod rights;
mod schedules;
mod storage;

use anyhow::{Result, ensure};
use model::{Checked, Findings};

use crate::build::NUMBER_TEMPLATE;

/// The template of the main stack.
const MAIN_TEMPLATE: &str = "template.yaml";

/// A fact and its name.
type Fact = (&'static str, fn(&Checked) -> Findings);

/// Names a function as it is called.
macro_rules! facts {
    ($($module:ident::$fact:ident),* $(,)?) => { &[$((stringify!($fact), $module::$fact)),*] };
}

const FACTS: &[Fact] = facts![
    storage::data_is_kept_or_deleted_on_purpose,
    storage::names_are_generated,
    storage::bucket_is_named_after_the_stack_id,
    storage::queue_hides_messages_while_its_function_runs,
    storage::dead_letters_outlive_their_queue,
    capacity::parameters_refuse_what_aws_refuses,
    capacity::emulator_is_never_meta,
    capacity::sender_runs_as_many_slots_as_the_budget,
    capacity::sender_has_time_to_send,
    capacity::reservations_can_be_turned_off,
    rights::each_function_has_a_role_of_its_own,
    rights::rights_name_actions_and_resources,
    rights::roles_may_read_event_sources,
    rights::roles_may_send_what_failed,
    rights::roles_may_send_traces,
    loops::loops_are_declared,
    schedules::scheduled_runs_are_not_repeated_for_long,
    schedules::schedules_are_in_the_group_of_the_stack,
    http::stage_is_throttled_by_the_budget,
    http::access_is_logged_without_personal_data,
    logs::no_level_drops_metrics,
    logs::each_function_writes_to_its_log_group,
    logs::metrics_are_of_one_stack,
    logs::metrics_exist,
    alarms::each_function_has_its_alarms,
    alarms::silent_callbacks_raise_an_alarm,
    alarms::alarms_reach_the_operator_and_end,
    alarms::every_alarm_is_in_the_docs,
];

/// The facts that the stack of a further number must obey, too. Its alarms and dead letters go to those of the main stack.
const NUMBER_FACTS: &[Fact] = facts![
    storage::names_are_generated,
    storage::queue_hides_messages_while_its_function_runs,
    capacity::parameters_refuse_what_aws_refuses,
    capacity::sender_runs_as_many_slots_as_the_budget,
    capacity::sender_has_time_to_send,
    rights::each_function_has_a_role_of_its_own,
    rights::rights_name_actions_and_resources,
    rights::roles_may_read_event_sources,
    loops::loops_are_declared,
    logs::no_level_drops_metrics,
    logs::each_function_writes_to_its_log_group,
    logs::metrics_are_of_one_stack,
];

/// Fails with everything that the templates get wrong.
pub(crate) fn check() -> Result<()> {
    check_template(MAIN_TEMPLATE, FACTS)?;
    check_template(NUMBER_TEMPLATE, NUMBER_FACTS)
}

fn check_template(name: &str, facts: &[Fact]) -> Result<()> {
    let checked = Checked::read(name)?;
    let findings = facts.iter().flat_map(|(name, fact)| {
        let findings = fact(&checked).into_iter();
        findings.map(move |finding| format!("{finding} ({name})"))
    });
    let findings: Vec<String> = findings.collect();
    ensure!(
        findings.is_empty(),
        "infra/{name} (each fact has its source in tools/xtask/src/template):\n{}",
        findings.join("\n")
    );
    Ok(())
}

#[cfg(test)]
mod broken;
#[cfg(test)]
mod tests;
