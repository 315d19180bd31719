//! A moment, as every record stores it.

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// The moment `duration` later; saturates at the end of time.
    #[must_use]
    pub fn plus(self, duration: std::time::Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// The moment `duration` earlier; saturates at the beginning of time.
    #[must_use]
    pub fn minus(self, duration: std::time::Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        let micros = self.0.saturating_sub(earlier.0).max(0);
        std::time::Duration::from_micros(micros.unsigned_abs())
    }

    /// The moment as text, RFC 3339 in UTC, with as much of a second as there is. Days become a date
    /// by the proleptic Gregorian calendar, counted in years that begin in March so that the leap
    /// day is a year's last.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let (seconds, fraction) = (self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000));
        let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let since_0000_03_01 = days + 719_468;
        let (era, of_era) =
            (since_0000_03_01.div_euclid(146_097), since_0000_03_01.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339() {
        assert_eq!(Micros(0).rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(Micros(-1).rfc3339(), "1969-12-31T23:59:59.999999Z");
        assert_eq!(Micros(1_709_164_800_000_000).rfc3339(), "2024-02-29T00:00:00Z");
        assert_eq!(Micros(1_709_251_199_000_010).rfc3339(), "2024-02-29T23:59:59.000010Z");
        assert_eq!(Micros(951_782_400_000_000).rfc3339(), "2000-02-29T00:00:00Z");
        assert_eq!(Micros(1_795_485_943_000_000).rfc3339(), "2026-11-24T02:05:43Z");
        assert_eq!(Micros(4_107_542_400_000_000).rfc3339(), "2100-03-01T00:00:00Z");
    }
}
