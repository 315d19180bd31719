//! Backslashes, as JSON, JavaScript, Python, C and shells have them.

use crate::layer::escape::{Unit, hex};

pub(super) fn unit(rest: &[u8]) -> Option<Unit> {
    let kind = *rest.get(1)?;
    match kind {
        b'u' => unicode(rest),
        b'U' => {
            let code = hex(rest.get(2..10)?)?;
            (code <= 0x0010_ffff).then(|| Unit::code(code, 10))
        }
        b'x' if rest.get(2) == Some(&b'{') => braced(rest),
        b'x' => Some(Unit::byte(hex(rest.get(2..4)?)? as u8, 4)),
        b'0'..=b'7' => Some(octal(rest)),
        b'n' => Some(Unit::byte(b'\n', 2)),
        b'r' => Some(Unit::byte(b'\r', 2)),
        b't' => Some(Unit::byte(b'\t', 2)),
        b'b' => Some(Unit::byte(8, 2)),
        b'f' => Some(Unit::byte(12, 2)),
        b'v' => Some(Unit::byte(11, 2)),
        b'a' => Some(Unit::byte(7, 2)),
        b'e' | b'E' => Some(Unit::byte(27, 2)),
        // A line that goes on.
        b'\n' => Some(Unit::nothing(2)),
        b'\r' if rest.get(2) == Some(&b'\n') => Some(Unit::nothing(3)),
        _ if kind == b' ' || kind.is_ascii_punctuation() => Some(Unit::byte(kind, 2)),
        _ => None,
    }
}

/// `\u0073`, `\u{73}`, and pairs of surrogates.
fn unicode(rest: &[u8]) -> Option<Unit> {
    if rest.get(2) == Some(&b'{') {
        return braced(rest);
    }
    let first = hex(rest.get(2..6)?)?;
    let second = || rest.get(6..12)?.strip_prefix(b"\\u").and_then(hex);
    if (0xd800..0xdc00).contains(&first)
        && let Some(second) = second().filter(|second| (0xdc00..0xe000).contains(second))
    {
        return Some(Unit::code(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12));
    }
    Some(Unit::code(first, 6))
}

fn braced(rest: &[u8]) -> Option<Unit> {
    let digits = rest[3..].iter().take(7).take_while(|byte| byte.is_ascii_hexdigit()).count();
    if !(1..=6).contains(&digits) || rest.get(3 + digits) != Some(&b'}') {
        return None;
    }
    Some(Unit::code(hex(&rest[3..3 + digits])?, digits + 4))
}

fn octal(rest: &[u8]) -> Unit {
    let digits = rest[1..].iter().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
    let value = |digits: &[u8]| digits.iter().fold(0u32, |n, d| n * 8 + u32::from(d - b'0'));
    match u8::try_from(value(&rest[1..=digits])) {
        Ok(byte) => Unit::byte(byte, 1 + digits),
        Err(_) => Unit::byte(value(&rest[1..3]) as u8, 3),
    }
}
