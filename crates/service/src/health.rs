//! Whether a process is ready, part by part. A part that waits says so in the log, too: once, not on
//! each try.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::limits::WAIT_TOLD_AGAIN;

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartState {
    /// It does its work.
    Ready,
    /// It does not, for this reason: a stable word.
    NotReady(&'static str),
}

/// The parts of a process and how each is.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, Stand>>>);

/// How a part is, and what the log was told of it.
#[derive(Clone, Debug)]
struct Stand {
    state: PartState,
    told: Option<Told>,
}

/// A wait that the log was told of.
#[derive(Clone, Debug)]
struct Told {
    reason: &'static str,
    why: String,
    at: Instant,
}

/// One part, to be told how it is.
#[derive(Clone, Debug)]
pub struct Part {
    health: Health,
    name: String,
}

impl Health {
    /// Adds a part that is not ready yet.
    #[must_use]
    pub fn part(&self, name: impl Into<String>) -> Part {
        let part = Part { health: self.clone(), name: name.into() };
        part.set(PartState::NotReady("starting"));
        part
    }

    /// Each part and how it is.
    #[must_use]
    pub fn parts(&self) -> BTreeMap<String, PartState> {
        self.stands().iter().map(|(name, stand)| (name.clone(), stand.state)).collect()
    }

    /// Whether every part is ready, and there is one.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let parts = self.parts();
        !parts.is_empty() && parts.values().all(|state| *state == PartState::Ready)
    }

    fn stands(&self) -> MutexGuard<'_, BTreeMap<String, Stand>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Says how the part is.
    pub fn set(&self, state: PartState) {
        let mut stands = self.health.stands();
        let told = stands.get_mut(&self.name).and_then(|stand| stand.told.take());
        let told = match state {
            PartState::Ready => {
                if told.is_some() {
                    tracing::info!(part = self.name, "goes on");
                }
                None
            }
            PartState::NotReady(_) => told,
        };
        stands.insert(self.name.clone(), Stand { state, told });
    }

    /// Says that it does its work.
    pub fn ready(&self) {
        self.set(PartState::Ready);
    }

    /// Says that it waits for something that fails for now, and what that said. The log has it once
    /// for as long as it waits for the same.
    pub fn waits(&self, reason: &'static str, why: &impl Display) {
        self.set(PartState::NotReady(reason));
        let why = why.to_string();
        let mut stands = self.health.stands();
        let Some(stand) = stands.get_mut(&self.name) else { return };
        let is_known = |told: &Told| {
            told.reason == reason && (told.why == why || told.at.elapsed() < WAIT_TOLD_AGAIN)
        };
        if !stand.told.as_ref().is_some_and(is_known) {
            tracing::warn!(part = self.name, reason, why, "waits, and tries again");
            stand.told = Some(Told { reason, why, at: Instant::now() });
        }
    }

    /// Says that it does not.
    pub fn not_ready(&self, reason: &'static str) {
        self.set(PartState::NotReady(reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_all_its_parts_are() {
        let health = Health::default();
        assert!(!health.is_ready());
        let (one, other) = (health.part("backbone"), health.part("listener"));
        one.ready();
        assert!(!health.is_ready());
        other.ready();
        assert!(health.is_ready());
        one.not_ready("unreachable");
        assert_eq!(health.parts().get("backbone"), Some(&PartState::NotReady("unreachable")));
    }

    #[test]
    fn a_wait_is_told_once_and_again_when_it_is_another() {
        let health = Health::default();
        let part = health.part("table");
        let told_at = || health.stands()["table"].told.as_ref().map(|told| told.at);
        part.waits("store", &"can't connect");
        let first = told_at();
        part.waits("store", &"can't connect");
        part.waits("store", &"timed out");
        assert!(first.is_some());
        assert_eq!(told_at(), first);
        part.waits("registry", &"can't connect");
        assert_ne!(told_at(), first);
        assert_eq!(health.parts().get("table"), Some(&PartState::NotReady("registry")));
        part.ready();
        assert_eq!(told_at(), None);
    }
}
