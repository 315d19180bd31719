//! Text in hex.

use std::ops::Range;

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
            // The last of them that is no clear byte: no row goes on over it.
            let other = (0..PAIRS_MIN).rev().find(|pair| kind(bytes, place + 2 * pair) != CLEAR);
            place = match other {
                Some(pair) => place + 2 * (pair + 1),
                None => stretch(digits, start + offset..end, place, take),
            };
        }
    }
    end
}

/// What the byte is that two digits stand for.
fn kind(bytes: &[u8], place: usize) -> u8 {
    KINDS[usize::from(byte(bytes, place))]
}

fn byte(bytes: &[u8], place: usize) -> u8 {
    DIGITS[usize::from(bytes[place])] << 4 | DIGITS[usize::from(bytes[place + 1])]
}

/// Reads the text around a place of a run; says where it ends.
fn stretch(
    digits: &Digits<'_>,
    run: Range<usize>,
    place: usize,
    take: &mut impl FnMut(Reading),
) -> usize {
    let bytes = &digits.bytes;
    let is_text = |at: &usize| kind(bytes, *at) & (CLEAR | BEYOND) != 0;
    let back = (1..=(place - run.start) / 2).map(|pair| place - 2 * pair).take_while(is_text);
    let start = place - 2 * back.count();
    let pairs = (0..(run.end - start) / 2).map(|pair| start + 2 * pair).take_while(is_text).count();
    let end = start + 2 * pairs;
    // Numbers stand for text as often as not, if it may be short.
    let has_letter = bytes[start..end].iter().any(|digit| *digit > b'9');
    if !has_letter && pairs < NUMBER_PAIRS_MIN {
        return end;
    }
    let read: Vec<u8> = (0..pairs).map(|pair| byte(bytes, start + 2 * pair)).collect();
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
    end
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
