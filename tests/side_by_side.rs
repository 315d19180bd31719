//! One, two and three instances of the gateway, of approver and of query side by side, which come and
//! go under load: what was answered is recorded once, what waits is decided by whichever instance, and
//! every query stage tells the same.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]
#![allow(clippy::print_stdout, reason = "how far it came says where it stood still")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use trailgate_testkit::{TokenRequest, Upstream, until_within};
use trailgate_tests::{Connection, Running, Stages, TablePlace, Trail};

const RULES: &str =
    "[[hold]]\nname = \"payments\"\npath = \"/sink\"\nreviewers = [\"reviewers\"]\n";

const PLAIN: &str = "/echo";
const HELD: &str = "/sink";

const CLIENTS: usize = 4;

/// Answers to plain requests, and to held ones, between two changes.
const STEP: (usize, usize) = (60, 3);

/// How fast a loaded machine is does not matter here.
const PATIENCE: Duration = Duration::from_secs(300);

/// Who takes part, for those who send.
#[derive(Default)]
struct Crowd {
    /// Instances that may be asked, also such as have just gone.
    proxies: Mutex<Vec<String>>,
    approvers: Mutex<Vec<String>>,
    queries: Mutex<Vec<String>>,
    turn: AtomicUsize,
    /// Of each path, the marks of requests that were answered.
    answered: Mutex<HashMap<&'static str, Vec<String>>>,
    /// Statements that were answered, and what was wrong with an answer.
    told: AtomicUsize,
    is_over: AtomicBool,
    wrong: Mutex<Vec<String>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_come_and_go_under_load_and_nothing_is_lost_or_done_twice() {
    let upstream = Upstream::start().await;
    let mut stages = Stages::components(TablePlace::Folder).await;
    stages.start_masker("masker-0").await;
    stages.start_archiver("archiver-0").await;
    let web = Connection { name: "web", kind: "http", upstream: upstream.url(), more: "" };
    let crowd = Arc::new(Crowd::default());
    join(&mut stages, 0, &web, &crowd).await;

    let all_groups = TokenRequest::of("alice").groups(&["agents", "auditors"]);
    let (alice, rita) = (
        stages.oidc.token(&all_groups).await,
        stages.oidc.token(&TokenRequest::of("rita").groups(&["reviewers"])).await,
    );
    let (mut senders, mut others) = (JoinSet::new(), JoinSet::new());
    for client in 0..CLIENTS {
        senders.spawn(Arc::clone(&crowd).send(PLAIN, client, alice.clone()));
    }
    senders.spawn(Arc::clone(&crowd).send(HELD, CLIENTS, alice.clone()));
    others.spawn(Arc::clone(&crowd).review(rita));
    others.spawn(Arc::clone(&crowd).ask(alice.clone()));

    crowd.goes_on("one of each").await;
    join(&mut stages, 1, &web, &crowd).await;
    crowd.goes_on("two of each").await;
    join(&mut stages, 2, &web, &crowd).await;
    crowd.goes_on("three of each").await;
    for name in ["proxy-0", "approver-0", "query-0"] {
        stages.daemon(name).process().terminate().await;
    }
    crowd.goes_on("one of each gone in order").await;
    for name in ["proxy-1", "approver-1", "query-1"] {
        stages.daemon(name).kill();
    }
    crowd.goes_on("one of each killed").await;
    for name in ["proxy-0", "approver-0", "query-0"] {
        stages.daemon(name).restart().await;
    }
    crowd.goes_on("one of each back").await;
    crowd.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = senders.join_next().await {
        ended.unwrap();
    }
    drop(others);
    assert_eq!(*crowd.wrong.lock().unwrap(), Vec::<String>::new());

    let urls = ["query-0", "query-2"].map(|name| stages.connection_url(name));
    let mut trail = Trail {
        proxy_url: String::new(),
        query_url: String::new(),
        token: alice,
        running: Running::Stages(Box::new(stages)),
    };
    for url in urls {
        trail.query_url = url;
        crowd.each_once(&trail, &upstream).await;
    }
}

/// Starts one more of each.
async fn join(stages: &mut Stages, number: usize, web: &Connection, crowd: &Crowd) {
    let rules = stages.folder().join("rules.toml");
    std::fs::write(&rules, RULES).unwrap();
    let [proxy, approver, query] =
        ["proxy", "approver", "query"].map(|stage| format!("{stage}-{number}"));
    stages.start_holding_proxy(&proxy, web, &rules).await;
    stages.start_approver(&approver).await;
    stages.start_query_as(&query).await;
    crowd.proxies.lock().unwrap().push(stages.url_of(&proxy, "web"));
    crowd.approvers.lock().unwrap().push(stages.connection_url(&approver));
    crowd.queries.lock().unwrap().push(stages.connection_url(&query));
}

impl Crowd {
    /// The next instance in turn.
    fn next(&self, instances: &Mutex<Vec<String>>) -> String {
        let instances = instances.lock().unwrap();
        instances[self.turn.fetch_add(1, Ordering::Relaxed) % instances.len()].clone()
    }

    async fn post(&self, token: &str, mark: &str, path: &str) -> Option<StatusCode> {
        let url = format!("{}{path}?mark={mark}", self.next(&self.proxies));
        let asked = Client::new().post(url).bearer_auth(token).json(&json!({"mark": mark})).send();
        let answer = asked.await.ok()?;
        let status = answer.status();
        answer.bytes().await.ok()?;
        Some(status)
    }

    /// Sends one request after the other until it is over.
    async fn send(self: Arc<Self>, path: &'static str, client: usize, token: String) {
        for n in 0.. {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let mark = format!("{path}-{client}-{n}.");
            match self.post(&token, &mark, path).await {
                Some(StatusCode::OK) => {
                    self.answered.lock().unwrap().entry(path).or_default().push(mark);
                }
                // Gone, or about to.
                None | Some(StatusCode::SERVICE_UNAVAILABLE) => {}
                Some(other) => self.is_wrong(format!("{mark} was answered {other}")),
            }
            // A steady load, not as much as the machine can do: others' turns must come too.
            pause().await;
        }
    }

    /// The marks of those requests to `path` that were answered.
    fn answered(&self, path: &str) -> Vec<String> {
        self.answered.lock().unwrap().get(path).cloned().unwrap_or_default()
    }

    /// Approves whatever waits, by each approver in turn.
    async fn review(self: Arc<Self>, token: String) {
        loop {
            pause().await;
            let url = format!("{}/v1/holds", self.next(&self.approvers));
            let asked =
                Client::new().get(format!("{url}?state=pending")).bearer_auth(&token).send();
            let Ok(answer) = asked.await else { continue };
            let list: Value = answer.json().await.unwrap_or_default();
            for hold in list["holds"].as_array().into_iter().flatten() {
                let id = hold["hold"]["hold_id"].as_str().unwrap();
                let vote = Client::new().post(format!("{url}/{id}/approve")).bearer_auth(&token);
                // Another approver may be ahead of this one.
                let _ = vote.json(&json!({})).send().await;
            }
        }
    }

    /// Asks each query stage in turn; what one has told it does not take back.
    async fn ask(self: Arc<Self>, token: String) {
        let mut seen: HashMap<String, i64> = HashMap::new();
        loop {
            pause().await;
            let url = self.next(&self.queries);
            let statement = "SELECT count(*) AS n FROM events";
            let asked = Client::new().post(format!("{url}/v1/sql")).bearer_auth(&token);
            let asked = asked.header("accept", "application/x-ndjson").body(statement).send().await;
            let Ok(answer) = asked else { continue };
            let status = answer.status();
            let Ok(text) = answer.text().await else { continue };
            if status == StatusCode::SERVICE_UNAVAILABLE {
                continue;
            }
            let row: Value =
                serde_json::from_str(text.lines().next().unwrap_or("")).unwrap_or_default();
            match row["n"].as_i64() {
                Some(count) if count >= *seen.get(&url).unwrap_or(&0) => {
                    seen.insert(url, count);
                    self.told.fetch_add(1, Ordering::Relaxed);
                }
                _ => self.is_wrong(format!("{url} said {status} {text} after {seen:?}")),
            }
        }
    }

    fn is_wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    /// Waits until so much more was answered.
    async fn goes_on(&self, what: &str) {
        let now = || {
            let told = self.told.load(Ordering::Relaxed);
            (self.answered(PLAIN).len(), self.answered(HELD).len(), told)
        };
        let (plain, held, told) = now();
        let mut last = (0, 0, 0);
        until_within(PATIENCE, &format!("answers with {what}"), async || {
            let now = now();
            let is_enough = now.0 >= plain + STEP.0 && now.1 >= held + STEP.1 && now.2 > told + 2;
            // Shown when the test fails.
            if now != last && !is_enough {
                println!("{what}: {now:?} so far, wrong: {:?}", self.wrong.lock().unwrap());
                last = now;
            }
            is_enough.then_some(())
        })
        .await;
        println!("{what}: {:?} answered", now());
    }

    /// What was answered stands in the trail once, and what was held went through once.
    async fn each_once(&self, trail: &Trail, upstream: &Upstream) {
        let (answered, passed) = (self.answered(PLAIN), self.answered(HELD));
        let marks = "SELECT payload, count(*) AS n, min(status) AS status FROM events \
                     WHERE connection = 'web' AND kind = 'request' GROUP BY payload";
        let recorded = trail.until_sql("what was answered", marks, |rows| {
            let recorded: HashMap<String, i64> = rows
                .iter()
                .filter_map(|row| Some((row["payload"].as_str()?.to_owned(), row["n"].as_i64()?)))
                .collect();
            let has = |mark: &String| recorded.contains_key(&json!({"mark": mark}).to_string());
            answered.iter().chain(&passed).all(has).then_some(recorded)
        });
        let recorded = recorded.await;
        assert!(recorded.values().all(|count| *count == 1), "{recorded:?}");
        let twice = "SELECT count(*) - count(DISTINCT event_id) FROM events";
        assert_eq!(trail.number(twice).await, 0);
        // One approval lets one request through, whoever was killed meanwhile.
        let reached = i64::try_from(upstream.requests_of(HELD)).unwrap();
        let approved = "SELECT count(DISTINCT hold_id) FROM events WHERE kind = 'approved'";
        let executed = "SELECT count(*) FROM events WHERE kind = 'executed'";
        assert!(i64::try_from(passed.len()).unwrap() <= reached);
        assert!(trail.number(executed).await <= reached);
        assert!(reached <= trail.number(approved).await);
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
