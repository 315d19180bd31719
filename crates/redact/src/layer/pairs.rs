//! Bytes in hex, one by one: `73 6b 2d`, `73:6b:2d`, `0x73, 0x6b`. Those with a backslash before
//! each are escapes.

use crate::layer::base64::{BEYOND, CLEAR, KINDS};
use crate::layer::hex::{DIGITS, NO_DIGIT};
use crate::layer::map::Map;
use crate::layer::{Reading, text_of};

/// Reads the rows of such bytes in a text.
pub(super) fn readings(text: &str, take: &mut impl FnMut(Reading)) {
    let bytes = text.as_bytes();
    let mut done = 0;
    while let Some(start) = next_row(bytes, done) {
        done = row(bytes, start, take).max(start + 1);
    }
    let mut done = 0;
    while let Some(at) = memchr::memmem::find(&bytes[done..], b"0x") {
        done = row(bytes, done + at, take).max(done + at + 2);
    }
}

/// Whether there may be such a row that is not told by `0x`.
pub(super) fn has_row(bytes: &[u8]) -> bool {
    next_row(bytes, 0).is_some()
}

/// Where a row of bytes begins that are set apart by one character each. Of eight in a row there is
/// one whose separator stands at a place that is looked at, with two more behind it.
fn next_row(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at + 15 <= bytes.len() {
        let found = (at..at + 3).find(|place| {
            let byte = bytes[place + 9];
            is_separator(byte) && bytes[place + 6] == byte && bytes[place + 12] == byte
        });
        if let Some(place) = found.filter(|place| value(bytes, place + 7).is_some()) {
            // Back to the first that could belong to it.
            let mut start = place + 7;
            while start >= from + 3 && value(bytes, start - 3).is_some() {
                start -= 3;
            }
            return Some(start);
        }
        at += 3 * (ROW_MIN - 4);
    }
    None
}

/// Reads the bytes that stand in a row from `start` on; says where the row ends.
fn row(bytes: &[u8], start: usize, take: &mut impl FnMut(Reading)) -> usize {
    let mut read = Vec::new();
    let mut map = Map::starting_at(start);
    let mut at = start;
    let mut is_text = true;
    loop {
        let prefix = if bytes[at..].starts_with(b"0x") { 2 } else { 0 };
        let Some(byte) = value(bytes, at + prefix) else { break };
        is_text &= KINDS[usize::from(byte)] & (CLEAR | BEYOND) != 0;
        let end = at + prefix + 2;
        let separator = separator(&bytes[end..]);
        map.add((read.len(), 1), (at, end + separator - at));
        read.push(byte);
        at = end + separator;
        if separator == 0 {
            break;
        }
    }
    if read.len() >= ROW_MIN {
        let clear = read.iter().filter(|byte| KINDS[usize::from(**byte)] & CLEAR != 0).count();
        if is_text || clear * 4 >= read.len() * 3 {
            take(Reading { text: text_of(read), map });
        }
    }
    at
}

/// The byte that two digits of hex are, if nothing else belongs to them.
fn value(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| bytes.get(at).map(|byte| DIGITS[usize::from(*byte)]);
    let (high, low) = (digit(at)?, digit(at + 1)?);
    let is_whole = digit(at + 2).is_none_or(|digit| digit == NO_DIGIT);
    (high != NO_DIGIT && low != NO_DIGIT && is_whole).then_some(high << 4 | low)
}

/// How long what sets two bytes apart is.
fn separator(rest: &[u8]) -> usize {
    match rest {
        [b',', b'\r' | b'\n' | b' ', ..] => {
            1 + rest[1..].iter().take(SEPARATOR_MAX).take_while(|b| b.is_ascii_whitespace()).count()
        }
        [byte, ..] if is_separator(*byte) || matches!(byte, b'\n' | b',') => 1,
        [b'\r', b'\n', ..] => 2,
        _ => 0,
    }
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b':' | b'-' | b',')
}

/// Eight bytes: addresses of hardware have six.
const ROW_MIN: usize = 8;
const SEPARATOR_MAX: usize = 18;
