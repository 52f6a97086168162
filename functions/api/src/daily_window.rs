//! The hours of the day in which a campaign sends, as the API takes and shows them.

use campaign::lifecycle::daily_window::{DailyWindow, Day, TimeOfDay, WindowProblem, WindowZone};
use serde::{Deserialize, Serialize};
use strum::VariantArray;
use utoipa::ToSchema;

use crate::openapi::DayName;
use crate::problem::Problem;

/// The hours of the day in which a campaign sends. Rows wait while it is closed; what a recipient's clock shows counts, also
/// where it is set forward or back.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DailyWindow)]
pub struct WindowBody {
    /// It opens at this time.
    #[schema(example = "09:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    from: String,
    /// It closes at this time, up to `24:00`: on the next day, where that is earlier than `from`. It is open for 15 minutes at
    /// least.
    #[schema(example = "20:00", pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
    to: String,
    /// Whose clock counts: `recipient` (each number's own time zone; with several, the window is open while it is open in all
    /// of them), or a zone of the IANA database.
    #[schema(example = "America/Sao_Paulo")]
    zone: String,
    /// The days on which it opens; every day by default.
    #[schema(value_type = Option<Vec<DayName>>, min_items = 1,
        example = json!(["monday", "tuesday", "wednesday", "thursday", "friday"]))]
    days: Option<Vec<Day>>,
}

impl WindowBody {
    /// The window, if it can open.
    pub(crate) fn into_window(self) -> Result<DailyWindow, Problem> {
        let at = |field: &str| {
            let pointer = format!("/window/{field}");
            move |problem: WindowProblem| Problem::invalid_field(pointer, problem.to_string())
        };
        let from: TimeOfDay = self.from.parse().map_err(at("from"))?;
        let to: TimeOfDay = self.to.parse().map_err(at("to"))?;
        let zone: WindowZone = self.zone.parse().map_err(at("zone"))?;
        let days = self.days.unwrap_or_else(|| Day::VARIANTS.to_vec());
        DailyWindow::new(from, to, zone, days).map_err(|problem| {
            let field = match problem {
                WindowProblem::StartsAtEndOfDay => "from",
                WindowProblem::NoDay => "days",
                WindowProblem::TooShort
                | WindowProblem::NoTimeOfDay
                | WindowProblem::UnknownZone => "to",
            };
            at(field)(problem)
        })
    }
}

impl From<DailyWindow> for WindowBody {
    fn from(window: DailyWindow) -> Self {
        Self {
            from: window.from.to_string(),
            to: window.to.to_string(),
            zone: window.zone.to_string(),
            days: Some(window.days),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn window(change: (&str, Value)) -> Result<DailyWindow, Problem> {
        let mut body = json!({"from": "09:00", "to": "20:00", "zone": "recipient"});
        body[change.0] = change.1;
        let body: WindowBody = serde_json::from_value(body).expect("the members of a window");
        body.into_window()
    }

    #[test]
    fn window_is_taken_and_shown_as_it_was_written() {
        let days = json!(["monday", "friday"]);
        let window = window(("days", days.clone())).expect("valid");
        let shown = serde_json::to_value(WindowBody::from(window)).expect("JSON");
        assert_eq!(
            shown,
            json!({"from": "09:00", "to": "20:00", "zone": "recipient", "days": days})
        );
    }

    #[test]
    fn problem_names_the_field() {
        for (field, value) in [
            ("from", "9:00"),
            ("from", "24:00"),
            ("from", "09:60"),
            ("to", "24:01"),
            ("to", "+9:00"),
            ("to", "09:00"),
            ("to", "09:14"),
            ("zone", "Brazil"),
            ("zone", ""),
            ("zone", "Etc/Unknown"),
        ] {
            let problem = window((field, json!(value))).expect_err(value);
            assert_eq!(
                problem.field,
                Some(format!("/window/{field}")),
                "{value}: {}",
                problem.detail
            );
        }
        let problem = window(("days", json!([]))).expect_err("no day");
        assert_eq!(problem.field.as_deref(), Some("/window/days"));
    }
}
