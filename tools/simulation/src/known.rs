//! Faults that are known and not removed yet. A life in which nothing but these shows has not failed; a fault that is removed
//! is taken from this list, so that it is found if it comes back.

use crate::record::Notes;
use crate::violation::Violation;

/// A fault that is known.
pub struct KnownFault {
    /// Its name.
    pub name: &'static str,
    /// What it is, and where it is removed.
    pub about: &'static str,
    shows: fn(&Violation, &Notes) -> bool,
}

/// The faults that are known.
pub const KNOWN_FAULTS: &[KnownFault] = &[];

/// The known fault that a violation shows.
pub fn known_fault(violation: &Violation, notes: &Notes) -> Option<&'static str> {
    let found = KNOWN_FAULTS
        .iter()
        .find(|fault| (fault.shows)(violation, notes));
    found.map(|fault| fault.name)
}
