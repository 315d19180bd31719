//! What of a head is recorded: everything but credentials. In the place of one stand its scheme and
//! a keyed token, so that two uses of one credential can be seen to be that, and nothing else.
//!
//! What counts as a credential is decided by name and errs on the side of taking too much: the
//! record loses a value then, never a secret.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::HeaderMap;

use crate::keys::ProxyKeys;

/// Whether a header of this name carries a credential.
pub(crate) fn is_credential_header(name: &str) -> bool {
    if matches!(name, "idempotency-key") || name.starts_with("sec-websocket-") {
        return false;
    }
    SECRET_WORDS.iter().any(|word| name.contains(word))
        || name.ends_with("-key")
        || matches!(name, "authorization" | "proxy-authorization" | "cookie" | "set-cookie")
        || name.contains("authorization")
}

/// Whether a query parameter of this name carries a credential. `name` is as it stands in the
/// query: a name hidden by percent-encoding is decoded first.
fn is_credential_parameter(name: &str) -> bool {
    let name = percent_decoded(name).to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
        || matches!(
            name.as_str(),
            "key" | "sig" | "auth" | "code" | "pwd" | "pass" | "jwt" | "bearer" | "authorization"
        )
        || name.ends_with("-key")
        || name.ends_with("_key")
}

/// Headers as a JSON object: a name's value, or a list of them where there are several. Cut at
/// `max` bytes between two names; whether it was cut comes second.
pub(crate) fn recorded_headers(
    headers: &HeaderMap,
    keys: &ProxyKeys,
    max: usize,
) -> (String, bool) {
    let mut json = String::with_capacity(headers.len() * 48 + 2);
    json.push('{');
    for name in headers.keys() {
        let before = json.len();
        if before > 1 {
            json.push(',');
        }
        push_json(&mut json, name.as_str());
        json.push(':');
        let mut values =
            headers.get_all(name).iter().map(|v| recorded_value(name.as_str(), v.as_bytes(), keys));
        let first = values.next().unwrap_or_default();
        let rest: Vec<String> = values.collect();
        if rest.is_empty() {
            push_json(&mut json, &first);
        } else {
            json.push('[');
            push_json(&mut json, &first);
            for value in &rest {
                json.push(',');
                push_json(&mut json, value);
            }
            json.push(']');
        }
        if json.len() >= max {
            json.truncate(before);
            json.push('}');
            return (json, true);
        }
    }
    json.push('}');
    (json, false)
}

fn recorded_value(name: &str, value: &[u8], keys: &ProxyKeys) -> String {
    if is_credential_header(name) {
        return credential(value, keys);
    }
    let text = String::from_utf8_lossy(value);
    match scrubbed(&text, keys) {
        Cow::Borrowed(_) => text.into_owned(),
        Cow::Owned(scrubbed) => scrubbed,
    }
}

/// Scheme, where it is one of those that are registered, and token.
fn credential(value: &[u8], keys: &ProxyKeys) -> String {
    let split = value.iter().position(|b| *b == b' ').map(|at| value.split_at(at));
    if let Some((scheme, rest)) = split {
        let known = SCHEMES.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(scheme));
        if let Some(known) = known {
            return format!("{known} [token {}]", keys.token(rest.trim_ascii()));
        }
    }
    format!("[token {}]", keys.token(value))
}

/// Path and query, or any text with a URL in it, with a token in the place of every parameter that
/// is a credential.
pub(crate) fn scrubbed<'a>(text: &'a str, keys: &ProxyKeys) -> Cow<'a, str> {
    let Some(query) = text.find(['?', '#']) else { return Cow::Borrowed(text) };
    let mut out: Option<String> = None;
    let mut done = 0;
    let mut at = query;
    // `at` stands on the separator before a parameter.
    while at < text.len() {
        let start = at + 1;
        let end = text[start..].find(SEPARATORS).map_or(text.len(), |found| start + found);
        if let Some(equals) = text[start..end].find('=') {
            let (name, value) = (&text[start..start + equals], &text[start + equals + 1..end]);
            if !value.is_empty() && is_credential_parameter(name) {
                let out = out.get_or_insert_with(String::new);
                out.push_str(&text[done..start + equals + 1]);
                let _ = write!(out, "[token {}]", keys.token(value.as_bytes()));
                done = end;
            }
        }
        at = end;
    }
    match out {
        None => Cow::Borrowed(text),
        Some(mut out) => {
            out.push_str(&text[done..]);
            Cow::Owned(out)
        }
    }
}

pub(crate) fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |i: usize| bytes.get(i).and_then(|b| (*b as char).to_digit(16));
        if bytes[at] == b'%'
            && let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2))
        {
            // Two hex digits make at most 255.
            out.push((high * 16 + low) as u8);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn push_json(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

const SEPARATORS: [char; 8] = ['?', '&', ';', '#', ' ', '"', '>', ','];

const SCHEMES: [&str; 8] =
    ["Bearer", "Basic", "Digest", "Negotiate", "DPoP", "HOBA", "AWS4-HMAC-SHA256", "Token"];

const SECRET_WORDS: [&str; 12] = [
    "token",
    "secret",
    "password",
    "passwd",
    "api-key",
    "apikey",
    "api_key",
    "credential",
    "cookie",
    "signature",
    "session-id",
    "private",
];

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use trailgate_schemas::SessionKey;

    use super::*;

    fn keys() -> ProxyKeys {
        ProxyKeys::new(SessionKey::new(&[1; 32]), &[2; 32], &[3; 32])
    }

    #[test]
    fn a_credential_is_recorded_as_scheme_and_token() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("bearer hunter2"));
        headers.insert("x-api-key", HeaderValue::from_static("hunter2"));
        headers.append("cookie", HeaderValue::from_static("a=hunter2"));
        headers.append("cookie", HeaderValue::from_static("b=hunter2"));
        headers.insert("accept", HeaderValue::from_static("text/\"plain\""));
        let (json, cut) = recorded_headers(&headers, &keys(), 10_000);
        assert!(!cut && !json.contains("hunter2"), "{json}");
        let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
        let token = keys().token(b"hunter2");
        assert_eq!(parsed["authorization"], format!("Bearer [token {token}]"));
        assert_eq!(parsed["x-api-key"], format!("[token {token}]"));
        assert_eq!(parsed["cookie"].as_array().map(Vec::len), Some(2));
        assert_eq!(parsed["accept"], "text/\"plain\"");
    }

    #[test]
    fn what_is_no_scheme_is_part_of_the_secret() {
        assert!(!credential(b"hunter2 more", &keys()).contains("hunter2"));
    }

    #[test]
    fn credentials_in_a_query_are_recorded_as_tokens() {
        let keys = keys();
        let token = keys.token(b"hunter2");
        let cases = [
            ("/a?api_key=hunter2&b=1", format!("/a?api_key=[token {token}]&b=1")),
            ("/a?b=1&X-Amz-Signature=hunter2", format!("/a?b=1&X-Amz-Signature=[token {token}]")),
            ("/a?%61ccess_token=hunter2#x", format!("/a?%61ccess_token=[token {token}]#x")),
            (
                "https://h/cb#access_token=hunter2",
                format!("https://h/cb#access_token=[token {token}]"),
            ),
            ("/a?b=1&c", "/a?b=1&c".to_owned()),
            ("/token=x", "/token=x".to_owned()),
        ];
        for (text, expected) in cases {
            assert_eq!(scrubbed(text, &keys), expected);
        }
    }

    #[test]
    fn headers_beyond_the_bound_are_cut_between_names() {
        let mut headers = HeaderMap::new();
        headers.insert("a", HeaderValue::from_static("1"));
        headers.insert("b", HeaderValue::from_str(&"x".repeat(100)).unwrap());
        let (json, cut) = recorded_headers(&headers, &keys(), 50);
        assert!(cut);
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
    }
}
