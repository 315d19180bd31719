//! What a caller is told when there is no answer.

use std::time::Duration;

use http::StatusCode;
use trailgate_identity::Problem;
use trailgate_schemas::EventId;

use crate::error::StatementError;
use crate::guard::{Place, Refused};
use crate::limits::{SQL_MAX_BYTES, SQL_READS_MAX, SQL_WORDS_MAX};

/// A statement without an answer. `event_id` names the record of it, if it has one.
pub(crate) fn of_statement(error: &StatementError, event_id: Option<EventId>) -> Problem {
    let problem = match error {
        StatementError::Refused(refused) => of_refused(refused),
        StatementError::Plan(why) => {
            let problem = Problem::new(error.code(), BAD, "The statement can't be planned");
            at(problem.detail(why.fault.told()), why.place)
        }
        StatementError::Busy => {
            Problem::new(error.code(), StatusCode::TOO_MANY_REQUESTS, "Too many statements run")
                .detail("Others are being answered. Try again in a moment.")
                .retry_after(Duration::from_secs(1))
        }
        StatementError::Time(time) => {
            Problem::new(error.code(), UNPROCESSABLE, "The statement took too long")
                .detail(format!("It may take {} s. Ask for less.", time.as_secs_f32()))
        }
        StatementError::Memory => {
            Problem::new(error.code(), UNPROCESSABLE, "The statement needs too much memory")
                .detail("Ask for fewer rows or columns, or sort and join less.")
        }
        StatementError::Value => {
            Problem::new(error.code(), UNPROCESSABLE, "The statement failed on a value")
                .detail("A cast, a division or a function met a value that it can't take.")
        }
        StatementError::Storage => {
            Problem::new(error.code(), UNAVAILABLE, "The record can't be read now")
                .detail("The table or the log does not answer. Try again later.")
                .retry_after(Duration::from_secs(5))
        }
    };
    problem.event(event_id)
}

fn of_refused(refused: &Refused) -> Problem {
    match refused {
        Refused::TooLong => Problem::new(refused.code(), BAD, "The statement is too long")
            .missing(format!("a statement of at most {SQL_MAX_BYTES} bytes")),
        Refused::TooComplex => Problem::new(refused.code(), BAD, "The statement is too complex")
            .missing(format!("a statement of at most {SQL_WORDS_MAX} words and signs")),
        Refused::TooManyReads => Problem::new(refused.code(), BAD, "The statement reads too often")
            .missing(format!("at most {SQL_READS_MAX} reads of a table, each WITH put in")),
        Refused::Empty => {
            Problem::new(refused.code(), BAD, "There is no statement").missing("a statement")
        }
        Refused::Several => Problem::new(refused.code(), BAD, "There is more than one statement")
            .missing("one statement at a time"),
        Refused::Syntax { place } => {
            let problem = Problem::new(refused.code(), BAD, "The statement does not parse");
            at(problem, *place)
        }
        Refused::NotReading => {
            Problem::new(refused.code(), StatusCode::FORBIDDEN, "The statement does not only read")
                .missing("SELECT, WITH, VALUES, EXPLAIN, SHOW TABLES, SHOW COLUMNS or DESCRIBE")
        }
    }
}

fn at(problem: Problem, place: Option<Place>) -> Problem {
    match place {
        Some(place) => problem.with("line", place.line).with("column", place.column),
        None => problem,
    }
}

/// A verified caller that may not read.
pub(crate) fn no_group(event_id: EventId) -> Problem {
    Problem::new(crate::trail::NO_GROUP, StatusCode::FORBIDDEN, "The caller may not read the trail")
        .missing("a group that may read the trail")
        .event(Some(event_id))
}

/// What was asked could not be recorded, so it did not happen.
pub(crate) fn not_recorded() -> Problem {
    Problem::new("not_recorded", UNAVAILABLE, "The request can't be recorded now")
        .detail("What is not on the record does not happen. Try again later.")
        .retry_after(Duration::from_secs(1))
}

/// The stage has not come up yet.
pub(crate) fn not_ready() -> Problem {
    Problem::new("not_ready", UNAVAILABLE, "Query is not ready yet")
        .detail("It waits for the table, the log or the registry.")
        .retry_after(Duration::from_secs(1))
}

/// There is nothing at this address.
pub(crate) fn not_found() -> Problem {
    Problem::new("not_found", StatusCode::NOT_FOUND, "There is nothing here")
        .missing("POST /v1/sql")
}

/// The address takes another method.
pub(crate) fn wrong_method() -> Problem {
    Problem::new("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, "Another method is needed")
        .missing("POST /v1/sql")
}

const BAD: StatusCode = StatusCode::BAD_REQUEST;
const UNPROCESSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
