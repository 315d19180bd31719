//! Who calls, what is asked, and whether the one may do the other, may not, or may when a person has
//! said so.

use std::sync::Arc;

use http::StatusCode;
use trailgate_identity::{Identity, Problem};
use trailgate_schemas::{Kind, SessionThing};

use crate::config::ConnectionKind;
use crate::door::{Door, Permit};
use crate::exchange::accept::Arrived;
use crate::exchange::hold::{AskedHold, ask_to_hold};
use crate::exchange::refuse::{Refused, Stopped};
use crate::journal::Who;
use crate::langgraph::{Operation, PathError, SessionOf};

/// A request whose caller is verified.
pub(crate) struct Verified {
    arrived: Arrived,
    identity: Arc<Identity>,
}

/// A request that is known for what it asks.
pub(crate) struct Named {
    arrived: Arrived,
    identity: Arc<Identity>,
    asked: Asked,
    /// The path, in the form that rules look at.
    path: String,
}

/// A request that may go on.
pub(crate) struct Allowed {
    pub(crate) arrived: Arrived,
    pub(crate) identity: Arc<Identity>,
    pub(crate) asked: Asked,
    /// What it has to wait for first.
    pub(crate) hold: Option<AskedHold>,
    /// The door's own word for it.
    pub(crate) _permit: Permit,
}

/// What a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Something of an Agent Server.
    Langgraph(Operation),
    /// Something else.
    Http,
    /// To change the protocol, of something that is no Agent Server.
    Upgrade,
}

impl Arrived {
    pub(super) async fn authenticate(self) -> Result<Verified, Stopped> {
        let verifier = Arc::clone(&self.caller.door.verifier);
        match verifier.verify(&self.head.headers).await {
            Ok(identity) => Ok(Verified { arrived: self, identity }),
            Err(refusal) => {
                let who = (Who::Unverified, Kind::LoginRefused);
                let problem = refusal.problem(None);
                Err(Refused::new(self.caller, &self.head, "login", who, problem).into())
            }
        }
    }
}

impl Verified {
    pub(super) fn classify(self) -> Result<Named, Stopped> {
        let Self { arrived, identity } = self;
        let (method, path) = (&arrived.head.method, arrived.head.uri.path());
        let door = &arrived.caller.door;
        let operation = Operation::classify(method, path, &door.mount_prefix);
        let plain = plain_path(door, path);
        let operation = plain.as_ref().map_err(|error| *error).and(operation);
        let asked = match (door.kind, &arrived.upgrade, operation) {
            (ConnectionKind::Langgraph, _, Ok(operation)) => Ok(Asked::Langgraph(operation)),
            (ConnectionKind::Langgraph, _, Err(error)) => Err(error),
            // A path that leads out of the base would leave what the connection stands for.
            (ConnectionKind::Http, _, Err(error)) if door.upstream.has_base() => Err(error),
            // Nor may a rule see another path than the upstream does.
            (ConnectionKind::Http, _, Err(error)) if plain.is_err() => Err(error),
            (ConnectionKind::Http, None, _) => Ok(Asked::Http),
            (ConnectionKind::Http, Some(_), _) => Ok(Asked::Upgrade),
        };
        let asked = match asked {
            Ok(asked) => asked,
            Err(error) => {
                let title = "The path could mean two things";
                let problem = Problem::new(error.code(), StatusCode::BAD_REQUEST, title);
                let Arrived { caller, head, .. } = arrived;
                let who = (Who::Caller(identity), Kind::Denied);
                return Err(Refused::new(caller, &head, "http.request", who, problem).into());
            }
        };
        Ok(Named { arrived, identity, asked, path: plain.unwrap_or_default() })
    }
}

impl Named {
    pub(super) fn authorise(self) -> Result<Allowed, Stopped> {
        let Self { arrived, identity, asked, path } = self;
        match arrived.caller.door.permit(&identity) {
            Some(permit) => {
                let (arrived, hold) = ask_to_hold(arrived, &identity, asked, &path)?;
                Ok(Allowed { arrived, identity, asked, hold, _permit: permit })
            }
            None => {
                let status = StatusCode::FORBIDDEN;
                let problem = Problem::new("not_in_group", status, "Not allowed")
                    .detail("The caller is verified, and may not use this connection.")
                    .missing("membership of a group that may use this connection");
                let Arrived { caller, head, .. } = arrived;
                let who = (Who::Caller(identity), Kind::Denied);
                Err(Refused::new(caller, &head, asked.operation(), who, problem).into())
            }
        }
    }
}

/// The path as rules look at it. Where none does it may be written in any way.
fn plain_path(door: &Door, path: &str) -> Result<String, PathError> {
    match &door.gateway.holds {
        Some(holds) if holds.reads_paths_of(&door.name) => {
            Operation::plain_path(path, &door.mount_prefix)
        }
        Some(_) | None => Ok(String::new()),
    }
}

impl Asked {
    /// The word for it in every record.
    pub(crate) const fn operation(self) -> &'static str {
        match self {
            Self::Langgraph(operation) => operation.name(),
            Self::Http => "http.request",
            Self::Upgrade => "http.upgrade",
        }
    }
}

impl Allowed {
    /// What the session of this exchange is about.
    pub(crate) fn session_thing(&self) -> SessionThing {
        let id = self.arrived.caller.id;
        let caller = || SessionThing::Caller {
            issuer: self.identity.issuer.clone(),
            subject: self.identity.subject.clone(),
        };
        match self.asked {
            Asked::Upgrade => SessionThing::Connection(id),
            Asked::Http => caller(),
            Asked::Langgraph(operation) => match operation.session() {
                SessionOf::Thread(thread) => SessionThing::Thread(thread),
                // Its records begin before the server has named it, and a stream is in one
                // session: the gateway's id of the request stands for the run.
                SessionOf::StatelessRun => {
                    SessionThing::StatelessRun(trailgate_schemas::RunId(id.0))
                }
                SessionOf::Caller => caller(),
            },
        }
    }
}
