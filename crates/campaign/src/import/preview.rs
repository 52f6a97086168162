//! What a file would do, gathered while it is read to its end and before anything is sent.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::delivery::batch::Row;
use crate::id::RowNumber;
use crate::import::phone::Phone;
use crate::import::row::{ImportCounts, RejectReason, RowVerdict};
use crate::lifecycle::campaign::Campaign;

/// Rows shown as they would be sent.
const SAMPLE_ROWS: usize = 5;

/// Row numbers kept of each reason.
const MAX_ROWS_PER_PROBLEM: usize = 5;

/// Countries kept, those with most recipients first.
const MAX_COUNTRIES: usize = 50;

/// The leading digits that tell a number's country at the latest (Guernsey, Jersey and the Isle of Man within `+44`).
const COUNTRY_PREFIX_DIGITS: u32 = 8;

/// What a file is and what would become of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// How the file was read.
    pub format: FileFormat,
    /// The header, as the file has it.
    pub header: Vec<String>,
    /// The column that numbers are taken from.
    pub phone_column: String,
    /// The message's columns and the file's that fill them.
    pub columns: BTreeMap<String, String>,
    /// What would become of its rows.
    pub counts: ImportCounts,
    /// Why rows cannot be used, the most frequent reason first.
    pub problems: Vec<ProblemCount>,
    /// Recipients by country, such as `BR`; `??` where a number belongs to none.
    pub countries: Vec<(String, u64)>,
    /// The first usable rows.
    pub sample: Vec<Row>,
    /// Header names that stand more than once.
    pub repeated: Vec<String>,
    /// Numbers on the campaign's exclude list.
    pub excluded: u64,
    /// Lines of the exclude list that are no numbers.
    pub excluded_unreadable: u64,
}

/// How a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFormat {
    /// `csv` or `xlsx`.
    pub kind: String,
    /// Whether it was compressed.
    pub gzip: bool,
    /// Such as `UTF-8`.
    pub encoding: String,
    /// What is between cells.
    pub delimiter: String,
}

/// Why some rows cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemCount {
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
    /// In how many rows.
    pub rows: u64,
    /// The first of them.
    pub first: Vec<RowNumber>,
}

/// Gathers a preview, verdict by verdict.
#[derive(Debug, Default)]
pub struct PreviewBuilder {
    problems: HashMap<RejectReason, (u64, Vec<RowNumber>)>,
    countries: HashMap<String, u64>,
    /// The country of numbers that begin so: telling it from the whole number takes a microsecond or two.
    country_by_prefix: HashMap<u64, String>,
    sample: Vec<Row>,
}

impl PreviewBuilder {
    /// Takes in one verdict.
    pub fn add_verdict(&mut self, verdict: &RowVerdict) {
        match verdict {
            RowVerdict::Usable(row) => {
                self.count_country(row.to);
                if self.sample.len() < SAMPLE_ROWS {
                    self.sample.push(row.clone());
                }
            }
            RowVerdict::Rejected(reject) => {
                let (count, rows) = self.problems.entry(reject.reason).or_default();
                *count += 1;
                if rows.len() < MAX_ROWS_PER_PROBLEM {
                    rows.push(reject.row);
                }
            }
            RowVerdict::Duplicate | RowVerdict::Suppressed => {}
        }
    }

    fn count_country(&mut self, to: Phone) {
        let digits = to.digits();
        let length = digits.ilog10() + 1;
        let start = digits / 10u64.pow(length.saturating_sub(COUNTRY_PREFIX_DIGITS));
        let country = self
            .country_by_prefix
            .entry(start)
            .or_insert_with(|| to.country().unwrap_or_else(|| "??".into()));
        match self.countries.get_mut(country) {
            Some(count) => *count += 1,
            None => drop(self.countries.insert(country.clone(), 1)),
        }
    }

    /// What was gathered, as part of `preview`.
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
            other
                .rows
                .cmp(&one.rows)
                .then_with(|| one.problem.cmp(&other.problem))
        });
        let mut countries: Vec<(String, u64)> = self.countries.into_iter().collect();
        countries.sort_by(|(one, most), (other, more)| more.cmp(most).then_with(|| one.cmp(other)));
        countries.truncate(MAX_COUNTRIES);
        Preview {
            problems,
            countries,
            sample: self.sample,
            ..preview
        }
    }
}

/// What somebody should know before they start the campaign; `daily_limit` is the account's people per 24 hours.
pub fn collect_warnings(
    campaign: &Campaign,
    preview: &Preview,
    daily_limit: Option<u64>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let counts = preview.counts;
    let marketing = campaign
        .template
        .as_ref()
        .is_some_and(|template| template.category == "MARKETING");
    let american = preview
        .countries
        .iter()
        .find(|(country, _)| country == "US")
        .map_or(0, |(_, count)| *count);
    if marketing && american > 0 {
        warnings.push(format!(
            "{american} recipients have US numbers: WhatsApp does not deliver marketing templates there (error 131049). Leave them out."
        ));
    }
    if let Some(limit) = daily_limit.filter(|&limit| counts.enqueued > limit) {
        warnings.push(format!(
            "{} recipients are more than the {limit} people your account may begin to message in 24 hours: the rest will be refused. Send in parts, or have the limit raised.",
            counts.enqueued
        ));
    }
    if counts.rejected * 5 > counts.rows {
        warnings.push(format!(
            "{} of {} rows cannot be used, more than a fifth: look at the rejects file before you start.",
            counts.rejected, counts.rows
        ));
    }
    for name in &preview.repeated {
        warnings.push(format!(
            "the header has `{name}` more than once: the first of them counts."
        ));
    }
    if preview.excluded_unreadable > 0 {
        warnings.push(format!(
            "{} lines of the exclude list are no phone numbers: the people they stand for would be messaged.",
            preview.excluded_unreadable
        ));
    }
    if preview.format.encoding != "UTF-8" && preview.format.kind == "csv" {
        warnings.push(format!(
            "the file is read as {}: look whether accents are right in the messages below, else set options.encoding.",
            preview.format.encoding
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::phone::{self, PhoneProblem};
    use crate::import::row::Reject;
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

    #[test]
    fn a_survey_counts_countries_and_problems() {
        let mut survey = PreviewBuilder::default();
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
            survey.add_verdict(&usable(row as u32 + 1, to));
        }
        for row in 7..20 {
            let reason = if row < 9 {
                PhoneProblem::Empty
            } else {
                PhoneProblem::TooShort
            };
            survey.add_verdict(&RowVerdict::Rejected(Reject {
                row,
                column: "phone".into(),
                reason: reason.into(),
            }));
        }
        let preview = survey.finish(Preview::default());
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
        assert_eq!(preview.sample.len(), SAMPLE_ROWS);
    }

    #[test]
    fn warnings_say_what_would_go_wrong() {
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
            collect_warnings(&campaign, &preview, Some(1000)),
            Vec::<String>::new()
        );
        campaign.template = Some(TemplateFacts {
            category: "MARKETING".into(),
            ..TemplateFacts::default()
        });
        preview.excluded_unreadable = 2;
        preview.repeated = vec!["name".into()];
        preview.counts.rejected = 201;
        let all = collect_warnings(&campaign, &preview, Some(250));
        for (warning, words) in all.iter().zip([
            "12 recipients have US",
            "250 people",
            "more than a fifth",
            "`name`",
            "2 lines",
        ]) {
            assert!(warning.contains(words), "{warning}");
        }
        assert_eq!(all.len(), 5);
    }
}
