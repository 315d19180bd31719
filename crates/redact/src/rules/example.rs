//! The examples of a rule: what it is to find, written so that no file has to hold anything like a
//! real secret.

use super::{Fault, Rules, WrittenRule};
use crate::scan::{HitName, scan};

/// Fills `{a24}` and the like.
pub(crate) fn fill(template: &str) -> String {
    fill_from(0x9e37_79b9_7f4a_7c15, template)
}

/// Whether a rule finds its examples and none of its counter-examples.
pub(super) fn check(rules: &Rules, index: usize, written: &WrittenRule) -> Result<(), Fault> {
    for (at, template) in written.examples.iter().enumerate() {
        if !finds(rules, index, &fill(template)) {
            return Err(Fault::Example(at + 1));
        }
    }
    for (at, template) in written.counter_examples.iter().enumerate() {
        if finds(rules, index, &fill(template)) {
            return Err(Fault::CounterExample(at + 1));
        }
    }
    Ok(())
}

/// Whether a rule masks something in a text. One for assignments gives no name to what it finds.
fn finds(rules: &Rules, index: usize, text: &str) -> bool {
    if rules.rules[index].is_assignment() {
        return scan(rules, text).iter().any(|hit| hit.holds);
    }
    fires(rules, index, text)
}

/// As [`fill`], with letters from a seed, which is not zero.
pub(crate) fn fill_from(seed: u64, template: &str) -> String {
    let mut state = seed;
    let mut out = String::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let close = rest[open..].find('}').map(|close| open + close);
        let inner = close.map_or("", |close| &rest[open + 1..close]);
        let letters = inner.chars().next().map_or("", alphabet);
        match inner.get(1..).and_then(|count| count.parse::<usize>().ok()) {
            Some(count) if !letters.is_empty() => {
                put(letters.as_bytes(), count, &mut state, &mut out);
                rest = &rest[close.unwrap_or(open) + 1..];
            }
            _ => {
                out.push('{');
                rest = &rest[open + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn alphabet(of: char) -> &'static str {
    match of {
        'a' => "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        'w' => "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-",
        'l' => "abcdefghijklmnopqrstuvwxyz",
        'u' => "abcdefghijklmnopqrstuvwxyz0123456789",
        'U' => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        'b' => "ABCDEFGHJKLMNPQRSTUVWXYZ123456789abcdefghijkmnopqrstuvwxyz",
        'X' => "0123456789ABCDEF",
        'h' => "0123456789abcdef",
        'd' => "0123456789",
        _ => "",
    }
}

/// Letters by chance, which begin and end with a letter or digit, and have a digit.
fn put(letters: &[u8], count: usize, state: &mut u64, out: &mut String) {
    for place in 0..count.min(EXAMPLE_MAX) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        let chance = *state as usize;
        let choice = match place {
            0 | 1 => chance % letters.len().min(26),
            2 => letters.iter().position(u8::is_ascii_digit).unwrap_or(0),
            _ if place + 1 == count => chance % letters.len().min(26),
            _ => chance % letters.len(),
        };
        out.push(letters[choice] as char);
    }
}

/// Whether a rule, by its place, masks something in a text.
pub(super) fn fires(rules: &Rules, index: usize, text: &str) -> bool {
    let is_it = |name: HitName| name == HitName::Rule(index);
    let mut hits = scan(rules, text);
    hits.retain(|hit| hit.holds && is_it(hit.name));
    // Of several rules for values alone the first gives its name.
    !hits.is_empty() || !rules.alone.find(&rules.rules, text).is_empty()
}

/// No format is longer; a file's writer may have meant something else.
const EXAMPLE_MAX: usize = 4096;
