//! Cutting a stream of server-sent events into frames, whatever the chunks it arrives in.
//!
//! A frame keeps its very bytes, blank line included, so that what is forwarded is what came. Bytes
//! that lie in one chunk are shared, not copied. Lines end with LF or CRLF; the Agent Server writes
//! CRLF, and no newline inside data.
//!
//! Memory is bounded by [`FRAME_MAX_BYTES`]: a longer frame is not refused, which would break a
//! stream that works without the gateway, nor held, but passed on in pieces under its first line:
//! [`Piece::LargeBegin`], then [`Piece::LargeMore`] up to its end. Its event name is known by then,
//! so what was injected can still be dropped; its JSON is not read.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use super::limits::FRAME_MAX_BYTES;

/// A whole frame: its lines and the blank line behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    bytes: Bytes,
}

/// What the splitter gives next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A whole frame.
    Frame(Frame),
    /// The beginning of a frame that is too long to hold.
    LargeBegin(Frame),
    /// More of it.
    LargeMore(Bytes),
    /// The last of it.
    LargeEnd(Bytes),
    /// What stood behind the last frame when the stream ended.
    Rest(Frame),
}

/// Cuts a stream into frames. Give it chunks with [`Self::push`] and take pieces with
/// [`Self::next`] until there are none; at the end of the stream take [`Self::finish`].
#[derive(Debug)]
pub struct Splitter {
    max_bytes: usize,
    /// The beginning of a frame that is not whole yet.
    held: BytesMut,
    /// What came last and was not looked through yet.
    chunk: Bytes,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a frame that is held, all of it looked through; where its last line begins.
    Held { line: usize },
    /// In a frame that is passed on; what is known of its current line.
    Large(Line),
}

/// What is known of a line whose bytes are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Nothing of it has come.
    Empty,
    /// One carriage return has come, which may be half of a line's end.
    Return,
    /// Something has come.
    Text,
}

const START: State = State::Held { line: 0 };

impl Default for Splitter {
    fn default() -> Self {
        Self::with_bound(FRAME_MAX_BYTES)
    }
}

impl Splitter {
    /// A splitter that holds frames up to `max_bytes`.
    #[must_use]
    pub fn with_bound(max_bytes: usize) -> Self {
        Self { max_bytes, held: BytesMut::new(), chunk: Bytes::new(), state: START }
    }

    /// Takes a chunk. All pieces of the one before must have been taken.
    pub fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "the pieces of the last chunk were not all taken");
        self.chunk = chunk;
    }

    /// The next piece of what was pushed; none means that more must be pushed.
    #[expect(clippy::should_implement_trait, reason = "it goes on after none, when more is pushed")]
    pub fn next(&mut self) -> Option<Piece> {
        if self.chunk.is_empty() {
            return None;
        }
        match self.state {
            State::Held { line } => self.next_held(line),
            State::Large(line) => Some(self.next_large(line)),
        }
    }

    /// What is left when the stream has ended, if anything is.
    pub fn finish(&mut self) -> Option<Piece> {
        let bytes = self.held.split().freeze();
        self.state = START;
        (!bytes.is_empty()).then_some(Piece::Rest(Frame { bytes }))
    }

    fn next_held(&mut self, line: usize) -> Option<Piece> {
        match self.frame_end(line) {
            Ok(end) => Some(Piece::Frame(Frame { bytes: self.take(end) })),
            Err(line) => {
                let chunk = std::mem::take(&mut self.chunk);
                self.held.extend_from_slice(&chunk);
                self.state = State::Held { line };
                if self.held.len() <= self.max_bytes {
                    return None;
                }
                let last_line = self.held.get(line..).unwrap_or_default();
                self.state = State::Large(match last_line {
                    [] => Line::Empty,
                    [b'\r'] => Line::Return,
                    [..] => Line::Text,
                });
                Some(Piece::LargeBegin(Frame { bytes: self.held.split().freeze() }))
            }
        }
    }

    /// Where in the chunk the frame ends, or where (in held + chunk) its last line begins.
    fn frame_end(&self, mut line: usize) -> Result<usize, usize> {
        let before = self.held.len();
        for newline in memchr::memchr_iter(b'\n', &self.chunk) {
            let end = before + newline;
            let empty = match end - line {
                0 => true,
                1 => self.byte(line) == Some(b'\r'),
                _ => false,
            };
            if empty {
                return Ok(newline + 1);
            }
            line = end + 1;
        }
        Err(line)
    }

    fn byte(&self, at: usize) -> Option<u8> {
        match at.checked_sub(self.held.len()) {
            None => self.held.get(at).copied(),
            Some(at) => self.chunk.get(at).copied(),
        }
    }

    /// What is held and the first `end` bytes of the chunk, shared if nothing is held.
    fn take(&mut self, end: usize) -> Bytes {
        self.state = START;
        let head = self.chunk.split_to(end);
        if self.held.is_empty() {
            return head;
        }
        self.held.extend_from_slice(&head);
        self.held.split().freeze()
    }

    fn next_large(&mut self, mut line: Line) -> Piece {
        let mut from = 0;
        for newline in memchr::memchr_iter(b'\n', &self.chunk) {
            let text = self.chunk.get(from..newline).unwrap_or_default();
            if matches!(line.with(text), Line::Empty | Line::Return) {
                self.state = START;
                return Piece::LargeEnd(self.chunk.split_to(newline + 1));
            }
            line = Line::Empty;
            from = newline + 1;
        }
        let rest = self.chunk.get(from..).unwrap_or_default();
        self.state = State::Large(line.with(rest));
        Piece::LargeMore(std::mem::take(&mut self.chunk))
    }
}

impl Line {
    fn with(self, text: &[u8]) -> Self {
        match (self, text) {
            (line, []) => line,
            (Self::Empty, b"\r") => Self::Return,
            (Self::Empty | Self::Return | Self::Text, _) => Self::Text,
        }
    }
}

impl Frame {
    /// A frame of these bytes.
    #[must_use]
    pub const fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// Its bytes, as they came.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its bytes, as they came.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Its event's name; none for a comment (a heartbeat) or a name that is no UTF-8.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        self.field(b"event").and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Its id, which a client sends as `Last-Event-ID` to go on from here.
    #[must_use]
    pub fn id(&self) -> Option<&[u8]> {
        self.field(b"id")
    }

    /// Its data; several lines are joined by LF.
    #[must_use]
    pub fn data(&self) -> Option<Cow<'_, [u8]>> {
        let mut lines = self.lines().filter_map(|line| value_of(line, b"data"));
        let first = lines.next()?;
        let Some(second) = lines.next() else { return Some(Cow::Borrowed(first)) };
        let mut joined = first.to_vec();
        for line in std::iter::once(second).chain(lines) {
            joined.push(b'\n');
            joined.extend_from_slice(line);
        }
        Some(Cow::Owned(joined))
    }

    /// The frame without its `id:` lines; the same bytes if it has none.
    #[must_use]
    pub fn without_id(self) -> Self {
        if self.id().is_none() {
            return self;
        }
        let mut kept = BytesMut::with_capacity(self.bytes.len());
        for line in self.bytes.split_inclusive(|byte| *byte == b'\n') {
            if value_of(trimmed(line), b"id").is_none() {
                kept.extend_from_slice(line);
            }
        }
        Self { bytes: kept.freeze() }
    }

    fn field(&self, name: &[u8]) -> Option<&[u8]> {
        // As the standard has it, the last one counts.
        self.lines().filter_map(|line| value_of(line, name)).last()
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split(|byte| *byte == b'\n').map(trimmed)
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The value of a line `name: value`, without the one space that may stand before it.
fn value_of<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let rest = line.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]], bound: usize) -> Vec<Piece> {
        let mut splitter = Splitter::with_bound(bound);
        let mut pieces = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            while let Some(piece) = splitter.next() {
                pieces.push(piece);
            }
        }
        pieces.extend(splitter.finish());
        pieces
    }

    fn bytes(pieces: &[Piece]) -> Vec<u8> {
        let mut all = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Frame(frame) | Piece::LargeBegin(frame) | Piece::Rest(frame) => {
                    all.extend_from_slice(frame.bytes());
                }
                Piece::LargeMore(more) | Piece::LargeEnd(more) => all.extend_from_slice(more),
            }
        }
        all
    }

    #[test]
    fn frames_end_at_a_blank_line_of_either_kind() {
        let text = b"event: a\r\ndata: 1\r\n\r\n: heartbeat\n\nevent: b\ndata: 2\nid: 5-0\n\n";
        let pieces = split(&[text], 1024);
        let frames: Vec<&Frame> = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Frame(frame) => frame,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(frames.len(), 3);
        assert_eq!(frames[0].event(), Some("a"));
        assert_eq!(frames[0].data().as_deref(), Some(&b"1"[..]));
        assert_eq!(frames[1].event(), None);
        assert_eq!(frames[2].id(), Some(&b"5-0"[..]));
        assert_eq!(frames[2].clone().without_id().bytes(), "event: b\ndata: 2\n\n");
    }

    #[test]
    fn frames_in_one_chunk_share_its_memory() {
        let chunk = Bytes::from_static(b"event: a\r\n\r\nevent: b\r\n\r\n");
        let mut splitter = Splitter::default();
        splitter.push(chunk.clone());
        let Some(Piece::Frame(frame)) = splitter.next() else { panic!("no frame") };
        assert_eq!(frame.bytes().as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn several_data_lines_are_joined_and_the_last_event_counts() {
        let frame =
            Frame::new(Bytes::from_static(b"event: a\nevent:b\ndata: 1\ndata:\ndata: 2\n\n"));
        assert_eq!(frame.data().as_deref(), Some(&b"1\n\n2"[..]));
        assert_eq!(frame.event(), Some("b"));
    }

    #[test]
    fn a_frame_beyond_the_bound_streams_through_in_pieces() {
        let text = b"event: values\r\ndata: 0123456789\r\n\r\nevent: b\r\n\r\n";
        let chunks: Vec<&[u8]> = text.chunks(5).collect();
        let pieces = split(&chunks, 16);
        assert!(matches!(&pieces[0], Piece::LargeBegin(head) if head.event() == Some("values")));
        assert!(pieces.iter().any(|piece| matches!(piece, Piece::LargeEnd(_))));
        assert!(matches!(pieces.last(), Some(Piece::Frame(frame)) if frame.event() == Some("b")));
        assert_eq!(bytes(&pieces), text);
    }

    #[test]
    fn what_is_left_at_the_end_is_given_as_it_is() {
        let pieces = split(&[b"event: a\r\n\r\nevent: b\r\nda"], 1024);
        assert!(matches!(&pieces[1], Piece::Rest(rest) if rest.bytes() == "event: b\r\nda"));
    }

    /// Texts made of what matters to the splitter, so that every corner is met often.
    fn texts() -> impl Strategy<Value = Vec<u8>> {
        const PARTS: &[&str] =
            &["\n", "\r", "\r\n", "\n\n", "\r\n\r\n", "a", "event: x", "data: 1", ": h", "id: 1"];
        prop::collection::vec(prop::sample::select(PARTS), 0..40)
            .prop_map(|parts| parts.concat().into_bytes())
    }

    fn cut<'t>(text: &'t [u8], cuts: &[usize]) -> Vec<&'t [u8]> {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
    }

    proptest! {
        #[test]
        fn the_chunks_do_not_matter(text in texts(), cuts in prop::collection::vec(0_usize..500, 0..12)) {
            let whole = split(&[&text], 1 << 20);
            let parts = split(&cut(&text, &cuts), 1 << 20);
            prop_assert_eq!(&whole, &parts);
            prop_assert_eq!(bytes(&whole), text);
        }

        #[test]
        fn every_byte_comes_out_and_no_more_than_the_bound_is_held(
            text in texts(), cuts in prop::collection::vec(0_usize..500, 0..12), bound in 0_usize..40,
        ) {
            let chunks = cut(&text, &cuts);
            let mut splitter = Splitter::with_bound(bound);
            let mut pieces = Vec::new();
            for chunk in chunks {
                splitter.push(Bytes::copy_from_slice(chunk));
                while let Some(piece) = splitter.next() {
                    pieces.push(piece);
                }
                prop_assert!(splitter.held.len() <= bound);
            }
            pieces.extend(splitter.finish());
            prop_assert_eq!(bytes(&pieces), text);
        }

        #[test]
        fn the_bound_does_not_move_where_frames_end(text in texts(), bound in 0_usize..40) {
            let ends = |pieces: &[Piece]| {
                let mut end = 0;
                let mut ends = Vec::new();
                for piece in pieces {
                    end += bytes(std::slice::from_ref(piece)).len();
                    if matches!(piece, Piece::Frame(_) | Piece::LargeEnd(_)) {
                        ends.push(end);
                    }
                }
                ends
            };
            let cuts: Vec<usize> = (0..text.len()).step_by(3).collect();
            prop_assert_eq!(ends(&split(&[&text], 1 << 20)), ends(&split(&cut(&text, &cuts), bound)));
        }

        #[test]
        fn no_bytes_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            for piece in split(&[&text], 64) {
                if let Piece::Frame(frame) | Piece::LargeBegin(frame) | Piece::Rest(frame) = piece {
                    let _ = (frame.event(), frame.data(), frame.id());
                    let _ = frame.without_id();
                }
            }
        }
    }
}
