//! What must hold of a match beyond its pattern: checksums, ranges, forms. A leak costs more than
//! a mask too many, so a check only turns away what can't be the thing.

use std::ops::Range;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use crate::token::is_token;

/// A check, by its word in the data file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Check {
    #[default]
    None,
    Random,
    Keyed,
    Opaque,
    NotPlaceholder,
    Jwt,
    Basic,
    Email,
    PaymentCard,
    UsSsn,
    Iban,
    Phone,
    /// Made by the scan, which knows the names.
    Assignment,
}

impl Check {
    /// The part of `text[range]` that holds, if any does.
    pub(crate) fn hold(self, text: &str, range: Range<usize>) -> Option<Range<usize>> {
        let value = &text[range.clone()];
        let holds = match self {
            Self::None | Self::Assignment => true,
            Self::Random => is_random(value),
            Self::Keyed => is_keyed(value),
            Self::Opaque => value.len() >= 24 || value.bytes().any(|b| b.is_ascii_digit()),
            Self::NotPlaceholder => !is_placeholder(value),
            Self::Jwt => is_jwt(value),
            Self::Basic => decode_base64(value).is_some_and(|clear| clear.contains(&b':')),
            Self::Email => is_email(value),
            Self::PaymentCard => return payment_card(text, range),
            Self::UsSsn => is_us_ssn(value) && is_alone(text, &range),
            Self::Iban => return iban(value).map(|length| range.start..range.start + length),
            Self::Phone => is_phone(value) && is_alone(text, &range),
        };
        holds.then_some(range)
    }
}

/// Shannon entropy in bits for each byte.
pub(crate) fn entropy(value: &str) -> f64 {
    let mut counts = [0u32; 256];
    value.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let total = value.len() as f64;
    let bits = |count: u32| {
        let share = f64::from(count) / total;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(|count| bits(*count)).sum()
}

fn is_random(value: &str) -> bool {
    value.bytes().any(|b| b.is_ascii_digit()) && entropy(value) >= 2.8
}

/// Random enough to be a secret where a word before it says that it is one.
pub(crate) fn is_keyed(value: &str) -> bool {
    is_random(value)
        && value.bytes().filter(u8::is_ascii_digit).count() >= 3
        && value.len() >= 16
        && !value.bytes().any(|b| b.is_ascii_whitespace())
        && !is_uuid(value)
        && !is_placeholder(value)
}

fn is_uuid(value: &str) -> bool {
    let is_dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    value.len() >= 36
        && value
            .bytes()
            .take(36)
            .enumerate()
            .all(|(at, b)| if is_dash(at) { b == b'-' } else { b.is_ascii_hexdigit() })
}

/// What people write where a secret would be: `${X}`, `<token>`, `****`, or a token of ours.
pub(crate) fn is_placeholder(value: &str) -> bool {
    let enclosed = |open: &str, close: &str| value.starts_with(open) && value.ends_with(close);
    let first = value.as_bytes().first();
    is_token(value)
        || enclosed("${", "}")
        || enclosed("{{", "}}")
        || enclosed("{", "}")
        || enclosed("<", ">")
        || enclosed("%(", ")s")
        || (value.starts_with('$')
            && value[1..].bytes().all(|b| b == b'_' || b.is_ascii_uppercase()))
        || value == "%s"
        || (value.bytes().all(|b| Some(&b) == first) && !first.is_some_and(u8::is_ascii_digit))
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

fn is_us_ssn(value: &str) -> bool {
    let digits: Vec<u8> = value.bytes().filter(u8::is_ascii_digit).collect();
    let area = &digits[..3];
    area != b"000"
        && area != b"666"
        && area[0] != b'9'
        && &digits[3..5] != b"00"
        && &digits[5..] != b"0000"
}

fn is_phone(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    (8..=15).contains(&digits)
}

/// The first part of a run of digits that is a card number: whole groups, an issuer's prefix, and
/// Luhn's sum.
fn payment_card(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    if !is_alone(text, &range) {
        return None;
    }
    let bytes = &text.as_bytes()[range.clone()];
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let starts = (0..bytes.len()).filter(|at| is_digit(*at) && (*at == 0 || !is_digit(at - 1)));
    for start in starts {
        let mut digits = Vec::with_capacity(20);
        for (at, byte) in bytes.iter().enumerate().skip(start) {
            if byte.is_ascii_digit() {
                digits.push(byte - b'0');
            }
            if digits.len() > 19 {
                break;
            }
            let is_whole = byte.is_ascii_digit() && !is_digit(at + 1);
            if is_whole && is_card(&digits) {
                return Some(range.start + start..range.start + at + 1);
            }
        }
    }
    None
}

fn is_card(digits: &[u8]) -> bool {
    if !(12..=19).contains(&digits.len()) {
        return false;
    }
    let prefix = |count: usize| digits[..count].iter().fold(0u32, |n, d| n * 10 + u32::from(*d));
    let is_issued = match digits.len() {
        14 => prefix(2) == 36 || prefix(2) == 38 || (300..=305).contains(&prefix(3)),
        15 => prefix(2) == 34 || prefix(2) == 37 || matches!(prefix(4), 1800 | 2131),
        13 => prefix(1) == 4,
        12 | 17 | 18 => matches!(prefix(2), 50 | 56..=59 | 63 | 67),
        _ => {
            prefix(1) == 4
                || (51..=55).contains(&prefix(2))
                || (2221..=2720).contains(&prefix(4))
                || matches!(prefix(2), 35 | 62 | 65 | 60 | 81)
                || (644..=649).contains(&prefix(3))
                || matches!(prefix(2), 36 | 38 | 50 | 56..=59 | 63 | 67)
        }
    };
    is_issued && luhn(digits) && digits.iter().any(|d| *d != digits[0])
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The length of the IBAN that `value` begins with.
fn iban(value: &str) -> Option<usize> {
    const LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28\
        EE20EG29ES24FI18FO18FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20\
        LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24\
        RS22SA24SC31SD18SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20";
    let country = value.get(..2)?;
    let entry = LENGTHS.as_bytes().chunks_exact(4).find(|entry| &entry[..2] == country.as_bytes());
    let length = entry.and_then(|entry| std::str::from_utf8(&entry[2..]).ok()?.parse().ok());
    let length: usize = length?;
    let mut compact = Vec::with_capacity(length);
    let mut end = 0;
    for (at, byte) in value.bytes().enumerate() {
        if byte != b' ' {
            compact.push(byte);
            end = at + 1;
        }
        if compact.len() == length {
            break;
        }
    }
    let is_whole = !value.as_bytes().get(end).is_some_and(u8::is_ascii_alphanumeric);
    (compact.len() == length && is_whole && mod_97(&compact) == 1).then_some(end)
}

fn mod_97(iban: &[u8]) -> u32 {
    let moved = iban[4..].iter().chain(&iban[..4]);
    moved.fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_found_among_other_groups_of_digits() {
        let text = "20261124 4111 1111 1111 1111 7";
        let found = Check::PaymentCard.hold(text, 0..text.len());
        assert_eq!(found.map(|range| &text[range]), Some("4111 1111 1111 1111"));
    }

    #[test]
    fn a_fraction_or_a_longer_id_is_no_card() {
        for text in ["0.4111111111111111", "4111111111111111.25", "x-4111111111111111"] {
            let start = text.find("4111").unwrap();
            assert_eq!(Check::PaymentCard.hold(text, start..start + 16), None, "{text}");
        }
    }

    #[test]
    fn placeholders_are_told_from_secrets() {
        for text in ["${PASSWORD}", "<token>", "********", "$DB_PASSWORD", "[password:0a1b2c3d]"] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in ["hunter2", "$ecret1", "0000"] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
