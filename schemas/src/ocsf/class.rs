//! The classes of OCSF that events are of, and which of its objects each has.

/// A class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    EventLogActivity,
    DataSecurityFinding,
    Authentication,
    AuthorizeSession,
    EntityManagement,
    ApiActivity,
    DatastoreActivity,
}

impl Class {
    pub(super) const fn uid(self) -> i64 {
        match self {
            Self::EventLogActivity => 1008,
            Self::DataSecurityFinding => 2006,
            Self::Authentication => 3002,
            Self::AuthorizeSession => 3003,
            Self::EntityManagement => 3004,
            Self::ApiActivity => 6003,
            Self::DatastoreActivity => 6005,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::EventLogActivity => "Event Log Activity",
            Self::DataSecurityFinding => "Data Security Finding",
            Self::Authentication => "Authentication",
            Self::AuthorizeSession => "Authorize Session",
            Self::EntityManagement => "Entity Management",
            Self::ApiActivity => "API Activity",
            Self::DatastoreActivity => "Datastore Activity",
        }
    }

    pub(super) const fn category(self) -> (i64, &'static str) {
        match self {
            Self::EventLogActivity => (1, "System Activity"),
            Self::DataSecurityFinding => (2, "Findings"),
            Self::Authentication | Self::AuthorizeSession | Self::EntityManagement => {
                (3, "Identity & Access Management")
            }
            Self::ApiActivity | Self::DatastoreActivity => (6, "Application Activity"),
        }
    }

    /// Whether it has `http_request` and `http_response`.
    pub(super) const fn has_http(self) -> bool {
        match self {
            Self::EventLogActivity | Self::DataSecurityFinding => false,
            Self::Authentication
            | Self::AuthorizeSession
            | Self::EntityManagement
            | Self::ApiActivity
            | Self::DatastoreActivity => true,
        }
    }

    /// Whether it has the profile `ai_operation`.
    pub(super) const fn has_ai(self) -> bool {
        matches!(self, Self::ApiActivity | Self::DatastoreActivity)
    }
}
