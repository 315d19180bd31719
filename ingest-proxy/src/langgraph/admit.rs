//! What the server gets in place of the body that creates a run: forged identity taken out, the
//! gateway's request id put in, and `tasks` among the stream modes. Whatever else stands in it stays
//! the text that it was.
//!
//! Where a key that matters here stands twice, only its last value is passed on: what was looked at
//! is then what the server executes, however its parser reads duplicates.

use bytes::Bytes;
use trailgate_schemas::AssistantId;
use uuid::Uuid;

use super::body::{CLEANED_OWNER, CLEANED_RUN, Changes, Found, cleaned, cleaned_members, quoted};
use super::json::{self, Broken};
use super::limits::BATCH_MAX_RUNS;
use super::plan::{
    ASKED_KEY, Asked, Field, Injected, REQUEST_KEY, StripPlan, TASKS, modes_are_plain,
};
use super::reserved::Reserved;
use super::route::CreateStyle;

/// A run's creation, as the server shall see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The body to send.
    pub body: Bytes,
    /// What was found out about the run.
    pub run: AdmittedRun,
}

/// A batch's creation, as the server shall see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmittedBatch {
    /// The body to send.
    pub body: Bytes,
    /// The runs, in the order of the array, in which the answer has them too.
    pub runs: Vec<AdmittedRun>,
}

/// What a run-create body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmittedRun {
    /// What to take out of its stream and its answers.
    pub plan: StripPlan,
    /// Whether it answers an interrupt: tell of `interrupt_resumed`.
    pub resumes: bool,
    /// Whether the run goes on when its creator's connection breaks.
    pub on_disconnect: OnDisconnect,
    /// The assistant, where it is named by id; a graph's name is not kept.
    pub assistant: Option<AssistantId>,
    /// How many reserved keys the client had set.
    pub forged: u32,
}

/// What the server does with a run whose creator goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDisconnect {
    /// The run goes on: keep reading its stream, so that its nodes are told.
    Continue,
    /// The run is cancelled: let the server see the connection go.
    Cancel,
}

/// A command of the thread-centric protocol, as the server shall see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmittedCommand {
    /// The body to send.
    pub body: Bytes,
    /// What it commands.
    pub command: Command,
    /// How many reserved keys the client had set.
    pub forged: u32,
}

/// What a command does, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// It starts a run; no surface of this proxy will tell of its nodes.
    RunStart,
    /// It answers an interrupt.
    InputRespond,
    /// Anything else.
    Other,
}

/// Why a body is refused. Says where, never what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// The bytes are no UTF-8.
    #[error("body is not UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// The first byte that is none.
        offset: usize,
    },
    /// The text is no JSON.
    #[error("body is not JSON at line {line} column {column}")]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It is JSON, but no object.
    #[error("body is not a JSON object")]
    NotAnObject,
    /// It is JSON, but no array.
    #[error("body is not a JSON array")]
    NotAnArray,
    /// An element of a batch is no object.
    #[error("element {index} of the batch is not a JSON object")]
    ElementNotAnObject {
        /// Which, from 0.
        index: usize,
    },
    /// A batch has too many runs.
    #[error("batch has more than {limit} runs")]
    BatchTooLong {
        /// The most it may have.
        limit: usize,
    },
}

impl AdmitError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8 { .. } => "body_not_utf8",
            Self::NotJson { .. } => "body_not_json",
            Self::NotAnObject => "body_not_object",
            Self::NotAnArray => "body_not_array",
            Self::ElementNotAnObject { .. } => "batch_element_not_object",
            Self::BatchTooLong { .. } => "batch_too_long",
        }
    }
}

impl From<Broken> for AdmitError {
    fn from(broken: Broken) -> Self {
        Self::NotJson { line: broken.line, column: broken.column }
    }
}

/// Rewrites the body of a run's creation. `request` is the gateway's id of the exchange, which the
/// server is also told as `x-request-id`.
///
/// # Errors
/// [`AdmitError`] if the body is no JSON object: the proxy answers 422, as the server would.
pub fn admit_run(body: &[u8], style: CreateStyle, request: Uuid) -> Result<Admitted, AdmitError> {
    let text = object_text(body)?;
    let (text, run) = rewrite_run(text, style, request)?;
    Ok(Admitted { body: Bytes::from(text), run })
}

/// Rewrites the body of a batch's creation.
///
/// # Errors
/// [`AdmitError`] if the body is no JSON array of objects, or too long a one.
pub fn admit_batch(body: &[u8], request: Uuid) -> Result<AdmittedBatch, AdmitError> {
    let text = utf8(body)?;
    if !json::is_array(text) {
        return Err(not_json(text).unwrap_or(AdmitError::NotAnArray));
    }
    let mut elements = Vec::new();
    let mut count = 0_usize;
    json::elements(text, |element| {
        count += 1;
        if elements.len() < BATCH_MAX_RUNS {
            elements.push(element);
        }
    })?;
    if count > BATCH_MAX_RUNS {
        return Err(AdmitError::BatchTooLong { limit: BATCH_MAX_RUNS });
    }
    let mut runs = Vec::with_capacity(elements.len());
    let mut texts = Vec::with_capacity(elements.len());
    for (index, element) in elements.into_iter().enumerate() {
        if !json::is_object(element) {
            return Err(AdmitError::ElementNotAnObject { index });
        }
        let (text, run) = rewrite_run(element, CreateStyle::Background, request)?;
        texts.push(text);
        runs.push(run);
    }
    Ok(AdmittedBatch { body: Bytes::from(format!("[{}]", texts.join(","))), runs })
}

/// Rewrites the body of a cron's creation or change: identity as for a run, but no stream mode, for
/// nobody is there to read the stream of a run that the server starts by itself.
///
/// # Errors
/// [`AdmitError`] if the body is no JSON object.
pub fn admit_cron(body: &[u8], request: Uuid) -> Result<(Bytes, u32), AdmitError> {
    let (text, forged) = rewrite_identity(object_text(body)?, request)?;
    Ok((Bytes::from(text), forged))
}

/// Rewrites a command of the thread-centric protocol: identity as for a run.
///
/// # Errors
/// [`AdmitError`] if the body is no JSON object.
pub fn admit_command(body: &[u8], request: Uuid) -> Result<AdmittedCommand, AdmitError> {
    let text = object_text(body)?;
    let found = Found::read(text, ["method", "params"])?;
    let command = match found.string("method").as_deref() {
        Some("run.start") => Command::RunStart,
        Some("input.respond") => Command::InputRespond,
        Some(_) | None => Command::Other,
    };
    let mut changes = Changes::default();
    let mut forged = 0;
    if let Some(params) = found.value("params").filter(|params| json::is_object(params)) {
        let rewritten = match command {
            Command::RunStart => rewrite_identity(params, request)?,
            Command::InputRespond | Command::Other => cleaned_members(params, CLEANED_RUN)?,
        };
        forged = rewritten.1;
        changes.set("params", rewritten.0);
    }
    let body = Bytes::from(found.rewrite(text, changes)?);
    Ok(AdmittedCommand { body, command, forged })
}

/// Takes reserved keys out of the body that makes or changes a thread or an assistant.
///
/// # Errors
/// [`AdmitError`] if the body is no JSON object.
pub fn clean_metadata(body: &[u8]) -> Result<(Bytes, u32), AdmitError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        // The server makes a thread of an empty body too.
        return Ok((Bytes::copy_from_slice(body), 0));
    }
    let text = object_text(body)?;
    let (text, forged) = cleaned_members(text, CLEANED_OWNER)?;
    Ok((Bytes::from(text), forged))
}

const RUN_KEYS: [&str; 10] = [
    "metadata",
    "config",
    "context",
    "checkpoint",
    "stream_mode",
    "stream_subgraphs",
    "stream_resumable",
    "command",
    "on_disconnect",
    "assistant_id",
];

fn rewrite_run(
    text: &str,
    style: CreateStyle,
    request: Uuid,
) -> Result<(String, AdmittedRun), AdmitError> {
    let found = Found::read(text, RUN_KEYS)?;
    let plan = plan(&found, style);
    let mut changes = Changes::default();
    let mut added = vec![(REQUEST_KEY, quoted(&request.hyphenated().to_string()))];
    if let StripPlan::Injected(injected) = &plan {
        added.push((ASKED_KEY, quoted(&injected.to_text())));
        changes.set("stream_mode", sent_modes(injected));
        if injected.subgraphs.forced {
            changes.set("stream_subgraphs", "true".to_owned());
        }
        if injected.resumable.forced {
            changes.set("stream_resumable", "true".to_owned());
        }
    }
    let forged = identity(&found, &mut changes, &added)?;
    let run = AdmittedRun {
        plan,
        resumes: resumes(&found)?,
        on_disconnect: match found.string("on_disconnect").as_deref() {
            Some("cancel") => OnDisconnect::Cancel,
            Some(_) | None => OnDisconnect::Continue,
        },
        assistant: found.string("assistant_id").and_then(|id| id.parse().ok()),
        forged,
    };
    Ok((found.rewrite(text, changes)?, run))
}

fn rewrite_identity(text: &str, request: Uuid) -> Result<(String, u32), AdmitError> {
    let found = Found::read(text, ["metadata", "config", "context", "checkpoint"])?;
    let mut changes = Changes::default();
    let added = [(REQUEST_KEY, quoted(&request.hyphenated().to_string()))];
    let forged = identity(&found, &mut changes, &added)?;
    Ok((found.rewrite(text, changes)?, forged))
}

/// What to do to the stream. A body whose stream fields are of no valid type is left alone: the
/// server refuses it.
fn plan<const N: usize>(found: &Found<'_, N>, style: CreateStyle) -> StripPlan {
    let fields = (
        modes(found.value("stream_mode")),
        Asked::parse(found.value("stream_subgraphs")),
        Asked::parse(found.value("stream_resumable")),
    );
    let (Some(modes), Some(subgraphs), Some(resumable)) = fields else {
        return StripPlan::Untouched;
    };
    if !modes_are_plain(&modes) {
        return StripPlan::Untouched;
    }
    let inner_is_separable = modes.iter().all(|mode| SEPARABLE_MODES.contains(&mode.as_str()));
    let needs_replay = match style {
        CreateStyle::Stream => false,
        CreateStyle::Wait | CreateStyle::Background => true,
    };
    StripPlan::Injected(Injected {
        modes,
        subgraphs: Field::forced_if(subgraphs, inner_is_separable),
        resumable: Field::forced_if(resumable, needs_replay),
    })
}

/// Modes whose frames from inside a subgraph carry its namespace in their event name, so that they
/// can be told from the outer ones and dropped. The frames of `messages` carry none, and those of
/// `messages-tuple` lose outer ones to a namespace when subgraphs are on (seen with langgraph
/// 1.2.22: a message made by a graph called from a node).
const SEPARABLE_MODES: [&str; 7] =
    ["values", "updates", "tasks", "debug", "checkpoints", "custom", "events"];

/// The modes asked for, by the server's rule: nothing, `null` and an empty list mean the default.
fn modes(value: Option<&str>) -> Option<Vec<String>> {
    let default = || vec!["values".to_owned()];
    let Some(value) = value else { return Some(default()) };
    if matches!(value, "null" | "\"\"") {
        return Some(default());
    }
    if let Some(mode) = json::string(value) {
        return Some(vec![mode.into_owned()]);
    }
    let modes: Vec<String> = serde_json::from_str(value).ok()?;
    Some(if modes.is_empty() { default() } else { modes })
}

fn sent_modes(injected: &Injected) -> String {
    let added = (!injected.asked_for(TASKS)).then_some(TASKS);
    let modes = injected.modes.iter().map(String::as_str).chain(added);
    let quoted: Vec<String> = modes.map(quoted).collect();
    format!("[{}]", quoted.join(","))
}

/// `null` answers nothing; any other value does, `false` included.
fn resumes<const N: usize>(found: &Found<'_, N>) -> Result<bool, Broken> {
    let Some(command) = found.value("command").filter(|command| json::is_object(command)) else {
        return Ok(false);
    };
    let command = Found::read(command, ["resume"])?;
    Ok(command.value("resume").is_some_and(|value| value != "null"))
}

/// Takes forged identity out of every object that the server merges, and puts `added` into
/// `metadata`.
fn identity<const N: usize>(
    found: &Found<'_, N>,
    changes: &mut Changes,
    added: &[(&str, String)],
) -> Result<u32, Broken> {
    let mut forged = 0;
    match found.value("metadata") {
        Some(value) if json::is_object(value) => {
            let (text, removed) = cleaned(value, Reserved::RunMetadata, added)?;
            forged += removed;
            changes.set("metadata", text);
        }
        None | Some("null") => {
            changes.set("metadata", cleaned("{}", Reserved::RunMetadata, added)?.0);
        }
        // Of no valid type: the server refuses the body.
        Some(_) => {}
    }
    for (key, what) in CLEANED_RUN.iter().filter(|(key, _)| *key != "metadata") {
        let Some(value) = found.value(key).filter(|value| json::is_object(value)) else {
            continue;
        };
        let (text, removed) = what.clean(value)?;
        forged += removed;
        changes.set(key, text);
    }
    Ok(forged)
}

fn utf8(body: &[u8]) -> Result<&str, AdmitError> {
    std::str::from_utf8(body).map_err(|e| AdmitError::NotUtf8 { offset: e.valid_up_to() })
}

fn object_text(body: &[u8]) -> Result<&str, AdmitError> {
    let text = utf8(body)?;
    if json::is_object(text) {
        return Ok(text);
    }
    Err(not_json(text).unwrap_or(AdmitError::NotAnObject))
}

/// Where the text stops being JSON, if it does.
fn not_json(text: &str) -> Option<AdmitError> {
    json::check(text).err().map(AdmitError::from)
}

#[cfg(test)]
mod tests;
