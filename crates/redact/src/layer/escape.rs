//! Single characters written in other ways: `%73`, `\u0073`, `\x73`, `&#115;`, doubled quotes, and
//! those that nobody sees.
//!
//! All are read in one pass, since they stand beside each other; what is escaped twice is read in
//! the next layer. Only the surroundings of an escape are read again, as far as a rule looks.

use crate::layer::hex::{DIGITS, NO_DIGIT};
use crate::layer::map::Map;
use crate::layer::{Reading, text_of};
use crate::limits::WINDOW_BYTES;

mod backslash;
mod entity;

/// Reads the surroundings of what is escaped in a text.
pub(super) fn readings(text: &str, take: &mut impl FnMut(Reading)) {
    let bytes = text.as_bytes();
    let mut search = Search::new(bytes);
    let mut done = 0;
    while let Some(first) = search.next(done) {
        let start = surroundings_start(bytes, done, first);
        let (reading, end, has_plus) = window(bytes, start, false);
        take(reading);
        if has_plus {
            // `+` is a blank in a form, and a plus in a path.
            take(window(bytes, start, true).0);
        }
        done = end;
    }
    queries(bytes, take);
}

/// Whether nothing is escaped at a place where it could be.
pub(super) fn is_none(bytes: &[u8], at: usize) -> bool {
    match bytes[at] {
        b'?' => {
            let query = &bytes[at + 1..];
            let end = query.iter().position(u8::is_ascii_whitespace).unwrap_or(query.len());
            memchr::memchr(b'+', &query[..end]).is_none()
        }
        _ => unit(bytes, at).is_none(),
    }
}

/// Reads the queries in which blanks are written `+` and nothing else is escaped.
fn queries(bytes: &[u8], take: &mut impl FnMut(Reading)) {
    let mut done = 0;
    while let Some(at) = memchr::memchr(b'?', &bytes[done..]) {
        let start = done + at + 1;
        let is_end = |byte: &u8| *byte <= b' ' || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'%');
        let length = bytes[start..].iter().take(WINDOW_BYTES).take_while(|b| !is_end(b)).count();
        done = start + length;
        if memchr::memchr(b'+', &bytes[start..done]).is_some() && bytes.get(done) != Some(&b'%') {
            take(window(&bytes[..done], start, true).0);
        }
    }
}

/// One character's escape. Small, since there may be one for each two bytes; none is longer than 12.
#[derive(Clone, Copy)]
struct Unit {
    /// The character, in UTF-8 or as the byte that is named.
    bytes: [u8; 4],
    read: u8,
    /// How many bytes of the text it takes, and how many more before it.
    stood: u8,
    before: u8,
}

impl Unit {
    const fn byte(byte: u8, stood: usize) -> Self {
        Self { bytes: [byte, 0, 0, 0], read: 1, stood: stood as u8, before: 0 }
    }

    const fn nothing(stood: usize) -> Self {
        Self { bytes: [0; 4], read: 0, stood: stood as u8, before: 0 }
    }

    fn code(code: u32, stood: usize) -> Self {
        let mut bytes = [0; 4];
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        let read = character.encode_utf8(&mut bytes).len() as u8;
        Self { bytes, read, stood: stood as u8, before: 0 }
    }
}

/// Looks for escapes, each kind by the bytes that it begins with.
struct Search<'a> {
    bytes: &'a [u8],
    kinds: [Kind; 3],
}

type Find = fn(&[u8]) -> Option<usize>;

struct Kind {
    find: Find,
    /// The next escape of the kind; none once there are no more.
    next: Option<usize>,
}

impl<'a> Search<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let is_ascii = bytes.is_ascii();
        let unseen = |bytes: &[u8]| memchr::memchr3(0xc2, 0xe2, 0xef, bytes);
        let finds: [Find; 3] = [
            |bytes| memchr::memchr3(b'%', b'\\', b'&', bytes),
            |bytes| memchr::memchr(b'\'', bytes),
            if is_ascii { |_| None } else { unseen },
        ];
        let mut search = Self { bytes, kinds: finds.map(|find| Kind { find, next: None }) };
        search.kinds.iter_mut().for_each(|kind| kind.advance(bytes, 0));
        search
    }

    /// The first escape from a place on, which is not before the last such place.
    fn next(&mut self, from: usize) -> Option<usize> {
        for kind in &mut self.kinds {
            if kind.next.is_some_and(|next| next < from) {
                kind.advance(self.bytes, from);
            }
        }
        self.kinds.iter().filter_map(|kind| kind.next).min()
    }
}

impl Kind {
    fn advance(&mut self, bytes: &[u8], from: usize) {
        let mut at = from;
        self.next = loop {
            let Some(found) = (self.find)(&bytes[at..]) else { break None };
            at += found;
            if unit(bytes, at).is_some() {
                break Some(at);
            }
            at += 1;
        };
    }
}

/// Where a rule could begin that matches over an escape.
fn surroundings_start(bytes: &[u8], done: usize, escape: usize) -> usize {
    let limit = escape.saturating_sub(BEFORE_BYTES);
    if limit <= done {
        return done;
    }
    let blank = bytes[done..limit].iter().rposition(u8::is_ascii_whitespace);
    blank.map_or(done, |blank| done + blank + 1)
}

/// Reads from `start` until no escape is near; says where that is, and whether a `+` stood there
/// among bytes in percents.
fn window(bytes: &[u8], start: usize, plus_is_blank: bool) -> (Reading, usize, bool) {
    let mut read = Vec::with_capacity((bytes.len() - start).min(2 * WINDOW_BYTES));
    let mut map = Map::starting_at(start);
    let (mut at, mut last) = (start, start);
    let (mut has_percent, mut has_plus) = (false, false);
    while at < bytes.len() {
        let literal = at;
        let far = bytes.len().min(last + WINDOW_BYTES);
        while at < far && !IS_SPECIAL[usize::from(bytes[at])] {
            at += 1;
        }
        read.extend_from_slice(&bytes[literal..at]);
        if at == bytes.len() {
            break;
        }
        if at >= last + WINDOW_BYTES {
            // Not within a word, since a rule could go on to its end.
            let word = bytes[at..].iter().position(u8::is_ascii_whitespace);
            if word == Some(0) {
                break;
            }
            last = at + word.unwrap_or(bytes.len() - at) - WINDOW_BYTES;
        }
        let unit = match bytes[at] {
            b'+' => {
                has_plus = true;
                plus_is_blank.then_some(Unit::byte(b' ', 1))
            }
            _ => unit(bytes, at),
        };
        let Some(unit) = unit else {
            read.push(bytes[at]);
            at += 1;
            continue;
        };
        has_percent |= bytes[at] == b'%';
        // What stands before belongs to it only where it stands as it is.
        let before = usize::from(unit.before).min(at - literal);
        read.truncate(read.len() - before);
        let (length, stood) = (usize::from(unit.read), usize::from(unit.stood));
        map.add((read.len(), length), (at - before, stood + before));
        if length == 1 {
            read.push(unit.bytes[0]);
        } else {
            read.extend_from_slice(&unit.bytes[..length]);
        }
        at += stood;
        last = at;
    }
    (Reading { text: text_of(read), map }, at, has_percent && has_plus)
}

/// What is escaped here, if anything.
fn unit(bytes: &[u8], at: usize) -> Option<Unit> {
    let rest = &bytes[at..];
    match rest[0] {
        b'%' => Some(Unit::byte(hex(rest.get(1..3)?)? as u8, 3)),
        b'\\' => backslash::unit(rest),
        b'&' => entity::unit(rest),
        b'\'' => quote(bytes, at),
        0xc2 if rest.get(1) == Some(&0xad) => Some(Unit::nothing(2)),
        0xe2 if matches!(rest.get(1..3)?, [0x80, 0x8b..=0x8d] | [0x81, 0xa0]) => {
            Some(Unit::nothing(3))
        }
        0xef if rest.get(1..3)? == [0xbb, 0xbf] => Some(Unit::nothing(3)),
        _ => None,
    }
}

/// Quotes within quotes: `''` in SQL, `'"'"'` and `'\''` in shells; and the letter before a quote
/// that says what is in it, as in `b'…'`, `E'…'`, `$'…'`.
fn quote(bytes: &[u8], at: usize) -> Option<Unit> {
    let rest = &bytes[at..];
    if rest.starts_with(br#"'"'"'"#) {
        return Some(Unit::byte(b'\'', 5));
    }
    if rest.starts_with(br"'\''") {
        return Some(Unit::byte(b'\'', 4));
    }
    let before = at.checked_sub(1).map(|at| bytes[at]);
    if rest.get(1) == Some(&b'\'') {
        // Not an empty string: something goes on, or comes to its end.
        let opens = rest.get(2).is_some_and(|next| is_content(*next));
        let closes = before.is_some_and(|before| is_content(before) && before != b'=');
        return (opens || closes).then_some(Unit::byte(b'\'', 2));
    }
    let is_prefix = before.is_some_and(|before| b"bBrRuUeEnN$".contains(&before));
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let stands_alone = at < 2 || !is_word(bytes[at - 2]) && bytes[at - 2] != b'\'';
    let opens = rest.get(1).is_some_and(|next| is_content(*next));
    (is_prefix && stands_alone && opens).then_some(Unit { before: 1, ..Unit::byte(b'\'', 1) })
}

const fn is_content(byte: u8) -> bool {
    let is_mark = matches!(byte, b',' | b';' | b':' | b'(' | b')' | b'[' | b']' | b'{' | b'}');
    byte.is_ascii_graphic() && !is_mark && !matches!(byte, b'\'' | b'"')
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| match DIGITS[usize::from(*digit)] {
        NO_DIGIT => None,
        digit => Some(value * 16 + u32::from(digit)),
    })
}

/// How far before an escape its surroundings begin.
const BEFORE_BYTES: usize = 256;

static IS_SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let bytes = [b'%', b'\\', b'&', b'\'', b'+', 0xc2, 0xe2, 0xef];
    let mut at = 0;
    while at < bytes.len() {
        special[bytes[at] as usize] = true;
        at += 1;
    }
    special
};
