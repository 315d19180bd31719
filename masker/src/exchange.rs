//! Exchanges that are open: what to say of one whose producer falls silent before its end.

use serde::{Deserialize, Serialize};
use trailgate_schemas::{AuditEvent, EventId, Kind, Micros, Outcome, PayloadState, ProducerId};

use crate::gap::derived;

/// An open exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) producer: ProducerId,
    /// Its first record, masked, without its payload.
    first: AuditEvent,
}

impl Exchange {
    /// The exchange that this masked record opens or goes on with; none if it is no part of one.
    pub(crate) fn of(masked: &AuditEvent) -> Option<Self> {
        match masked.kind {
            Kind::Request | Kind::Response | Kind::FrameIn | Kind::FrameOut => {}
            _ => return None,
        }
        let mut first = masked.clone();
        first.payload = None;
        first.payload_state = PayloadState::None;
        (first.payload_type, first.payload_bytes, first.payload_digest) = (None, None, None);
        (first.body_offset, first.headers) = (None, None);
        first.frames.clear();
        first.redactions.clear();
        Some(Self { producer: masked.producer_id, first })
    }

    /// Nobody will say how it ended, for this reason. `number` is where its producer stood then.
    pub(crate) fn unknown(self, reason: &str, number: i64, now: Micros) -> AuditEvent {
        let mut event = self.first;
        let name = [b"unknown", event.stream_id.0.as_bytes().as_slice(), &number.to_be_bytes()];
        event.event_id = EventId(derived(&name));
        event.kind = Kind::Unknown;
        event.outcome = Outcome::Unknown;
        event.reason = Some(reason.to_owned());
        event.status = None;
        event.producer_number = number;
        event.gateway_time = now;
        event.broker_time = Some(now);
        event
    }
}
