//! Waiting before another attempt, each time longer.

use std::time::Duration;

use crate::limits::{RETRY_FIRST, RETRY_LAST};

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    pub(crate) next: Duration,
    pub(crate) last: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { next: RETRY_FIRST, last: RETRY_LAST }
    }
}

impl Retry {
    pub(crate) async fn wait(&mut self) {
        let next = self.next;
        self.next = (next * 2).min(self.last);
        tokio::time::sleep(next).await;
    }
}
