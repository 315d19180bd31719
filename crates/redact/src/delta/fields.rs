//! Which strings of an event are pieces of values, and of which. Formats are told by what they look
//! like: those of OpenAI's chats and responses, of Anthropic's messages, and of LangGraph's.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use crate::limits::{DEPTH_MAX, NAME_MAX_BYTES};

/// A piece of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Delta {
    /// What tells its value from others.
    pub(super) name: String,
    /// Where it stands in the event, without its quotes.
    pub(super) range: Range<usize>,
}

/// The pieces of values in an event, if its data is one line of JSON.
pub(super) fn deltas(event: &str) -> Vec<Delta> {
    let Some(at) = data(event) else { return Vec::new() };
    if !has_mark(&event.as_bytes()[at.clone()]) {
        return Vec::new();
    }
    let mut walk = Walk {
        text: &event[..at.end],
        at: at.start,
        path: Vec::with_capacity(8),
        steps: Vec::with_capacity(64),
        leaves: Vec::with_capacity(16),
    };
    // What is no JSON has no fields that could be told.
    let Some(()) = walk.value() else { return Vec::new() };
    let deltas = || walk.leaves.iter().filter(|leaf| walk.is_delta(leaf));
    if deltas().next().is_none() {
        return Vec::new();
    }
    let ids: Vec<&Leaf> = walk.leaves.iter().filter(|leaf| walk.is_id(leaf)).collect();
    deltas().map(|leaf| walk.delta(leaf, &ids)).collect()
}

fn has_mark(data: &[u8]) -> bool {
    static FINDERS: LazyLock<[Finder<'_>; 3]> = LazyLock::new(|| MARKS.map(Finder::new));
    FINDERS.iter().any(|mark| mark.find(data).is_some())
}

/// Where the data stands.
fn data(event: &str) -> Option<Range<usize>> {
    let mut lines = event.split_inclusive('\n');
    let mut at = 0;
    let mut found = None;
    for line in &mut lines {
        if let Some(data) = line.strip_prefix("data:") {
            if found.is_some() {
                return None;
            }
            found = Some(at + "data:".len()..at + "data:".len() + data.trim_ascii_end().len());
        }
        at += line.len();
    }
    found
}

/// A step into a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step<'a> {
    Key(&'a str),
    Element(usize),
}

/// A string or number, where it stands without quotes.
struct Leaf {
    /// Which of the walk's steps are the way to it.
    path: Range<usize>,
    range: Range<usize>,
    is_string: bool,
}

impl Walk<'_> {
    fn path(&self, leaf: &Leaf) -> &[Step<'_>] {
        &self.steps[leaf.path.clone()]
    }

    /// Whether a leaf is a piece of a value.
    fn is_delta(&self, leaf: &Leaf) -> bool {
        let path = self.path(leaf);
        leaf.is_string && PATHS.iter().any(|known| is_at(path, known))
    }

    /// Whether a leaf may tell values apart.
    fn is_id(&self, leaf: &Leaf) -> bool {
        let last = self.path(leaf).last();
        matches!(last, Some(Step::Key(key)) if IDS.contains(key))
    }

    /// The piece of a value that a leaf is, told from others by these.
    fn delta(&self, leaf: &Leaf, ids: &[&Leaf]) -> Delta {
        let path = self.path(leaf);
        let told = |way: &[Step<'_>], id: &str| {
            let is_it = |leaf: &&&Leaf| {
                let path = self.path(leaf).split_last();
                path.is_some_and(|(last, before)| *last == Step::Key(id) && before == way)
            };
            let leaf = ids.iter().find(is_it)?;
            self.text.get(leaf.range.clone())
        };
        let mut name = String::new();
        // What each step on the way says of itself, wherever it stands beside it.
        for depth in 0..path.len() {
            let (way, step) = (&path[..depth], &path[depth]);
            for id in IDS {
                if let Some(id) = told(way, id) {
                    name.push_str(id);
                    name.push('/');
                }
            }
            match step {
                Step::Key(key) => name.push_str(key),
                // Told by its index, which need not be its place.
                Step::Element(_) => name.push('*'),
            }
            name.push('/');
        }
        name.truncate(name.floor_char_boundary(NAME_MAX_BYTES));
        Delta { name, range: leaf.range.clone() }
    }
}

/// Whether a path is one that has `*` for any element.
fn is_at(path: &[Step<'_>], known: &[&str]) -> bool {
    let fits = |(step, word): (&Step<'_>, &&str)| match step {
        Step::Key(key) => word == key,
        Step::Element(place) => *word == "*" || word.parse() == Ok(*place),
    };
    path.len() == known.len() && path.iter().zip(known).all(fits)
}

/// A walk through a JSON document that keeps what it passes.
struct Walk<'a> {
    text: &'a str,
    at: usize,
    path: Vec<Step<'a>>,
    /// The ways to all leaves.
    steps: Vec<Step<'a>>,
    leaves: Vec<Leaf>,
}

impl<'a> Walk<'a> {
    /// Passes a value; none if there is none.
    fn value(&mut self) -> Option<()> {
        match self.next()? {
            b'{' => self.members(b'}'),
            b'[' => self.members(b']'),
            b'"' => {
                let range = self.string()?;
                self.leaf(range, true);
                Some(())
            }
            _ => {
                let rest = &self.text[self.at..];
                let length = rest.find([',', '}', ']', ' ']).unwrap_or(rest.len());
                let range = self.at..self.at + length;
                self.at = range.end;
                self.leaf(range, false);
                (length > 0).then_some(())
            }
        }
    }

    fn members(&mut self, close: u8) -> Option<()> {
        if self.path.len() >= DEPTH_MAX / 4 {
            return None;
        }
        self.at += 1;
        for place in 0.. {
            let next = self.next()?;
            if next == close {
                break;
            }
            if place > 0 {
                self.at += usize::from(next == b',');
                if next != b',' {
                    return None;
                }
            }
            let step = if close == b'}' {
                self.next().filter(|next| *next == b'"')?;
                let key = self.string()?;
                self.next().filter(|next| *next == b':')?;
                self.at += 1;
                Step::Key(&self.text[key])
            } else {
                Step::Element(place)
            };
            self.path.push(step);
            self.value()?;
            self.path.pop();
        }
        self.at += 1;
        Some(())
    }

    /// Passes a string; gives what is between its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut at = start;
        loop {
            at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
            if bytes[at] == b'"' {
                self.at = at + 1;
                return Some(start..at);
            }
            at += 2;
        }
    }

    fn leaf(&mut self, range: Range<usize>, is_string: bool) {
        let begun = self.steps.len();
        self.steps.extend_from_slice(&self.path);
        self.leaves.push(Leaf { path: begun..self.steps.len(), range, is_string });
    }

    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        Some(self.text.as_bytes()[self.at])
    }
}

/// One of these stands in each event that has a piece of a value.
const MARKS: [&[u8]; 3] = [b"delta", b"MessageChunk\"", b"\"choices\""];

/// Where such pieces stand.
const PATHS: &[&[&str]] = &[
    // OpenAI's chats, and what speaks as they do.
    &["choices", "*", "delta", "content"],
    &["choices", "*", "delta", "refusal"],
    &["choices", "*", "delta", "reasoning"],
    &["choices", "*", "delta", "reasoning_content"],
    &["choices", "*", "delta", "function_call", "arguments"],
    &["choices", "*", "delta", "tool_calls", "*", "function", "arguments"],
    &["choices", "*", "text"],
    // Its responses.
    &["delta"],
    // Anthropic's messages.
    &["delta", "text"],
    &["delta", "partial_json"],
    &["delta", "thinking"],
    // LangGraph's: the message, and what is told of it.
    &["0", "content"],
    &["0", "content", "*", "text"],
    &["0", "content", "*", "thinking"],
    &["0", "content", "*", "input"],
    &["0", "content", "*", "partial_json"],
    &["0", "content", "*", "arguments"],
    &["0", "tool_call_chunks", "*", "args"],
    &["0", "additional_kwargs", "reasoning_content"],
    // Its protocol of events.
    &["params", "data", "delta", "text"],
    &["params", "data", "delta", "args"],
    &["params", "data", "delta", "reasoning"],
];

/// What tells values apart where it stands beside a step.
const IDS: &[&str] = &["id", "index", "item_id", "output_index", "content_index", "message_id"];
