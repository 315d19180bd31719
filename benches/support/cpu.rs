//! Processor time, which a busy neighbour changes less than the clock on the wall.

use std::time::Duration;

/// Processor time that was spent since a moment.
#[derive(Clone, Copy, Debug)]
pub struct Cpu(Duration);

impl Cpu {
    /// From now on, of this thread.
    #[must_use]
    pub fn of_thread() -> Self {
        Self(thread_cpu())
    }

    /// What this thread has spent since.
    #[must_use]
    pub fn spent(self) -> Duration {
        thread_cpu().saturating_sub(self.0)
    }
}

/// What this thread has spent since it began.
#[must_use]
pub fn thread_cpu() -> Duration {
    scheduled("/proc/thread-self/schedstat")
}

/// What a process has spent since it began, all threads together.
#[must_use]
pub fn process_cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything, in brackets.
    let fields: Vec<u64> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().filter_map(|field| field.parse().ok()).collect())
        .unwrap_or_default();
    // The state is no number, so user and system time are fields 11 and 12 of what is left, less 1.
    let ticks = fields.get(10).unwrap_or(&0) + fields.get(11).unwrap_or(&0);
    Duration::from_millis(ticks * 10)
}

fn scheduled(file: &str) -> Duration {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}
