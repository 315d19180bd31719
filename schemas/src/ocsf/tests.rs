//! Every kind, sparse and full, against the published schema of its class.

mod schema;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use self::schema::Schema;
use super::limits::OBJECT_MAX_BYTES;
use super::*;
use crate::{
    Actor, AssistantId, AuthMethod, ClaimId, EventId, HoldId, Kind, PayloadState, Place,
    ProducerId, Redaction, Required, Resource, RunId, SessionId, SessionRule, SourceAddress,
    StreamId, TaskId, ThreadId,
};

/// Only what is never null.
pub(super) fn sparse(kind: Kind) -> AuditEvent {
    let required = Required {
        actor: Actor::unverified(),
        kind,
        gateway_time: Micros(1_795_428_924_848_123),
        outcome: Outcome::Unknown,
        source_address: SourceAddress::new("127.0.0.1").unwrap(),
        resource: Resource::new("agents").unwrap(),
    };
    let place = Place {
        tenant: "default".to_owned(),
        connection: "agents".to_owned(),
        session_id: SessionId(Uuid::from_u128(1)),
        session_rule: SessionRule::Thread,
        stream_id: StreamId(Uuid::from_u128(2)),
        stream_seq: 3,
    };
    AuditEvent::new(EventId(Uuid::from_u128(4)), required, place)
}

/// Every field, each text being `text`.
fn full(kind: Kind, text: &str) -> AuditEvent {
    let some = || Some(text.to_owned());
    let many = || vec![text.to_owned(); 40];
    let or = |word: &str| if text.is_empty() { word.to_owned() } else { text.to_owned() };
    let rule = |n: usize| Redaction {
        rule: format!("{text}{n}"),
        field: "payload".to_owned(),
        start: Some(0),
        count: 1,
        ..Redaction::default()
    };
    AuditEvent {
        actor: Actor::new(or("ada")).unwrap(),
        source_address: SourceAddress::new(or("::1")).unwrap(),
        resource: Resource::new(or("agents")).unwrap(),
        tenant: text.to_owned(),
        connection: text.to_owned(),
        stream_count: Some(i64::MAX),
        producer_id: ProducerId(Uuid::from_u128(5)),
        producer_number: i64::MIN,
        source_time: Some(Micros(i64::MIN)),
        broker_time: Some(Micros(i64::MAX)),
        actor_issuer: some(),
        actor_groups: many(),
        auth_method: AuthMethod::OidcBearer,
        on_behalf_of: some(),
        workload: some(),
        request_id: some(),
        operation: some(),
        method: some(),
        path: Some(format!("{text}?{text}")),
        headers: some(),
        status: Some(200),
        reason: some(),
        error: some(),
        count: Some(7),
        decision: Some(Decision::Allow),
        policy_id: some(),
        policy_version: some(),
        decision_context: some(),
        risk: Some(9),
        risk_factors: many(),
        thread_id: Some(ThreadId(Uuid::from_u128(6))),
        run_id: Some(RunId(Uuid::from_u128(7))),
        assistant_id: Some(AssistantId(Uuid::from_u128(8))),
        graph_id: some(),
        node: some(),
        step: Some(1),
        task_id: Some(TaskId(Uuid::from_u128(9))),
        checkpoint_ns: some(),
        attempt: Some(2),
        cron_id: some(),
        surface: some(),
        trace_id: some(),
        span_id: some(),
        model: some(),
        input_tokens: Some(10),
        output_tokens: Some(11),
        payload_state: PayloadState::Recorded,
        payload_reason: some(),
        payload_type: some(),
        payload: some(),
        payload_bytes: Some(12),
        payload_digest: some(),
        payload_salt: Some("salt of the payload".to_owned()),
        payload_commitment: some(),
        body_offset: Some(13),
        redactions: (0..60).map(rule).collect(),
        redaction_rules: some(),
        truncated: false,
        hold_id: Some(HoldId(Uuid::from_u128(14))),
        hold_claim: Some(ClaimId(Uuid::from_u128(15))),
        hold_digest: some(),
        hold_reviewers: many(),
        hold_expires_at: Some(Micros(16)),
        ..sparse(kind)
    }
}

/// The published schemas, by the class's number.
struct Schemas(BTreeMap<i64, Schema>);

impl Schemas {
    fn read() -> Self {
        let texts = [
            (1008, include_str!("../../ocsf/1008.schema.json")),
            (2006, include_str!("../../ocsf/2006.schema.json")),
            (3002, include_str!("../../ocsf/3002.schema.json")),
            (3003, include_str!("../../ocsf/3003.schema.json")),
            (3004, include_str!("../../ocsf/3004.schema.json")),
            (6003, include_str!("../../ocsf/6003.schema.json")),
            (6005, include_str!("../../ocsf/6005.schema.json")),
        ];
        Self(texts.into_iter().map(|(class, text)| (class, Schema::read(text))).collect())
    }

    /// What is wrong with the object of `event`, if anything is.
    fn fault(&self, event: &AuditEvent) -> Option<String> {
        let bytes = ocsf_json(event);
        let json: Value = serde_json::from_slice(&bytes).unwrap();
        let mut faults = self.0[&json["class_uid"].as_i64().unwrap()].faults(&json);
        let types =
            json["class_uid"].as_i64().unwrap() * 100 + json["activity_id"].as_i64().unwrap();
        if json["type_uid"] != types {
            faults.push(format!("type {} is not {types}", json["type_uid"]));
        }
        if bytes.len() > OBJECT_MAX_BYTES {
            faults.push(format!("{} bytes", bytes.len()));
        }
        (!faults.is_empty()).then(|| format!("{}: {faults:?}", event.kind))
    }
}

fn object(event: &AuditEvent) -> Value {
    serde_json::from_slice(&ocsf_json(event)).unwrap()
}

#[test]
fn every_kind_is_valid_by_its_class_sparse_and_full() {
    let schemas = Schemas::read();
    for kind in Kind::ALL {
        for text in ["a", "", "\u{0}\"\\\u{1f600}"] {
            assert_eq!(schemas.fault(&full(*kind, text)), None);
        }
        for method in AuthMethod::ALL {
            let event = AuditEvent { auth_method: *method, ..sparse(*kind) };
            assert_eq!(schemas.fault(&event), None);
        }
        for outcome in Outcome::ALL {
            let event = AuditEvent { outcome: *outcome, ..sparse(*kind) };
            assert_eq!(schemas.fault(&event), None);
        }
        for decision in Decision::ALL {
            let event = AuditEvent { decision: Some(*decision), ..sparse(*kind) };
            assert_eq!(schemas.fault(&event), None);
        }
    }
}

#[test]
fn an_object_is_bounded_however_long_its_texts_are_and_however_they_are_escaped() {
    let schemas = Schemas::read();
    for kind in Kind::ALL {
        for unit in ["a", "\u{1}", "\"", "\u{1f600}"] {
            let event = full(*kind, &unit.repeat(20_000));
            assert_eq!(schemas.fault(&event), None);
            assert_eq!(object(&event)["metadata"]["is_truncated"], true);
        }
    }
}

/// Which class each kind is of, and what it does there: what a detection is written against, so a
/// change here is a change for every reader.
#[test]
fn each_kind_has_the_type_that_the_guide_says() {
    let types: Vec<String> = Kind::ALL
        .iter()
        .map(|kind| {
            let event = AuditEvent { method: Some("GET".to_owned()), ..sparse(*kind) };
            let json = object(&event);
            format!("{kind} {} {}", json["type_uid"], json["activity_name"].as_str().unwrap())
        })
        .collect();
    let guide = [
        "session_opened 300201 Logon",
        "session_closed 300202 Logoff",
        "request 600302 Read",
        "response 600302 Read",
        "frame_in 600399 frame_in",
        "frame_out 600399 frame_out",
        "denied 600302 Read",
        "held 200601 Create",
        "voted 300403 Update",
        "approved 300301 Assign Privileges",
        "executed 600302 Read",
        "expired 300411 Deactivate",
        "withdrawn 300404 Delete",
        "login_refused 300201 Logon",
        "node_started 600399 node_started",
        "node_finished 600399 node_finished",
        "node_failed 600399 node_failed",
        "node_interrupted 600399 node_interrupted",
        "interrupt_resumed 600303 Update",
        "state_edited 600303 Update",
        "gap 100899 gap",
        "unknown 100899 unknown",
        "undecodable 100899 undecodable",
        "payload_recovered 100899 payload_recovered",
        "stage_started 100806 Start",
        "stage_stopped 100807 Stop",
        "query_executed 600504 Query",
        "heartbeat 100899 heartbeat",
    ];
    assert_eq!(types, guide);
}

#[test]
fn a_request_tells_who_asked_what_from_where_and_whether_it_might() {
    let mut event = sparse(Kind::Request);
    event.actor = Actor::new("ada@example.com").unwrap();
    event.auth_method = AuthMethod::OidcBearer;
    event.actor_issuer = Some("https://id.example".to_owned());
    event.actor_groups = vec!["ops".to_owned()];
    event.outcome = Outcome::Allowed;
    event.decision = Some(Decision::Allow);
    event.operation = Some("run.create.wait".to_owned());
    event.method = Some("POST".to_owned());
    event.path = Some("/runs/wait?debug=1".to_owned());
    event.headers = Some(r#"{"accept":"*/*","user-agent":"sdk/1"}"#.to_owned());
    event.run_id = Some(RunId(Uuid::from_u128(7)));
    event.payload_state = PayloadState::Recorded;
    event.payload = Some("hello".to_owned());
    let json = object(&event);
    assert_eq!(json["time"], 1_795_428_924_848_i64);
    assert_eq!(json["actor"]["user"]["uid"], "ada@example.com");
    assert_eq!(json["actor"]["user"]["groups"][0]["name"], "ops");
    assert_eq!(json["actor"]["idp"]["issuer"], "https://id.example");
    assert_eq!(json["src_endpoint"]["ip"], "127.0.0.1");
    assert_eq!(json["observables"][0]["value"], "127.0.0.1");
    assert_eq!(json["api"]["operation"], "run.create.wait");
    assert_eq!(json["http_request"]["url"]["path"], "/runs/wait");
    assert_eq!(json["http_request"]["url"]["query_string"], "debug=1");
    assert_eq!(json["http_request"]["user_agent"], "sdk/1");
    assert_eq!((&json["action"], &json["status"]), (&"Allowed".into(), &"Allowed".into()));
    assert_eq!(json["metadata"]["uid"], event.event_id.to_string());
    assert_eq!(json["metadata"]["correlation_uid"], event.session_id.to_string());
    assert_eq!(
        json["metadata"]["profiles"],
        serde_json::json!(["security_control", "ai_operation"])
    );
    assert_eq!(json["unmapped"]["run_id"], "00000000-0000-0000-0000-000000000007");
    assert_eq!(json["unmapped"]["payload"], "hello");
    assert!(json["metadata"].get("is_truncated").is_none());
}

#[test]
fn nobody_verified_is_a_name_and_never_an_id() {
    let mut event = sparse(Kind::LoginRefused);
    (event.outcome, event.decision) = (Outcome::Denied, Some(Decision::Deny));
    (event.reason, event.count) = (Some("expired".to_owned()), Some(40));
    let json = object(&event);
    assert_eq!(json["user"], serde_json::json!({"name": "[unverified]", "type_id": 0}));
    assert_eq!((&json["status"], &json["status_detail"]), (&"Failure".into(), &"expired".into()));
    assert_eq!((&json["disposition"], &json["count"]), (&"Blocked".into(), &40.into()));
}

#[test]
fn a_closed_session_does_not_say_that_its_gateway_logged_off() {
    let mut event = sparse(Kind::SessionClosed);
    (event.actor, event.auth_method) = (Actor::stage("ingest-proxy"), AuthMethod::Stage);
    let json = object(&event);
    assert_eq!(json["user"]["name"], "Unknown");
    assert_eq!(json["actor"]["user"]["name"], "[trailgate ingest-proxy]");
    assert_eq!(json["session"]["uid"], event.session_id.to_string());
}

#[test]
fn redactions_are_counted_by_rule_and_the_salt_stays_away() {
    let mut event = full(Kind::Response, "a");
    let redaction = |rule: &str, count| Redaction {
        rule: rule.to_owned(),
        field: "payload".to_owned(),
        start: None,
        count,
        ..Redaction::default()
    };
    event.redactions = vec![redaction("jwt", 1), redaction("email", 2), redaction("jwt", 3)];
    let text = String::from_utf8(ocsf_json(&event)).unwrap();
    assert!(text.contains(r#""redactions":{"jwt":4,"email":2}"#), "{text}");
    assert!(!text.contains("salt of the payload"));
}

/// What OCSF has no place for is told nevertheless.
#[test]
fn every_text_of_an_event_is_somewhere_in_its_object() {
    let mut lost = Vec::new();
    for kind in Kind::ALL {
        let event = full(*kind, "a");
        let fields = serde_json::to_value(&event).unwrap();
        for (name, value) in fields.as_object().unwrap() {
            let is_text = value.as_str() == Some("a");
            if !is_text {
                continue;
            }
            let mut marked = fields.clone();
            marked[name] = "a mark".into();
            let marked: AuditEvent = serde_json::from_value(marked).unwrap();
            if !String::from_utf8(ocsf_json(&marked)).unwrap().contains("a mark") {
                lost.push(format!("{kind} {name}"));
            }
        }
    }
    assert_eq!(lost, Vec::<String>::new());
}

proptest! {
    #[test]
    fn whatever_an_event_holds_its_object_is_valid(
        kind in proptest::sample::select(Kind::ALL),
        outcome in proptest::sample::select(Outcome::ALL),
        method in proptest::sample::select(AuthMethod::ALL),
        text in "(?s).{0,300}",
        absent in any::<u64>(),
    ) {
        thread_local!(static SCHEMAS: Schemas = Schemas::read());
        let mut fields = serde_json::to_value(full(kind, &text)).unwrap();
        let bare = serde_json::to_value(sparse(kind)).unwrap();
        for (place, (name, value)) in fields.as_object_mut().unwrap().iter_mut().enumerate() {
            if absent >> (place % 64) & 1 == 1 {
                *value = bare[name].clone();
            }
        }
        let mut event: AuditEvent = serde_json::from_value(fields).unwrap();
        (event.outcome, event.auth_method) = (outcome, method);
        prop_assert_eq!(SCHEMAS.with(|schemas| schemas.fault(&event)), None);
    }
}
