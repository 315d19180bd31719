//! What must hold of a match beyond its pattern: checksums, ranges, forms. A leak costs more than
//! a mask too many, so a check only turns away what can't be the thing.

use std::fmt;
use std::ops::Range;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

mod card;
mod digits;
mod europe;
mod nation;
mod net;
mod random;
mod wallet;

pub(crate) use random::{is_keyed, is_placeholder};

/// A check, by its word in the rule files.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    word: &'static str,
    by: By,
}

#[derive(Clone, Copy)]
enum By {
    /// What the value is.
    Value(fn(&str) -> bool),
    /// What it is and where it stands; it may narrow the range.
    Place(fn(&str, Range<usize>) -> Option<Range<usize>>),
    /// Made by the scan, which knows the names.
    Scan,
}

impl Check {
    /// The part of `text[range]` that holds, if any does.
    pub(crate) fn hold(self, text: &str, range: Range<usize>) -> Option<Range<usize>> {
        match self.by {
            By::Value(holds) => holds(&text[range.clone()]).then_some(range),
            By::Place(hold) => hold(text, range),
            By::Scan => Some(range),
        }
    }

    /// Its word.
    pub(crate) const fn word(self) -> &'static str {
        self.word
    }

    /// Whether the scan makes it.
    pub(crate) fn is_assignment(self) -> bool {
        matches!(self.by, By::Scan)
    }

    /// Whether what has no digit can't hold, nor can a part of it.
    pub(crate) fn wants_digits(self) -> bool {
        matches!(self.word, "random" | "keyed")
    }
}

impl<'de> Deserialize<'de> for Check {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = String::deserialize(from)?;
        let national = nation::NATIONS.iter().map(|(word, check)| (*word, By::Value(*check)));
        let mut all = CHECKS.iter().copied().chain(national);
        let found = all.find(|(known, _)| *known == word);
        let unknown = || serde::de::Error::custom(format!("no validator is called {word}"));
        found.map(|(word, by)| Self { word, by }).ok_or_else(unknown)
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)
    }
}

const CHECKS: &[(&str, By)] = &[
    ("assignment", By::Scan),
    ("random", By::Value(random::is_random)),
    ("mixed", By::Value(random::is_mixed_or_random)),
    ("keyed", By::Value(random::is_keyed)),
    ("provided", By::Place(random::provided)),
    ("varied", By::Value(random::is_varied)),
    ("opaque", By::Value(|v| random::is_varied(v) && (v.len() >= 24 || has_digit(v)))),
    ("not_placeholder", By::Value(|v| !is_placeholder(v))),
    ("password", By::Value(random::is_password)),
    ("jwt", By::Value(is_jwt)),
    ("not_uuid_key", By::Value(|v| !has_uuid_key(v))),
    ("basic", By::Value(|v| decode_base64(v).is_some_and(|clear| clear.contains(&b':')))),
    ("email", By::Value(is_email)),
    ("payment_card", By::Place(card::payment_card)),
    ("any_card", By::Value(card::any_card)),
    (
        "iban",
        By::Place(|text, range| {
            let length = card::iban(&text[range.clone()])?;
            Some(range.start..range.start + length)
        }),
    ),
    ("alone", By::Place(|text, range| is_alone(text, &range).then_some(range))),
    ("phone", By::Place(net::phone)),
    ("phone_national", By::Place(net::phone_national)),
    ("ip_v4", By::Place(net::ip_v4)),
    ("ip_v6", By::Place(net::ip_v6)),
    ("mac", By::Value(net::is_mac)),
    ("base58", By::Value(wallet::is_base58)),
    ("bech32", By::Value(wallet::is_bech32)),
];

/// Digits of base64 that say the first bytes of a key, and where it begins in what they stand for.
const KEY_DIGITS: usize = 44;
const KEY_START: usize = 6;

fn has_digit(value: &str) -> bool {
    value.bytes().any(|byte| byte.is_ascii_digit())
}

/// The bytes of base64 in either alphabet, padded or not.
pub(crate) fn decode_base64(value: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
    const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);
    let engine = if value.bytes().any(|b| b == b'-' || b == b'_') { URL } else { PLAIN };
    engine.decode(value).ok()
}

fn is_jwt(value: &str) -> bool {
    let header = value.split('.').next().and_then(decode_base64);
    let names = |header: Vec<u8>| {
        [&b"\"alg\""[..], b"\"typ\"", b"\"enc\"", b"\"kid\""]
            .iter()
            .any(|name| memchr::memmem::find(&header, name).is_some())
    };
    header.is_some_and(names)
}

/// Whether what is encoded is `{"k":"…` with a UUID: the name of a report that anybody may see, where a
/// key of Grafana's begins likewise.
fn has_uuid_key(value: &str) -> bool {
    let key = value.get(..KEY_DIGITS).and_then(decode_base64).unwrap_or_default();
    [8, 13, 18, 23].iter().all(|dash| key.get(KEY_START + dash) == Some(&b'-'))
}

/// Names of pictures and modules look like addresses: `logo@2x.png`.
fn is_email(value: &str) -> bool {
    let end = value.rsplit('.').next().unwrap_or_default();
    !["png", "jpg", "jpeg", "gif", "svg", "webp", "js", "css", "py", "ts", "json"]
        .iter()
        .any(|suffix| end.eq_ignore_ascii_case(suffix))
}

/// Not a part of a longer number, id or decimal fraction.
fn is_alone(text: &str, range: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    let before = range.start.checked_sub(1).map(|at| bytes[at]);
    let after = bytes.get(range.end).copied();
    let after_next = bytes.get(range.end + 1).copied();
    let joins = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_fraction = after == Some(b'.') && after_next.is_some_and(|b: u8| b.is_ascii_digit());
    !before.is_some_and(|b| joins(b) || matches!(b, b'.' | b'+'))
        && !after.is_some_and(joins)
        && !is_fraction
}
