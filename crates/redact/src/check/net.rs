//! Numbers of phones, and addresses in networks.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::is_alone;

/// A number with its country's code: a code that is given out, and digits as its plan has them.
/// Not by a port of libphonenumber: its tables of regular expressions are larger than all our
/// rules, and it turns away numbers of plans that changed since, which is a leak.
pub(super) fn phone(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let value = &text[range.clone()];
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    let is_north_american = digits.starts_with('1');
    let fits = if is_north_american {
        digits.len() == 11 && digits.as_bytes()[1] >= b'2'
    } else {
        (8..=15).contains(&digits.len()) && has_code(&digits)
    };
    // An extension goes on with letters: `x0135`.
    let is_placed = is_alone(text, &range) || text[range.end..].starts_with(['x', '-', '/']);
    (fits && is_placed && !text[..range.start].ends_with(is_inner)).then_some(range)
}

/// A number as people of its country write it, where a word says that it is one.
pub(super) fn phone_national(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let value = &text[range.clone()];
    let digits = value.split(['x', 'X']).next().unwrap_or(value);
    let digits = digits.bytes().filter(u8::is_ascii_digit).count();
    let is_date = value.len() == 10
        && value.as_bytes()[4] == b'-'
        && value.as_bytes()[7] == b'-'
        && value.starts_with(['1', '2']);
    let after = text[range.end..].bytes().next();
    let ends = !after.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b':');
    (ends && !is_date && (7..=13).contains(&digits)).then_some(range)
}

fn is_inner(before: char) -> bool {
    before.is_ascii_alphanumeric() || matches!(before, '.' | '-' | '_')
}

/// Country codes of two and three digits that are given out (ITU E.164).
fn has_code(digits: &str) -> bool {
    const TWO: &[&str] = &[
        "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46",
        "47", "48", "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63",
        "64", "65", "66", "81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98",
    ];
    let is_three = |code: &str| {
        matches!(code.as_bytes()[0], b'2' | b'3' | b'4' | b'5' | b'6' | b'8' | b'9')
            && matches!(
                code.get(..2),
                Some(
                    "21" | "22"
                        | "23"
                        | "24"
                        | "25"
                        | "26"
                        | "29"
                        | "35"
                        | "37"
                        | "38"
                        | "42"
                        | "50"
                        | "59"
                        | "67"
                        | "68"
                        | "69"
                        | "80"
                        | "85"
                        | "87"
                        | "88"
                        | "96"
                        | "97"
                        | "99"
                )
            )
    };
    digits.starts_with('7')
        || digits.get(..2).is_some_and(|code| TWO.contains(&code))
        || digits.get(..3).is_some_and(is_three)
}

/// A public address: private ones say nothing of anybody, and what reads as a version is none.
pub(super) fn ip_v4(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let address: Ipv4Addr = text[range.clone()].parse().ok()?;
    let octets = address.octets();
    let is_nobodys = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || octets[0] == 0
        || octets[0] >= 224;
    let is_round = octets[2..] == [0, 0];
    let is_small = octets.iter().all(|octet| *octet < 32);
    let is_somebodys = !is_nobodys && !is_round && !is_small;
    (is_somebodys && !is_in_version(text, &range)).then_some(range)
}

/// Whether four numbers are a part of a version, a name or a longer number.
fn is_in_version(text: &str, range: &Range<usize>) -> bool {
    let before = &text[..range.start];
    let goes_on = match &text.as_bytes()[range.end..] {
        [byte, ..] if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') => true,
        [b'.', byte, ..] => byte.is_ascii_alphanumeric(),
        _ => false,
    };
    let joins = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '~' | '^');
    let near = &before[before.floor_char_boundary(before.len().saturating_sub(12))..];
    let near = near.to_ascii_lowercase();
    goes_on
        || before.ends_with(joins)
        || before.ends_with('/') && !before.ends_with("//")
        || before.ends_with("==")
        || near.trim_end_matches([' ', '"', ':', '=']).ends_with("version")
}

/// An address with enough of its groups to be somebody's.
pub(super) fn ip_v6(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let value = text[range.clone()].split('%').next().unwrap_or_default();
    let address: Ipv6Addr = value.parse().ok()?;
    let segments = address.segments();
    let is_documentation = segments[0] == 0x2001 && segments[1] == 0xdb8;
    let filled = segments.iter().filter(|segment| **segment != 0).count();
    let before = text[..range.start].bytes().next_back();
    let is_inner = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b':');
    (filled >= 3 && !is_inner && !is_documentation).then_some(range)
}

/// Neither nobody's nor everybody's, and written one way.
pub(super) fn is_mac(value: &str) -> bool {
    let hex: String = value.chars().filter(char::is_ascii_hexdigit).collect();
    let is_one_way = [':', '-', '.'].iter().filter(|c| value.contains(**c)).count() == 1;
    let first = hex.chars().next();
    hex.len() == 12 && is_one_way && !hex.chars().all(|c| Some(c) == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_a_version() {
        let holds = |text: &str, value: &str| {
            let start = text.find(value).unwrap();
            ip_v4(text, start..start + value.len()).is_some()
        };
        assert!(holds("from 106.31.73.20.", "106.31.73.20"));
        assert!(holds("http://41.173.96.26/x", "41.173.96.26"));
        for (text, value) in [
            ("Chrome/120.0.66.109", "120.0.66.109"),
            ("version 120.0.66.109", "120.0.66.109"),
            ("127.0.0.1", "127.0.0.1"),
            ("1.2.3.4", "1.2.3.4"),
            ("x==40.1.2.3", "40.1.2.3"),
            ("oid 1.3.6.1.4.1.311", "1.3.6.1"),
        ] {
            assert!(!holds(text, value), "{text}");
        }
    }
}
