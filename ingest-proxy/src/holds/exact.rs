//! Exactly what is held, as bytes: what a decision is about. Each part has its length before it, so
//! that nothing can be moved from one part into the next.
//!
//! Left out are the request's own id and the headers that only the gateway knows: they are not the
//! caller's, and the second are secrets that may change while a request waits.

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use trailgate_schemas::Principal;

/// Exactly what is held.
pub(crate) struct Exact {
    head: Vec<u8>,
    body: Bytes,
}

/// What it is made of.
pub(crate) struct ExactOf<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) requester: &'a Principal,
    pub(crate) connection: &'a str,
    pub(crate) method: &'a str,
    /// Path and query, as the upstream gets them.
    pub(crate) target: &'a str,
    /// The head that the upstream gets.
    pub(crate) headers: &'a HeaderMap,
    /// Those of it that are left out.
    pub(crate) left_out: &'a dyn Fn(&HeaderName) -> bool,
}

impl Exact {
    pub(crate) fn new(of: &ExactOf<'_>, body: Bytes) -> Self {
        let mut head = Vec::with_capacity(1024);
        let who = of.requester;
        for part in
            [FORM, of.tenant, &who.issuer, &who.subject, of.connection, of.method, of.target]
        {
            put(&mut head, part.as_bytes());
        }
        let headers = sorted(of.headers, of.left_out);
        head.extend_from_slice(&(headers.len() as u64).to_be_bytes());
        for (name, value) in headers {
            put(&mut head, name.as_str().as_bytes());
            put(&mut head, value.as_bytes());
        }
        head.extend_from_slice(&(body.len() as u64).to_be_bytes());
        Self { head, body }
    }

    /// Its keyed hash, hex.
    pub(crate) fn digest(&self, mut hash: hmac::Context) -> String {
        hash.update(&self.head);
        hash.update(&self.body);
        hex::encode(hash.sign().as_ref())
    }

    pub(super) fn bytes(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// The bytes in pieces of at most `max`.
    pub(super) fn pieces(&self, max: usize) -> impl Iterator<Item = Vec<u8>> {
        let whole = self.bytes();
        (0..whole).step_by(max.max(1)).map(move |start| {
            let end = whole.min(start + max.max(1));
            let (head, body) = (&self.head, &self.body);
            let of_head = &head[start.min(head.len())..end.min(head.len())];
            let skipped = |at: usize| at.saturating_sub(head.len());
            [of_head, &body[skipped(start)..skipped(end)]].concat()
        })
    }
}

/// By name; values of one name in their order, which means something.
fn sorted<'a>(
    headers: &'a HeaderMap,
    left_out: &dyn Fn(&HeaderName) -> bool,
) -> Vec<(&'a HeaderName, &'a HeaderValue)> {
    let mut sorted: Vec<_> = headers.iter().filter(|(name, _)| !left_out(name)).collect();
    sorted.sort_by_key(|(name, _)| name.as_str());
    sorted
}

fn put(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(&(part.len() as u64).to_be_bytes());
    out.extend_from_slice(part);
}

const FORM: &str = "trailgate hold 1";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trailgate_schemas::SessionKey;

    use super::*;
    use crate::keys::ProxyKeys;

    #[derive(Clone, Debug, PartialEq)]
    struct Case {
        tenant: String,
        issuer: String,
        subject: String,
        connection: String,
        method: String,
        target: String,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    }

    fn case() -> Case {
        Case {
            tenant: "default".to_owned(),
            issuer: "https://issuer.test".to_owned(),
            subject: "alice".to_owned(),
            connection: "tools".to_owned(),
            method: "POST".to_owned(),
            target: "/deploy?env=prod".to_owned(),
            headers: vec![("accept", "a".to_owned()), ("content-type", "b".to_owned())],
            body: b"{\"version\":7}".to_vec(),
        }
    }

    fn exact(case: &Case) -> Exact {
        let mut headers = HeaderMap::new();
        for (name, value) in &case.headers {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let requester = Principal { issuer: case.issuer.clone(), subject: case.subject.clone() };
        let of = ExactOf {
            tenant: &case.tenant,
            requester: &requester,
            connection: &case.connection,
            method: &case.method,
            target: &case.target,
            headers: &headers,
            left_out: &|name| ["x-request-id", "x-injected"].contains(&name.as_str()),
        };
        Exact::new(&of, Bytes::from(case.body.clone()))
    }

    fn keys(gateway: u8) -> ProxyKeys {
        ProxyKeys::new(SessionKey::new(&[1; 32]), &[2; 32], &[gateway; 32])
    }

    fn digest(case: &Case) -> String {
        exact(case).digest(keys(3).hold_digest())
    }

    #[test]
    fn whatever_is_changed_of_an_operation_changes_its_digest() {
        type Change = fn(&mut Case);
        let changes: [Change; 15] = [
            |case| case.tenant.push('x'),
            |case| case.issuer.push('x'),
            |case| case.subject = "mallory".to_owned(),
            |case| case.connection.push('x'),
            |case| case.method = "PUT".to_owned(),
            |case| case.target = "/deploy?env=prod2".to_owned(),
            |case| case.target = "/deploy?env=pro%64".to_owned(),
            |case| case.headers[0].1.push('x'),
            |case| case.headers[0].0 = "accept2",
            |case| case.headers.push(("accept", "c".to_owned())),
            |case| drop(case.headers.pop()),
            |case| case.body[3] ^= 1,
            |case| case.body.push(b' '),
            |case| case.body.clear(),
            // From the end of one part to the beginning of the next.
            |case| {
                case.subject.push('t');
                case.connection = "ools".to_owned();
            },
        ];
        let before = digest(&case());
        for (n, change) in changes.iter().enumerate() {
            let mut changed = case();
            change(&mut changed);
            assert_ne!(digest(&changed), before, "change {n}");
        }
        assert_eq!(digest(&case()), before);
    }

    #[test]
    fn what_the_gateway_adds_does_not_change_it_and_its_key_does() {
        let mut with = case();
        with.headers.push(("x-request-id", "1".to_owned()));
        with.headers.push(("x-injected", "secret".to_owned()));
        assert_eq!(digest(&with), digest(&case()));
        assert_ne!(exact(&case()).digest(keys(4).hold_digest()), digest(&case()));
        let plain = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &[3; 32]));
        assert_ne!(exact(&case()).digest(plain), digest(&case()), "a body's hash is another");
    }

    #[test]
    fn the_order_of_names_means_nothing_and_that_of_values_does() {
        let mut turned = case();
        turned.headers.reverse();
        assert_eq!(digest(&turned), digest(&case()));
        let two = |a: &str, b: &str| {
            let mut case = case();
            case.headers = vec![("accept", a.to_owned()), ("accept", b.to_owned())];
            digest(&case)
        };
        assert_ne!(two("a", "b"), two("b", "a"));
    }

    fn any_case() -> impl Strategy<Value = Case> {
        let word = || "[a-z]{0,3}";
        let names = prop_oneof![Just("accept"), Just("content-type"), Just("x-a")];
        let headers = proptest::collection::vec((names, "[a-z]{0,3}"), 0..3);
        let body = proptest::collection::vec(any::<u8>(), 0..6);
        (word(), word(), word(), word(), word(), word(), headers, body).prop_map(
            |(tenant, issuer, subject, connection, method, target, mut headers, body)| {
                headers.sort_by_key(|(name, _)| *name);
                Case { tenant, issuer, subject, connection, method, target, headers, body }
            },
        )
    }

    proptest! {
        #[test]
        fn two_operations_have_one_digest_only_if_they_are_one(a in any_case(), b in any_case()) {
            prop_assert_eq!(digest(&a) == digest(&b), a == b);
        }

        #[test]
        fn the_pieces_are_the_whole(case in any_case(), max in 1_usize..60) {
            let exact = exact(&case);
            let whole = [exact.head.as_slice(), &exact.body].concat();
            let pieces: Vec<_> = exact.pieces(max).collect();
            prop_assert!(pieces.iter().all(|piece| (1..=max).contains(&piece.len())));
            prop_assert_eq!(pieces.concat(), whole);
        }
    }
}
