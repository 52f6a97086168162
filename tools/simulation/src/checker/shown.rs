//! Whether what operators read at the end says what the ledger holds and what their files say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::evidence::Evidence;
use super::lines::{self, REPORT_COLUMNS, cell, plain};
use super::outcome::is_excused;
use super::rows::{Broken, rows_of};
use crate::operator::reading::Reading;
use crate::record::{CampaignNotes, UploadNotes};
use crate::violation::Violation;

/// What operators' files have in the place of a number that cannot be one.
const DAMAGED: &str = "12";

const REPORT: &str = "the report is what happened";
const ROWS: &str = "the list of rows is the ledger";
const REJECTS: &str = "the rejects are what was rejected";

/// A campaign as it is judged.
struct Judged<'a> {
    evidence: &'a Evidence<'a>,
    reading: &'a Reading,
    notes: &'a CampaignNotes,
    /// As the API shows it.
    shown: &'a Value,
    /// Its rows in the ledger.
    rows: BTreeMap<u32, &'a Value>,
}

pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for reading in &evidence.shown.campaigns {
        let mut campaigns = evidence.campaigns.iter();
        let shown = campaigns.find(|shown| shown["id"] == reading.id.as_str());
        let notes = evidence.sends.notes.campaigns.get(&reading.id);
        let (Some(shown), Some(notes)) = (shown, notes) else {
            continue;
        };
        let judged = Judged {
            evidence,
            reading,
            notes,
            shown,
            rows: rows_of(evidence.ledger, &reading.id),
        };
        let mut broken = judged.lists();
        broken.extend(judged.report());
        broken.extend(judged.rejects());
        violations.extend(broken.into_iter().map(|(promise, what)| Violation {
            promise,
            what: format!("{what} ({})", reading.id),
        }));
    }
    violations
}

impl Judged<'_> {
    /// The lists of rows are the ledger, and as long as the counters say.
    fn lists(&self) -> Vec<Broken> {
        let mut broken = Vec::new();
        for (state, list) in &self.reading.rows {
            let number = |row: &Value| row["row"].as_u64().unwrap_or_default() as u32;
            let numbers: Vec<u32> = list.iter().map(number).collect();
            let held = self.rows.iter().filter(|(_, item)| item["state"] == *state);
            let held: Vec<u32> = held.map(|(number, _)| *number).collect();
            if numbers != held {
                let what = format!("the {state} rows are {held:?}, listed are {numbers:?}");
                broken.push((ROWS, what));
            }
            let counted = self.shown["rows"][*state].as_u64().unwrap_or_default();
            if counted != list.len() as u64 {
                let what = format!("{counted} rows are {state}, {} are listed", list.len());
                broken.push(("numbers add up", what));
            }
            for row in list {
                let item = self.rows.get(&number(row));
                let problem = item.and_then(|item| compare_listed(row, item));
                broken.extend(problem.map(|problem| (ROWS, problem)));
            }
        }
        broken
    }

    /// The files that Crier has read to their ends: the number, what is shown of it, how many rows are before it.
    fn read_files(&self) -> Vec<(usize, &Value, u64)> {
        let mut rows_before = 0;
        let mut files = Vec::new();
        for (index, file) in self.shown["files"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            if file["stage"] == "validated" || file["stage"] == "enqueued" {
                files.push((index + 1, file, rows_before));
            }
            rows_before += file["rows"].as_u64().unwrap_or_default();
        }
        files
    }

    fn upload(&self, number: usize) -> Option<&UploadNotes> {
        let mut uploads = self.notes.uploads.iter();
        uploads.find(|upload| upload.number == number)
    }

    /// Each record of the files is in the report once, with what happened to its row, and the summary adds them up.
    fn report(&self) -> Vec<Broken> {
        let (report, files) = (&self.reading.report, self.read_files());
        if report["state"] != "done" {
            let is_missing = !files.is_empty();
            let what = format!("there is no report: {report}");
            return is_missing.then_some((REPORT, what)).into_iter().collect();
        }
        let mut broken = Vec::new();
        let (mut statuses, mut numbers) = (BTreeMap::new(), BTreeSet::new());
        let mut earlier = BTreeSet::new();
        for (number, file, rows_before) in files {
            let (Some(text), Some(upload)) = (self.reading.files.get(&number), self.upload(number))
            else {
                broken.push((REPORT, format!("it has no file {number}: {report}")));
                continue;
            };
            let (own, lines) = (lines::records(&upload.text), lines::records(text));
            if lines.len() != own.len() || file["rows"] != own.len() as u64 - 1 {
                let (lines, own, rows) = (lines.len(), own.len(), &file["rows"]);
                let what = format!(
                    "file {number} has {own} lines, its report {lines}; {rows} rows are counted"
                );
                broken.push((REPORT, what));
                continue;
            }
            broken.extend(compare_header(&lines[0], &own[0]));
            for (index, (line, own)) in lines.iter().zip(&own).enumerate().skip(1) {
                let (values, added) = line.split_at(own.len().min(line.len()));
                let row = rows_before as u32 + index as u32;
                numbers.insert(row);
                *statuses
                    .entry(cell(added, "status").to_owned())
                    .or_insert(0_u64) += 1;
                if let Some(problem) = self.line_problem(row, values, added, own, &earlier) {
                    broken.push((REPORT, format!("row {row}, {line:?}: {problem}")));
                }
                earlier.extend(phones(own));
            }
        }
        broken.extend(self.summary(&statuses));
        let missing = self.rows.keys().filter(|row| !numbers.contains(row));
        broken.extend(missing.map(|row| (REPORT, format!("row {row} is not in it"))));
        broken
    }

    /// What is wrong with a line of the report.
    fn line_problem(
        &self,
        row: u32,
        values: &[String],
        added: &[String],
        own: &[String],
        earlier: &BTreeSet<String>,
    ) -> Option<String> {
        if added.len() != REPORT_COLUMNS.len() || cell(added, "row") != row.to_string() {
            return Some("it has other cells, or another number".into());
        }
        if values != own {
            return self.erasure_problem(values, own);
        }
        match self.rows.get(&row) {
            Some(item) => lines::compare(added, item),
            None => {
                let status = cell(added, "status");
                let is_right = match status {
                    "rejected_at_import" => own.iter().any(|cell| cell == DAMAGED),
                    "duplicate" => phones(own).any(|phone| earlier.contains(&phone)),
                    "suppressed" => phones(own).any(|phone| {
                        self.notes.excluded.contains(&phone) || is_excused(self.evidence, &phone)
                    }),
                    "waiting" => self.shown["state"] != "finished",
                    _ => false,
                };
                (!is_right).then(|| format!("{status} is wrong: it is not in the ledger"))
            }
        }
    }

    /// What is wrong with a line whose values are not those of the file. They may be gone if the recipient was erased.
    fn erasure_problem(&self, values: &[String], own: &[String]) -> Option<String> {
        let notes = self.evidence.sends.notes;
        let may_be_erased = |phone: String| {
            notes.erased.contains_key(&phone) || notes.unclear_consent.contains(&phone)
        };
        if !phones(own).any(may_be_erased) {
            return Some(format!("the file says {own:?}"));
        }
        let is_left = |value: &&String| !value.is_empty() && own.contains(value);
        let left = values.iter().find(is_left)?;
        Some(format!("{left} is left of a recipient who was erased"))
    }

    fn summary(&self, statuses: &BTreeMap<String, u64>) -> Option<Broken> {
        let summary = &self.reading.report["summary"];
        let shown = summary["status"].as_object().into_iter().flatten();
        let shown: BTreeMap<String, u64> = shown
            .map(|(status, rows)| (status.clone(), rows.as_u64().unwrap_or_default()))
            .collect();
        let rows: u64 = statuses.values().sum();
        let is_right = shown == *statuses && summary["rows"] == rows && summary["balanced"] == true;
        let what = || format!("its lines are {statuses:?}, its summary {summary}");
        (!is_right).then(|| (REPORT, what()))
    }

    /// Each record that cannot be used is in the rejects file, unless that was deleted because of an erasure.
    fn rejects(&self) -> Vec<Broken> {
        let mut broken = Vec::new();
        let notes = self.evidence.sends.notes;
        for (number, file, rows_before) in self.read_files() {
            let Some(upload) = self.upload(number) else {
                continue;
            };
            let own = lines::records(&upload.text);
            let is_bad =
                |(_, record): &(usize, &Vec<String>)| record.iter().any(|cell| cell == DAMAGED);
            let bad = own.iter().enumerate().skip(1).filter(is_bad);
            let expected: Vec<(String, &[String])> = bad
                .map(|(index, record)| ((rows_before + index as u64).to_string(), &record[..]))
                .collect();
            if file["rejected_at_import"] != expected.len() as u64 {
                let (rejected, bad) = (&file["rejected_at_import"], expected.len());
                let what = format!("{bad} records of file {number} are bad, {rejected} counted");
                broken.push((REJECTS, what));
            }
            let mut erased = notes.erased.keys().chain(&notes.unclear_consent);
            let may_be_deleted = erased.any(|phone| {
                upload.recipients.contains_key(phone) || upload.others.contains_key(phone)
            });
            let Some(text) = self.reading.rejects.get(&number) else {
                if !expected.is_empty() && !may_be_deleted {
                    broken.push((REJECTS, format!("file {number} has no rejects file")));
                }
                continue;
            };
            let lines = lines::records(text);
            let width = own[0].len();
            let row = |line: &Vec<String>| line.get(width).cloned().unwrap_or_default();
            let found: Vec<(String, &[String])> = lines
                .iter()
                .skip(1)
                .map(|line| (row(line), &line[..width.min(line.len())]))
                .collect();
            if found != expected {
                let what = format!("rejects of file {number}: {found:?}, not {expected:?}");
                broken.push((REJECTS, what));
            }
        }
        broken
    }
}

/// The numbers in a record, however they are written.
fn phones(record: &[String]) -> impl Iterator<Item = String> {
    record.iter().filter_map(|cell| {
        let is_number = |letter: char| letter.is_ascii_digit() || " +-".contains(letter);
        let digits: String = cell.chars().filter(char::is_ascii_digit).collect();
        (cell.chars().all(is_number) && digits.len() > 10).then(|| format!("+{digits}"))
    })
}

fn compare_header(line: &[String], own: &[String]) -> Option<Broken> {
    let mut expected = own.to_vec();
    expected.extend(REPORT_COLUMNS.map(str::to_owned));
    (line != expected).then(|| (REPORT, format!("its header is {line:?}")))
}

/// What is wrong with a row of a list, compared with the ledger's item.
fn compare_listed(row: &Value, item: &Value) -> Option<String> {
    let error = match &item["error_info"] {
        Value::Null => &item["failure"],
        error => error,
    };
    let time = |value: &Value| {
        let time = value.as_str()?.parse::<jiff::Timestamp>().ok()?;
        Some(time.as_millisecond())
    };
    let is_equal = row["attempt"] == item["attempt"]
        && time(&row["attempted_at"]) == item["claimed_at"].as_i64()
        && time(&row["not_before"]) == item["not_before"].as_i64()
        && row["wamid"] == item["wamid"]
        && row["error_code"] == error["code"]
        && plain(&row["error"]).starts_with(&plain(&error["title"]))
        && row["error"].is_null() == error.is_null()
        && row["was_unconfirmed"] == (item["was_unconfirmed"] == true);
    (!is_equal).then(|| format!("{row} is listed, and the ledger has {item}"))
}
