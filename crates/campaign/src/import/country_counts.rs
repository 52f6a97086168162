//! Counts numbers by country.

use std::collections::HashMap;

use crate::import::phone::Phone;

/// How many leading digits determine a number's country. The longest are those of Guernsey, Jersey and the
/// Isle of Man, which share `+44` with Great Britain.
const COUNTRY_PREFIX_DIGITS: u32 = 8;

/// The country of numbers that belong to none.
const NO_COUNTRY: &str = "??";

/// Numbers by country, such as `BR`.
#[derive(Debug, Default)]
pub(super) struct CountryCounts {
    counts: HashMap<String, u64>,
    /// Known countries by leading digits: finding one from a whole number takes a microsecond or two.
    country_by_prefix: HashMap<u64, String>,
}

impl CountryCounts {
    /// Counts a number.
    pub(super) fn add(&mut self, phone: Phone) {
        let digits = phone.digits();
        let length = digits.ilog10() + 1;
        let prefix = digits / 10u64.pow(length.saturating_sub(COUNTRY_PREFIX_DIGITS));
        let country = self
            .country_by_prefix
            .entry(prefix)
            .or_insert_with(|| phone.country().unwrap_or_else(|| NO_COUNTRY.into()));
        // `entry` would need a copy of the name for every number.
        match self.counts.get_mut(country) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(country.clone(), 1)),
        }
    }

    /// The country of most numbers; of equals, the last by name.
    pub(super) fn most_frequent(&self) -> Option<String> {
        let counts = self.counts.iter();
        let most = counts.max_by_key(|(country, count)| (**count, *country));
        most.map(|(country, _)| country.clone())
    }

    /// The counts, the largest first; `??` are numbers without a country.
    pub(super) fn largest_first(self) -> Vec<(String, u64)> {
        let mut countries: Vec<(String, u64)> = self.counts.into_iter().collect();
        countries.sort_by(|(one, one_count), (other, other_count)| {
            let by_count = other_count.cmp(one_count);
            by_count.then_with(|| one.cmp(other))
        });
        countries
    }
}
