//! The header of a file: where the phone and the message's values are.

use crate::import::phone;
use crate::message::is_same_column;

/// Names under which a phone column is found, whatever the case, spaces, `_` and `-`; the first that is there counts.
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

/// Where a record holds what a campaign needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Index of the phone field.
    pub phone: usize,
    /// Its name as the file has it.
    pub phone_name: String,
    /// Indexes of the message's values, in the order of `Message::columns`.
    pub values: Vec<usize>,
    /// The columns of the message's values as the file has them, in the same order.
    pub value_names: Vec<String>,
    /// Number of fields of the header.
    pub width: usize,
    /// Names that stand more than once; the first of each counts.
    pub repeated_names: Vec<String>,
}

/// Why no row of a file can be used: the campaign ends `failed` with this sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// A header and nothing below.
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
        "the file has no column `{requested}`, which options.phone_column names (the file has: {found})"
    )]
    MissingPhoneColumn {
        /// As the operator wrote it.
        requested: String,
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
    /// The first line is somebody's row.
    #[error(
        "the first line has a phone number in it: it must be a header that names the columns, such as phone,name"
    )]
    MissingHeader,
    /// Reading takes longer than one invocation may.
    #[error(
        "the file is too large to be read in one go: split it and make a campaign of each part"
    )]
    ReadTimeExceeded,
    /// More rows than one campaign holds.
    #[error("the file has more than {limit} rows: split it and make a campaign of each part")]
    TooManyRows {
        /// The most.
        limit: u64,
    },
}

/// Finds the phone column (`named`, or one of the usual names) and those the message needs.
pub fn find_columns(
    header: &[&str],
    named: Option<&str>,
    needed: &[String],
) -> Result<Columns, FileProblem> {
    if header.iter().any(|name| phone::parse(name, None).is_ok()) {
        return Err(FileProblem::MissingHeader);
    }
    let phone = find_phone_column(header, named)?;
    let at = |name: &String| {
        header
            .iter()
            .position(|column| is_same_column(column, name))
    };
    let missing: Vec<String> = needed
        .iter()
        .filter(|name| at(name).is_none())
        .map(|name| format!("{{{{{name}}}}}"))
        .collect();
    if !missing.is_empty() {
        return Err(FileProblem::MissingColumns {
            missing: missing.join(", "),
            found: describe_header(header),
        });
    }
    Ok(Columns {
        phone,
        phone_name: header[phone].trim().to_owned(),
        value_names: needed
            .iter()
            .filter_map(at)
            .map(|index| header[index].trim().to_owned())
            .collect(),
        values: needed.iter().filter_map(at).collect(),
        width: header.len(),
        repeated_names: find_repeated_names(header),
    })
}

/// Names that stand more than once.
fn find_repeated_names(header: &[&str]) -> Vec<String> {
    let mut repeated: Vec<String> = Vec::new();
    for (index, name) in header
        .iter()
        .enumerate()
        .filter(|(_, name)| !name.trim().is_empty())
    {
        let before = header[..index]
            .iter()
            .any(|other| is_same_column(other, name));
        if before && !repeated.iter().any(|known| is_same_column(known, name)) {
            repeated.push(name.trim().to_owned());
        }
    }
    repeated
}

fn find_phone_column(header: &[&str], named: Option<&str>) -> Result<usize, FileProblem> {
    if let Some(wanted) = named {
        let found = header
            .iter()
            .position(|column| is_same_column(column, wanted));
        return found.ok_or_else(|| FileProblem::MissingPhoneColumn {
            requested: wanted.to_owned(),
            found: describe_header(header),
        });
    }
    // In the order of the names, not of the columns: `phone` beats a `number` that may be an order's.
    let found = PHONE_COLUMN_NAMES.iter().find_map(|name| {
        header
            .iter()
            .position(|column| normalize_name(column) == *name)
    });
    found.ok_or_else(|| FileProblem::NoPhoneColumn {
        found: describe_header(header),
    })
}

fn normalize_name(column: &str) -> String {
    column
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The header in a sentence; long ones are cut, for they may be a data row of somebody's.
fn describe_header(header: &[&str]) -> String {
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
            let found = find_columns(&["name", name], None, &[]).expect(name);
            assert_eq!(found.phone, 1, "{name}");
        }
        assert_eq!(
            find_columns(&["number", "phone"], None, &[])
                .expect("both")
                .phone,
            1
        );
    }

    #[test]
    fn what_is_missing_is_named() {
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
    fn a_name_that_stands_twice_is_told_and_the_first_counts() {
        let found =
            find_columns(&["name", "phone", " Name", ""], None, &["name".into()]).expect("header");
        assert_eq!(
            (found.values, found.repeated_names),
            (vec![0], vec!["Name".to_owned()])
        );
    }
}
