//! A real full identity provider: its users' groups decide who gets through.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use reqwest::Client;

use trailgate_testkit::{Keycloak, Upstream};
use trailgate_tests::{Connection, Stages, TablePlace};

#[tokio::test]
async fn a_user_of_the_allowed_group_gets_through_and_another_does_not() {
    let keycloak = Keycloak::start().await;
    let upstream = Upstream::start().await;
    let mut stages = Stages::components(TablePlace::Folder).await;
    stages.trust(keycloak.issuer());
    let web = Connection { name: "web", kind: "http", upstream: upstream.url(), more: "" };
    stages.start_proxy(&[web]).await;

    let url = format!("{}/echo", stages.connection_url("web"));
    let status = async |user: &str| {
        let token = keycloak.token(user).await;
        Client::new().get(&url).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("alice").await, 200);
    assert_eq!(status("mallory").await, 403);
    assert_eq!(upstream.requests(), 1);
}
