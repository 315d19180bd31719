//! Runs of the digits of base64, in either alphabet, which are those of hex, too. Such runs are
//! everywhere: ids, hashes, paths, pictures. One pass finds the few of them in which text could
//! stand, and where, at any offset: a run may begin with something else, as in `data_SGVsbG8…`.

use std::ops::Range;

use crate::layer::{Reading, base64, hex};
use crate::limits::{ENCODED_MIN_BYTES, LINES_HELD_BYTES};

/// Reads the runs of a text; gives the lines at its very end that may go on behind it.
pub(super) fn readings(text: &str, take: &mut impl FnMut(Reading)) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut done = 0;
    let mut open = None;
    while let Some(first) = next_run(bytes, done) {
        let lines = Lines::new(bytes, first);
        done = lines.end();
        if lines.is_wrapped() && bytes.len() - done <= 2 {
            open = Some(done.saturating_sub(LINES_HELD_BYTES).max(lines.start())..bytes.len());
        }
        Digits::new(bytes, &lines).readings(take);
    }
    open
}

/// A run, or several on lines of their own.
pub(super) struct Lines {
    first: Range<usize>,
    others: Vec<Range<usize>>,
}

impl Lines {
    fn new(bytes: &[u8], first: Range<usize>) -> Self {
        let mut lines = Self { first, others: Vec::new() };
        let width = lines.first.len();
        while width >= LINE_MIN_BYTES
            && lines.last().len() == width
            && let Some(next) = next_line(bytes, lines.end())
        {
            // A longer line is something else, which may be encoded, too.
            if next.len() > width {
                break;
            }
            lines.others.push(next);
        }
        lines
    }

    fn last(&self) -> &Range<usize> {
        self.others.last().unwrap_or(&self.first)
    }

    const fn start(&self) -> usize {
        self.first.start
    }

    fn end(&self) -> usize {
        self.last().end
    }

    const fn is_wrapped(&self) -> bool {
        !self.others.is_empty()
    }

    /// The line on which a digit stands, and which digit of that it is; counted without what is
    /// between the lines.
    fn line(&self, digit: usize) -> (&Range<usize>, usize) {
        // All lines but the last are as wide as the first.
        let width = self.first.len().max(1);
        let line = (digit / width).min(self.others.len());
        let range = line.checked_sub(1).map_or(&self.first, |other| &self.others[other]);
        (range, digit - line * width)
    }

    /// Where a digit stands.
    pub(super) fn place(&self, digit: usize) -> usize {
        let (line, digit) = self.line(digit);
        line.start + digit
    }

    /// How many digits stand on the line of a digit, from that on.
    pub(super) fn left(&self, digit: usize) -> usize {
        let (line, digit) = self.line(digit);
        line.len().saturating_sub(digit)
    }
}

/// The digits of a run, and where each stands.
pub(super) struct Digits<'a> {
    pub(super) bytes: std::borrow::Cow<'a, [u8]>,
    pub(super) lines: &'a Lines,
}

impl<'a> Digits<'a> {
    fn new(bytes: &'a [u8], lines: &'a Lines) -> Self {
        let first = &bytes[lines.first.clone()];
        let digits = if lines.is_wrapped() {
            let others = lines.others.iter().map(|line| &bytes[line.clone()]);
            std::iter::once(first).chain(others).collect::<Vec<_>>().concat().into()
        } else {
            first.into()
        };
        Self { bytes: digits, lines }
    }

    /// Eight digits at a time: whether eight digits of hex stand there, or whether two groups of
    /// four digits, one behind the other, could stand for ASCII. Four such groups in a row, which
    /// is the least that is read, have two that begin in the first four of some eight.
    fn readings(&self, take: &mut impl FnMut(Reading)) {
        if self.bytes.len() < SHORT_BYTES {
            // Fewer clear bytes than are looked for elsewhere.
            base64::whole(self).into_iter().for_each(&mut *take);
        }
        let mut hex_done = 0;
        let mut at = 0;
        let mut flags = self.flags(0);
        while at < self.bytes.len() {
            let next = self.flags(at + 8);
            let second = flags >> 8 | next << 56;
            let third = flags >> 16 | next << 48;
            let groups = flags & second >> 1 & third >> 2 & ONES;
            let pairs = groups & groups >> 32 & 0x0101_0101;
            let is_hex = flags & ONES << 3 == ONES << 3;
            if is_hex && at >= hex_done {
                hex_done = hex::readings(self, at, take);
            }
            if pairs != 0
                && let Some(end) = self.base64(at, pairs, take)
                && end > at + 8
            {
                at = end & !7;
                flags = self.flags(at);
                continue;
            }
            at += 8;
            flags = next;
        }
    }

    /// Reads where a group begins; says how far it went if there was text.
    fn base64(&self, at: usize, pairs: u64, take: &mut impl FnMut(Reading)) -> Option<usize> {
        let offsets = (0..4).filter(|offset| pairs >> (8 * offset) & 1 == 1);
        offsets.filter_map(|offset| base64::reading(self, at + offset, take)).max()
    }

    /// What each of eight digits could be in a group that stands for ASCII; zero behind the end.
    fn flags(&self, at: usize) -> u64 {
        let digits = self.bytes.get(at..).unwrap_or_default();
        let eight = match digits.first_chunk::<8>() {
            Some(eight) => eight.map(|digit| FLAGS[usize::from(digit)]),
            None => {
                let mut eight = [0; 8];
                for (flags, digit) in eight.iter_mut().zip(digits) {
                    *flags = FLAGS[usize::from(*digit)];
                }
                eight
            }
        };
        u64::from_le_bytes(eight)
    }
}

/// The next run that is long enough. Looks at as few bytes as it can: behind one that is no digit no
/// run goes on.
fn next_run(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let is_digit = |byte: &u8| FLAGS[usize::from(*byte)] & DIGIT != 0;
    let mut start = from;
    loop {
        let far = bytes.get(start..start + ENCODED_MIN_BYTES)?;
        if let Some(other) = far.iter().rposition(|byte| !is_digit(byte)) {
            start += other + 1;
            continue;
        }
        let begin = start + ENCODED_MIN_BYTES;
        let rest = bytes[begin..].iter().position(|byte| !is_digit(byte));
        return Some(start..rest.map_or(bytes.len(), |rest| begin + rest));
    }
}

/// The run on the next line, if one begins it.
fn next_line(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = &bytes[from..];
    let end = match rest {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => return None,
    };
    let blank = rest[end..].iter().take(INDENT_MAX).take_while(|b| matches!(b, b' ' | b'\t'));
    let start = from + end + blank.count();
    let is_digit = |byte: &&u8| FLAGS[usize::from(**byte)] & DIGIT != 0;
    let length = bytes[start..].iter().take_while(is_digit).count();
    (length > 0).then_some(start..start + length)
}

/// What a byte could be: the first digit of a group of ASCII, the second, the third; a digit of
/// hex; a digit at all.
static FLAGS: [u8; 256] = {
    let mut flags = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let value = base64::VALUES[byte];
        if value != base64::NO_DIGIT {
            flags[byte] = DIGIT
                | ((value & 0x20 == 0) as u8)
                | ((value & 0x08 == 0) as u8) << 1
                | ((value & 0x02 == 0) as u8) << 2
                | ((hex::DIGITS[byte] != hex::NO_DIGIT) as u8) << 3;
        }
        byte += 1;
    }
    flags
};

const DIGIT: u8 = 0x10;
/// In a longer one there are as many clear bytes as are looked for anywhere.
const SHORT_BYTES: usize = 20;
const ONES: u64 = 0x0101_0101_0101_0101;
/// Shorter lines are no lines of one encoded text.
const LINE_MIN_BYTES: usize = 32;
const INDENT_MAX: usize = 16;
