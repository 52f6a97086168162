//! Files that will be uploaded, and how they are read.

use campaign::import::phone;
use campaign::import::value::OnBadValue;
use campaign::lifecycle::campaign::{FileInfo, ImportOptions};
use cloud::files::MAX_UPLOAD_BYTES;
use serde::Deserialize;
use tabular::sheet::MAX_WORKBOOK_BYTES;
use utoipa::ToSchema;

use crate::body::whole_number;
use crate::openapi::OnBadValueName;
use crate::problem::Problem;

/// Extensions of files that can be read, in lower case.
const FILE_EXTENSIONS: [&str; 8] = [
    ".csv", ".txt", ".tsv", ".csv.gz", ".txt.gz", ".tsv.gz", ".gz", ".xlsx",
];

/// The most phone columns of a file.
const MAX_PHONE_COLUMNS: usize = 10;

/// A file that will be uploaded.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFile {
    /// Its name, which ends in `.csv`, `.txt`, `.tsv`, any of these with `.gz`, or `.xlsx`.
    #[schema(value_type = String, required = true, example = "customers.csv",
        pattern = r"\.([cC][sS][vV]|[tT][xX][tT]|[tT][sS][vV]|[gG][zZ]|[xX][lL][sS][xX])$")]
    name: Option<String>,
    /// Its exact size in bytes: at most 5 GiB, and less for a workbook.
    #[schema(value_type = u64, required = true, example = 48_213, minimum = 1, maximum = 5368709120_u64)]
    #[serde(default, deserialize_with = "whole_number")]
    size: Option<u64>,
}

/// How a file is read. What is left out is detected.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileOptions {
    /// The names of the phone columns, if another one than what is found has the numbers: the number of a row is in the first
    /// of them that is not empty.
    #[schema(value_type = Vec<String>, required = false, example = json!(["Mobile", "Phone"]), max_items = 10)]
    #[serde(default)]
    phone_columns: Vec<String>,
    /// Whether the first line names the columns. Without names, they are `column_1`, `column_2` and so on.
    #[schema(example = true)]
    header: Option<bool>,
    /// Region (ISO 3166-1 alpha-2) of numbers written without a country code.
    #[schema(example = "BR")]
    default_region: Option<String>,
    /// The character between cells: one ASCII character.
    #[schema(value_type = Option<String>, example = ";", min_length = 1, max_length = 1,
        pattern = "^[\\t !#-~]$")]
    delimiter: Option<char>,
    /// The encoding of the text, such as `utf-8`.
    #[schema(example = "windows-1252")]
    encoding: Option<String>,
    /// What happens to white space that WhatsApp rejects in a parameter: `clean` it (the default), or `reject` the row.
    #[schema(value_type = Option<OnBadValueName>, example = "clean")]
    on_bad_value: Option<OnBadValue>,
}

impl NewFile {
    /// The file, if it can be uploaded and read.
    pub fn into_file_info(self) -> Result<FileInfo, Problem> {
        parse_file(Some(self), "")
    }
}

impl FileOptions {
    /// The options, if each of them has a meaning.
    pub fn into_options(self) -> Result<ImportOptions, Problem> {
        let is_blank = |name: &String| name.trim().is_empty();
        if self.phone_columns.len() > MAX_PHONE_COLUMNS || self.phone_columns.iter().any(is_blank) {
            let detail = format!(
                "must be the names of at most {MAX_PHONE_COLUMNS} columns; leave it out and the numbers are found"
            );
            return invalid_option("phone_columns", &detail);
        }
        if is_some_and_not(&self.default_region, |code| {
            phone::parse_region(code).is_some()
        }) {
            return invalid_option(
                "default_region",
                "must be an ISO 3166-1 alpha-2 region code, such as BR",
            );
        }
        let separates = |c: &char| c.is_ascii() && !matches!(c, '"' | '\r' | '\n');
        if is_some_and_not(&self.delimiter, separates) {
            return invalid_option("delimiter", "must be one ASCII character, such as ;");
        }
        let exists = |name: &String| tabular::encoding::for_label(name).is_some();
        if is_some_and_not(&self.encoding, exists) {
            return invalid_option(
                "encoding",
                "must be the name of an encoding, such as utf-8, utf-16le or windows-1252",
            );
        }
        Ok(ImportOptions {
            phone_columns: self.phone_columns,
            header: self.header,
            default_region: self.default_region,
            delimiter: self.delimiter,
            encoding: self.encoding,
            on_bad_value: self.on_bad_value.unwrap_or_default(),
        })
    }
}

fn is_some_and_not<T>(option: &Option<T>, is_valid: impl Fn(&T) -> bool) -> bool {
    option.as_ref().is_some_and(|value| !is_valid(value))
}

fn invalid_option<T>(option: &str, detail: &str) -> Result<T, Problem> {
    Err(Problem::invalid_field(format!("/options/{option}"), detail))
}

/// The file at `pointer` of the body, if it can be uploaded and read.
pub(crate) fn parse_file(file: Option<NewFile>, pointer: &str) -> Result<FileInfo, Problem> {
    let at = |field: &str| format!("{pointer}/{field}");
    let file = file
        .ok_or_else(|| Problem::invalid_field(pointer, "is required: the file's name and size"))?;
    let name = required_text(file.name, &at("name"))?;
    let lower = name.to_lowercase();
    if !FILE_EXTENSIONS.iter().any(|ending| lower.ends_with(ending)) {
        let detail = "must end in .csv, .txt, .tsv (each also with .gz) or .xlsx; save the file as one of these";
        return Err(Problem::invalid_field(at("name"), detail));
    }
    let size = file.size.ok_or_else(|| {
        Problem::invalid_field(at("size"), "is required: the exact size in bytes")
    })?;
    check_size(size, lower.ends_with(".xlsx"))
        .map_err(|detail| Problem::invalid_field(at("size"), detail))?;
    Ok(FileInfo { name, size })
}

fn check_size(size: u64, is_workbook: bool) -> Result<(), String> {
    match size {
        0 => Err("must not be 0; a file without rows cannot be sent".to_owned()),
        _ if is_workbook && size > MAX_WORKBOOK_BYTES => Err(format!(
            "must be at most {MAX_WORKBOOK_BYTES} for a workbook; save it as CSV, which may have {MAX_UPLOAD_BYTES} bytes"
        )),
        1..=MAX_UPLOAD_BYTES => Ok(()),
        _ => Err(format!(
            "must be at most {MAX_UPLOAD_BYTES}; split the file, or compress it with gzip"
        )),
    }
}

/// The text without white space around it, if any is left.
pub(crate) fn required_text(text: Option<String>, pointer: &str) -> Result<String, Problem> {
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Problem::invalid_field(pointer, "is required and must not be empty"))
}
