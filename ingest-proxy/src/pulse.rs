//! The pulse of one connection: how many exchanges it has, and when a byte last moved. Whoever
//! drives the connection ends it when it is silent for too long.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The pulse of one connection.
#[derive(Debug)]
pub(crate) struct Pulse {
    began: Instant,
    open: AtomicUsize,
    last_ms: AtomicU64,
    is_stalled: AtomicBool,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            open: AtomicUsize::new(0),
            last_ms: AtomicU64::new(0),
            is_stalled: AtomicBool::new(false),
        }
    }

    /// A byte moved.
    pub(crate) fn beat(&self) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Relaxed);
    }

    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.beat();
    }

    pub(crate) fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.beat();
    }

    /// How many exchanges are under way.
    pub(crate) fn exchanges(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// When a byte last moved.
    pub(crate) fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }

    /// The connection is ended because nothing moves.
    pub(crate) fn stalled(&self) {
        self.is_stalled.store(true, Ordering::Relaxed);
    }

    /// Whether it was ended so.
    pub(crate) fn is_stalled(&self) -> bool {
        self.is_stalled.load(Ordering::Relaxed)
    }
}
