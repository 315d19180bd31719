//! A caller who can't be verified reaches nothing, learns little, and is recorded.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use futures::StreamExt;
use reqwest::Client;
use serde_json::Value;
use tokio::sync::OnceCell;

use trailgate_testkit::{Flaw, OidcProvider, TokenRequest, Upstream};
use trailgate_tests::{Connection, Running, Stages, TablePlace, Trail};

/// One deployment for all tests of this file, with a connection and an upstream for each.
struct World {
    trail: Trail,
    upstreams: [Upstream; 3],
    /// A second provider, whose keys change under way.
    changing: OidcProvider,
}

static WORLD: OnceCell<World> = OnceCell::const_new();

async fn world() -> &'static World {
    WORLD.get_or_init(start).await
}

async fn start() -> World {
    let upstreams = [Upstream::start().await, Upstream::start().await, Upstream::start().await];
    let mut stages = Stages::components(TablePlace::Folder).await;
    let changing = OidcProvider::start().await;
    stages.trust(changing.issuer());
    let connections = ["flaws", "flood", "keys"].into_iter().zip(&upstreams);
    let connections: Vec<_> = connections
        .map(|(name, upstream)| Connection {
            name,
            kind: "http",
            upstream: upstream.url(),
            more: "",
        })
        .collect();
    stages.start_all(&connections).await;
    World { trail: Trail::of_stages(stages, "flaws").await, upstreams, changing }
}

impl World {
    fn stages(&self) -> &Stages {
        match &self.trail.running {
            Running::Stages(stages) => stages,
            Running::Up(_) => unreachable!("stages were started"),
        }
    }

    fn echo(&self, connection: &str) -> String {
        format!("{}/echo", self.stages().connection_url(connection))
    }
}

#[tokio::test]
async fn a_caller_who_can_not_be_verified_reaches_nothing_and_is_recorded() {
    let world = world().await;
    let (trail, upstream, url) = (&world.trail, &world.upstreams[0], world.echo("flaws"));
    let request = TokenRequest::of("alice").groups(&["agents", "auditors"]);
    let mut tokens = vec![("no token".to_owned(), None)];
    for flaw in Flaw::ALL {
        let token = world.stages().oidc.token(&request.clone().with(flaw)).await;
        tokens.push((format!("{flaw:?}"), Some(token)));
    }
    tokens.push(("not a token".to_owned(), Some("not.a.token".to_owned())));

    let mut told = Vec::new();
    for (case, token) in &tokens {
        told.push(refused(&url, case, token.as_deref()).await);
    }
    assert_eq!(upstream.requests(), 0, "nothing is forwarded");

    // Each is an event under the id that the caller was told.
    for (event, (case, _)) in told.iter().zip(&tokens) {
        let statement =
            format!("SELECT kind, actor, outcome FROM events WHERE event_id = '{event}'");
        let row = trail.until_sql(case, &statement, |rows| rows.first().cloned()).await;
        assert_eq!(row["kind"], "login_refused", "{case}");
        assert_eq!(row["actor"], "[unverified]", "{case}");
    }

    // No token, good or bad, is in any record.
    let rows = trail.sql("SELECT * FROM events").await;
    let text = serde_json::to_string(&rows).unwrap();
    for (case, token) in &tokens {
        let signature = token.as_deref().and_then(|token| token.rsplit('.').next());
        let signature = signature.filter(|signature| signature.len() > 20);
        assert!(signature.is_none_or(|signature| !text.contains(signature)), "{case}");
    }

    // And who can be verified gets through.
    let answer = Client::new().get(&url).bearer_auth(&trail.token).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), upstream.requests()), (200, 1));
}

#[tokio::test]
async fn many_refusals_of_one_source_are_one_event_with_a_count() {
    let world = world().await;
    let (client, url, sent) = (Client::new(), world.echo("flood"), 600);
    let refuse = async |_| {
        let answer = client.get(&url).bearer_auth("not.a.token").send().await.unwrap();
        assert_eq!(answer.status(), 401);
    };
    futures::stream::iter(0..sent).for_each_concurrent(64, refuse).await;
    // Refusals of one source are counted together, over all connections; the flaws of the test beside
    // this one come from the same address.
    let statement = "SELECT count(*) AS events, sum(coalesce(count, 1)) AS refusals \
                     FROM events WHERE kind = 'login_refused'";
    let others = i64::try_from(Flaw::ALL.len() + 2).unwrap();
    let events = world
        .trail
        .until_sql("every refusal in some event's count", statement, |rows| {
            let refusals = rows[0]["refusals"].as_i64()?;
            assert!(refusals <= sent + others, "{refusals} are more than were sent");
            (refusals >= sent).then(|| rows[0]["events"].as_i64())?
        })
        .await;
    assert!(events < sent / 2, "{events} events for {sent} refusals");
    assert_eq!(world.upstreams[1].requests(), 0);
}

#[tokio::test]
async fn keys_may_rotate_and_a_caller_of_another_group_is_denied() {
    let world = world().await;
    let (client, url, upstream) = (Client::new(), world.echo("keys"), &world.upstreams[2]);
    let status = async |token: &str| {
        client.get(&url).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    let alice = TokenRequest::of("alice").groups(&["agents"]);

    let before = world.changing.token(&alice).await;
    assert_eq!(status(&before).await, 200);
    world.changing.rotate_keys().await;
    let after = world.changing.token(&alice).await;
    assert_eq!((status(&after).await, status(&before).await), (200, 200));
    world.changing.replace_keys().await;
    assert_eq!(status(&world.changing.token(&alice).await).await, 200);

    let guest = world.changing.token(&TokenRequest::of("bob").groups(&["guests"])).await;
    let reached = upstream.requests();
    assert_eq!(status(&guest).await, 403);
    assert_eq!(upstream.requests(), reached);
}

/// Asks with a bad token; gives the event id that the answer names.
async fn refused(url: &str, case: &str, token: Option<&str>) -> String {
    let mut request = Client::new().get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 401, "{case}");
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/problem+json"), "{case}: {kind}");
    assert!(answer.headers().contains_key("www-authenticate"), "{case}");
    let text = answer.text().await.unwrap();
    assert!(token.is_none_or(|token| !text.contains(token)), "{case}: {text}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert!(problem["type"].as_str().is_some_and(|kind| kind.len() > 5), "{case}: {text}");
    problem["event_id"].as_str().unwrap_or_else(|| panic!("{case}: {text}")).to_owned()
}
