//! Which operation of the Agent Server a request asks for, by method and path alone.
//!
//! The path is read as the server reads it: percent-escapes undone once. A path that a proxy further
//! on might read differently (dot or empty segments) is refused, for what is classified here must be
//! what is executed there.

use http::Method;
use trailgate_schemas::{AssistantId, RunId, ThreadId};
use uuid::Uuid;

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
        let path = decoded(path)?;
        let inside = inside(&path, mount_prefix);
        let inside = inside.strip_prefix('/').unwrap_or(inside);
        let inside = inside.strip_suffix('/').unwrap_or(inside);
        if inside.is_empty() {
            return Ok(if method == Method::GET { Self::Meta } else { Self::Other });
        }
        let segments: Vec<&str> = inside.split('/').collect();
        if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(PathError::Ambiguous);
        }
        // Starlette answers HEAD wherever it answers GET.
        let verb = if method == Method::HEAD { "GET" } else { method.as_str() };
        Ok(match segments.as_slice() {
            ["threads", rest @ ..] => threads(verb, rest),
            ["runs", rest @ ..] => stateless_runs(verb, rest),
            ["assistants", rest @ ..] => assistants(verb, rest),
            ["store", rest @ ..] => store(verb, rest),
            ["mcp"] => Self::Mcp,
            ["a2a", ..] => Self::A2a,
            ["ok" | "info" | "metrics" | "docs" | "openapi.json" | "ui" | ".well-known", ..] => {
                Self::Meta
            }
            _ => Self::Other,
        })
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

fn threads(verb: &str, rest: &[&str]) -> Operation {
    use Operation as Op;
    match (verb, rest) {
        ("POST", []) => Op::Thread(Access::Create, None),
        ("POST", ["search" | "count"]) => Op::Thread(Access::Search, None),
        ("POST", ["prune"]) => Op::ThreadPrune,
        (_, [thread, rest @ ..]) => on_thread(verb, thread_id(thread), rest),
        _ => Op::Other,
    }
}

fn on_thread(verb: &str, thread: Option<ThreadId>, rest: &[&str]) -> Operation {
    use Operation as Op;
    match (verb, rest) {
        ("GET", [] | ["storage"]) => Op::Thread(Access::Read, thread),
        ("PATCH", []) => Op::Thread(Access::Edit, thread),
        ("DELETE", []) => Op::Thread(Access::Delete, thread),
        ("POST", ["copy"]) => Op::ThreadCopy(thread),
        ("GET", ["state", ..]) | ("POST", ["state", "checkpoint"]) => Op::StateRead(thread),
        ("POST" | "PATCH" | "PUT", ["state"]) => Op::StateEdit(thread),
        ("GET" | "POST", ["history"]) => Op::HistoryRead(thread),
        ("GET", ["stream"]) => Op::ThreadStream(thread),
        ("POST" | "GET", ["stream", "events"]) => Op::CommandEvents(thread),
        ("POST", ["commands"]) => Op::Command(thread),
        (_, ["runs", rest @ ..]) => on_thread_runs(verb, thread, rest),
        _ => Op::Other,
    }
}

fn on_thread_runs(verb: &str, thread: Option<ThreadId>, rest: &[&str]) -> Operation {
    use Operation as Op;
    let scope = Scope::Thread(thread);
    match (verb, rest) {
        ("POST", []) => Op::RunCreate(CreateStyle::Background, scope),
        ("POST", ["stream"]) => Op::RunCreate(CreateStyle::Stream, scope),
        ("POST", ["wait"]) => Op::RunCreate(CreateStyle::Wait, scope),
        ("POST", ["crons"]) => Op::Cron(Access::Create, thread),
        ("GET", []) => Op::RunList(thread),
        (_, [run, rest @ ..]) => on_run(verb, thread, run_id(run), rest),
        _ => Op::Other,
    }
}

fn on_run(verb: &str, thread: Option<ThreadId>, run: Option<RunId>, rest: &[&str]) -> Operation {
    use Operation as Op;
    match (verb, rest) {
        ("GET", []) => Op::RunRead(thread, run),
        ("DELETE", []) => Op::RunDelete(thread, run),
        ("GET", ["join"]) => Op::RunJoin(thread, run),
        ("GET", ["stream"]) => Op::RunStream(thread, run),
        ("POST", ["cancel"]) => Op::RunCancel(thread, run),
        _ => Op::Other,
    }
}

fn stateless_runs(verb: &str, rest: &[&str]) -> Operation {
    use Operation as Op;
    let scope = Scope::Stateless;
    match (verb, rest) {
        ("POST", []) => Op::RunCreate(CreateStyle::Background, scope),
        ("POST", ["stream"]) => Op::RunCreate(CreateStyle::Stream, scope),
        ("POST", ["wait"]) => Op::RunCreate(CreateStyle::Wait, scope),
        ("POST", ["batch"]) => Op::RunCreateBatch,
        ("POST", ["cancel"]) => Op::RunCancelMany,
        (_, ["crons", rest @ ..]) => crons(verb, rest),
        (_, [run, rest @ ..]) => on_run(verb, None, run_id(run), rest),
        _ => Op::Other,
    }
}

fn crons(verb: &str, rest: &[&str]) -> Operation {
    match (verb, rest) {
        ("POST", []) => Operation::Cron(Access::Create, None),
        ("POST", ["search" | "count"]) => Operation::Cron(Access::Search, None),
        ("GET", [_]) => Operation::Cron(Access::Read, None),
        ("PATCH", [_]) => Operation::Cron(Access::Edit, None),
        ("DELETE", [_]) => Operation::Cron(Access::Delete, None),
        _ => Operation::Other,
    }
}

fn assistants(verb: &str, rest: &[&str]) -> Operation {
    let of =
        |access, id: &str| Operation::Assistant(access, Uuid::try_parse(id).ok().map(AssistantId));
    match (verb, rest) {
        ("POST", []) => Operation::Assistant(Access::Create, None),
        ("POST", ["search" | "count"]) => Operation::Assistant(Access::Search, None),
        ("POST", [id, "versions"]) | ("GET", [id, ..]) => of(Access::Read, id),
        ("PATCH", [id]) | ("POST", [id, "latest"]) => of(Access::Edit, id),
        ("DELETE", [id]) => of(Access::Delete, id),
        _ => Operation::Other,
    }
}

fn store(verb: &str, rest: &[&str]) -> Operation {
    match (verb, rest) {
        ("PUT", ["items"]) => Operation::Store(Access::Edit),
        ("GET", ["items"]) => Operation::Store(Access::Read),
        ("DELETE", ["items"]) => Operation::Store(Access::Delete),
        ("POST", ["items", "search"] | ["namespaces"]) => Operation::Store(Access::Search),
        _ => Operation::Other,
    }
}

fn thread_id(segment: &str) -> Option<ThreadId> {
    Uuid::try_parse(segment).ok().map(ThreadId)
}

fn run_id(segment: &str) -> Option<RunId> {
    Uuid::try_parse(segment).ok().map(RunId)
}

const fn named(access: Access, words: [&'static str; 5]) -> &'static str {
    match access {
        Access::Create => words[0],
        Access::Read => words[1],
        Access::Edit => words[2],
        Access::Delete => words[3],
        Access::Search => words[4],
    }
}

/// What stands behind the prefix. A path without it is read as it is: a server that answers there
/// too must not be reachable unseen.
fn inside<'p>(path: &'p str, mount_prefix: &str) -> &'p str {
    let prefix = mount_prefix.trim_end_matches('/');
    match path.strip_prefix(prefix) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ => path,
    }
}

fn decoded(path: &str) -> Result<String, PathError> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let [high, low, tail @ ..] = tail else { return Err(PathError::Escape) };
        let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) else {
            return Err(PathError::Escape);
        };
        bytes.push(high << 4 | low);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| PathError::Escape)
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
