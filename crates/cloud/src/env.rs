//! A function's environment variables, read once at start. Errors name the variable.

use std::str::FromStr;

use campaign::delivery::pacing::Rate;

/// A variable that is not set or cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {name}: {problem}")]
pub struct InvalidVariable {
    name: &'static str,
    problem: String,
}

/// The text of a variable that must be set.
pub fn required(name: &'static str) -> Result<String, InvalidVariable> {
    optional(name).ok_or_else(|| InvalidVariable {
        name,
        problem: "is not set".into(),
    })
}

/// The text of a variable that may be unset or empty.
pub fn optional(name: &'static str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// A variable that must be set, parsed.
pub fn parsed<T: FromStr>(name: &'static str) -> Result<T, InvalidVariable> {
    let text = required(name)?;
    text.parse().map_err(|_| InvalidVariable {
        name,
        problem: format!("`{text}` does not have the expected form"),
    })
}

/// The send rate, from `TPS_BUDGET` and `SLOTS` (0: one for each send per second).
pub fn send_rate() -> Result<Rate, InvalidVariable> {
    let rate = Rate::new(parsed("TPS_BUDGET")?, parsed("SLOTS")?);
    rate.map_err(|error| InvalidVariable {
        name: "TPS_BUDGET",
        problem: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_names_its_variable() {
        let error = parsed::<u32>("CRIER_NO_SUCH_VARIABLE").expect_err("absent");
        assert!(
            error.to_string().contains("CRIER_NO_SUCH_VARIABLE"),
            "{error}"
        );
    }
}
