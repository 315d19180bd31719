//! A vote counts once, wherever the approver is when it is killed.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use trailgate_schemas::{
    Claim, ClaimEnd, EventId, Hold, HoldState, Kind, Principal, ProducerId, Verdict, Vote,
};
use trailgate_service::{Clock, Ids, RandomIds, SystemClock};
use trailgate_topics::{Partition, Topic};

use crate::world::World;

/// Puts a vote where the API of any instance would.
async fn cast(world: &World, hold: &Hold, voter: &str, verdict: Verdict) {
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
    let key = world.keys.load_decision().unwrap();
    let signed = key.sign(Topic::Votes.name(), &serde_json::to_vec(&vote).unwrap());
    let key = Bytes::copy_from_slice(hold.hold_id.0.as_bytes());
    world.append(Topic::Votes, hold.hold_id, key, signed.into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_that_was_cast_before_a_kill_counts_once_after_it() {
    let mut world = World::start().await;
    let hold = world.shown_hold().await;
    world.kill();
    cast(&world, &hold, "rita", Verdict::Approve).await;
    world.restart().await;
    world.until_state(hold.hold_id, HoldState::Approved).await;
    world.stop().await;
    world.restart().await;
    cast(&world, &hold, "rob", Verdict::Deny).await;
    let other = world.shown_hold().await;
    cast(&world, &other, "rob", Verdict::Deny).await;
    world.until_state(other.hold_id, HoldState::Denied).await;
    let decisions = world.decisions(hold.hold_id).await;
    assert_eq!((decisions.len(), decisions[0].state), (1, HoldState::Approved));
    assert_eq!(world.recorded_as(Kind::Approved).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_each_hold_is_decided_once_and_numbers_are_dense() {
    let mut world = World::start().await;
    let mut holds = Vec::new();
    for round in 0..6 {
        for _ in 0..4 {
            let hold = world.hold().await;
            cast(&world, &hold, "rita", Verdict::Approve).await;
            cast(&world, &hold, "rob", Verdict::Deny).await;
            holds.push(hold);
        }
        // Wherever it is by then.
        tokio::time::sleep(Duration::from_millis(17 * round)).await;
        world.kill();
        world.restart().await;
    }
    for hold in &holds {
        let token = world.reviewer("watcher");
        trailgate_testkit::until("all are decided", async || {
            let asked = world.get(&format!("/v1/holds/{}", hold.hold_id)).bearer_auth(&token);
            let approval: trailgate_schemas::Approval =
                asked.send().await.ok()?.json().await.ok()?;
            (approval.state != HoldState::Pending).then_some(())
        })
        .await;
        assert_eq!(world.decisions(hold.hold_id).await.len(), 1);
    }
    let mut series: BTreeMap<(ProducerId, Partition), Vec<i64>> = BTreeMap::new();
    let mut told = 0;
    for event in world.recorded().await {
        assert!(matches!(event.kind, Kind::Approved | Kind::Denied));
        let partition = Partition::of_session(event.session_id, 4);
        series.entry((event.producer_id, partition)).or_default().push(event.producer_number);
        told += 1;
    }
    assert_eq!(told, holds.len());
    for numbers in series.values() {
        assert_eq!(*numbers, (0..numbers.len() as i64).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_an_approval_is_shown_also_after_a_restart() {
    let mut world = World::start().await;
    let hold = world.shown_hold().await;
    cast(&world, &hold, "rita", Verdict::Approve).await;
    world.until_state(hold.hold_id, HoldState::Approved).await;
    let claim = Claim {
        hold_id: hold.hold_id,
        claim: hold.claim,
        end: ClaimEnd::Executed,
        ended_at: SystemClock.now(),
    };
    let value = Bytes::from(serde_json::to_vec(&claim).unwrap());
    world.append(Topic::Claims, hold.hold_id, Bytes::new(), value).await;
    world.until_state(hold.hold_id, HoldState::Executed).await;
    world.stop().await;
    world.restart().await;
    let approval = world.until_state(hold.hold_id, HoldState::Executed).await;
    assert_eq!(approval.decision.unwrap().state, HoldState::Approved);
}
