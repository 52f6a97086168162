//! What can be wrong with a phone number, in sentences for the operator.

/// Why a cell has no number that a message can be sent to. The text is the `problem` in the rejects file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum PhoneProblem {
    /// The cell is empty.
    #[error("the phone number is empty")]
    Empty,
    /// There are too few digits.
    #[error("this is not a phone number")]
    NotANumber,
    /// There are letters among the digits: a name, an extension or a vanity number.
    #[error("there are letters in the phone number")]
    Letters,
    /// The number is in scientific notation, such as `5.5E+11`.
    #[error("a spreadsheet rounded the number to powers of ten: its last digits are lost")]
    Scientific,
    /// There is more than one number.
    #[error("there is more than one number in this cell")]
    TwoNumbers,
    /// The number would be valid with a zero in front.
    #[error("the number lacks a digit in front: a leading zero was probably lost in a spreadsheet")]
    LostZero,
    /// The number has no country code, and the campaign no default region.
    #[error("the country code is missing or unknown")]
    NoCountry,
    /// There are fewer digits than the country uses.
    #[error("the number is too short for its country")]
    TooShort,
    /// There are more digits than the country uses.
    #[error("the number is too long for its country")]
    TooLong,
    /// The length is right, but the country has no numbers in this range.
    #[error("no number of this country looks like this")]
    Invalid,
}

impl PhoneProblem {
    /// What the operator can do. The text is the `fix` in the rejects file.
    pub fn fix(self) -> &'static str {
        match self {
            PhoneProblem::Empty => "write the number as +<country><number>",
            PhoneProblem::NotANumber | PhoneProblem::Letters => {
                "leave nothing but the number, as +<country><number>"
            }
            PhoneProblem::Scientific => {
                "take the number from where it came from; format the column as text before you paste or open it"
            }
            PhoneProblem::TwoNumbers => "keep one number; put the other one into a row of its own",
            PhoneProblem::LostZero => {
                "put the zero back, or write the number as +<country><number>; format the column as text"
            }
            PhoneProblem::NoCountry => {
                "write the number as +<country><number>, or set options.default_region for numbers of one country"
            }
            PhoneProblem::TooShort | PhoneProblem::TooLong | PhoneProblem::Invalid => {
                "check the number where it came from; write it as +<country><number>"
            }
        }
    }
}
