//! From regions to lines, as `llvm-cov` does it: a line ran if something that begins on it ran, or what it continues.

use crate::regions::Region;

/// A line with code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) number: usize,
    pub(crate) text: &'a str,
    pub(crate) state: State,
}

/// How much of a line ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Covered,
    Partly,
    Uncovered,
}

/// The lines of a file that have code. Those with a comment or with punctuation only say nothing.
pub(crate) fn of_file<'a>(source: &'a str, regions: &[Region]) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for (index, text) in source.lines().enumerate() {
        let number = index + 1;
        let is_comment = text.trim_start().starts_with("//");
        if is_comment || !text.contains(|character: char| character.is_alphanumeric()) {
            continue;
        }
        if let Some(state) = state(number, regions) {
            lines.push(Line {
                number,
                text,
                state,
            });
        }
    }
    lines
}

/// `None` for a line that has no counters: an item that is no function.
fn state(line: usize, regions: &[Region]) -> Option<State> {
    let begun = regions.iter().filter(|region| region.start.0 == line);
    // The innermost of those that began before: the body of a closure, not the function around it.
    let continued = regions
        .iter()
        .filter(|region| region.start.0 < line && line <= region.end.0)
        .max_by_key(|region| (region.start, std::cmp::Reverse(region.end)));
    let counts: Vec<u64> = begun.chain(continued).map(|region| region.count).collect();
    let ran = counts.iter().filter(|count| **count > 0).count();
    match (counts.len(), ran) {
        (0, _) => None,
        (_, 0) => Some(State::Uncovered),
        (all, ran) if ran < all => Some(State::Partly),
        _ => Some(State::Covered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(start: (usize, usize), end: (usize, usize), count: u64) -> Region {
        Region { start, end, count }
    }

    #[test]
    fn lines_have_the_count_of_what_runs_on_them() {
        let source = "fn one() {\n    // Why.\n    let all = first()?;\n    all.map(|it| {\n        it + 1\n    })\n}\nstruct Two;\n";
        let regions = [
            region((1, 1), (3, 22), 2),
            region((3, 22), (3, 23), 0),
            region((4, 5), (7, 2), 2),
            region((4, 13), (6, 6), 0),
        ];
        let found = of_file(source, &regions);
        let states: Vec<_> = found.iter().map(|line| (line.number, line.state)).collect();
        assert_eq!(
            states,
            [
                (1, State::Covered),
                (3, State::Partly),
                (4, State::Partly),
                (5, State::Uncovered)
            ]
        );
    }

    #[test]
    fn a_branch_that_ends_and_one_that_begins_are_both_on_the_line() {
        let source = "    if it {\n        yes();\n    } else if no() {\n        no();\n    }\n";
        let regions = [
            region((1, 8), (1, 10), 3),
            region((1, 11), (3, 6), 3),
            region((3, 15), (3, 19), 0),
            region((3, 20), (5, 6), 0),
        ];
        let found = of_file(source, &regions);
        let states: Vec<_> = found.iter().map(|line| line.state).collect();
        assert_eq!(
            states,
            [
                State::Covered,
                State::Covered,
                State::Partly,
                State::Uncovered
            ]
        );
    }
}
