//! Relaying the answer: its head and each piece are durable before the client gets them, and what
//! the gateway added to a run is taken out again.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_LOCATION};
use http::response::Parts;
use http::{Response, StatusCode};
use http_body::Body as _;
use trailgate_identity::Problem;
use trailgate_schemas::{Kind, Outcome};

use crate::agent::{Created, agent_filter};
use crate::credentials::recorded_headers;
use crate::exchange::accept::CallerAt;
use crate::exchange::authorise::Asked;
use crate::exchange::forward::Answered;
use crate::exchange::record::Admitted;
use crate::exchange::refuse::{Failed, Stopped, request_id};
use crate::head::{X_REQUEST_ID, to_client};
use crate::journal::{Journal, Pending};
use crate::langgraph::{Access, Command, Operation, RunPlace};
use crate::limits::{FIRST_RESPONSE_PIECE_WAIT, RECORDED_HEADERS_MAX_BYTES};
use crate::media::Media;
use crate::payload::Payload;
use crate::relay::{Head, Relay, Side};
use crate::sessions::closed_event;
use crate::tunnel::{Ends, Tunnel};

impl Answered {
    pub(super) async fn relay(self) -> Result<Response<Payload>, Stopped> {
        if self.response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch().await;
        }
        let Self { caller, mut exchange, asked, admitted, response, own_head, .. } = self;
        let journal = Arc::clone(&exchange.journal);
        let (mut head, body) = response.into_parts();
        let status = head.status;
        if let Some(place) = place(&head) {
            journal.bind_run(place.run, place.thread);
        }
        let media = Media::of(&head.headers);
        let filter = match asked {
            Asked::Langgraph(operation) if status.is_success() => {
                let created =
                    Created { place: place(&head), admitted: &admitted, operation, own_head };
                agent_filter(&caller.door, &journal, (&media, created)).await
            }
            Asked::Langgraph(_) | Asked::Http | Asked::Upgrade => None,
        };
        let first = answer_head(&caller, &mut head);
        let side = Side::Response(status.as_u16());
        let mut relay = Relay::new(
            body,
            side,
            Arc::clone(&journal),
            media,
            (first, caller.door.record_max_bytes),
        );
        if let Some(filter) = filter {
            // What comes out may be shorter than what was announced.
            head.headers.remove(CONTENT_LENGTH);
            relay = relay.filtered(filter.filter);
            if let Some(outlives) = filter.outlives {
                relay = relay.outliving(outlives);
            }
        }
        for event in told(&journal, asked, &admitted, status) {
            relay.behind(event);
        }
        if let Some(event) = exchange.answered(status) {
            relay.behind(event);
        }
        // From here on the relay closes the stream.
        let journal = exchange.hand_on(Outcome::Unknown);
        if relay.begin(FIRST_RESPONSE_PIECE_WAIT).await.is_err() {
            journal.gateway().metrics.failed("record_unavailable");
            return Err(Stopped::AnswerUnrecorded(request_id(&caller)));
        }
        close_deleted(&caller, &journal, asked, status);
        let payload =
            if relay.is_end_stream() { Payload::Empty } else { Payload::Relay(Box::new(relay)) };
        Ok(Response::from_parts(head, payload))
    }

    /// The upstream changed the protocol: from here on there are two streams of bytes.
    async fn switch(self) -> Result<Response<Payload>, Stopped> {
        let Self { caller, exchange, upgrade, mut response, .. } = self;
        let Some(upgrade) = upgrade else {
            let status = StatusCode::BAD_GATEWAY;
            let problem = Problem::new("upstream_broke_off", status, "The upstream broke off")
                .detail("It changed to a protocol that nobody asked for.");
            let failed = Failed { exchange, problem, outcome: Outcome::Unknown };
            return Err(Stopped::Failed(Box::new(failed)));
        };
        let journal = Arc::clone(&exchange.journal);
        let upstream = hyper::upgrade::on(&mut response);
        let (mut head, _) = response.into_parts();
        let first = answer_head(&caller, &mut head);
        let mut event = journal.allowed(Kind::Response, Outcome::Started);
        event.status = Some(i32::from(head.status.as_u16()));
        event.headers = first.headers;
        event.truncated = first.truncated;
        let recorded = match journal.write(event) {
            Ok(pending) => pending.settled(journal.gateway()).await.is_ok(),
            Err(_) => false,
        };
        if !recorded {
            journal.break_off();
            let mut event = journal.allowed(Kind::Response, Outcome::Unknown);
            event.reason = Some("record_unavailable".to_owned());
            exchange.hand_on(Outcome::Unknown).close_behind(event);
            return Err(Stopped::AnswerUnrecorded(request_id(&caller)));
        }
        let ends = Ends { client: upgrade.client, upstream };
        let tunnel = Tunnel::new(
            exchange.hand_on(Outcome::Unknown),
            &upgrade.protocol,
            caller.door.record_max_bytes,
        );
        journal.gateway().spawn(tunnel.run(ends));
        Ok(Response::from_parts(head, Payload::Empty))
    }
}

/// What is recorded of the head, and the head that the client gets.
fn answer_head(caller: &CallerAt, head: &mut Parts) -> Head {
    let keys = &caller.door.gateway.keys;
    let (headers, truncated) = recorded_headers(&head.headers, keys, RECORDED_HEADERS_MAX_BYTES);
    to_client(&mut head.headers, head.status == StatusCode::SWITCHING_PROTOCOLS);
    head.headers.insert(X_REQUEST_ID, request_id(caller));
    head.version = http::Version::HTTP_11;
    let status = Some(i32::from(head.status.as_u16()));
    Head { status, path: None, headers: Some(headers), truncated }
}

fn place(head: &Parts) -> Option<RunPlace> {
    let location = head.headers.get(CONTENT_LOCATION)?.to_str().ok()?;
    RunPlace::from_content_location(location)
}

/// What the answer proves that the caller did.
fn told(
    journal: &Arc<Journal>,
    asked: Asked,
    admitted: &Admitted,
    status: StatusCode,
) -> Vec<Pending> {
    let resumed = match admitted {
        Admitted::Run(run) => run.resumes,
        Admitted::Batch(runs) => runs.iter().any(|run| run.resumes),
        Admitted::Command(command) => *command == Command::InputRespond,
        Admitted::Unread => false,
    };
    let edited = matches!(asked, Asked::Langgraph(Operation::StateEdit(_)));
    let outcome = if status.is_success() { Outcome::Succeeded } else { Outcome::Failed };
    let kinds = [(resumed, Kind::InterruptResumed), (edited, Kind::StateEdited)];
    kinds
        .into_iter()
        .filter(|(happened, _)| *happened)
        .filter_map(|(_, kind)| {
            let mut event = journal.allowed(kind, outcome);
            event.status = Some(i32::from(status.as_u16()));
            journal.write(event).ok()
        })
        .collect()
}

/// A thread that is gone has no session any more.
fn close_deleted(caller: &CallerAt, journal: &Journal, asked: Asked, status: StatusCode) {
    let deleted = matches!(asked, Asked::Langgraph(Operation::Thread(Access::Delete, Some(_))));
    if !deleted || !status.is_success() {
        return;
    }
    let gateway = &caller.door.gateway;
    if let Some(room) = gateway.sessions.forget(journal.facts().session_id) {
        gateway.record_behind(closed_event(gateway, room, "thread_deleted"));
    }
}
