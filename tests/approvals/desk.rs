//! Asking, showing and voting: what the tests of holds do over and over.

use bytes::Bytes;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use trailgate_envelope::KeysFolder;
use trailgate_schemas::{Approval, EventId, Hold, HoldState, Principal, Verdict, Vote};
use trailgate_service::{Clock, Ids, RandomIds, SystemClock};
use trailgate_testkit::{Mark, Upstream, until};
use trailgate_topics::{Backbone, NewRecord, Partition, Topic};

/// Where requests are held and decided, and by whom.
pub(crate) struct Desk {
    pub(crate) proxies: Vec<String>,
    pub(crate) approvers: Vec<String>,
    pub(crate) people: People,
    pub(crate) upstream: Upstream,
}

/// Tokens. Alice is a reviewer too.
pub(crate) struct People {
    pub(crate) alice: String,
    pub(crate) bob: String,
    pub(crate) rita: String,
    pub(crate) rob: String,
}

/// A request that waits, and what is held.
pub(crate) struct Waiting {
    pub(crate) hold: Hold,
    pub(crate) mark: Mark,
    pub(crate) answer: JoinHandle<(StatusCode, String)>,
}

impl Desk {
    pub(crate) async fn ask(&self, proxy: usize, who: &str, body: &str) -> Waiting {
        self.ask_at(proxy, "/echo", (who, body)).await
    }

    pub(crate) async fn ask_at(&self, proxy: usize, path: &str, asks: (&str, &str)) -> Waiting {
        self.ask_marked(proxy, path, asks, &Mark::new("held")).await
    }

    /// Sends a request, which waits, and finds its hold as a reviewer does: it is the only one that
    /// was not there before.
    pub(crate) async fn ask_marked(
        &self,
        proxy: usize,
        path: &str,
        (who, body): (&str, &str),
        mark: &Mark,
    ) -> Waiting {
        let query = format!("mark={mark}");
        let before = self.pending(&query).await;
        let request = Client::new()
            .post(format!("{}{path}?{query}", self.proxies[proxy]))
            .bearer_auth(self.token(who))
            .header("content-type", "text/plain")
            .body(body.to_owned());
        let answer = tokio::spawn(async move {
            let Ok(answer) = request.send().await else {
                return (StatusCode::SERVICE_UNAVAILABLE, String::new());
            };
            (answer.status(), answer.text().await.unwrap_or_default())
        });
        let hold = until("the hold is shown", async || {
            let now = self.pending(&query).await;
            let new = now.into_iter().find(|id| !before.contains(id))?;
            let approval = self.show_id(0, &new).await?;
            Some(approval.hold)
        });
        Waiting { hold: hold.await, mark: mark.clone(), answer }
    }

    /// The holds that wait, of paths with this query.
    pub(crate) async fn pending(&self, query: &str) -> Vec<String> {
        let url = format!("{}/v1/holds?state=pending", self.approvers[0]);
        let asked = Client::new().get(url).bearer_auth(&self.people.rita).send().await;
        let Ok(answer) = asked else { return Vec::new() };
        let list: Value = answer.json().await.unwrap_or_default();
        let holds = list["holds"].as_array().cloned().unwrap_or_default();
        let is_ours =
            |hold: &&Value| hold["hold"]["path"].as_str().is_some_and(|path| path.contains(query));
        let id = |hold: &Value| hold["hold"]["hold_id"].as_str().unwrap().to_owned();
        holds.iter().filter(is_ours).map(id).collect()
    }

    pub(crate) async fn show(&self, approver: usize, hold: &Hold) -> Option<Approval> {
        self.show_id(approver, &hold.hold_id.to_string()).await
    }

    pub(crate) async fn show_id(&self, approver: usize, id: &str) -> Option<Approval> {
        let url = format!("{}/v1/holds/{id}", self.approvers[approver]);
        let answer = Client::new().get(url).bearer_auth(&self.people.rita).send().await.ok()?;
        answer.json().await.ok()
    }

    pub(crate) async fn until_state(&self, hold: &Hold, state: HoldState) -> Approval {
        until(&format!("the hold is {state}"), async || {
            self.show(0, hold).await.filter(|approval| approval.state == state)
        })
        .await
    }

    pub(crate) async fn vote(
        &self,
        approver: usize,
        hold: &Hold,
        verdict: &str,
        who: &str,
    ) -> (StatusCode, String) {
        self.vote_with(approver, hold, (verdict, who), json!({})).await
    }

    pub(crate) async fn vote_saying(
        &self,
        approver: usize,
        hold: &Hold,
        vote: (&str, &str),
        reason: &str,
    ) -> (StatusCode, String) {
        self.vote_with(approver, hold, vote, json!({"reason": reason, "digest": hold.digest})).await
    }

    pub(crate) async fn vote_with(
        &self,
        approver: usize,
        hold: &Hold,
        (verdict, who): (&str, &str),
        ballot: Value,
    ) -> (StatusCode, String) {
        let url = format!("{}/v1/holds/{}/{verdict}", self.approvers[approver], hold.hold_id);
        let asked = Client::new().post(url).bearer_auth(self.token(who)).json(&ballot).send().await;
        let Ok(answer) = asked else { return (StatusCode::SERVICE_UNAVAILABLE, String::new()) };
        (answer.status(), answer.text().await.unwrap_or_default())
    }

    pub(crate) fn token(&self, who: &str) -> &str {
        match who {
            "alice" => &self.people.alice,
            "bob" => &self.people.bob,
            "rita" => &self.people.rita,
            "rob" => &self.people.rob,
            other => panic!("{other} has no token"),
        }
    }

    pub(crate) fn upstream_saw(&self, mark: &Mark) -> usize {
        let seen = self.upstream.seen();
        seen.iter().filter(|seen| seen.query.contains(mark.as_str())).count()
    }
}

/// Puts a vote where the API of an approver would.
pub(crate) async fn cast(
    backbone: &dyn Backbone,
    keys: &KeysFolder,
    hold: &Hold,
    (voter, verdict): (&str, Verdict),
) {
    let vote = Vote {
        event_id: EventId(RandomIds.next()),
        hold_id: hold.hold_id,
        digest: hold.digest.clone(),
        verdict,
        voter: Principal { subject: voter.to_owned(), ..hold.requester.clone() },
        voter_key: None,
        voter_groups: vec!["reviewers".to_owned()],
        reason: None,
        voted_at: SystemClock.now(),
    };
    let key = keys.load_decision().unwrap();
    let signed = key.sign(Topic::Votes.name(), &serde_json::to_vec(&vote).unwrap());
    let record = NewRecord {
        topic: Topic::Votes,
        partition: Partition::of_hold(hold.hold_id, backbone.partitions()),
        key: Bytes::copy_from_slice(hold.hold_id.0.as_bytes()),
        value: Some(signed.into()),
    };
    backbone.appender().unwrap().append(record).await.unwrap();
}
