//! Lines of the rejects file: the operator's own columns as they are, then what is wrong and how to fix it. The operator
//! can correct the file and upload it to the same campaign.

use campaign::import::row::Reject;
use recipients::csv_line::format_line;
use tabular::ByteRecord;

/// The columns added behind the operator's own.
const ADDED_COLUMNS: [&str; 4] = ["row", "column", "problem", "fix"];

/// Writes lines in the format of one rejects file.
#[derive(Debug)]
pub(crate) struct LineWriter {
    /// The number of the operator's own columns.
    own_columns: usize,
    delimiter: char,
}

impl LineWriter {
    /// For a file with this header. If the file is a corrected rejects file, its added columns are replaced, not repeated.
    pub(crate) fn new(header: &[String], delimiter: u8) -> Self {
        let own_columns = match header.len().checked_sub(ADDED_COLUMNS.len()) {
            Some(own) if header[own..] == ADDED_COLUMNS => own,
            Some(_) | None => header.len(),
        };
        Self {
            own_columns,
            delimiter: char::from(delimiter),
        }
    }

    /// The first line. It begins with a byte order mark, by which Excel recognizes UTF-8.
    pub(crate) fn header_line(&self, header: &[String]) -> String {
        let own = header[..self.own_columns].iter().map(String::as_str);
        format!("\u{feff}{}", self.line(own.chain(ADDED_COLUMNS)))
    }

    /// The line of a rejected record.
    pub(crate) fn reject_line(&self, record: &ByteRecord, reject: &Reject) -> String {
        let cells: Vec<String> = (0..self.own_columns)
            .map(|index| self.cell(record, index))
            .collect();
        let (row, problem) = (reject.row.to_string(), reject.reason.to_string());
        let added = [
            row.as_str(),
            reject.column.as_str(),
            problem.as_str(),
            reject.reason.fix(),
        ];
        self.line(cells.iter().map(String::as_str).chain(added))
    }

    /// A cell of the record. Cells beyond the header are joined to the last one, so that the added columns stay in place.
    fn cell(&self, record: &ByteRecord, index: usize) -> String {
        let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
        let is_last = index + 1 == self.own_columns;
        // In a corrected rejects file, the cells behind its own columns are the added ones.
        let has_more_cells = record.len() > self.own_columns + ADDED_COLUMNS.len()
            || record.len() == self.own_columns + 1;
        if !(is_last && has_more_cells) {
            return record.get(index).map(text).unwrap_or_default();
        }
        let cells: Vec<String> = record.iter().skip(index).map(text).collect();
        cells.join(&self.delimiter.to_string())
    }

    fn line<'c>(&self, cells: impl Iterator<Item = &'c str>) -> String {
        let mut line = format_line(self.delimiter, cells);
        line.push_str("\r\n");
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use campaign::import::row::RejectReason;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn operators_columns_come_first_and_unchanged() {
        let header = names(&["Name", "Phone; home"]);
        let lines = LineWriter::new(&header, b';');
        assert_eq!(
            lines.header_line(&header),
            "\u{feff}Name;\"Phone; home\";row;column;problem;fix\r\n"
        );
        let reject = Reject {
            row: 7,
            column: "Phone; home".into(),
            reason: RejectReason::DamagedText,
        };
        let line = lines.reject_line(&ByteRecord::from(vec!["=1+1", "+55 11"]), &reject);
        assert!(
            line.starts_with(
                "'=1+1;+55 11;7;\"Phone; home\";there are damaged characters in this cell;"
            ),
            "{line}"
        );
        let short = lines.reject_line(&ByteRecord::from(vec!["Ana"]), &reject);
        assert!(short.starts_with("Ana;;7;"), "{short}");
        let wide = lines.reject_line(&ByteRecord::from(vec!["Ana", "1", "2"]), &reject);
        assert!(wide.starts_with("Ana;\"1;2\";7;"), "{wide}");
    }

    #[test]
    fn corrected_rejects_file_does_not_grow() {
        let header = names(&["Name", "Phone", "row", "column", "problem", "fix"]);
        let lines = LineWriter::new(&header, b',');
        assert_eq!(
            lines.header_line(&header),
            "\u{feff}Name,Phone,row,column,problem,fix\r\n"
        );
        let reject = Reject {
            row: 3,
            column: "Phone".into(),
            reason: RejectReason::UnclosedQuote,
        };
        let line = lines.reject_line(
            &ByteRecord::from(vec!["Ana", "n/a", "9", "Phone", "old", "old"]),
            &reject,
        );
        assert!(line.starts_with("Ana,n/a,3,Phone,"), "{line}");
    }
}
