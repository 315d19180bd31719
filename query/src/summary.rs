//! How complete an answer is.

use arrow::temporal_conversions::timestamp_us_to_datetime;
use serde_json::{Value, json};
use trailgate_schemas::Micros;

use crate::pinned::TailState;

/// How complete an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Every event that the backbone took before this moment was seen. Absent if not known.
    pub complete_until: Option<Micros>,
    /// How the tail stood.
    pub tail: TailState,
    /// How many rows the answer has.
    pub rows: usize,
    /// Whether rows beyond the bound were cut off.
    pub is_cut: bool,
}

impl Summary {
    /// As the last of JSON lines.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "complete_until": self.complete_until.map(rfc3339),
            "tail": self.tail.word(),
            "rows": self.rows,
            "cut": self.is_cut,
        })
    }
}

/// A moment as text: RFC 3339 in UTC with microseconds.
#[must_use]
pub fn rfc3339(at: Micros) -> String {
    let time = timestamp_us_to_datetime(at.0);
    time.map_or_else(String::new, |time| time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(Micros(0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(Micros(1_709_164_799_999_999)), "2024-02-28T23:59:59.999999Z");
        assert_eq!(rfc3339(Micros(1_709_164_800_000_000)), "2024-02-29T00:00:00.000000Z");
        assert_eq!(rfc3339(Micros(-1)), "1969-12-31T23:59:59.999999Z");
    }

    #[test]
    fn a_summary_says_what_is_not_known_as_null() {
        let summary =
            Summary { complete_until: None, tail: TailState::Full, rows: 2, is_cut: true };
        let json = r#"{"complete_until":null,"cut":true,"rows":2,"tail":"full"}"#;
        assert_eq!(summary.json().to_string(), json);
    }
}
