//! Operations that a rule holds: they happen when a reviewer says so, once, and in no other way; and
//! a vote counts, once, whatever is killed when.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

mod desk;

use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use trailgate_envelope::KeysFolder;
use trailgate_schemas::{Approval, HoldState, Verdict};
use trailgate_testkit::{Mark, Planted, Recipe, TokenRequest, Upstream, until};
use trailgate_tests::{
    Connection, Running, Stages, TablePlace, Trail, Up, all_records, embedded_backbone,
    kafka_backbone, leaks,
};
use trailgate_topics::{Backbone, Topic};

use crate::desk::{Desk, People, Waiting, cast};

const RULES: &str = "[[hold]]\nname = \"writes\"\npath = \"/echo\"\nmethods = [\"POST\"]\n\
                     reviewers = [\"reviewers\"]\n\n\
                     [[hold]]\nname = \"brief\"\npath = \"/sink\"\n\
                     reviewers = [\"reviewers\"]\nexpires_after_s = 2\n";

/// What a held operation leaves a trace on.
const TOPICS: [Topic; 9] = [
    Topic::Raw,
    Topic::Events,
    Topic::MaskerState,
    Topic::Holds,
    Topic::Votes,
    Topic::Claims,
    Topic::Decisions,
    Topic::Approvals,
    Topic::Spool,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_operations_are_decided_on_the_embedded_log() {
    let upstream = Upstream::start().await;
    let up = Up::start_holding(&upstream.url(), RULES).await;
    let (alice, bob) = (
        up.token("alice", &["developers", "reviewers"]).await,
        up.token("bob", &["developers"]).await,
    );
    let (rita, rob) =
        (up.token("rita", &["reviewers"]).await, up.token("rob", &["reviewers"]).await);
    let dev = up.dev().clone();
    let desk = Desk {
        proxies: vec![dev.proxy_url],
        approvers: vec![dev.approver_url],
        people: People { alice, bob, rita, rob },
        upstream,
    };
    let mut trail = Trail::of_up(up);
    let secrets = desk.everything_that_may_happen(&trail).await;
    desk.by_the_command_line(&trail).await;

    let places = trail.places();
    let Running::Up(mut up) = trail.running else { unreachable!("the embedded log was started") };
    let waiting = desk.ask(0, "alice", "kept over a kill").await;
    up.kill();
    let _ = waiting.answer.await;
    up.restart().await;
    // Who asked has gone with the gateway: an approval finds nobody, and nothing happens.
    let reached = desk.upstream.requests();
    let vote = desk.vote(0, &waiting.hold, "approve", "rita").await;
    assert!(vote.0 == StatusCode::OK || vote.0 == StatusCode::CONFLICT, "{vote:?}");
    assert_eq!(desk.upstream.requests(), reached);

    up.daemon().process().terminate().await;
    let backbone = embedded_backbone(&up.data());
    no_topic_has(&secrets, &*backbone).await;
    for secret in &secrets {
        assert_eq!(leaks(secret, &places), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_operations_are_decided_on_kafka_by_whichever_instance() {
    let upstream = Upstream::start().await;
    let mut stages = Stages::components(TablePlace::Folder).await;
    let rules = rule_file(&stages);
    stages.start_masker("masker-0").await;
    stages.start_archiver("archiver-0").await;
    stages.start_query().await;
    let web = Connection { name: "web", kind: "http", upstream: upstream.url(), more: "" };
    for (proxy, approver) in [("proxy-0", "approver-0"), ("proxy-1", "approver-1")] {
        stages.start_holding_proxy(proxy, &web, &rules).await;
        stages.start_approver(approver).await;
    }
    let token = async |subject: &str, groups: &[&str]| {
        stages.oidc.token(&TokenRequest::of(subject).groups(groups)).await
    };
    let people = People {
        alice: token("alice", &["agents", "reviewers", "auditors"]).await,
        bob: token("bob", &["agents"]).await,
        rita: token("rita", &["reviewers"]).await,
        rob: token("rob", &["reviewers"]).await,
    };
    let desk = Desk {
        proxies: ["proxy-0", "proxy-1"].map(|proxy| stages.url_of(proxy, "web")).to_vec(),
        approvers: ["approver-0", "approver-1"].map(|name| stages.connection_url(name)).to_vec(),
        people,
        upstream,
    };
    let mut trail = Trail {
        proxy_url: desk.proxies[0].clone(),
        query_url: stages.query_url(),
        token: desk.people.alice.clone(),
        running: Running::Stages(Box::new(stages)),
    };
    let secrets = desk.everything_that_may_happen(&trail).await;
    desk.each_decision_finds_its_proxy().await;
    {
        let Running::Stages(stages) = &mut trail.running else { unreachable!("Kafka was started") };
        desk.a_vote_outlives_the_approvers(stages).await;
        no_topic_has(&secrets, &*kafka_backbone(stages)).await;
        for name in ["proxy-0", "proxy-1", "approver-0", "approver-1", "masker-0"] {
            let metrics =
                reqwest::get(format!("{}/metrics", stages.admin_url(name))).await.unwrap();
            let metrics = metrics.bytes().await.unwrap();
            assert!(secrets.iter().all(|secret| secret.found_in(&metrics).is_none()), "{name}");
        }
    }
    let places = trail.places();
    let Running::Stages(mut stages) = trail.running else { unreachable!("Kafka was started") };
    for daemon in stages.daemons() {
        daemon.process().terminate().await;
    }
    for secret in &secrets {
        assert_eq!(leaks(secret, &places), []);
    }
}

impl Desk {
    /// Gives the secrets that were planted on the way.
    async fn everything_that_may_happen(&self, trail: &Trail) -> Vec<Planted> {
        let secrets = self.an_approved_request_goes_through_once(trail).await;
        self.a_denied_request_does_not_go_through().await;
        self.what_nobody_decides_expires().await;
        self.what_differs_is_held_anew().await;
        self.who_goes_away_withdraws(trail).await;
        secrets
    }

    async fn an_approved_request_goes_through_once(&self, trail: &Trail) -> Vec<Planted> {
        let (secret, in_reason) = (Planted::github_token(), Planted::github_token());
        let waiting = self.ask(0, "alice", &format!("pay with {}", secret.clear())).await;
        let shown = waiting.hold.payload.clone().unwrap();
        assert!(shown.contains("pay with [github_token:"), "{shown}");
        assert_eq!(self.upstream_saw(&waiting.mark), 0, "nothing passes before a decision");

        let own = self.vote(0, &waiting.hold, "approve", "alice").await;
        assert_eq!((own.0, code(&own.1)), (StatusCode::FORBIDDEN, "own_request"));
        let bob = self.vote(0, &waiting.hold, "approve", "bob").await;
        assert_eq!((bob.0, code(&bob.1)), (StatusCode::FORBIDDEN, "not_a_reviewer"));
        assert_eq!(self.upstream_saw(&waiting.mark), 0);

        let reason = format!("looked at {}", in_reason.clear());
        let approved = self.vote_saying(0, &waiting.hold, ("approve", "rita"), &reason).await;
        assert_eq!(approved.0, StatusCode::OK, "{}", approved.1);
        let (status, body) = waiting.answer.await.unwrap();
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains(secret.clear()), "what is passed on is what was sent");
        assert_eq!(self.upstream_saw(&waiting.mark), 1);

        let late = self.vote(0, &waiting.hold, "deny", "rob").await;
        assert_eq!((late.0, code(&late.1)), (StatusCode::CONFLICT, "already_decided"));
        let ended = self.until_state(&waiting.hold, HoldState::Executed).await;
        assert_eq!(ended.decision.unwrap().decided_by.unwrap().subject, "rita");
        assert_eq!(self.upstream_saw(&waiting.mark), 1, "once");
        let story = format!(
            "SELECT kind, actor, reason FROM events WHERE hold_id = '{}' \
             AND kind IN ('held', 'voted', 'approved', 'executed')",
            waiting.hold.hold_id
        );
        let rows = trail.until_sql("the whole story", &story, |rows| {
            let has = |kind: &str| rows.iter().any(|row| row["kind"] == kind);
            ["held", "voted", "approved", "executed"]
                .iter()
                .all(|kind| has(kind))
                .then(|| rows.to_vec())
        });
        let rows = rows.await;
        assert_eq!(rows.len(), 4, "{rows:?}");
        for kind in ["voted", "approved"] {
            let told = rows.iter().find(|row| row["kind"] == kind).unwrap();
            assert_eq!(told["actor"], "rita");
            let reason = told["reason"].as_str().unwrap();
            assert!(reason.starts_with("looked at [github_token:"), "{reason}");
            assert_eq!(reason.matches('[').count(), 1, "masked once: {reason}");
        }
        vec![secret, in_reason]
    }

    async fn a_denied_request_does_not_go_through(&self) {
        let waiting = self.ask(0, "alice", "no").await;
        let denied = self.vote(0, &waiting.hold, "deny", "rita").await;
        assert_eq!(denied.0, StatusCode::OK, "{}", denied.1);
        let (status, body) = waiting.answer.await.unwrap();
        assert_eq!((status, code(&body)), (StatusCode::FORBIDDEN, "approval_denied"));
        assert_eq!(self.upstream_saw(&waiting.mark), 0);
        let late = self.vote(0, &waiting.hold, "approve", "rob").await;
        assert_eq!((late.0, code(&late.1)), (StatusCode::CONFLICT, "already_decided"));
    }

    async fn what_nobody_decides_expires(&self) {
        let waiting = self.ask_at(0, "/sink", ("alice", "too late")).await;
        let (status, body) = waiting.answer.await.unwrap();
        assert_eq!((status, code(&body)), (StatusCode::FORBIDDEN, "approval_expired"));
        assert_eq!(self.upstream_saw(&waiting.mark), 0);
        until("the hold is over", async || {
            let approval = self.show(0, &waiting.hold).await?;
            approval.state.is_final().then_some(())
        })
        .await;
        let late = self.vote(0, &waiting.hold, "approve", "rita").await;
        assert_eq!(late.0, StatusCode::CONFLICT, "{}", late.1);
        assert_eq!(self.upstream_saw(&waiting.mark), 0);
    }

    /// An approval is for exactly what was held, by whom, and for one use.
    async fn what_differs_is_held_anew(&self) {
        let mark = Mark::new("differs");
        let ask =
            async |who: &str, body: &str| self.ask_marked(0, "/echo", (who, body), &mark).await;
        let first = ask("alice", "10 to ACC-1").await;
        let approved = self.vote(0, &first.hold, "approve", "rita").await;
        assert_eq!(approved.0, StatusCode::OK, "{}", approved.1);
        assert_eq!(first.answer.await.unwrap().0, StatusCode::OK);
        for (who, body) in
            [("alice", "10 to ACC-2"), ("bob", "10 to ACC-1"), ("alice", "10 to ACC-1")]
        {
            let again = ask(who, body).await;
            assert_ne!(again.hold.hold_id, first.hold.hold_id);
            let is_same = who == "alice" && body == "10 to ACC-1";
            assert_eq!(again.hold.digest == first.hold.digest, is_same, "{who}: {body}");
            assert_eq!(self.upstream_saw(&mark), 1);
            let other = self.vote_with(
                0,
                &again.hold,
                ("approve", "rita"),
                json!({"digest": "00".repeat(32)}),
            );
            let other = other.await;
            assert_eq!((other.0, code(&other.1)), (StatusCode::CONFLICT, "digest_differs"));
            assert_eq!(self.vote(0, &again.hold, "deny", "rita").await.0, StatusCode::OK);
            assert_eq!(again.answer.await.unwrap().0, StatusCode::FORBIDDEN);
        }
        assert_eq!(self.upstream_saw(&mark), 1);
    }

    async fn who_goes_away_withdraws(&self, trail: &Trail) {
        let waiting = self.ask(0, "alice", "never mind").await;
        waiting.answer.abort();
        self.until_state(&waiting.hold, HoldState::Withdrawn).await;
        let late = self.vote(0, &waiting.hold, "approve", "rita").await;
        assert_eq!((late.0, code(&late.1)), (StatusCode::CONFLICT, "already_decided"));
        let told = format!(
            "SELECT kind FROM events WHERE hold_id = '{}' AND kind = 'withdrawn'",
            waiting.hold.hold_id
        );
        trail.until_sql("the withdrawal", &told, |rows| (rows.len() == 1).then_some(())).await;
        assert_eq!(self.upstream_saw(&waiting.mark), 0);
    }

    async fn each_decision_finds_its_proxy(&self) {
        for proxy in 0..self.proxies.len() {
            for approver in 0..self.approvers.len() {
                let waiting = self.ask(proxy, "alice", "whichever").await;
                let shown = until("any approver shows it", async || {
                    self.show(approver, &waiting.hold).await
                });
                assert_eq!(shown.await.hold, waiting.hold);
                let approved = self.vote(approver, &waiting.hold, "approve", "rita").await;
                assert_eq!(approved.0, StatusCode::OK, "{}", approved.1);
                assert_eq!(waiting.answer.await.unwrap().0, StatusCode::OK);
                assert_eq!(self.upstream_saw(&waiting.mark), 1);
            }
        }
    }

    /// Votes lie on the log when no approver lives; each counts once when one does again.
    async fn a_vote_outlives_the_approvers(&self, stages: &mut Stages) {
        let mut waiting = Vec::new();
        for proxy in [0, 1, 0, 1] {
            waiting.push(self.ask(proxy, "alice", "over a kill").await);
        }
        for name in ["approver-0", "approver-1"] {
            stages.daemon(name).kill();
        }
        let backbone = kafka_backbone(stages);
        let keys = KeysFolder::new(stages.keys_folder());
        for Waiting { hold, .. } in &waiting {
            cast(&*backbone, &keys, hold, ("rita", Verdict::Approve)).await;
            cast(&*backbone, &keys, hold, ("rob", Verdict::Deny)).await;
        }
        for name in ["approver-0", "approver-1"] {
            stages.daemon(name).restart().await;
        }
        for Waiting { mark, answer, hold } in waiting {
            assert_eq!(answer.await.unwrap().0, StatusCode::OK);
            assert_eq!(self.upstream_saw(&mark), 1, "once");
            self.until_state(&hold, HoldState::Executed).await;
            let decided = all_records(&*backbone, Topic::Decisions).await;
            let decided =
                decided.iter().filter(|record| record.key == hold.hold_id.0.as_bytes()[..]);
            assert_eq!(decided.count(), 1);
        }
        // The API too: killed while somebody votes, the vote counts or was never made.
        let one = self.ask(0, "alice", "killed while voting").await;
        let voting = self.vote(0, &one.hold, "approve", "rita");
        let (_, ()) = tokio::join!(voting, async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            stages.daemon("approver-0").kill();
        });
        stages.daemon("approver-0").restart().await;
        until("a vote that counts", async || {
            let (status, _) = self.vote(1, &one.hold, "approve", "rita").await;
            (status == StatusCode::OK || status == StatusCode::CONFLICT).then_some(())
        })
        .await;
        assert_eq!(one.answer.await.unwrap().0, StatusCode::OK);
        assert_eq!(self.upstream_saw(&one.mark), 1);
    }

    /// The same by `trailgate approvals`.
    async fn by_the_command_line(&self, trail: &Trail) {
        let Running::Up(up) = &trail.running else { unreachable!("the embedded log was started") };
        let file = up.data().with_file_name("rita.token");
        std::fs::write(&file, &self.people.rita).unwrap();
        let waiting = self.ask(0, "alice", "say \u{1b}[2J it").await;
        let id = waiting.hold.hold_id.to_string();
        let run = async |arguments: &[&str]| {
            let mut recipe = Recipe::of("trailgate").argument("approvals");
            for argument in arguments {
                recipe = recipe.argument(*argument);
            }
            let recipe = recipe.argument("--url").argument(&self.approvers[0]);
            recipe.argument("--token-file").argument(&file).run_to_end().await
        };
        let (status, listed) = run(&["list"]).await;
        assert!(status.success() && listed.contains(&id), "{listed}");
        let (status, shown) = run(&["show", &id]).await;
        assert!(status.success() && shown.contains("alice"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
        let (status, told) = run(&["approve", &id, "--reason", "by hand"]).await;
        assert!(status.success(), "{told}");
        assert_eq!(waiting.answer.await.unwrap().0, StatusCode::OK);
        let (status, told) = run(&["deny", &id]).await;
        assert!(!status.success() && told.contains("decided"), "{told}");
        let (status, json) = run(&["show", &id, "--format", "json"]).await;
        assert!(status.success());
        let approval: Approval = serde_json::from_str(json.lines().last().unwrap()).unwrap();
        assert_eq!(approval.decision.unwrap().reason.as_deref(), Some("by hand"));
    }
}

fn rule_file(stages: &Stages) -> PathBuf {
    let file = stages.folder().join("rules.toml");
    std::fs::write(&file, RULES).unwrap();
    file
}

/// The end of a problem's type.
fn code(body: &str) -> &str {
    let from = body.find("urn:trailgate:problem:").map_or("", |at| &body[at + 22..]);
    from.split('"').next().unwrap_or_default()
}

async fn no_topic_has(secrets: &[Planted], backbone: &dyn Backbone) {
    for topic in TOPICS {
        for record in all_records(backbone, topic).await {
            let value = record.value.unwrap_or_default();
            for secret in secrets {
                let found = secret.found_in(&value).or_else(|| secret.found_in(&record.key));
                assert_eq!(found, None, "{} has a secret", topic.name());
            }
        }
    }
}
