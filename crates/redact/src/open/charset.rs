//! Characters as bytes.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use serde::{Deserialize, Serialize};

use crate::limits::SNIFF_BYTES;
use crate::open::held::Held;

/// A charset, by the name that the WHATWG gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&str", try_from = "String")]
pub(super) struct Charset(&'static Encoding);

/// There is no charset of such a name.
#[derive(Debug, thiserror::Error)]
#[error("no charset")]
pub(super) struct NoCharset;

/// What a media type says. A name that nobody knows says nothing.
pub(super) fn of_media_type(media_type: &str) -> Option<Charset> {
    let params = media_type.split(';').skip(1).filter_map(|param| param.split_once('='));
    let charsets = params.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let label = charsets.map(|(_, label)| label.trim().trim_matches(['"', '\''])).next()?;
    Encoding::for_label(label.as_bytes()).map(Charset)
}

impl Charset {
    /// By the mark that a body begins with; or, in UTF-16 without one, by its first characters,
    /// which in JSON, XML and most else are of ASCII.
    pub(super) fn of_beginning(bytes: &[u8]) -> Option<Self> {
        if let Some((encoding, _)) = Encoding::for_bom(bytes) {
            return Some(Self(encoding));
        }
        match bytes {
            [low, 0, other, 0, ..] if *low != 0 && *other != 0 => Some(Self(UTF_16LE)),
            [0, low, 0, other, ..] if *low != 0 && *other != 0 => Some(Self(UTF_16BE)),
            _ => None,
        }
    }

    /// Where nothing is said: what is no UTF-8 has one byte for each character.
    pub(super) fn guessed(bytes: &[u8]) -> Self {
        let beginning = std::str::from_utf8(&bytes[..bytes.len().min(SNIFF_BYTES)]);
        // A character may be cut at the end.
        let is_utf8 = beginning.map_or_else(|error| error.error_len().is_none(), |_| true);
        Self(if is_utf8 { UTF_8 } else { WINDOWS_1252 })
    }

    pub(super) fn is_utf8(&self) -> bool {
        self.0 == UTF_8
    }

    /// Whether where a character begins can be told in the middle of a body.
    pub(super) fn comes_in_pieces(self) -> bool {
        self.0.is_single_byte() || [UTF_8, UTF_16LE, UTF_16BE].contains(&self.0)
    }

    /// The text of some bytes, without a mark that they begin with; half a character stays in
    /// `half` unless this is the end. What is no character becomes U+FFFD.
    pub(super) fn decode(self, bytes: &[u8], done: bool, half: &mut Held) -> String {
        let whole = if done { bytes.len() } else { self.whole(bytes) };
        half.extend(&bytes[whole..]);
        let (text, _) = self.0.decode_without_bom_handling(&bytes[..whole]);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        text.to_owned()
    }

    /// How many bytes are whole characters.
    fn whole(self, bytes: &[u8]) -> usize {
        let length = bytes.len();
        if self.0 == UTF_8 {
            let begins = |back: &usize| bytes[length - back] >= 0xc0;
            let character = (1..=length.min(3)).find(begins);
            let needs =
                |first: u8| if first >= 0xf0 { 4 } else { if first >= 0xe0 { 3 } else { 2 } };
            return match character {
                Some(back) if needs(bytes[length - back]) > back => length - back,
                _ => length,
            };
        }
        if self.0.is_single_byte() {
            return length;
        }
        let even = length & !1;
        let high = if self.0 == UTF_16LE { even.wrapping_sub(1) } else { even.wrapping_sub(2) };
        let is_first = bytes.get(high).is_some_and(|byte| (0xd8..0xdc).contains(byte));
        if is_first { even - 2 } else { even }
    }
}

impl From<Charset> for &str {
    fn from(charset: Charset) -> Self {
        charset.0.name()
    }
}

impl TryFrom<String> for Charset {
    type Error = NoCharset;

    fn try_from(name: String) -> Result<Self, NoCharset> {
        Encoding::for_label(name.as_bytes()).map(Self).ok_or(NoCharset)
    }
}
