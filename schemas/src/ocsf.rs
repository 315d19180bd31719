//! A masked event as a SIEM takes it: one OCSF 1.8 object, whose class and activity are chosen by
//! the event's kind alone.
//!
//! What OCSF has no place for stands in `unmapped`, under the name that it has as a column. A fact
//! stands once, but for a few that a class wants in two places. An object is bounded: a text that is
//! longer than its bound in [`limits`] is cut, and `metadata.is_truncated` says so. All of it is in
//! `audit.events`.
//!
//! Written straight into bytes, because the masker does it for every event: 7 us and 4.6 KB for an
//! event with every field and 1 KiB of payload, where its Avro takes 11 (2026-11-28, a development
//! build with these crates optimised, 2 busy cores). The rejected form is a tree of structs with
//! `serde`: a hundred optional fields, each with its attribute, and nobody to own what was cut.

mod class;
mod json;
mod limits;
mod meaning;
mod of_class;
mod unmapped;
mod who;

use self::class::Class;
use self::json::Object;
use self::limits::{NAME_MAX_BYTES, OBJECT_USUAL_BYTES};
use self::meaning::{Activity, Meaning};
use crate::event::{AuditEvent, Decision};
use crate::outcome::Outcome;
use crate::time::Micros;

/// The version of OCSF that [`ocsf_json`] writes.
pub const OCSF_VERSION: &str = "1.8.0";

/// The OCSF object of a masked event, as JSON. The same event always makes the same bytes.
#[must_use]
pub fn ocsf_json(event: &AuditEvent) -> Vec<u8> {
    written(event, Meaning::of(event.kind))
}

fn written(event: &AuditEvent, meaning: Meaning) -> Vec<u8> {
    json::written(OBJECT_USUAL_BYTES, |o| {
        what(o, event, &meaning);
        outcome(o, event, &meaning);
        who::actor(o, event, meaning.class);
        who::endpoints(o, event, meaning.class);
        of_class::fields(o, event, &meaning);
        control(o, event);
        unmapped::unmapped(o, event, meaning.class);
        // Last, since it says whether anything was cut.
        metadata(o, event, meaning.class);
    })
}

/// Which type of event this is, and how much it matters.
fn what(o: &mut Object<'_>, event: &AuditEvent, meaning: &Meaning) {
    let Activity { uid, name } = meaning.activity(event);
    let (class, severity) = (meaning.class, meaning.severity(event.outcome));
    o.number("class_uid", class.uid());
    o.word("class_name", class.name());
    o.number("category_uid", class.category().0);
    o.word("category_name", class.category().1);
    o.number("activity_id", uid);
    o.word("activity_name", name);
    o.number("type_uid", class.uid() * 100 + uid);
    o.number("severity_id", severity.uid());
    o.word("severity", severity.name());
    o.number("time", millis(event.gateway_time));
    o.number("count", event.count);
}

/// How it came out. *Allowed*, *started* and *interrupted* are neither success nor failure.
fn outcome(o: &mut Object<'_>, event: &AuditEvent, meaning: &Meaning) {
    let (uid, name) = match (meaning.class, event.outcome) {
        // A finding's status is where its life stands.
        (Class::DataSecurityFinding, _) => meaning.finding_status(),
        // Whoever is let in was authenticated, whatever becomes of the session.
        (Class::Authentication, Outcome::Started | Outcome::Allowed) | (_, Outcome::Succeeded) => {
            (1, "Success")
        }
        (_, Outcome::Denied | Outcome::Failed) => (2, "Failure"),
        (_, Outcome::Unknown) => (0, "Unknown"),
        (_, Outcome::Allowed) => (99, "Allowed"),
        (_, Outcome::Started) => (99, "Started"),
        (_, Outcome::Interrupted) => (99, "Interrupted"),
    };
    o.number("status_id", uid);
    o.word("status", name);
    o.digits("status_code", event.status.map(i64::from));
    o.text("status_detail", event.reason.as_deref(), NAME_MAX_BYTES);
}

/// What the gateway decided, by OCSF's profile of security controls.
fn control(o: &mut Object<'_>, event: &AuditEvent) {
    o.number("risk_score", event.risk.map(i64::from));
    let Some(decision) = event.decision else { return };
    let (action, disposition) = match decision {
        Decision::Allow => ((1, "Allowed"), (1, "Allowed")),
        Decision::Deny => ((2, "Denied"), (2, "Blocked")),
        Decision::Hold => ((99, "Held"), (14, "Delayed")),
    };
    o.number("action_id", action.0);
    o.word("action", action.1);
    o.number("disposition_id", disposition.0);
    o.word("disposition", disposition.1);
    o.objects("authorizations", [decision], |o, decision| {
        o.word("decision", decision.word());
        if let Some(policy) = &event.policy_id {
            o.object("policy", |o| {
                o.text("uid", policy.as_str(), NAME_MAX_BYTES);
                o.text("version", event.policy_version.as_deref(), NAME_MAX_BYTES);
            });
        }
    });
}

fn metadata(o: &mut Object<'_>, event: &AuditEvent, class: Class) {
    o.object("metadata", |o| {
        o.word("version", OCSF_VERSION);
        o.object("product", |o| {
            o.word("name", PRODUCT);
            o.word("vendor_name", PRODUCT);
            o.word("version", env!("CARGO_PKG_VERSION"));
        });
        o.words("profiles", of_class::profiles(event, class));
        o.id("uid", event.event_id.0);
        o.id("correlation_uid", event.session_id.0);
        o.word("event_code", event.kind.word());
        o.text("tenant_uid", event.tenant.as_str(), NAME_MAX_BYTES);
        o.number("sequence", event.stream_seq);
        o.number("logged_time", event.broker_time.map(millis));
        if o.is_cut() || event.truncated {
            o.flag("is_truncated", true);
        }
    });
}

/// OCSF's times are milliseconds.
const fn millis(time: Micros) -> i64 {
    time.0.div_euclid(1_000)
}

const PRODUCT: &str = "Trailgate";

#[cfg(test)]
mod tests;
