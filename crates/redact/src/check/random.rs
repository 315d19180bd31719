//! Whether a value can be a secret at all: random enough, and not what people write where a secret
//! would be.

use std::ops::Range;

use super::has_digit;
use crate::token::is_tokens;

/// Shannon entropy in bits for each byte.
fn entropy(value: &str) -> f64 {
    let mut counts = [0u32; 256];
    value.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let total = value.len() as f64;
    let bits = |count: u32| {
        let share = f64::from(count) / total;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(|count| bits(*count)).sum()
}

pub(super) fn is_random(value: &str) -> bool {
    has_digit(value) && entropy(value) >= 2.8 && is_varied(value)
}

/// Random enough to be a secret where a word before it says that it is one.
pub(crate) fn is_keyed(value: &str) -> bool {
    let count = |is: fn(&u8) -> bool| value.bytes().filter(is).count();
    let digits = count(u8::is_ascii_digit);
    let is_long = digits == 2 && value.len() >= 20 && is_mixed(value);
    let is_mixed = is_random(value) && (digits >= 3 || is_long);
    value.len() >= 16
        && (is_mixed || is_letters(value, 20))
        && count(u8::is_ascii_whitespace) == 0
        && !is_uuid(value)
        && !is_placeholder(value)
}

/// The first value behind the vendor's name at the range's start that is random enough to be a
/// secret; few words stand between.
pub(super) fn provided(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let behind = &text[range.clone()];
    if is_within_word(text, range.start) || is_within_blob(text, range.start) {
        return None;
    }
    let (mut at, mut words) = (0, 0);
    while at < behind.len().min(REACH_BYTES) && words <= WORDS_MAX {
        let start = at + behind[at..].find(is_of_value)?;
        let rest = &behind[start..];
        let word = &rest[..rest.find(|c| !is_of_value(c)).unwrap_or(rest.len())];
        at = start + word.len();
        words += 1;
        if start >= REACH_BYTES {
            return None;
        }
        // `name=value` and `.token.value` are more than the value; the first word is the name.
        let lead = word.trim_end_matches('=').rfind('=').map(|sign| sign + 1);
        let joint = word.find(['.', '-', '_', '/']).map(|sign| sign + 1);
        let whole = (start > 0).then_some(0);
        let value =
            |from: &usize| word.len() - from >= VALUE_MIN_BYTES && is_provided(&word[*from..]);
        let from = [lead, whole, joint].into_iter().flatten().find(value);
        if let Some(from) = from {
            return Some(range.start + start + from..range.start + at);
        }
    }
    None
}

/// Whether a name begins in the middle of another word, or is none: no name is written `sLaB`.
fn is_within_word(text: &str, at: usize) -> bool {
    let name = text.as_bytes()[at..].iter().take(NAME_MIN_BYTES);
    let rest = name.clone().skip(1);
    let is_one_case = rest.clone().all(|byte| !byte.is_ascii_uppercase())
        || name.clone().all(|byte| !byte.is_ascii_lowercase());
    let begins_capital = name.clone().next().is_some_and(u8::is_ascii_uppercase);
    let before = text[..at].bytes().next_back();
    let goes_on = before.is_some_and(|byte| {
        byte.is_ascii_uppercase()
            || byte.is_ascii_digit()
            || byte.is_ascii_lowercase() && !begins_capital
    });
    goes_on || !is_one_case
}

/// Whether a name stands in a picture or the like, where any four letters stand by chance: half a
/// megabyte of base64 holds eight such names.
fn is_within_blob(text: &str, at: usize) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let (before, behind) = text.as_bytes().split_at(at);
    let before = before.iter().rev().take(BLOB_MIN_BYTES).take_while(|byte| is_digit(byte)).count();
    let behind = behind.iter().take(BLOB_MIN_BYTES).take_while(|byte| is_digit(byte)).count();
    before + behind >= BLOB_MIN_BYTES
}

fn is_of_value(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '/' | '=' | '~' | '.' | '-' | '|')
}

/// Names of models, versions and files are made of short words, secrets are not.
fn is_provided(value: &str) -> bool {
    let mut runs = value.split(|c: char| !c.is_ascii_alphanumeric());
    let is_long = |run: &str| {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        match run.len() - digits {
            0 => run.len() >= 15,
            _ if digits == 0 => run.len() >= 36 || run.len() >= 16 && is_mixed(run),
            _ if run.len() >= 20 => true,
            _ => run.len() >= 10 && (digits >= 3 || changes(run) >= 4),
        }
    };
    let is_grouped = || {
        let digits = value.bytes().filter(u8::is_ascii_digit).count();
        value.len() >= 28 && digits >= 6 && value.contains('-') && !value.contains('.')
    };
    is_varied(value)
        && !is_placeholder(value)
        && (runs.any(|run| is_long(run) || is_letters(run, 18)) || is_uuid(value) || is_grouped())
}

/// Random, or letters that change between small and capital as no word does.
pub(super) fn is_mixed_or_random(value: &str) -> bool {
    is_random(value) || value.len() >= 16 && is_varied(value) && is_mixed(value)
}

fn is_mixed(value: &str) -> bool {
    changes(value) * 5 >= value.len()
}

/// How often letters become capitals or digits, or the other way.
fn changes(value: &str) -> usize {
    let kind = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'A'..=b'Z' => 1,
        _ => 2,
    };
    let bytes = value.as_bytes();
    bytes.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count()
}

/// Letters of one case, more than words have.
fn is_letters(value: &str, at_least: usize) -> bool {
    value.len() >= at_least
        && (value.bytes().all(|byte| byte.is_ascii_lowercase())
            || value.bytes().all(|byte| byte.is_ascii_uppercase()))
}

/// Not one letter again and again, nor a sentence about what should stand there.
pub(super) fn is_varied(value: &str) -> bool {
    let bytes = value.as_bytes();
    let mut counts = [0usize; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let most = counts.iter().max().copied().unwrap_or_default();
    let is_crossed = |run: &[u8]| run.iter().all(|byte| matches!(byte, b'x' | b'X' | b'*'));
    most * 2 <= bytes.len().max(2)
        && !bytes.windows(5).any(is_crossed)
        && !["your", "YOUR", "<", "..."].iter().any(|word| value.contains(word))
}

/// What somebody types at a prompt; not the names of such things.
pub(super) fn is_password(value: &str) -> bool {
    const WORDS: &[&str] = &[
        "pass", "passwd", "password", "pwd", "secret", "test", "token", "user", "username", "xxx",
        "yyy",
    ];
    let bare = value.trim_matches(['"', '\'', '\\', '{', '}', '>']);
    bare.len() >= 3
        && !WORDS.contains(&bare.to_ascii_lowercase().as_str())
        && !value.starts_with(['$', '<', '['])
        && !value.contains("${")
        && !value.contains("{{")
        && !is_placeholder(value)
        && is_varied(value)
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
    is_tokens(value)
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

/// The shortest vendors' names.
const NAME_MIN_BYTES: usize = 4;
/// How far behind a vendor's name a value begins.
const REACH_BYTES: usize = 56;
/// Names, and the paths that they stand in, are shorter.
const BLOB_MIN_BYTES: usize = 200;
/// Shorter ones are words and versions.
const VALUE_MIN_BYTES: usize = 10;
/// Words of prose between the two.
const WORDS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_secrets() {
        for text in [
            "${PASSWORD}",
            "<token>",
            "********",
            "$DB_PASSWORD",
            "[password:0a1b2c3d0a1b2c3d0a1b2c3d0a1b.0a1b2c3d]",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in ["hunter2", "$ecret1", "0000"] {
            assert!(!is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn names_beside_a_vendor_are_told_from_values() {
        for text in ["claude-3-5-sonnet-20241022", "v1.2.3", "authentication", "run-12"] {
            assert!(!is_provided(text), "{text}");
        }
        for text in [
            "p8e-df2bf033038f25a2baa0918d79630140",
            "lV9ASPsd2P3d",
            "ABCD-1234-123456-abcdef-12345678",
        ] {
            assert!(is_provided(text), "{text}");
        }
    }
}
