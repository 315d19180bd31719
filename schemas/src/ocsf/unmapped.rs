//! What OCSF has no place for, each under its column's name.

use super::class::Class;
use super::json::Object;
use super::limits::{LIST_MAX, NAME_MAX_BYTES, PAYLOAD_MAX_BYTES, TEXT_MAX_BYTES};
use crate::event::AuditEvent;
use crate::payload::{PayloadState, Redaction};

/// The object `unmapped`.
pub(super) fn unmapped(o: &mut Object<'_>, event: &AuditEvent, class: Class) {
    o.object("unmapped", |o| {
        place(o, event);
        asked(o, event, class);
        decided(o, event);
        agent(o, event, class);
        hold(o, event);
        payload(o, event, class);
        redactions(o, event);
    });
}

/// Where the event belongs. Times are as the columns have them, in microseconds.
fn place(o: &mut Object<'_>, event: &AuditEvent) {
    o.word("outcome", event.outcome.word());
    o.number("gateway_time", event.gateway_time.0);
    o.number("source_time", event.source_time.map(|time| time.0));
    o.number("broker_time", event.broker_time.map(|time| time.0));
    o.text("connection", event.connection.as_str(), NAME_MAX_BYTES);
    o.word("session_rule", event.session_rule.word());
    o.id("stream_id", event.stream_id.0);
    o.number("stream_count", event.stream_count);
    o.id("producer_id", event.producer_id.0);
    o.number("producer_number", event.producer_number);
    o.word("auth_method", event.auth_method.word());
    o.text("on_behalf_of", event.on_behalf_of.as_deref(), NAME_MAX_BYTES);
}

/// What was asked, as far as the class has no place for it.
fn asked(o: &mut Object<'_>, event: &AuditEvent, class: Class) {
    let has_resources = matches!(class, Class::ApiActivity | Class::DataSecurityFinding);
    let without = |has: bool, text| if has { None } else { text };
    let resource = without(has_resources, Some(event.resource.as_str()));
    o.text("resource", resource, TEXT_MAX_BYTES);
    let is_api = class == Class::ApiActivity;
    o.text("operation", without(is_api, event.operation.as_deref()), NAME_MAX_BYTES);
    let has_request = is_api || (class.has_http() && event.method.is_some());
    o.text("request_id", without(has_request, event.request_id.as_deref()), NAME_MAX_BYTES);
    let has_http = class.has_http() && event.method.is_some();
    o.text("method", without(has_http, event.method.as_deref()), NAME_MAX_BYTES);
    o.text("path", without(has_http, event.path.as_deref()), TEXT_MAX_BYTES);
    o.text("error", without(is_api, event.error.as_deref()), TEXT_MAX_BYTES);
    o.text("trace_id", without(is_api, event.trace_id.as_deref()), NAME_MAX_BYTES);
    o.text("span_id", event.span_id.as_deref(), NAME_MAX_BYTES);
    o.text("headers", event.headers.as_deref(), TEXT_MAX_BYTES);
}

fn decided(o: &mut Object<'_>, event: &AuditEvent) {
    o.text("decision_context", event.decision_context.as_deref(), TEXT_MAX_BYTES);
    o.texts("risk_factors", &event.risk_factors);
    if event.decision.is_none() {
        o.text("policy_id", event.policy_id.as_deref(), NAME_MAX_BYTES);
    }
    if event.decision.is_none() || event.policy_id.is_none() {
        o.text("policy_version", event.policy_version.as_deref(), NAME_MAX_BYTES);
    }
}

fn agent(o: &mut Object<'_>, event: &AuditEvent, class: Class) {
    o.id("thread_id", event.thread_id.map(|id| id.0));
    o.id("run_id", event.run_id.map(|id| id.0));
    o.id("assistant_id", event.assistant_id.map(|id| id.0));
    o.text("graph_id", event.graph_id.as_deref(), NAME_MAX_BYTES);
    o.text("node", event.node.as_deref(), NAME_MAX_BYTES);
    o.number("step", event.step);
    o.id("task_id", event.task_id.map(|id| id.0));
    o.text("checkpoint_ns", event.checkpoint_ns.as_deref(), NAME_MAX_BYTES);
    o.number("attempt", event.attempt);
    o.text("cron_id", event.cron_id.as_deref(), NAME_MAX_BYTES);
    o.text("surface", event.surface.as_deref(), NAME_MAX_BYTES);
    if !class.has_ai() {
        o.text("model", event.model.as_deref(), NAME_MAX_BYTES);
        o.number("input_tokens", event.input_tokens);
        o.number("output_tokens", event.output_tokens);
    }
}

fn hold(o: &mut Object<'_>, event: &AuditEvent) {
    o.id("hold_id", event.hold_id.map(|id| id.0));
    o.id("hold_claim", event.hold_claim.map(|id| id.0));
    o.text("hold_digest", event.hold_digest.as_deref(), NAME_MAX_BYTES);
    o.text("hold_requester", event.hold_requester.as_deref(), NAME_MAX_BYTES);
    o.texts("hold_reviewers", &event.hold_reviewers);
    o.number("hold_expires_at", event.hold_expires_at.map(|time| time.0));
}

/// The payload, masked, or its beginning. Not its salt: a SIEM may keep what it has longer than the
/// trail may keep a payload, and with salt and commitment a guess of an erased one could be tried.
fn payload(o: &mut Object<'_>, event: &AuditEvent, class: Class) {
    if event.payload_state != PayloadState::None {
        o.word("payload_state", event.payload_state.word());
    }
    o.id("recovers", event.recovers.map(|id| id.0));
    o.text("payload_reason", event.payload_reason.as_deref(), NAME_MAX_BYTES);
    o.text("payload_type", event.payload_type.as_deref(), NAME_MAX_BYTES);
    if class != Class::DatastoreActivity {
        o.text("payload", event.payload.as_deref(), PAYLOAD_MAX_BYTES);
    }
    o.number("payload_bytes", event.payload_bytes);
    o.number("body_offset", event.body_offset);
    o.text("payload_digest", event.payload_digest.as_deref(), NAME_MAX_BYTES);
    o.text("payload_commitment", event.payload_commitment.as_deref(), NAME_MAX_BYTES);
}

/// How many redactions each rule made; where they stand is in `audit.events`.
fn redactions(o: &mut Object<'_>, event: &AuditEvent) {
    if event.redactions.is_empty() {
        return;
    }
    let counts = counts(&event.redactions);
    o.object("redactions", |o| {
        for (rule, count) in counts {
            o.number_of(rule, count);
        }
    });
    o.text("redaction_rules", event.redaction_rules.as_deref(), NAME_MAX_BYTES);
}

/// Counted by rule, in the order of their first finds. The rules of one event are few, so looking
/// through them is faster than a map; those beyond the bound are counted together.
fn counts(redactions: &[Redaction]) -> Vec<(&str, i64)> {
    let mut counts: Vec<(&str, i64)> = Vec::new();
    for redaction in redactions {
        let rule = redaction.rule.as_str();
        let place = counts.iter().position(|(counted, _)| *counted == rule);
        match place.or((counts.len() > LIST_MAX).then_some(LIST_MAX)) {
            Some(place) => counts[place].1 = counts[place].1.saturating_add(redaction.count),
            None if counts.len() == LIST_MAX => counts.push(("others", redaction.count)),
            None => counts.push((rule, redaction.count)),
        }
    }
    counts
}
