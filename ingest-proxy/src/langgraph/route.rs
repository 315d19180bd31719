//! Which operation of the Agent Server a request asks for, by method and path alone, and what follows
//! from that: its name, its session, and what has to happen to its body and its answer.

use http::Method;
use trailgate_schemas::{AssistantId, RunId, ThreadId};

mod path;

/// How a run is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreateStyle {
    /// The answer is the run's event stream.
    Stream,
    /// The answer is the run's last values, when it has ended.
    Wait,
    /// The answer is the run object, at once.
    Background,
}

/// Whether a run belongs to a thread that was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// On a thread; the id is absent if it is none, which the server refuses.
    Thread(Option<ThreadId>),
    /// On a thread of its own that ends with it.
    Stateless,
}

/// What an assistants, crons, store or threads call does, where no more is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It makes one.
    Create,
    /// It reads one.
    Read,
    /// It changes one.
    Edit,
    /// It removes one.
    Delete,
    /// It searches, counts or lists.
    Search,
}

/// What is asked of the Agent Server. Ids are only kept if they are ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Create a run.
    RunCreate(CreateStyle, Scope),
    /// Create stateless background runs, as a JSON array.
    RunCreateBatch,
    /// Wait for a run's last values.
    RunJoin(Option<ThreadId>, Option<RunId>),
    /// Join a run's event stream.
    RunStream(Option<ThreadId>, Option<RunId>),
    /// Read a run.
    RunRead(Option<ThreadId>, Option<RunId>),
    /// List a thread's runs.
    RunList(Option<ThreadId>),
    /// Stop a run.
    RunCancel(Option<ThreadId>, Option<RunId>),
    /// Stop many runs.
    RunCancelMany,
    /// Delete a run.
    RunDelete(Option<ThreadId>, Option<RunId>),
    /// Follow the event streams of all runs of a thread.
    ThreadStream(Option<ThreadId>),
    /// Read a thread's state, now or at a checkpoint.
    StateRead(Option<ThreadId>),
    /// Write a thread's state from outside a run.
    StateEdit(Option<ThreadId>),
    /// Read a thread's history.
    HistoryRead(Option<ThreadId>),
    /// Copy a thread.
    ThreadCopy(Option<ThreadId>),
    /// Work on a thread itself; the id is absent where there is none yet.
    Thread(Access, Option<ThreadId>),
    /// Remove threads by rule.
    ThreadPrune,
    /// Work on an assistant.
    Assistant(Access, Option<AssistantId>),
    /// Work on a cron, which may belong to a thread.
    Cron(Access, Option<ThreadId>),
    /// Work on the store.
    Store(Access),
    /// MCP: runs are created inside the server.
    Mcp,
    /// A2A: runs are created inside the server.
    A2a,
    /// A command of the thread-centric protocol, such as `run.start` or `input.respond`.
    Command(Option<ThreadId>),
    /// Events of the thread-centric protocol, over SSE or WebSocket.
    CommandEvents(Option<ThreadId>),
    /// Health, version, documentation.
    Meta,
    /// Anything else: routes of the user's own application among them.
    Other,
}

/// Which session an operation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionOf {
    /// The thread's.
    Thread(ThreadId),
    /// One of its own: a stateless run, whose id nobody knows before it is made.
    StatelessRun,
    /// The caller's.
    Caller,
}

/// What has to happen to a request's body before the server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyDuty {
    /// Nothing: it may stream through.
    Pass,
    /// [`super::admit_run`].
    AdmitRun(CreateStyle),
    /// [`super::admit_batch`].
    AdmitBatch,
    /// [`super::admit_cron`].
    AdmitCron,
    /// [`super::admit_command`].
    AdmitCommand,
    /// [`super::clean_metadata`].
    CleanMetadata,
}

/// What has to happen to a successful answer before the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerDuty {
    /// Nothing: it may stream through.
    Pass,
    /// The stream of a run just created: strip it, and tell its nodes from it.
    CreatorStream,
    /// The stream of a run created before: strip it.
    JoinedStream,
    /// The streams of a thread's runs: strip each by its own plan.
    ThreadStream,
    /// JSON with run objects: [`super::restore_runs`].
    Runs,
    /// JSON in which the gateway's metadata keys may stand: [`super::scrub`].
    Scrub,
}

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A dot or empty segment: proxies disagree on what it means.
    #[error("path has an empty or dot segment")]
    Ambiguous,
    /// An escape that is none, or bytes that are no UTF-8.
    #[error("path has an escape that does not decode")]
    Escape,
}

impl PathError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ambiguous => "path_ambiguous",
            Self::Escape => "path_escape",
        }
    }
}

impl Operation {
    /// The operation that `method` on `path` asks for; `mount_prefix` is the server's, or empty.
    ///
    /// # Errors
    /// [`PathError`] if the path could mean two things.
    ///
    /// ```
    /// # use trailgate_ingest_proxy::langgraph::Operation;
    /// let asked = Operation::classify(&http::Method::POST, "/runs/wait", "").unwrap();
    /// assert_eq!(asked.name(), "run.create.wait");
    /// ```
    pub fn classify(method: &Method, path: &str, mount_prefix: &str) -> Result<Self, PathError> {
        path::classify(method, path, mount_prefix)
    }

    /// The path in its normal form, as patterns of rules are matched against it; `mount_prefix` is
    /// taken off.
    ///
    /// # Errors
    /// [`PathError`] if any server might read it as another path.
    pub fn plain_path(path: &str, mount_prefix: &str) -> Result<String, PathError> {
        path::plain(path, mount_prefix)
    }

    /// The word for `AuditEvent.operation`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RunCreate(CreateStyle::Stream, _) => "run.create.stream",
            Self::RunCreate(CreateStyle::Wait, _) => "run.create.wait",
            Self::RunCreate(CreateStyle::Background, _) => "run.create.background",
            Self::RunCreateBatch => "run.create.batch",
            Self::RunJoin(..) => "run.join",
            Self::RunStream(..) => "run.stream",
            Self::RunRead(..) => "run.read",
            Self::RunList(_) => "run.list",
            Self::RunCancel(..) => "run.cancel",
            Self::RunCancelMany => "run.cancel_many",
            Self::RunDelete(..) => "run.delete",
            Self::ThreadStream(_) => "thread.stream",
            Self::StateRead(_) => "thread.state.read",
            Self::StateEdit(_) => "thread.state.edit",
            Self::HistoryRead(_) => "thread.history.read",
            Self::ThreadCopy(_) => "thread.copy",
            Self::Thread(access, _) => named(
                *access,
                ["thread.create", "thread.read", "thread.edit", "thread.delete", "thread.search"],
            ),
            Self::ThreadPrune => "thread.prune",
            Self::Assistant(access, _) => named(
                *access,
                [
                    "assistant.create",
                    "assistant.read",
                    "assistant.edit",
                    "assistant.delete",
                    "assistant.search",
                ],
            ),
            Self::Cron(access, _) => named(
                *access,
                ["cron.create", "cron.read", "cron.edit", "cron.delete", "cron.search"],
            ),
            Self::Store(access) => named(
                *access,
                ["store.create", "store.read", "store.edit", "store.delete", "store.search"],
            ),
            Self::Mcp => "mcp",
            Self::A2a => "a2a",
            Self::Command(_) => "thread.command",
            Self::CommandEvents(_) => "thread.events",
            Self::Meta => "meta",
            Self::Other => "other",
        }
    }

    /// The operations that messages on an upgraded connection may ask for, which nobody can hold one
    /// by one.
    #[must_use]
    pub const fn by_message(&self) -> &'static [&'static str] {
        match self {
            Self::CommandEvents(_) => {
                &["thread.command", "run.create.stream", "run.create.wait", "run.create.background"]
            }
            _ => &[],
        }
    }

    /// Whether it may change something on the server. What is not known is taken to.
    #[must_use]
    pub const fn is_write(&self) -> bool {
        match self {
            Self::RunCreate(..)
            | Self::RunCreateBatch
            | Self::RunCancel(..)
            | Self::RunCancelMany
            | Self::RunDelete(..)
            | Self::StateEdit(_)
            | Self::ThreadCopy(_)
            | Self::ThreadPrune
            | Self::Mcp
            | Self::A2a
            | Self::Command(_)
            | Self::Other => true,
            Self::Thread(access, _)
            | Self::Assistant(access, _)
            | Self::Cron(access, _)
            | Self::Store(access) => {
                matches!(access, Access::Create | Access::Edit | Access::Delete)
            }
            // Joining may cancel the run (`cancel_on_disconnect`), but asks for nothing by itself.
            Self::RunJoin(..)
            | Self::RunStream(..)
            | Self::RunRead(..)
            | Self::RunList(_)
            | Self::ThreadStream(_)
            | Self::StateRead(_)
            | Self::HistoryRead(_)
            | Self::CommandEvents(_)
            | Self::Meta => false,
        }
    }

    /// The thread that the path names.
    #[must_use]
    pub const fn thread_id(&self) -> Option<ThreadId> {
        match self {
            Self::RunCreate(_, Scope::Thread(thread))
            | Self::RunJoin(thread, _)
            | Self::RunStream(thread, _)
            | Self::RunRead(thread, _)
            | Self::RunList(thread)
            | Self::RunCancel(thread, _)
            | Self::RunDelete(thread, _)
            | Self::ThreadStream(thread)
            | Self::StateRead(thread)
            | Self::StateEdit(thread)
            | Self::HistoryRead(thread)
            | Self::ThreadCopy(thread)
            | Self::Thread(_, thread)
            | Self::Cron(_, thread)
            | Self::Command(thread)
            | Self::CommandEvents(thread) => *thread,
            Self::RunCreate(_, Scope::Stateless)
            | Self::RunCreateBatch
            | Self::RunCancelMany
            | Self::ThreadPrune
            | Self::Assistant(..)
            | Self::Store(_)
            | Self::Mcp
            | Self::A2a
            | Self::Meta
            | Self::Other => None,
        }
    }

    /// The run that the path names.
    #[must_use]
    pub const fn run_id(&self) -> Option<RunId> {
        match self {
            Self::RunJoin(_, run)
            | Self::RunStream(_, run)
            | Self::RunRead(_, run)
            | Self::RunCancel(_, run)
            | Self::RunDelete(_, run) => *run,
            Self::RunCreate(..)
            | Self::RunCreateBatch
            | Self::RunList(_)
            | Self::RunCancelMany
            | Self::ThreadStream(_)
            | Self::StateRead(_)
            | Self::StateEdit(_)
            | Self::HistoryRead(_)
            | Self::ThreadCopy(_)
            | Self::Thread(..)
            | Self::ThreadPrune
            | Self::Assistant(..)
            | Self::Cron(..)
            | Self::Store(_)
            | Self::Mcp
            | Self::A2a
            | Self::Command(_)
            | Self::CommandEvents(_)
            | Self::Meta
            | Self::Other => None,
        }
    }

    /// The session it belongs to.
    #[must_use]
    pub const fn session(&self) -> SessionOf {
        match (self, self.thread_id()) {
            (_, Some(thread)) => SessionOf::Thread(thread),
            (Self::RunCreate(_, Scope::Stateless), None) => SessionOf::StatelessRun,
            (_, None) => SessionOf::Caller,
        }
    }

    /// What has to happen to the request's body.
    #[must_use]
    pub const fn body_duty(&self) -> BodyDuty {
        match self {
            Self::RunCreate(style, _) => BodyDuty::AdmitRun(*style),
            Self::RunCreateBatch => BodyDuty::AdmitBatch,
            Self::Cron(Access::Create | Access::Edit, _) => BodyDuty::AdmitCron,
            Self::Command(_) => BodyDuty::AdmitCommand,
            Self::Thread(Access::Create | Access::Edit, _)
            | Self::Assistant(Access::Create | Access::Edit, _) => BodyDuty::CleanMetadata,
            Self::Thread(Access::Read | Access::Delete | Access::Search, _)
            | Self::Assistant(Access::Read | Access::Delete | Access::Search, _)
            | Self::Cron(Access::Read | Access::Delete | Access::Search, _)
            | Self::RunJoin(..)
            | Self::RunStream(..)
            | Self::RunRead(..)
            | Self::RunList(_)
            | Self::RunCancel(..)
            | Self::RunCancelMany
            | Self::RunDelete(..)
            | Self::ThreadStream(_)
            | Self::StateRead(_)
            | Self::StateEdit(_)
            | Self::HistoryRead(_)
            | Self::ThreadCopy(_)
            | Self::ThreadPrune
            | Self::Store(_)
            | Self::Mcp
            | Self::A2a
            | Self::CommandEvents(_)
            | Self::Meta
            | Self::Other => BodyDuty::Pass,
        }
    }

    /// What has to happen to a successful answer.
    #[must_use]
    pub const fn answer_duty(&self) -> AnswerDuty {
        match self {
            Self::RunCreate(CreateStyle::Stream, _) => AnswerDuty::CreatorStream,
            Self::RunStream(..) => AnswerDuty::JoinedStream,
            Self::ThreadStream(_) => AnswerDuty::ThreadStream,
            Self::RunCreate(CreateStyle::Background, _)
            | Self::RunCreateBatch
            | Self::RunRead(..)
            | Self::RunList(_) => AnswerDuty::Runs,
            Self::Thread(..)
            | Self::StateRead(_)
            | Self::StateEdit(_)
            | Self::HistoryRead(_)
            | Self::ThreadCopy(_)
            | Self::Cron(..) => AnswerDuty::Scrub,
            Self::RunCreate(CreateStyle::Wait, _)
            | Self::RunJoin(..)
            | Self::RunCancel(..)
            | Self::RunCancelMany
            | Self::RunDelete(..)
            | Self::ThreadPrune
            | Self::Assistant(..)
            | Self::Store(_)
            | Self::Mcp
            | Self::A2a
            | Self::Command(_)
            | Self::CommandEvents(_)
            | Self::Meta
            | Self::Other => AnswerDuty::Pass,
        }
    }
}

/// Every word that [`Operation::name`] gives.
pub const OPERATIONS: [&str; 43] = [
    "run.create.stream",
    "run.create.wait",
    "run.create.background",
    "run.create.batch",
    "run.join",
    "run.stream",
    "run.read",
    "run.list",
    "run.cancel",
    "run.cancel_many",
    "run.delete",
    "thread.stream",
    "thread.state.read",
    "thread.state.edit",
    "thread.history.read",
    "thread.copy",
    "thread.create",
    "thread.read",
    "thread.edit",
    "thread.delete",
    "thread.search",
    "thread.prune",
    "assistant.create",
    "assistant.read",
    "assistant.edit",
    "assistant.delete",
    "assistant.search",
    "cron.create",
    "cron.read",
    "cron.edit",
    "cron.delete",
    "cron.search",
    "store.create",
    "store.read",
    "store.edit",
    "store.delete",
    "store.search",
    "mcp",
    "a2a",
    "thread.command",
    "thread.events",
    "meta",
    "other",
];

const fn named(access: Access, words: [&'static str; 5]) -> &'static str {
    match access {
        Access::Create => words[0],
        Access::Read => words[1],
        Access::Edit => words[2],
        Access::Delete => words[3],
        Access::Search => words[4],
    }
}

#[cfg(test)]
mod tests;
