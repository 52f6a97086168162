//! Chooses the phone column of a file by what is in it, helped by the names of the columns.
//!
//! A column is worth as many recipients as WhatsApp can probably reach by it: each cell of the first rows counts by what it reads
//! as, a mobile number most, times the weight of the column's name. Columns that are not named after phones take part only where
//! no such column has a number, and only if most of their cells read as numbers: an order number may read as one, too.

use serde::{Deserialize, Serialize};

use super::column_names::{ColumnKind, kind_of};
use super::country_counts::CountryCounts;
use crate::import::phone::{self, LineType, Phone, PhoneProblem, Region};

/// Rows that are looked at.
pub const SAMPLE_ROWS: usize = 1_000;

/// How many other columns are shown.
const MAX_RUNNERS_UP: usize = 3;

/// Cells of a column without a telling name that must read as numbers, in percent of its filled cells.
const MIN_SHARE_PERCENT: u64 = 60;

/// A number has at least this many digits, without a country code.
const MIN_NATIONAL_DIGITS: usize = 7;
const MAX_NATIONAL_DIGITS: usize = 13;

/// Why a column was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenBy {
    /// The options name it.
    Options,
    /// Most recipients can be reached by the numbers in it.
    Content,
    /// No column has readable numbers; this one has a usual name.
    Name,
}

/// How many of the first rows have what in a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnContent {
    /// The column's name.
    pub name: String,
    /// Cells that are not empty.
    pub filled: u64,
    /// Cells with a phone number, with or without a country code.
    pub numbers: u64,
    /// Cells with a mobile number; in some countries, such as the USA, all numbers may be mobile.
    pub mobile: u64,
    /// Cells with a number in rows in which the chosen column is empty.
    pub fills_gaps: u64,
}

/// The choice of a file's phone column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneColumnChoice {
    /// Why this column.
    pub by: ChosenBy,
    /// What it has in it.
    pub chosen: ColumnContent,
    /// Other columns with numbers, the best first.
    pub runners_up: Vec<ColumnContent>,
    /// Rows that were looked at.
    pub rows: u64,
}

/// The first rows of a file: cells as text, by row and column.
pub type SampleRows<'s> = &'s [Vec<String>];

/// Describes the columns that the options name, at least one.
pub fn describe_named_columns(
    header: &[&str],
    rows: SampleRows<'_>,
    named: &[usize],
    region: Option<Region>,
) -> PhoneColumnChoice {
    let columns = examine(header, rows, region);
    choice(&columns, named, ChosenBy::Options, rows)
}

/// The index of the best column, and why; `None` if no column can be the one.
pub fn choose_phone_column(
    header: &[&str],
    rows: SampleRows<'_>,
    region: Option<Region>,
) -> Option<(usize, PhoneColumnChoice)> {
    let columns = examine(header, rows, region);
    let best = |candidates: &dyn Fn(&Column) -> bool| {
        let candidates = columns.iter().enumerate().filter(|(_, c)| candidates(c));
        // Of equals, the first.
        let best = candidates
            .max_by_key(|(index, column)| (column.worth(), column.kind, std::cmp::Reverse(*index)));
        best.map(|(index, _)| index)
    };
    let named = best(&|column| column.kind.is_recipients() && column.worth() > 0);
    let unnamed = || best(&|column| column.is_convincing());
    let of_others = || best(&|column| column.kind == ColumnKind::OtherPerson && column.worth() > 0);
    if let Some(index) = named.or_else(unnamed).or_else(of_others) {
        let choice = choice(&columns, &[index], ChosenBy::Content, rows);
        return Some((index, choice));
    }
    let index = best(&|column| column.kind.is_recipients())?;
    Some((index, choice(&columns, &[index], ChosenBy::Name, rows)))
}

/// Whether a first line is a row, not a header: one of its cells reads as a phone number, even as one that cannot be used.
pub fn is_data(first_line: &[&str], region: Option<Region>) -> bool {
    let is_number = |cell: &&str| {
        let kind = kind_of_parsed(cell, phone::parse(cell, region));
        kind.is_number() || kind == CellKind::Damaged
    };
    first_line.iter().any(is_number)
}

/// A column and what is in it.
struct Column {
    kind: ColumnKind,
    name: String,
    cells: Vec<Cell>,
}

/// A cell of the sample.
struct Cell {
    kind: CellKind,
    /// Its number, if it is written with its country code.
    international: Option<Phone>,
}

/// What a cell reads as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CellKind {
    Blank,
    Mobile,
    /// A number of a country in which mobile numbers look like others.
    PerhapsMobile,
    Landline,
    /// A number without a country code, in a file that says nothing about the country.
    National,
    /// A number that cannot be used as it is, such as two in one cell.
    Damaged,
    Other,
}

impl CellKind {
    /// What a cell is worth, in percent of a recipient who can be reached.
    fn weight(self) -> u64 {
        match self {
            CellKind::Mobile | CellKind::PerhapsMobile => 100,
            CellKind::National => 80,
            CellKind::Landline => 25,
            CellKind::Damaged => 20,
            CellKind::Blank | CellKind::Other => 0,
        }
    }

    fn is_number(self) -> bool {
        matches!(
            self,
            CellKind::Mobile | CellKind::PerhapsMobile | CellKind::National | CellKind::Landline
        )
    }
}

impl Column {
    fn worth(&self) -> u64 {
        let cells: u64 = self.cells.iter().map(|cell| cell.kind.weight()).sum();
        cells * self.kind.weight()
    }

    fn count(&self, is_counted: impl Fn(CellKind) -> bool) -> u64 {
        self.cells
            .iter()
            .filter(|cell| is_counted(cell.kind))
            .count() as u64
    }

    fn filled(&self) -> u64 {
        self.count(|cell| cell != CellKind::Blank)
    }

    /// Whether its content alone makes it a phone column.
    fn is_convincing(&self) -> bool {
        let numbers = self.count(CellKind::is_number);
        let is_likely = numbers * 100 >= self.filled() * MIN_SHARE_PERCENT;
        self.kind == ColumnKind::Unknown && numbers > 0 && is_likely
    }

    fn content(&self, chosen: &Column) -> ColumnContent {
        let pairs = self.cells.iter().zip(&chosen.cells);
        let gaps =
            pairs.filter(|(own, theirs)| own.kind.is_number() && theirs.kind == CellKind::Blank);
        ColumnContent {
            name: self.name.clone(),
            filled: self.filled(),
            numbers: self.count(CellKind::is_number),
            mobile: self.count(|cell| matches!(cell, CellKind::Mobile | CellKind::PerhapsMobile)),
            fills_gaps: gaps.count() as u64,
        }
    }
}

fn choice(
    columns: &[Column],
    chosen: &[usize],
    by: ChosenBy,
    rows: SampleRows<'_>,
) -> PhoneColumnChoice {
    let other = |(index, column): &(usize, &Column)| {
        !chosen.contains(index)
            && column.kind != ColumnKind::Other
            && column.count(CellKind::is_number) > 0
    };
    let mut others: Vec<(usize, &Column)> = columns.iter().enumerate().filter(other).collect();
    others.sort_by_key(|(_, column)| std::cmp::Reverse(column.worth()));
    let chosen = &columns[chosen[0]];
    let runners_up = others.iter().take(MAX_RUNNERS_UP);
    PhoneColumnChoice {
        by,
        chosen: chosen.content(chosen),
        runners_up: runners_up
            .map(|(_, column)| column.content(chosen))
            .collect(),
        rows: rows.len() as u64,
    }
}

fn examine(header: &[&str], rows: SampleRows<'_>, region: Option<Region>) -> Vec<Column> {
    let mut columns: Vec<Column> = header
        .iter()
        .enumerate()
        .map(|(index, name)| Column {
            kind: kind_of(name),
            name: name.trim().to_owned(),
            cells: rows
                .iter()
                .map(|row| read_cell(row, index, region))
                .collect(),
        })
        .collect();
    if region.is_none()
        && let Some(region) = most_frequent_region(&columns)
    {
        read_again(&mut columns, rows, region);
    }
    columns
}

/// Reads the cells anew that may be national numbers of this region.
fn read_again(columns: &mut [Column], rows: SampleRows<'_>, region: Region) {
    for (index, column) in columns.iter_mut().enumerate() {
        for (cell, row) in column.cells.iter_mut().zip(rows) {
            let text = row.get(index).map_or("", String::as_str);
            if cell.kind != CellKind::Blank && !is_international(text) {
                *cell = read_cell(row, index, Some(region));
            }
        }
    }
}

fn is_international(text: &str) -> bool {
    text.trim_start().starts_with('+')
}

/// The region of most numbers that are written with their country code.
fn most_frequent_region(columns: &[Column]) -> Option<Region> {
    let mut countries = CountryCounts::default();
    let cells = columns.iter().flat_map(|column| &column.cells);
    let numbers = cells.filter_map(|cell| cell.international);
    numbers.for_each(|phone| countries.add(phone));
    phone::parse_region(&countries.most_frequent()?)
}

fn read_cell(row: &[String], index: usize, region: Option<Region>) -> Cell {
    let text = row.get(index).map_or("", String::as_str);
    let parsed = phone::parse(text, region);
    Cell {
        kind: kind_of_parsed(text, parsed),
        international: parsed.ok().filter(|_| is_international(text)),
    }
}

fn kind_of_parsed(text: &str, parsed: Result<Phone, PhoneProblem>) -> CellKind {
    match parsed {
        Ok(phone) => kind_of_number(phone),
        Err(PhoneProblem::Empty) => CellKind::Blank,
        Err(PhoneProblem::NoCountry) if is_like_a_number(text) => CellKind::National,
        Err(PhoneProblem::TwoNumbers | PhoneProblem::Scientific | PhoneProblem::LostZero) => {
            CellKind::Damaged
        }
        Err(PhoneProblem::TooShort | PhoneProblem::TooLong | PhoneProblem::Invalid)
            if is_like_a_number(text) =>
        {
            CellKind::Damaged
        }
        Err(_) => CellKind::Other,
    }
}

fn kind_of_number(phone: Phone) -> CellKind {
    match phone::line_type(phone) {
        LineType::Mobile => CellKind::Mobile,
        LineType::Landline => CellKind::Landline,
        LineType::Unknown => CellKind::PerhapsMobile,
    }
}

/// Whether a cell that is no valid number is written like one: dates and amounts are not.
fn is_like_a_number(cell: &str) -> bool {
    let cell = cell.trim();
    let digits = cell.bytes().filter(u8::is_ascii_digit).count();
    let is_written_so = cell
        .chars()
        .all(|c| c.is_ascii_digit() || " +-.()".contains(c));
    let is_date = cell
        .split(['-', '.', ' '])
        .any(|part| part.len() == 4 && matches!(part.parse::<u32>(), Ok(1900..=2100)))
        && digits == 8;
    let is_amount = cell.rsplit_once('.').is_some_and(|(whole, cents)| {
        cents.len() <= 2 && whole.bytes().all(|b| b.is_ascii_digit())
    });
    (MIN_NATIONAL_DIGITS..=MAX_NATIONAL_DIGITS).contains(&digits)
        && is_written_so
        && !is_date
        && !is_amount
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter()
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect()
    }

    fn choose(
        header: &[&str],
        cells: &[&[&str]],
        region: Option<&str>,
    ) -> Option<PhoneColumnChoice> {
        let region = region.and_then(phone::parse_region);
        choose_phone_column(header, &rows(cells), region).map(|(_, choice)| choice)
    }

    #[test]
    #[expect(clippy::type_complexity, reason = "a table of cases")]
    fn content_decides_and_names_help() {
        // (header, rows, region, the column that a person would pick)
        let ana = "+5511987654321";
        let landline = "+551133334444";
        let cases: &[(&[&str], &[&[&str]], &str)] = &[
            (
                &["Phone", "Mobile"],
                &[&["", ana], &[landline, ana]],
                "Mobile",
            ),
            (
                &["Phone", "Mobile"],
                &[&[ana, ""], &[ana, ""], &[ana, ana]],
                "Phone",
            ),
            (
                &["Home Phone", "Fax", "Mobile Phone"],
                &[&[landline, landline, ana]],
                "Mobile Phone",
            ),
            (&["Fax", "Contact"], &[&[landline, ana]], "Contact"),
            (
                &["Order ID", "Customer"],
                &[&["5511987654321", ana]],
                "Customer",
            ),
            (&["Emergency phone", "Phone"], &[&[ana, ana]], "Phone"),
            (
                &["Billing Phone", "Shipping Phone"],
                &[&[ana, ana]],
                "Billing Phone",
            ),
            (&["Phone", "WhatsApp"], &[&[ana, ana]], "WhatsApp"),
            (
                &["Phone 1 - Type", "Phone 1 - Value"],
                &[&["Mobile", ana]],
                "Phone 1 - Value",
            ),
            (
                &["Nome", "Contato"],
                &[&["Ana", "(11) 98765-4321"]],
                "Contato",
            ),
            (
                &["created", "phone"],
                &[&["2026-11-29", "612345678"]],
                "phone",
            ),
            // Nothing to read: the name alone.
            (&["name", "phone"], &[&["Ana", "n/a"]], "phone"),
            // One column has two numbers in each cell, the other is empty.
            (
                &["Mobile", "Phone"],
                &[&["", "+34612345678 / +34612345679"]],
                "Phone",
            ),
        ];
        for (header, cells, expected) in cases {
            let choice = choose(header, cells, None).expect(expected);
            assert_eq!(choice.chosen.name, *expected, "{header:?}");
        }
        for (header, cells) in [
            (["name", "city"], ["Ana", "Rio"]),
            (["Order ID", "Zip"], ["5511987654321", "x"]),
        ] {
            assert_eq!(choose(&header, &[&cells], None), None, "{header:?}");
        }
    }

    #[test]
    fn first_line_with_a_number_is_a_row() {
        for first in [
            "+5511987654321",
            "11 98765-4321",
            "+34612345678 / +34612345679",
            "5.5E+11",
        ] {
            assert!(is_data(&["Ana", first], None), "{first}");
        }
        for header in ["Phone", "2026", "Phone 2", "#1", "Q3 2026", ""] {
            assert!(!is_data(&["Name", header], None), "{header}");
        }
    }

    #[test]
    fn region_decides_what_is_a_number() {
        let header = ["ref", "kontakt"];
        let cells: &[&[&str]] = &[&["17", "0151 23456789"], &["18", "0170 1234567"]];
        let choice = choose(&header, cells, Some("DE")).expect("a column");
        assert_eq!(
            (choice.chosen.name.as_str(), choice.chosen.mobile),
            ("kontakt", 2)
        );
    }

    #[test]
    fn runner_up_shows_whose_gaps_it_fills() {
        let ana = "+5511987654321";
        let cells: &[&[&str]] = &[&[ana, ""], &["", ana], &[ana, ana], &[ana, ""]];
        let choice = choose(&["Mobile", "Phone"], cells, None).expect("a column");
        assert_eq!(choice.chosen.name, "Mobile");
        assert_eq!(
            (
                choice.runners_up[0].numbers,
                choice.runners_up[0].fills_gaps
            ),
            (2, 1)
        );
        assert_eq!(choice.rows, 4);
    }

    #[test]
    fn dates_and_amounts_are_no_numbers() {
        for cell in [
            "2026-11-29",
            "29.11.2026",
            "1234567.89",
            "123456",
            "12345678901234",
            "Ana",
        ] {
            assert!(!is_like_a_number(cell), "{cell}");
        }
        for cell in ["612345678", "(11) 98765-4321", "06.12.34.56.78"] {
            assert!(is_like_a_number(cell), "{cell}");
        }
    }
}
