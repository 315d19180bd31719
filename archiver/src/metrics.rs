//! What the archiver counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use trailgate_service::Metrics;

/// The archiver's metrics; clones are the same.
#[derive(Clone, Debug)]
pub struct ArchiverMetrics {
    rows: Counter,
    record_bytes: Counter,
    file_bytes: Counter,
    commits: Counter,
    commit_retries: Counter,
    dropped_rows: Counter,
    lag: Family<PartitionLabel, Gauge>,
    stopped: Family<StoppedLabel, Gauge>,
}

/// A partition of `audit.events`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabel {
    partition: u32,
}

/// Why a partition is not archived.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoppedLabel {
    reason: &'static str,
}

impl ArchiverMetrics {
    /// Registers them.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let counter = |name: &str, help: &str| metrics.register(name, help, Counter::default());
        Self {
            rows: counter("archiver_rows", "Rows committed to the table"),
            record_bytes: counter("archiver_record_bytes", "Bytes of records committed"),
            file_bytes: counter("archiver_file_bytes", "Bytes of data files committed"),
            commits: counter("archiver_commits", "Commits made"),
            commit_retries: counter("archiver_commit_retries", "Commits tried again"),
            dropped_rows: counter("archiver_dropped_rows", "Rows left to another writer"),
            lag: metrics.register(
                "archiver_lag",
                "Places of audit.events that the table has not come to",
                Family::default(),
            ),
            stopped: metrics.register(
                "archiver_stopped_partitions",
                "Partitions that are not archived, by reason",
                Family::default(),
            ),
        }
    }

    pub(crate) fn committed(&self, rows: usize, record_bytes: usize, file_bytes: usize) {
        self.rows.inc_by(rows as u64);
        self.record_bytes.inc_by(record_bytes as u64);
        self.file_bytes.inc_by(file_bytes as u64);
        self.commits.inc();
    }

    pub(crate) fn dropped(&self, rows: usize) {
        self.dropped_rows.inc_by(rows as u64);
    }

    pub(crate) fn retried(&self) {
        self.commit_retries.inc();
    }

    pub(crate) fn lag(&self, partition: u32, places: i64) {
        self.lag.get_or_create(&PartitionLabel { partition }).set(places);
    }

    pub(crate) fn stopped(&self, reason: &'static str, partitions: usize) {
        let partitions = i64::try_from(partitions).unwrap_or(i64::MAX);
        self.stopped.get_or_create(&StoppedLabel { reason }).set(partitions);
    }
}
