//! What a producer's heartbeat says.

use serde::Deserialize;
use trailgate_schemas::AuditEvent;

/// A producer's count on a partition, and the numbers that it used and gave up on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) count: i64,
    pub(crate) abandoned: Vec<i64>,
}

#[derive(Default, Deserialize)]
struct Told {
    #[serde(default)]
    abandoned: Vec<i64>,
}

impl Heartbeat {
    pub(crate) fn of(event: &AuditEvent) -> Self {
        let told: Told =
            event.payload.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        Self { count: event.count.unwrap_or(0), abandoned: told.abandoned }
    }
}
