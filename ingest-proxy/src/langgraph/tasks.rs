//! From the `tasks` frames of one run to node events.
//!
//! A task is one scheduled execution of one node; its id is a hash of where it stands, so it is the
//! same when an interrupted node is resumed in another run, and a node event is known by run,
//! attempt and task together. A node that is retried by its own policy is one start and one end: the
//! server tells no more here. Nothing is invented: a start whose end never came stays open, and
//! [`Nodes::open`] says which did. (When a run is resumed, the server announces tasks of the same
//! step that had ended before the question once more, without running them: such a start has no end
//! here, and its task id has one in the run before. Seen with langgraph 1.2.22.)

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;
use trailgate_schemas::{AssistantId, Kind, Outcome, RunId, TaskId};

use super::json;
use super::limits::{NAME_MAX_BYTES, NAMESPACE_MAX_BYTES, OPEN_TASKS_MAX, TOLD_MAX};
use super::plan::TASKS;
use super::sse::Frame;

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// It began.
    Started,
    /// It ended well.
    Finished,
    /// It ended with an error.
    Failed,
    /// It stopped to ask.
    Interrupted,
}

/// The input of a start, the result of a good end, the error of a bad one, or what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePayload {
    /// As JSON text, as the server wrote it.
    Json(Bytes),
    /// In a frame longer than [`super::limits::FRAME_MAX_BYTES`].
    BeyondCap,
}

/// One start or end of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEvent {
    /// What happened.
    pub kind: NodeKind,
    /// The run.
    pub run_id: RunId,
    /// The server's attempt at the run, from 1; absent if the stream did not say.
    pub attempt: Option<i64>,
    /// The graph, as far as the stream said.
    pub graph_id: Option<String>,
    /// The assistant, as far as the stream said.
    pub assistant_id: Option<AssistantId>,
    /// The task.
    pub task_id: TaskId,
    /// The node's name.
    pub node: String,
    /// The namespace of what the node does: its path of subgraphs, then `node:task`.
    pub checkpoint_ns: String,
    /// What made the node run; on starts only.
    pub triggers: Vec<String>,
    /// What went in or came out.
    pub payload: NodePayload,
    /// The error's class, where it is a plain name; on failures only.
    pub error_class: Option<String>,
}

/// A task that began and was not seen to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTask {
    /// The run.
    pub run_id: RunId,
    /// The attempt.
    pub attempt: Option<i64>,
    /// The graph.
    pub graph_id: Option<String>,
    /// The assistant.
    pub assistant_id: Option<AssistantId>,
    /// The task.
    pub task_id: TaskId,
    /// The node's name.
    pub node: String,
    /// As in [`NodeEvent`].
    pub checkpoint_ns: String,
}

/// What a frame told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing of a node, or what was told before.
    Nothing,
    /// A start or an end.
    Node(Box<NodeEvent>),
    /// It was a task frame, but not of a form that is known: count it, and tell of a `gap`.
    Unreadable,
}

/// The nodes of one run.
#[derive(Debug)]
pub struct Nodes {
    run: Option<RunId>,
    attempt: Option<i64>,
    graph_id: Option<String>,
    assistant_id: Option<AssistantId>,
    tasks: HashMap<TaskId, Task>,
    told: ToldBefore,
    untracked: u64,
}

#[derive(Debug)]
struct Task {
    open: OpenTask,
    /// Its end was told: it is here because a replay brought its start again.
    ended: bool,
}

impl NodeKind {
    /// The kind of its event.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Started => Kind::NodeStarted,
            Self::Finished => Kind::NodeFinished,
            Self::Failed => Kind::NodeFailed,
            Self::Interrupted => Kind::NodeInterrupted,
        }
    }

    /// The outcome of its event.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Started => Outcome::Started,
            Self::Finished => Outcome::Succeeded,
            Self::Failed => Outcome::Failed,
            Self::Interrupted => Outcome::Interrupted,
        }
    }
}

impl Nodes {
    /// The nodes of `run`; where it is not known before, the stream's first frame tells it.
    #[must_use]
    pub fn new(run: Option<RunId>) -> Self {
        Self {
            run,
            attempt: None,
            graph_id: None,
            assistant_id: None,
            tasks: HashMap::new(),
            told: ToldBefore::default(),
            untracked: 0,
        }
    }

    /// The run, once it is known.
    #[must_use]
    pub const fn run(&self) -> Option<RunId> {
        self.run
    }

    /// What a whole frame tells.
    pub fn observe(&mut self, frame: &Frame) -> Told {
        match frame.event() {
            Some("metadata") => self.observe_metadata(frame),
            Some(event) => match namespace(event) {
                Some(path) => self.observe_task(frame, &path, false),
                None => Told::Nothing,
            },
            None => Told::Nothing,
        }
    }

    /// What the beginning of a frame tells that is too long to hold.
    pub fn observe_cut(&mut self, frame: &Frame) -> Told {
        match frame.event().and_then(namespace) {
            Some(path) => self.observe_task(frame, &path, true),
            None => Told::Nothing,
        }
    }

    /// The tasks that began and were not seen to end; at the end of the stream their outcome is
    /// unknown.
    pub fn open(&self) -> impl Iterator<Item = &OpenTask> {
        self.tasks.values().filter(|task| !task.ended).map(|task| &task.open)
    }

    /// How many starts were told whose end could not be remembered to be missing.
    #[must_use]
    pub const fn untracked(&self) -> u64 {
        self.untracked
    }

    fn observe_metadata(&mut self, frame: &Frame) -> Told {
        let data = frame.data().unwrap_or_default();
        let Ok(text) = std::str::from_utf8(&data) else { return Told::Nothing };
        json::members_of_cut(text, |key, value| match (key.as_ref(), value) {
            ("run_id", Some(value)) if self.run.is_none() => {
                self.run = json::string(value).and_then(|id| id.parse().ok());
            }
            ("attempt", Some(value)) => self.attempt = value.parse().ok().or(self.attempt),
            _ => {}
        });
        Told::Nothing
    }

    fn observe_task(&mut self, frame: &Frame, path: &str, cut: bool) -> Told {
        let data = frame.data().unwrap_or_default();
        let text = readable(&data, cut);
        let fields = text.and_then(|text| Fields::read(text, cut));
        let (Some(fields), Some(run_id)) = (fields, self.run) else { return Told::Unreadable };
        let Some(end) = fields.end() else {
            return self.started(&fields, frame, run_id, path);
        };
        self.ended(&fields, frame, (run_id, path), end)
    }

    fn started(&mut self, fields: &Fields<'_>, frame: &Frame, run_id: RunId, path: &str) -> Told {
        self.learn(fields.metadata);
        let open = self.task(fields, run_id, path);
        let key = (open.attempt, open.task_id, Phase::Start);
        let is_new = self.told.insert(key);
        let ended = self.told.contains(&(open.attempt, open.task_id, Phase::End));
        if self.tasks.len() < OPEN_TASKS_MAX || self.tasks.contains_key(&open.task_id) {
            self.tasks.insert(open.task_id, Task { open: open.clone(), ended });
        } else {
            self.untracked += 1;
        }
        if !is_new {
            return Told::Nothing;
        }
        let triggers = fields.triggers.and_then(|text| serde_json::from_str(text).ok());
        Told::Node(Box::new(NodeEvent {
            triggers: triggers.unwrap_or_default(),
            payload: payload(frame, fields.input),
            ..event(NodeKind::Started, open)
        }))
    }

    fn ended(
        &mut self,
        fields: &Fields<'_>,
        frame: &Frame,
        (run_id, path): (RunId, &str),
        (kind, value): (NodeKind, Option<&str>),
    ) -> Told {
        let begun = self.tasks.remove(&fields.id).map(|task| task.open);
        let open = begun.unwrap_or_else(|| self.task(fields, run_id, path));
        if !self.told.insert((open.attempt, open.task_id, Phase::End)) {
            return Told::Nothing;
        }
        let error_class = match kind {
            NodeKind::Failed => value.and_then(error_class),
            NodeKind::Started | NodeKind::Finished | NodeKind::Interrupted => None,
        };
        let payload = payload(frame, value);
        Told::Node(Box::new(NodeEvent { payload, error_class, ..event(kind, open) }))
    }

    /// The task of a frame, with what the stream has told of its run.
    fn task(&self, fields: &Fields<'_>, run_id: RunId, path: &str) -> OpenTask {
        OpenTask {
            run_id,
            attempt: self.attempt,
            graph_id: self.graph_id.clone(),
            assistant_id: self.assistant_id,
            task_id: fields.id,
            checkpoint_ns: checkpoint_ns(path, &fields.name, fields.id),
            node: cut_text(&fields.name, NAME_MAX_BYTES).to_owned(),
        }
    }

    /// Takes over what a start's metadata says of its run. A client can't forge these keys: the
    /// server sets them, and they are reserved.
    fn learn(&mut self, metadata: Option<&str>) {
        let Some(metadata) = metadata.filter(|metadata| json::is_object(metadata)) else { return };
        json::members_of_cut(metadata, |key, value| {
            let Some(value) = value else { return };
            match key.as_ref() {
                "run_attempt" => self.attempt = value.parse().ok().or(self.attempt),
                "graph_id" => {
                    let graph = json::string(value);
                    self.graph_id = graph.map(|id| cut_text(&id, NAME_MAX_BYTES).to_owned());
                }
                "assistant_id" => {
                    self.assistant_id = json::string(value).and_then(|id| id.parse().ok());
                }
                _ => {}
            }
        });
    }
}

/// The members of a task frame, as text. A start has `input`, an end `error`, `result` and
/// `interrupts`, in this order.
struct Fields<'t> {
    id: TaskId,
    name: String,
    input: Option<&'t str>,
    triggers: Option<&'t str>,
    metadata: Option<&'t str>,
    error: Option<&'t str>,
    interrupts: Option<&'t str>,
    result: Option<&'t str>,
    is_start: bool,
    /// In a frame that is cut, the member in whose value the cut lies.
    cut_in: Option<String>,
}

impl<'t> Fields<'t> {
    fn read(text: &'t str, cut: bool) -> Option<Self> {
        let (mut id, mut name) = (None, None);
        let mut found = [None; 6];
        let mut cut_in = None;
        let whole = json::members_of_cut(text, |key, value| {
            let slot = SLOTS.iter().position(|slot| *slot == key);
            match (key.as_ref(), value, slot) {
                (_, None, _) => cut_in = Some(key.into_owned()),
                ("id", Some(value), _) => id = json::string(value).and_then(|id| id.parse().ok()),
                ("name", Some(value), _) => {
                    name = json::string(value).map(|name| name.into_owned())
                }
                (_, Some(value), Some(slot)) => found[slot] = Some(value),
                (_, Some(_), None) => {}
            }
        });
        let [input, triggers, metadata, error, result, interrupts] = found;
        let cut_in_any = |names: &[&str]| cut_in.as_deref().is_some_and(|cut| names.contains(&cut));
        let begins = input.is_some() || triggers.is_some() || cut_in_any(&["input"]);
        let ends = error.is_some()
            || result.is_some()
            || interrupts.is_some()
            || cut_in_any(&["error", "result", "interrupts"]);
        let told = (whole || cut) && begins != ends;
        let (id, name) = (id?, name?);
        told.then_some(Self {
            id,
            name,
            input,
            triggers,
            metadata,
            error,
            interrupts,
            result,
            is_start: begins,
            cut_in,
        })
    }

    /// How it ended, and the payload of that, absent if it is cut; none for a start.
    fn end(&self) -> Option<(NodeKind, Option<&'t str>)> {
        if self.is_start {
            return None;
        }
        let cut_in = |name: &str| self.cut_in.as_deref() == Some(name);
        let interrupts = self.interrupts.filter(|text| !is_empty_list(text));
        Some(if self.error.is_some_and(|error| error != "null") || cut_in("error") {
            (NodeKind::Failed, self.error)
        } else if interrupts.is_some() || cut_in("interrupts") {
            (NodeKind::Interrupted, interrupts)
        } else {
            // Where the cut lies in the result: a node that stopped to ask has written none.
            (NodeKind::Finished, self.result)
        })
    }
}

const SLOTS: [&str; 6] = ["input", "triggers", "metadata", "error", "result", "interrupts"];

/// The starts and ends that were told, the oldest forgotten first.
#[derive(Debug, Default)]
struct ToldBefore {
    known: HashSet<ToldKey>,
    order: VecDeque<ToldKey>,
}

type ToldKey = (Option<i64>, TaskId, Phase);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Start,
    End,
}

impl ToldBefore {
    fn contains(&self, key: &ToldKey) -> bool {
        self.known.contains(key)
    }

    /// Whether it is new.
    fn insert(&mut self, key: ToldKey) -> bool {
        if !self.known.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > TOLD_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

fn event(kind: NodeKind, task: OpenTask) -> NodeEvent {
    NodeEvent {
        kind,
        run_id: task.run_id,
        attempt: task.attempt,
        graph_id: task.graph_id,
        assistant_id: task.assistant_id,
        task_id: task.task_id,
        node: task.node,
        checkpoint_ns: task.checkpoint_ns,
        triggers: Vec::new(),
        payload: NodePayload::BeyondCap,
        error_class: None,
    }
}

/// The path of subgraphs that a task frame's event name has; none for another event.
fn namespace(event: &str) -> Option<String> {
    match event.split_once('|') {
        Some((TASKS, path)) => Some(path.to_owned()),
        None if event == TASKS => Some(String::new()),
        Some(_) | None => None,
    }
}

fn checkpoint_ns(path: &str, node: &str, task: TaskId) -> String {
    let whole =
        if path.is_empty() { format!("{node}:{task}") } else { format!("{path}|{node}:{task}") };
    let mut kept = whole.as_str();
    while kept.len() > NAMESPACE_MAX_BYTES {
        match kept.split_once('|') {
            Some((_, inner)) => kept = inner,
            None => return format!("{}:{task}", cut_text(node, NAME_MAX_BYTES)),
        }
    }
    kept.to_owned()
}

/// The value as it stands in the frame, sharing its memory where it can.
fn payload(frame: &Frame, value: Option<&str>) -> NodePayload {
    let Some(value) = value.map(str::as_bytes) else { return NodePayload::BeyondCap };
    let whole = frame.bytes().as_ptr_range();
    let part = value.as_ptr_range();
    let shared = whole.start <= part.start && part.end <= whole.end;
    NodePayload::Json(if shared {
        frame.bytes().slice_ref(value)
    } else {
        Bytes::copy_from_slice(value)
    })
}

/// The text of a frame's data; of a cut one as much as is text.
fn readable(data: &[u8], cut: bool) -> Option<&str> {
    match std::str::from_utf8(data) {
        Ok(text) => Some(text),
        Err(error) if cut => std::str::from_utf8(data.get(..error.valid_up_to())?).ok(),
        Err(_) => None,
    }
}

/// The class in `{"error":"ValueError","message":…}`, if it is a plain name.
fn error_class(error: &str) -> Option<String> {
    let mut class = None;
    json::members_of_cut(error, |key, value| {
        if key == "error" {
            class = value.and_then(json::string);
        }
    });
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    let class = class.filter(|class| (1..=128).contains(&class.len()) && class.bytes().all(plain));
    class.map(|class| class.into_owned())
}

fn is_empty_list(text: &str) -> bool {
    text.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inside| inside.trim().is_empty())
        || text == "null"
}

fn cut_text(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
