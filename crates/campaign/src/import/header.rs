//! The header of a file: which columns hold the phone number and the values of the message.

use crate::import::phone;
use crate::message::is_same_column;

/// Names of phone columns; case, spaces and punctuation do not matter. If a file has several of them, the
/// first in this list is used.
pub const PHONE_COLUMN_NAMES: [&str; 19] = [
    "phone",
    "phonenumber",
    "mobile",
    "number",
    "to",
    "whatsapp",
    "mobilephone",
    "mobilenumber",
    "cellphone",
    "whatsappnumber",
    "telephone",
    "tel",
    "msisdn",
    "celular",
    "telefone",
    "telefono",
    "teléfono",
    "móvil",
    "handy",
];

/// How many names of a header are shown in a sentence.
const MAX_SHOWN_NAMES: usize = 12;

/// How many characters of a name are shown. If the file has no header, the names are a recipient's data.
const MAX_SHOWN_CHARS: usize = 30;

/// Where a record has what a campaign needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Index of the phone column.
    pub phone: usize,
    /// Name of the phone column, as the file has it.
    pub phone_name: String,
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
    /// The header has none of the usual names.
    #[error(
        "the file has no phone column: name one of its columns phone, phone_number, mobile, number, to or whatsapp, \
         or name yours in options.phone_column (the file has: {found})"
    )]
    NoPhoneColumn {
        /// The names in the header.
        found: String,
    },
    /// The operator named a column that the file does not have.
    #[error(
        "the file has no column `{requested}`, which options.phone_column names (the file has: {found})"
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
        "the first line has a phone number in it: it must be a header that names the columns, such as phone,name"
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

/// Finds the phone column and the columns `needed` by the message. The phone column is `requested` or,
/// without that, one with a usual name.
pub fn find_columns(
    header: &[&str],
    requested: Option<&str>,
    needed: &[String],
) -> Result<Columns, FileProblem> {
    if header.iter().any(|name| phone::parse(name, None).is_ok()) {
        return Err(FileProblem::MissingHeader);
    }
    let phone = find_phone_column(header, requested)?;
    let values = find_value_columns(header, needed)?;
    let name_at = |index: usize| header[index].trim().to_owned();
    Ok(Columns {
        phone,
        phone_name: name_at(phone),
        value_names: values.iter().map(|&index| name_at(index)).collect(),
        values,
        width: header.len(),
        repeated_names: find_repeated_names(header),
    })
}

fn find_phone_column(header: &[&str], requested: Option<&str>) -> Result<usize, FileProblem> {
    if let Some(requested) = requested {
        return position_of(header, requested).ok_or_else(|| FileProblem::MissingPhoneColumn {
            requested: requested.to_owned(),
            found: describe_header(header),
        });
    }
    // The list of names decides, not the order of the columns: `phone` precedes a `number` that may be an order's.
    let found = PHONE_COLUMN_NAMES.iter().find_map(|name| {
        header
            .iter()
            .position(|column| normalize_name(column) == *name)
    });
    found.ok_or_else(|| FileProblem::NoPhoneColumn {
        found: describe_header(header),
    })
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

fn normalize_name(column: &str) -> String {
    column
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
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
    fn finds_usual_names_in_any_spelling() {
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
            let columns = find_columns(&["name", name], None, &[]).expect(name);
            assert_eq!(columns.phone, 1, "{name}");
        }
        let columns = find_columns(&["number", "phone"], None, &[]).expect("both");
        assert_eq!(columns.phone, 1);
    }

    #[test]
    fn problem_names_what_is_missing() {
        let problem = find_columns(&["name", "email"], None, &[]).expect_err("no phone");
        assert!(problem.to_string().contains("name, email"), "{problem}");
        let problem = find_columns(&["phone"], Some("tel"), &[]).expect_err("no tel");
        assert!(problem.to_string().contains("`tel`"), "{problem}");
        let needed = ["name".to_owned(), "amount".to_owned()];
        let problem = find_columns(&["phone", "Name"], None, &needed).expect_err("no amount");
        assert!(
            problem.to_string().contains("uses {{amount}}, which"),
            "{problem}"
        );
        let data = ["+5511987654321", "Ana"];
        assert_eq!(
            find_columns(&data, None, &[]),
            Err(FileProblem::MissingHeader)
        );
    }

    #[test]
    fn repeated_name_is_listed_and_its_first_column_used() {
        let header = ["name", "phone", " Name", ""];
        let columns = find_columns(&header, None, &["name".into()]).expect("header");
        assert_eq!(
            (columns.values, columns.repeated_names),
            (vec![0], vec!["Name".to_owned()])
        );
    }
}
