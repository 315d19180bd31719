//! All that a test of the approver stands on, started and ended together.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::RequestBuilder;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::task::AbortOnDropHandle;
use trailgate_approver::{ApproverConfig, Bound, Ground};
use trailgate_envelope::{KeysFolder, Stage};
use trailgate_identity::Authenticator;
use trailgate_schemas::{
    Approval, AuditEvent, ClaimId, EventReader, Hold, HoldDecision, HoldId, HoldState, Kind,
    Micros, Principal, SEALED_EVENT_SCHEMA, SealedReader, SessionId, SessionRule, StreamId,
};
use trailgate_service::{Clock, Context, Ids, RandomIds, SystemClock};
use trailgate_testkit::until;
use trailgate_topics::{
    Backbone, EmbeddedConfig, EmbeddedLog, NewRecord, Partition, Record, Topic,
};

use crate::choosy::{Choice, Choosy};
use crate::issuer::Issuer;

/// The log, the keys and the issuer, over restarts of the approver.
pub(crate) struct World {
    pub(crate) issuer: Issuer,
    pub(crate) backbone: Arc<dyn Backbone>,
    pub(crate) keys: KeysFolder,
    pub(crate) choice: Choice,
    client: reqwest::Client,
    pub(crate) running: Option<Running>,
    _folder: TempDir,
}

/// One life of the approver.
pub(crate) struct Running {
    pub(crate) context: Context,
    url: String,
    task: AbortOnDropHandle<()>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let mut world = Self::stopped().await;
        world.restart().await;
        world
    }

    /// Everything but the approver.
    pub(crate) async fn stopped() -> Self {
        trailgate_service::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        let keys = KeysFolder::new(folder.path().join("keys"));
        keys.create_missing().unwrap();
        let log = EmbeddedConfig { folder: folder.path().join("log"), partitions: 4 };
        let log = EmbeddedLog::open(&log, Arc::new(SystemClock)).unwrap();
        log.ensure(Topic::ALL).await.unwrap();
        let choice = Choice::default();
        Self {
            issuer: Issuer::start().await,
            backbone: Arc::new(Choosy(Arc::new(log), choice.clone())),
            keys,
            choice,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            running: None,
            _folder: folder,
        }
    }

    pub(crate) async fn restart(&mut self) {
        let context = Context::system();
        let authenticator = Authenticator::new(&self.issuer.config(), Arc::clone(&context.clock));
        let ground = Ground {
            backbone: Arc::clone(&self.backbone),
            keys: self.keys.clone(),
            authenticator: Arc::new(authenticator.unwrap()),
        };
        let config = ApproverConfig::new("127.0.0.1:0".parse().unwrap());
        let bound = Bound::bind(config).await.unwrap();
        let url = format!("http://{}", bound.address().unwrap());
        let running = bound.run(ground, context.clone());
        let task = tokio::spawn(async move { running.await.unwrap() });
        let task = AbortOnDropHandle::new(task);
        until("the approver is ready", async || context.health.is_ready().then_some(())).await;
        self.running = Some(Running { context, url, task });
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().unwrap();
        running.context.stop.ask();
        running.task.await.unwrap();
    }

    /// Ends it wherever it is.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        let url = &self.running.as_ref().unwrap().url;
        self.client.get(format!("{url}{path}")).timeout(Duration::from_secs(60))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        let url = &self.running.as_ref().unwrap().url;
        self.client.post(format!("{url}{path}")).timeout(Duration::from_secs(60))
    }

    /// A vote of somebody.
    pub(crate) fn vote(&self, id: HoldId, verdict: &str, token: &str) -> RequestBuilder {
        self.post(&format!("/v1/holds/{id}/{verdict}")).bearer_auth(token)
    }

    pub(crate) fn reviewer(&self, subject: &str) -> String {
        self.issuer.token(subject, &["reviewers"])
    }

    /// Puts a hold where the masker would, asked for by alice.
    pub(crate) async fn hold(&self) -> Hold {
        self.hold_for(Duration::from_secs(120)).await
    }

    pub(crate) async fn hold_for(&self, left: Duration) -> Hold {
        let hold = hold(self.issuer.name(), left);
        let key = Bytes::copy_from_slice(hold.hold_id.0.as_bytes());
        let value = Bytes::from(serde_json::to_vec(&hold).unwrap());
        self.append(Topic::Holds, hold.hold_id, key, value).await;
        hold
    }

    /// Puts a hold there and waits until it is shown.
    pub(crate) async fn shown_hold(&self) -> Hold {
        let hold = self.hold().await;
        self.until_state(hold.hold_id, HoldState::Pending).await;
        hold
    }

    pub(crate) async fn append(&self, topic: Topic, id: HoldId, key: Bytes, value: Bytes) {
        let partition = Partition::of_hold(id, self.backbone.partitions());
        let record = NewRecord { topic, partition, key, value: Some(value) };
        self.backbone.appender().unwrap().append(record).await.unwrap();
    }

    /// Waits until a hold is in a state, as the API tells a reviewer.
    pub(crate) async fn until_state(&self, id: HoldId, state: HoldState) -> Approval {
        let token = self.reviewer("watcher");
        until(&format!("the hold is {state}"), async || {
            let request = self.get(&format!("/v1/holds/{id}")).bearer_auth(&token);
            let answer = request.send().await.ok()?;
            let approval: Approval = answer.json().await.ok()?;
            (approval.state == state).then_some(approval)
        })
        .await
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

    /// All that is on a topic now.
    pub(crate) async fn records(&self, topic: Topic) -> Vec<Record> {
        let mut tail = self.backbone.tail(topic, &[]).await.unwrap();
        let mut records = Vec::new();
        loop {
            let batch = tail.next(Duration::from_millis(200)).await.unwrap();
            if batch.records.is_empty() {
                return records;
            }
            records.extend(batch.records);
        }
    }

    /// The decisions about a hold.
    pub(crate) async fn decisions(&self, id: HoldId) -> Vec<HoldDecision> {
        let deciders = self.keys.load_deciders().unwrap();
        let read = |record: Record| {
            let value = record.value.unwrap();
            let clear = deciders.open(Topic::Decisions.name(), &value).unwrap();
            serde_json::from_slice::<HoldDecision>(clear).unwrap()
        };
        let all = self.records(Topic::Decisions).await.into_iter().map(read);
        all.filter(|decision| decision.hold_id == id).collect()
    }

    /// What the approver itself has recorded so far, opened.
    pub(crate) async fn recorded(&self) -> Vec<AuditEvent> {
        let mut opener = self.keys.load_opening().unwrap().opener();
        let registry = self.backbone.registry();
        let (mut sealed, mut events) = (SealedReader::default(), EventReader::default());
        let mut found = Vec::new();
        for record in self.records(Topic::Raw).await {
            let value = record.value.unwrap();
            let (id, _) = trailgate_schemas::unframe(&value).unwrap();
            sealed.know(id, SEALED_EVENT_SCHEMA).unwrap();
            let sealed = sealed.read(&value).unwrap();
            if sealed.kind == Kind::Heartbeat {
                continue;
            }
            let opened = opener.open(&sealed).unwrap();
            assert_eq!(opened.sender, Stage::Approver);
            let schema = registry.schema(opened.schema_id).await.unwrap();
            events.know(opened.schema_id, &schema).unwrap();
            found.push(events.read(&opened.clear).unwrap());
        }
        found
    }

    /// The events of a kind.
    pub(crate) async fn recorded_as(&self, kind: Kind) -> Vec<AuditEvent> {
        let all = self.recorded().await.into_iter();
        all.filter(|event| event.kind == kind).collect()
    }
}

fn hold(issuer: &str, left: Duration) -> Hold {
    let now = SystemClock.now();
    Hold {
        hold_id: HoldId(RandomIds.next()),
        claim: ClaimId(RandomIds.next()),
        digest: "d1".repeat(32),
        requester: Principal { issuer: issuer.to_owned(), subject: "alice".to_owned() },
        requester_groups: vec!["agents".to_owned()],
        requester_key: None,
        rule: "payments".to_owned(),
        rule_version: "v1".to_owned(),
        reviewers: vec!["reviewers".to_owned(), "leads".to_owned()],
        held_at: now,
        expires_at: Micros(now.plus(left).0),
        tenant: "default".to_owned(),
        connection: "payments".to_owned(),
        session_id: SessionId(RandomIds.next()),
        session_rule: SessionRule::Caller,
        stream_id: StreamId(RandomIds.next()),
        source_address: "192.0.2.1".to_owned(),
        resource: "payments/transfers".to_owned(),
        request_id: None,
        operation: Some("http.request".to_owned()),
        thread_id: None,
        method: Some("POST".to_owned()),
        path: Some("/transfers".to_owned()),
        headers: Some("{\"content-type\":\"application/json\"}".to_owned()),
        payload_type: Some("application/json".to_owned()),
        payload: Some("{\"amount\":10}".to_owned()),
        payload_bytes: Some(13),
        payload_reason: None,
        redactions: 0,
        truncated: false,
    }
}
