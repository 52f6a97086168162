//! The time zones of phone numbers, as libphonenumber has them: `tests/time_zones.py` writes the table from its data
//! (Apache-2.0, Copyright The Libphonenumber Authors).

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Phone;

/// Lines of zones and the prefixes of the numbers that have them.
const TABLE: &str = include_str!("time_zones.txt");

/// The greatest number of digits of a prefix.
const MAX_PREFIX_DIGITS: usize = 9;

static PREFIXES: LazyLock<HashMap<&'static str, TimeZones>> = LazyLock::new(|| {
    let mut prefixes = HashMap::new();
    for line in TABLE.lines() {
        let mut words = line.split(' ');
        let zones = TimeZones(words.next().unwrap_or_default());
        prefixes.extend(words.map(|prefix| (prefix, zones)));
    }
    prefixes
});

/// The time zones that a number may be in: that of its area where the number tells it, otherwise those of its country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeZones(&'static str);

impl TimeZones {
    /// The zones of a number; `None` where no country has it, as with satellite phones.
    pub fn of(phone: Phone) -> Option<Self> {
        let digits = phone.digits().to_string();
        let longest = digits.len().min(MAX_PREFIX_DIGITS);
        let mut lengths = (1..=longest).rev();
        lengths.find_map(|length| PREFIXES.get(&digits[..length]).copied())
    }

    /// Their IANA names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.0.split(',')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones_of(phone: &str) -> Vec<&'static str> {
        let phone = Phone::try_from(phone.to_owned()).expect("a number");
        TimeZones::of(phone).map_or_else(Vec::new, |zones| zones.names().collect())
    }

    #[test]
    fn number_has_the_zones_of_its_area_or_of_its_country() {
        assert_eq!(zones_of("+5511987654321"), ["America/Sao_Paulo"]);
        assert_eq!(zones_of("+5592987654321"), ["America/Manaus"]);
        assert_eq!(zones_of("+12125550123"), ["America/New_York"]);
        assert_eq!(zones_of("+18765550123"), ["America/Jamaica"]);
        assert_eq!(zones_of("+917012345678"), ["Asia/Calcutta"]);
        // Any Australian mobile number may be in Perth.
        assert!(zones_of("+61412345678").contains(&"Australia/Perth"));
        assert!(zones_of("+88161234567").is_empty());
    }

    #[test]
    fn every_zone_is_known_and_no_prefix_is_longer_than_is_looked_up() {
        for line in TABLE.lines() {
            let (zones, prefixes) = line.split_once(' ').expect("zones and prefixes");
            for zone in zones.split(',') {
                assert!(jiff::tz::TimeZone::get(zone).is_ok(), "{zone}");
            }
            assert!(
                prefixes
                    .split(' ')
                    .all(|prefix| prefix.len() <= MAX_PREFIX_DIGITS)
            );
        }
    }
}
