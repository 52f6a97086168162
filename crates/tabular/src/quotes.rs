//! Finds unclosed quotation marks. A CSV parser reads on from one until it finds another, many rows later,
//! and so turns all rows between them into one cell.

/// Whether a quotation mark in `raw`, the bytes of a record that spans several lines, is unbalanced: the
/// quoted cell is followed by something other than a delimiter or the end of a line, or it never ends.
pub(crate) fn has_unbalanced_quote(raw: &[u8], delimiter: u8) -> bool {
    let mut at = 0;
    while at < raw.len() {
        if raw[at] == b'"' {
            let Some(end) = quoted_cell_end(raw, at + 1) else {
                return true;
            };
            match raw.get(end) {
                None => return false,
                Some(&b) if b == delimiter || b == b'\n' || b == b'\r' => at = end,
                Some(_) => return true,
            }
        } else {
            at = unquoted_cell_end(raw, at, delimiter);
        }
        at += 1;
    }
    false
}

/// The position of the delimiter or line ending after an unquoted cell.
fn unquoted_cell_end(raw: &[u8], start: usize, delimiter: u8) -> usize {
    memchr::memchr3(delimiter, b'\n', b'\r', &raw[start..]).map_or(raw.len(), |end| start + end)
}

/// The position after the closing quotation mark; two in a row are one mark of the text.
fn quoted_cell_end(raw: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr(b'"', &raw[at..])? + 1;
        if raw.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_cells_of_several_lines() {
        for raw in [
            "a,\"two\nlines\",b",
            "\"two\r\nlines\"\r\n",
            "\"a \"\"b\"\"\nc\",d",
            "x,\"\n\"",
            "5\" pipe,\"a\nb\"",
            "",
        ] {
            assert!(!has_unbalanced_quote(raw.as_bytes(), b','), "{raw}");
        }
    }

    #[test]
    fn finds_quotes_that_close_mid_line_or_never() {
        for raw in [
            "\"Ana,1\nBob,2\n\"Eve,3",
            "a,\"open\nb,c\n",
            "\"a\nb\" c,d",
            "\"\"\"\nx",
        ] {
            assert!(has_unbalanced_quote(raw.as_bytes(), b','), "{raw}");
        }
    }
}
