//! Looking and voting: who may, what follows, and that nothing counts that is not on the record.

use std::time::Duration;

use serde_json::{Value, json};
use trailgate_approver::EVENT_ID;
use trailgate_schemas::{Approval, Decision, HoldId, HoldState, Kind, Vote};
use trailgate_service::{Ids, RandomIds};
use trailgate_topics::Topic;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_s_vote_decides_and_its_record_came_first() {
    let world = World::start().await;
    let hold = world.shown_hold().await;
    world.choice.came.lock().unwrap().clear();
    let vote = world.vote(hold.hold_id, "approve", &world.reviewer("rita"));
    let answer = vote.json(&json!({"reason": "checked", "digest": hold.digest})).send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200);
    let event_id = answer.headers()[EVENT_ID].to_str().unwrap().to_owned();
    let approval: Approval = answer.json().await.unwrap();
    assert_eq!(approval.state, HoldState::Approved);
    assert_eq!(approval.hold, hold);
    assert_eq!(*world.choice.came.lock().unwrap(), [Topic::Raw, Topic::Votes]);

    let decisions = world.decisions(hold.hold_id).await;
    assert_eq!(decisions.len(), 1);
    assert_eq!(Some(&decisions[0]), approval.decision.as_ref());
    assert_eq!(decisions[0].reason.as_deref(), Some("checked"));

    let voted = world.recorded_as(Kind::Voted).await.pop().unwrap();
    assert_eq!((voted.event_id.to_string(), voted.actor.as_str()), (event_id, "rita"));
    assert_eq!((voted.hold_id, voted.session_id), (Some(hold.hold_id), hold.session_id));
    assert_eq!((voted.decision, voted.reason.as_deref()), (Some(Decision::Allow), Some("checked")));
    assert_eq!(voted.source_address.as_str(), "127.0.0.1");
    let approved = world.recorded_as(Kind::Approved).await.pop().unwrap();
    assert_eq!((approved.hold_id, approved.actor.as_str()), (Some(hold.hold_id), "rita"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_final() {
    let world = World::start().await;
    let hold = world.shown_hold().await;
    let denied = world.vote(hold.hold_id, "deny", &world.reviewer("rita")).send().await.unwrap();
    assert_eq!(denied.status(), 200);
    let late = world.vote(hold.hold_id, "approve", &world.reviewer("rob"));
    let (status, code, body) = World::problem(late).await;
    assert_eq!((status, code.as_str(), &body["state"]), (409, "already_decided", &json!("denied")));
    assert_eq!(world.decisions(hold.hold_id).await.len(), 1);
    assert_eq!(world.recorded_as(Kind::Voted).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_vote_is_refused_under_its_own_code_and_on_the_record() {
    let world = World::start().await;
    let hold = world.shown_hold().await;
    let id = hold.hold_id;
    let (alice, eve) =
        (world.issuer.token("alice", &["reviewers"]), world.issuer.token("eve", &["agents"]));
    let cases = [
        (world.vote(id, "approve", &alice), 403, "own_request"),
        (world.vote(id, "deny", &alice), 403, "own_request"),
        (world.vote(id, "approve", &eve), 403, "not_a_reviewer"),
        (world.get(&format!("/v1/holds/{id}")).bearer_auth(&eve), 403, "not_a_reviewer"),
        (world.vote(id, "approve", "forged"), 401, "malformed_token"),
        (world.post(&format!("/v1/holds/{id}/approve")), 401, "missing_credential"),
        (world.get("/v1/holds"), 401, "missing_credential"),
        (
            world.vote(id, "approve", &world.reviewer("rita")).json(&json!({"digest": "another"})),
            409,
            "digest_differs",
        ),
    ];
    let count = cases.len();
    for (request, status, code) in cases {
        let (said, told, body) = World::problem(request).await;
        assert_eq!((said, told.as_str()), (status, code));
        let events = world.recorded().await;
        let event = events.iter().find(|event| event.event_id.to_string() == body["event_id"]);
        let event = event.unwrap();
        assert_eq!(event.reason.as_deref(), Some(code));
        let kind = if status == 401 { Kind::LoginRefused } else { Kind::Denied };
        assert_eq!((event.kind, event.hold_id), (kind, None), "that would be the hold's decision");
    }
    assert_eq!(world.recorded().await.len(), count);
    assert_eq!(world.records(Topic::Votes).await, []);
    assert_eq!(world.decisions(id).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_not_understood_is_said_under_its_own_code() {
    let world = World::start().await;
    let rita = world.reviewer("rita");
    let id = world.shown_hold().await.hold_id;
    let nowhere = HoldId(RandomIds.next());
    let vote = || world.vote(id, "approve", &rita);
    let long = "x".repeat(2049);
    let cases = [
        (world.vote(nowhere, "approve", &rita), 404, "unknown_hold"),
        (world.get(&format!("/v1/holds/{nowhere}")).bearer_auth(&rita), 404, "unknown_hold"),
        (world.get("/v1/holds/hunter2").bearer_auth(&rita), 404, "unknown_hold"),
        (world.get("/v1/hunter2").bearer_auth(&rita), 404, "not_found"),
        (world.get(&format!("/v1/holds/{id}/deny")).bearer_auth(&rita), 405, "method_not_allowed"),
        (world.get("/v1/holds?state=hunter2").bearer_auth(&rita), 400, "state_unknown"),
        (world.get("/v1/holds?hunter2=1").bearer_auth(&rita), 400, "parameter_unknown"),
        (vote().body("{\"hunter2\":1}"), 400, "body_not_understood"),
        (vote().json(&json!({"reason": long})), 400, "reason_too_long"),
        (vote().body("x".repeat(20_000)), 413, "body_too_long"),
    ];
    for (request, status, code) in cases {
        let (said, told, body) = World::problem(request).await;
        assert_eq!((said, told.as_str()), (status, code));
        assert!(!body.to_string().contains("hunter2"), "{body}");
    }
    assert_eq!(world.recorded().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_expiry_nothing_is_decided_but_that() {
    let world = World::start().await;
    let hold = world.hold_for(Duration::from_millis(300)).await;
    let expired = world.until_state(hold.hold_id, HoldState::Expired).await;
    assert_eq!(expired.decision.unwrap().decided_by, None);
    let late = world.vote(hold.hold_id, "approve", &world.reviewer("rita"));
    let (status, code, _) = World::problem(late).await;
    assert_eq!((status, code.as_str()), (409, "hold_expired"));
    let decisions = world.decisions(hold.hold_id).await;
    assert_eq!((decisions.len(), decisions[0].state), (1, HoldState::Expired));
    assert_eq!(world.recorded_as(Kind::Expired).await.len(), 1);
    assert_eq!(world.recorded_as(Kind::Voted).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_votes_at_once_one_decides_and_the_other_is_told_so() {
    let world = World::start().await;
    let id = world.shown_hold().await.hold_id;
    let (rita, rob) = (world.reviewer("rita"), world.reviewer("rob"));
    let (one, other) =
        tokio::join!(world.vote(id, "approve", &rita).send(), world.vote(id, "deny", &rob).send());
    let mut statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(world.decisions(id).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_that_can_not_be_recorded_is_no_vote() {
    let world = World::start().await;
    let hold = world.shown_hold().await;
    let rita = world.reviewer("rita");
    world.choice.refuse(&[Topic::Raw]);
    let eve = world.issuer.token("eve", &["agents"]);
    for request in [
        world.vote(hold.hold_id, "approve", &rita),
        world.vote(hold.hold_id, "approve", &eve),
        world.vote(hold.hold_id, "approve", "forged"),
    ] {
        let (status, code, _) = World::problem(request).await;
        assert_eq!((status, code.as_str()), (503, "not_recorded"));
    }
    assert_eq!(world.records(Topic::Votes).await, []);
    world.choice.refuse(&[Topic::Votes]);
    let (status, code, body) = World::problem(world.vote(hold.hold_id, "approve", &rita)).await;
    assert_eq!((status, code.as_str()), (503, "vote_not_taken"));
    let voted = world.recorded_as(Kind::Voted).await;
    assert_eq!(body["event_id"], json!(voted[0].event_id.to_string()));
    world.until_state(hold.hold_id, HoldState::Pending).await;
    world.choice.refuse(&[]);
    let answer = world.vote(hold.hold_id, "approve", &rita).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_s_secrets_are_masked_before_it_is_written_anywhere() {
    let world = World::start().await;
    let hold = world.shown_hold().await;
    let secret = "hunter2-hunter2";
    let vote = world.vote(hold.hold_id, "deny", &world.reviewer("rita"));
    let reason = format!("password={secret} was in it");
    let answer = vote.json(&json!({"reason": reason})).send().await.unwrap();
    let told = answer.text().await.unwrap();
    assert!(told.contains("was in it") && !told.contains(secret), "{told}");
    let clear = [Topic::Votes, Topic::Decisions, Topic::Approvals];
    for topic in clear {
        let records = world.records(topic).await;
        assert!(!records.is_empty());
        for value in records.iter().filter_map(|record| record.value.as_ref()) {
            assert!(!String::from_utf8_lossy(value).contains(secret), "{}", topic.name());
        }
    }
    let events = world.recorded().await;
    assert!(!format!("{events:?}").contains(secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_each_what_it_may_see_newest_first_and_without_what_is_long() {
    let world = World::start().await;
    let (first, second) = (world.shown_hold().await, world.shown_hold().await);
    let denied = world.vote(first.hold_id, "deny", &world.reviewer("rita")).send().await.unwrap();
    assert_eq!(denied.status(), 200);
    let list = async |path: &str, token: &str| {
        let answer = world.get(path).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let list: Value = answer.json().await.unwrap();
        assert_eq!(list["complete"], true);
        list["holds"].as_array().unwrap().clone()
    };
    let ids = |holds: &[Value]| {
        holds.iter().map(|hold| hold["hold"]["hold_id"].clone()).collect::<Vec<_>>()
    };
    let rita = world.reviewer("rita");
    let all = list("/v1/holds", &rita).await;
    assert_eq!(ids(&all), [json!(second.hold_id), json!(first.hold_id)]);
    assert_eq!(
        (&all[0]["hold"]["payload"], &all[0]["hold"]["headers"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(ids(&list("/v1/holds?state=pending", &rita).await), [json!(second.hold_id)]);
    let own = list("/v1/holds", &world.issuer.token("alice", &[])).await;
    assert_eq!(own.len(), 2);
    assert_eq!(list("/v1/holds", &world.issuer.token("eve", &["agents"])).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_names_a_subject_that_looks_like_a_secret_by_its_mask() {
    let world = World::start().await;
    let hold = world.shown_hold().await;
    let token = world.reviewer("password=hunter2-hunter2");
    assert_eq!(world.vote(hold.hold_id, "deny", &token).send().await.unwrap().status(), 200);
    let deciders = world.keys.load_deciders().unwrap();
    let value = world.records(Topic::Votes).await.pop().unwrap().value.unwrap();
    let clear = deciders.open(Topic::Votes.name(), &value).unwrap();
    let vote: Vote = serde_json::from_slice(clear).unwrap();
    assert!(!vote.voter.subject.contains("hunter2"), "{}", vote.voter.subject);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_cors() {
    let world = World::start().await;
    let asked = world.get("/v1/holds").bearer_auth(world.reviewer("rita"));
    let answer = asked.header("origin", "https://evil.example").send().await.unwrap();
    assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
}
