//! Summarizes what a file would do, before anything is sent.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::delivery::batch::Row;
use crate::id::RowNumber;
use crate::import::column_choice::PhoneColumnChoice;
use crate::import::country_counts::CountryCounts;
use crate::import::row::{ImportCounts, Reject, RejectReason, RowVerdict};
use crate::lifecycle::campaign::{Campaign, MessageChoice};

/// How many usable rows are shown at most.
const SAMPLE_ROWS: usize = 20;

/// How many bytes of values they have at most: the preview is one item of the table.
const SAMPLE_BYTES: usize = 64 * 1024;

/// How many row numbers are kept of each problem.
const MAX_ROWS_PER_PROBLEM: usize = 5;

/// How many countries are kept, those with most recipients first.
const MAX_COUNTRIES: usize = 50;

/// What a file contains, and what would happen to its rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// How the file was read.
    pub format: FileFormat,
    /// The names of the columns: as the file has them, or `column_1` and so on.
    pub header: Vec<String>,
    /// The columns with the phone numbers.
    pub phone_columns: Vec<String>,
    /// Why the first of them was chosen.
    pub phone_choice: Option<PhoneColumnChoice>,
    /// The columns that the message uses, each with its name in the file.
    pub columns: BTreeMap<String, String>,
    /// How many rows would be sent, and how many not.
    pub counts: ImportCounts,
    /// Why rows cannot be used, the most frequent reason first.
    pub problems: Vec<ProblemCount>,
    /// Recipients by country, such as `BR`; `??` for numbers without a country.
    pub countries: Vec<(String, u64)>,
    /// The first usable rows.
    pub sample: Vec<Row>,
    /// Names that the header has more than once.
    pub repeated: Vec<String>,
    /// How many numbers the campaign's exclude list has.
    pub excluded: u64,
    /// How many lines of the exclude list have no readable number.
    pub excluded_unreadable: u64,
    /// How many recipients are inside their service window: they do not count towards the account's limit. Known only
    /// if the operator checks the preview before the start.
    #[serde(default)]
    pub in_service_window: u64,
}

/// How many recipients the account may message in 24 hours outside of service windows (Meta, "Messaging limits").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DailyLimit {
    /// This many.
    Recipients(u64),
    /// As many as there are.
    Unlimited,
    /// Meta does not say.
    #[default]
    Unknown,
}

/// The limit of new accounts.
const LOWEST_DAILY_LIMIT: u64 = 250;

/// How a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFormat {
    /// `csv` or `xlsx`.
    pub kind: String,
    /// Whether the file was compressed.
    pub gzip: bool,
    /// The encoding's name, such as `UTF-8`.
    pub encoding: String,
    /// The character between cells.
    pub delimiter: String,
}

/// One reason why rows cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemCount {
    /// What is wrong.
    pub problem: String,
    /// What the operator can do.
    pub fix: String,
    /// How many rows have the problem.
    pub rows: u64,
    /// The first of those rows.
    pub first: Vec<RowNumber>,
}

/// Builds a preview from the verdicts on all rows.
#[derive(Debug, Default)]
pub struct PreviewBuilder {
    problems: HashMap<RejectReason, (u64, Vec<RowNumber>)>,
    countries: CountryCounts,
    sample: Vec<Row>,
    sample_bytes: usize,
}

impl PreviewBuilder {
    /// Adds the verdict on one row.
    pub fn add_verdict(&mut self, verdict: &RowVerdict) {
        match verdict {
            RowVerdict::Usable(row) => {
                self.countries.add(row.to);
                self.add_sample(row);
            }
            RowVerdict::Rejected(reject) => self.count_problem(reject),
            RowVerdict::Duplicate | RowVerdict::Excluded => {}
        }
    }

    fn add_sample(&mut self, row: &Row) {
        let bytes: usize = row.values.iter().map(|value| value.len()).sum();
        let has_room = self.sample_bytes + bytes <= SAMPLE_BYTES || self.sample.is_empty();
        if self.sample.len() < SAMPLE_ROWS && has_room {
            self.sample_bytes += bytes;
            self.sample.push(row.clone());
        }
    }

    fn count_problem(&mut self, reject: &Reject) {
        let (count, rows) = self.problems.entry(reject.reason).or_default();
        *count += 1;
        if rows.len() < MAX_ROWS_PER_PROBLEM {
            rows.push(reject.row);
        }
    }

    /// Completes `preview` with problems, countries and the sample.
    pub fn finish(self, preview: Preview) -> Preview {
        let mut problems: Vec<ProblemCount> = self
            .problems
            .into_iter()
            .map(|(reason, (rows, first))| ProblemCount {
                problem: reason.to_string(),
                fix: reason.fix().into(),
                rows,
                first,
            })
            .collect();
        problems.sort_by(|one, other| {
            let by_rows = other.rows.cmp(&one.rows);
            by_rows.then_with(|| one.problem.cmp(&other.problem))
        });
        let mut countries = self.countries.largest_first();
        countries.truncate(MAX_COUNTRIES);
        Preview {
            problems,
            countries,
            sample: self.sample,
            ..preview
        }
    }
}

/// What the operator should know before the campaign starts. `elsewhere` is how many recipients other campaigns message in
/// these 24 hours.
pub fn collect_warnings(
    campaign: &Campaign,
    preview: &Preview,
    daily_limit: DailyLimit,
    elsewhere: u64,
) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(warn_of_us_marketing(campaign, preview));
    // Without a message for recipients outside of their window, nobody counts.
    if campaign.message_choice(false) != MessageChoice::Nothing {
        warnings.extend(warn_of_daily_limit(preview, daily_limit, elsewhere));
    }
    warnings.extend(warn_of_rejects(preview.counts));
    for name in &preview.repeated {
        warnings.push(format!(
            "the header has `{name}` more than once: the first column of that name is used."
        ));
    }
    if preview.excluded_unreadable > 0 {
        warnings.push(format!(
            "{} lines of the exclude list are not phone numbers: the recipients they mean would be messaged.",
            preview.excluded_unreadable
        ));
    }
    let format = &preview.format;
    if format.encoding != "UTF-8" && format.kind == "csv" {
        warnings.push(format!(
            "the file is read as {}: check that accents are right in the messages below, else set options.encoding.",
            format.encoding
        ));
    }
    warnings
}

fn warn_of_us_marketing(campaign: &Campaign, preview: &Preview) -> Option<String> {
    let template = campaign.template.as_ref()?;
    let (_, recipients) = preview
        .countries
        .iter()
        .find(|(country, _)| country == "US")?;
    (template.category == "MARKETING").then(|| {
        format!(
            "{recipients} recipients have US numbers: WhatsApp does not deliver marketing templates there (error 131049). Leave them out."
        )
    })
}

fn warn_of_daily_limit(
    preview: &Preview,
    daily_limit: DailyLimit,
    elsewhere: u64,
) -> Option<String> {
    let recipients = preview.counts.enqueued;
    let outside = recipients.saturating_sub(preview.in_service_window);
    let subject = match elsewhere {
        0 => format!("{outside} recipients outside of their service window are"),
        _ => format!(
            "{outside} recipients outside of their service window, and up to {elsewhere} of other campaigns, are"
        ),
    };
    match daily_limit {
        DailyLimit::Recipients(limit) if outside + elsewhere > limit => Some(format!(
            "{subject} more than the {limit} people your account may begin to message in 24 hours: WhatsApp will not deliver to the others. Send in parts, or have the limit raised."
        )),
        DailyLimit::Unknown if outside + elsewhere > LOWEST_DAILY_LIMIT => Some(format!(
            "Meta does not say how many people your account may begin to message in 24 hours. {subject} more than the {LOWEST_DAILY_LIMIT} of new accounts: check the limit in WhatsApp Manager."
        )),
        DailyLimit::Recipients(_) | DailyLimit::Unlimited | DailyLimit::Unknown => None,
    }
}

/// Warns if more than a fifth of the rows cannot be used.
fn warn_of_rejects(counts: ImportCounts) -> Option<String> {
    (counts.rejected * 5 > counts.rows).then(|| {
        format!(
            "{} of {} rows cannot be used, more than a fifth: check the rejects file before you start.",
            counts.rejected, counts.rows
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::phone::{self, PhoneProblem};
    use crate::lifecycle::campaign::{FileInfo, TemplateFacts};
    use crate::message::Message;
    use serde_json::json;

    fn usable(row: RowNumber, to: &str) -> RowVerdict {
        RowVerdict::Usable(Row {
            row,
            to: phone::parse(to, None).expect(to),
            values: Vec::new(),
        })
    }

    fn rejected(row: RowNumber, problem: PhoneProblem) -> RowVerdict {
        RowVerdict::Rejected(Reject {
            row,
            column: "phone".into(),
            reason: problem.into(),
        })
    }

    #[test]
    fn counts_countries_and_problems() {
        let mut builder = PreviewBuilder::default();
        for (row, to) in [
            "+5511987654321",
            "+12025550143",
            "+14165550143",
            "+447781123456",
            "+447400123456",
            "+5521987654321",
        ]
        .iter()
        .enumerate()
        {
            builder.add_verdict(&usable(row as u32 + 1, to));
        }
        for row in 7..9 {
            builder.add_verdict(&rejected(row, PhoneProblem::Empty));
        }
        for row in 9..20 {
            builder.add_verdict(&rejected(row, PhoneProblem::TooShort));
        }
        let preview = builder.finish(Preview::default());
        let countries: Vec<(&str, u64)> = preview
            .countries
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        assert_eq!(
            countries,
            [("BR", 2), ("CA", 1), ("GB", 1), ("GG", 1), ("US", 1)]
        );
        let problems: Vec<(u64, &[u32])> = preview
            .problems
            .iter()
            .map(|problem| (problem.rows, problem.first.as_slice()))
            .collect();
        assert_eq!(problems, [(11, &[9, 10, 11, 12, 13][..]), (2, &[7, 8])]);
    }

    #[test]
    fn sample_has_the_first_rows_up_to_a_number_and_a_size() {
        let sample_of = |bytes: usize| {
            let mut builder = PreviewBuilder::default();
            for row in 1..=30 {
                let RowVerdict::Usable(mut sample) = usable(row, "+14155550123") else {
                    unreachable!("it is usable");
                };
                sample.values = vec!["x".repeat(bytes)];
                builder.add_verdict(&RowVerdict::Usable(sample));
            }
            builder.finish(Preview::default()).sample.len()
        };
        assert_eq!(sample_of(10), SAMPLE_ROWS);
        assert_eq!(sample_of(SAMPLE_BYTES / 4), 4);
        assert_eq!(sample_of(SAMPLE_BYTES + 1), 1);
    }

    #[test]
    fn warnings_state_what_would_go_wrong() {
        let message = Message::new(json!({"type": "template"})).expect("message");
        let mut campaign = Campaign::new(
            "c1".parse().expect("id"),
            "x".into(),
            message,
            FileInfo {
                name: "a.csv".into(),
                size: 1,
            },
            0,
        );
        let mut preview = Preview {
            counts: ImportCounts {
                rows: 1000,
                enqueued: 1000,
                ..ImportCounts::default()
            },
            countries: vec![("US".into(), 12)],
            ..Preview::default()
        };
        preview.format.encoding = "UTF-8".into();
        assert_eq!(
            collect_warnings(&campaign, &preview, DailyLimit::Recipients(1000), 0),
            Vec::<String>::new()
        );
        campaign.template = Some(TemplateFacts {
            category: "MARKETING".into(),
            ..TemplateFacts::default()
        });
        preview.excluded_unreadable = 2;
        preview.repeated = vec!["name".into()];
        preview.counts.rejected = 201;
        let warnings = collect_warnings(&campaign, &preview, DailyLimit::Recipients(250), 0);
        for (warning, words) in warnings.iter().zip([
            "12 recipients have US",
            "250 people",
            "more than a fifth",
            "`name`",
            "2 lines",
        ]) {
            assert!(warning.contains(words), "{warning}");
        }
        assert_eq!(warnings.len(), 5);
    }

    #[test]
    fn daily_limit_counts_people_outside_of_their_window_in_all_campaigns() {
        let warning = |recipients, in_service_window, limit, elsewhere| {
            let preview = Preview {
                counts: ImportCounts {
                    enqueued: recipients,
                    ..ImportCounts::default()
                },
                in_service_window,
                ..Preview::default()
            };
            warn_of_daily_limit(&preview, limit, elsewhere)
        };
        let limit = DailyLimit::Recipients(2000);
        assert_eq!(warning(2000, 0, limit, 0), None);
        assert_eq!(warning(2500, 500, limit, 0), None, "500 do not count");
        assert_eq!(warning(1500, 0, limit, 500), None);
        let above = warning(2000, 0, limit, 1).expect("2,001 people");
        assert!(above.contains("up to 1 of other campaigns"), "{above}");
        assert_eq!(warning(1_000_000, 0, DailyLimit::Unlimited, 9), None);
        assert_eq!(warning(250, 0, DailyLimit::Unknown, 0), None);
        let unknown = warning(251, 0, DailyLimit::Unknown, 0).expect("no limit is known");
        assert!(unknown.starts_with("Meta does not say"), "{unknown}");
    }
}
