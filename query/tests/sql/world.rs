//! All that a test of query stands on, started and ended together.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::task::AbortOnDropHandle;
use trailgate_envelope::{KeysFolder, Stage};
use trailgate_identity::Authenticator;
use trailgate_query::{Bound, Ground, QueryConfig};
use trailgate_schemas::{
    Actor, AuditEvent, EventReader, Kind, Outcome, Place, Required, Resource, SEALED_EVENT_SCHEMA,
    SealedReader, SessionId, SessionRule, SourceAddress,
};
use trailgate_service::{Clock, Context, Ids, RandomIds, SystemClock};
use trailgate_table::{Table, TableLocation};
use trailgate_testkit::until;
use trailgate_topics::{Backbone, EmbeddedConfig, EmbeddedLog, Topic};
use uuid::Uuid;

use crate::issuer::Issuer;
use crate::log::Log;

pub(crate) struct World {
    pub(crate) issuer: Issuer,
    pub(crate) log: Log,
    pub(crate) keys: KeysFolder,
    pub(crate) context: Context,
    url: String,
    client: reqwest::Client,
    _running: AbortOnDropHandle<()>,
    _folder: TempDir,
}

/// What may differ from one world to the next.
pub(crate) struct Plan {
    pub(crate) configure: fn(&mut QueryConfig),
    pub(crate) wrap: fn(Arc<dyn Backbone>) -> Arc<dyn Backbone>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { configure: |_| {}, wrap: |backbone| backbone }
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Plan::default()).await
    }

    pub(crate) async fn with(plan: Plan) -> Self {
        trailgate_service::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        let keys = KeysFolder::new(folder.path().join("keys"));
        keys.create_missing().unwrap();
        let log = EmbeddedConfig { folder: folder.path().join("log"), partitions: 4 };
        let backbone: Arc<dyn Backbone> =
            Arc::new(EmbeddedLog::open(&log, Arc::new(SystemClock)).unwrap());
        let location = TableLocation::Folder(folder.path().join("table"));
        let table = Table::open_or_create(&location).await.unwrap();
        let log = Log::new(Arc::clone(&backbone), table).await;
        let issuer = Issuer::start().await;
        let context = Context::system();
        let authenticator = Authenticator::new(&issuer.config(), Arc::clone(&context.clock));
        let ground = Ground {
            backbone: (plan.wrap)(backbone),
            table: location,
            keys: keys.clone(),
            authenticator: Arc::new(authenticator.unwrap()),
        };
        let groups = BTreeSet::from(["auditors".to_owned()]);
        let scratch = folder.path().join("scratch");
        let mut config = QueryConfig::new("127.0.0.1:0".parse().unwrap(), groups, scratch);
        (plan.configure)(&mut config);
        let bound = Bound::bind(config).await.unwrap();
        let url = format!("http://{}", bound.address().unwrap());
        let running = bound.run(ground, context.clone());
        let running = tokio::spawn(async move { running.await.unwrap() });
        let world = Self {
            issuer,
            log,
            keys,
            context,
            url,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            _running: AbortOnDropHandle::new(running),
            _folder: folder,
        };
        until("query is ready", async || world.context.health.is_ready().then_some(())).await;
        world
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A request without a token.
    pub(crate) fn request(&self) -> RequestBuilder {
        self.client.post(format!("{}/v1/sql", self.url)).timeout(Duration::from_secs(60))
    }

    /// A request of an auditor.
    pub(crate) fn auditor(&self) -> RequestBuilder {
        self.request().bearer_auth(self.issuer.token("ann", &["auditors"]))
    }

    pub(crate) async fn ask(&self, sql: &str) -> Response {
        self.auditor().body(sql.to_owned()).send().await.unwrap()
    }

    /// The rows of a statement that must work, and the last line.
    pub(crate) async fn rows(&self, sql: &str) -> (Vec<Value>, Value) {
        let answer = self.ask(sql).await;
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, 200, "{sql}: {text}");
        let mut lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let last = lines.pop().unwrap();
        assert!(last.get("complete_until").is_some(), "{last}");
        (lines, last)
    }

    /// The one number that a statement gives.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let (rows, _) = self.rows(sql).await;
        rows[0].as_object().unwrap().values().next().unwrap().as_i64().unwrap()
    }

    /// The status and the code of the problem that a request is answered with.
    pub(crate) async fn problem(request: RequestBuilder) -> (u16, String, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let body: Value = answer.json().await.unwrap();
        let code = body["type"].as_str().unwrap();
        (status, code.trim_start_matches("urn:trailgate:problem:").to_owned(), body)
    }

    /// What query itself has recorded so far, opened.
    pub(crate) async fn recorded(&self) -> Vec<AuditEvent> {
        let mut opener = self.keys.load_opening().unwrap().opener();
        let registry = self.log.backbone.registry();
        let mut tail = self.log.backbone.tail(Topic::Raw, &[]).await.unwrap();
        let (mut sealed, mut events) = (SealedReader::default(), EventReader::default());
        let mut found = Vec::new();
        loop {
            let batch = tail.next(Duration::from_millis(200)).await.unwrap();
            if batch.records.is_empty() {
                return found;
            }
            for record in batch.records {
                let value = record.value.unwrap();
                let (id, _) = trailgate_schemas::unframe(&value).unwrap();
                sealed.know(id, SEALED_EVENT_SCHEMA).unwrap();
                let sealed = sealed.read(&value).unwrap();
                if sealed.kind == Kind::Heartbeat {
                    continue;
                }
                let opened = opener.open(&sealed).unwrap();
                assert_eq!(opened.sender, Stage::Query);
                let schema = registry.schema(opened.schema_id).await.unwrap();
                events.know(opened.schema_id, &schema).unwrap();
                found.push(events.read(&opened.clear).unwrap());
            }
        }
    }
}

/// Event number `n` of session `session`.
pub(crate) fn event(session: u128, n: i64) -> AuditEvent {
    let now = SystemClock.now();
    let required = Required {
        actor: Actor::new("ann").unwrap(),
        kind: Kind::Request,
        gateway_time: now,
        outcome: Outcome::Allowed,
        source_address: SourceAddress::new("192.0.2.1").unwrap(),
        resource: Resource::new("agents/threads").unwrap(),
    };
    let place = Place {
        tenant: "default".to_owned(),
        connection: "agents".to_owned(),
        // The partition is taken from the first bytes.
        session_id: SessionId(Uuid::from_u128(session << 96)),
        session_rule: SessionRule::Thread,
        stream_id: RandomIds.stream(),
        stream_seq: n,
    };
    let mut event = AuditEvent::new(RandomIds.event(), required, place);
    event.broker_time = Some(now);
    event.payload = Some(format!("{{\"number\":{n}}}"));
    event
}

/// `many` events over eight sessions.
pub(crate) fn events(many: i64) -> Vec<AuditEvent> {
    (0..many).map(|n| event(u128::from(n.unsigned_abs() % 8), n)).collect()
}
