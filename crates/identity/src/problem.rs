//! The one form of an error answer: `application/problem+json` (RFC 9457), for every listener.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::{Map, Value};
use trailgate_schemas::EventId;

/// The media type.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error answer. Its texts are ours: never input, unless it is the caller's own, to itself.
///
/// ```
/// use http::StatusCode;
/// use trailgate_identity::Problem;
///
/// let problem = Problem::new("no_group", StatusCode::FORBIDDEN, "Not allowed")
///     .missing("a group that may use this connection");
/// assert!(problem.body().contains("urn:trailgate:problem:no_group"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug, PartialEq)]
struct Parts {
    code: &'static str,
    status: StatusCode,
    title: &'static str,
    detail: Option<Cow<'static, str>>,
    missing: Option<Cow<'static, str>>,
    event_id: Option<EventId>,
    more: Map<String, Value>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// A problem of the type `code`, which never changes its meaning.
    #[must_use]
    pub fn new(code: &'static str, status: StatusCode, title: &'static str) -> Self {
        Self(Box::new(Parts {
            code,
            status,
            title,
            detail: None,
            missing: None,
            event_id: None,
            more: Map::new(),
            retry_after: None,
        }))
    }

    /// What happened this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// What was missing, as far as the caller may know.
    #[must_use]
    pub fn missing(mut self, missing: impl Into<Cow<'static, str>>) -> Self {
        self.0.missing = Some(missing.into());
        self
    }

    /// The event that records it.
    #[must_use]
    pub fn event(mut self, event_id: Option<EventId>) -> Self {
        self.0.event_id = event_id;
        self
    }

    /// A member of its own, as `line`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    /// When to try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> String {
        let mut body = self.0.more.clone();
        let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
        put("type", format!("{TYPE}{}", self.0.code).into());
        put("title", self.0.title.into());
        put("status", self.0.status.as_u16().into());
        if let Some(detail) = &self.0.detail {
            put("detail", detail.as_ref().into());
        }
        if let Some(missing) = &self.0.missing {
            put("missing", missing.as_ref().into());
        }
        if let Some(event_id) = self.0.event_id {
            put("event_id", event_id.to_string().into());
        }
        Value::Object(body).to_string()
    }

    /// The whole answer. One that says 401 also says which scheme is taken (RFC 6750).
    #[must_use]
    pub fn response(&self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(self.body()));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.0.status == StatusCode::UNAUTHORIZED {
            let challenge = match self.0.code {
                "missing_credential" => "Bearer",
                _ => "Bearer error=\"invalid_token\"",
            };
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(wait) = self.0.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}

/// What a problem's type begins with.
const TYPE: &str = "urn:trailgate:problem:";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Refusal;

    #[test]
    fn a_refusal_answers_with_type_status_event_and_what_was_missing() {
        let event = EventId(uuid::Uuid::from_u128(7));
        let response = Refusal::Expired.problem(Some(event)).response();
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["type"], "urn:trailgate:problem:expired");
        assert_eq!(body["status"], 401);
        assert_eq!(body["event_id"], event.to_string());
        assert_eq!(body["missing"], "a token that has not expired");
        assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"");
    }

    #[test]
    fn a_member_of_its_own_can_not_hide_the_type() {
        let problem = Problem::new("x", StatusCode::BAD_REQUEST, "X").with("type", "other");
        let body: Value = serde_json::from_str(&problem.body()).unwrap();
        assert_eq!(body["type"], "urn:trailgate:problem:x");
    }
}
