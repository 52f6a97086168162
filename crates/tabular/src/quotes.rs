//! Quotation marks that swallow rows: opened at the start of a cell, closed in the middle of another line, or never.

/// Whether a record of several lines (`raw`, its bytes) is the work of a stray quotation mark: a quoted cell ends, and
/// something other than a delimiter or the end of the line follows; or it never ends.
pub(crate) fn has_unbalanced_quote(raw: &[u8], delimiter: u8) -> bool {
    let mut at = 0;
    while at < raw.len() {
        if raw[at] != b'"' {
            at = unquoted_cell_end(raw, at, delimiter);
        } else {
            match quoted_cell_end(raw, at + 1) {
                None => return true,
                Some(after) => match raw.get(after) {
                    None => return false,
                    Some(&b) if b == delimiter || b == b'\n' || b == b'\r' => at = after,
                    Some(_) => return true,
                },
            }
        }
        at += 1;
    }
    false
}

/// The end of a cell without quotes.
fn unquoted_cell_end(raw: &[u8], from: usize, delimiter: u8) -> usize {
    memchr::memchr3(delimiter, b'\n', b'\r', &raw[from..]).map_or(raw.len(), |end| from + end)
}

/// Behind the closing mark; doubled ones are text.
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
    fn a_cell_of_several_lines_is_none() {
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
    fn one_that_is_closed_mid_line_or_never_is() {
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
