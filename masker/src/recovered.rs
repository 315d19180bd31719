//! A refused record that a person sent again: what it holds is read anew, and becomes an event of its
//! own that names the first.
//!
//! Only what is whole by itself comes out. What is a piece of a body was to be read behind the pieces
//! before it, which are gone: a secret that begins in one of those could not be seen.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use trailgate_schemas::{AuditEvent, Kind, Outcome, PayloadState};

use crate::clean::ends_body;
use crate::reading::{OPENING_KEY_UNKNOWN, Read, Reading};

/// The original can't be read yet, and nobody has to do anything for it.
pub(crate) struct Again(pub(crate) &'static str);

/// The event of a retry, clear: with what the sealed original in its payload tells, or with why that
/// still can't be had.
///
/// # Errors
/// [`Again`] if it is to be tried later.
pub(crate) fn recovered(mut retry: AuditEvent, reading: &mut Reading) -> Result<AuditEvent, Again> {
    let sealed = retry.payload.take().and_then(|sealed| STANDARD.decode(sealed).ok());
    let reason = match reading.read(&sealed.unwrap_or_default()) {
        Read::Event(original) if original.kind == Kind::PayloadRecovered => "kind_not_allowed",
        Read::Event(original) if original.session_id != retry.session_id => "header_differs",
        Read::Event(original) if !is_whole(&original) => "piece_of_a_body",
        Read::Event(original) => return Ok(filled(retry, *original)),
        // It waits for a person, and would keep others waiting.
        Read::NotNow(OPENING_KEY_UNKNOWN) => OPENING_KEY_UNKNOWN,
        Read::NotNow(reason) => return Err(Again(reason)),
        Read::Withheld(_, reason) | Read::Undecodable(reason) => reason,
    };
    retry.payload_type = None;
    retry.payload_state = PayloadState::Withheld;
    retry.payload_reason = Some(reason.to_owned());
    retry.outcome = Outcome::Failed;
    Ok(retry)
}

/// Whether an event's payload is all of a body.
fn is_whole(event: &AuditEvent) -> bool {
    ends_body(event) && event.body_offset.unwrap_or(0) == 0
}

/// The original under the retry's id and number. Who sent it again is the actor, and the original's
/// actor is who that was done for.
fn filled(retry: AuditEvent, original: AuditEvent) -> AuditEvent {
    AuditEvent {
        event_id: retry.event_id,
        kind: retry.kind,
        outcome: Outcome::Succeeded,
        stream_id: retry.stream_id,
        stream_seq: retry.stream_seq,
        stream_count: retry.stream_count,
        producer_id: retry.producer_id,
        producer_number: retry.producer_number,
        source_time: Some(original.gateway_time),
        gateway_time: retry.gateway_time,
        source_address: retry.source_address,
        on_behalf_of: Some(original.actor.as_str().to_owned()),
        actor: retry.actor,
        auth_method: retry.auth_method,
        recovers: Some(original.event_id),
        ..original
    }
}
