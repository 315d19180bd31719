//! What of a run's stream the client sees: every frame that it would have had without the gateway,
//! in the same order and with the same bytes, heartbeats included, and none that the gateway asked
//! for.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use trailgate_schemas::RunId;

use super::json;
use super::plan::{ASKED_KEY, Fate, Injected, StripPlan, TASKS};
use super::scrub::scrub;
use super::sse::{Frame, Piece};

/// Strips the stream of one run.
#[derive(Debug)]
pub struct Stripper {
    plan: Option<Arc<StripPlan>>,
    large: Fate,
}

/// Strips the stream of a thread, in which runs follow one another, each by its own plan.
#[derive(Debug)]
pub struct ThreadStripper {
    run: Option<RunId>,
    plan: Option<Arc<StripPlan>>,
    large: Fate,
}

impl Stripper {
    /// By the plan of the run, where it is known. Where it is not (made through another proxy, or
    /// before a restart), nothing is taken out until the plan is learnt from the first task frame,
    /// in whose metadata it stands; where that can be afforded, ask for it first
    /// ([`super::Lookup`]).
    #[must_use]
    pub const fn new(plan: Option<Arc<StripPlan>>) -> Self {
        Self { plan, large: Fate::Forward }
    }

    /// What the client sees of a piece, if anything.
    pub fn strip(&mut self, piece: Piece) -> Option<Bytes> {
        if self.plan.is_none()
            && let Piece::Frame(frame) = &piece
        {
            self.plan = plan_in(frame).map(Arc::new);
        }
        let plan = self.plan.as_deref().unwrap_or(&StripPlan::Untouched);
        strip(piece, plan, plan.drops_ids(), &mut self.large)
    }
}

impl ThreadStripper {
    /// `running` is the run that is known to be under way on the thread, if one is: a stream joined
    /// in its middle does not say whose frames come first.
    #[must_use]
    pub const fn new(running: Option<RunId>) -> Self {
        Self { run: running, plan: None, large: Fate::Forward }
    }

    /// What the client sees of a piece, if anything. `plan_of` knows the plans of runs.
    pub fn strip(
        &mut self,
        piece: Piece,
        plan_of: impl Fn(RunId) -> Option<Arc<StripPlan>>,
    ) -> Option<Bytes> {
        if let Piece::Frame(frame) = &piece {
            if let Some(run) = run_announced(frame) {
                self.run = Some(run);
                self.plan = None;
            }
            if self.plan.is_none() {
                self.plan = self.run.and_then(plan_of).or_else(|| plan_in(frame).map(Arc::new));
            }
        }
        let plan = self.plan.as_deref().unwrap_or(&StripPlan::Untouched);
        // Frames of a thread's stream have ids whatever its runs are.
        strip(piece, plan, false, &mut self.large)
    }
}

fn strip(piece: Piece, plan: &StripPlan, drops_ids: bool, large: &mut Fate) -> Option<Bytes> {
    let fate = |frame: &Frame| frame.event().map_or(Fate::Forward, |event| plan.fate(event));
    match piece {
        Piece::Frame(frame) | Piece::Rest(frame) => match fate(&frame) {
            Fate::Drop => None,
            Fate::Forward if drops_ids => Some(scrubbed(frame.without_id())),
            Fate::Forward => Some(scrubbed(frame)),
        },
        Piece::LargeBegin(frame) => {
            *large = fate(&frame);
            (*large == Fate::Forward).then(|| frame.into_bytes())
        }
        Piece::LargeMore(bytes) | Piece::LargeEnd(bytes) => {
            (*large == Fate::Forward).then_some(bytes)
        }
    }
}

fn scrubbed(frame: Frame) -> Bytes {
    match scrub(frame.bytes()) {
        Cow::Borrowed(_) => frame.into_bytes(),
        Cow::Owned(kept) => Bytes::from(kept),
    }
}

/// The plan that stands in the metadata of a task's start.
fn plan_in(frame: &Frame) -> Option<StripPlan> {
    let event = frame.event()?;
    if event != TASKS && !event.starts_with("tasks|") {
        return None;
    }
    let data = frame.data()?;
    let metadata = member(std::str::from_utf8(&data).ok()?, "metadata")?;
    let asked = json::string(member(metadata, ASKED_KEY)?)?.into_owned();
    Injected::from_text(&asked).map(StripPlan::Injected)
}

/// The run whose frames follow.
fn run_announced(frame: &Frame) -> Option<RunId> {
    if frame.event() != Some("metadata") {
        return None;
    }
    let data = frame.data()?;
    let text = std::str::from_utf8(&data).ok()?;
    // A run's end is announced too, by a status; its begin by an attempt.
    member(text, "attempt")?;
    json::string(member(text, "run_id")?)?.parse().ok()
}

fn member<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    if !json::is_object(text) {
        return None;
    }
    let mut found = None;
    json::members(text, |member| {
        if member.key == key {
            found = Some(member.value);
        }
    })
    .ok()?;
    found
}

#[cfg(test)]
mod tests;
