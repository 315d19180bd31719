use proptest::prelude::*;
use trailgate_schemas::ClaimId;
use uuid::Uuid;

use super::*;
use crate::samples::{EXPIRES_AT, HELD_AT, IN_TIME, claim, hold, person, vote};

fn pending() -> Standing {
    Standing::open(hold(1), HELD_AT).standing
}

fn approved() -> Standing {
    pending().vote(&vote(&hold(1), "rita", Verdict::Approve), IN_TIME).standing
}

fn ignored(turn: &Turn) -> Option<Ignored> {
    match &turn.told {
        Told::Ignored(why) => Some(*why),
        Told::Opened(_) | Told::Decided(_) | Told::Closed(_) => None,
    }
}

#[test]
fn a_reviewer_s_vote_decides_and_the_decision_is_bound_to_what_was_held() {
    let turn = pending().vote(&vote(&hold(1), "rita", Verdict::Approve), IN_TIME);
    let Told::Decided(approval) = turn.told else { panic!("not decided") };
    let decision = approval.decision.unwrap();
    let held = hold(1);
    assert_eq!((decision.hold_id, decision.claim), (held.hold_id, held.claim));
    assert_eq!((decision.digest, decision.requester), (held.digest, held.requester));
    assert_eq!((decision.state, approval.state), (HoldState::Approved, HoldState::Approved));
    assert_eq!((decision.expires_at, decision.decided_at), (EXPIRES_AT, IN_TIME));
    assert_eq!(decision.decided_by, Some(person("rita")));
    assert_eq!(decision.reason.as_deref(), Some("looked at it"));
    let denied = pending().vote(&vote(&hold(1), "rita", Verdict::Deny), IN_TIME);
    assert_eq!(denied.standing.ended(), Some(IN_TIME));
}

#[test]
fn a_vote_that_may_not_count_changes_nothing() {
    let good = vote(&hold(1), "rita", Verdict::Approve);
    let cases = [
        (Vote { voter: person("alice"), ..good.clone() }, IN_TIME, Ignored::OwnVote),
        (
            Vote { voter_groups: vec!["agents".to_owned()], ..good.clone() },
            IN_TIME,
            Ignored::NotReviewer,
        ),
        (Vote { voter_groups: Vec::new(), ..good.clone() }, IN_TIME, Ignored::NotReviewer),
        (Vote { digest: "d2".to_owned(), ..good.clone() }, IN_TIME, Ignored::OtherDigest),
        (good.clone(), EXPIRES_AT, Ignored::Expired),
        (Vote { voted_at: EXPIRES_AT, ..good }, IN_TIME, Ignored::Expired),
    ];
    for (vote, now, why) in cases {
        let turn = pending().vote(&vote, now);
        assert_eq!(ignored(&turn), Some(why));
        assert_eq!(turn.standing, pending());
    }
}

#[test]
fn a_vote_after_the_decision_changes_nothing() {
    let turn = approved().vote(&vote(&hold(1), "rob", Verdict::Deny), IN_TIME);
    assert_eq!(ignored(&turn), Some(Ignored::Late));
    assert_eq!(turn.standing, approved());
}

#[test]
fn only_the_waiting_request_s_own_claim_counts_and_only_once_approved() {
    let other = Claim { claim: ClaimId(Uuid::nil()), ..claim(&hold(1), ClaimEnd::Withdrawn) };
    assert_eq!(ignored(&pending().claim(&other, IN_TIME)), Some(Ignored::OtherClaim));
    assert_eq!(ignored(&approved().claim(&other, IN_TIME)), Some(Ignored::OtherClaim));
    let executed = claim(&hold(1), ClaimEnd::Executed);
    assert_eq!(ignored(&pending().claim(&executed, IN_TIME)), Some(Ignored::NotApproved));
    let turn = approved().claim(&executed, IN_TIME);
    let Told::Closed(approval) = turn.told else { panic!("not closed") };
    assert_eq!(approval.state, HoldState::Executed);
    assert!(approval.decision.is_some(), "what was decided stays told");
    // Of a gateway whose clock is ahead: nobody waits for a decision any more.
    let failed = pending().claim(&claim(&hold(1), ClaimEnd::Failed), IN_TIME);
    let over = Standing::Ended(Ended { state: HoldState::Failed, since: IN_TIME });
    assert_eq!(failed.standing, over);
    let withdrawn = pending().claim(&claim(&hold(1), ClaimEnd::Withdrawn), IN_TIME);
    let ended = Standing::Ended(Ended { state: HoldState::Withdrawn, since: IN_TIME });
    assert_eq!(withdrawn.standing, ended);
}

#[test]
fn what_nobody_decided_expires_and_what_nobody_told_of_is_unknown() {
    assert_eq!(ignored(&pending().tick(IN_TIME)), Some(Ignored::NotDue));
    let Told::Decided(approval) = pending().tick(EXPIRES_AT).told else { panic!("not expired") };
    let decision = approval.decision.unwrap();
    assert_eq!((decision.state, decision.decided_by), (HoldState::Expired, None));
    // It may be under way: who used it at the last moment tells of it later.
    assert_eq!(ignored(&approved().tick(EXPIRES_AT)), Some(Ignored::NotDue));
    let Told::Closed(approval) = approved().tick(EXPIRES_AT.plus(UNTOLD_MAX)).told else {
        panic!("not closed")
    };
    assert_eq!(approval.state, HoldState::Unknown);
}

#[test]
fn where_it_stands_survives_being_kept() {
    for turn in [
        Standing::open(hold(1), HELD_AT),
        pending().vote(&vote(&hold(1), "rita", Verdict::Approve), IN_TIME),
        pending().vote(&vote(&hold(1), "rita", Verdict::Deny), IN_TIME),
        approved().claim(&claim(&hold(1), ClaimEnd::Unknown), IN_TIME),
        Standing::refuse(hold(1), IN_TIME),
    ] {
        let (Told::Opened(kept) | Told::Decided(kept) | Told::Closed(kept)) = turn.told else {
            panic!("nothing to keep")
        };
        let kept: Approval = serde_json::from_slice(&serde_json::to_vec(&kept).unwrap()).unwrap();
        assert_eq!(Standing::of(kept), Some(turn.standing));
    }
    let mut contradiction =
        Approval { hold: hold(1), state: HoldState::Approved, decision: None, changed_at: IN_TIME };
    assert_eq!(Standing::of(contradiction.clone()), None);
    contradiction.state = HoldState::Pending;
    assert_eq!(Standing::of(contradiction), Some(pending()));
}

/// Something that is said or happens.
#[derive(Clone, Debug)]
enum Said {
    Vote { voter: &'static str, groups: &'static str, digest: &'static str, approve: bool },
    Claim { ours: bool, end: ClaimEnd },
    Tick,
}

fn said() -> impl Strategy<Value = Said> {
    let vote = (
        prop::sample::select(vec!["alice", "rita", "rob"]),
        prop::sample::select(vec!["reviewers", "agents"]),
        prop::sample::select(vec!["d1", "d1", "d2"]),
        any::<bool>(),
    );
    let claim = (prop::bool::weighted(0.7), prop::sample::select(ClaimEnd::ALL));
    prop_oneof![
        4 => vote.prop_map(|(voter, groups, digest, approve)| Said::Vote {
            voter,
            groups,
            digest,
            approve
        }),
        2 => claim.prop_map(|(ours, end)| Said::Claim { ours, end }),
        2 => Just(Said::Tick),
    ]
}

fn step(standing: Standing, said: &Said, now: Micros) -> Turn {
    match said {
        Said::Vote { voter, groups, digest, approve } => {
            let verdict = if *approve { Verdict::Approve } else { Verdict::Deny };
            let mut vote = vote(&hold(1), voter, verdict);
            vote.voter_groups = vec![(*groups).to_owned()];
            vote.digest = (*digest).to_owned();
            vote.voted_at = now;
            standing.vote(&vote, now)
        }
        Said::Claim { ours, end } => {
            let mut claim = claim(&hold(1), *end);
            if !ours {
                claim.claim = ClaimId(Uuid::nil());
            }
            standing.claim(&claim, now)
        }
        Said::Tick => standing.tick(now),
    }
}

proptest! {
    #[test]
    fn in_whatever_order_things_come_at_most_one_decision_is_made_and_only_a_right_one(
        acts in prop::collection::vec((said(), 0_i64..60_000_000), 0..40),
    ) {
        let (mut standing, mut now) = (pending(), HELD_AT);
        let mut decisions = Vec::new();
        for (act, later) in acts {
            now = Micros(now.0 + later);
            let before = standing.clone();
            let turn = step(standing, &act, now);
            match &turn.told {
                Told::Ignored(_) => prop_assert_eq!(&turn.standing, &before),
                Told::Opened(_) => prop_assert!(false, "it was opened once"),
                Told::Decided(approval) => {
                    prop_assert!(matches!(before, Standing::Pending(_)));
                    decisions.push(approval.decision.clone().unwrap());
                    if approval.state == HoldState::Approved {
                        prop_assert!(now < EXPIRES_AT, "never after expiry");
                        let allowed = matches!(
                            act,
                            Said::Vote { voter: "rita" | "rob", groups: "reviewers", digest: "d1", approve: true }
                        );
                        prop_assert!(allowed, "never by who asked, nor by one who may not: {act:?}");
                    }
                }
                Told::Closed(_) => prop_assert!(before.ended().is_none()),
            }
            if before.ended().is_some() {
                prop_assert_eq!(&turn.standing, &before, "what is final stays");
            }
            standing = turn.standing;
        }
        prop_assert!(decisions.len() <= 1);
    }
}
