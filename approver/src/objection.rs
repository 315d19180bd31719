//! Why a verified caller may not see a hold, or not decide it: small questions without I/O. The
//! processor asks them again of the vote that it reads; only what it says counts.

use trailgate_schemas::{Approval, Hold, HoldState, Micros, Principal};

/// Who asks, as the trail names people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    /// The same as a keyed hash.
    pub(crate) key: String,
    pub(crate) groups: Vec<String>,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// The caller asked for what is held.
    OwnRequest,
    /// The caller is in no group that may decide.
    NotReviewer,
    /// It is decided, or over.
    AlreadyDecided(HoldState),
    /// Its time is over.
    Expired,
    /// The caller was shown something else.
    DigestDiffers,
}

impl Objection {
    /// Its stable code: the end of the problem's type, and the event's reason.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::OwnRequest => "own_request",
            Self::NotReviewer => "not_a_reviewer",
            Self::AlreadyDecided(_) => "already_decided",
            // `expired` is a token's.
            Self::Expired => "hold_expired",
            Self::DigestDiffers => "digest_differs",
        }
    }
}

impl Caller {
    /// Whether the caller may see a hold: who may decide it, and who asked for it.
    pub(crate) fn may_see(&self, hold: &Hold) -> bool {
        self.is_requester(hold) || self.is_reviewer(hold)
    }

    /// Whether the caller may vote about a hold now.
    ///
    /// # Errors
    /// [`Objection`]: why not. What others may not know of it is not told to them.
    pub(crate) fn may_vote(
        &self,
        approval: &Approval,
        digest: Option<&str>,
        now: Micros,
    ) -> Result<(), Objection> {
        let hold = &approval.hold;
        if self.is_requester(hold) {
            return Err(Objection::OwnRequest);
        }
        if !self.is_reviewer(hold) {
            return Err(Objection::NotReviewer);
        }
        match approval.state {
            HoldState::Pending => {}
            HoldState::Expired => return Err(Objection::Expired),
            state => return Err(Objection::AlreadyDecided(state)),
        }
        if now >= hold.expires_at {
            return Err(Objection::Expired);
        }
        match digest {
            Some(digest) if digest != hold.digest => Err(Objection::DigestDiffers),
            Some(_) | None => Ok(()),
        }
    }

    fn is_requester(&self, hold: &Hold) -> bool {
        is_requester(hold, &self.principal, Some(&self.key))
    }

    fn is_reviewer(&self, hold: &Hold) -> bool {
        self.groups.iter().any(|group| hold.reviewers.contains(group))
    }
}

/// Whether somebody is who asked for what is held, by either way to tell: names may be masked by other
/// rules at another stage, and what an older gateway held has no keyed hash.
pub(crate) fn is_requester(hold: &Hold, who: &Principal, key: Option<&str>) -> bool {
    *who == hold.requester || key.is_some() && key == hold.requester_key.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{EXPIRES_AT, IN_TIME, decided, hold, person};

    fn caller(subject: &str, groups: &[&str]) -> Caller {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Caller { principal: person(subject), key: format!("key of {subject}"), groups }
    }

    #[test]
    fn a_reviewer_that_did_not_ask_may_vote_in_time_about_what_was_shown() {
        let pending = Approval { state: HoldState::Pending, decision: None, ..decided(1) };
        let rita = caller("rita", &["reviewers"]);
        assert_eq!(rita.may_vote(&pending, None, IN_TIME), Ok(()));
        assert_eq!(rita.may_vote(&pending, Some("d1"), IN_TIME), Ok(()));
        let why = |caller: &Caller, approval: &Approval, digest, now| {
            caller.may_vote(approval, digest, now).map_err(Objection::code)
        };
        let alice = caller("alice", &["reviewers"]);
        assert_eq!(why(&alice, &pending, None, IN_TIME), Err("own_request"));
        assert_eq!(why(&alice, &decided(1), None, EXPIRES_AT), Err("own_request"));
        let eve = caller("eve", &["agents"]);
        assert_eq!(why(&eve, &decided(1), None, IN_TIME), Err("not_a_reviewer"));
        assert_eq!(why(&rita, &decided(1), None, IN_TIME), Err("already_decided"));
        assert_eq!(why(&rita, &pending, None, EXPIRES_AT), Err("hold_expired"));
        assert_eq!(why(&rita, &pending, Some("d2"), IN_TIME), Err("digest_differs"));
        let other = Principal { issuer: "https://other".to_owned(), ..person("alice") };
        let namesake = Caller {
            principal: other,
            key: "another".to_owned(),
            groups: vec!["reviewers".to_owned()],
        };
        assert_eq!(why(&namesake, &pending, None, IN_TIME), Ok(()));
    }

    #[test]
    fn who_may_decide_and_who_asked_may_see() {
        assert!(caller("rita", &["reviewers"]).may_see(&hold(1)));
        assert!(caller("alice", &[]).may_see(&hold(1)));
        assert!(!caller("eve", &["agents"]).may_see(&hold(1)));
    }

    #[test]
    fn who_asked_is_known_again_whatever_stage_has_masked_the_name() {
        let mut asked = hold(1);
        asked.requester = person("[github_token:1f0c9a77]");
        asked.requester_key = Some("key of eve".to_owned());
        let pending = Approval { hold: asked, state: HoldState::Pending, ..decided(1) };
        let eve = caller("eve", &["reviewers"]);
        assert_eq!(eve.may_vote(&pending, None, IN_TIME), Err(Objection::OwnRequest));
        assert_eq!(caller("rita", &["reviewers"]).may_vote(&pending, None, IN_TIME), Ok(()));
    }
}
