//! Where statements are taken: the list of steps from a request to its answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::routing::post;
use http::HeaderMap;
use tokio::time::Instant;
use trailgate_identity::{Authenticator, Identity, Problem};
use trailgate_schemas::{AuditEvent, EventId};
use trailgate_topics::{Refusals, Untold};

use crate::ask::Ask;
use crate::config::{Access, Permit};
use crate::engine::{Engine, Planned};
use crate::limits::BODY_MAX_BYTES;
use crate::metrics::Counts;
use crate::problems;
use crate::recorder::Recorder;
use crate::reply;
use crate::trail::Trail;

/// What all requests share.
pub(crate) struct Desk {
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) access: Access,
    pub(crate) trail: Trail,
    pub(crate) counts: Counts,
    pub(crate) refusals: Refusals,
    /// Set once all is up.
    pub(crate) ready: OnceLock<Ready>,
}

/// What answers statements.
pub(crate) struct Ready {
    pub(crate) engine: Engine,
    pub(crate) recorder: Arc<dyn Recorder>,
}

/// The routes of the listener. There is no CORS: a browser's script of another origin gets nothing.
pub(crate) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/sql", post(sql))
        .method_not_allowed_fallback(|| async { told(problems::wrong_method()) })
        .fallback(|| async { told(problems::not_found()) })
        .layer(axum::extract::DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(desk)
}

async fn sql(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    desk.answer(from.ip(), request).await.unwrap_or_else(|problem| {
        desk.counts.refused(problem.code());
        told(problem)
    })
}

impl Desk {
    async fn answer(&self, from: IpAddr, request: Request) -> Result<Response, Problem> {
        let since = Instant::now();
        let ready = self.ready.get().ok_or_else(problems::not_ready)?;
        let who = self.verify(ready, from, request.headers()).await?;
        let permit = self.permit(ready, from, &who).await?;
        let ask = Ask::read(request).await?;
        let planned = self.plan(ready, from, &who, &ask, permit).await?;
        let event_id = self.record(ready, from, &who, &ask.sql).await?;
        let answer = planned.run().await;
        let answer = answer.map_err(|error| problems::of_statement(&error, Some(event_id)))?;
        reply::begin(&ready.engine, answer, &ask, event_id, (self.counts.clone(), since)).await
    }

    async fn verify(
        &self,
        ready: &Ready,
        from: IpAddr,
        headers: &HeaderMap,
    ) -> Result<Identity, Problem> {
        match self.authenticator.authenticate(headers).await {
            Ok(identity) => Ok(identity),
            Err(refusal) => {
                let event = self.trail.login_refused(from, refusal);
                let told = self.refuse(ready, from, event).await;
                Err(told.map_or_else(|_| problems::not_recorded(), |id| refusal.problem(Some(id))))
            }
        }
    }

    async fn permit(&self, ready: &Ready, from: IpAddr, who: &Identity) -> Result<Permit, Problem> {
        if let Some(permit) = self.access.permit(who) {
            return Ok(permit);
        }
        let event = self.trail.denied(from, who);
        let told = self.refuse(ready, from, event).await;
        Err(told.map_or_else(|_| problems::not_recorded(), problems::no_group))
    }

    /// Records that a caller is not let in; gives the durable event that tells of it.
    async fn refuse(
        &self,
        ready: &Ready,
        from: IpAddr,
        event: AuditEvent,
    ) -> Result<EventId, Untold> {
        let recorder = Arc::clone(&ready.recorder);
        self.refusals.record(from, event, move |event| recorder.record(event)).await
    }

    /// Plans the statement. One that does not run is on the record too.
    async fn plan(
        &self,
        ready: &Ready,
        from: IpAddr,
        who: &Identity,
        ask: &Ask,
        _: Permit,
    ) -> Result<Planned, Problem> {
        let error = match ready.engine.plan(ask.sql.clone()).await {
            Ok(planned) => return Ok(planned),
            Err(error) => error,
        };
        let event = self.trail.not_executed(from, who, &ask.sql, error.code());
        let event_id = event.event_id;
        let recorded = ready.recorder.record(event).await;
        recorded.map_err(|_| problems::not_recorded())?;
        Err(problems::of_statement(&error, Some(event_id)))
    }

    /// Records that the statement runs. Without that it does not.
    async fn record(
        &self,
        ready: &Ready,
        from: IpAddr,
        who: &Identity,
        sql: &str,
    ) -> Result<EventId, Problem> {
        let event = self.trail.executed(from, who, sql);
        let event_id = event.event_id;
        let recorded = ready.recorder.record(event).await;
        recorded.map(|()| event_id).map_err(|_| problems::not_recorded())
    }
}

fn told(problem: Problem) -> Response {
    problem.response().map(Body::from)
}
