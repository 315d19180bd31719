//! Where reviewers look and vote: the list of steps from a request to its answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::HeaderMap;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use trailgate_envelope::SigningKey;
use trailgate_identity::{Authenticator, Identity, Problem};
use trailgate_schemas::{
    Approval, AuditEvent, EventId, Hold, HoldDecision, HoldId, HoldState, Principal, Verdict, Vote,
};
use trailgate_topics::Refusals;

use crate::ask::{Ballot, state};
use crate::cast::{Cast, Ready};
use crate::limits::{BODY_MAX_BYTES, DECISION_WAIT, LISTED_MAX};
use crate::masking::Masking;
use crate::metrics::Counts;
use crate::objection::Caller;
use crate::problems;
use crate::reply;
use crate::shown::Shown;
use crate::trail::Trail;

/// What all requests share.
pub(crate) struct Desk {
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) trail: Trail,
    pub(crate) counts: Counts,
    pub(crate) refusals: Refusals,
    pub(crate) masking: Masking,
    pub(crate) shown: Shown,
    pub(crate) key: Arc<SigningKey>,
    /// Votes that are being recorded.
    pub(crate) voting: Arc<Semaphore>,
    pub(crate) tasks: TaskTracker,
    /// Set once all is up.
    pub(crate) ready: OnceLock<Ready>,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    List,
    Show(HoldId),
    Vote(HoldId, Verdict),
}

/// The routes of the listener. There is no CORS: a browser's script of another origin gets nothing.
pub(crate) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/holds", get(list))
        .route("/v1/holds/{id}", get(show))
        .route("/v1/holds/{id}/approve", post(approve))
        .route("/v1/holds/{id}/deny", post(deny))
        .method_not_allowed_fallback(|| async { reply::problem(&problems::wrong_method()) })
        .fallback(|| async { reply::problem(&problems::not_found()) })
        .layer(axum::extract::DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(desk)
}

type Peer = ConnectInfo<SocketAddr>;

async fn list(State(desk): State<Arc<Desk>>, from: Peer, request: Request) -> Response {
    desk.answered(desk.list(from.0.ip(), request).await)
}

async fn show(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    from: Peer,
    request: Request,
) -> Response {
    desk.answered(desk.show(from.0.ip(), &id, request).await)
}

async fn approve(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    from: Peer,
    request: Request,
) -> Response {
    desk.answered(desk.vote(from.0.ip(), (&id, Verdict::Approve), request).await)
}

async fn deny(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    from: Peer,
    request: Request,
) -> Response {
    desk.answered(desk.vote(from.0.ip(), (&id, Verdict::Deny), request).await)
}

impl Desk {
    async fn list(&self, from: IpAddr, request: Request) -> Result<Response, Problem> {
        let ready = self.ready()?;
        let who = self.verify(ready, from, Asked::List, request.headers()).await?;
        let state = state(request.uri().query().unwrap_or_default())?;
        let caller = self.caller(&who);
        let wanted = |approval: &Approval| {
            state.is_none_or(|state| approval.state == state) && caller.may_see(&approval.hold)
        };
        Ok(reply::list(&self.shown.list(LISTED_MAX, wanted)))
    }

    async fn show(&self, from: IpAddr, id: &str, request: Request) -> Result<Response, Problem> {
        let ready = self.ready()?;
        let id = id.parse().map_err(|_| problems::unknown_hold())?;
        let asked = Asked::Show(id);
        let who = self.verify(ready, from, asked, request.headers()).await?;
        let approval = self.shown.find(id).ok_or_else(problems::unknown_hold)?;
        if !self.caller(&who).may_see(&approval.hold) {
            let objection = crate::objection::Objection::NotReviewer;
            return Err(self.object(ready, from, (&who, asked), objection).await);
        }
        Ok(reply::one(http::StatusCode::OK, &approval, None))
    }

    async fn vote(
        &self,
        from: IpAddr,
        (id, verdict): (&str, Verdict),
        request: Request,
    ) -> Result<Response, Problem> {
        let ready = self.ready()?;
        let id = id.parse().map_err(|_| problems::unknown_hold())?;
        let asked = Asked::Vote(id, verdict);
        let who = self.verify(ready, from, asked, request.headers()).await?;
        let ballot = Ballot::read(request.into_body()).await?;
        let approval = self.shown.find(id).ok_or_else(problems::unknown_hold)?;
        let caller = self.caller(&who);
        let now = self.trail.clock.now();
        if let Err(objection) = caller.may_vote(&approval, ballot.digest.as_deref(), now) {
            return Err(self.object(ready, from, (&who, asked), objection).await);
        }
        let redactor = self.masking.redactor();
        let reason = ballot.reason.map(|reason| redactor.text(&reason).text.into_owned());
        let event = self.trail.voted(from, &who, &approval.hold, (verdict, reason.as_deref()));
        let vote = self.ballot(&approval.hold, caller, (verdict, reason), &event);
        let voter = vote.voter.clone();
        let event_id = self.cast(ready, &vote, event).await?;
        self.counts.votes.inc();
        let after = self.shown.decided(id, DECISION_WAIT).await.unwrap_or(approval);
        follows(&after, &voter, verdict, event_id)
    }

    fn ready(&self) -> Result<&Ready, Problem> {
        self.ready.get().filter(|_| self.shown.is_read()).ok_or_else(problems::not_ready)
    }

    async fn verify(
        &self,
        ready: &Ready,
        from: IpAddr,
        asked: Asked,
        headers: &HeaderMap,
    ) -> Result<Identity, Problem> {
        match self.authenticator.authenticate(headers).await {
            Ok(identity) => Ok(identity),
            Err(refusal) => {
                let event = self.trail.login_refused(from, asked, refusal);
                let told = self.refuse(ready, from, event).await;
                Err(told.map_or_else(|problem| problem, |id| refusal.problem(Some(id))))
            }
        }
    }

    /// Who asks, named as the trail names people: what looks like a secret is masked, so that a
    /// requester is known again by its masked name, and no secret is in a vote.
    fn caller(&self, who: &Identity) -> Caller {
        let redactor = self.masking.redactor();
        let masked = |text: &str| redactor.identity(text).text.into_owned();
        let principal = Principal { issuer: masked(&who.issuer), subject: masked(&who.subject) };
        let key = self.trail.sessions.person(&who.issuer, &who.subject);
        let groups = who.groups.iter().map(|group| masked(group)).collect();
        Caller { principal, key, groups }
    }

    fn ballot(
        &self,
        hold: &Hold,
        caller: Caller,
        (verdict, reason): (Verdict, Option<String>),
        event: &AuditEvent,
    ) -> Vote {
        Vote {
            event_id: event.event_id,
            hold_id: hold.hold_id,
            digest: hold.digest.clone(),
            verdict,
            voter: caller.principal,
            voter_key: Some(caller.key),
            voter_groups: caller.groups,
            reason,
            voted_at: event.gateway_time,
        }
    }

    /// Records a vote and casts it, also if its voter goes away meanwhile.
    async fn cast(
        &self,
        ready: &Ready,
        vote: &Vote,
        event: AuditEvent,
    ) -> Result<EventId, Problem> {
        let place = Arc::clone(&self.voting);
        let place = place.try_acquire_owned().map_err(|_| problems::too_many_votes())?;
        let cast = Cast::new(ready, &self.key, vote, event).ok_or_else(problems::not_recorded)?;
        let casting = self.tasks.spawn(async move {
            let done = cast.run().await;
            drop(place);
            done
        });
        casting.await.unwrap_or_else(|_| Err(problems::not_recorded()))
    }

    /// Records that a caller may not do what it asked.
    async fn object(
        &self,
        ready: &Ready,
        from: IpAddr,
        (who, asked): (&Identity, Asked),
        objection: crate::objection::Objection,
    ) -> Problem {
        let event = self.trail.denied(from, who, asked, objection.code());
        let told = self.refuse(ready, from, event).await;
        told.map_or_else(|problem| problem, |id| problems::objection(objection, id))
    }

    async fn refuse(
        &self,
        ready: &Ready,
        from: IpAddr,
        event: AuditEvent,
    ) -> Result<EventId, Problem> {
        let recorder = Arc::clone(&ready.recorder);
        let told = self.refusals.record(from, event, move |event| recorder.record(event)).await;
        told.map_err(|_| problems::not_recorded())
    }

    fn answered(&self, answer: Result<Response, Problem>) -> Response {
        answer.unwrap_or_else(|problem| {
            self.counts.request_refused(problem.code());
            reply::problem(&problem)
        })
    }
}

/// What followed from a vote: the decision, nothing yet, or somebody was faster.
fn follows(
    after: &Approval,
    voter: &Principal,
    verdict: Verdict,
    event_id: EventId,
) -> Result<Response, Problem> {
    let is_ours = |decision: &HoldDecision| {
        let state = match verdict {
            Verdict::Approve => HoldState::Approved,
            Verdict::Deny => HoldState::Denied,
        };
        decision.state == state && decision.decided_by.as_ref() == Some(voter)
    };
    match (&after.decision, after.state) {
        (Some(decision), _) if is_ours(decision) => {
            Ok(reply::one(http::StatusCode::OK, after, Some(event_id)))
        }
        (None, HoldState::Pending) => {
            Ok(reply::one(http::StatusCode::ACCEPTED, after, Some(event_id)))
        }
        (_, state) => Err(problems::overtaken(state, event_id)),
    }
}
