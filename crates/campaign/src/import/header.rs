//! The header of a file: which columns hold the phone number and the values of the message.

use crate::message::is_same_column;

/// How many names of a header are shown in a sentence.
const MAX_SHOWN_NAMES: usize = 12;

/// How many characters of a name are shown. If the file has no header, the names are a recipient's data.
const MAX_SHOWN_CHARS: usize = 30;

/// Where a record has what a campaign needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Indexes of the phone columns: the first that is not empty in a row has the row's number.
    pub phones: Vec<usize>,
    /// Names of the phone columns, as the file has them.
    pub phone_names: Vec<String>,
    /// Indexes of the message's values, in the order of `Message::columns`.
    pub values: Vec<usize>,
    /// Names of those columns, as the file has them, in the same order.
    pub value_names: Vec<String>,
    /// How many columns the header has.
    pub width: usize,
    /// Names that occur more than once; the first column of each name is used.
    pub repeated_names: Vec<String>,
}

/// Why no row of a file can be used: the campaign ends as `failed`, with this sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// The file consists of a header.
    #[error("the file has a header but no rows below it")]
    NoRows,
    /// Every row was rejected.
    #[error(
        "none of the file's {rows} rows has a usable phone number; the rejects file names the reason of each"
    )]
    NoUsableRows {
        /// Rows in the file.
        rows: u64,
    },
    /// No column has numbers in it or is named after them.
    #[error(
        "the file has no phone column: no column has phone numbers in it; name the right one in options.phone_columns, \
         and the country of its numbers in options.default_region if they have no country code (the file has: {found})"
    )]
    NoPhoneColumn {
        /// The names in the header.
        found: String,
    },
    /// The operator named a column that the file does not have.
    #[error(
        "the file has no column `{requested}`, which options.phone_columns names (the file has: {found})"
    )]
    MissingPhoneColumn {
        /// As the operator wrote it.
        requested: String,
        /// The names in the header.
        found: String,
    },
    /// The message names columns that the file does not have.
    #[error("the message uses {missing}, which the file does not have (it has: {found})")]
    MissingColumns {
        /// The columns, as the message names them.
        missing: String,
        /// The names in the header.
        found: String,
    },
    /// The first line is a row.
    #[error(
        "the first line has a phone number in it: it must be a header that names the columns, such as phone,name; \
         or name the message's columns {{{{column_1}}}}, {{{{column_2}}}} and so on, or set options.header to true"
    )]
    MissingHeader,
    /// Reading takes longer than one invocation may take.
    #[error(
        "the file is too large to be read in one go: split it and make a campaign of each part"
    )]
    ReadTimeExceeded,
    /// The file has more rows than a campaign may have.
    #[error("the file has more than {limit} rows: split it and make a campaign of each part")]
    TooManyRows {
        /// The most rows.
        limit: u64,
    },
}

/// Finds the columns `needed` by the message, beside the phone columns.
pub fn find_columns(
    header: &[&str],
    phones: Vec<usize>,
    needed: &[String],
) -> Result<Columns, FileProblem> {
    let values = find_value_columns(header, needed)?;
    let name_at = |index: &usize| header[*index].trim().to_owned();
    Ok(Columns {
        phone_names: phones.iter().map(name_at).collect(),
        phones,
        value_names: values.iter().map(name_at).collect(),
        values,
        width: header.len(),
        repeated_names: find_repeated_names(header),
    })
}

/// Finds the phone columns that the operator named.
pub fn find_requested_columns(
    header: &[&str],
    requested: &[String],
) -> Result<Vec<usize>, FileProblem> {
    let find = |name: &String| {
        position_of(header, name).ok_or_else(|| FileProblem::MissingPhoneColumn {
            requested: name.clone(),
            found: describe_header(header),
        })
    };
    requested.iter().map(find).collect()
}

/// The problem of a file in which no column has phone numbers.
pub fn no_phone_column(header: &[&str]) -> FileProblem {
    FileProblem::NoPhoneColumn {
        found: describe_header(header),
    }
}

fn find_value_columns(header: &[&str], needed: &[String]) -> Result<Vec<usize>, FileProblem> {
    let found: Vec<Option<usize>> = needed
        .iter()
        .map(|name| position_of(header, name))
        .collect();
    let missing: Vec<String> = needed
        .iter()
        .zip(&found)
        .filter(|(_, position)| position.is_none())
        .map(|(name, _)| format!("{{{{{name}}}}}"))
        .collect();
    if missing.is_empty() {
        Ok(found.into_iter().flatten().collect())
    } else {
        Err(FileProblem::MissingColumns {
            missing: missing.join(", "),
            found: describe_header(header),
        })
    }
}

fn position_of(header: &[&str], name: &str) -> Option<usize> {
    header
        .iter()
        .position(|column| is_same_column(column, name))
}

fn find_repeated_names(header: &[&str]) -> Vec<String> {
    let mut repeated: Vec<String> = Vec::new();
    for (index, name) in header.iter().enumerate() {
        let name = name.trim();
        let occurred = header[..index]
            .iter()
            .any(|other| is_same_column(other, name));
        let is_listed = repeated.iter().any(|other| is_same_column(other, name));
        if !name.is_empty() && occurred && !is_listed {
            repeated.push(name.to_owned());
        }
    }
    repeated
}

/// The names of a header for a sentence, shortened.
fn describe_header(header: &[&str]) -> String {
    let shorten = |name: &&str| -> String { name.trim().chars().take(MAX_SHOWN_CHARS).collect() };
    let shown: Vec<String> = header.iter().take(MAX_SHOWN_NAMES).map(shorten).collect();
    let names = shown.join(", ");
    match header.len() - shown.len() {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_names_what_is_missing() {
        let problem = no_phone_column(&["name", "email"]);
        assert!(problem.to_string().contains("name, email"), "{problem}");
        let requested = ["phone".to_owned(), "tel".to_owned()];
        let problem = find_requested_columns(&["phone"], &requested).expect_err("no tel");
        assert!(problem.to_string().contains("`tel`"), "{problem}");
        let needed = ["name".to_owned(), "amount".to_owned()];
        let problem = find_columns(&["phone", "Name"], vec![0], &needed).expect_err("no amount");
        assert!(
            problem.to_string().contains("uses {{amount}}, which"),
            "{problem}"
        );
    }

    #[test]
    fn requested_columns_keep_their_order() {
        let requested = ["tel".to_owned(), "Phone".to_owned()];
        let found = find_requested_columns(&["phone", "Tel "], &requested);
        assert_eq!(found, Ok(vec![1, 0]));
    }

    #[test]
    fn repeated_name_is_listed_and_its_first_column_used() {
        let header = ["name", "phone", " Name", ""];
        let columns = find_columns(&header, vec![1], &["name".into()]).expect("header");
        assert_eq!(
            (columns.values, columns.repeated_names),
            (vec![0], vec!["Name".to_owned()])
        );
    }
}
