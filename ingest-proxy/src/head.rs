//! What of a head goes on, in either direction (RFC 9110 §7.6.1): what belongs to one hop stays
//! there, the caller's credential ends here, and what names the caller is the gateway's to say.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::credentials::{is_credential_header, percent_decoded};

/// What the gateway tells the upstream of a request.
pub(crate) struct Told<'a> {
    pub(crate) request_id: HeaderValue,
    pub(crate) peer: IpAddr,
    pub(crate) scheme: &'static str,
    /// The upstream's own host.
    pub(crate) host: HeaderValue,
    /// The host that the caller asked for.
    pub(crate) asked_host: Option<HeaderValue>,
    /// Headers that only the gateway knows.
    pub(crate) injected: &'a [(HeaderName, HeaderValue)],
    /// Credential headers that are meant for the upstream.
    pub(crate) passed_credentials: &'a BTreeSet<String>,
    /// The protocol the caller asks to change to.
    pub(crate) upgrade: Option<HeaderValue>,
}

/// The head that the upstream sees. Its length is left to whoever sends the body.
pub(crate) fn to_upstream(mut headers: HeaderMap, told: Told<'_>) -> HeaderMap {
    let takes_trailers = has_word(&headers, TE, b"trailers");
    drop_hop(&mut headers);
    headers.remove(TRAILER);
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    let dropped: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            (is_credential_header(name) && !told.passed_credentials.contains(name))
                || name.starts_with("x-forwarded-")
                || name.starts_with("x-trailgate-")
        })
        .cloned()
        .collect();
    for name in dropped {
        headers.remove(name);
    }
    // Compressed answers could neither be read for frames nor masked.
    for name in [FORWARDED, EXPECT, ACCEPT_ENCODING, CONTENT_LENGTH] {
        headers.remove(name);
    }
    headers.remove("x-real-ip");
    headers.insert(HOST, told.host);
    headers.insert(X_REQUEST_ID, told.request_id);
    if let Ok(peer) = HeaderValue::from_str(&told.peer.to_string()) {
        headers.insert(X_FORWARDED_FOR, peer);
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(told.scheme));
    if let Some(host) = told.asked_host {
        headers.insert(X_FORWARDED_HOST, host);
    }
    if let Some(protocol) = told.upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
        // A compressed frame could not be recorded as what it says.
        headers.remove("sec-websocket-extensions");
    }
    for (name, value) in told.injected {
        headers.insert(name.clone(), value.clone());
    }
    headers
}

/// The head that the client sees.
pub(crate) fn to_client(headers: &mut HeaderMap, upgrade: bool) {
    let protocol = upgrade.then(|| headers.get(UPGRADE).cloned()).flatten();
    drop_hop(headers);
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}

/// The protocol that a request asks to change to. Another HTTP is none: inside a tunnel its requests
/// would pass without anybody asking whether they may.
pub(crate) fn asked_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut protocols = headers.get_all(UPGRADE).iter();
    let protocol = protocols.next().filter(|_| has_word(headers, CONNECTION, b"upgrade"))?;
    let is_http = protocol.as_bytes().split(|b| *b == b',').any(|name| {
        let name = name.trim_ascii().to_ascii_lowercase();
        [&b"h2"[..], b"h3", b"http", b"tls"].iter().any(|prefix| name.starts_with(prefix))
    });
    (!is_http && protocols.next().is_none()).then(|| protocol.clone())
}

/// The methods that headers or query ask an upstream to take a request for, in place of its own. Some
/// servers do so, so what is held by its method must not pass by another.
pub(crate) fn other_methods<'a>(
    headers: &'a HeaderMap,
    query: Option<&'a str>,
) -> impl Iterator<Item = Cow<'a, str>> {
    let asks = |name: &HeaderName| {
        // Gateway interfaces such as WSGI know no difference between `_` and `-`.
        let name = name.as_str().replace('_', "-");
        METHOD_HEADERS.contains(&name.as_str())
    };
    let of_headers = headers
        .iter()
        .filter(move |(name, _)| asks(name))
        .filter_map(|(_, value)| value.to_str().ok());
    let pairs = query.into_iter().flat_map(|query| query.split(['&', ';']));
    let of_query = pairs.filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        is_method_field(&percent_decoded(name)).then(|| percent_decoded(value))
    });
    of_headers.map(|value| Cow::Borrowed(value.trim())).chain(of_query)
}

/// Whether a field of a query names the method, as the laxest of servers reads it: blanks before it
/// don't count, and what can't stand in a variable's name is an underscore.
fn is_method_field(name: &str) -> bool {
    let name = name.trim_start_matches([' ', '+']).trim_end();
    name.replace(['.', ' ', '+', '['], "_").eq_ignore_ascii_case("_method")
}

/// Whether a header that is a list has a word.
fn has_word(headers: &HeaderMap, name: HeaderName, word: &[u8]) -> bool {
    headers.get_all(name).iter().any(|value| {
        value.as_bytes().split(|b| *b == b',').any(|w| w.trim_ascii().eq_ignore_ascii_case(word))
    })
}

fn drop_hop(headers: &mut HeaderMap) {
    // Beside a transfer coding a length is not the body's (RFC 9112, 6.3).
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|b| *b == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authenticate", "http2-settings"] {
        headers.remove(name);
    }
    // What one proxy tells the next of the path: believed, it would be another request's than the one
    // that was let through.
    for name in ["x-original-url", "x-original-uri", "x-rewrite-url"] {
        headers.remove(name);
    }
}

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Headers by which a request may ask to be taken for another method.
const METHOD_HEADERS: [&str; 4] =
    ["x-http-method-override", "x-http-method", "x-method-override", "http-method-override"];

#[cfg(test)]
mod tests {
    use super::*;

    fn told<'a>(
        passed: &'a BTreeSet<String>,
        injected: &'a [(HeaderName, HeaderValue)],
    ) -> Told<'a> {
        Told {
            request_id: HeaderValue::from_static("gateway-id"),
            peer: IpAddr::from([10, 0, 0, 9]),
            scheme: "https",
            host: HeaderValue::from_static("upstream:80"),
            asked_host: Some(HeaderValue::from_static("gateway")),
            injected,
            passed_credentials: passed,
            upgrade: None,
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_callers_credential_ends_here() {
        let sent = headers(&[
            ("authorization", "Bearer x"),
            ("proxy-authorization", "Basic x"),
            ("cookie", "a=b"),
            ("x-api-key", "x"),
            ("x-csrf-token", "y"),
            ("accept", "*/*"),
        ]);
        let passed = BTreeSet::from(["x-csrf-token".to_owned()]);
        let injected = [(HeaderName::from_static("x-api-key"), HeaderValue::from_static("ours"))];
        let out = to_upstream(sent, told(&passed, &injected));
        assert!(!out.contains_key("authorization") && !out.contains_key("cookie"));
        assert!(!out.contains_key("proxy-authorization"));
        assert_eq!(out["x-api-key"], "ours");
        assert_eq!(out["x-csrf-token"], "y");
        assert_eq!(out["accept"], "*/*");
    }

    #[test]
    fn what_belongs_to_one_hop_stays_there() {
        let sent = headers(&[
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("te", "gzip"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("keep-alive", "5"),
            ("expect", "100-continue"),
        ]);
        let out = to_upstream(sent, told(&BTreeSet::new(), &[]));
        for name in
            ["connection", "x-mine", "te", "transfer-encoding", "upgrade", "keep-alive", "expect"]
        {
            assert!(!out.contains_key(name), "{name}");
        }
    }

    #[test]
    fn who_called_is_the_gateways_to_say() {
        let sent = headers(&[
            ("x-request-id", "forged"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-user", "root"),
            ("forwarded", "for=1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
            ("host", "gateway"),
        ]);
        let out = to_upstream(sent, told(&BTreeSet::new(), &[]));
        assert_eq!(out["x-request-id"], "gateway-id");
        assert_eq!(out["x-forwarded-for"], "10.0.0.9");
        assert_eq!(out["x-forwarded-proto"], "https");
        assert_eq!(out["x-forwarded-host"], "gateway");
        assert_eq!(out["host"], "upstream:80");
        assert!(!out.contains_key("x-forwarded-user") && !out.contains_key("forwarded"));
        assert!(!out.contains_key("x-real-ip"));
    }

    #[test]
    fn another_method_may_be_asked_for_by_a_header_or_the_query() {
        let asks = headers(&[("x-http-method-override", " DELETE "), ("x-method-override", "PUT")]);
        let query = Some("a=1&%5fmethod=p%61tch&method=x&_Method=trace");
        let found: Vec<_> = other_methods(&asks, query).collect();
        assert_eq!(found, ["DELETE", "PUT", "patch", "trace"]);
        let underscored = headers(&[("x_http_method_override", "DELETE")]);
        assert_eq!(other_methods(&underscored, None).collect::<Vec<_>>(), ["DELETE"]);
        assert_eq!(other_methods(&HeaderMap::new(), None).count(), 0);
        for field in ["+_method", "%20_method", ".method", "%5bmethod", "+method"] {
            let query = format!("{field}=DELETE&the_method=PUT");
            let none = HeaderMap::new();
            let found: Vec<_> = other_methods(&none, Some(&query)).collect();
            let expected: &[&str] = if field == "+method" { &[] } else { &["DELETE"] };
            assert_eq!(found, expected, "{field}");
        }
    }

    #[test]
    fn nobody_tells_the_upstream_of_another_path() {
        let sent = headers(&[("x-original-url", "/deploy/x"), ("x-rewrite-url", "/deploy/x")]);
        let out = to_upstream(sent, told(&BTreeSet::new(), &[]));
        assert!(!out.contains_key("x-original-url") && !out.contains_key("x-rewrite-url"));
    }

    #[test]
    fn an_upgrade_is_asked_for_in_the_connection_header() {
        assert!(asked_upgrade(&headers(&[("upgrade", "websocket")])).is_none());
        let asks = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        assert_eq!(asked_upgrade(&asks).unwrap(), "websocket");
        for http in ["h2c", "websocket, H2C", "HTTP/2.0", "TLS/1.2"] {
            let asks = headers(&[("connection", "upgrade, http2-settings"), ("upgrade", http)]);
            assert!(asked_upgrade(&asks).is_none(), "{http}");
        }
        let two =
            headers(&[("connection", "upgrade"), ("upgrade", "websocket"), ("upgrade", "h2c")]);
        assert!(asked_upgrade(&two).is_none());
    }
}
