//! Writes lines of CSV files that are opened in spreadsheets.

use std::borrow::Cow;

use campaign::import::row::escape_formula;

/// The cells as one line, without a line ending: formulas escaped, cells quoted where necessary.
pub fn format_line<'c>(delimiter: char, cells: impl Iterator<Item = &'c str>) -> String {
    let mut line = String::new();
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            line.push(delimiter);
        }
        line.push_str(&quote(escape_formula(cell), delimiter));
    }
    line
}

/// Puts a cell in quotation marks if a spreadsheet would otherwise split or trim it.
fn quote(cell: Cow<'_, str>, delimiter: char) -> Cow<'_, str> {
    let has_special = cell.contains([delimiter, '"', '\n', '\r']);
    if has_special || cell.starts_with(' ') || cell.ends_with(' ') {
        format!("\"{}\"", cell.replace('"', "\"\"")).into()
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_escapes_cells_where_necessary() {
        let cells = ["Ana", "Silva; Bo", "5\" pipe", " x", "=1+1", ""];
        assert_eq!(
            format_line(';', cells.into_iter()),
            "Ana;\"Silva; Bo\";\"5\"\" pipe\";\" x\";'=1+1;"
        );
    }
}
