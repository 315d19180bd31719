//! Forwarding: the upstream gets the request, and answers or does not.

use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;
use trailgate_identity::Problem;
use trailgate_schemas::{Kind, Outcome};

use crate::exchange::Exchange;
use crate::exchange::accept::{CallerAt, Upgrade};
use crate::exchange::authorise::Asked;
use crate::exchange::prepare::Cleared;
use crate::exchange::record::Admitted;
use crate::exchange::refuse::{Failed, Stopped, request_id};
use crate::relay::Cut;
use crate::upstream::Failed as UpstreamFailed;

/// A request whose answer begins.
pub(crate) struct Answered {
    pub(crate) caller: CallerAt,
    pub(crate) exchange: Exchange,
    pub(crate) asked: Asked,
    pub(crate) admitted: Admitted,
    pub(crate) upgrade: Option<Upgrade>,
    pub(crate) response: Response<Incoming>,
    /// The head by which the gateway asks the same upstream on the caller's behalf.
    pub(crate) own_head: HeaderMap,
}

impl Cleared {
    pub(super) async fn forward(self) -> Result<Answered, Stopped> {
        let Self { caller, exchange, request, asked, admitted, upgrade, own_head } = self;
        match caller.door.upstream.send(request).await {
            Ok(response) => {
                Ok(Answered { caller, exchange, asked, admitted, upgrade, response, own_head })
            }
            Err(error) => Err(unanswered(exchange, error, &caller)),
        }
    }
}

fn unanswered(exchange: Exchange, error: UpstreamFailed, caller: &CallerAt) -> Stopped {
    let (problem, outcome) = match error {
        UpstreamFailed::Unreachable => (
            Problem::new(
                "upstream_unreachable",
                StatusCode::BAD_GATEWAY,
                "The upstream can't be reached",
            )
            .detail("The request was not passed on."),
            Outcome::Failed,
        ),
        UpstreamFailed::Broken => (
            Problem::new(
                "upstream_broke_off",
                StatusCode::BAD_GATEWAY,
                "The upstream broke off before it answered",
            )
            .detail("It is not known whether it did what was asked."),
            Outcome::Unknown,
        ),
        UpstreamFailed::TimedOut => (
            Problem::new(
                "upstream_timed_out",
                StatusCode::GATEWAY_TIMEOUT,
                "The upstream did not answer in time",
            )
            .detail("It is not known whether it did what was asked."),
            Outcome::Unknown,
        ),
        UpstreamFailed::Body(Cut::SenderGone) => (
            Problem::new("body_broke_off", StatusCode::BAD_REQUEST, "The body broke off"),
            Outcome::Unknown,
        ),
        UpstreamFailed::Body(Cut::Unrecorded | Cut::Closed) => {
            let journal = exchange.hand_on(Outcome::Unknown);
            let mut event = journal.allowed(Kind::Request, Outcome::Unknown);
            event.reason = Some("record_unavailable".to_owned());
            journal.close_behind(event);
            journal.gateway().metrics.failed("record_unavailable");
            return Stopped::AnswerUnrecorded(request_id(caller));
        }
    };
    failed(exchange, problem, outcome)
}

fn failed(exchange: Exchange, problem: Problem, outcome: Outcome) -> Stopped {
    Stopped::Failed(Box::new(Failed { exchange, problem, outcome }))
}
