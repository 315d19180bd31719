//! What a kind of event means to a SIEM: its class, its activity, and how much it matters. One line
//! for each kind.

use self::Severity::{High, Informational, Low, Medium};
use super::class::Class::{
    self, ApiActivity, Authentication, AuthorizeSession, DataSecurityFinding, DatastoreActivity,
    EntityManagement, EventLogActivity,
};
use crate::event::AuditEvent;
use crate::kind::Kind;
use crate::outcome::Outcome;

/// What a kind means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning {
    pub(super) class: Class,
    does: Does,
    least: Severity,
}

#[derive(Clone, Copy, Debug)]
enum Does {
    /// An activity of the class.
    Activity(Activity),
    /// To create, read, update or delete, by the event's operation.
    AsAsked,
    /// None that the class has: the kind's own word.
    Other,
}

/// What was done, within a class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Activity {
    pub(super) uid: i64,
    pub(super) name: &'static str,
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Informational,
    Low,
    Medium,
    High,
}

impl Meaning {
    /// The meaning of `kind`.
    pub(super) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::SessionOpened => told(Authentication, LOGON, Informational),
            Kind::SessionClosed => told(Authentication, LOGOFF, Informational),
            Kind::LoginRefused => told(Authentication, LOGON, Low),
            Kind::Request => told(ApiActivity, Does::AsAsked, Informational),
            Kind::Response => told(ApiActivity, Does::AsAsked, Informational),
            Kind::FrameIn => told(ApiActivity, Does::Other, Informational),
            Kind::FrameOut => told(ApiActivity, Does::Other, Informational),
            Kind::Denied => told(ApiActivity, Does::AsAsked, Medium),
            Kind::NodeStarted => told(ApiActivity, Does::Other, Informational),
            Kind::NodeFinished => told(ApiActivity, Does::Other, Informational),
            Kind::NodeFailed => told(ApiActivity, Does::Other, Low),
            Kind::NodeInterrupted => told(ApiActivity, Does::Other, Informational),
            Kind::InterruptResumed => told(ApiActivity, UPDATE, Informational),
            // What an agent believes was changed behind its back: rare, and worth a look.
            Kind::StateEdited => told(ApiActivity, UPDATE, Low),
            Kind::QueryExecuted => told(DatastoreActivity, QUERY, Informational),
            Kind::Held => told(DataSecurityFinding, FINDING_CREATE, Medium),
            Kind::Voted => told(EntityManagement, UPDATE, Informational),
            Kind::Approved => told(AuthorizeSession, ASSIGN_PRIVILEGES, Low),
            Kind::Executed => told(ApiActivity, Does::AsAsked, Low),
            Kind::Expired => told(EntityManagement, DEACTIVATE, Low),
            Kind::Withdrawn => told(EntityManagement, DELETE, Informational),
            Kind::Gap => told(EventLogActivity, Does::Other, High),
            Kind::Unknown => told(EventLogActivity, Does::Other, Medium),
            Kind::Undecodable => told(EventLogActivity, Does::Other, High),
            Kind::PayloadRecovered => told(EventLogActivity, Does::Other, Informational),
            Kind::StageStarted => told(EventLogActivity, START, Informational),
            Kind::StageStopped => told(EventLogActivity, STOP, Informational),
            // Never written; the masker makes no row of it.
            Kind::Heartbeat => told(EventLogActivity, Does::Other, Informational),
        }
    }

    /// What `event`, which is of this meaning, does.
    pub(super) fn activity(&self, event: &AuditEvent) -> Activity {
        match self.does {
            Does::Activity(activity) => activity,
            Does::AsAsked => asked(event).unwrap_or_else(|| other(event.kind)),
            Does::Other => other(event.kind),
        }
    }

    /// How much an event with this outcome matters.
    pub(super) fn severity(&self, outcome: Outcome) -> Severity {
        let least = match outcome {
            Outcome::Denied | Outcome::Failed => Low,
            Outcome::Allowed
            | Outcome::Started
            | Outcome::Succeeded
            | Outcome::Interrupted
            | Outcome::Unknown => Informational,
        };
        self.least.max(least)
    }

    /// Where the life of a finding stands after this.
    pub(super) const fn finding_status(&self) -> (i64, &'static str) {
        match self.does {
            Does::Activity(Activity { uid: 1, .. }) => (1, "New"),
            Does::Activity(Activity { uid: 3, .. }) => (4, "Resolved"),
            Does::Activity(_) | Does::AsAsked | Does::Other => (2, "In Progress"),
        }
    }
}

impl Severity {
    pub(super) const fn uid(self) -> i64 {
        match self {
            Self::Informational => 1,
            Self::Low => 2,
            Self::Medium => 3,
            Self::High => 4,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Informational => "Informational",
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
        }
    }
}

const fn told(class: Class, does: Does, least: Severity) -> Meaning {
    Meaning { class, does, least }
}

const fn other(kind: Kind) -> Activity {
    Activity { uid: 99, name: kind.word() }
}

/// By the last word of the operation that says it, else by the protocol's verb: a search is a POST,
/// but it reads.
fn asked(event: &AuditEvent) -> Option<Activity> {
    let operation = event.operation.as_deref().unwrap_or_default();
    operation.rsplit('.').find_map(by_word).or_else(|| by_verb(event.method.as_deref()?))
}

fn by_word(word: &str) -> Option<Activity> {
    match word {
        "create" | "copy" => Some(Activity { uid: 1, name: "Create" }),
        "read" | "list" | "search" | "join" | "events" | "meta" | "sql" => {
            Some(Activity { uid: 2, name: "Read" })
        }
        "edit" | "cancel" | "cancel_many" | "command" => Some(Activity { uid: 3, name: "Update" }),
        "delete" | "prune" => Some(Activity { uid: 4, name: "Delete" }),
        _ => None,
    }
}

fn by_verb(method: &str) -> Option<Activity> {
    match method {
        "POST" => by_word("create"),
        "GET" | "HEAD" | "OPTIONS" => by_word("read"),
        "PUT" | "PATCH" => by_word("edit"),
        "DELETE" => by_word("delete"),
        _ => None,
    }
}

const fn activity(uid: i64, name: &'static str) -> Does {
    Does::Activity(Activity { uid, name })
}

/// Of Authentication.
const LOGON: Does = activity(1, "Logon");
const LOGOFF: Does = activity(2, "Logoff");
/// Of Authorize Session.
const ASSIGN_PRIVILEGES: Does = activity(1, "Assign Privileges");
/// Of API Activity and Entity Management.
const UPDATE: Does = activity(3, "Update");
/// Of Entity Management.
const DELETE: Does = activity(4, "Delete");
const DEACTIVATE: Does = activity(11, "Deactivate");
/// Of Data Security Finding.
const FINDING_CREATE: Does = activity(1, "Create");
/// Of Datastore Activity.
const QUERY: Does = activity(4, "Query");
/// Of Event Log Activity.
const START: Does = activity(6, "Start");
const STOP: Does = activity(7, "Stop");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_s_last_telling_word_says_what_was_asked() {
        for (operation, method, name) in [
            ("run.create.stream", "POST", Some("Create")),
            ("thread.search", "POST", Some("Read")),
            ("thread.state.edit", "POST", Some("Update")),
            ("run.stream", "GET", Some("Read")),
            ("http.request", "PATCH", Some("Update")),
            ("http.request", "PROPFIND", None),
        ] {
            let event = crate::ocsf::tests::sparse(Kind::Request);
            let event = AuditEvent {
                operation: Some(operation.to_owned()),
                method: Some(method.to_owned()),
                ..event
            };
            assert_eq!(asked(&event).map(|activity| activity.name), name, "{operation} {method}");
        }
    }

    #[test]
    fn a_failure_matters_more_than_nothing_and_no_less_than_its_kind() {
        assert_eq!(Meaning::of(Kind::Response).severity(Outcome::Failed), Low);
        assert_eq!(Meaning::of(Kind::Denied).severity(Outcome::Denied), Medium);
        assert_eq!(Meaning::of(Kind::Gap).severity(Outcome::Unknown), High);
    }
}
