//! Text in hex.

use crate::layer::base64::{BEYOND, CLEAR, KINDS};
use crate::layer::map::Map;
use crate::layer::runs::Digits;
use crate::layer::{Reading, text_of};

/// Reads the text in the run of hex digits around `at`; says where that ends.
pub(super) fn readings(digits: &Digits<'_>, at: usize, take: &mut impl FnMut(Reading)) -> usize {
    let bytes = &digits.bytes;
    let is_digit = |byte: &&u8| DIGITS[usize::from(**byte)] != NO_DIGIT;
    let start = at - bytes[..at].iter().rev().take_while(is_digit).count();
    let end = at + bytes[at..].iter().take_while(is_digit).count();
    for offset in 0..2 {
        let mut place = start + offset;
        while place + 2 * PAIRS_MIN <= end {
            place = stretch(digits, place, end, take);
        }
    }
    end
}

/// Reads one stretch of text, if it is long enough; says where the next could begin.
fn stretch(digits: &Digits<'_>, start: usize, end: usize, take: &mut impl FnMut(Reading)) -> usize {
    let pairs = digits.bytes[start..end].chunks_exact(2);
    let read: Vec<u8> = pairs
        .map(|pair| DIGITS[usize::from(pair[0])] << 4 | DIGITS[usize::from(pair[1])])
        .take_while(|byte| KINDS[usize::from(*byte)] & (CLEAR | BEYOND) != 0)
        .collect();
    let behind = start + 2 * (read.len() + 1);
    let clear = read.iter().filter(|byte| KINDS[usize::from(**byte)] & CLEAR != 0).count();
    let has_letter = digits.bytes[start..start + 2 * read.len()].iter().any(|b| *b > b'9');
    // Numbers stand for text as often as not, if it may be short.
    let least = if has_letter { PAIRS_MIN } else { NUMBER_PAIRS_MIN };
    if read.len() < least || clear * 4 < read.len() * 3 {
        return behind;
    }
    let mut map = Map::starting_at(digits.lines.place(start));
    let mut inside = 0;
    while inside < read.len() {
        let first = start + 2 * inside;
        let place = digits.lines.place(first);
        let on_line = (digits.lines.left(first) / 2).min(read.len() - inside);
        if on_line > 0 {
            map.add_many((inside, 1), (place, 2), on_line);
        } else {
            map.add((inside, 1), (place, digits.lines.place(first + 1) + 1 - place));
        }
        inside += on_line.max(1);
    }
    take(Reading { text: text_of(read), map });
    behind
}

pub(super) const NO_DIGIT: u8 = 0xff;

/// What each digit stands for.
pub(super) const DIGITS: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        values[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Eight bytes: a shorter secret is none without a name, and that makes it longer.
const PAIRS_MIN: usize = 8;
/// Of decimal digits, one place in 700 begins as many.
const NUMBER_PAIRS_MIN: usize = 14;
