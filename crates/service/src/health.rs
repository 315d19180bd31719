//! Whether a process is ready, part by part.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

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
pub struct Health(Arc<Mutex<BTreeMap<String, PartState>>>);

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
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether every part is ready, and there is one.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let parts = self.parts();
        !parts.is_empty() && parts.values().all(|state| *state == PartState::Ready)
    }
}

impl Part {
    /// Says how the part is.
    pub fn set(&self, state: PartState) {
        let mut parts = self.health.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.insert(self.name.clone(), state);
    }

    /// Says that it does its work.
    pub fn ready(&self) {
        self.set(PartState::Ready);
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
}
