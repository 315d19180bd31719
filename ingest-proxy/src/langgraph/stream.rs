//! An event stream on its way through the proxy, put together: cut into frames, nodes told, injected
//! frames taken out. No I/O: chunks go in, steps come out.

use std::sync::Arc;

use bytes::Bytes;
use trailgate_schemas::RunId;

use super::plan::StripPlan;
use super::sse::{Piece, Splitter};
use super::strip::{Stripper, ThreadStripper};
use super::tasks::{Nodes, Told};

/// What to do with one piece of a stream: first record what it tells, then forward its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it tells of a node.
    pub told: Told,
    /// What the client sees of it; absent if it is there only because of the gateway.
    pub forward: Option<Bytes>,
}

/// The stream of one run.
#[derive(Debug)]
pub struct RunStream {
    splitter: Splitter,
    nodes: Option<Nodes>,
    client: Option<Stripper>,
}

/// The stream of all runs of a thread. It tells of no node: each run has its own recorder.
#[derive(Debug)]
pub struct ThreadStream {
    splitter: Splitter,
    stripper: ThreadStripper,
}

impl RunStream {
    /// The answer to the creation of a run: tells its nodes and strips. `run` as the server's
    /// `Content-Location` names it.
    #[must_use]
    pub fn of_creator(run: Option<RunId>, plan: Arc<StripPlan>) -> Self {
        Self::new(Some(Nodes::new(run)), Some(Stripper::new(Some(plan))))
    }

    /// The answer to a client that joined: strips only.
    #[must_use]
    pub fn of_join(plan: Option<Arc<StripPlan>>) -> Self {
        Self::new(None, Some(Stripper::new(plan)))
    }

    /// The proxy's own side join: tells only.
    #[must_use]
    pub fn of_side_join(run: RunId) -> Self {
        Self::new(Some(Nodes::new(Some(run))), None)
    }

    fn new(nodes: Option<Nodes>, client: Option<Stripper>) -> Self {
        Self { splitter: Splitter::default(), nodes, client }
    }

    /// Takes a chunk and appends its steps, in the stream's order. Pieces with nothing to do make
    /// no step.
    pub fn push(&mut self, chunk: Bytes, steps: &mut Vec<Step>) {
        self.splitter.push(chunk);
        while let Some(piece) = self.splitter.next() {
            steps.extend(self.step(piece));
        }
    }

    /// The stream has ended: what is left of it. [`Self::nodes`] then tells which nodes did not.
    pub fn finish(&mut self) -> Option<Step> {
        let piece = self.splitter.finish()?;
        self.step(piece)
    }

    /// The connection of this stream was lost and is made again: what was half received is
    /// forgotten, what was told is not. For a side join; a client's stream ends with its connection.
    pub fn reconnect(&mut self) {
        self.splitter = Splitter::default();
    }

    /// The nodes of the run, if this stream tells of them.
    #[must_use]
    pub const fn nodes(&self) -> Option<&Nodes> {
        self.nodes.as_ref()
    }

    fn step(&mut self, piece: Piece) -> Option<Step> {
        let told = match (&mut self.nodes, &piece) {
            (Some(nodes), Piece::Frame(frame)) => nodes.observe(frame),
            (Some(nodes), Piece::LargeBegin(frame)) => nodes.observe_cut(frame),
            // A frame that never became whole was not told.
            (Some(_), Piece::LargeMore(_) | Piece::LargeEnd(_) | Piece::Rest(_)) | (None, _) => {
                Told::Nothing
            }
        };
        let forward = self.client.as_mut().and_then(|client| client.strip(piece));
        (told != Told::Nothing || forward.is_some()).then_some(Step { told, forward })
    }
}

impl ThreadStream {
    /// The stream of a thread on which `running` is under way, as [`super::Runs::running_on`] says.
    #[must_use]
    pub fn new(running: Option<RunId>) -> Self {
        Self { splitter: Splitter::default(), stripper: ThreadStripper::new(running) }
    }

    /// Takes a chunk and appends what the client sees of it. `plan_of` knows the plans of runs.
    pub fn push(
        &mut self,
        chunk: Bytes,
        plan_of: impl Fn(RunId) -> Option<Arc<StripPlan>>,
        forward: &mut Vec<Bytes>,
    ) {
        self.splitter.push(chunk);
        while let Some(piece) = self.splitter.next() {
            forward.extend(self.stripper.strip(piece, &plan_of));
        }
    }

    /// The stream has ended: what is left of it.
    pub fn finish(&mut self, plan_of: impl Fn(RunId) -> Option<Arc<StripPlan>>) -> Option<Bytes> {
        let piece = self.splitter.finish()?;
        self.stripper.strip(piece, plan_of)
    }
}

#[cfg(test)]
mod tests;
