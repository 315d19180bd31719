//! What a request asks, parsed at the edge, once.

use axum::body::Body;
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use trailgate_identity::Problem;
use trailgate_schemas::HoldState;

use crate::limits::{BODY_MAX_BYTES, BODY_TIME_MAX, REASON_MAX_BYTES};
use crate::problems;

/// What a vote says beside its verdict.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ballot {
    /// Why; not masked yet.
    pub(crate) reason: Option<String>,
    /// What the voter was shown.
    pub(crate) digest: Option<String>,
}

impl Ballot {
    /// Reads a body whole, within bounds. None at all is a vote without a reason.
    pub(crate) async fn read(body: Body) -> Result<Self, Problem> {
        let whole =
            tokio::time::timeout(BODY_TIME_MAX, Limited::new(body, BODY_MAX_BYTES).collect());
        let body = match whole.await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                return Err(problems::body_too_long());
            }
            Ok(Err(_)) | Err(_) => return Err(problems::body_not_received()),
        };
        if body.is_empty() {
            return Ok(Self::default());
        }
        // Without this a list would do: the library takes its places for the names.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(problems::body_not_understood(1, 1));
        }
        let ballot: Self = serde_json::from_slice(&body)
            .map_err(|error| problems::body_not_understood(error.line(), error.column()))?;
        if ballot.reason.as_ref().is_some_and(|reason| reason.len() > REASON_MAX_BYTES) {
            return Err(problems::reason_too_long());
        }
        Ok(Self { reason: ballot.reason.filter(|reason| !reason.trim().is_empty()), ..ballot })
    }
}

/// The state that a list is asked for; none for all.
pub(crate) fn state(query: &str) -> Result<Option<HoldState>, Problem> {
    let mut state = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("state", word)) if state.is_none() => {
                state = Some(word.parse().map_err(|_| problems::state_unknown())?);
            }
            _ => return Err(problems::parameter_unknown()),
        }
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(body: &str) -> Result<Ballot, &'static str> {
        Ballot::read(Body::from(body.to_owned())).await.map_err(|problem| problem.code())
    }

    #[tokio::test]
    async fn a_ballot_may_be_empty_and_says_nothing_that_is_not_known() {
        assert_eq!(read("").await, Ok(Ballot::default()));
        assert_eq!(read(r#"{"reason":" "}"#).await, Ok(Ballot::default()));
        let read_one = read(r#"{"reason":"because","digest":"d1"}"#).await.unwrap();
        assert_eq!(read_one.reason.as_deref(), Some("because"));
        let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(REASON_MAX_BYTES + 1));
        let longer = " ".repeat(BODY_MAX_BYTES + 1);
        for (body, code) in [
            (r#"{"reasons":"x"}"#, "body_not_understood"),
            (r#"{"reason":7}"#, "body_not_understood"),
            ("approve", "body_not_understood"),
            ("[]", "body_not_understood"),
            (r#"["because"]"#, "body_not_understood"),
            (&long, "reason_too_long"),
            (&longer, "body_too_long"),
        ] {
            assert_eq!(read(body).await, Err(code));
        }
    }

    #[test]
    fn a_list_is_of_one_state_or_of_all() {
        let state = |query| state(query).map_err(|problem| problem.code());
        assert_eq!(state(""), Ok(None));
        assert_eq!(state("state=pending"), Ok(Some(HoldState::Pending)));
        assert_eq!(state("state=open"), Err("state_unknown"));
        assert_eq!(state("state=pending&state=denied"), Err("parameter_unknown"));
        assert_eq!(state("limit=1"), Err("parameter_unknown"));
    }
}
