//! A partition that a processor holds, and how far it is with it.

use std::time::{Duration, Instant};

use crate::record::Offset;

/// A partition that is held.
pub(super) struct Held {
    pub(super) phase: Phase,
    /// The place of the next record to take.
    pub(super) next: Offset,
    /// Its place as it was last kept among the state.
    pub(super) kept_place: Option<Offset>,
    /// Why it waits, until a record of it is taken.
    pub(super) wait: Option<Wait>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its state is not restored yet.
    Unrestored,
    /// To be read from its place as soon as that can be done.
    Starting,
    Reading,
    /// Its next record could not be taken, and is offered again then.
    Waiting {
        until: Instant,
    },
    /// A person must act.
    Stopped,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) reason: &'static str,
    /// How long until the record was offered again.
    pub(super) pause: Duration,
}

impl Held {
    pub(super) const fn unrestored() -> Self {
        Self { phase: Phase::Unrestored, next: Offset(0), kept_place: None, wait: None }
    }

    /// Whether its state is in memory, so that its place may be committed.
    pub(super) const fn is_restored(&self) -> bool {
        match self.phase {
            Phase::Starting | Phase::Reading | Phase::Waiting { .. } => true,
            Phase::Unrestored | Phase::Stopped => false,
        }
    }

    pub(super) fn stop(&mut self, reason: &'static str) {
        self.phase = Phase::Stopped;
        self.wait = Some(Wait { reason, pause: Duration::ZERO });
    }

    pub(super) fn waits_for(&self) -> Option<&'static str> {
        match self.phase {
            Phase::Unrestored => Some("state is not restored"),
            Phase::Starting | Phase::Reading | Phase::Waiting { .. } | Phase::Stopped => {
                self.wait.map(|wait| wait.reason)
            }
        }
    }
}
