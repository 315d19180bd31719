//! A body that comes in pieces of at most 64 KiB: pieces in, masked text out, what may go on in
//! the next piece held back. Its state is bytes that can be kept and gone on with elsewhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::open::OpenedStream;
use crate::redacted::{Out, Withheld};
use crate::redactor::Redactor;
use crate::shape::Shape;

/// The bytes are no state of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the state of a masked stream")]
pub struct StreamError;

/// Masks one body.
#[derive(Clone, Debug)]
pub struct StreamRedactor {
    redactor: Redactor,
    machine: Machine,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    form: u32,
    machine: Machine,
}

impl StreamRedactor {
    pub(crate) fn new(redactor: Redactor, shape: Shape) -> Self {
        Self { redactor, machine: Machine::new(shape) }
    }

    pub(crate) fn withheld(redactor: Redactor, why: Withheld) -> Self {
        Self { redactor, machine: Machine::Opened(Box::new(OpenedStream::withheld(why))) }
    }

    pub(crate) fn from_bytes(redactor: Redactor, state: &[u8]) -> Result<Self, StreamError> {
        let kept: Kept = serde_json::from_slice(state).map_err(|_| StreamError)?;
        if kept.form != FORM {
            return Err(StreamError);
        }
        Ok(Self { redactor, machine: kept.machine })
    }

    /// The state, to go on from with [`Redactor::resume`]. It holds clear text: seal it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let kept = Kept { form: FORM, machine: self.machine.clone() };
        serde_json::to_vec(&kept).unwrap_or_default()
    }

    /// Takes a piece and lets out what is certain.
    #[must_use]
    pub fn push(&mut self, piece: &str) -> Out {
        self.run(piece, false)
    }

    /// Takes the last piece, lets out everything, and begins anew.
    #[must_use]
    pub fn push_last(&mut self, piece: &str) -> Out {
        self.run(piece, true)
    }

    /// Whether it reads bytes that are no text: what comes out is text all the same.
    #[must_use]
    pub fn reads_bytes(&self) -> bool {
        matches!(self.machine, Machine::Multipart(_) | Machine::Opened(_))
    }

    /// Takes a piece that is base64 of bytes, as [`reads_bytes`](Self::reads_bytes) has it; `done`
    /// says that it is the last. Elsewhere it is withheld.
    #[must_use]
    pub fn push_base64(&mut self, piece: &str, done: bool) -> Out {
        let mut out = Out::default();
        match (&mut self.machine, STANDARD.decode(piece)) {
            (Machine::Multipart(parts), Ok(bytes)) => {
                parts.push(&self.redactor, &bytes, done, &mut out);
            }
            (Machine::Multipart(parts), Err(_)) => {
                parts.break_off(&self.redactor, &mut out);
                parts.push(&self.redactor, &[], done, &mut out);
            }
            (Machine::Opened(opened), Ok(bytes)) => {
                opened.push(&self.redactor, &bytes, done, &mut out);
            }
            (Machine::Opened(opened), Err(_)) => {
                opened.break_off(&mut out);
                opened.push(&self.redactor, &[], done, &mut out);
            }
            _ => out.withheld = Some(Withheld::NotText),
        }
        out
    }

    /// The body has ended: lets out the rest, and begins anew.
    #[must_use]
    pub fn finish(&mut self) -> Out {
        self.run("", true)
    }

    /// Nothing came for long: lets out what is held back, the beginning of a possible secret
    /// masked. When its rest comes after all, it is dropped.
    #[must_use]
    pub fn flush_after_timeout(&mut self) -> Out {
        let mut out = Out::default();
        self.machine.flush(&self.redactor, &mut out);
        out
    }

    /// What it masks with, from its beginning to its end.
    #[must_use]
    pub const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Whether something is held back.
    #[must_use]
    pub fn has_tail(&self) -> bool {
        self.machine.has_tail()
    }

    /// Whether the next piece would be treated as a body's first: there is no state to keep.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.machine.is_new()
    }

    /// How much it holds, in bytes, about.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.machine.held_bytes()
    }

    fn run(&mut self, piece: &str, done: bool) -> Out {
        let mut out = Out::default();
        self.machine.push(&self.redactor, piece, done, &mut out);
        out
    }
}

const FORM: u32 = 1;

#[cfg(test)]
mod tests;
