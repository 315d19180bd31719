//! Text within text: `%70%61ss` and `\u0070ass` read as what they stand for, with the way back to
//! where it stood.

use std::ops::Range;

use memchr::memmem;

/// A decoded reading of a text.
pub(crate) struct View {
    text: String,
    /// For each byte of `text`, and its end, where what it stands for begins outside.
    from: Vec<usize>,
}

impl View {
    /// The readings that differ from the text itself.
    pub(crate) fn all(text: &str) -> impl Iterator<Item = Self> {
        let percent = memchr::memchr(b'%', text.as_bytes()).map(|_| Self::new(text, percent));
        let escape = memmem::find(text.as_bytes(), b"\\u").map(|_| Self::new(text, escape));
        [percent, escape].into_iter().flatten().flatten()
    }

    /// None where nothing is encoded.
    fn new(text: &str, decode: fn(&[u8]) -> Option<(char, usize)>) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut view = Self { text: String::with_capacity(text.len()), from: Vec::new() };
        let mut is_changed = false;
        let mut at = 0;
        while at < bytes.len() {
            let decoded = decode(&bytes[at..]);
            is_changed |= decoded.is_some();
            let (character, length) = match decoded {
                Some(decoded) => decoded,
                None => {
                    let character = text[at..].chars().next()?;
                    (character, character.len_utf8())
                }
            };
            view.text.push(character);
            view.from.resize(view.text.len(), at);
            at += length;
        }
        view.from.push(text.len());
        is_changed.then_some(view)
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where a part of the reading stands outside.
    pub(crate) fn outside(&self, inside: &Range<usize>) -> Range<usize> {
        let at = |place: usize| self.from.get(place).or(self.from.last()).copied().unwrap_or(0);
        at(inside.start)..at(inside.end)
    }
}

/// `%XX` and, twice encoded, `%25XX`. Bytes beyond ASCII stand for themselves: patterns are ASCII.
fn percent(bytes: &[u8]) -> Option<(char, usize)> {
    if bytes.first() != Some(&b'%') {
        return None;
    }
    let byte = hex(bytes.get(1..3)?)?;
    if byte == u32::from(b'%')
        && let Some(inner) = bytes.get(3..5).and_then(hex)
    {
        return Some((char::from_u32(inner)?, 5));
    }
    Some((char::from_u32(byte)?, 3))
}

/// `\uXXXX`, also behind more than one backslash.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let slashes = bytes.iter().take_while(|byte| **byte == b'\\').count();
    if slashes == 0 || slashes > 8 || bytes.get(slashes) != Some(&b'u') {
        return None;
    }
    let digits = bytes.get(slashes + 1..slashes + 5)?;
    let character = char::from_u32(hex(digits)?).unwrap_or(char::REPLACEMENT_CHARACTER);
    Some((character, slashes + 5))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + (*digit as char).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_knows_where_it_stood() {
        let text = "a=%73%6B-1&b";
        let view = View::all(text).next().unwrap();
        assert_eq!(view.text(), "a=sk-1&b");
        assert_eq!(&text[view.outside(&(2..6))], "%73%6B-1");
        let text = r"x \u0073k é";
        let view = View::all(text).next().unwrap();
        assert_eq!(view.text(), "x sk é");
        assert_eq!(&text[view.outside(&(2..4))], r"\u0073k");
        assert_eq!(View::all("100 %").count(), 0);
    }
}
