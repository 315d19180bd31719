//! Sending sealed originals again: each as a record of its own, under the operator's key.

use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use trailgate_envelope::{Sealer, Stage};
use trailgate_schemas::{
    Actor, AuditEvent, Kind, Outcome, PayloadState, Place, Required, Resource, SealedEvent,
    SessionRule, SourceAddress,
};
use trailgate_service::{Clock, Ids, RandomIds, SystemClock};
use trailgate_topics::RawWriter;

use super::shelf::{Found, PlaceOf, Shelf};

/// Sends what lies at these places again, in their order; how many were.
///
/// # Errors
/// If one can't be, which is told by its place. Those before it were sent.
pub(crate) async fn retry(shelf: &mut Shelf, places: &[PlaceOf]) -> anyhow::Result<usize> {
    let sealing = shelf.keys.load_sealing(Stage::Operator).context(
        "an operator's key is needed: `trailgate keys new` makes it where all keys are made",
    )?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sealer = Sealer::new(sealing.sender, sealing.opening, Arc::clone(&clock));
    let (backbone, ids) = (Arc::clone(&shelf.backbone), Arc::new(RandomIds));
    let name = Stage::Operator.name();
    let writer = RawWriter::start(backbone, sealer, name, Arc::clone(&clock), ids).await?;
    let sent = send(shelf, places, &writer, &*clock).await;
    let finished = writer.finish().await.context("last heartbeat");
    sent.and_then(|sent| finished.map(|()| sent))
}

async fn send(
    shelf: &mut Shelf,
    places: &[PlaceOf],
    writer: &RawWriter,
    clock: &dyn Clock,
) -> anyhow::Result<usize> {
    let mut sent = 0;
    for some in places.chunks(AT_ONCE) {
        for one in shelf.at(some).await? {
            let nothing = || format!("{}: no sealed event, so nothing can be sent", one.place);
            let header = one.header.as_ref().with_context(nothing)?;
            let event = event(&one, header, clock.now())?;
            writer.record(event).await.with_context(|| format!("{}: not sent", one.place))?;
            sent += 1;
        }
    }
    Ok(sent)
}

/// The record of a retry. Its session is the original's, so it goes to the same masker.
fn event(
    one: &Found,
    header: &SealedEvent,
    now: trailgate_schemas::Micros,
) -> anyhow::Result<AuditEvent> {
    let ids = RandomIds;
    let required = Required {
        actor: Actor::new(format!("operator {}", user()))?,
        kind: Kind::PayloadRecovered,
        gateway_time: now,
        outcome: Outcome::Started,
        source_address: SourceAddress::new("operator")?,
        resource: Resource::new(format!("audit.refused/{}", one.place))?,
    };
    let place = Place {
        tenant: "default".to_owned(),
        connection: "operator".to_owned(),
        session_id: header.session_id,
        session_rule: SessionRule::Connection,
        stream_id: ids.stream(),
        stream_seq: 0,
    };
    let mut event = AuditEvent::new(ids.event(), required, place);
    event.stream_count = Some(1);
    event.recovers = Some(header.event_id);
    event.payload_state = PayloadState::Recorded;
    event.payload_type = Some("application/octet-stream;base64".to_owned());
    event.payload = Some(STANDARD.encode(&one.refused.sealed));
    Ok(event)
}

/// Who is at the terminal, by number, as the system says. The operator's key is what proves the right to.
fn user() -> String {
    let process = std::fs::metadata("/proc/self");
    process.map_or_else(|_| "unknown".to_owned(), |process| format!("uid {}", process.uid()))
}

/// Sealed originals that are in memory, a quarter of a MiB each at most.
const AT_ONCE: usize = 50;
