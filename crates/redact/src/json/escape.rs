//! The escapes of JSON strings.

use std::borrow::Cow;

/// What a string's raw content stands for. Half a surrogate pair stands for U+FFFD.
pub(crate) fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let (text, rest) = unescape_prefix(raw);
    let mut text = text;
    // A backslash at the very end, as in a string that was cut.
    text.push_str(rest);
    Cow::Owned(text)
}

/// What a string's raw content stands for, up to an escape that is not all there, and that.
pub(crate) fn unescape_prefix(raw: &str) -> (String, &str) {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some((character, length)) = escape(rest) else { return (text, rest) };
        text.push(character);
        rest = &rest[length..];
    }
    text.push_str(rest);
    (text, "")
}

/// Writes text as a string's content.
pub(crate) fn escape_into(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if (control as u32) < 0x20 => {
                use std::fmt::Write;
                // Writing to a string can't fail.
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.push(other),
        }
    }
}

/// The escape that `text` begins with and its length; none if it is not all there.
fn escape(text: &str) -> Option<(char, usize)> {
    let kind = text[1..].chars().next()?;
    let simple = match kind {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => return unicode(text),
        // `\"`, `\\`, `\/`, and what is no escape stands for itself.
        other => other,
    };
    Some((simple, 1 + kind.len_utf8()))
}

fn unicode(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.as_bytes().get(at..at + 4)?;
        let digit = |digit: &u8| (*digit as char).to_digit(16);
        Some(digits.iter().try_fold(0, |value, d| Some(value * 16 + digit(d)?)))
    };
    let Some(first) = unit(2)? else { return Some(('u', 2)) };
    if let Some(character) = char::from_u32(first) {
        return Some((character, 6));
    }
    let is_high = (0xd800..0xdc00).contains(&first);
    let tail = &text.as_bytes()[6..];
    let may_come = tail.is_empty() || tail == b"\\" || (tail.starts_with(b"\\u") && tail.len() < 6);
    if is_high && may_come {
        return None;
    }
    let second = if is_high && tail.starts_with(b"\\u") { unit(8)? } else { None };
    match second.filter(|second| (0xdc00..0xe000).contains(second)) {
        Some(second) => {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            Some((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12))
        }
        None => Some((char::REPLACEMENT_CHARACTER, 6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_what_json_says() {
        assert_eq!(unescape(r#"a\n\u0041\"\\\/\ud83d\ude00"#), "a\nA\"\\/😀");
        assert_eq!(unescape(r"\ud83dx \uZZZZ \q"), "\u{fffd}x uZZZZ q");
        assert_eq!(unescape_prefix(r"ab\u00"), ("ab".to_owned(), r"\u00"));
        assert_eq!(unescape_prefix(r"ab\ud83d"), ("ab".to_owned(), r"\ud83d"));
        assert_eq!(unescape(r"ab\"), "ab\\");
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = "a\"b\\c\nd\te\u{1}é😀";
        let mut out = String::new();
        escape_into(text, &mut out);
        assert_eq!(unescape(&out), text);
        assert_eq!(serde_json::from_str::<String>(&format!("\"{out}\"")).unwrap(), text);
    }
}
