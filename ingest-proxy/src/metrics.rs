//! What the gateway counts. Labels are words of closed sets, never names or input.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;
use trailgate_schemas::{ClaimEnd, Outcome};
use trailgate_service::Metrics;

use crate::recorder::Unrecorded;
use crate::relay::Side;

type Label = [(&'static str, &'static str); 1];

/// The gateway's metrics.
#[derive(Clone, Debug)]
pub(crate) struct ProxyMetrics {
    pub(crate) in_flight: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) sessions: Gauge,
    pub(crate) joins: Gauge,
    pub(crate) held: Gauge,
    exchanges: Family<Label, Counter>,
    refusals: Family<Label, Counter>,
    failures: Family<Label, Counter>,
    bytes: Family<Label, Counter>,
    pieces: Family<Label, Counter>,
    acknowledgements: Family<Label, Counter>,
    decisions: Family<Label, Counter>,
    claims: Family<Label, Counter>,
    acknowledged: Histogram,
}

impl ProxyMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        // From a fast fsync to a backbone that hardly answers.
        let buckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
        let gauge = |name: &str, help: &str| metrics.register(name, help, Gauge::default());
        let family = |name: &str, help: &str| metrics.register(name, help, Family::default());
        Self {
            in_flight: gauge("proxy_in_flight", "Streams that are open"),
            connections: gauge("proxy_connections", "Connections of callers that are open"),
            sessions: gauge("proxy_sessions", "Sessions that are open"),
            joins: gauge("proxy_joins", "Runs that are watched beside their clients"),
            exchanges: family("proxy_exchanges", "Streams that were closed, by outcome"),
            refusals: family("proxy_refusals", "Requests that were refused, by reason"),
            failures: family("proxy_failures", "Exchanges that failed, by reason"),
            bytes: family("proxy_recorded_bytes", "Clear bytes that were recorded, by direction"),
            pieces: family("proxy_recorded_pieces", "Pieces that were recorded, by direction"),
            acknowledgements: family("proxy_acknowledgements", "Records, by how they came out"),
            held: gauge("proxy_held", "Requests that wait for a person"),
            decisions: family(
                "proxy_decisions",
                "Decisions that were read, by what became of them",
            ),
            claims: family("proxy_claims", "Held requests that ended here, by how"),
            acknowledged: metrics.register(
                "proxy_acknowledged_seconds",
                "Time from handing a record over until it was durable",
                Histogram::new(buckets),
            ),
        }
    }

    pub(crate) fn acknowledged(&self, since: Instant, outcome: &Result<(), Unrecorded>) {
        let word = match outcome {
            Ok(()) => "durable",
            Err(Unrecorded::NotTaken) => "not_taken",
            Err(Unrecorded::Unacknowledged) => "unacknowledged",
        };
        if outcome.is_ok() {
            self.acknowledged.observe(since.elapsed().as_secs_f64());
        }
        self.acknowledgements.get_or_create(&[("outcome", word)]).inc();
    }

    pub(crate) fn piece(&self, side: Side, bytes: usize) {
        let label = match side {
            Side::Request => [("direction", "request")],
            Side::Response(_) => [("direction", "response")],
        };
        self.bytes.get_or_create(&label).inc_by(bytes as u64);
        self.pieces.get_or_create(&label).inc();
    }

    pub(crate) fn closed(&self, outcome: Outcome) {
        self.exchanges.get_or_create(&[("outcome", outcome.word())]).inc();
    }

    pub(crate) fn decision(&self, outcome: &'static str) {
        self.decisions.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn claim(&self, end: ClaimEnd) {
        self.claims.get_or_create(&[("end", end.word())]).inc();
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&[("reason", reason)]).inc();
    }

    pub(crate) fn failed(&self, reason: &'static str) {
        self.failures.get_or_create(&[("reason", reason)]).inc();
    }
}
