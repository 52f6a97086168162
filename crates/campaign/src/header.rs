//! The header of a file: where the phone and the message's values are.

use crate::message::same_column;

/// Names under which a phone column is found, whatever the case, spaces, `_` and `-`.
pub const PHONE_COLUMNS: [&str; 6] = ["phone", "phonenumber", "mobile", "number", "to", "whatsapp"];

/// Where a record holds what a campaign needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Index of the phone field.
    pub phone: usize,
    /// Its name as the file has it.
    pub phone_name: String,
    /// Indexes of the message's values, in the order of `Message::columns`.
    pub values: Vec<usize>,
    /// Number of fields of the header.
    pub width: usize,
}

/// Why no row of a file can be used: the campaign ends `failed` with this sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// No bytes, or only blank lines.
    #[error("the file is empty: it needs a header line and one line for each recipient")]
    Empty,
    /// A header and nothing below.
    #[error("the file has a header but no rows below it")]
    NoRows,
    /// Every row was rejected.
    #[error(
        "none of the file's {rows} rows has a usable phone number; the rejects file names the reason of each"
    )]
    NothingUsable {
        /// Rows in the file.
        rows: u64,
    },
    /// None of the usual names.
    #[error(
        "the file has no phone column: name one of its columns phone, phone_number, mobile, number, to or whatsapp, \
         or name yours in options.phone_column (the file has: {found})"
    )]
    NoPhoneColumn {
        /// The header as found.
        found: String,
    },
    /// The operator named a column which is not there.
    #[error(
        "the file has no column `{wanted}`, which options.phone_column names (the file has: {found})"
    )]
    NamedPhoneColumnMissing {
        /// As the operator wrote it.
        wanted: String,
        /// The header as found.
        found: String,
    },
    /// The message names columns which are not there.
    #[error("the message uses {missing}, which the file does not have (it has: {found})")]
    MissingColumns {
        /// The columns as the message names them.
        missing: String,
        /// The header as found.
        found: String,
    },
    /// Bytes that are no text.
    #[error(
        "the file is not UTF-8 text (line {line}): save it as \"CSV UTF-8\" and upload it to a new campaign"
    )]
    NotText {
        /// Line of the file, from 1.
        line: u64,
    },
    /// A record without an end.
    #[error(
        "the row that begins on line {line} is longer than {limit} bytes: most often a quotation mark (\") is opened there and never closed"
    )]
    EndlessRow {
        /// Line of the file, from 1.
        line: u64,
        /// The most a row may hold, in bytes.
        limit: u64,
    },
}

/// Finds the phone column (`named`, or one of the usual names) and those the message needs.
pub fn columns(
    header: &[&str],
    named: Option<&str>,
    needed: &[String],
) -> Result<Columns, FileProblem> {
    if header.iter().all(|name| name.trim().is_empty()) {
        return Err(FileProblem::Empty);
    }
    let phone = phone_column(header, named)?;
    let at = |name: &String| header.iter().position(|column| same_column(column, name));
    let missing: Vec<String> = needed
        .iter()
        .filter(|name| at(name).is_none())
        .map(|name| format!("{{{{{name}}}}}"))
        .collect();
    if !missing.is_empty() {
        return Err(FileProblem::MissingColumns {
            missing: missing.join(", "),
            found: list(header),
        });
    }
    Ok(Columns {
        phone,
        phone_name: header[phone].trim().to_owned(),
        values: needed.iter().filter_map(at).collect(),
        width: header.len(),
    })
}

fn phone_column(header: &[&str], named: Option<&str>) -> Result<usize, FileProblem> {
    if let Some(wanted) = named {
        let found = header.iter().position(|column| same_column(column, wanted));
        return found.ok_or_else(|| FileProblem::NamedPhoneColumnMissing {
            wanted: wanted.to_owned(),
            found: list(header),
        });
    }
    // In the order of the names, not of the columns: `phone` beats a `number` that may be an order's.
    let found = PHONE_COLUMNS
        .iter()
        .find_map(|name| header.iter().position(|column| simplified(column) == *name));
    found.ok_or_else(|| FileProblem::NoPhoneColumn {
        found: list(header),
    })
}

fn simplified(column: &str) -> String {
    column
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The header in a sentence; long ones are cut, for they may be a data row of somebody's.
fn list(header: &[&str]) -> String {
    let shown: Vec<String> = header
        .iter()
        .take(12)
        .map(|name| name.trim().chars().take(30).collect())
        .collect();
    let more = header.len().saturating_sub(shown.len());
    let names = shown.join(", ");
    if more == 0 {
        names
    } else {
        format!("{names} and {more} more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_names_are_found_in_any_spelling() {
        for name in [
            "phone",
            " Phone ",
            "PHONE_NUMBER",
            "phoneNumber",
            "Mobile",
            "number",
            "To",
            "whatsapp",
            "Phone-Number",
        ] {
            let found = columns(&["name", name], None, &[]).expect(name);
            assert_eq!(found.phone, 1, "{name}");
        }
        assert_eq!(
            columns(&["number", "phone"], None, &[])
                .expect("both")
                .phone,
            1
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let problem = columns(&["name", "email"], None, &[]).expect_err("no phone");
        assert!(problem.to_string().contains("name, email"), "{problem}");
        let problem = columns(&["phone"], Some("tel"), &[]).expect_err("no tel");
        assert!(problem.to_string().contains("`tel`"), "{problem}");
        let needed = ["name".to_owned(), "amount".to_owned()];
        let problem = columns(&["phone", "Name"], None, &needed).expect_err("no amount");
        assert!(
            problem.to_string().contains("uses {{amount}}, which"),
            "{problem}"
        );
        assert_eq!(columns(&[" ", ""], None, &[]), Err(FileProblem::Empty));
    }
}
