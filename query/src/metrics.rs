//! What query counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use trailgate_service::Metrics;

/// A stable word as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Word {
    pub(crate) reason: &'static str,
}

/// The counters of query.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pub(crate) answered: Counter,
    pub(crate) rows: Counter,
    pub(crate) seconds: Histogram,
    refused: Family<Word, Counter>,
}

impl Counts {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let new = |name: &str, help: &str| metrics.register(name, help, Counter::default());
        let seconds = Histogram::new(exponential_buckets(0.005, 2.0, 14));
        Self {
            answered: new("query_answers", "statements answered to the end"),
            rows: new("query_rows", "rows of answers"),
            seconds: metrics.register("query_seconds", "time of an answer", seconds),
            refused: metrics.register(
                "query_refused",
                "requests without a whole answer, by reason",
                Family::default(),
            ),
        }
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Word { reason }).inc();
    }
}
