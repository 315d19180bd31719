//! Who acts, and from where to where.

use std::net::IpAddr;

use super::class::Class;
use super::json::Object;
use super::limits::NAME_MAX_BYTES;
use crate::event::{AuditEvent, AuthMethod};

/// Who acts, in every class.
pub(super) fn actor(o: &mut Object<'_>, event: &AuditEvent, class: Class) {
    o.object("actor", |o| {
        o.object("user", |o| {
            name(o, event);
            // There, the `user` of the class tells the rest.
            if class != Class::Authentication {
                groups(o, event);
            }
        });
        o.object("session", |o| o.id("uid", event.session_id.0));
        if let Some(issuer) = &event.actor_issuer {
            o.object("idp", |o| {
                o.text("uid", issuer.as_str(), NAME_MAX_BYTES);
                o.text("issuer", issuer.as_str(), NAME_MAX_BYTES);
                o.word("protocol_name", protocol(event.auth_method).map(|(_, name)| name));
            });
        }
        o.text("app_name", event.workload.as_deref(), NAME_MAX_BYTES);
    });
}

/// What a user object says of the actor.
pub(super) fn user(o: &mut Object<'_>, event: &AuditEvent) {
    name(o, event);
    groups(o, event);
}

fn groups(o: &mut Object<'_>, event: &AuditEvent) {
    o.objects("groups", &event.actor_groups, |o, group| {
        o.text("name", group.as_str(), NAME_MAX_BYTES);
    });
}

/// A verified subject is an id; a word in brackets for who it can't be is a name.
fn name(o: &mut Object<'_>, event: &AuditEvent) {
    let actor = event.actor.as_str();
    match event.auth_method {
        AuthMethod::OidcBearer => o.text("uid", actor, NAME_MAX_BYTES),
        AuthMethod::None => {
            o.text("name", actor, NAME_MAX_BYTES);
            o.number("type_id", 0);
        }
        AuthMethod::Stage => {
            o.text("name", actor, NAME_MAX_BYTES);
            o.number("type_id", 3);
            o.word("type", "System");
        }
    }
}

/// The protocol by which the actor was verified, by OCSF's numbers.
pub(super) const fn protocol(method: AuthMethod) -> Option<(i64, &'static str)> {
    match method {
        AuthMethod::OidcBearer => Some((4, "OpenID")),
        AuthMethod::None | AuthMethod::Stage => None,
    }
}

/// From where, to where.
pub(super) fn endpoints(o: &mut Object<'_>, event: &AuditEvent, class: Class) {
    let source = event.source_address.as_str();
    let address = source.parse::<IpAddr>().is_ok().then_some(source);
    o.object("src_endpoint", |o| {
        o.text("name", source, NAME_MAX_BYTES);
        o.text("ip", address, NAME_MAX_BYTES);
    });
    if class != Class::EntityManagement {
        o.object("dst_endpoint", |o| o.text("name", event.connection.as_str(), NAME_MAX_BYTES));
    }
    o.objects("observables", address, |o, address| {
        o.word("name", "src_endpoint.ip");
        o.number("type_id", 2);
        o.word("type", "IP Address");
        o.text("value", address, NAME_MAX_BYTES);
    });
}
