//! Accepting: the shape of a request is checked and it gets its id, before anybody asks who sent
//! it.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::sync::OwnedSemaphorePermit;
use trailgate_identity::Problem;
use trailgate_schemas::{Kind, StreamId};

use crate::door::Door;
use crate::exchange::refuse::{Refused, Stopped};
use crate::head::asked_upgrade;
use crate::journal::Who;
use crate::limits::{HEAD_MAX_BYTES, TARGET_MAX_BYTES};
use crate::pulse::Pulse;

/// A request as it came in, and where.
pub(crate) struct Arrival {
    pub(crate) door: Arc<Door>,
    pub(crate) peer: SocketAddr,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) request: Request<Incoming>,
}

/// A request that can be served.
pub(crate) struct Arrived {
    pub(crate) caller: CallerAt,
    pub(crate) head: Parts,
    pub(crate) body: Incoming,
    pub(crate) upgrade: Option<Upgrade>,
    pub(crate) slot: OwnedSemaphorePermit,
    pub(crate) pulse: Arc<Pulse>,
}

/// Where a request came in, from where, and the id it got.
#[derive(Clone, Debug)]
pub(crate) struct CallerAt {
    pub(crate) door: Arc<Door>,
    pub(crate) peer: SocketAddr,
    pub(crate) id: StreamId,
}

/// A change of protocol that is asked for.
pub(crate) struct Upgrade {
    pub(crate) protocol: HeaderValue,
    pub(crate) client: OnUpgrade,
}

impl Arrival {
    pub(super) fn accept(self) -> Result<Arrived, Stopped> {
        let Self { door, peer, pulse, request } = self;
        let caller = CallerAt { id: door.gateway.ids.stream(), peer, door };
        let (head, body, upgrade) = take_apart(request);
        if let Some(problem) = unfit(&head) {
            return Err(refused(caller, &head, problem));
        }
        let exchanges = Arc::clone(&caller.door.gateway.exchanges);
        match exchanges.try_acquire_owned() {
            Ok(slot) => Ok(Arrived { caller, head, body, upgrade, slot, pulse }),
            Err(_) => Err(refused(caller, &head, overloaded())),
        }
    }
}

fn take_apart(mut request: Request<Incoming>) -> (Parts, Incoming, Option<Upgrade>) {
    // HTTP/2 has no such header; what stands there means nothing.
    let protocol =
        if request.version() == Version::HTTP_11 { asked_upgrade(request.headers()) } else { None };
    let upgrade =
        protocol.map(|protocol| Upgrade { protocol, client: hyper::upgrade::on(&mut request) });
    let (head, body) = request.into_parts();
    (head, body, upgrade)
}

fn refused(caller: CallerAt, head: &Parts, problem: Problem) -> Stopped {
    let who = (Who::Unverified, Kind::Denied);
    Refused::new(caller, head, "http.request", who, problem).into()
}

fn unfit(head: &Parts) -> Option<Problem> {
    if head.version < Version::HTTP_11 {
        // Without chunks a cut answer looks like a whole one.
        let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        return Some(Problem::new("http_version", status, "HTTP/1.1 or HTTP/2 is needed"));
    }
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return Some(Problem::new("method_not_allowed", status, "This method is not served here"));
    }
    // An authority in place of a path, as in `GET foo`.
    let Some(target) = head.uri.path_and_query().filter(|target| is_path(target.as_str())) else {
        let status = StatusCode::BAD_REQUEST;
        return Some(Problem::new("target_unfit", status, "The target is no path"));
    };
    if head.version == Version::HTTP_11 && head.headers.get_all(HOST).iter().count() != 1 {
        let status = StatusCode::BAD_REQUEST;
        return Some(Problem::new("host_unfit", status, "One Host header is needed"));
    }
    if target.as_str().len() > TARGET_MAX_BYTES {
        let status = StatusCode::URI_TOO_LONG;
        let problem = Problem::new("target_too_long", status, "Path and query are too long");
        return Some(problem.with("limit", TARGET_MAX_BYTES));
    }
    if length(&head.headers) > HEAD_MAX_BYTES {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        let problem = Problem::new("head_too_long", status, "The headers are too long");
        return Some(problem.with("limit", HEAD_MAX_BYTES));
    }
    None
}

fn is_path(target: &str) -> bool {
    target.starts_with('/') || target == "*"
}

fn overloaded() -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new("overloaded", status, "Too many requests are under way")
        .retry_after(std::time::Duration::from_secs(1))
}

/// What has to fit in a record: the token has a bound of its own and is not recorded.
fn length(headers: &HeaderMap) -> usize {
    let recorded = headers.iter().filter(|(name, _)| *name != AUTHORIZATION);
    recorded.map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}
