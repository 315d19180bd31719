//! Numbers of payment cards and of bank accounts.

use std::ops::Range;

use super::digits::{digits, luhn};
use super::is_alone;

/// Any number of a card: for a place where a word says that there is one.
pub(super) fn any_card(value: &str) -> bool {
    digits(value).is_some_and(|d| {
        (12..=19).contains(&d.len()) && luhn(&d) && d.iter().any(|digit| *digit != d[0])
    })
}

/// The first part of a run of digits that is a card number: whole groups, an issuer's prefix, and
/// Luhn's sum.
pub(super) fn payment_card(text: &str, range: Range<usize>) -> Option<Range<usize>> {
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
                digits.push(u32::from(byte - b'0'));
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

fn is_card(digits: &[u32]) -> bool {
    if !(12..=19).contains(&digits.len()) {
        return false;
    }
    let prefix = |count: usize| digits[..count].iter().fold(0, |n, d| n * 10 + d);
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

/// The length of the IBAN that `value` begins with.
pub(super) fn iban(value: &str) -> Option<usize> {
    const LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28\
        EE20EG29ES24FI18FO18FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20\
        LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24\
        RS22SA24SC31SD18SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20";
    let written = value;
    let value = value.to_ascii_uppercase();
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
    let is_one = compact.len() == length && is_whole && mod_97(&compact) == 1;
    (is_one && !is_hash(&written[..end])).then_some(end)
}

/// Whether it reads as part of a hash in hex: one of 97 of those has the sum of an account, too.
fn is_hash(value: &str) -> bool {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b' ');
    value.bytes().all(is_hex) && value.bytes().skip(2).any(|byte| byte.is_ascii_lowercase())
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
        let found = payment_card(text, 0..text.len());
        assert_eq!(found.map(|range| &text[range]), Some("4111 1111 1111 1111"));
    }

    #[test]
    fn a_fraction_or_a_longer_id_is_no_card() {
        for text in ["0.4111111111111111", "4111111111111111.25", "x-4111111111111111"] {
            let start = text.find("4111").unwrap();
            assert_eq!(payment_card(text, start..start + 16), None, "{text}");
        }
    }
}
