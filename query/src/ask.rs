//! What a request asks: a statement and the form of its answer. Parsed at the edge, once.

use axum::body::Body;
use http::header::{ACCEPT, CONTENT_TYPE, TE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use trailgate_identity::Problem;

use crate::format::Format;
use crate::limits::{BODY_MAX_BYTES, BODY_TIME_MAX};

/// What a request asks.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) sql: String,
    pub(crate) format: Format,
    /// Whether the client reads trailers.
    pub(crate) takes_trailers: bool,
}

/// The JSON form of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    sql: String,
    format: Option<String>,
}

/// The parameters of the address.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    format: Option<String>,
}

/// How the statement is sent.
enum Sent {
    Text,
    Json,
}

impl Ask {
    /// Reads a request whole, within bounds.
    pub(crate) async fn read(request: Request<Body>) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let sent = sent(&head.headers)?;
        let parameters = parameters(head.uri.query().unwrap_or_default())?;
        let body = read(body).await?;
        let (sql, named) = match sent {
            Sent::Text => (body, None),
            Sent::Json => {
                let json = parse(&body)?;
                (json.sql, json.format)
            }
        };
        let format = format(named.or(parameters.format), &head.headers)?;
        Ok(Self { sql, format, takes_trailers: takes_trailers(&head.headers) })
    }
}

fn sent(headers: &HeaderMap) -> Result<Sent, Problem> {
    let Some(content_type) = headers.get(CONTENT_TYPE) else { return Ok(Sent::Text) };
    let media = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    match media.trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(Sent::Json),
        "application/sql" | "text/plain" | "application/x-www-form-urlencoded" => Ok(Sent::Text),
        _ => Err(Problem::new(
            "content_type_unknown",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The body is of a type that is not taken",
        )
        .missing("application/sql, text/plain or application/json")),
    }
}

fn parameters(query: &str) -> Result<Parameters, Problem> {
    let mut parameters = Parameters::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("format", format)) if parameters.format.is_none() => {
                parameters.format = Some(format.to_owned());
            }
            _ => {
                return Err(Problem::new(
                    "parameter_unknown",
                    StatusCode::BAD_REQUEST,
                    "The address has a parameter that is not known",
                )
                .missing("at most one parameter, format"));
            }
        }
    }
    Ok(parameters)
}

async fn read(body: Body) -> Result<String, Problem> {
    let whole = tokio::time::timeout(BODY_TIME_MAX, Limited::new(body, BODY_MAX_BYTES).collect());
    let body = match whole.await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(Problem::new(
                "body_too_long",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is too long",
            )
            .missing(format!("a body of at most {BODY_MAX_BYTES} bytes")));
        }
        Ok(Err(_)) | Err(_) => {
            return Err(Problem::new(
                "body_not_received",
                StatusCode::REQUEST_TIMEOUT,
                "The body did not arrive",
            ));
        }
    };
    String::from_utf8(body.into()).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Problem::new("body_not_utf8", StatusCode::BAD_REQUEST, "The body is not UTF-8")
            .with("byte", place)
    })
}

fn parse(body: &str) -> Result<Json, Problem> {
    let not_understood = |line, column| {
        Problem::new("body_not_understood", StatusCode::BAD_REQUEST, "The JSON is not understood")
            .missing("an object with sql, a text, and at most format beside it")
            .with("line", line)
            .with("column", column)
    };
    // Without this a list would do: the library takes its places for the names.
    if !body.trim_start().starts_with('{') {
        return Err(not_understood(1, 1));
    }
    serde_json::from_str(body).map_err(|error| not_understood(error.line(), error.column()))
}

fn format(named: Option<String>, headers: &HeaderMap) -> Result<Format, Problem> {
    let accept = headers.get(ACCEPT).map(|accept| accept.to_str().unwrap_or_default());
    let known = match (named, accept) {
        (Some(named), _) => named.parse(),
        (None, Some(accept)) => Format::accepted(accept),
        (None, None) => Ok(Format::JsonLines),
    };
    known.map_err(|_| {
        Problem::new(
            "format_unknown",
            StatusCode::NOT_ACCEPTABLE,
            "The answer can't be had in this form",
        )
        .missing(format!("a format out of {}", Format::NAMES.join(", ")))
    })
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    let named = headers.get_all(TE).iter().filter_map(|value| value.to_str().ok());
    let mut codings = named.flat_map(|value| value.split(','));
    codings.any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(uri: &str, headers: &[(&str, &str)], body: &str) -> Result<Ask, &'static str> {
        let mut request = Request::post(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        Ask::read(request).await.map_err(|problem| problem.code())
    }

    const JSON: (&str, &str) = ("content-type", "application/json");

    #[tokio::test]
    async fn a_statement_comes_as_text_or_json() {
        assert_eq!(ask("/", &[], "SELECT 1").await.unwrap().sql, "SELECT 1");
        let ask = ask("/", &[JSON], r#"{"sql":"SELECT 1","format":"csv"}"#).await.unwrap();
        assert_eq!((ask.sql.as_str(), ask.format), ("SELECT 1", Format::Csv));
    }

    #[tokio::test]
    async fn the_form_comes_from_the_body_the_address_or_the_header() {
        let accept = ("accept", "application/vnd.apache.arrow.stream");
        assert_eq!(ask("/", &[accept], "x").await.unwrap().format, Format::ArrowIpc);
        assert_eq!(ask("/?format=csv", &[accept], "x").await.unwrap().format, Format::Csv);
        assert_eq!(ask("/", &[], "x").await.unwrap().format, Format::JsonLines);
    }

    #[tokio::test]
    async fn what_is_not_understood_is_refused_with_its_own_code() {
        let long = "x".repeat(BODY_MAX_BYTES + 1);
        let cases = [
            ("/", vec![JSON], r#"{"sql":"x","limit":1}"#, "body_not_understood"),
            ("/", vec![JSON], r#"{"format":"csv"}"#, "body_not_understood"),
            ("/", vec![JSON], r#"["SELECT 1",null]"#, "body_not_understood"),
            ("/", vec![("content-type", "text/html")], "x", "content_type_unknown"),
            ("/?format=xml", vec![], "x", "format_unknown"),
            ("/?sql=x", vec![], "x", "parameter_unknown"),
            ("/", vec![("accept", "text/html")], "x", "format_unknown"),
            ("/", vec![], &long, "body_too_long"),
        ];
        for (uri, headers, body, code) in cases {
            assert_eq!(ask(uri, &headers, body).await.unwrap_err(), code);
        }
    }
}
