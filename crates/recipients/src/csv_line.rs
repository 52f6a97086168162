//! Cells as a line of a file that people open in a spreadsheet.

use std::fmt::Write;

use campaign::import::row::escape_formula;

/// The cells with the delimiter between them: guarded against being taken for formulas, quoted where they must be.
pub fn format_line<'c>(delimiter: char, cells: impl Iterator<Item = &'c str>) -> String {
    let mut line = String::new();
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            line.push(delimiter);
        }
        let cell = escape_formula(cell);
        let needs = cell.contains([delimiter, '"', '\n', '\r'])
            || cell.starts_with(' ')
            || cell.ends_with(' ');
        if needs {
            let _ = write!(line, "\"{}\"", cell.replace('"', "\"\""));
        } else {
            line.push_str(&cell);
        }
    }
    line
}
