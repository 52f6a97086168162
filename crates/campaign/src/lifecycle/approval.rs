//! Approval by a second person. An approval is for exactly what would be sent: it names a hash of the recipients, their
//! values, the message and the rules for sending. Once any of these changes, the hash is another one, and the approval is
//! void without anybody having to think of it.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::lifecycle::campaign::{
    ApprovalRequest, Campaign, CampaignState, FileStage, GivenApproval,
};
use crate::lifecycle::event::{ApprovalEvent, Conflict};
use crate::time::Millis;

const NOT_READ: &str = "what it would send is not known before its file has been read to the end";

/// A hash of all that a campaign would send, and of the rules by which. `None` until every file of it has been read.
pub fn approval_hash(campaign: &Campaign) -> Option<String> {
    let mut files = Vec::new();
    for file in &campaign.files {
        match file.stage {
            FileStage::Failed => {}
            FileStage::Validated | FileStage::Enqueued => {
                files.push(json!([file.content_hash, file.counts]));
            }
            FileStage::Pending | FileStage::Reading => return None,
        }
    }
    if files.is_empty() {
        return None;
    }
    let mut approved = json!({
        "files": files,
        "exclude": campaign.exclude,
        "message": campaign.message,
        "fallback": campaign.fallback,
        "outside_service_window": campaign.outside_service_window,
        "schedule": campaign.schedule,
        "policy": campaign.policy,
        "numbers": campaign.numbers,
        "canary": campaign.canary.map(|canary| (canary.rows, canary.after)),
    });
    // The table does not keep the order of a message's members.
    approved.sort_all_objects();
    let hash = Sha256::digest(approved.to_string().as_bytes());
    Some(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether somebody else approved exactly what the campaign would send. The error is a clause that says why not.
pub fn check_approval(campaign: &Campaign) -> Result<(), String> {
    let Some(given) = &campaign.approval.given else {
        return Err(
            "a second person must approve it first: POST /v1/campaigns/{id}/approval-request asks for it".into(),
        );
    };
    if Some(&given.hash) != approval_hash(campaign).as_ref() {
        return Err(format!(
            "what it would send has changed since {} approved it; ask for the approval again",
            given.by
        ));
    }
    check_second_person(campaign, &given.by)
}

/// Whether this person may approve the campaign: neither who created it, nor who changed it last, nor who asked.
pub fn check_second_person(campaign: &Campaign, who: &str) -> Result<(), String> {
    let requested_by = campaign.approval.request.as_ref();
    let involved = [
        (campaign.created_by.as_deref(), "created it"),
        (campaign.changed_by.as_deref(), "changed it last"),
        (
            requested_by.map(|request| request.by.as_str()),
            "asked for the approval",
        ),
    ];
    let is_same = |name: &str| name.to_lowercase() == who.to_lowercase();
    match involved
        .into_iter()
        .find(|(name, _)| name.is_some_and(is_same))
    {
        Some((_, act)) => Err(format!("{who} {act}, so another person must approve it")),
        None => Ok(()),
    }
}

/// Refuses the start of a campaign that lacks an approval. One that has started is not asked again.
pub(super) fn check_start(campaign: &Campaign, now: Millis) -> Result<(), Conflict> {
    if !campaign.approval.is_required || campaign.state(now) != CampaignState::Ready {
        return Ok(());
    }
    check_approval(campaign).map_err(|clause| Conflict::NotAllowed(clause.into()))
}

/// Refuses another file for a campaign that was approved and has started: nobody has approved that file.
pub(super) fn check_added_file(campaign: &Campaign) -> Result<(), Conflict> {
    match campaign.approval.is_required && campaign.started_at.is_some() {
        true => Err("it was approved as it is and has started; create a new campaign for further recipients, which is approved by itself".into()),
        false => Ok(()),
    }
}

/// A campaign whose content changes before anything of it is sent waits for its start again.
pub(super) fn wait_for_start(campaign: &mut Campaign) {
    if campaign.approval.is_required {
        campaign.started_at = None;
    }
}

/// What happens to the approval.
pub(super) fn change(
    campaign: &mut Campaign,
    event: &ApprovalEvent,
    now: Millis,
) -> Result<(), Conflict> {
    match event {
        ApprovalEvent::Require => {
            require(campaign, now);
            Ok(())
        }
        ApprovalEvent::Request { by, note } => request(campaign, by, note.as_deref(), now),
        ApprovalEvent::Give { by, hash } => give(campaign, by, hash, now),
        ApprovalEvent::Withdraw => withdraw(campaign, now),
    }
}

/// From now on the campaign needs an approval, if it still waits for its start.
fn require(campaign: &mut Campaign, now: Millis) {
    if campaign.state(now) == CampaignState::Ready {
        campaign.approval.is_required = true;
    }
}

fn request(
    campaign: &mut Campaign,
    by: &str,
    note: Option<&str>,
    now: Millis,
) -> Result<(), Conflict> {
    refuse_unless_ready(campaign, now)?;
    campaign.approval.request = Some(ApprovalRequest {
        by: by.to_owned(),
        at: now,
        note: note.map(str::to_owned),
    });
    campaign.approval.given = None;
    Ok(())
}

fn give(campaign: &mut Campaign, by: &str, hash: &str, now: Millis) -> Result<(), Conflict> {
    refuse_unless_ready(campaign, now)?;
    let current = approval_hash(campaign).ok_or(Conflict::from(NOT_READ))?;
    if current != hash {
        return Err("what it would send has changed since you looked at it; look at the campaign and its preview again, then approve".into());
    }
    check_second_person(campaign, by).map_err(|clause| Conflict::NotAllowed(clause.into()))?;
    let same = campaign.approval.given.as_ref();
    if !same.is_some_and(|given| given.by == by && given.hash == hash) {
        campaign.approval.given = Some(GivenApproval {
            by: by.to_owned(),
            at: now,
            hash: hash.to_owned(),
        });
    }
    Ok(())
}

/// Takes back the request and the approval, as long as the campaign has not started.
fn withdraw(campaign: &mut Campaign, now: Millis) -> Result<(), Conflict> {
    if campaign.approval.request.is_none() && campaign.approval.given.is_none() {
        return Ok(());
    }
    refuse_unless_ready(campaign, now)?;
    campaign.approval.request = None;
    campaign.approval.given = None;
    Ok(())
}

fn refuse_unless_ready(campaign: &Campaign, now: Millis) -> Result<(), Conflict> {
    use CampaignState::{AwaitingUpload, Ready, Validating};
    match campaign.state(now) {
        Ready if approval_hash(campaign).is_some() => Ok(()),
        Ready | AwaitingUpload | Validating => Err(NOT_READ.into()),
        _ => Err("it does not wait for its start".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::apply;
    use crate::lifecycle::campaign::CampaignEdit;
    use crate::lifecycle::campaign::tests::sample;
    use crate::lifecycle::campaign::{FileInfo, ImportOptions};
    use crate::lifecycle::daily_window::{DailyWindow, Day, WindowZone};
    use crate::lifecycle::event::Event;
    use crate::message::Message;

    fn ready() -> Campaign {
        let mut campaign = sample(CampaignState::Ready);
        campaign.approval.is_required = true;
        campaign.created_by = Some("Maria".into());
        campaign.files[0].content_hash = Some("h".into());
        campaign
    }

    fn after(campaign: &Campaign, event: Event) -> Campaign {
        apply(campaign, &event, 10).expect("allowed").campaign
    }

    fn approve(campaign: &Campaign, by: &str) -> Result<Campaign, Conflict> {
        let event = Event::Approval(ApprovalEvent::Give {
            by: by.into(),
            hash: approval_hash(campaign).unwrap_or_default(),
        });
        apply(campaign, &event, 10).map(|effects| effects.campaign)
    }

    fn by(who: &str, event: Event) -> Event {
        Event::By {
            who: who.into(),
            event: Box::new(event),
        }
    }

    fn edit(change: impl FnOnce(&mut CampaignEdit)) -> Event {
        let mut edit = CampaignEdit::of(&ready());
        change(&mut edit);
        Event::Edit(Box::new(edit))
    }

    #[test]
    fn campaign_starts_only_after_another_person_approved_it() {
        let campaign = ready();
        assert!(apply(&campaign, &Event::Start, 10).is_err());
        let asked = after(
            &campaign,
            Event::Approval(ApprovalEvent::Request {
                by: "paul".into(),
                note: None,
            }),
        );
        assert!(apply(&asked, &Event::Start, 10).is_err());
        for involved in ["maria", "Paul"] {
            assert!(approve(&asked, involved).is_err(), "{involved}");
        }
        let approved = approve(&asked, "ana").expect("a second person");
        let started = after(&approved, Event::Start);
        assert_eq!(started.started_at, Some(10));
        let withdrawn = after(&approved, Event::Approval(ApprovalEvent::Withdraw));
        assert!(apply(&withdrawn, &Event::Start, 10).is_err());
    }

    #[test]
    fn approval_is_void_once_anything_changes_that_would_be_sent() {
        let approved = approve(&ready(), "ana").expect("a second person");
        assert_eq!(check_approval(&approved), Ok(()));
        let text = serde_json::json!({"type": "text", "text": {"body": "Other"}});
        let text = Message::new(text).expect("a message");
        let window = DailyWindow::new(
            "09:00".parse().expect("a time"),
            "20:00".parse().expect("a time"),
            WindowZone::Recipient,
            vec![Day::Friday],
        );
        let window = Some(window.expect("a window"));
        let changes: [(&str, Event); 5] = [
            ("window", edit(|edit| edit.schedule.window = window)),
            ("schedule", edit(|edit| edit.schedule.not_after = Some(99))),
            ("policy", edit(|edit| edit.policy.max_failure_ratio = 1.0)),
            ("message", edit(|edit| edit.message = text)),
            ("options", Event::SetOptions(ImportOptions::default())),
        ];
        for (what, event) in changes {
            let changed = after(&approved, event);
            assert!(check_approval(&changed).is_err(), "{what}");
            assert!(apply(&changed, &Event::Start, 10).is_err(), "{what}");
        }
        let mut other_file = approved.clone();
        other_file.files[0].content_hash = Some("other".into());
        assert!(check_approval(&other_file).is_err());
        let renamed = after(&approved, edit(|edit| edit.name = "Other".into()));
        assert_eq!(check_approval(&renamed), Ok(()), "a name is not sent");
        // Who changes the campaign and changes it back, is no second person any more.
        let changed = after(
            &approved,
            by("ana", edit(|edit| edit.schedule.not_after = Some(99))),
        );
        let back = after(
            &changed,
            by("ana", edit(|edit| edit.schedule.not_after = None)),
        );
        assert!(check_approval(&back).is_err());
    }

    #[test]
    fn approval_is_for_what_the_approver_saw() {
        let campaign = ready();
        let event = Event::Approval(ApprovalEvent::Give {
            by: "ana".into(),
            hash: "an older one".into(),
        });
        assert!(apply(&campaign, &event, 10).is_err());
        let mut unread = campaign.clone();
        unread.files[0].stage = FileStage::Reading;
        assert_eq!(approval_hash(&unread), None);
        assert!(approve(&unread, "ana").is_err());
    }

    #[test]
    fn nothing_is_added_to_what_was_approved() {
        let approved = approve(&ready(), "ana").expect("a second person");
        let started = after(&approved, Event::Start);
        let info = FileInfo {
            name: "b.csv".into(),
            size: 1,
        };
        let mut sending = started.clone();
        sending.files[0].stage = FileStage::Enqueued;
        assert!(apply(&sending, &Event::AddFile(info.clone()), 10).is_err());
        // Its file turns out to be sent already: another one needs another approval.
        let mut refused = started;
        refused.files[0].stage = FileStage::Failed;
        let read_again = after(&refused, Event::SetOptions(ImportOptions::default()));
        assert_eq!(read_again.started_at, None);
    }
}
