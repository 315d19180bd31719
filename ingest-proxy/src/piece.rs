//! Cutting a body into pieces that a record can hold: at most 64 KiB of clear bytes, text cut
//! between two characters, every arrival with its offset and time. The bytes themselves are not
//! copied; only the text of the record is.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use trailgate_schemas::{Frame, Micros};

use crate::limits::{PIECE_MAX_BYTES, PIECE_MAX_FRAMES};

/// What arrived of a body and is in no record yet.
#[derive(Debug)]
pub(crate) struct Cutter {
    held: VecDeque<Arrival>,
    held_bytes: usize,
    offset: u64,
    /// Whether the body says that it is text: then half a character waits for its other half.
    textual: bool,
}

#[derive(Debug)]
struct Arrival {
    bytes: Bytes,
    time: Micros,
}

/// A piece of a body, ready to be recorded and, once it is, to be passed on.
#[derive(Debug, PartialEq)]
pub(crate) struct Piece {
    /// Where it begins in the body.
    pub(crate) offset: u64,
    pub(crate) text: PieceText,
    pub(crate) frames: Vec<Frame>,
    /// The very bytes.
    pub(crate) bytes: Vec<Bytes>,
    pub(crate) length: usize,
}

/// What a record holds of a piece.
#[derive(Debug, PartialEq)]
pub(crate) enum PieceText {
    /// The bytes are text.
    Plain(String),
    /// They are not, so they are base64.
    Base64(String),
}

impl Cutter {
    pub(crate) fn new(textual: bool) -> Self {
        Self { held: VecDeque::new(), held_bytes: 0, offset: 0, textual }
    }

    pub(crate) fn push(&mut self, bytes: Bytes, time: Micros) {
        if !bytes.is_empty() {
            self.held_bytes += bytes.len();
            self.held.push_back(Arrival { bytes, time });
        }
    }

    /// Whether what is held fills a piece.
    pub(crate) fn is_full(&self) -> bool {
        self.held_bytes >= PIECE_MAX_BYTES || self.held.len() >= PIECE_MAX_FRAMES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held_bytes == 0
    }

    /// How many bytes are held.
    pub(crate) fn held(&self) -> usize {
        self.held_bytes
    }

    /// Where the next piece begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Counts bytes that pass without a record.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.offset += bytes as u64;
    }

    /// The next piece of at most `room` bytes; none if there is nothing, or only half a character
    /// whose other half may still come.
    pub(crate) fn cut(&mut self, room: usize, ended: bool) -> Option<Piece> {
        let mut taken = self.take(room.clamp(4, PIECE_MAX_BYTES));
        let mut whole = Vec::with_capacity(taken.iter().map(|a| a.bytes.len()).sum());
        for arrival in &taken {
            whole.extend_from_slice(&arrival.bytes);
        }
        let more_held = self.held_bytes > 0;
        let text = match String::from_utf8(whole) {
            Ok(text) => PieceText::Plain(text),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let half_a_character = error.utf8_error().error_len().is_none();
                let mut whole = error.into_bytes();
                if half_a_character && (more_held || (self.textual && !ended)) {
                    self.give_back(&mut taken, whole.len() - valid);
                    whole.truncate(valid);
                    // What stands before `valid` is UTF-8.
                    PieceText::Plain(String::from_utf8(whole).unwrap_or_default())
                } else {
                    PieceText::Base64(STANDARD.encode(&whole))
                }
            }
        };
        let length: usize = taken.iter().map(|a| a.bytes.len()).sum();
        if length == 0 {
            return None;
        }
        let piece = Piece {
            offset: self.offset,
            text,
            frames: frames(&taken),
            bytes: taken.into_iter().map(|a| a.bytes).collect(),
            length,
        };
        self.offset += length as u64;
        Some(piece)
    }

    fn take(&mut self, room: usize) -> Vec<Arrival> {
        let mut taken = Vec::with_capacity(self.held.len().min(PIECE_MAX_FRAMES));
        let mut left = room;
        while left > 0 && taken.len() < PIECE_MAX_FRAMES {
            let Some(mut arrival) = self.held.pop_front() else { break };
            if arrival.bytes.len() > left {
                let rest = arrival.bytes.split_off(left);
                self.held.push_front(Arrival { bytes: rest, time: arrival.time });
            }
            left -= arrival.bytes.len();
            taken.push(arrival);
        }
        self.held_bytes -= room - left;
        taken
    }

    fn give_back(&mut self, taken: &mut Vec<Arrival>, mut bytes: usize) {
        self.held_bytes += bytes;
        while bytes > 0 {
            let Some(mut arrival) = taken.pop() else { return };
            let keep = arrival.bytes.len().saturating_sub(bytes);
            let back = arrival.bytes.split_off(keep);
            bytes -= back.len();
            let time = arrival.time;
            self.held.push_front(Arrival { bytes: back, time });
            if !arrival.bytes.is_empty() {
                taken.push(arrival);
            }
        }
    }
}

/// Arrivals at one moment are one.
fn frames(taken: &[Arrival]) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::with_capacity(taken.len());
    let mut offset = 0;
    for arrival in taken {
        if frames.last().is_none_or(|last| last.time != arrival.time) {
            frames.push(Frame { offset, time: arrival.time });
        }
        // A piece is at most 64 KiB.
        offset += arrival.bytes.len() as i64;
    }
    frames
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(cutter: &mut Cutter, room: usize) -> Vec<Piece> {
        std::iter::from_fn(|| cutter.cut(room, true)).collect()
    }

    fn recorded(piece: &Piece) -> Vec<u8> {
        match &piece.text {
            PieceText::Plain(text) => text.clone().into_bytes(),
            PieceText::Base64(text) => STANDARD.decode(text).unwrap(),
        }
    }

    #[test]
    fn half_a_character_of_text_waits_for_its_other_half() {
        let mut cutter = Cutter::new(true);
        cutter.push(Bytes::from_static(b"caf\xc3"), Micros(1));
        let first = cutter.cut(PIECE_MAX_BYTES, false).unwrap();
        assert_eq!(first.text, PieceText::Plain("caf".to_owned()));
        assert!(cutter.cut(PIECE_MAX_BYTES, false).is_none());
        cutter.push(Bytes::from_static(b"\xa9!"), Micros(2));
        let second = cutter.cut(PIECE_MAX_BYTES, false).unwrap();
        assert_eq!(second.text, PieceText::Plain("é!".to_owned()));
        assert_eq!(second.offset, 3);
        let expected = [Frame { offset: 0, time: Micros(1) }, Frame { offset: 1, time: Micros(2) }];
        assert_eq!(second.frames, expected);
    }

    #[test]
    fn half_a_character_at_the_end_is_not_kept_back() {
        let mut cutter = Cutter::new(true);
        cutter.push(Bytes::from_static(b"caf\xc3"), Micros(1));
        let pieces = all(&mut cutter, PIECE_MAX_BYTES);
        assert_eq!(pieces.len(), 1);
        assert_eq!(recorded(&pieces[0]), b"caf\xc3");
    }

    #[test]
    fn bytes_that_are_no_text_do_not_wait() {
        let mut cutter = Cutter::new(false);
        cutter.push(Bytes::from_static(b"\xc3"), Micros(1));
        assert!(cutter.cut(PIECE_MAX_BYTES, false).is_some());
    }

    #[test]
    fn many_small_arrivals_fill_a_piece() {
        let mut cutter = Cutter::new(true);
        for n in 0..2 * PIECE_MAX_FRAMES {
            cutter.push(Bytes::from_static(b"x"), Micros(n as i64));
        }
        assert!(cutter.is_full());
        assert_eq!(cutter.cut(PIECE_MAX_BYTES, false).unwrap().frames.len(), PIECE_MAX_FRAMES);
    }

    fn arrivals() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let text = "[a-zé€🦀]{0,40}".prop_map(String::into_bytes);
        let noise = proptest::collection::vec(any::<u8>(), 0..40);
        let long = (60_000usize..70_000).prop_map(|n| "é€x".repeat(n / 6).into_bytes());
        proptest::collection::vec(prop_oneof![4 => text, 2 => noise, 1 => long], 0..12)
    }

    proptest! {
        #[test]
        fn nothing_is_lost_added_or_reordered(
            arrivals in arrivals(), textual: bool, room in 4usize..70_000, eager: bool,
        ) {
            let whole: Vec<u8> = arrivals.concat();
            let mut cutter = Cutter::new(textual);
            let mut pieces = Vec::new();
            for (n, arrival) in arrivals.into_iter().enumerate() {
                cutter.push(Bytes::from(arrival), Micros(n as i64));
                if eager {
                    pieces.extend(cutter.cut(room, false));
                }
            }
            pieces.extend(all(&mut cutter, room));
            let mut offset = 0;
            for piece in &pieces {
                prop_assert_eq!(piece.offset, offset as u64);
                prop_assert!(piece.length <= room.min(PIECE_MAX_BYTES) && piece.length > 0);
                prop_assert_eq!(piece.bytes.concat(), &whole[offset..offset + piece.length]);
                prop_assert_eq!(recorded(piece), piece.bytes.concat());
                prop_assert!(piece.frames.iter().all(|f| (f.offset as usize) < piece.length));
                offset += piece.length;
            }
            prop_assert_eq!(offset, whole.len());
        }

        #[test]
        fn text_stays_text_wherever_it_is_cut(text in "[a-zé€🦀]{0,300}", at in 1usize..30, room in 4usize..64) {
            let mut cutter = Cutter::new(true);
            let mut pieces = Vec::new();
            for chunk in text.as_bytes().chunks(at) {
                cutter.push(Bytes::copy_from_slice(chunk), Micros(0));
                pieces.extend(cutter.cut(room, false));
            }
            pieces.extend(all(&mut cutter, room));
            let joined: String = pieces.iter().map(|p| match &p.text {
                PieceText::Plain(text) => text.as_str(),
                PieceText::Base64(_) => "not text",
            }).collect();
            prop_assert_eq!(joined, text);
        }
    }
}
