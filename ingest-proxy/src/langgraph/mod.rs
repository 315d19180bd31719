//! The Agent Server surface: what the proxy has to know of LangGraph's HTTP API to tell who ran which
//! node when, without the client or the graph noticing.
//!
//! A request is classified by method and path ([`Operation`]). The body that creates a run is
//! rewritten ([`admit_run`]): forged identity out, the gateway's request id in, `tasks` among the
//! stream modes. The answer's stream is cut into frames, node starts and ends are told from the task
//! frames, and what was injected is taken out again ([`RunStream`]). Where the answer is no stream,
//! the proxy joins the run beside its creator ([`SideJoin`]), and run objects are written back to
//! what the client asked ([`restore_runs`]).
//!
//! Promises:
//! - the client sees the frames, bytes and order that it would have seen without the gateway,
//!   heartbeats and ids included;
//! - each start and end of a node is told once per run and attempt, by one surface of the proxy that
//!   created the run, and none is invented;
//! - a value that need not change stays the text that it was;
//! - no error holds input, no input panics, and memory is bounded ([`limits`]).
//!
//! Why injection: the server always computes task events, but publishes only the modes that a run
//! was created with, so they can't be asked for later. Why not `debug`: it carries the whole state
//! at every step, up to four times the bytes. Never `messages` or `events`: asking for them changes
//! how chat models are called, and with that, what a graph does. Inner frames are asked for only
//! where they can be told from outer ones by their name (see `admit`).
//!
//! One trace of the gateway remains, in langgraph-api 0.16.7: the server keeps the last checkpoint it
//! saw as the thread's record, inner ones included where inner frames are on. After a run that failed
//! or stopped to ask inside a subgraph, `values` and the keys of `interrupts` in `GET /threads/{t}`
//! are therefore the subgraph's, as they are for every client that asks for subgraphs itself, until
//! the thread runs on. State, history, streams and answers are not touched by it.
//!
//! What it does not see: runs that begin inside the server (crons, MCP, A2A, calls from nodes), runs
//! of the thread-centric protocol, whose streams carry no task frames, and the attempts of a node
//! that its own policy retries. The tracer ingest tells of those.
//!
//! Everything here is synchronous and free of I/O; what must be remembered between requests is in
//! [`Runs`], which the caller keeps behind a short lock. A forgotten plan is learnt again from the
//! run's own metadata, so a restart or a second proxy changes nothing for the client.

mod admit;
mod body;
mod json;
pub mod limits;
mod plan;
mod reserved;
mod restore;
mod route;
mod scrub;
mod side;
mod sse;
mod stream;
mod strip;
mod tasks;

pub use admit::{
    AdmitError, Admitted, AdmittedBatch, AdmittedCommand, AdmittedRun, Command, OnDisconnect,
    admit_batch, admit_command, admit_cron, admit_run, clean_metadata,
};
pub use plan::{ASKED_KEY, Asked, Fate, Field, Injected, REQUEST_KEY, StripPlan, TASKS};
pub use restore::{plan_of_run, restore_runs};
pub use route::{
    Access, AnswerDuty, BodyDuty, CreateStyle, OPERATIONS, Operation, PathError, Scope, SessionOf,
};
pub use scrub::scrub;
pub use side::{Claim, Lookup, Recorder, RunPlace, Runs, SideJoin};
pub use sse::{Frame, Piece, Splitter};
pub use stream::{RunStream, Step, ThreadStream};
pub use strip::{Stripper, ThreadStripper};
pub use tasks::{NodeEvent, NodeKind, NodePayload, Nodes, OpenTask, Told};
