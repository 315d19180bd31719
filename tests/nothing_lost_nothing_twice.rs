//! Each event is in the table exactly once, whatever is killed or paused in the middle of a load.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::json;

use trailgate_envelope::{KeysFolder, Sealer, Stage};
use trailgate_schemas::{
    Actor, AuditEvent, AuthMethod, Kind, Outcome, PayloadState, Place, Required, Resource,
    SessionId, SessionRule, SourceAddress, StreamId,
};
use trailgate_service::{Clock, Ids, RandomIds, SystemClock};
use trailgate_testkit::{Upstream, until_paced, until_within};
use trailgate_tests::{
    Running, Stages, TablePlace, Trail, Up, all_records, event_ids, kafka_backbone,
};
use trailgate_topics::{BackboneConfig, RawWriter, Topic, open_backbone};

const EVENTS: usize = 50_000;
const MANY: usize = 100_000;
const IN_FLIGHT: usize = 2_000;

/// So many sessions take turns.
const SESSIONS: usize = 500;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// Between two counts of tens of thousands of rows.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// One load at a time: two brokers and ten processes at once would only wait for each other.
static LOAD: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_masker_and_a_killed_archiver_lose_and_double_nothing() {
    let _alone = LOAD.lock().await;
    let mut stages = Stages::components(TablePlace::Folder).await;
    stages.start_masker("masker-0").await;
    stages.start_archiver("archiver-0").await;
    stages.start_query().await;
    let load = Load::start(&stages).await;

    load.send(EVENTS * 2 / 5).await;
    stages.daemon("masker-0").kill();
    load.send(EVENTS / 5).await;
    stages.daemon("masker-0").restart().await;
    load.send(EVENTS / 5).await;
    stages.daemon("archiver-0").kill();
    load.send(EVENTS - EVENTS * 4 / 5).await;
    stages.daemon("archiver-0").restart().await;

    load.finish().await;
    let trail = Trail::of_stages(stages, "query").await;
    each_once(&trail, EVENTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masker_and_an_archiver_that_wake_up_beside_their_successors_double_nothing() {
    let _alone = LOAD.lock().await;
    let mut stages = Stages::components(TablePlace::Folder).await;
    stages.start_masker("masker-0").await;
    stages.start_archiver("archiver-0").await;
    stages.start_query().await;
    let load = Load::start(&stages).await;

    load.send(EVENTS / 5).await;
    stages.daemon("masker-0").process().pause();
    stages.daemon("archiver-0").process().pause();
    load.send(EVENTS / 5).await;
    // Their successors are ready when they hold partitions: beyond the session time-out.
    stages.start_masker("masker-1").await;
    stages.start_archiver("archiver-1").await;
    load.send(EVENTS / 5).await;
    let (query, token) = (stages.query_url(), stages.token("alice").await);
    arrived(&query, &token, EVENTS * 3 / 5).await;
    stages.daemon("masker-0").process().resume();
    stages.daemon("archiver-0").process().resume();
    load.send(EVENTS - EVENTS * 3 / 5).await;

    load.finish().await;
    let trail = Trail::of_stages(stages, "query").await;
    each_once(&trail, EVENTS).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "`make scale-test` runs it; beside other suites it stood still for two minutes in some runs"]
async fn instances_that_come_go_and_pause_lose_double_and_disorder_nothing() {
    let _alone = LOAD.lock().await;
    let mut stages = Stages::components(TablePlace::Folder).await;
    for masker in ["masker-0", "masker-1", "masker-2"] {
        stages.start_masker(masker).await;
    }
    for archiver in ["archiver-0", "archiver-1"] {
        stages.start_archiver(archiver).await;
    }
    stages.start_query().await;
    let load = Load::start(&stages).await;

    load.send(MANY / 5).await;
    stages.daemon("masker-0").kill();
    stages.daemon("archiver-0").kill();
    load.send(MANY / 10).await;
    stages.daemon("masker-1").process().pause();
    stages.daemon("archiver-1").process().pause();
    for (masker, archiver) in [("masker-3", "archiver-2"), ("masker-4", "archiver-3")] {
        let joining = async {
            stages.start_masker(masker).await;
            stages.start_archiver(archiver).await;
        };
        tokio::join!(load.send(MANY / 5), joining);
    }
    // All that was sent has arrived, so what is paused has lost its partitions to others.
    arrived(&stages.query_url(), &stages.token("alice").await, MANY * 7 / 10).await;
    stages.daemon("masker-1").process().resume();
    stages.daemon("archiver-1").process().resume();
    let joining = async {
        stages.start_masker("masker-5").await;
        stages.daemon("masker-0").restart().await;
        stages.daemon("archiver-0").restart().await;
    };
    tokio::join!(load.send(MANY - MANY * 7 / 10), joining);

    load.finish().await;
    let trail = Trail::of_stages(stages, "query").await;
    each_once(&trail, MANY).await;
    in_order(&trail).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_on_the_embedded_log_goes_on_where_it_was() {
    let _alone = LOAD.lock().await;
    let upstream = Upstream::start().await;
    let mut up = Up::start(&upstream.url()).await;
    let mut answered = Vec::new();
    for round in 0..4 {
        let (url, token) = (up.dev().proxy_url.clone(), up.dev().token.clone());
        let sending = tokio::spawn(send_marks(url, token, round));
        // Killed while requests are under way, wherever they are.
        let seen = upstream.requests();
        until_within(PATIENCE, "requests under way", async || {
            (upstream.requests() > seen + 60).then_some(())
        })
        .await;
        up.kill();
        answered.extend(sending.await.unwrap());
        up.restart().await;
    }
    assert!(answered.len() >= 100, "{} answered", answered.len());

    let trail = Trail::of_up(up);
    let twice = "SELECT count(*) - count(DISTINCT event_id) AS n FROM events";
    until_within(PATIENCE, "every answered request", async || {
        let marked = "SELECT DISTINCT payload FROM events WHERE kind = 'request'";
        let rows = trail.try_sql(marked).await.ok()?;
        let recorded: std::collections::HashSet<&str> =
            rows.iter().filter_map(|row| row["payload"].as_str()).collect();
        answered.iter().all(|mark| recorded.contains(mark.as_str())).then_some(())
    })
    .await;
    assert_eq!(trail.number(twice).await, 0);
    // What the upstream saw was recorded first, also where no answer came back.
    let requests = "SELECT count(DISTINCT payload) FROM events WHERE kind = 'request'";
    assert!(trail.number(requests).await >= i64::try_from(upstream.requests()).unwrap());
}

/// Sends requests, each with a mark of its own, until the gateway is gone; gives those answered.
async fn send_marks(url: String, token: String, round: usize) -> Vec<String> {
    let client = reqwest::Client::new();
    let one = |n: usize| {
        let (client, url, token) = (client.clone(), url.clone(), token.clone());
        async move {
            let body = json!({"round": round, "n": n}).to_string();
            let sent = client.post(format!("{url}/store/items")).bearer_auth(token);
            let answer = sent.header("content-type", "application/json").body(body.clone());
            let answer = answer.send().await.ok()?;
            answer.bytes().await.ok()?;
            Some(body)
        }
    };
    let mut answers = futures::stream::iter(0..).map(one).buffered(8);
    let mut answered = Vec::new();
    while let Some(Some(body)) = answers.next().await {
        answered.push(body);
    }
    answered
}

async fn each_once(trail: &Trail, events: usize) {
    let events = i64::try_from(events).unwrap();
    arrived(&trail.query_url, &trail.token, usize::try_from(events).unwrap()).await;
    let all = "SELECT count(*) FROM events WHERE connection = 'load'";
    assert_eq!(trail.number(all).await, events);
    let distinct = "SELECT count(DISTINCT event_id) FROM events WHERE connection = 'load'";
    assert_eq!(trail.number(distinct).await, events);
    let gaps = "SELECT count(*) FROM events WHERE kind = 'gap'";
    assert_eq!(trail.number(gaps).await, 0);
    let indexes =
        "SELECT count(*) - count(DISTINCT concat(log_partition, '/', log_index)) FROM events";
    assert_eq!(trail.number(indexes).await, 0);
    a_siem_is_told_each_once(trail, usize::try_from(events).unwrap()).await;
}

async fn a_siem_is_told_each_once(trail: &Trail, events: usize) {
    assert_eq!(event_ids(&told_to_a_siem(trail).await).len(), events);
}

/// What a SIEM reads of the load, in the order of each partition.
async fn told_to_a_siem(trail: &Trail) -> Vec<serde_json::Value> {
    let Running::Stages(stages) = &trail.running else { unreachable!("Kafka was started") };
    let records = all_records(&*kafka_backbone(stages), Topic::Siem).await;
    let objects = records.iter().map(|record| {
        serde_json::from_slice::<serde_json::Value>(record.value.as_deref().unwrap()).unwrap()
    });
    objects.filter(|object| object["unmapped"]["connection"] == "load").collect()
}

/// Each session's events are in the order in which they were sent, in the table and for a SIEM.
async fn in_order(trail: &Trail) {
    let back = "SELECT count(*) AS n FROM (SELECT producer_number - lag(producer_number) OVER \
                (PARTITION BY session_id ORDER BY log_index) AS step FROM events \
                WHERE connection = 'load') WHERE step <= 0";
    assert_eq!(trail.number(back).await, 0);
    let mut last = std::collections::HashMap::new();
    for object in told_to_a_siem(trail).await {
        let payload = object["unmapped"]["payload"].as_str().unwrap();
        let number = serde_json::from_str::<serde_json::Value>(payload).unwrap()["n"].as_i64();
        let session = object["metadata"]["correlation_uid"].as_str().unwrap().to_owned();
        assert!(last.insert(session, number) < Some(number), "behind {number:?}");
    }
    assert_eq!(last.len(), SESSIONS);
}

/// Waits until so many events are seen, for as long as they get more: how fast a loaded machine is
/// does not matter here.
async fn arrived(query: &str, token: &str, events: usize) {
    let wanted = i64::try_from(events).unwrap();
    let statement = "SELECT count(*) FROM events WHERE connection = 'load'";
    let mut seen = -1;
    while seen < wanted {
        let what = format!("more than {seen} of {wanted} events");
        seen = until_paced(PAUSE, PATIENCE, &what, async || {
            count(query, token, statement).await.filter(|count| *count > seen)
        })
        .await;
    }
}

async fn count(query: &str, token: &str, statement: &str) -> Option<i64> {
    let asked = reqwest::Client::new().post(format!("{query}/v1/sql")).bearer_auth(token);
    let answer = asked.header("accept", "application/x-ndjson").body(statement.to_owned());
    let text = answer.send().await.ok()?.text().await.ok()?;
    let row: serde_json::Value = serde_json::from_str(text.lines().next()?).ok()?;
    row.as_object()?.values().next()?.as_i64()
}

/// A producer as the gateway has one.
struct Load {
    writer: RawWriter,
    ids: RandomIds,
    sessions: Vec<SessionId>,
    sent: AtomicUsize,
}

impl Load {
    async fn start(stages: &Stages) -> Self {
        let config = stages.backbone().replace("[backbone]\n", "");
        let config: BackboneConfig = trailgate_service::parse(
            std::path::Path::new("backbone"),
            &config,
            &std::collections::BTreeMap::new(),
        )
        .unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let backbone = open_backbone(&config, Arc::clone(&clock)).unwrap();
        backbone.ensure(Topic::ALL).await.unwrap();
        let keys = KeysFolder::new(stages.keys_folder()).load_sealing(Stage::IngestProxy).unwrap();
        let sealer = Sealer::new(keys.sender, keys.opening, Arc::clone(&clock));
        let ids = Arc::new(RandomIds);
        let writer = RawWriter::start(backbone, sealer, "ingest-proxy", clock, ids).await.unwrap();
        let sessions = (0..SESSIONS).map(|_| session(&RandomIds)).collect();
        Self { writer, ids: RandomIds, sessions, sent: AtomicUsize::new(0) }
    }

    /// Sends so many events and waits until each is acknowledged.
    async fn send(&self, events: usize) {
        let mut under_way = FuturesUnordered::new();
        for _ in 0..events {
            let n = self.sent.fetch_add(1, Ordering::Relaxed);
            under_way.push(self.writer.record(self.event(n)));
            if under_way.len() >= IN_FLIGHT {
                under_way.next().await.unwrap().unwrap();
            }
        }
        while let Some(acknowledged) = under_way.next().await {
            acknowledged.unwrap();
        }
    }

    async fn finish(self) {
        self.writer.finish().await.unwrap();
    }

    fn event(&self, n: usize) -> AuditEvent {
        let required = Required {
            actor: Actor::new("load").unwrap(),
            kind: Kind::Request,
            gateway_time: SystemClock.now(),
            outcome: Outcome::Allowed,
            source_address: SourceAddress::new("127.0.0.1").unwrap(),
            resource: Resource::new("load").unwrap(),
        };
        let stream = self.ids.stream();
        let place = Place {
            tenant: "default".to_owned(),
            connection: "load".to_owned(),
            session_id: self.sessions[n % SESSIONS],
            session_rule: SessionRule::Connection,
            stream_id: StreamId(stream.0),
            stream_seq: 0,
        };
        let mut event = AuditEvent::new(self.ids.event(), required, place);
        event.auth_method = AuthMethod::OidcBearer;
        event.stream_count = Some(1);
        event.payload_state = PayloadState::Recorded;
        event.payload_type = Some("application/json".to_owned());
        event.payload = Some(json!({"n": n, "text": "an order of 12 apples"}).to_string());
        event
    }
}

/// Spread over all partitions: the first bytes of a time-ordered id are not.
fn session(ids: &RandomIds) -> SessionId {
    let mut bytes = *ids.next().as_bytes();
    bytes.reverse();
    SessionId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}
