//! Text in base64: at whichever digit it begins.

use crate::layer::map::Map;
use crate::layer::runs::Digits;
use crate::layer::{Reading, text_of};

/// Reads the text around the group of four digits at `at`; says with which digit it ends. None if
/// there is none.
pub(super) fn reading(
    digits: &Digits<'_>,
    at: usize,
    take: &mut impl FnMut(Reading),
) -> Option<usize> {
    let group = |at: usize| digits.bytes.get(at..at + 4).and_then(group);
    let is_clear = |at: &usize| group(*at).is_some_and(|three| is_all(three, CLEAR));
    let is_text = |at: &usize| group(*at).is_some_and(is_text);
    // What looks clear by chance is short.
    let before = (0..=at / 4).map(|back| at - 4 * back).take_while(is_clear).count();
    let behind = (0..).map(|step| at + 4 * step).take(GROUPS_MIN).take_while(is_clear).count();
    if before + behind <= GROUPS_MIN {
        return None;
    }
    let back = (0..=at / 4).map(|back| at - 4 * back).take_while(is_text).count();
    let start = at - 4 * back.saturating_sub(1);
    // What stands before it by chance, as in `id_c2stYW50…`, must not hide where a word begins.
    let mark = |at: &usize| *at > start && !digits.bytes[at - 1].is_ascii_alphanumeric();
    let marked = (0..=(at - start) / 4).map(|back| at - 4 * back).find(mark);
    if let Some(marked) = marked {
        take(read(digits, marked).0);
    }
    let (reading, end) = read(digits, start);
    take(reading);
    Some(end)
}

/// Reads a run that as a whole stands for clear text.
pub(super) fn whole(digits: &Digits<'_>) -> Option<Reading> {
    let groups = digits.bytes.chunks_exact(4);
    let (left, all) = (groups.remainder().len(), digits.bytes.len());
    let mut clear = groups.map(|four| group(four).is_some_and(|three| is_all(three, CLEAR)));
    if left == 1 || !clear.all(|is_clear| is_clear) {
        return None;
    }
    let (reading, end) = read(digits, 0);
    (end + left == all && reading.text.len() == all * 3 / 4).then_some(reading)
}

/// Reads from one digit on as far as there is text.
fn read(digits: &Digits<'_>, start: usize) -> (Reading, usize) {
    let mut read = Vec::with_capacity(READ_BYTES);
    let mut map = Map::starting_at(digits.lines.place(start));
    let mut at = start;
    loop {
        let left = digits.lines.left(at);
        let (begun, from) = (read.len(), at);
        for sixteen in digits.bytes[at..at + left].chunks_exact(16) {
            let Some(twelve) = groups(sixteen) else { break };
            read.extend_from_slice(&twelve);
            at += 16;
        }
        for four in digits.bytes[at..from + left].chunks_exact(4) {
            let Some(three) = group(four).filter(|three| is_text(*three)) else { break };
            read.extend_from_slice(&three.to_be_bytes()[1..]);
            at += 4;
        }
        map.add_many((begun, 3), (digits.lines.place(from), 4), (at - from) / 4);
        let is_line_read = at == from + left / 4 * 4;
        if is_line_read && left > 0 && left.is_multiple_of(4) {
            continue;
        }
        // A group on two lines.
        let four = digits.bytes.get(at..at + 4).filter(|_| is_line_read);
        let Some(three) = four.and_then(group) else { break };
        if !is_text(three) {
            break;
        }
        let place = digits.lines.place(at);
        map.add((read.len(), 3), (place, digits.lines.place(at + 3) + 1 - place));
        read.extend_from_slice(&three.to_be_bytes()[1..]);
        at += 4;
    }
    rest(digits, at, &mut read, &mut map);
    (Reading { text: text_of(read), map }, at)
}

/// The bytes of a group that is not all there, or not all text.
fn rest(digits: &Digits<'_>, from: usize, read: &mut Vec<u8>, map: &mut Map) {
    let left = digits.bytes.get(from..).unwrap_or_default();
    let mut padded = [b'A'; 4];
    let count = left.len().min(4);
    padded[..count].copy_from_slice(&left[..count]);
    let Some(three) = group(&padded) else { return };
    let bytes = three.to_be_bytes();
    let whole = &bytes[1..1 + (count * 6 / 8)];
    let text = whole.iter().take_while(|byte| KINDS[usize::from(**byte)] & CLEAR != 0).count();
    if text > 0 {
        let place = digits.lines.place(from);
        map.add((read.len(), text), (place, digits.lines.place(from + count - 1) + 1 - place));
        read.extend_from_slice(&whole[..text]);
    }
}

/// What sixteen digits stand for, if all of it is plainly text.
fn groups(sixteen: &[u8]) -> Option<[u8; 12]> {
    let mut twelve = [0; 12];
    let mut all = 0;
    let mut high = 0x0040_4040;
    for (four, three) in sixteen.chunks_exact(4).zip(twelve.chunks_exact_mut(3)) {
        let value = |at: usize| u32::from(VALUES[usize::from(four[at])]);
        let (a, b, c, d) = (value(0), value(1), value(2), value(3));
        let bytes = a << 18 | b << 12 | c << 6 | d;
        all |= a | b | c | d;
        high &= bytes | bytes << 1;
        three.copy_from_slice(&bytes.to_be_bytes()[1..]);
    }
    (all < u32::from(NO_DIGIT) && high == 0x0040_4040).then_some(twelve)
}

/// What four digits stand for: three bytes.
fn group(four: &[u8]) -> Option<u32> {
    let value = |at: usize| u32::from(VALUES[usize::from(four[at])]);
    let (a, b, c, d) = (value(0), value(1), value(2), value(3));
    ((a | b | c | d) < 64).then_some(a << 18 | b << 12 | c << 6 | d)
}

fn is_all(three: u32, kinds: u8) -> bool {
    three.to_be_bytes()[1..].iter().all(|byte| KINDS[usize::from(*byte)] & kinds != 0)
}

fn is_text(three: u32) -> bool {
    // Neither of the bits that all but the first 32 of 128 have one of, in some byte.
    let is_high = (three | three << 1) & 0x0040_4040 == 0x0040_4040;
    is_high || is_all(three, CLEAR | BEYOND)
}

pub(super) const NO_DIGIT: u8 = 64;

/// What each digit stands for, in either alphabet.
pub(super) const VALUES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 64 {
        values[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    values[b'-' as usize] = 62;
    values[b'_' as usize] = 63;
    values
};

/// Printable ASCII and white space.
pub(super) const CLEAR: u8 = 1;
/// Part of a character beyond ASCII, or of anything that is no text.
pub(super) const BEYOND: u8 = 2;

pub(super) static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let is_blank = matches!(byte, 0x09 | 0x0a | 0x0d);
        kinds[byte] = match byte {
            _ if is_blank || (byte >= 0x20 && byte < 0x7f) => CLEAR,
            _ if byte >= 0x80 => BEYOND,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

/// As many as most texts have.
const READ_BYTES: usize = 256;

/// Twelve clear bytes: random digits stand for as many once in 150,000 places.
const GROUPS_MIN: usize = 4;
