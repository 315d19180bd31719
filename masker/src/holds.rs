//! What people decide about: the masked rendering of a held operation, on `audit.holds`.

use bytes::Bytes;
use trailgate_schemas::{AuditEvent, Hold, Kind};
use trailgate_topics::{Outputs, Partition, Topic};

use crate::limits::HOLD_MAX_BYTES;

/// Writes holds, each to the partition of its id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holds {
    partitions: u32,
}

/// What became of a held operation here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Reviewers will see it.
    Hold,
    /// The event tells of none.
    Nothing,
    /// It lacks what a decision is bound to: nobody can decide, and it expires.
    Unfit,
}

impl Holds {
    pub(crate) const fn new(partitions: u32) -> Self {
        Self { partitions }
    }

    /// Writes the hold that a masked event tells of.
    pub(crate) fn show(self, masked: &AuditEvent, outputs: &mut Outputs) -> Shown {
        if masked.kind != Kind::Held {
            return Shown::Nothing;
        }
        let Some(mut hold) = Hold::of(masked) else { return Shown::Unfit };
        let Some(value) = written(&mut hold) else { return Shown::Unfit };
        let partition = Partition::of_hold(hold.hold_id, self.partitions);
        let key = Bytes::copy_from_slice(hold.hold_id.0.as_bytes());
        outputs.send(Topic::Holds, partition, key, value);
        Shown::Hold
    }
}

/// As JSON. What is too long loses its largest parts, and says so: who decides then knows that there
/// is more than is shown.
fn written(hold: &mut Hold) -> Option<Bytes> {
    let mut json = serde_json::to_vec(hold).ok()?;
    if json.len() > HOLD_MAX_BYTES {
        hold.payload = None;
        hold.payload_reason = Some("too_long".to_owned());
        hold.truncated = true;
        json = serde_json::to_vec(hold).ok()?;
    }
    if json.len() > HOLD_MAX_BYTES {
        hold.headers = None;
        json = serde_json::to_vec(hold).ok()?;
    }
    (json.len() <= HOLD_MAX_BYTES).then(|| json.into())
}
