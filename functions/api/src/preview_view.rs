//! The response body of a preview.

use std::collections::BTreeMap;

use campaign::delivery::batch::Row;
use campaign::import::column_choice::{ChosenBy, ColumnContent, PhoneColumnChoice};
use campaign::import::preview::{Preview, ProblemCount};
use campaign::lifecycle::campaign::{Campaign, MessageChoice};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::openapi::CampaignStateName;

/// What would be sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewView {
    /// The campaign's state; `ready` waits for `POST /v1/campaigns/{id}/start`.
    #[schema(value_type = CampaignStateName, example = "ready")]
    pub state: &'static str,
    /// How the file was read; options change it.
    pub file: FormatView,
    /// Which column fills which placeholder.
    pub columns: ColumnsView,
    /// What would happen to its rows.
    pub rows: PreviewCounts,
    /// Why rows cannot be used, the most frequent reason first; `GET /v1/campaigns/{id}/rejects` has all of them.
    pub problems: Vec<RowProblemView>,
    /// Recipients by country, most first.
    pub countries: Vec<CountryView>,
    /// The first messages as they would be sent.
    pub messages: Vec<SampleView>,
    /// What the operator should know before the start.
    pub warnings: Vec<String>,
    /// How long sending takes at the budget, in seconds.
    pub estimated_seconds: u64,
    /// The send budget: messages per second, at most.
    pub budget: u32,
}

/// How the file was read.
#[derive(Debug, Serialize, ToSchema)]
pub struct FormatView {
    /// Its name.
    pub name: String,
    /// `csv` or `xlsx`.
    pub kind: String,
    /// Whether it was compressed.
    pub gzip: bool,
    /// Its encoding, such as `UTF-8`.
    pub encoding: String,
    /// The character between cells.
    pub delimiter: String,
    /// The names of its columns: those in its first line, or `column_1` and so on.
    pub header: Vec<String>,
}

/// Which column fills which placeholder.
#[derive(Debug, Serialize, ToSchema)]
pub struct ColumnsView {
    /// The columns with the phone numbers: the number of a row is in the first of them that is not empty.
    #[schema(example = json!(["Mobile"]))]
    pub phone: Vec<String>,
    /// Why the first of them was chosen, as a sentence.
    #[schema(
        example = "Of all columns, it probably reaches most recipients: of the first 1000 rows, 970 have a number in it, 940 of them mobile."
    )]
    pub reason: String,
    /// Other columns with numbers, the best first; `options.phone_columns` chooses among them.
    pub others: Vec<OtherColumnView>,
    /// The message's placeholders and the file's columns.
    pub message: BTreeMap<String, String>,
}

/// A column with numbers that was not chosen, judged by the first 1,000 rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct OtherColumnView {
    /// Its name.
    #[schema(example = "Phone")]
    pub name: String,
    /// Rows with a number in it.
    pub numbers: u64,
    /// Rows with a mobile number in it.
    pub mobile: u64,
    /// Rows with a number in it whose chosen column is empty: as a further phone column it would serve those.
    pub fills_gaps: u64,
}

/// What would happen to the rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewCounts {
    /// Rows in the file.
    pub total: u64,
    /// Rows that cannot be used.
    pub rejected_at_import: u64,
    /// Rows whose number came before, in whatever spelling.
    pub duplicates: u64,
    /// Rows whose number is on the campaign's exclude list or on the suppression list.
    pub suppressed: u64,
    /// Rows that would be messaged.
    pub recipients: u64,
    /// Recipients inside their 24-hour service window: they do not count towards the account's limit. Counted only with
    /// `manual_start`.
    pub in_service_window: u64,
    /// Numbers on the campaign's exclude list.
    pub excluded: u64,
}

/// Why some rows cannot be used.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowProblemView {
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: String,
    /// In how many rows.
    pub rows: u64,
    /// The numbers of the first of them.
    pub first: Vec<u32>,
}

/// Recipients in a country.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountryView {
    /// ISO 3166-1 alpha-2; `??` if the number belongs to no country.
    pub country: String,
    /// How many.
    pub recipients: u64,
}

/// A message as it would be sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct SampleView {
    /// The row.
    pub row: u32,
    /// The recipient's number.
    pub to: String,
    /// The message with the row's values.
    #[schema(value_type = Object)]
    pub message: Value,
}

impl PreviewView {
    /// The view; `budget` in messages per second.
    pub fn new(campaign: &Campaign, preview: Preview, warnings: Vec<String>, budget: u32) -> Self {
        let name = campaign.files.last().map(|file| file.info.name.clone());
        let countries = preview.countries.iter();
        Self {
            state: campaign.state(cloud::now()).name(),
            rows: PreviewCounts::new(&preview),
            countries: countries
                .map(|(country, recipients)| CountryView {
                    country: country.clone(),
                    recipients: *recipients,
                })
                .collect(),
            messages: preview
                .sample
                .iter()
                .map(|row| SampleView::new(campaign, row))
                .collect(),
            warnings,
            estimated_seconds: preview.counts.enqueued.div_ceil(u64::from(budget.max(1))),
            budget,
            file: FormatView {
                name: name.unwrap_or_default(),
                kind: preview.format.kind,
                gzip: preview.format.gzip,
                encoding: preview.format.encoding,
                delimiter: preview.format.delimiter,
                header: preview.header,
            },
            columns: ColumnsView {
                phone: preview.phone_columns,
                reason: preview
                    .phone_choice
                    .as_ref()
                    .map(reason)
                    .unwrap_or_default(),
                others: other_columns(preview.phone_choice),
                message: preview.columns,
            },
            problems: preview
                .problems
                .into_iter()
                .map(RowProblemView::from)
                .collect(),
        }
    }
}

/// Why the phone column was chosen.
fn reason(choice: &PhoneColumnChoice) -> String {
    let ColumnContent {
        numbers, mobile, ..
    } = choice.chosen;
    let content = format!(
        "of the first {} rows, {numbers} have a number in it, {mobile} of them mobile",
        choice.rows
    );
    match choice.by {
        ChosenBy::Options => format!("options.phone_columns names it; {content}."),
        ChosenBy::Content => format!("Of all columns, it probably reaches most recipients: {content}."),
        ChosenBy::Name => {
            "Its name says so; no column has numbers that can be read. If they have no country code, set options.default_region."
                .into()
        }
    }
}

fn other_columns(choice: Option<PhoneColumnChoice>) -> Vec<OtherColumnView> {
    let others = choice.map(|choice| choice.runners_up).unwrap_or_default();
    let view = |column: ColumnContent| OtherColumnView {
        name: column.name,
        numbers: column.numbers,
        mobile: column.mobile,
        fills_gaps: column.fills_gaps,
    };
    others.into_iter().map(view).collect()
}

impl PreviewCounts {
    fn new(preview: &Preview) -> Self {
        let counts = &preview.counts;
        Self {
            total: counts.rows,
            rejected_at_import: counts.rejected,
            duplicates: counts.duplicates,
            suppressed: counts.suppressed,
            recipients: counts.enqueued,
            in_service_window: preview.in_service_window,
            excluded: preview.excluded,
        }
    }
}

impl From<ProblemCount> for RowProblemView {
    fn from(count: ProblemCount) -> Self {
        Self {
            problem: count.problem,
            fix: count.fix,
            rows: count.rows,
            first: count.first,
        }
    }
}

impl SampleView {
    fn new(campaign: &Campaign, row: &Row) -> Self {
        Self {
            row: row.row,
            to: row.to.to_string(),
            message: campaign.fill_message(MessageChoice::Message, &row.values),
        }
    }
}
