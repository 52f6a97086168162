//! The parts of a window: times of day, zones, days, and how they are written.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A time of day to the minute: from `00:00` to `24:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

/// Minutes of a day.
pub(super) const DAY_MINUTES: u16 = 24 * 60;

impl TimeOfDay {
    /// Minutes since midnight.
    pub(super) fn minutes(self) -> u16 {
        self.0
    }

    /// Whether the day is over then.
    pub(super) fn is_end_of_day(self) -> bool {
        self.0 == DAY_MINUTES
    }
}

/// Whose clock counts. As text: an IANA name, or `recipient`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum WindowZone {
    /// That of each recipient, by the phone number.
    Recipient,
    /// That of a time zone.
    Named(String),
}

/// A day of the week.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "days of the week")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// What is wrong with a time, a zone or a window, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowProblem {
    /// The text is no time of day.
    #[error("must be a time of day from 00:00 to 24:00, such as 09:00")]
    NoTimeOfDay,
    /// The zone is unknown.
    #[error("must be `recipient` or a time zone of the IANA database, such as America/Sao_Paulo")]
    UnknownZone,
    /// It would begin when the day ends.
    #[error("must be earlier than 24:00, when the day is over; write 00:00")]
    StartsAtEndOfDay,
    /// It would be open for minutes only, or at all times.
    #[error("must be at least 15 minutes later than `from`; for whole days write 00:00 and 24:00")]
    TooShort,
    /// It opens on no day.
    #[error("must have one day at least; leave it out for every day")]
    NoDay,
}

impl From<Day> for Weekday {
    fn from(day: Day) -> Self {
        match day {
            Day::Monday => Weekday::Monday,
            Day::Tuesday => Weekday::Tuesday,
            Day::Wednesday => Weekday::Wednesday,
            Day::Thursday => Weekday::Thursday,
            Day::Friday => Weekday::Friday,
            Day::Saturday => Weekday::Saturday,
            Day::Sunday => Weekday::Sunday,
        }
    }
}

impl FromStr for TimeOfDay {
    type Err = WindowProblem;

    fn from_str(text: &str) -> Result<Self, WindowProblem> {
        let digits = |part: &str| match part.as_bytes() {
            [b'0'..=b'9', b'0'..=b'9'] => part.parse::<u16>().ok(),
            _ => None,
        };
        let (hour, minute) = text.split_once(':').ok_or(WindowProblem::NoTimeOfDay)?;
        match (digits(hour), digits(minute)) {
            (Some(hour), Some(minute)) if minute < 60 && hour * 60 + minute <= DAY_MINUTES => {
                Ok(Self(hour * 60 + minute))
            }
            _ => Err(WindowProblem::NoTimeOfDay),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = WindowProblem;

    fn try_from(text: String) -> Result<Self, WindowProblem> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

impl FromStr for WindowZone {
    type Err = WindowProblem;

    fn from_str(text: &str) -> Result<Self, WindowProblem> {
        if text == "recipient" {
            return Ok(Self::Recipient);
        }
        match TimeZone::get(text) {
            Ok(zone) if !zone.is_unknown() => {
                Ok(Self::Named(zone.iana_name().unwrap_or(text).to_owned()))
            }
            Ok(_) | Err(_) => Err(WindowProblem::UnknownZone),
        }
    }
}

impl fmt::Display for WindowZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WindowZone::Recipient => f.write_str("recipient"),
            WindowZone::Named(name) => f.write_str(name),
        }
    }
}

impl TryFrom<String> for WindowZone {
    type Error = WindowProblem;

    fn try_from(text: String) -> Result<Self, WindowProblem> {
        text.parse()
    }
}

impl From<WindowZone> for String {
    fn from(zone: WindowZone) -> Self {
        zone.to_string()
    }
}
