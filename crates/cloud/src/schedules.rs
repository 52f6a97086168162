//! `EventBridge` Scheduler: wakes the splitter when a campaign's time has come.

use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::operation::create_schedule::CreateScheduleError;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, Target,
};
use campaign::id::CampaignId;
use jiff::Timestamp;

use crate::Error;
use crate::import_queue::ImportJob;

/// One-time schedules, one a campaign, that put an order into the splits queue.
#[derive(Clone, Debug)]
pub struct Schedules {
    client: Client,
    queue_arn: String,
    role_arn: String,
}

impl Schedules {
    /// In the default group; the role may send to the queue.
    pub fn new(client: Client, queue_arn: String, role_arn: String) -> Self {
        Self {
            client,
            queue_arn,
            role_arn,
        }
    }

    /// Starts the campaign at `at`, in milliseconds since the Unix epoch; up to a minute late, as the service is.
    /// The schedule deletes itself afterwards. Where there is one already, nothing changes.
    pub async fn schedule_start(&self, id: &CampaignId, at: u64) -> Result<(), Error> {
        let action = "schedule the campaign's start";
        let failed = |error: String| Error::new(action, error);
        // Whole seconds, rounded up: an order that came early would find the campaign still waiting.
        let seconds =
            i64::try_from(at.div_ceil(1000)).map_err(|error| failed(error.to_string()))?;
        let time = Timestamp::from_second(seconds).map_err(|error| failed(error.to_string()))?;
        let order = serde_json::to_string(&ImportJob::resume(id.clone()))
            .map_err(|error| failed(error.to_string()))?;
        let target = Target::builder()
            .arn(&self.queue_arn)
            .role_arn(&self.role_arn)
            .input(order)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let exactly = FlexibleTimeWindow::builder()
            .mode(FlexibleTimeWindowMode::Off)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let create = self
            .client
            .create_schedule()
            .name(id.as_str())
            .schedule_expression(format!("at({})", time.strftime("%Y-%m-%dT%H:%M:%S")))
            .schedule_expression_timezone("UTC")
            .flexible_time_window(exactly)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(target);
        match create.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(CreateScheduleError::is_conflict_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(Error::from_sdk(action)(error)),
        }
    }
}
