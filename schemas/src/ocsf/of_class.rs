//! What one class has and others have not.

use std::borrow::Cow;

use serde::Deserialize;

use super::class::Class;
use super::json::Object;
use super::limits::{NAME_MAX_BYTES, PAYLOAD_MAX_BYTES, TEXT_MAX_BYTES};
use super::meaning::Meaning;
use super::{millis, who};
use crate::event::{AuditEvent, AuthMethod};
use crate::kind::Kind;

/// The fields of the event's own class.
pub(super) fn fields(o: &mut Object<'_>, event: &AuditEvent, meaning: &Meaning) {
    let class = meaning.class;
    match class {
        Class::ApiActivity => api(o, event),
        Class::DatastoreActivity => datastore(o, event),
        Class::Authentication => authentication(o, event),
        Class::AuthorizeSession => authorized(o, event),
        Class::EntityManagement => entity(o, event),
        Class::DataSecurityFinding => finding(o, event),
        Class::EventLogActivity => {
            o.word("log_name", "audit.events");
            o.word("log_provider", "Trailgate");
            o.number("log_type_id", 2);
            o.word("log_type", "Application");
        }
    }
    if class.has_http() {
        http(o, event);
    }
    if class.has_ai() {
        ai(o, event);
    }
}

/// OCSF's profiles whose attributes this object has.
pub(super) fn profiles(
    event: &AuditEvent,
    class: Class,
) -> impl Iterator<Item = &'static str> + use<> {
    let has_control = event.decision.is_some() || event.risk.is_some();
    let has_ai = class.has_ai() && is_ai(event);
    let has_trace = class == Class::ApiActivity && event.trace_id.is_some();
    [(has_control, "security_control"), (has_ai, "ai_operation"), (has_trace, "trace")]
        .into_iter()
        .filter_map(|(has, profile)| has.then_some(profile))
}

fn api(o: &mut Object<'_>, event: &AuditEvent) {
    o.object("api", |o| {
        let operation = event.operation.as_deref().unwrap_or_else(|| event.kind.word());
        o.text("operation", operation, NAME_MAX_BYTES);
        o.object("service", |o| o.text("name", event.connection.as_str(), NAME_MAX_BYTES));
        if let Some(id) = &event.request_id {
            o.object("request", |o| o.text("uid", id.as_str(), NAME_MAX_BYTES));
        }
        if event.status.is_some() || event.error.is_some() {
            o.object("response", |o| {
                o.number("code", event.status.map(i64::from));
                o.text("error_message", event.error.as_deref(), TEXT_MAX_BYTES);
            });
        }
    });
    resources(o, event);
    if let Some(trace) = &event.trace_id {
        // No span: OCSF wants its beginning and end, and an event is a moment.
        o.object("trace", |o| o.text("uid", trace.as_str(), NAME_MAX_BYTES));
    }
}

fn resources(o: &mut Object<'_>, event: &AuditEvent) {
    o.objects("resources", [event.resource.as_str()], |o, name| {
        o.text("name", name, TEXT_MAX_BYTES);
    });
}

/// A statement over the trail itself.
fn datastore(o: &mut Object<'_>, event: &AuditEvent) {
    o.object("table", |o| o.word("name", "events"));
    if let Some(statement) = &event.payload {
        o.object("query_info", |o| {
            o.id("uid", event.event_id.0);
            o.text("query_string", statement.as_str(), PAYLOAD_MAX_BYTES);
        });
    }
}

fn authentication(o: &mut Object<'_>, event: &AuditEvent) {
    let is_stage = event.auth_method == AuthMethod::Stage;
    o.object("user", |o| match is_stage {
        // A gateway closes a session; whose it was is told by what opened it.
        true => unknown_user(o),
        false => who::user(o, event),
    });
    o.object("session", |o| {
        o.id("uid", event.session_id.0);
        if event.kind == Kind::SessionOpened {
            o.number("created_time", millis(event.gateway_time));
        }
    });
    o.object("service", |o| o.text("name", event.connection.as_str(), NAME_MAX_BYTES));
    if let Some((uid, name)) = who::protocol(event.auth_method) {
        o.number("auth_protocol_id", uid);
        o.word("auth_protocol", name);
    }
    if !is_stage {
        o.number("logon_type_id", 3);
        o.word("logon_type", "Network");
        o.flag("is_remote", true);
    }
}

/// The right to do one thing once, given to whoever asked for it by whoever acts.
fn authorized(o: &mut Object<'_>, event: &AuditEvent) {
    o.object("user", |o| match &event.on_behalf_of {
        Some(user) => o.text("uid", user.as_str(), NAME_MAX_BYTES),
        None => unknown_user(o),
    });
    o.object("session", |o| o.id("uid", event.session_id.0));
    let operation = event.operation.as_ref().map(std::slice::from_ref);
    o.texts("privileges", operation.unwrap_or_default());
}

fn entity(o: &mut Object<'_>, event: &AuditEvent) {
    o.object("entity", |o| {
        o.id("uid", event.hold_id.map(|id| id.0));
        o.text("name", event.resource.as_str(), TEXT_MAX_BYTES);
        o.number("type_id", 99);
        o.word("type", "Hold");
    });
}

fn finding(o: &mut Object<'_>, event: &AuditEvent) {
    o.object("finding_info", |o| {
        o.id("uid", event.hold_id.map_or(event.event_id.0, |id| id.0));
        o.word("title", "An operation waits for a person's decision");
        o.number("created_time", millis(event.gateway_time));
    });
    resources(o, event);
    o.flag("is_alert", true);
}

fn unknown_user(o: &mut Object<'_>) {
    o.word("name", "Unknown");
    o.number("type_id", 0);
}

fn http(o: &mut Object<'_>, event: &AuditEvent) {
    if let Some(method) = &event.method {
        o.object("http_request", |o| {
            o.text("http_method", method.as_str(), NAME_MAX_BYTES);
            o.text("uid", event.request_id.as_deref(), NAME_MAX_BYTES);
            if let Some(target) = &event.path {
                let (path, query) = target.split_once('?').unzip();
                o.object("url", |o| {
                    o.text("path", path.unwrap_or(target.as_str()), TEXT_MAX_BYTES);
                    o.text("query_string", query, TEXT_MAX_BYTES);
                });
            }
            o.text("user_agent", user_agent(event).as_deref(), NAME_MAX_BYTES);
        });
        if let Some(status) = event.status {
            o.object("http_response", |o| o.number("code", i64::from(status)));
        }
    }
}

/// Of a request whose recorded headers have one, and just one.
fn user_agent(event: &AuditEvent) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Told<'a> {
        #[serde(borrow, rename = "user-agent")]
        user_agent: Cow<'a, str>,
    }
    let headers = event.headers.as_deref().filter(|_| event.kind == Kind::Request)?;
    serde_json::from_str(headers).ok().map(|told: Told<'_>| told.user_agent)
}

/// Whether it tells of an agent or a model.
const fn is_ai(event: &AuditEvent) -> bool {
    event.thread_id.is_some()
        || event.run_id.is_some()
        || event.assistant_id.is_some()
        || event.graph_id.is_some()
        || has_model(event)
}

const fn has_model(event: &AuditEvent) -> bool {
    event.model.is_some() || event.input_tokens.is_some() || event.output_tokens.is_some()
}

fn ai(o: &mut Object<'_>, event: &AuditEvent) {
    if !is_ai(event) {
        return;
    }
    if let Some(model) = &event.model {
        o.object("ai_model", |o| {
            o.text("name", model.as_str(), NAME_MAX_BYTES);
            // OCSF wants a name; a model's provider is not told.
            o.word("ai_provider", "Unknown");
        });
    }
    o.object("message_context", |o| {
        let run = event.run_id.map(|id| id.0);
        let conversation = event.thread_id.map(|id| id.0).or(run);
        o.id("uid", conversation.unwrap_or(event.session_id.0));
        if event.graph_id.is_some() || event.assistant_id.is_some() {
            o.object("application", |o| {
                o.text("name", event.graph_id.as_deref(), NAME_MAX_BYTES);
                o.id("uid", event.assistant_id.map(|id| id.0));
            });
        }
        o.object("service", |o| o.text("name", event.connection.as_str(), NAME_MAX_BYTES));
        if event.node.is_some() {
            o.number("ai_role_id", 4);
            o.word("ai_role", "Agent");
        }
        o.number("prompt_tokens", event.input_tokens);
        o.number("completion_tokens", event.output_tokens);
    });
}
