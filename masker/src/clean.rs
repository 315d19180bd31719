//! Masking a payload with what is held of its body.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use trailgate_envelope::{NoChance, Secret};
use trailgate_redact::{
    Finding, Out, OwnRules, Redactor, Rules, Shape, TokenKey, Withheld, Wrapping, hash_of,
};
use trailgate_schemas::{AuditEvent, EventId, Kind, Micros, PayloadState, Redaction};
use trailgate_service::contain;

use crate::body::Body;
use crate::gap::derived;
use crate::limits::{FIELD_MAX_BYTES, REDACTIONS_MAX};

/// Masks events.
pub(crate) struct Cleaner {
    redactor: Redactor,
    own: Arc<OwnRules>,
    key: TokenKey,
    /// A text on which it panics, as a mistake in a detector would.
    #[cfg(test)]
    pub(crate) panics_on: Option<&'static str>,
}

impl Cleaner {
    /// Masks by these rules, as they are at the time, with tokens under `token`.
    pub(crate) fn new(own: Arc<OwnRules>, token: &Secret) -> Self {
        let key = TokenKey::new(token.bytes());
        Self {
            redactor: Redactor::new(own.current(), key.clone()),
            own,
            key,
            #[cfg(test)]
            panics_on: None,
        }
    }

    /// Takes new rules, if there are any. Open bodies end under those that they began with.
    pub(crate) fn renew(&mut self) {
        let rules = self.own.current();
        if !std::ptr::eq(&*rules, self.redactor.rules()) {
            self.redactor = Redactor::new(rules, self.key.clone());
        }
    }

    /// What masks a body that begins now.
    pub(crate) const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Masks the payload, going on where `held` is, or as a body of `shape`. Gives back the body if
    /// it stays open.
    pub(crate) fn payload(
        &self,
        event: &mut AuditEvent,
        held: Option<Body>,
        shape: Shape,
        now: Micros,
    ) -> Option<Body> {
        #[cfg(test)]
        if let (Some(word), Some(payload)) = (self.panics_on, &event.payload) {
            assert!(!payload.contains(word), "as a mistake in a detector would");
        }
        let is_of_bytes = matches!(shape, Shape::Multipart(_) | Shape::Wrapped(..));
        // A head that comes before its body may alone know how that is to be read.
        if event.payload.is_none() && held.is_none() && !is_of_bytes {
            return None;
        }
        let reads_bytes = held.as_ref().map_or(is_of_bytes, |body| body.stream.reads_bytes());
        if !reads_bytes && !is_readable(event) {
            withhold(event, "not_text");
            return held;
        }
        let ends = ends_body(event);
        let held_since = held.as_ref().filter(|body| body.has_tail()).map(|body| body.held_since);
        let mut stream = held.map_or_else(|| self.redactor.stream(shape), |body| body.stream);
        let piece = event.payload.as_deref().unwrap_or_default();
        let out = match as_text(event).filter(|_| reads_bytes) {
            Some(text_type) => {
                let out = stream.push_base64(piece, ends);
                event.payload_type = Some(text_type);
                out
            }
            None if is_cut_short(event) => {
                let out = stream.push(piece);
                joined(out, stream.flush_after_timeout())
            }
            None if ends => stream.push_last(piece),
            None => stream.push(piece),
        };
        let has_moved = !out.text.is_empty();
        put_payload(stream.redactor().rules(), event, out);
        if ends || stream.is_new() {
            return None;
        }
        let mut last = event.clone();
        last.payload = None;
        last.redactions = Vec::new();
        let held_since = held_since.filter(|_| !has_moved).unwrap_or(now);
        Some(Body { stream, last, held_since })
    }

    /// Lets out what is held of a body that stays open: the record that tells of it.
    pub(crate) fn flush(&self, body: &mut Body, now: Micros) -> Option<AuditEvent> {
        let out = contain(|| body.stream.flush_after_timeout());
        if out.is_none() {
            body.stream = self.redactor.withheld(Withheld::Failed);
        }
        body.held_since = now;
        tail_event(body, out.unwrap_or_else(failed))
    }

    /// Lets out what is held of a body that ends: the record that tells of it.
    pub(crate) fn finish(&self, mut body: Body) -> Option<AuditEvent> {
        let out = contain(|| body.stream.finish());
        tail_event(&body, out.unwrap_or_else(failed))
    }

    /// A body of which nothing comes out from here on; `last` is its last record.
    pub(crate) fn lost(&self, last: &AuditEvent, now: Micros) -> Body {
        let stream = self.redactor.withheld(Withheld::Failed);
        Body { stream, last: last.clone(), held_since: now }
    }

    /// Commits to the masked payload, and keeps the event within its bounds.
    pub(crate) fn commit(&self, event: &mut AuditEvent) -> Result<(), NoChance> {
        if let Some(payload) = &mut event.payload {
            event.truncated |= cut(payload);
            let mut salt = [0; 16];
            aws_lc_rs::rand::fill(&mut salt).map_err(|_| NoChance)?;
            let mut hash = Context::new(&SHA256);
            hash.update(&salt);
            hash.update(payload.as_bytes());
            event.payload_salt = Some(hex::encode(salt));
            event.payload_commitment = Some(hex::encode(hash.finish()));
        }
        let texts = [&mut event.path, &mut event.headers, &mut event.error];
        for text in texts.into_iter().flatten() {
            event.truncated |= cut(text);
        }
        if event.redactions.len() > REDACTIONS_MAX {
            event.redactions = counted(&event.redactions);
        }
        Ok(())
    }
}

/// What a body is made of. The gateway records a media type without its parameters; those, such as
/// the boundary of a form in parts, and what the body is compressed with, are in the head, before
/// that is masked, and that may come before the body. Bytes of which no head tells may say
/// themselves what they are.
pub(crate) fn shape_of(event: &AuditEvent) -> Shape {
    let recorded = event.payload_type.as_deref().unwrap_or_default();
    let is_of_body =
        matches!(event.kind, Kind::Request | Kind::Response | Kind::Held | Kind::PayloadRecovered);
    let headers = event.headers.as_deref().filter(|_| is_of_body).unwrap_or_default();
    let headers: serde_json::Value = serde_json::from_str(headers).unwrap_or_default();
    let told = |name: &str| headers.get(name).and_then(|value| value.as_str());
    let shape = Shape::of_head(told("content-type"), told("content-encoding"));
    if matches!(shape, Shape::Multipart(_) | Shape::Wrapped(..)) {
        return shape;
    }
    match recorded.strip_suffix(";base64") {
        Some(bare) if is_of_body && !bare.starts_with("multipart/") => {
            Shape::Wrapped(Wrapping::unsaid(), Box::new(Shape::of_media_type(bare)))
        }
        _ => Shape::of_media_type(recorded),
    }
}

/// The type of a payload that is base64, without saying so.
fn as_text(event: &AuditEvent) -> Option<String> {
    event.payload_type.as_deref()?.strip_suffix(";base64").map(str::to_owned)
}

/// Whether a payload is text that the detectors read. Bytes that nothing opened are not: what they
/// say can't be masked, so it is not shown.
fn is_readable(event: &AuditEvent) -> bool {
    as_text(event).is_none() && !event.payload.as_deref().is_some_and(|text| text.contains('\0'))
}

fn withhold(event: &mut AuditEvent, reason: &str) {
    event.payload = None;
    event.payload_state = PayloadState::Withheld;
    event.payload_reason = Some(reason.to_owned());
}

/// Whether no more of the event's body comes: its record has the digest of the whole, or the event
/// is no piece of a body but has all of its payload.
pub(crate) fn ends_body(event: &AuditEvent) -> bool {
    match event.kind {
        Kind::Request | Kind::Response | Kind::FrameIn | Kind::FrameOut => {
            event.payload_digest.is_some()
                || event.stream_count.is_some()
                || event.payload_state == PayloadState::BeyondCap
        }
        _ => true,
    }
}

/// Whether the event shows only how a body begins. The secret that its end may cut in two is masked
/// as the beginning of one.
fn is_cut_short(event: &AuditEvent) -> bool {
    event.kind == Kind::Held && event.truncated
}

/// What comes out of a body whose masking failed.
fn failed() -> Out {
    Out { withheld: Some(Withheld::Failed), ..Out::default() }
}

fn joined(mut out: Out, rest: Out) -> Out {
    let moved = out.text.len();
    out.findings.extend(
        rest.findings.into_iter().map(|found| Finding { start: found.start + moved, ..found }),
    );
    out.text.push_str(&rest.text);
    out.withheld = out.withheld.or(rest.withheld);
    out
}

fn put_payload(rules: &Rules, event: &mut AuditEvent, out: Out) {
    if out.text.is_empty() && event.payload.is_none() && out.withheld.is_none() {
        return;
    }
    if let Some(why) = out.withheld {
        if event.payload_state != PayloadState::BeyondCap {
            withhold(event, why.code());
        }
        return;
    }
    event.redactions.extend(told(rules, "payload", &out.text, &out.findings));
    event.payload = Some(out.text);
    if event.payload_state == PayloadState::None {
        event.payload_state = PayloadState::Recorded;
    }
}

fn tail_event(body: &Body, out: Out) -> Option<AuditEvent> {
    if out.text.is_empty() && out.withheld != Some(Withheld::Failed) {
        return None;
    }
    let mut event = body.last.clone();
    let last = event.event_id.0;
    event.event_id = EventId(derived(&[b"tail", last.as_bytes()]));
    event.reason = Some("held_tail".to_owned());
    event.payload_digest = None;
    event.stream_count = None;
    put_payload(body.stream.redactor().rules(), &mut event, out);
    Some(event)
}

/// What was replaced in a field, which is `text` now.
pub(crate) fn told(
    rules: &Rules,
    field: &str,
    text: &str,
    findings: &[Finding],
) -> impl Iterator<Item = Redaction> {
    findings.iter().map(move |finding| {
        let replacement = text.get(finding.start..).and_then(|rest| {
            let end = rest.starts_with('[').then(|| rest.find(']'))??;
            Some(&rest[..=end])
        });
        let end = replacement.map(|replacement| finding.start + replacement.len());
        let token = replacement.and_then(hash_of);
        Redaction {
            rule: finding.rule.to_string(),
            field: field.to_owned(),
            start: i64::try_from(finding.start).ok(),
            count: 1,
            end: end.and_then(|end| i64::try_from(end).ok()),
            length: Some(finding.length.word().to_owned()),
            class: Some(finding.class.word().to_owned()),
            severity: Some(finding.severity.word().to_owned()),
            validators: rules.validators(&finding.rule).map(str::to_owned).collect(),
            action: token.map(|_| "token".to_owned()),
            token: token.map(str::to_owned),
        }
    })
}

/// One entry for each rule and field.
fn counted(redactions: &[Redaction]) -> Vec<Redaction> {
    let mut counts: std::collections::BTreeMap<(&str, &str), i64> = Default::default();
    for redaction in redactions {
        *counts.entry((&redaction.rule, &redaction.field)).or_default() += redaction.count;
    }
    let redaction = |((rule, field), count): ((&str, &str), i64)| Redaction {
        rule: rule.to_owned(),
        field: field.to_owned(),
        start: None,
        count,
        ..Redaction::default()
    };
    counts.into_iter().map(redaction).collect()
}

fn cut(text: &mut String) -> bool {
    if text.len() <= FIELD_MAX_BYTES {
        return false;
    }
    text.truncate(text.floor_char_boundary(FIELD_MAX_BYTES));
    true
}
