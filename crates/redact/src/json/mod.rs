//! JSON that comes in pieces. Strings are read for what they stand for; numbers, key order and
//! white space stay as they are. It asks nothing of its input: whatever stands outside strings and
//! is no JSON is masked as text.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::json::bare::Segment;
use crate::json::escape::{escape_into, unescape, unescape_prefix};
use crate::json::quick::Quick;
use crate::key_name::NameClass;
use crate::limits::{DEPTH_MAX, HOLD_MAX_BYTES, NAME_MAX_BYTES};
use crate::prefilter::Block;
use crate::redacted::{Out, Redacted};
use crate::redactor::Redactor;
use crate::scan::HitName;
use crate::text::TextStream;

mod bare;
pub(crate) mod escape;
mod quick;
mod result_set;

use result_set::{Columns, Role};

/// The state of a JSON text between two pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JsonStream {
    /// What did not come out yet: the beginning of a string or of what stands between two.
    raw: String,
    /// How far a string's end was looked for in `raw`.
    looked: usize,
    /// How deep this text is in other JSON's strings.
    depth: usize,
    place: Place,
    /// A string too long to be held.
    long: Option<LongString>,
}

/// Where in a document the next string stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    levels: Vec<Level>,
    /// Containers beyond those remembered.
    deeper: usize,
    /// At which of those a secret's container began, and what its name says.
    deeper_within: Option<(usize, NameClass)>,
    /// What the name of the field that all of this text stands in says.
    outer: Option<NameClass>,
    /// The last string, which a colon makes a key.
    last: Option<String>,
    /// The key whose value comes now.
    key: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Level {
    is_array: bool,
    /// What the container's key, or that of one around it, says of all that is within.
    within: Option<NameClass>,
    /// What `"name": "password"` says of a `"value"` beside it.
    named: Option<NameClass>,
    /// What it is of a result set, and of its columns what was said in it.
    #[serde(default)]
    role: Role,
    #[serde(default)]
    columns: Option<Columns>,
    /// How many elements ended in it, where that matters.
    #[serde(default)]
    index: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LongString {
    text: TextStream,
    /// All of it is a secret, which came out masked; drop the rest.
    is_dropped: bool,
}

impl JsonStream {
    /// JSON in a string in JSON, `depth` times, in a field whose name may say what it is.
    pub(crate) fn at(depth: usize, outer: Option<NameClass>) -> Self {
        let place = Place { outer, ..Place::default() };
        Self { depth, place, ..Self::default() }
    }

    /// Takes a piece; `done` says that it is the last.
    pub(crate) fn push(&mut self, redactor: &Redactor, piece: &str, done: bool, out: &mut Out) {
        self.raw.push_str(piece);
        let raw = std::mem::take(&mut self.raw);
        let mut at = 0;
        let mut quick = None;
        while at < raw.len() {
            if self.long.is_none() && self.looked == 0 {
                let quick = quick.get_or_insert_with(|| Quick::new(redactor, &raw));
                let passed = quick.pass(&mut self.place, at);
                out.text.push_str(&raw[at..passed]);
                at = passed;
                if at == raw.len() {
                    break;
                }
            }
            let taken = if self.long.is_some() {
                self.go_on(redactor, &raw[at..], done, out)
            } else if raw.as_bytes()[at] == b'"' {
                let block = quick.as_mut().map(|quick| (quick.block(), at));
                self.string(redactor, &raw[at..], block, done, out)
            } else {
                self.between(redactor, &raw[at..], done, out)
            };
            if taken == 0 {
                break;
            }
            at += taken;
        }
        drop(quick);
        self.raw.push_str(&raw[at..]);
        if done {
            self.end(redactor, out);
        }
    }

    /// Lets everything out, since nothing more came for long.
    pub(crate) fn flush(&mut self, redactor: &Redactor, out: &mut Out) {
        if self.long.is_none() && !self.raw.is_empty() {
            let raw = std::mem::take(&mut self.raw);
            self.looked = 0;
            if let Some(content) = raw.strip_prefix('"') {
                out.text.push('"');
                let taken = self.begin_long(redactor, content, out);
                self.raw.push_str(&content[taken..]);
            } else {
                self.between(redactor, &raw, true, out);
            }
        }
        if let Some(long) = &mut self.long {
            let mut inner = Out::default();
            long.text.flush(redactor, &mut inner);
            append_escaped(inner, out);
        }
    }

    pub(crate) fn has_tail(&self) -> bool {
        match &self.long {
            Some(long) => long.text.has_tail(),
            None => !self.raw.is_empty(),
        }
    }

    /// Whether the next piece would be treated as the first.
    pub(crate) fn is_new(&self) -> bool {
        let place = Place { outer: self.place.outer, ..Place::default() };
        self.raw.is_empty() && self.long.is_none() && self.place == place
    }

    pub(crate) fn held_bytes(&self) -> usize {
        let long = self.long.as_ref().map_or(0, |long| long.text.held_bytes());
        let keys = [&self.place.last, &self.place.key].into_iter().flatten().map(String::len);
        self.raw.len() + long + keys.sum::<usize>() + self.place.levels.len()
    }

    /// Takes a string from its opening quote on, which may be a part of a block; returns how much it
    /// took.
    fn string(
        &mut self,
        redactor: &Redactor,
        raw: &str,
        part: Option<(&mut Block<'_>, usize)>,
        done: bool,
        out: &mut Out,
    ) -> usize {
        let part = part.map(|(block, at)| (block, at + 1));
        let end = string_end(raw, self.looked.max(1));
        match end {
            Some(end) if end <= HOLD_MAX_BYTES => {
                self.whole_string(redactor, &raw[1..end], part, out);
                out.text.push('"');
                self.looked = 0;
                end + 1
            }
            None if raw.len() <= HOLD_MAX_BYTES && done => {
                self.whole_string(redactor, &raw[1..], part, out);
                self.looked = 0;
                raw.len()
            }
            None if raw.len() <= HOLD_MAX_BYTES => {
                // An escape at the end may not be all there: look at its beginning again.
                let slashes = raw.bytes().rev().take_while(|byte| *byte == b'\\').count();
                self.looked = (raw.len() - slashes).max(1);
                0
            }
            Some(_) | None => {
                self.looked = 0;
                out.text.push('"');
                1 + self.begin_long(redactor, &raw[1..end.unwrap_or(raw.len())], out)
            }
        }
    }

    /// Masks a string that is all there, given by its raw content; writes no closing quote.
    fn whole_string(
        &mut self,
        redactor: &Redactor,
        raw: &str,
        part: Option<(&mut Block<'_>, usize)>,
        out: &mut Out,
    ) {
        let text = unescape(raw);
        let class = self.place.class(redactor);
        let part = part.filter(|_| matches!(text, Cow::Borrowed(_)));
        let redacted = redactor.field_of(&text, class, self.depth, part);
        out.text.push('"');
        if redacted.findings.is_empty() {
            out.text.push_str(raw);
        } else {
            out.append_as(&redacted, escape_into);
        }
        self.place.pass_string(redactor, &text);
    }

    /// Begins a string that is too long to be held, or that had to come out; returns how much of
    /// its content it took.
    fn begin_long(&mut self, redactor: &Redactor, raw: &str, out: &mut Out) -> usize {
        let class = self.place.class(redactor);
        let (text, rest) = unescape_prefix(raw);
        let mut long = LongString { text: TextStream::default(), is_dropped: class.is_some() };
        if let Some(class) = class {
            redactor.replace(HitName::Named(class.rule()), &text, out);
        } else {
            let mut inner = Out::default();
            long.text.push(redactor, &text, false, &mut inner);
            append_escaped(inner, out);
        }
        self.place.pass_string(redactor, &text);
        self.long = Some(long);
        raw.len() - rest.len()
    }

    /// Goes on with a long string; returns how much it took.
    fn go_on(&mut self, redactor: &Redactor, raw: &str, done: bool, out: &mut Out) -> usize {
        let Some(mut long) = self.long.take() else { return 0 };
        let end = string_end(raw, 0);
        let content = &raw[..end.unwrap_or(raw.len())];
        let (mut text, rest) = unescape_prefix(content);
        let is_last = end.is_some() || done;
        if is_last {
            text.push_str(rest);
        }
        if !long.is_dropped {
            let mut inner = Out::default();
            long.text.push(redactor, &text, is_last, &mut inner);
            append_escaped(inner, out);
        }
        if let Some(end) = end {
            out.text.push('"');
            return end + 1;
        }
        self.long = Some(long);
        if done { raw.len() } else { raw.len() - rest.len() }
    }

    /// Takes what stands between two strings; returns how much it took.
    fn between(&mut self, redactor: &Redactor, raw: &str, done: bool, out: &mut Out) -> usize {
        let end = memchr::memchr(b'"', raw.as_bytes());
        let segment = Segment::new(redactor, &raw[..end.unwrap_or(raw.len())]);
        let taken = if end.is_some() || done { segment.len() } else { segment.certain() };
        segment.emit(redactor, &mut self.place, taken, out);
        taken
    }

    fn end(&mut self, redactor: &Redactor, out: &mut Out) {
        if let Some(mut long) = self.long.take() {
            let mut inner = Out::default();
            let rest = std::mem::take(&mut self.raw);
            long.text.push(redactor, &rest, true, &mut inner);
            append_escaped(inner, out);
        }
        *self = Self::at(self.depth, self.place.outer);
    }
}

impl Place {
    /// What the place says of a string or number that stands in it.
    fn class(&self, redactor: &Redactor) -> Option<NameClass> {
        self.class_of(redactor, self.key.as_deref())
    }

    /// The same of what stands behind a key, if there is one.
    fn class_of(&self, redactor: &Redactor, key: Option<&str>) -> Option<NameClass> {
        self.class_of_value(key.map(|key| (key, redactor.classify(key))))
    }

    /// The same, where it is known what the key says.
    fn class_of_value(&self, key: Option<(&str, Option<NameClass>)>) -> Option<NameClass> {
        if let Some((key, class)) = key {
            let named = self.levels.last().and_then(|level| level.named);
            let named = named.filter(|_| VALUE_KEYS.contains(&key));
            return class.or(named).or(self.within());
        }
        // Without a key it is an element, or else the name of a field, which stays.
        let is_value = self.deeper > 0 || self.levels.last().is_none_or(|level| level.is_array);
        self.within().filter(|_| is_value).or_else(|| self.column())
    }

    /// What the keys around the place say of all that is within.
    fn within(&self) -> Option<NameClass> {
        let deeper = self.deeper_within.map(|(_, class)| class);
        deeper.or(self.levels.last().map_or(self.outer, |level| level.within))
    }

    fn pass_string(&mut self, redactor: &Redactor, text: &str) {
        if self.names_column(self.key.as_deref()) {
            self.learn_column(redactor, text);
        }
        let Some(key) = self.key.take() else {
            self.last =
                Some(text[..text.floor_char_boundary(text.len().min(NAME_MAX_BYTES))].to_owned());
            return;
        };
        if NAME_KEYS.contains(&key.as_str())
            && let Some(level) = self.levels.last_mut()
        {
            level.named = redactor.classify(text);
        }
    }

    fn open(&mut self, redactor: &Redactor, is_array: bool) {
        let class = self.class(redactor);
        let key = self.key.take();
        self.last = None;
        self.open_as(key.as_deref(), class, is_array);
    }

    /// Opens a container behind a key, of which the place says this.
    fn open_as(&mut self, key: Option<&str>, class: Option<NameClass>, is_array: bool) {
        let within = class.or(self.within());
        if self.levels.len() < DEPTH_MAX {
            let role = self.role(key, is_array);
            self.levels.push(Level {
                is_array,
                within,
                named: None,
                role,
                columns: None,
                index: 0,
            });
        } else {
            self.deeper += 1;
            self.deeper_within = self.deeper_within.or(within.map(|class| (self.deeper, class)));
        }
    }

    fn close(&mut self) {
        (self.key, self.last) = (None, None);
        if self.deeper > 0 {
            self.deeper -= 1;
            self.deeper_within = self.deeper_within.filter(|(begun, _)| *begun <= self.deeper);
        } else {
            let closed = self.levels.pop();
            if let Some(closed) = closed
                && (closed.role == Role::Names || closed.columns.is_some())
            {
                self.take_columns(closed);
            }
        }
    }

    fn colon(&mut self) {
        self.key = self.last.take();
    }

    fn comma(&mut self) {
        (self.key, self.last) = (None, None);
        self.next_element();
    }

    fn next_element(&mut self) {
        if self.deeper == 0
            && let Some(level) = self.levels.last_mut()
            && level.role.counts()
        {
            level.index += 1;
        }
    }
}

/// The place of a string's closing quote, looked for from `from`.
fn string_end(raw: &str, from: usize) -> Option<usize> {
    let bytes = raw.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        at += memchr::memchr2(b'"', b'\\', &bytes[at..])?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
    None
}

fn append_escaped(inner: Out, out: &mut Out) {
    let redacted = Redacted { text: inner.text.into(), findings: inner.findings };
    out.append_as(&redacted, escape_into);
}

/// Fields that hold the name of what a field beside them holds.
const NAME_KEYS: &[&str] = &["name", "key", "field", "header", "Name", "Key"];
/// Fields that hold it.
const VALUE_KEYS: &[&str] = &["value", "Value", "val", "values"];

#[cfg(test)]
mod tests;
