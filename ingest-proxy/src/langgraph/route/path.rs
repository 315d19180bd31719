//! From method and path to the operation.
//!
//! The path is read as the server reads it: percent-escapes undone once. A path that a proxy further
//! on might read differently (dot or empty segments) is refused, for what is classified here must be
//! what is executed there.

use http::Method;
use trailgate_schemas::{AssistantId, RunId, ThreadId};

use super::{Access, CreateStyle, Operation, PathError, Scope};

pub(super) fn classify(
    method: &Method,
    path: &str,
    mount_prefix: &str,
) -> Result<Operation, PathError> {
    let path = decoded(path)?;
    let inside = inside(&path, mount_prefix);
    let inside = inside.strip_prefix('/').unwrap_or(inside);
    let inside = inside.strip_suffix('/').unwrap_or(inside);
    if inside.is_empty() {
        return Ok(if method == Method::GET { Operation::Meta } else { Operation::Other });
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
        ["mcp"] => Operation::Mcp,
        ["a2a", ..] => Operation::A2a,
        ["ok" | "info" | "metrics" | "docs" | "openapi.json" | "ui" | ".well-known", ..] => {
            Operation::Meta
        }
        _ => Operation::Other,
    })
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
    let of = |access, id: &str| Operation::Assistant(access, id.parse::<AssistantId>().ok());
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
    segment.parse().ok()
}

fn run_id(segment: &str) -> Option<RunId> {
    segment.parse().ok()
}

/// What stands behind the prefix, whose letters may be of either case. A path without it is read as it is: a server that answers there
/// too must not be reachable unseen.
fn inside<'p>(path: &'p str, mount_prefix: &str) -> &'p str {
    let prefix = mount_prefix.trim_end_matches('/');
    match path.split_at_checked(prefix.len()) {
        Some((begin, rest))
            if begin.eq_ignore_ascii_case(prefix) && (rest.is_empty() || rest.starts_with('/')) =>
        {
            rest
        }
        _ => path,
    }
}

/// The path in its normal form, below the mount prefix: what a rule's pattern is matched against. A
/// path that some server might read as another is none: besides what [`classify`] refuses, escapes
/// that stand for a slash or for an escape, backslashes, parameters of segments, controls, and segments
/// that end with a dot or a blank, which some systems leave away.
pub(super) fn plain(path: &str, mount_prefix: &str) -> Result<String, PathError> {
    let decoded = decoded(path)?;
    let unlike = |c: char| matches!(c, '\\' | '%' | ';') || c.is_control();
    let slashes = |text: &str| text.bytes().filter(|byte| *byte == b'/').count();
    if decoded.contains(unlike) || slashes(&decoded) != slashes(path) {
        return Err(PathError::Ambiguous);
    }
    let inside = inside(&decoded, mount_prefix);
    let inside = inside.strip_prefix('/').unwrap_or(inside);
    let inside = inside.strip_suffix('/').unwrap_or(inside);
    let is_plain = |segment: &str| !segment.is_empty() && !segment.ends_with(['.', ' ']);
    if inside.is_empty() || inside.split('/').all(is_plain) {
        Ok(format!("/{inside}"))
    } else {
        Err(PathError::Ambiguous)
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
