//! What people see of a file before it is sent.

use std::collections::BTreeMap;

use campaign::delivery::batch::Row;
use campaign::import::preview::Preview;
use campaign::lifecycle::campaign::Campaign;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What would be sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewView {
    /// The campaign's state; `ready` waits for `POST /v1/campaigns/{id}/start`.
    pub state: &'static str,
    /// How the file was read; options change it.
    pub file: FormatView,
    /// Which column fills what.
    pub columns: ColumnsView,
    /// What would become of its rows.
    pub rows: PreviewCounts,
    /// Why rows cannot be used, the most frequent reason first; `GET /v1/campaigns/{id}/rejects` has them all.
    pub problems: Vec<RowProblemView>,
    /// Recipients by country, most first.
    pub countries: Vec<CountryView>,
    /// The first messages as they would go out.
    pub messages: Vec<SampleView>,
    /// What somebody should know before the start.
    pub warnings: Vec<String>,
    /// How long sending takes at the budget, in seconds.
    pub seconds: u64,
    /// The budget, calls per second.
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
    /// Such as `UTF-8`.
    pub encoding: String,
    /// What is between cells.
    pub delimiter: String,
    /// The first line's names.
    pub header: Vec<String>,
}

/// Which column fills what.
#[derive(Debug, Serialize, ToSchema)]
pub struct ColumnsView {
    /// Where numbers are.
    pub phone: String,
    /// The message's places and the file's columns.
    pub message: BTreeMap<String, String>,
}

/// What would become of the rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewCounts {
    /// Rows in the file.
    pub total: u64,
    /// Not usable.
    pub rejected: u64,
    /// The number came before, in whatever spelling.
    pub duplicates: u64,
    /// On the campaign's exclude list or the standing list.
    pub suppressed: u64,
    /// Would be messaged.
    pub recipients: u64,
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
    /// The first of them.
    pub first: Vec<u32>,
}

/// Recipients in a country.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountryView {
    /// ISO 3166-1 alpha-2; `??` for none.
    pub country: String,
    /// How many.
    pub recipients: u64,
}

/// A message as it would go out.
#[derive(Debug, Serialize, ToSchema)]
pub struct SampleView {
    /// The row.
    pub row: u32,
    /// The recipient.
    pub to: String,
    /// The message, filled in.
    #[schema(value_type = Object)]
    pub message: Value,
}

impl PreviewView {
    /// What people see; `budget` in calls per second.
    pub fn new(campaign: &Campaign, preview: Preview, warnings: Vec<String>, budget: u32) -> Self {
        let Preview { format, counts, .. } = preview;
        let name = campaign
            .files
            .last()
            .map(|file| file.info.name.clone())
            .unwrap_or_default();
        Self {
            state: campaign.state.name(),
            file: FormatView {
                name,
                kind: format.kind,
                gzip: format.gzip,
                encoding: format.encoding,
                delimiter: format.delimiter,
                header: preview.header,
            },
            columns: ColumnsView {
                phone: preview.phone_column,
                message: preview.columns,
            },
            rows: PreviewCounts {
                total: counts.rows,
                rejected: counts.rejected,
                duplicates: counts.duplicates,
                suppressed: counts.suppressed,
                recipients: counts.enqueued,
                excluded: preview.excluded,
            },
            problems: preview
                .problems
                .into_iter()
                .map(|of| RowProblemView {
                    problem: of.problem,
                    fix: of.fix,
                    rows: of.rows,
                    first: of.first,
                })
                .collect(),
            countries: preview
                .countries
                .into_iter()
                .map(|(country, recipients)| CountryView {
                    country,
                    recipients,
                })
                .collect(),
            messages: preview
                .sample
                .iter()
                .map(|row| sample_view(campaign, row))
                .collect(),
            warnings,
            seconds: counts.enqueued.div_ceil(u64::from(budget.max(1))),
            budget,
        }
    }
}

fn sample_view(campaign: &Campaign, row: &Row) -> SampleView {
    SampleView {
        row: row.row,
        to: row.to.to_string(),
        message: campaign.messages().0.fill(&row.values),
    }
}
