//! A partition that a processor holds, of all its inputs, and how far it is with each.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::record::Offset;
use crate::topic::Topic;

/// A partition that is held.
pub(super) enum Held {
    /// Its state is not restored yet.
    Unrestored,
    /// Its state is in memory, so that its places may be committed.
    Restored(BTreeMap<Topic, Input>),
    /// A person must act.
    Stopped(&'static str),
}

/// A partition of one input.
pub(super) struct Input {
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
    /// To be read from its place as soon as that can be done.
    Starting,
    Reading,
    /// Its next record could not be taken, and is offered again then.
    Waiting {
        until: Instant,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) reason: &'static str,
    /// How long until the record was offered again.
    pub(super) pause: Duration,
}

impl Held {
    pub(super) fn restored(places: BTreeMap<Topic, Offset>) -> Self {
        let input = |next| Input { phase: Phase::Starting, next, kept_place: None, wait: None };
        Self::Restored(places.into_iter().map(|(topic, next)| (topic, input(next))).collect())
    }

    /// Its inputs, once it is restored.
    pub(super) fn inputs(&self) -> impl Iterator<Item = (Topic, &Input)> {
        let inputs = match self {
            Self::Restored(inputs) => Some(inputs),
            Self::Unrestored | Self::Stopped(_) => None,
        };
        inputs.into_iter().flatten().map(|(topic, input)| (*topic, input))
    }

    /// Its inputs, to be changed.
    pub(super) fn inputs_mut(&mut self) -> impl Iterator<Item = (Topic, &mut Input)> {
        let inputs = match self {
            Self::Restored(inputs) => Some(inputs),
            Self::Unrestored | Self::Stopped(_) => None,
        };
        inputs.into_iter().flatten().map(|(topic, input)| (*topic, input))
    }

    /// One of its inputs, if that is in `phase`.
    pub(super) fn input(&mut self, topic: Topic, phase: Phase) -> Option<&mut Input> {
        match self {
            Self::Restored(inputs) => inputs.get_mut(&topic).filter(|input| input.phase == phase),
            Self::Unrestored | Self::Stopped(_) => None,
        }
    }

    /// Why it waits, once for each input that does.
    pub(super) fn waits_for(&self) -> Vec<&'static str> {
        match self {
            Self::Unrestored => vec!["state is not restored"],
            Self::Stopped(reason) => vec![reason],
            Self::Restored(inputs) => {
                inputs.values().filter_map(|input| Some(input.wait?.reason)).collect()
            }
        }
    }
}

impl Input {
    /// Goes behind the markers of transactions that the library has passed. What it handed out was
    /// taken, or the input would not be read any more.
    pub(super) fn advance(&mut self, position: Option<Offset>) {
        if self.phase == Phase::Reading {
            self.next = position.map_or(self.next, |position| position.max(self.next));
        }
    }

    /// Whether its place is kept among the state.
    pub(super) fn is_kept(&self) -> bool {
        self.kept_place == Some(self.next)
    }
}
