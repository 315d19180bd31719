//! Answers: JSON as it is kept, and problems.

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{HeaderName, StatusCode};
use serde::Serialize;
use trailgate_identity::Problem;
use trailgate_schemas::{Approval, EventId, Hold};

use crate::shown::Listed;

/// The header that names the event of a vote.
pub const EVENT_ID: HeaderName = HeaderName::from_static("trailgate-event-id");

/// A list of holds. What may be long is left out of each: it is shown one by one.
#[derive(Serialize)]
struct List {
    holds: Vec<Approval>,
    /// Whether there are no more that the caller may see.
    complete: bool,
}

/// One hold, as a vote left it.
pub(crate) fn one(status: StatusCode, approval: &Approval, event_id: Option<EventId>) -> Response {
    let mut response = json(status, approval);
    // A UUID can stand in a header.
    let named = event_id.and_then(|id| HeaderValue::from_str(&id.to_string()).ok());
    if let Some(named) = named {
        response.headers_mut().insert(EVENT_ID, named);
    }
    response
}

/// A list of holds.
pub(crate) fn list(listed: &Listed) -> Response {
    let short = |approval: &Approval| {
        let hold = Hold { payload: None, headers: None, ..approval.hold.clone() };
        Approval { hold, ..approval.clone() }
    };
    let holds = listed.holds.iter().map(|approval| short(approval)).collect();
    json(StatusCode::OK, &List { holds, complete: listed.is_complete })
}

/// A problem.
pub(crate) fn problem(problem: &Problem) -> Response {
    problem.response().map(Body::from)
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // What is shown was read from JSON, or is made of such.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
