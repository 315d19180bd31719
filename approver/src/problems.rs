//! What a caller is told when there is no answer.

use std::time::Duration;

use http::StatusCode;
use trailgate_identity::Problem;
use trailgate_schemas::{EventId, HoldState};

use crate::limits::{BODY_MAX_BYTES, REASON_MAX_BYTES};
use crate::objection::Objection;

/// A caller that may not do what it asked, which the event tells of.
pub(crate) fn objection(objection: Objection, event_id: EventId) -> Problem {
    let code = objection.code();
    let problem = match objection {
        Objection::OwnRequest => {
            Problem::new(code, FORBIDDEN, "Nobody decides about their own request")
                .missing("another reviewer")
        }
        Objection::NotReviewer => {
            Problem::new(code, FORBIDDEN, "The caller may not see or decide this hold")
                .missing("a group that may decide it")
        }
        Objection::AlreadyDecided(state) => already_decided(state),
        Objection::Expired => expired(),
        Objection::DigestDiffers => {
            Problem::new(code, CONFLICT, "What is held is not what the vote is about")
                .missing("the digest that the hold shows")
        }
    };
    problem.event(Some(event_id))
}

/// A vote that came too late to count, which the event tells of.
pub(crate) fn overtaken(state: HoldState, event_id: EventId) -> Problem {
    let problem = match state {
        HoldState::Expired => expired(),
        _ => already_decided(state),
    };
    problem.event(Some(event_id))
}

fn already_decided(state: HoldState) -> Problem {
    let code = Objection::AlreadyDecided(state).code();
    Problem::new(code, CONFLICT, "The hold is decided, or over").with("state", state.word())
}

fn expired() -> Problem {
    Problem::new(Objection::Expired.code(), CONFLICT, "The time to decide is over")
}

/// There is no such hold.
pub(crate) fn unknown_hold() -> Problem {
    Problem::new("unknown_hold", StatusCode::NOT_FOUND, "There is no such hold")
        .detail("Holds are shown for a day after they have ended.")
}

/// What was asked could not be recorded, so it did not happen.
pub(crate) fn not_recorded() -> Problem {
    Problem::new("not_recorded", UNAVAILABLE, "The request can't be recorded now")
        .detail("What is not on the record does not happen. Try again later.")
        .retry_after(Duration::from_secs(1))
}

/// A vote that is on the record, and of which it is not known whether it counts.
pub(crate) fn vote_not_taken(event_id: EventId) -> Problem {
    Problem::new("vote_not_taken", UNAVAILABLE, "The vote may not count")
        .detail("It is on the record, but was not acknowledged. Look at the hold, then vote again.")
        .retry_after(Duration::from_secs(1))
        .event(Some(event_id))
}

/// Others vote too.
pub(crate) fn too_many_votes() -> Problem {
    Problem::new("too_many_votes", StatusCode::TOO_MANY_REQUESTS, "Too many votes at once")
        .retry_after(Duration::from_secs(1))
}

/// The stage has not come up yet.
pub(crate) fn not_ready() -> Problem {
    Problem::new("not_ready", UNAVAILABLE, "The approver is not ready yet")
        .detail("It waits for the log or the registry.")
        .retry_after(Duration::from_secs(1))
}

/// There is nothing at this address.
pub(crate) fn not_found() -> Problem {
    Problem::new("not_found", StatusCode::NOT_FOUND, "There is nothing here").missing(ADDRESSES)
}

/// The address takes another method.
pub(crate) fn wrong_method() -> Problem {
    Problem::new("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, "Another method is needed")
        .missing(ADDRESSES)
}

/// A list is asked for in a way that is not known.
pub(crate) fn parameter_unknown() -> Problem {
    Problem::new("parameter_unknown", BAD, "The address has a parameter that is not known")
        .missing("at most one parameter, state")
}

/// There is no such state.
pub(crate) fn state_unknown() -> Problem {
    let words: Vec<&str> = HoldState::ALL.iter().map(|state| state.word()).collect();
    Problem::new("state_unknown", BAD, "There is no such state")
        .missing(format!("one of {}", words.join(", ")))
}

/// The body is too long.
pub(crate) fn body_too_long() -> Problem {
    Problem::new("body_too_long", StatusCode::PAYLOAD_TOO_LARGE, "The body is too long")
        .missing(format!("a body of at most {BODY_MAX_BYTES} bytes"))
}

/// The body broke off.
pub(crate) fn body_not_received() -> Problem {
    Problem::new("body_not_received", StatusCode::REQUEST_TIMEOUT, "The body did not arrive")
}

/// The body is no vote.
pub(crate) fn body_not_understood(line: usize, column: usize) -> Problem {
    Problem::new("body_not_understood", BAD, "The JSON is not understood")
        .missing("nothing, or an object with at most reason and digest, both texts")
        .with("line", line)
        .with("column", column)
}

/// The reason is too long.
pub(crate) fn reason_too_long() -> Problem {
    Problem::new("reason_too_long", BAD, "The reason is too long")
        .missing(format!("a reason of at most {REASON_MAX_BYTES} bytes"))
}

const ADDRESSES: &str = "GET /v1/holds, GET /v1/holds/ID, POST /v1/holds/ID/approve or /deny";
const BAD: StatusCode = StatusCode::BAD_REQUEST;
const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;
const CONFLICT: StatusCode = StatusCode::CONFLICT;
const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
