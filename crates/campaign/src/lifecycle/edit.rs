//! Changes of a campaign before its start: its message, its schedule, the rules by which it is sent.

use crate::import::row::ImportCounts;
use crate::lifecycle::campaign::{Campaign, CampaignEdit, CampaignState, FileStage};
use crate::lifecycle::event::{Conflict, Job};
use crate::time::Millis;

/// Changes a campaign of which nothing was sent. With another message its file is read again: which columns it needs, and
/// which of its values are too long, depends on the message.
pub(super) fn edit(
    campaign: &mut Campaign,
    edit: &CampaignEdit,
    now: Millis,
) -> Result<Option<Job>, Conflict> {
    refuse_unless_unsent(campaign, now)?;
    let is_other_message = campaign.message != edit.message || campaign.fallback != edit.fallback;
    campaign.name.clone_from(&edit.name);
    campaign.message = edit.message.clone();
    campaign.fallback.clone_from(&edit.fallback);
    campaign.outside_service_window = edit.outside_service_window;
    campaign.template.clone_from(&edit.template);
    campaign.schedule.clone_from(&edit.schedule);
    campaign.policy = edit.policy;
    campaign.canary = edit.canary;
    campaign.numbers.clone_from(&edit.numbers);
    campaign.allow_repeat = edit.allow_repeat;
    Ok((is_other_message && read_again(campaign)).then_some(Job::Import))
}

/// Has the last file read again, if it was uploaded. Returns whether it was.
fn read_again(campaign: &mut Campaign) -> bool {
    campaign.stored_columns.clear();
    let Some(file) = campaign.files.last_mut() else {
        return false;
    };
    if file.stage == FileStage::Pending {
        return false;
    }
    file.stage = FileStage::Reading;
    (file.counts, file.usable) = (ImportCounts::default(), 0);
    (file.content_hash, file.chunk_set) = (None, None);
    file.revision += 1;
    campaign.closed_at = None;
    true
}

fn refuse_unless_unsent(campaign: &Campaign, now: Millis) -> Result<(), Conflict> {
    use CampaignState::{AwaitingUpload, Failed, Ready, Validating};
    let waits = matches!(
        campaign.state(now),
        AwaitingUpload | Validating | Ready | Failed
    );
    if campaign.retry_of.is_some() {
        return Err("it sends rows of another campaign again, with that campaign's message".into());
    }
    // A campaign that starts by itself may be settling its rows by now.
    if !waits || !campaign.manual_start || campaign.has_file_in(FileStage::Enqueued) {
        return Err("a campaign can be changed only before its start, and only if it was created with manual_start; create a new one".into());
    }
    match campaign.has_ended(now) {
        true => Err("the time for its sends has ended; create a new campaign".into()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lifecycle::apply;
    use crate::lifecycle::campaign::tests::sample;
    use crate::lifecycle::event::Event;
    use crate::message::Message;

    fn changed(campaign: &Campaign, change: impl FnOnce(&mut CampaignEdit)) -> Event {
        let mut edit = CampaignEdit::of(campaign);
        change(&mut edit);
        Event::Edit(Box::new(edit))
    }

    fn other_message() -> Message {
        Message::new(json!({"text": {"body": "{{Other}}"}})).expect("a message")
    }

    #[test]
    fn other_message_has_the_file_read_again_and_another_schedule_does_not() {
        let ready = sample(CampaignState::Ready);
        let event = changed(&ready, |edit| edit.schedule.not_before = Some(5));
        let effects = apply(&ready, &event, 10).expect("allowed");
        assert_eq!((effects.job, effects.campaign.version), (None, 1));
        assert_eq!(effects.campaign.state(10), CampaignState::Ready);
        let event = changed(&ready, |edit| edit.message = other_message());
        let effects = apply(&ready, &event, 10).expect("allowed");
        assert_eq!(effects.job, Some(Job::Import));
        assert_eq!(effects.campaign.state(10), CampaignState::Validating);
        assert_eq!(effects.campaign.columns(), ["Other"]);
        assert_eq!(effects.campaign.files[0].revision, 1);
    }

    #[test]
    fn campaign_without_a_file_has_nothing_to_read_again() {
        let mut campaign = sample(CampaignState::AwaitingUpload);
        campaign.manual_start = true;
        let event = changed(&campaign, |edit| edit.message = other_message());
        let effects = apply(&campaign, &event, 10).expect("allowed");
        assert_eq!(effects.job, None);
        assert_eq!(effects.campaign.state(10), CampaignState::AwaitingUpload);
    }

    #[test]
    fn nothing_is_changed_once_it_may_be_sent() {
        use strum::VariantArray;
        for &state in CampaignState::VARIANTS {
            let mut campaign = sample(state);
            if state == CampaignState::Ready {
                campaign.started_at = Some(1);
            }
            let event = changed(&campaign, |edit| edit.message = other_message());
            assert!(apply(&campaign, &event, 10).is_err(), "{state:?}");
        }
    }
}
