//! Create campaigns, upload and import their files, look at them and their rows.

use std::time::Duration;

use campaign::delivery::ledger::LedgerRow;
use campaign::delivery::ledger::State;
use campaign::id::CampaignId;
use campaign::import::phone::{self, Phone};
use campaign::lifecycle::campaign::{
    Campaign, CampaignState, FileInfo, FileStage, Pause, PausedBy,
};
use campaign::lifecycle::counters::Counters;
use campaign::lifecycle::event::Event;
use campaign::message::Message;
use cloud::files::{Upload, recipients_prefix};
use futures::TryStreamExt;
use serde_json::{Value, json};
use uuid::Uuid;

use super::TestEnv;
use super::functions::lambda_context;

/// A number in international form.
pub(crate) fn phone(number: &str) -> Phone {
    phone::parse(number, None).unwrap()
}

/// A file of `rows` recipients, `+34610000001` and so on.
pub(crate) fn recipients_csv(rows: u32) -> String {
    let mut file = String::from("phone,name\n");
    for row in 1..=rows {
        file.push_str(&format!("+34610{row:06},Ana\n"));
    }
    file
}

/// Puts a campaign into a state: into each one that follows from a file with its rows in the queue, if there is one.
pub(crate) fn set_state(campaign: &mut Campaign, state: CampaignState) {
    let stage = match state {
        CampaignState::AwaitingUpload | CampaignState::Cancelled => FileStage::Pending,
        CampaignState::Validating => FileStage::Reading,
        CampaignState::Ready
        | CampaignState::Scheduled
        | CampaignState::Enqueuing
        | CampaignState::Canary => FileStage::Validated,
        CampaignState::Sending | CampaignState::Paused => FileStage::Enqueued,
        CampaignState::Failed => FileStage::Failed,
    };
    campaign.files[0].stage = stage;
    campaign.manual_start = state == CampaignState::Ready;
    campaign.paused = (state == CampaignState::Paused).then(|| Pause {
        reason: "A test.".into(),
        by: PausedBy::Operator,
        at: cloud::now(),
        is_pausing_others: false,
    });
    campaign.cancelled_at = (state == CampaignState::Cancelled).then(cloud::now);
    assert!(
        matches!(state, CampaignState::Scheduled | CampaignState::Canary)
            || campaign.state(cloud::now()) == state
    );
}

/// Campaigns and their files.
impl TestEnv {
    /// Creates a campaign in `state`, with a template that names `{{name}}`.
    pub(crate) async fn create_campaign(&self, state: CampaignState) -> Campaign {
        self.create_campaign_with(|campaign| {
            set_state(campaign, state);
        })
        .await
    }

    /// Creates a campaign that waits for its file, changed as wished.
    pub(crate) async fn create_campaign_with(
        &self,
        change: impl FnOnce(&mut Campaign),
    ) -> Campaign {
        let message = json!({"type": "template", "template": {"name": "hello", "language": {"code": "en"},
            "components": [{"type": "body", "parameters": [{"type": "text", "text": "{{name}}"}]}]}});
        let file = FileInfo {
            name: "a.csv".into(),
            size: 1,
        };
        let id = Uuid::now_v7().to_string().parse().unwrap();
        let message = Message::new(message).unwrap();
        let mut campaign = Campaign::new(id, "Test".into(), message, file, cloud::now());
        // Tests send the same file again and again.
        campaign.allow_repeat = true;
        change(&mut campaign);
        self.campaigns.create(&campaign).await.unwrap();
        campaign
    }

    /// Creates a campaign of `rows` recipients, changed as wished, and imports its file. Unless the change prevents it, its
    /// rows are on the sends queue then.
    pub(crate) async fn import_campaign(
        &self,
        rows: u32,
        change: impl FnOnce(&mut Campaign),
    ) -> Campaign {
        let id = self.create_campaign_with(change).await.id;
        self.import_file(&id, recipients_csv(rows).as_bytes()).await;
        self.load_campaign(&id).await
    }

    /// Uploads a campaign's first file and imports it.
    pub(crate) async fn import_file(&self, id: &CampaignId, file: &[u8]) {
        let event = self.upload_file(id, file).await;
        self.run_import(event).await;
    }

    /// Uploads a campaign's first file as the API signs it; gives the S3 event that follows.
    pub(crate) async fn upload_file(&self, id: &CampaignId, file: &[u8]) -> Value {
        self.upload_to(id, Upload::File(0), file).await
    }

    /// Uploads a file of a campaign as the API signs it; gives the S3 event that follows.
    pub(crate) async fn upload_to(&self, id: &CampaignId, upload: Upload, file: &[u8]) -> Value {
        let valid_for = Duration::from_secs(60);
        let signed = self
            .files
            .sign_upload(id, upload, file.len() as u64, valid_for);
        let signed = signed.await.unwrap();
        let mut put = reqwest::Client::new().put(&signed.url).body(file.to_vec());
        for (name, value) in &signed.headers {
            put = put.header(name, value);
        }
        let response = put.send().await.unwrap();
        let (status, body) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{body}");
        self.receive_upload_event(id).await
    }

    /// Deletes what imports have stored of the campaign's files, as S3 does when that expires.
    pub(crate) async fn delete_recipients(&self, id: &CampaignId) {
        let prefix = recipients_prefix(id);
        let deleted = self.files.delete_matching(&prefix, |_| true).await;
        deleted.unwrap();
    }

    /// Hands an upload's event to the splitter, then every import job that follows from it.
    pub(crate) async fn run_import(&self, event: Value) {
        let event = serde_json::from_value(event).unwrap();
        let splitter = self.splitter(2);
        splitter.handle(event, lambda_context(900)).await.unwrap();
        self.run_queued_imports().await;
    }

    pub(crate) async fn load_campaign(&self, id: &CampaignId) -> Campaign {
        self.campaigns.get(id).await.unwrap().unwrap()
    }

    /// Applies an event that must be allowed.
    pub(crate) async fn apply(&self, id: &CampaignId, event: Event) -> Campaign {
        let applied = self.campaigns.apply_to(id, &event, cloud::now()).await;
        applied.unwrap().unwrap().campaign
    }

    pub(crate) async fn campaign_state(&self, id: &CampaignId) -> CampaignState {
        self.load_campaign(id).await.state(cloud::now())
    }
}

/// Rows and counters.
impl TestEnv {
    /// Claims the first attempt of a row, as a sender does.
    pub(crate) async fn claim_row(&self, id: &CampaignId, row: u32) {
        let claim = self.ledger.claim(id, row, "sender", cloud::now());
        claim.await.unwrap();
    }

    /// A row of the ledger, which must be there.
    pub(crate) async fn ledger_row(&self, id: &CampaignId, row: u32) -> LedgerRow {
        let row = self.ledger.get_row(id, row).await.unwrap();
        row.expect("a row in the ledger")
    }

    pub(crate) async fn row_state(&self, id: &CampaignId, row: u32) -> State {
        self.ledger_row(id, row).await.state
    }

    /// Every row of an imported campaign that is in the ledger, in the order of the file.
    pub(crate) async fn ledger_rows(&self, id: &CampaignId) -> Vec<LedgerRow> {
        let last = self.load_campaign(id).await.import_counts().rows as u32;
        self.ledger_rows_up_to(id, last.max(64)).await
    }

    /// Every row up to `last` that is in the ledger.
    pub(crate) async fn ledger_rows_up_to(&self, id: &CampaignId, last: u32) -> Vec<LedgerRow> {
        self.ledger.rows(id, 1..=last).try_collect().await.unwrap()
    }

    /// How many rows of an imported campaign are in each state, without the states that no row is in.
    pub(crate) async fn row_states(&self, id: &CampaignId) -> Vec<(State, usize)> {
        let rows = self.ledger_rows(id).await;
        let count = |state| rows.iter().filter(|row| row.state == state).count();
        let counts = State::ALL.iter().map(|&state| (state, count(state)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Replaces a campaign's counters by those of its ledger, as if the stream had been read to its end.
    pub(crate) async fn recount_ledger(&self, id: &CampaignId) {
        let mut shard = self.counters.get_shard(id, "recount").await.unwrap();
        let last_sequence = shard.last_sequence.clone();
        shard.last_sequence.push('1');
        shard.counters = Counters::default();
        for row in self.ledger_rows(id).await {
            shard.highest_row = shard.highest_row.max(row.row_number().unwrap());
            shard.counters.apply_change(None, row.row_facts());
        }
        let now = cloud::now();
        let replaced = self
            .counters
            .compare_and_set(id, "recount", &last_sequence, &shard, now);
        assert!(replaced.await.unwrap());
    }
}
