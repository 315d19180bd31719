//! What a token must be to become an identity, each way of failing under its own code.

use std::time::Duration;

use crate::fake::{AUDIENCE, Bench, Provider, SigningKey, shared_secret_token, unsigned};
use serde_json::{Value, json};
use trailgate_identity::{Algorithm, Refusal};
use trailgate_schemas::AuthMethod;
use trailgate_service::Clock;

#[tokio::test]
async fn a_valid_token_becomes_who_its_issuer_says_whatever_the_kind_of_key() {
    let keys = [SigningKey::ec("ec"), SigningKey::ed("ed"), SigningKey::rsa("rsa")];
    let provider = Provider::start(&keys.each_ref()).await;
    let bench = Bench::new(vec![provider.config()]);
    let claims = provider.claims(bench.clock.now());
    let pss = keys[2].token_with(&json!({"alg": "PS256", "kid": "rsa"}), &claims);
    let tokens = keys.iter().map(|key| key.token(&claims)).chain([pss]);
    for token in tokens {
        let identity = bench.asks(&token).await.unwrap();
        assert_eq!((identity.subject.as_str(), &identity.issuer), ("ann", &provider.issuer));
        assert_eq!(identity.groups, ["agents"]);
        assert_eq!(identity.method, AuthMethod::OidcBearer);
        assert_eq!(identity.expires_at.0 / 1_000_000, claims["exp"].as_i64().unwrap());
    }
    assert_eq!(provider.fetches(), 1);
    provider.stop();
}

#[tokio::test]
async fn each_wrong_token_is_refused_under_its_own_code() {
    let (key, other) = (SigningKey::ec("one"), SigningKey::ec("one"));
    let provider = Provider::start(&[&key]).await;
    let bench = Bench::new(vec![provider.config()]);
    let now = bench.clock.now().0 / 1_000_000;
    let good = provider.claims(bench.clock.now());
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let none = json!({"alg": "none", "kid": "one"});
    let unknown = json!({"alg": "ES256", "kid": "two"});
    let swapped = {
        let token = key.token(&good);
        let signature = token.rsplit_once('.').unwrap().1.to_owned();
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": "one"});
        format!("{}.{signature}", unsigned(&header, &with("sub", json!("eve"))))
    };
    let cases = [
        (key.token(&with("iss", json!("https://id.example"))), Refusal::UnknownIssuer),
        (key.token(&with("aud", json!("somebody-else"))), Refusal::WrongAudience),
        (key.token(&with("exp", json!(now - 31))), Refusal::Expired),
        (key.token(&with("nbf", json!(now + 31))), Refusal::NotYetValid),
        (format!("{}.", unsigned(&none, &good)), Refusal::AlgorithmNotAllowed),
        (shared_secret_token(&key.public_bytes(), "one", &good), Refusal::AlgorithmNotAllowed),
        (
            key.token_with(&json!({"alg": "ES512", "kid": "one"}), &good),
            Refusal::AlgorithmNotAllowed,
        ),
        (key.token_with(&json!({"alg": "RS256", "kid": "one"}), &good), Refusal::UnknownKey),
        (key.token_with(&unknown, &good), Refusal::UnknownKey),
        (other.token(&good), Refusal::BadSignature),
        (swapped, Refusal::BadSignature),
        (key.token(&good) + "A", Refusal::BadSignature),
        (key.token(&with("_claim_names", json!({"groups": "src"}))), Refusal::GroupsOverage),
        (key.token(&with("sub", Value::Null)), Refusal::MalformedToken),
        ("a.b.c".to_owned(), Refusal::MalformedToken),
    ];
    for (place, (token, refusal)) in cases.iter().enumerate() {
        assert_eq!(bench.asks(token).await, Err(*refusal), "case {place}");
    }
    provider.stop();
}

#[tokio::test]
async fn hs256_with_the_public_key_of_an_rsa_issuer_is_refused() {
    let key = SigningKey::rsa("one");
    let provider = Provider::start(&[&key]).await;
    let bench = Bench::new(vec![provider.config()]);
    let claims = provider.claims(bench.clock.now());
    let token = shared_secret_token(&key.public_bytes(), "one", &claims);
    assert_eq!(bench.asks(&token).await, Err(Refusal::AlgorithmNotAllowed));
    provider.stop();
}

#[tokio::test]
async fn an_algorithm_that_the_issuer_may_not_use_is_refused() {
    let key = SigningKey::ec("one");
    let provider = Provider::start(&[&key]).await;
    let mut config = provider.config();
    config.algorithms = [Algorithm::RS256].into();
    let bench = Bench::new(vec![config]);
    let token = key.token(&provider.claims(bench.clock.now()));
    assert_eq!(bench.asks(&token).await, Err(Refusal::AlgorithmNotAllowed));
    assert_eq!(provider.fetches(), 0);
    provider.stop();
}

#[tokio::test]
async fn a_verified_token_is_refused_once_it_expires() {
    let key = SigningKey::ec("one");
    let provider = Provider::start(&[&key]).await;
    let bench = Bench::new(vec![provider.config()]);
    let mut claims = provider.claims(bench.clock.now());
    claims["exp"] = json!(bench.clock.now().0 / 1_000_000 + 10);
    let token = key.token(&claims);
    assert!(bench.asks(&token).await.is_ok());
    bench.clock.advance(Duration::from_secs(41));
    assert_eq!(bench.asks(&token).await, Err(Refusal::Expired));
    provider.stop();
}

#[tokio::test]
async fn a_key_of_one_issuer_does_not_sign_for_another() {
    let (ours, theirs) = (SigningKey::ec("same"), SigningKey::ec("same"));
    let (one, two) = (Provider::start(&[&ours]).await, Provider::start(&[&theirs]).await);
    let bench = Bench::new(vec![one.config(), two.config()]);
    let claims = two.claims(bench.clock.now());
    assert_eq!(bench.asks(&ours.token(&claims)).await, Err(Refusal::BadSignature));
    assert_eq!(bench.asks(&theirs.token(&claims)).await.unwrap().issuer, two.issuer);
    one.stop();
    two.stop();
}

#[tokio::test]
async fn two_credentials_are_refused_also_if_both_are_good() {
    let key = SigningKey::ec("one");
    let provider = Provider::start(&[&key]).await;
    let bench = Bench::new(vec![provider.config()]);
    let value = format!("Bearer {}", key.token(&provider.claims(bench.clock.now())));
    let mut headers = axum::http::HeaderMap::new();
    headers.append("authorization", value.parse().unwrap());
    headers.append("authorization", value.parse().unwrap());
    let refused = bench.authenticator.authenticate(&headers).await;
    assert_eq!(refused, Err(Refusal::MalformedToken));
    provider.stop();
}

#[tokio::test]
async fn no_answer_repeats_anything_of_the_token() {
    let key = SigningKey::ec("hunter2");
    let provider = Provider::start(&[]).await;
    let bench = Bench::new(vec![provider.config()]);
    let mut claims = provider.claims(bench.clock.now());
    claims["sub"] = json!("hunter2");
    claims["aud"] = json!(["hunter2", AUDIENCE]);
    let token = key.token(&claims);
    let refused = bench.asks(&token).await.unwrap_err();
    let said = format!("{refused} {refused:?} {}", refused.problem(None).body());
    let parts = token.split('.');
    assert!(!said.contains("hunter2") && parts.into_iter().all(|part| !said.contains(part)));
    provider.stop();
}
