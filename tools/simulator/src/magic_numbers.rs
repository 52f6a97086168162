//! Phone numbers that trigger each error, for use in a plain CSV: +1 202 555 0100 to 0199, reserved for fiction.

use Behavior::{
    AcceptThenDrop, AcceptWithServerError, BadGateway, DropConnection, FailInCallback,
    HeldForQuality, HeldThenDropped, NeverRead, Refuse, RefuseTwice, RefuseTwiceWithServerError,
    RefuseWithServerError,
};

/// How a send to a magic number ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// Refused in the response, each time, with the HTTP status that Meta documents for the code.
    Refuse(i64),
    /// Refused with 4xx the first two times, then accepted.
    RefuseTwice(i64),
    /// Refused with 5xx, each time.
    RefuseWithServerError(i64),
    /// Refused with 5xx the first two times, then accepted.
    RefuseTwiceWithServerError(i64),
    /// Accepted, then reported `failed`.
    FailInCallback(i64),
    /// Accepted, but the connection breaks within the response.
    AcceptThenDrop,
    /// Not accepted, and the connection breaks within the response.
    DropConnection,
    /// HTTP 502 in plain text, not accepted.
    BadGateway,
    /// Accepted, but answered with 5xx and this code.
    AcceptWithServerError(i64),
    /// Accepted with `held_for_quality_assessment`.
    HeldForQuality,
    /// Accepted with `held_for_quality_assessment`, then reported `failed` with 132015.
    HeldThenDropped,
    /// Accepted and delivered, never read.
    NeverRead,
    /// Not accepted, and no response for longer than any client waits.
    TimeOut,
    /// Accepted, but no response for longer than any client waits.
    AcceptThenTimeOut,
    /// Accepted, and answered after ten seconds.
    RespondSlowly,
}

/// The faults that the setting `fault_share` draws from.
pub const RANDOM_FAULTS: [Behavior; 9] = [
    BadGateway,
    AcceptWithServerError(131000),
    DropConnection,
    AcceptThenDrop,
    Behavior::TimeOut,
    Behavior::AcceptThenTimeOut,
    Behavior::RespondSlowly,
    Refuse(130429),
    Refuse(131016),
];

/// The last two digits and their behavior. Numbers that are not listed are ordinary.
pub const MAGIC_NUMBERS: &[(u8, Behavior)] = &[
    (1, AcceptThenDrop),
    (2, DropConnection),
    (3, BadGateway),
    (4, AcceptWithServerError(131000)),
    (5, HeldForQuality),
    (6, NeverRead),
    // Retried, soon or later.
    (10, RefuseTwice(2)),
    (11, RefuseTwice(131016)),
    (12, RefuseTwice(130429)),
    (13, RefuseTwice(131056)),
    (14, RefuseTwice(133004)),
    (15, RefuseTwice(1)),
    (16, Refuse(80007)),
    (17, Refuse(4)),
    (18, Refuse(131057)),
    (19, Refuse(134101)),
    // Final for the recipient.
    (20, Refuse(131021)),
    (21, Refuse(131030)),
    (22, Refuse(130403)),
    (23, Refuse(130497)),
    (24, Refuse(132005)),
    (25, Refuse(132018)),
    (26, Refuse(131062)),
    (27, Refuse(999_999)),
    // The row or the campaign.
    (30, Refuse(100)),
    (31, Refuse(131008)),
    (32, Refuse(131009)),
    (33, Refuse(132000)),
    (34, Refuse(132012)),
    (35, Refuse(132008)),
    // The campaign.
    (40, Refuse(132001)),
    (41, Refuse(132007)),
    (42, Refuse(132015)),
    (43, Refuse(132016)),
    (44, Refuse(132068)),
    (45, Refuse(131051)),
    (46, Refuse(135000)),
    (47, Refuse(134100)),
    (48, Refuse(134102)),
    // The account, or (55, 56, 58, 59) the number.
    (50, Refuse(190)),
    (51, Refuse(10)),
    (52, Refuse(131005)),
    (53, Refuse(131031)),
    (54, Refuse(131042)),
    (55, Refuse(131045)),
    (56, Refuse(131048)),
    (57, Refuse(368)),
    (58, Refuse(133010)),
    (59, Refuse(33)),
    // Failed in a callback.
    (60, FailInCallback(131026)),
    (61, FailInCallback(131047)),
    (62, FailInCallback(131049)),
    (63, FailInCallback(131050)),
    (64, FailInCallback(131053)),
    (65, FailInCallback(130472)),
    (66, FailInCallback(131043)),
    (67, HeldThenDropped),
    // 5xx whose code does not say whether the message was sent.
    (70, RefuseWithServerError(131016)),
    (71, AcceptWithServerError(131016)),
    (72, RefuseWithServerError(2)),
    (73, AcceptWithServerError(2)),
    (74, RefuseWithServerError(999_999)),
    // 5xx whose code says that it was not.
    (80, RefuseTwiceWithServerError(130429)),
    (81, RefuseTwiceWithServerError(131056)),
    (82, RefuseWithServerError(131057)),
    (83, RefuseWithServerError(80007)),
    (84, RefuseWithServerError(131026)),
    (85, RefuseWithServerError(132000)),
    (86, RefuseWithServerError(131045)),
];

/// The behavior of a number, if it is a magic one. `to` with or without `+`.
pub fn behavior_of(to: &str) -> Option<Behavior> {
    let ending = to
        .trim_start_matches('+')
        .strip_prefix("120255501")
        .filter(|ending| ending.len() == 2)?;
    let number: u8 = ending.parse().ok()?;
    MAGIC_NUMBERS
        .iter()
        .find(|(known, _)| *known == number)
        .map(|(_, magic)| *magic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behavior_of_finds_numbers_of_the_table() {
        assert_eq!(behavior_of("+12025550150"), Some(Behavior::Refuse(190)));
        assert_eq!(behavior_of("12025550101"), Some(Behavior::AcceptThenDrop));
        for ordinary in [
            "+12025550100",
            "+12025550199",
            "+5511987654350",
            "+1202555015",
        ] {
            assert_eq!(behavior_of(ordinary), None, "{ordinary}");
        }
    }

    #[test]
    fn table_lists_no_number_twice() {
        let mut numbers: Vec<u8> = MAGIC_NUMBERS.iter().map(|(number, _)| *number).collect();
        numbers.dedup();
        assert!(numbers.len() == MAGIC_NUMBERS.len() && numbers.is_sorted());
    }
}
