//! What happens while a provider changes its keys, is asked too often, or is not well.

use std::sync::Arc;
use std::time::Duration;

use crate::fake::{Bench, Mood, Provider, SigningKey, asks};
use serde_json::json;
use trailgate_identity::limits::{FETCH_EVERY, FETCHES_BURST, KEYS_FRESH, KEYS_STALE_MAX};
use trailgate_identity::{Identity, Refusal};
use trailgate_service::Clock;

/// A token that was not seen before, so that no cache knows it.
async fn fresh(bench: &Bench, provider: &Provider, key: &SigningKey) -> Result<Identity, Refusal> {
    let mut claims = provider.claims(bench.clock.now());
    claims["jti"] = json!(provider.fetches());
    bench.asks(&key.token(&claims)).await
}

#[tokio::test]
async fn a_token_of_a_rotated_key_is_taken_at_once() {
    let (old, new) = (SigningKey::ec("old"), SigningKey::rsa("new"));
    let provider = Provider::start(&[&old]).await;
    let bench = Bench::new(vec![provider.config()]);
    assert!(fresh(&bench, &provider, &old).await.is_ok());
    assert_eq!(fresh(&bench, &provider, &new).await, Err(Refusal::UnknownKey));
    bench.clock.advance(Duration::from_secs(120));
    provider.publish(&[&new]);
    assert!(fresh(&bench, &provider, &new).await.is_ok());
    assert_eq!(fresh(&bench, &provider, &old).await, Err(Refusal::UnknownKey));
    provider.stop();
}

#[tokio::test]
async fn many_callers_share_one_fetch() {
    let key = SigningKey::ec("one");
    let provider = Provider::start(&[&key]).await;
    let bench = Bench::new(vec![provider.config()]);
    let callers: Vec<_> = (0..50)
        .map(|n| {
            let mut claims = provider.claims(bench.clock.now());
            claims["jti"] = json!(n);
            let (token, authenticator) = (key.token(&claims), Arc::clone(&bench.authenticator));
            tokio::spawn(async move { asks(&authenticator, &token).await })
        })
        .collect();
    for caller in callers {
        assert!(caller.await.unwrap().is_ok());
    }
    assert_eq!(provider.fetches(), 1);
    provider.stop();
}

#[tokio::test]
async fn unknown_key_ids_do_not_set_the_pace_of_fetches() {
    let (key, wrong) = (SigningKey::ec("one"), SigningKey::ec("x"));
    let provider = Provider::start(&[&key]).await;
    let bench = Bench::new(vec![provider.config()]);
    let claims = provider.claims(bench.clock.now());
    for n in 0..100 {
        let token = wrong.token_with(&json!({"alg": "ES256", "kid": n.to_string()}), &claims);
        assert_eq!(bench.asks(&token).await, Err(Refusal::UnknownKey));
    }
    assert_eq!(provider.fetches(), FETCHES_BURST as usize);
    assert!(bench.asks(&key.token(&claims)).await.is_ok());
    provider.stop();
}

#[tokio::test]
async fn one_unknown_key_id_is_asked_for_once() {
    let (key, wrong) = (SigningKey::ec("one"), SigningKey::ec("two"));
    let provider = Provider::start(&[&key]).await;
    let bench = Bench::new(vec![provider.config()]);
    for _ in 0..10 {
        assert_eq!(fresh(&bench, &provider, &wrong).await, Err(Refusal::UnknownKey));
    }
    assert_eq!(provider.fetches(), 1);
    provider.stop();
}

#[tokio::test]
async fn a_provider_that_is_not_well_is_unavailable_and_comes_back_by_itself() {
    let key = SigningKey::ec("one");
    for mood in [Mood::Down, Mood::Redirects, Mood::TooLong, Mood::Nonsense, Mood::OtherIssuer] {
        let provider = Provider::start(&[&key]).await;
        let bench = Bench::new(vec![provider.config()]);
        provider.is(mood);
        let refused = fresh(&bench, &provider, &key).await;
        assert_eq!(refused, Err(Refusal::ProviderUnavailable), "{mood:?}");
        assert_eq!(Refusal::ProviderUnavailable.status().as_u16(), 503);
        provider.is(Mood::Well);
        bench.clock.advance(FETCH_EVERY);
        assert!(fresh(&bench, &provider, &key).await.is_ok(), "{mood:?}");
        provider.stop();
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_unavailable_too() {
    let key = SigningKey::ec("one");
    let provider = Provider::start(&[&key]).await;
    let bench = Bench::new(vec![provider.config()]);
    provider.stop();
    assert_eq!(fresh(&bench, &provider, &key).await, Err(Refusal::ProviderUnavailable));
}

#[tokio::test]
async fn keys_serve_on_while_their_provider_is_down_but_not_for_ever() {
    let (key, new) = (SigningKey::ec("one"), SigningKey::ec("two"));
    let provider = Provider::start(&[&key]).await;
    let bench = Bench::new(vec![provider.config()]);
    assert!(fresh(&bench, &provider, &key).await.is_ok());
    provider.is(Mood::Down);
    bench.clock.advance(KEYS_FRESH);
    assert!(fresh(&bench, &provider, &key).await.is_ok());
    // A key that is not known can't be said to be unknown while nobody can be asked.
    assert_eq!(fresh(&bench, &provider, &new).await, Err(Refusal::ProviderUnavailable));
    bench.clock.advance(KEYS_STALE_MAX);
    assert_eq!(fresh(&bench, &provider, &key).await, Err(Refusal::ProviderUnavailable));
    provider.stop();
}

#[tokio::test]
async fn keys_may_come_from_an_address_of_their_own() {
    let key = SigningKey::ec("one");
    let provider = Provider::start(&[&key]).await;
    provider.is(Mood::OtherIssuer);
    let mut config = provider.config();
    config.issuer = "https://id.example".to_owned();
    config.jwks_url = format!("{}/jwks", provider.issuer).parse().ok();
    let bench = Bench::new(vec![config]);
    let mut claims = provider.claims(bench.clock.now());
    claims["iss"] = json!("https://id.example");
    assert!(bench.asks(&key.token(&claims)).await.is_ok());
    provider.stop();
}
