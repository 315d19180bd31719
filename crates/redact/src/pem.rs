//! Private key blocks: open-ended, so not a pattern. A block goes on to its end mark, or, if that
//! never comes, as long as the text could still be one.

use memchr::memmem;

use crate::limits::PEM_MAX_BYTES;
use crate::scan::{Hit, HitName};

/// What a block is told under.
pub(crate) const RULE: &str = "private_key";

/// Adds each block of a text; one that goes on to the text's very end may go on behind it.
pub(crate) fn scan(text: &str, hits: &mut Vec<Hit>) {
    let mut at = 0;
    while let Some(begin) = memmem::find(&text.as_bytes()[at..], BEGIN) {
        let begin = at + begin;
        at = begin + BEGIN.len();
        let head = &text[at..text.ceil_char_boundary(text.len().min(at + HEAD_MAX))];
        let mark = head.find("-----");
        let name = mark.map_or(head, |mark| &head[..mark]);
        if !name.contains("PRIVATE KEY") && !could_become_private(name, mark.is_some()) {
            continue;
        }
        let body = at + mark.map_or(head.len(), |mark| mark + 5);
        let ends = body_end(text, body, PEM_MAX_BYTES);
        let end = ends.end();
        let whole = begin..end;
        // Documentation shows empty blocks; a key has more in it than its marks.
        let key = text[body..end].find("-----").map_or(end - body, |mark| mark);
        let holds = key >= KEY_MIN_BYTES || matches!(ends, Ends::Later(_));
        hits.push(Hit { secret: whole.clone(), whole, name: HitName::Pem, holds });
        at = end;
    }
}

/// How a block's body ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Here.
    At(usize),
    /// Not within this text.
    Later(usize),
}

impl Ends {
    const fn end(&self) -> usize {
        match self {
            Self::At(end) | Self::Later(end) => *end,
        }
    }
}

/// Where the body that goes on at `from` ends: behind its end mark, where something else begins,
/// or after `max` bytes.
pub(crate) fn body_end(text: &str, from: usize, max: usize) -> Ends {
    let bytes = &text.as_bytes()[from..];
    let within = &bytes[..bytes.len().min(max)];
    let other = within.iter().position(|byte| !is_body(*byte)).unwrap_or(within.len());
    if let Some(mark) = memmem::find(&within[..other], END) {
        let close = memmem::find(&bytes[mark + END.len()..], b"-----");
        return match close.filter(|close| *close <= HEAD_MAX) {
            Some(close) => Ends::At(from + mark + END.len() + close + 5),
            None if bytes.len() - mark - END.len() <= HEAD_MAX => Ends::Later(text.len()),
            None => Ends::At(from + mark + END.len()),
        };
    }
    if other < within.len() || bytes.len() > max {
        return Ends::At(text.ceil_char_boundary(from + other));
    }
    Ends::Later(text.len())
}

/// The name is cut at the end of the text: it may yet become a private key's.
fn could_become_private(name: &str, is_whole: bool) -> bool {
    !is_whole
        && name.len() < HEAD_MAX
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b == b' ' || b.is_ascii_digit() || b == b'-')
}

const fn is_body(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte.is_ascii_whitespace()
        || matches!(
            byte,
            b'+' | b'/'
                | b'='
                | b'\\'
                | b':'
                | b','
                | b'-'
                | b'_'
                | b'.'
                | b'('
                | b')'
                | b'"'
                | b'\''
                | b'>'
                | b'|'
                | b'@'
        )
}

/// Fewer bytes than the smallest key has.
const KEY_MIN_BYTES: usize = 16;
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END";
/// `RSA PRIVATE KEY`, `PGP PRIVATE KEY BLOCK` and the like.
const HEAD_MAX: usize = 48;
