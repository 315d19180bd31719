//! What a SIEM reads: `audit.siem` by kcat and by rsyslog, and the Avro topic by a consumer that asks
//! the schema registry. Each sees every event once, no secret, and objects that OCSF allows.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;

use serde_json::Value;

use trailgate_testkit::{Mark, Planted, TokenRequest, Upstream};
use trailgate_tests::{
    AvroRecord, Connection, SiemRecord, Stages, TablePlace, all_masked, by_avro_consumer, by_kcat,
    by_rsyslog, event_ids, kafka_backbone, must_be_valid_ocsf,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_siem_sees_each_event_once_by_kcat_by_rsyslog_and_by_an_avro_consumer() {
    let upstream = Upstream::start().await;
    let mut stages = Stages::components(TablePlace::Folder).await;
    stages.start_masker("masker-0").await;
    let to = Connection { name: "tools", kind: "http", upstream: upstream.url(), more: "" };
    stages.start_proxy(&[to]).await;
    let sent = Sent::send(&stages).await;
    // It closes sessions and says that it stops: those are events, too.
    stages.daemon("ingest-proxy").process().terminate().await;
    all_masked(&*kafka_backbone(&stages)).await;

    let events = by_avro_consumer(&stages).await;
    let told = by_kcat(&stages).await;
    let logged = by_rsyslog(&stages, events.len()).await;

    let ids: BTreeSet<String> = events.iter().map(|record| id_of(&record.event)).collect();
    assert_eq!(ids.len(), events.len(), "an event is there twice");
    assert_eq!(event_ids(told.iter().map(|record| &record.object)), ids);
    assert_eq!(event_ids(&logged), ids);
    sent.must_be_in(&events, &told, &logged);
    let told_objects = told.iter().map(|record| &record.object);
    must_be_valid_ocsf(&told_objects.chain(&logged).collect::<Vec<_>>()).await;
    told.iter().for_each(headers_fit);
    for record in &events {
        assert_eq!(record.key, record.event["session_id"]);
        assert!(record.schema_id > 0);
    }
}

/// What was sent through the gateway.
struct Sent {
    mark: Mark,
    secrets: [Planted; 2],
}

impl Sent {
    /// A request that passes, one of somebody who may not, and one of nobody.
    async fn send(stages: &Stages) -> Self {
        let mark = Mark::new("order");
        let secrets = [Planted::github_token(), Planted::github_token()];
        let url = format!("{}/echo?key={}", stages.connection_url("tools"), secrets[0].clear());
        let body = format!(r#"{{"order":"{mark}","note":"use {}"}}"#, secrets[1].clear());
        let stranger = stages.oidc.token(&TokenRequest::of("eve").groups(&["visitors"])).await;
        let callers =
            [(Some(stages.token("alice").await), 200), (Some(stranger), 403), (None, 401)];
        for (token, status) in callers {
            let request = reqwest::Client::new().post(&url).body(body.clone());
            let request = request.header("content-type", "application/json");
            let request = token.iter().fold(request, |request, token| request.bearer_auth(token));
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), status);
            // To its end, so that all of it is recorded.
            answer.bytes().await.unwrap();
        }
        Self { mark, secrets }
    }

    fn must_be_in(&self, events: &[AvroRecord], told: &[SiemRecord], logged: &[Value]) {
        let told: Vec<&Value> = told.iter().map(|record| &record.object).collect();
        let logged: Vec<&Value> = logged.iter().collect();
        for objects in [&told, &logged] {
            let asked = |o: &&&Value| o["metadata"]["event_code"] == "request";
            let request = self.one(objects.iter().filter(asked).map(|o| &o["unmapped"]["payload"]));
            assert!(request.contains("[github_token:"), "{request}");
            for (code, class, status) in [("login_refused", 3002, "401"), ("denied", 6003, "403")] {
                let is_it = |o: &&&Value| o["metadata"]["event_code"] == code;
                let found: Vec<_> = objects.iter().filter(is_it).collect();
                assert_eq!(found.len(), 1, "{code}");
                assert_eq!(
                    (&found[0]["class_uid"], &found[0]["status_id"]),
                    (&class.into(), &2.into())
                );
                assert_eq!(found[0]["status_code"], status);
            }
            self.no_secret_in(&serde_json::to_string(objects).unwrap());
        }
        let asked = |record: &&AvroRecord| record.event["kind"] == "request";
        self.one(events.iter().filter(asked).map(|record| &record.event["payload"]));
        let all: Vec<&Value> = events.iter().map(|record| &record.event).collect();
        self.no_secret_in(&serde_json::to_string(&all).unwrap());
    }

    /// The one payload that has the mark.
    fn one<'a>(&self, payloads: impl Iterator<Item = &'a Value>) -> &'a str {
        let marked: Vec<&str> = payloads
            .filter_map(Value::as_str)
            .filter(|payload| payload.contains(self.mark.as_str()))
            .collect();
        assert_eq!(marked.len(), 1, "{marked:?}");
        marked[0]
    }

    fn no_secret_in(&self, text: &str) {
        for secret in &self.secrets {
            assert_eq!(secret.found_in(text.as_bytes()), None);
        }
    }
}

fn id_of(event: &Value) -> String {
    event["event_id"].as_str().unwrap().to_owned()
}

/// The headers of CloudEvents' binary mode tell of the same event as the object.
fn headers_fit(record: &SiemRecord) {
    let (headers, metadata) = (&record.headers, &record.object["metadata"]);
    assert_eq!(metadata["uid"], headers["ce_id"]);
    assert_eq!(metadata["correlation_uid"], headers["ce_subject"]);
    assert_eq!(record.key, headers["ce_subject"]);
    assert_eq!(headers["ce_specversion"], "1.0");
    assert_eq!(headers["content-type"], "application/json");
    let kind = metadata["event_code"].as_str().unwrap();
    assert_eq!(headers["ce_type"], format!("io.trailgate.{kind}"));
    assert!(headers["ce_source"].starts_with("/trailgate/"));
    assert!(headers["ce_time"].ends_with('Z'));
}
