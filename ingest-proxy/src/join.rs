//! Side joins: a run whose answer tells of no node is followed on a stream of the gateway's own, so
//! that its nodes are told. It is a stream of its own in the same session, by the same request's id,
//! and ends with a closing record like any other.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;
use trailgate_schemas::{Kind, Outcome, RunId, ThreadId};

use crate::agent::{ended_events, told_events, write_events};
use crate::door::Door;
use crate::journal::{Facts, Journal};
use crate::langgraph::{Lookup, RunPlace, RunStream, SideJoin, Step, StripPlan, plan_of_run};
use crate::limits::{JOIN_RETRY_WAIT, JOIN_TRIES, LOOKUP_MAX_BYTES, LOOKUP_WAIT};
use crate::payload::Payload;
use crate::pulse::Pulse;
use crate::relay::Passed;

/// A run to follow.
pub(crate) struct Join {
    pub(crate) door: Arc<Door>,
    pub(crate) place: RunPlace,
    pub(crate) own_head: HeaderMap,
    /// The creating exchange's; the stream gets an id of its own.
    pub(crate) facts: Facts,
}

/// How following came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Followed {
    /// To the run's end.
    ToTheEnd,
    /// Not to its end, for this reason.
    Lost(&'static str),
}

/// How one connection to the stream came out.
enum Read {
    Ended,
    /// It broke; whether it had told anything.
    Broke(bool),
    Refused(StatusCode),
    Unrecorded,
    Stopped,
}

impl Join {
    /// Follows the run in a task that outlives the request.
    pub(crate) fn start(self) {
        let gateway = Arc::clone(&self.door.gateway);
        let mut facts = self.facts.clone();
        facts.stream_id = gateway.ids.stream();
        facts.operation = "run.side_join";
        facts.run_id = Some(self.place.run);
        facts.thread_id = facts.thread_id.or(self.place.thread);
        let pulse = Arc::new(Pulse::new());
        let journal = Journal::open(Arc::clone(&gateway), facts, pulse, None);
        let room = Arc::clone(&gateway.joins).try_acquire_owned();
        let (Ok(place), Some(join)) = (room, self.place.side_join()) else {
            close(&journal, Followed::Lost("too_many_joins"));
            return;
        };
        gateway.spawn(async move {
            journal.gateway().metrics.joins.inc();
            let followed = self.follow(&journal, join).await;
            journal.gateway().metrics.joins.dec();
            close(&journal, followed);
            drop(place);
        });
    }

    async fn follow(&self, journal: &Arc<Journal>, join: SideJoin) -> Followed {
        let mut stream = RunStream::of_side_join(join.run);
        let (mut tries, mut wait) = (0, JOIN_RETRY_WAIT);
        let followed = loop {
            match self.read(journal, join, &mut stream).await {
                Read::Ended => break Followed::ToTheEnd,
                Read::Stopped => break Followed::Lost("gateway_stopped"),
                Read::Unrecorded => return Followed::Lost("record_unavailable"),
                Read::Refused(status) if status.is_client_error() => {
                    break Followed::Lost("join_refused");
                }
                Read::Broke(true) => (tries, wait) = (0, JOIN_RETRY_WAIT),
                Read::Broke(false) | Read::Refused(_) => tries += 1,
            }
            if tries >= JOIN_TRIES {
                break Followed::Lost("upstream_broke_off");
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
            stream.reconnect();
        };
        let mut passed = ended_events(journal, &stream);
        match write_events(journal, &mut passed).await {
            Ok(()) => followed,
            Err(_) => Followed::Lost("record_unavailable"),
        }
    }

    /// Reads one connection to the run's stream to its end.
    async fn read(&self, journal: &Journal, join: SideJoin, stream: &mut RunStream) -> Read {
        let mut head = self.own_head.clone();
        head.insert("last-event-id", HeaderValue::from_static(SideJoin::LAST_EVENT_ID));
        head.insert(http::header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        let target = join.path_and_query(&self.door.mount_prefix);
        let Some(response) = ask(&self.door, &target, head).await else {
            return Read::Broke(false);
        };
        if !response.status().is_success() {
            return Read::Refused(response.status());
        }
        let mut body = response.into_body();
        let mut told = false;
        let mut steps = Vec::new();
        let gateway = journal.gateway();
        loop {
            let frame = tokio::select! {
                frame = timeout(gateway.stall, body.frame()) => frame,
                () = gateway.stop.asked() => return Read::Stopped,
            };
            match frame {
                Ok(Some(Ok(frame))) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    stream.push(bytes, &mut steps);
                }
                Ok(None) => {
                    steps.extend(stream.finish());
                    return match write(journal, &mut steps).await {
                        Ok(_) => Read::Ended,
                        Err(_) => Read::Unrecorded,
                    };
                }
                Ok(Some(Err(_))) | Err(_) => return Read::Broke(told),
            }
            match write(journal, &mut steps).await {
                Ok(some) => told |= some,
                Err(_) => return Read::Unrecorded,
            }
        }
    }
}

/// Records what the steps told: whether they told anything.
async fn write(journal: &Journal, steps: &mut Vec<Step>) -> Result<bool, crate::agent::Unwritten> {
    let mut passed: Vec<Passed> =
        steps.drain(..).filter_map(|step| told_events(journal, step.told)).collect();
    let some = !passed.is_empty();
    write_events(journal, &mut passed).await?;
    Ok(some)
}

fn close(journal: &Journal, followed: Followed) {
    let (outcome, reason) = match followed {
        Followed::ToTheEnd => (Outcome::Succeeded, None),
        Followed::Lost(reason) => (Outcome::Unknown, Some(reason)),
    };
    if let Some(reason) = reason {
        journal.gateway().metrics.failed(reason);
    }
    let mut event = journal.event(Kind::Response, outcome);
    event.reason = reason.map(str::to_owned);
    journal.close_even_empty(event);
}

/// The plan of a run that was created elsewhere, as the server has it.
pub(crate) async fn look_up(
    door: &Arc<Door>,
    (thread, run): (ThreadId, RunId),
    head: HeaderMap,
) -> Option<StripPlan> {
    let target = Lookup { thread, run }.path(&door.mount_prefix);
    let read = async {
        let response = ask(door, &target, head).await?;
        let whole = Limited::new(response.into_body(), LOOKUP_MAX_BYTES).collect().await.ok()?;
        plan_of_run(&whole.to_bytes())
    };
    timeout(LOOKUP_WAIT, read).await.ok().flatten()
}

async fn ask(door: &Door, target: &str, head: HeaderMap) -> Option<http::Response<Incoming>> {
    let target = http::uri::PathAndQuery::from_maybe_shared(Bytes::from(target.to_owned())).ok()?;
    let mut request = Request::new(Payload::Empty);
    *request.method_mut() = Method::GET;
    *request.uri_mut() = door.upstream.uri(Some(&target)).ok()?;
    *request.headers_mut() = head;
    door.upstream.send(request).await.ok()
}
