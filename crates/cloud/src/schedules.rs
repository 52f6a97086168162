//! `EventBridge` Scheduler: wakes the splitter when a campaign is due to start.

use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, Target,
};
use campaign::id::CampaignId;
use jiff::Timestamp;

use crate::import_queue::ImportJob;
use crate::{Error, ErrorKind, message_body};

const ACTION: &str = "schedule the campaign's start";

/// How long the service retries, in seconds. After that the reconciler starts the campaign, so there is no dead-letter
/// queue. By default it retries for a day, 185 times (AWS, "Configuring retry policies for `EventBridge` Scheduler").
const MAX_EVENT_AGE: i32 = 15 * 60;

/// One-time schedules, one per campaign, which put a job into the import queue.
#[derive(Clone, Debug)]
pub struct Schedules {
    client: Client,
    queue_arn: String,
    group: String,
    role_arn: String,
}

impl Schedules {
    /// In the group `group`; the role may send to the queue.
    pub fn new(client: Client, queue_arn: String, group: String, role_arn: String) -> Self {
        Self {
            client,
            queue_arn,
            group,
            role_arn,
        }
    }

    /// Starts the campaign at `at`, in milliseconds since the Unix epoch. The service may be up to a minute
    /// late. The schedule deletes itself afterwards. If this version of the campaign has a schedule already, nothing changes; that
    /// of an earlier version stays, and its job finds nothing to do.
    #[tracing::instrument(skip_all, fields(campaign.id = %id))]
    pub async fn schedule_start(
        &self,
        id: &CampaignId,
        version: u64,
        at: u64,
    ) -> Result<(), Error> {
        let create = self
            .client
            .create_schedule()
            .name(schedule_name(id, version))
            .group_name(&self.group)
            .schedule_expression(at_expression(at)?)
            .schedule_expression_timezone("UTC")
            .flexible_time_window(exact_window()?)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(self.target(id)?);
        match create.send().await.map_err(Error::from_sdk(ACTION)) {
            Ok(_) => Ok(()),
            Err(error) if error.kind == ErrorKind::ConditionFailed => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn target(&self, id: &CampaignId) -> Result<Target, Error> {
        let job = message_body::encode(&ImportJob::resume(id.clone()))
            .map_err(|error| Error::new(ACTION, error))?;
        Target::builder()
            .arn(&self.queue_arn)
            .role_arn(&self.role_arn)
            .input(job)
            .retry_policy(
                RetryPolicy::builder()
                    .maximum_event_age_in_seconds(MAX_EVENT_AGE)
                    .build(),
            )
            .build()
            .map_err(|error| Error::new(ACTION, error))
    }
}

/// At most 64 characters, as many as a campaign's id.
fn schedule_name(id: &CampaignId, version: u64) -> String {
    match version {
        0 => id.to_string(),
        version => format!("{id}-{version}"),
    }
}

/// The expression of a one-time schedule. Whole seconds, rounded up: an early job would find that the
/// campaign is not due.
fn at_expression(at: u64) -> Result<String, Error> {
    let seconds = i64::try_from(at.div_ceil(1000)).map_err(|error| Error::new(ACTION, error))?;
    let time = Timestamp::from_second(seconds).map_err(|error| Error::new(ACTION, error))?;
    Ok(format!("at({})", time.strftime("%Y-%m-%dT%H:%M:%S")))
}

fn exact_window() -> Result<FlexibleTimeWindow, Error> {
    FlexibleTimeWindow::builder()
        .mode(FlexibleTimeWindowMode::Off)
        .build()
        .map_err(|error| Error::new(ACTION, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_is_rounded_up_to_whole_seconds() {
        let at = |millis| at_expression(millis).expect("in range");
        assert_eq!(at(1_790_000_000_000), "at(2026-09-21T14:13:20)");
        assert_eq!(at(1_789_999_999_001), at(1_790_000_000_000));
    }
}
