//! What the masker counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use trailgate_service::Metrics;

/// A stable word as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Reason {
    pub(crate) reason: &'static str,
}

/// The masker's counters.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pub(crate) records: Counter,
    pub(crate) redactions: Counter,
    pub(crate) repeated: Counter,
    pub(crate) refused: Family<Reason, Counter>,
    pub(crate) waits: Family<Reason, Counter>,
    pub(crate) gaps: Counter,
    pub(crate) unknown: Counter,
    pub(crate) holds: Counter,
    pub(crate) unfit_holds: Counter,
    pub(crate) rules_taken: Counter,
    pub(crate) rules_refused: Counter,
}

impl Counts {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let new = |name: &str, help: &str| metrics.register(name, help, Counter::default());
        let by_reason = |name: &str, help: &str| metrics.register(name, help, Family::default());
        Self {
            records: new("masker_records", "records masked, aborted steps included"),
            redactions: new("masker_redactions", "places replaced"),
            repeated: new("masker_repeated", "records dropped as sent before"),
            refused: by_reason("masker_refused", "records refused, by reason"),
            waits: by_reason("masker_waits", "times a partition had to wait, by reason"),
            gaps: new("masker_gap_numbers", "producer numbers that never came"),
            unknown: new("masker_unknown_exchanges", "exchanges whose end nobody saw"),
            holds: new("masker_holds", "held operations shown to reviewers"),
            unfit_holds: new("masker_unfit_holds", "held operations that nobody can decide about"),
            rules_taken: new("masker_rules_taken", "changes of rule files that were taken"),
            rules_refused: new("masker_rules_refused", "changes of rule files that were not taken"),
        }
    }
}
