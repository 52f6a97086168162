//! Answers that are CSV files.

use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use recipients::csv_line::format_line;

/// The header of a file that is not the last one: the `after` of the next.
const NEXT_HEADER: HeaderName = HeaderName::from_static("x-crier-next");

/// A CSV file that is written line by line.
#[derive(Debug)]
pub struct CsvFile(String);

impl CsvFile {
    /// A file with these columns.
    pub fn new(columns: &[&str]) -> Self {
        let mut file = Self(String::new());
        file.write(columns);
        file
    }

    /// Adds a line.
    pub fn write(&mut self, cells: &[&str]) {
        self.0.push_str(&format_line(',', cells.iter().copied()));
        self.0.push_str("\r\n");
    }

    /// The answer: a browser saves it as `name`. `next` is the `after` of the next file, if there is one.
    pub fn into_answer(self, name: &str, next: Option<String>) -> (HeaderMap, String) {
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("text/csv; charset=utf-8");
        headers.insert(CONTENT_TYPE, kind);
        let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
        headers.extend(disposition.ok().map(|value| (CONTENT_DISPOSITION, value)));
        let next = next.and_then(|next| HeaderValue::from_str(&next).ok());
        headers.extend(next.map(|value| (NEXT_HEADER, value)));
        (headers, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_has_a_line_for_each_write_and_says_where_the_next_one_begins() {
        let mut file = CsvFile::new(&["who", "what"]);
        file.write(&["Ana, Bo", "=1+1"]);
        let (headers, text) = file.into_answer("audit.csv", Some("7".into()));
        assert_eq!(text, "who,what\r\n\"Ana, Bo\",'=1+1\r\n");
        assert_eq!(headers["x-crier-next"], "7");
        assert_eq!(
            headers["content-disposition"],
            "attachment; filename=\"audit.csv\""
        );
    }
}
