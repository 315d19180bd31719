//! One part: its bytes become text, and that is masked by the field's name or by what it is.

use serde::{Deserialize, Serialize};

use crate::key_name::NameClass;
use crate::limits::HOLD_MAX_BYTES;
use crate::machine::Machine;
use crate::redacted::{Out, Withheld};
use crate::redactor::Redactor;
use crate::scan::HitName;

/// The state of a part between two pieces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    content: Content,
    /// The beginning of a character.
    half: Vec<u8>,
    is_begun: bool,
}

/// How a part is masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Content {
    /// By its field's name, as a whole.
    Named {
        /// What the name says.
        class: NameClass,
        /// What came of it.
        held: String,
    },
    /// By what it is.
    Shaped(Box<Machine>),
    /// Its form is none that is read; nothing was said of it yet.
    Unreadable,
    /// What was to be said of it came out; drop the rest.
    Dropped,
}

impl Part {
    pub(super) const fn new(content: Content) -> Self {
        Self { content, half: Vec::new(), is_begun: false }
    }

    /// Whether nothing of it came.
    pub(super) const fn is_empty(&self) -> bool {
        !self.is_begun
    }

    pub(super) fn push(&mut self, redactor: &Redactor, bytes: &[u8], out: &mut Out) {
        self.is_begun |= !bytes.is_empty();
        match self.content {
            Content::Dropped => return,
            Content::Unreadable if bytes.is_empty() => return,
            Content::Unreadable => return self.withhold(redactor, out),
            Content::Named { .. } | Content::Shaped(_) => {}
        }
        let mut bytes_from_half = std::mem::take(&mut self.half);
        bytes_from_half.extend_from_slice(bytes);
        let all = bytes_from_half.as_slice();
        let (text, rest) = match std::str::from_utf8(all) {
            Ok(text) => (text, &all[all.len()..]),
            Err(error) => {
                let (text, rest) = all.split_at(error.valid_up_to());
                // What stands before is valid.
                let text = std::str::from_utf8(text).unwrap_or_default();
                (text, rest)
            }
        };
        let text_end = memchr::memchr(0, text.as_bytes());
        self.text(redactor, &text[..text_end.unwrap_or(text.len())], out);
        let is_half = std::str::from_utf8(rest).is_err_and(|error| error.error_len().is_none());
        if text_end.is_some() || (!rest.is_empty() && !is_half) {
            self.withhold(redactor, out);
        } else {
            self.half = rest.to_vec();
        }
    }

    /// The part has come to its end.
    pub(super) fn finish(&mut self, redactor: &Redactor, out: &mut Out) {
        if !std::mem::take(&mut self.half).is_empty() {
            self.withhold(redactor, out);
        }
        match &mut self.content {
            Content::Named { class, held } => {
                out.append(&redactor.field(held, Some(*class), 0));
            }
            Content::Shaped(machine) => machine.push(redactor, "", true, out),
            Content::Unreadable | Content::Dropped => {}
        }
        self.content = Content::Dropped;
    }

    /// The body broke off within the part.
    pub(super) fn break_off(&mut self, redactor: &Redactor, out: &mut Out) {
        if matches!(self.content, Content::Named { .. }) {
            self.flush(redactor, out);
        }
        self.finish(redactor, out);
    }

    /// Lets out what is held, since nothing more came for long.
    pub(super) fn flush(&mut self, redactor: &Redactor, out: &mut Out) {
        match &mut self.content {
            // Half a value can't be judged.
            Content::Named { class, held } if !held.is_empty() => {
                redactor.replace(HitName::Named(class.rule()), held, out);
                self.content = Content::Dropped;
            }
            Content::Shaped(machine) => machine.flush(redactor, out),
            Content::Named { .. } | Content::Unreadable | Content::Dropped => {}
        }
    }

    pub(super) fn has_tail(&self) -> bool {
        match &self.content {
            Content::Named { held, .. } => !held.is_empty(),
            Content::Shaped(machine) => machine.has_tail(),
            Content::Unreadable | Content::Dropped => false,
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        match &self.content {
            Content::Named { held, .. } => held.len(),
            Content::Shaped(machine) => machine.held_bytes(),
            Content::Unreadable | Content::Dropped => 0,
        }
    }

    fn text(&mut self, redactor: &Redactor, text: &str, out: &mut Out) {
        match &mut self.content {
            Content::Named { class, held } => {
                held.push_str(text);
                if held.len() > HOLD_MAX_BYTES {
                    let begun = &held[..held.floor_char_boundary(HOLD_MAX_BYTES)];
                    redactor.replace(HitName::Named(class.rule()), begun, out);
                    self.content = Content::Dropped;
                }
            }
            Content::Shaped(machine) => machine.push(redactor, text, false, out),
            Content::Unreadable | Content::Dropped => {}
        }
    }

    /// From here on it is no text. What came before was, and is masked as such; but not by its
    /// name, of which only the whole can tell.
    fn withhold(&mut self, redactor: &Redactor, out: &mut Out) {
        match &mut self.content {
            Content::Dropped => return,
            Content::Shaped(machine) => machine.push(redactor, "", true, out),
            Content::Named { .. } | Content::Unreadable => {}
        }
        redactor.withhold(Withheld::NotText, out);
        self.content = Content::Dropped;
    }
}
