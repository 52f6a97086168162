//! What operators read at the end of a life, when everything has ended: the rows of each campaign, its report and its
//! rejects; the state of each erasure, and what is stored then if anybody was erased.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::Operator;
use crate::record::CampaignNotes;

/// The states of a row that the API names.
pub const ROW_STATES: [&str; 7] = [
    "claimed",
    "retry",
    "held",
    "accepted",
    "rejected",
    "unconfirmed",
    "skipped",
];

/// More pages than any list here has.
const MOST_PAGES: usize = 200;

/// More attempts than any request needs once faults have stopped.
const MOST_REQUESTS: usize = 50;

/// A report is there within this time. One that was requested before may have died; after 20 minutes it is begun again.
const REPORT_PATIENCE: Duration = Duration::from_secs(3_600);
const REPORT_LOOK_INTERVAL: Duration = Duration::from_secs(4);

/// An erasure is done this long after its campaigns are over: the reconciler, which may run every three hours by now,
/// closes them, its next run wakes the erasure, and that may wait for another campaign.
const ERASURE_PATIENCE: Duration = Duration::from_secs(8 * 3_600);
const ERASURE_LOOK_INTERVAL: Duration = Duration::from_secs(300);

/// Everything that operators read at the end.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The campaigns that are over and may not have been deleted.
    pub campaigns: Vec<Reading>,
    /// The contacts that were erased, as the API shows them, by phone number.
    pub erased: BTreeMap<String, Value>,
    /// If anybody was erased, the items of each table,
    pub tables: Vec<(String, Vec<Value>)>,
    /// and every version of each object: its key, its version, its bytes.
    pub objects: Vec<(String, String, Vec<u8>)>,
}

/// A campaign that is over, as it is shown.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Its id.
    pub id: String,
    /// The rows in each state, in the order of the list.
    pub rows: Vec<(&'static str, Vec<Value>)>,
    /// The report's progress and summary; null if no report can be requested.
    pub report: Value,
    /// The report's files by their numbers.
    pub files: BTreeMap<usize, String>,
    /// The rejects files by their numbers.
    pub rejects: BTreeMap<usize, String>,
}

impl Operator {
    /// Reads everything. Erasures come first, because they change what is to be read.
    pub async fn read_everything(&self) -> Shown {
        let erased = self.wait_for_erasures().await;
        let is_over = |campaign: &CampaignNotes| {
            campaign.end.is_some() && !campaign.may_be_deleted && !campaign.uploads.is_empty()
        };
        let ids: Vec<String> = {
            let notes = self.record.read();
            let campaigns = notes.campaigns.iter();
            let over = campaigns.filter(|(_, campaign)| is_over(campaign));
            over.map(|(id, _)| id.clone()).collect()
        };
        for id in &ids {
            self.request_report(id).await;
        }
        let mut campaigns = Vec::new();
        for id in ids {
            campaigns.extend(self.read_campaign(id).await);
        }
        let (mut tables, mut objects) = (Vec::new(), Vec::new());
        if !erased.is_empty() {
            let dynamodb = self.aws.dynamodb();
            let names = dynamodb.tables().into_iter();
            tables.extend(names.map(|name| (name.clone(), dynamodb.all_items(&name))));
            objects = self.aws.s3().all_versions();
        }
        Shown {
            campaigns,
            erased,
            tables,
            objects,
        }
    }

    /// `None` if the campaign is gone, which is judged elsewhere.
    async fn read_campaign(&self, id: String) -> Option<Reading> {
        let campaign = self.read(&format!("/v1/campaigns/{id}")).await?;
        let limit = *self.random.pick(&[3, 8, 100]);
        let mut rows = Vec::new();
        for state in ROW_STATES {
            rows.push((state, self.list_rows(&id, state, limit).await));
        }
        let mut rejects = BTreeMap::new();
        let files = campaign["files"].as_array().map_or(0, Vec::len);
        for number in 1..=files {
            let path = format!("/v1/campaigns/{id}/rejects?file={number}");
            if let Some(signed) = self.read(&path).await {
                rejects.insert(number, self.download(&id, &signed));
            }
        }
        let report = self.read_report(&id).await;
        let mut files = BTreeMap::new();
        for file in report["files"].as_array().into_iter().flatten() {
            let number = file["file"].as_u64().unwrap_or_default();
            files.insert(number as usize, self.download(&id, file));
        }
        Some(Reading {
            id,
            rows,
            report,
            files,
            rejects,
        })
    }

    /// All pages of the rows in a state.
    async fn list_rows(&self, id: &str, state: &str, limit: u64) -> Vec<Value> {
        let (mut rows, mut after) = (Vec::new(), 0);
        for _ in 0..MOST_PAGES {
            let path = format!("/v1/campaigns/{id}/rows?state={state}&after={after}&limit={limit}");
            let Some(page) = self.read(&path).await else {
                self.record
                    .violation("rows are listed", format!("{path} was refused"));
                return rows;
            };
            rows.extend(page["rows"].as_array().into_iter().flatten().cloned());
            match page["next"].as_u64() {
                Some(next) => after = next,
                None => return rows,
            }
        }
        let what = format!("the list of the {state} rows of {id} has no end");
        self.record.violation("rows are listed", what);
        rows
    }

    /// Requests a report until that is answered: a process may still die of a fault that began before.
    async fn request_report(&self, id: &str) {
        let path = format!("/v1/campaigns/{id}/report");
        let body = json!({"bom": self.random.chance(0.5)});
        for _ in 0..MOST_REQUESTS {
            let answer = self.request("POST", &path, &body.to_string()).await;
            self.note_step(&format!("POST {path}"), answer.as_ref());
            if answer.is_some() {
                return;
            }
            sleep(REPORT_LOOK_INTERVAL).await;
        }
    }

    /// The report, once it is there. Null if none was ever requested: no file was read.
    async fn read_report(&self, id: &str) -> Value {
        let path = format!("/v1/campaigns/{id}/report");
        let begun = tokio::time::Instant::now();
        let mut interval = REPORT_LOOK_INTERVAL;
        while begun.elapsed() < REPORT_PATIENCE {
            let Some(report) = self.read(&path).await else {
                return Value::Null;
            };
            if matches!(report["state"].as_str(), Some("done" | "failed")) {
                return report;
            }
            // Nothing happens as long as a report is in progress; one that has died is begun again.
            if begun.elapsed() > Duration::from_secs(60) {
                self.request_report(id).await;
            }
            sleep(interval).await;
            interval = (interval * 2).min(Duration::from_secs(300));
        }
        let what = format!("the report of {id} is not there after an hour");
        self.record.violation("a report is written", what);
        Value::Null
    }

    fn download(&self, id: &str, signed: &Value) -> String {
        let url = signed["url"].as_str().unwrap_or_default();
        let answer = self.aws.s3().send_presigned("GET", url, [], &[]);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status != 200 {
            let what = format!("a download of {id} was refused: {} {text}", answer.status);
            self.record.violation("a download works", what);
        }
        text
    }

    /// Each erased contact once its erasure is done, or as it is when patience ends.
    async fn wait_for_erasures(&self) -> BTreeMap<String, Value> {
        let phones: Vec<String> = self.record.read().erased.keys().cloned().collect();
        let mut contacts = BTreeMap::new();
        if phones.is_empty() {
            return contacts;
        }
        self.repeat_failed_erasures();
        let begun = tokio::time::Instant::now();
        for phone in phones {
            let path = format!("/v1/contacts/{}", phone.trim_start_matches('+'));
            loop {
                let contact = self.read(&path).await.unwrap_or_default();
                let is_done = contact["erasure"] == "done" || self.may_wait(&contact);
                if is_done || begun.elapsed() > ERASURE_PATIENCE {
                    contacts.insert(phone, contact);
                    break;
                }
                sleep(ERASURE_LOOK_INTERVAL).await;
            }
        }
        // The erasure of a contact may have been requested twice.
        sleep(3 * ERASURE_LOOK_INTERVAL).await;
        contacts
    }

    /// Whether an erasure waits for a campaign that is not over.
    fn may_wait(&self, contact: &Value) -> bool {
        let stage = contact["erasure"].as_str().unwrap_or_default();
        let notes = self.record.read();
        let mut campaigns = notes.campaigns.iter();
        campaigns.any(|(id, campaign)| campaign.end.is_none() && stage.contains(id.as_str()))
    }

    /// What operators do about the alarm of the queue of failed events: they move erasures back to their queue.
    fn repeat_failed_erasures(&self) {
        for body in self.aws.sqs().bodies("FailedEvents") {
            let is_erasure = serde_json::from_str::<Value>(&body)
                .is_ok_and(|body| !body["phone"].is_null() && body["campaign"].is_null());
            if is_erasure {
                self.aws.sqs().send("ErasureQueue", &body, Duration::ZERO);
                self.note_step("repeat a failed erasure", None);
            }
        }
    }
}
