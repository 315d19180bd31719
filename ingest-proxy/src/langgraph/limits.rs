//! Bounds of the LangGraph surface, each with its reason.

/// The longest SSE frame that is held whole, so that its JSON can be read. Equal to the default
/// recording cap of a connection: of what is longer nothing more would be recorded anyway. A longer
/// frame streams through in pieces; see [`super::sse`].
pub const FRAME_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The longest run-create body that is held whole for rewriting. The server itself holds it whole.
pub const CREATE_BODY_MAX_BYTES: usize = 32 * 1024 * 1024;

/// The longest JSON answer with run objects that is held whole to be written back; a longer one is
/// forwarded as it is, for transparency must not cost memory.
pub const ANSWER_BODY_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Runs in one batch: each gets a side join of its own.
pub const BATCH_MAX_RUNS: usize = 1_000;

/// Stream modes one run may name and still be rewritten; LangGraph has nine.
pub const MODES_MAX: usize = 32;

/// Bytes of one stream mode's name; the longest of LangGraph's has 14.
pub const MODE_MAX_BYTES: usize = 64;

/// Runs whose plan is remembered: about 16 MiB. A forgotten one is learnt again from its own
/// metadata, so this trades an occasional look-up, not correctness.
pub const RUNS_MAX: usize = 65_536;

/// Open tasks that one stream remembers (a wide `Send` fan-out): about 2 MiB. Beyond it events are
/// still told; only their ends can't be reported as missing, which is counted.
pub const OPEN_TASKS_MAX: usize = 16_384;

/// Starts and ends that one stream remembers, so that a replay tells none twice: about 1 MiB.
pub const TOLD_MAX: usize = 16_384;

/// Bytes of a node's or graph's name that are kept; longer ones are cut at a character.
pub const NAME_MAX_BYTES: usize = 512;

/// Levels of subgraphs in a namespace that are kept; deeper ones are cut at the outside.
pub const NAMESPACE_MAX_BYTES: usize = 4_096;
