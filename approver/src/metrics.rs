//! What the approver counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use trailgate_schemas::HoldState;
use trailgate_service::Metrics;

/// A stable word as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Where a hold is, as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// The approver's counters.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pub(crate) holds: Counter,
    pub(crate) votes: Counter,
    states: Family<State, Counter>,
    ignored: Family<Reason, Counter>,
    refused: Family<Reason, Counter>,
    requests: Family<Reason, Counter>,
}

impl Counts {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let new = |name: &str, help: &str| metrics.register(name, help, Counter::default());
        let by_reason = |name: &str, help: &str| metrics.register(name, help, Family::default());
        let states = "holds that came to a state, aborted steps included";
        Self {
            holds: new("approver_holds", "holds taken, aborted steps included"),
            votes: new("approver_votes", "votes taken by the API"),
            states: metrics.register("approver_states", states, Family::default()),
            ignored: by_reason("approver_ignored", "what changed nothing, by reason"),
            refused: by_reason("approver_refused", "records that were not taken, by reason"),
            requests: by_reason("approver_requests_refused", "requests refused, by reason"),
        }
    }

    /// A hold came to a state.
    pub(crate) fn came_to(&self, state: HoldState) {
        self.states.get_or_create(&State { state: state.word() }).inc();
    }

    /// A vote, a claim or a hold changed nothing.
    pub(crate) fn ignored(&self, reason: &'static str) {
        self.ignored.get_or_create(&Reason { reason }).inc();
    }

    /// A record was not taken.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    /// A request was not answered as asked.
    pub(crate) fn request_refused(&self, reason: &'static str) {
        self.requests.get_or_create(&Reason { reason }).inc();
    }
}
