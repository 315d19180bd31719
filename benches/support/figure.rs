//! Figures: `figure BENCH METRIC VALUE UNIT`, a peer's as `METRIC@PEER`.

use std::time::Duration;

/// The figures of one benchmark, printed as they come.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    bench: &'static str,
}

impl Figures {
    /// Those of `bench`.
    #[must_use]
    pub const fn of(bench: &'static str) -> Self {
        Self { bench }
    }

    /// Prints one.
    #[expect(clippy::print_stdout, reason = "this is what a benchmark answers")]
    pub fn print(&self, metric: &str, value: f64, unit: &str) {
        let digits = if value < 100.0 { 2 } else { 0 };
        println!("figure {} {metric} {value:.digits$} {unit}", self.bench);
    }
}

/// The value below which `share` of the samples lie, in microseconds. Sorts them.
#[must_use]
pub fn percentile(samples: &mut [Duration], share: f64) -> f64 {
    samples.sort_unstable();
    let last = samples.len().saturating_sub(1);
    let at = ((last as f64) * share).round() as usize;
    samples.get(at).map_or(0.0, |sample| sample.as_secs_f64() * 1e6)
}
