//! Bodies that have to be opened before they can be read: compressed ones, and those in another
//! charset than UTF-8.
//!
//! A decompressor's state can be neither kept nor gone on with elsewhere, so what is compressed is
//! held as it came until the body ends, up to a bound, and is opened then. What can't be opened is
//! withheld, with the reason: it comes out in no way, also in part.

use serde::{Deserialize, Serialize};

use crate::limits::{CLOSED_MAX_BYTES, SNIFF_BYTES};
use crate::machine::Machine;
use crate::redacted::{Out, Withheld};
use crate::redactor::Redactor;
use crate::shape::Shape;

mod charset;
mod coding;
mod held;
mod media;

use charset::Charset;
use coding::Coding;
use held::Held;

pub(crate) use media::unreadable;

/// What a body's bytes went through before they were sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wrapping {
    /// In the order in which they were applied.
    codings: Vec<Coding>,
    /// None where nothing is said: by how it begins.
    charset: Option<Charset>,
}

impl Wrapping {
    /// As a head tells it; none if the body is UTF-8 as it comes, or if nothing says that it is not.
    #[must_use]
    pub fn of_head(content_encoding: Option<&str>, media_type: Option<&str>) -> Option<Self> {
        let codings = coding::all_of(content_encoding.unwrap_or_default());
        let charset = media_type.and_then(charset::of_media_type);
        let is_plain = charset.as_ref().is_none_or(Charset::is_utf8);
        (!codings.is_empty() || !is_plain).then_some(Self { codings, charset })
    }

    /// Of bytes of which nothing is said: text in UTF-16 says so itself, as does what is compressed.
    #[must_use]
    pub const fn unsaid() -> Self {
        Self { codings: Vec::new(), charset: None }
    }
}

/// The state of such a body between two pieces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenedStream {
    wrapping: Wrapping,
    shape: Shape,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    /// Its first bytes, which may say what it is.
    Start(Held),
    /// Bytes that are opened all at once.
    Closed(Held),
    /// Text that is masked as it comes, and the beginning of a character.
    Open { machine: Box<Machine>, charset: Charset, half: Held },
    /// It can't be read.
    Withheld(Withheld),
}

impl OpenedStream {
    pub(crate) fn new(wrapping: Wrapping, shape: Shape) -> Self {
        Self { wrapping, shape, place: Place::Start(Held::default()) }
    }

    /// One of which nothing comes out.
    pub(crate) fn withheld(why: Withheld) -> Self {
        let place = Place::Withheld(why);
        Self { wrapping: Wrapping::unsaid(), shape: Shape::Text, place }
    }

    /// Takes a piece; `done` says that it is the last.
    pub(crate) fn push(&mut self, redactor: &Redactor, piece: &[u8], done: bool, out: &mut Out) {
        if let Err(why) = self.step(redactor, piece, done, out) {
            self.place = Place::Withheld(why);
        }
        if let Place::Withheld(why) = self.place
            && (!piece.is_empty() || done)
        {
            *out = Out { withheld: Some(why), ..Out::default() };
            redactor.withhold(why, out);
        }
        if done {
            self.place = Place::Start(Held::default());
        }
    }

    /// A piece of it can't be read, so nothing behind it can be either.
    pub(crate) fn break_off(&mut self, out: &mut Out) {
        self.place = Place::Withheld(Withheld::Broken);
        out.withheld = Some(Withheld::Broken);
    }

    /// Lets out what is held of text, since nothing more came for long.
    pub(crate) fn flush(&mut self, redactor: &Redactor, out: &mut Out) {
        if let Place::Open { machine, .. } = &mut self.place {
            machine.flush(redactor, out);
        }
    }

    pub(crate) fn has_tail(&self) -> bool {
        matches!(&self.place, Place::Open { machine, .. } if machine.has_tail())
    }

    /// Never where a head told of it: the next piece does not.
    pub(crate) fn is_new(&self) -> bool {
        let is_untouched = matches!(&self.place, Place::Start(held) if held.is_empty());
        is_untouched && self.wrapping == Wrapping::unsaid()
    }

    pub(crate) fn held_bytes(&self) -> usize {
        match &self.place {
            Place::Start(held) | Place::Closed(held) => held.len(),
            Place::Open { machine, half, .. } => machine.held_bytes() + half.len(),
            Place::Withheld(_) => 0,
        }
    }

    fn step(
        &mut self,
        redactor: &Redactor,
        piece: &[u8],
        done: bool,
        out: &mut Out,
    ) -> Result<(), Withheld> {
        match &mut self.place {
            Place::Start(held) => {
                held.extend(piece);
                if held.len() < SNIFF_BYTES && !done {
                    return Ok(());
                }
                let bytes = std::mem::take(held);
                self.place = self.begin(&bytes)?;
                self.step(redactor, &bytes, done, out)
            }
            Place::Closed(held) => {
                held.extend(piece);
                if held.len() > CLOSED_MAX_BYTES {
                    return Err(Withheld::OverBudget);
                }
                if !done {
                    return Ok(());
                }
                let bytes = std::mem::take(held);
                self.place = self.unpacked(&bytes)?;
                let Place::Closed(bytes) = &mut self.place else { return Ok(()) };
                let bytes = std::mem::take(bytes);
                self.whole(redactor, &bytes, out)
            }
            Place::Open { machine, charset, half } => {
                half.extend(piece);
                let bytes = std::mem::take(half);
                let text = charset.decode(&bytes, done, half);
                if !media::is_text(&text) {
                    return Err(Withheld::NotText);
                }
                machine.push(redactor, &text, done, out);
                Ok(())
            }
            Place::Withheld(why) => Err(*why),
        }
    }

    /// How a body that begins so is read.
    fn begin(&mut self, bytes: &[u8]) -> Result<Place, Withheld> {
        if self.wrapping == Wrapping::unsaid() {
            self.wrapping.codings = Coding::of_beginning(bytes).into_iter().collect();
        }
        if self.wrapping.codings.contains(&Coding::Unknown) {
            return Err(Withheld::UnknownEncoding);
        }
        let is_closed = !self.wrapping.codings.is_empty();
        let charset = self.charset(bytes);
        if is_closed || !charset.comes_in_pieces() || matches!(self.shape, Shape::Multipart(_)) {
            return Ok(Place::Closed(Held::default()));
        }
        if let Some(why) = unreadable(bytes) {
            return Err(why);
        }
        let machine = Box::new(Machine::new(self.shape.clone()));
        Ok(Place::Open { machine, charset, half: Held::default() })
    }

    /// What was wrapped, without its codings.
    fn unpacked(&self, bytes: &[u8]) -> Result<Place, Withheld> {
        Ok(Place::Closed(coding::open(&self.wrapping.codings, bytes)?.into()))
    }

    /// Masks a whole body.
    fn whole(&self, redactor: &Redactor, bytes: &[u8], out: &mut Out) -> Result<(), Withheld> {
        if let Some(why) = unreadable(bytes) {
            return Err(why);
        }
        let mut machine = Machine::new(self.shape.clone());
        if let Machine::Multipart(parts) = &mut machine {
            parts.push(redactor, bytes, true, out);
            return Ok(());
        }
        let text = self.charset(bytes).decode(bytes, true, &mut Held::default());
        if !media::is_text(&text) {
            return Err(Withheld::NotText);
        }
        machine.push(redactor, &text, true, out);
        Ok(())
    }

    fn charset(&self, bytes: &[u8]) -> Charset {
        let told = Charset::of_beginning(bytes).or(self.wrapping.charset);
        told.unwrap_or_else(|| Charset::guessed(bytes))
    }
}

impl Redactor {
    /// Masks a whole body of bytes, of which nothing is known but its shape.
    ///
    /// ```
    /// use trailgate_redact::{Redactor, Rules, Shape, TokenKey, Withheld};
    /// let redactor = Redactor::new(Rules::builtin(), TokenKey::new(&[7; 32]));
    /// let shape = Shape::of_head(Some("text/plain; charset=utf-16le"), None);
    /// assert_eq!(redactor.bytes(shape, b"h\0i\0").text, "hi");
    /// let picture = redactor.bytes(Shape::Unknown, b"\x89PNG\r\n\x1a\n...");
    /// assert_eq!(picture.withheld, Some(Withheld::Image));
    /// ```
    #[must_use]
    pub fn bytes(&self, shape: Shape, body: &[u8]) -> Out {
        let mut out = Out::default();
        let mut opened = match shape {
            Shape::Wrapped(wrapping, shape) => OpenedStream::new(wrapping, *shape),
            shape => OpenedStream::new(Wrapping::unsaid(), shape),
        };
        opened.push(self, body, true, &mut out);
        out
    }
}

#[cfg(test)]
mod tests;
