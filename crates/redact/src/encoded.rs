//! Secrets in base64 or hex: whole runs are decoded, one level deep, and replaced whole.

use std::ops::Range;

use crate::check::decode_base64;
use crate::limits::ENCODED_MIN_BYTES;
use crate::rules::Rules;
use crate::scan::{Hit, plain, resolve};

/// Adds each run that holds a secret once it is decoded. Ids, hashes and pictures are turned away
/// by their first bytes, which are no text.
pub(crate) fn scan(rules: &Rules, text: &str, hits: &mut Vec<Hit>) {
    for run in runs(text, is_digit) {
        if try_run(rules, text, run.clone(), hits) {
            continue;
        }
        // What looks like one run may be a path whose last part is encoded.
        for part in runs(&text[run.clone()], |byte| byte.is_ascii_alphanumeric()) {
            if part.len() < run.len() {
                try_run(rules, text, run.start + part.start..run.start + part.end, hits);
            }
        }
    }
}

/// Whether the run is an encoded text; adds it if there is a secret in that.
fn try_run(rules: &Rules, text: &str, run: Range<usize>, hits: &mut Vec<Hit>) -> bool {
    let Some(clear) = decode(&text[run.clone()]) else { return false };
    let mut inner = Vec::new();
    plain(rules, &clear, &mut inner);
    if let Some((_, name)) = resolve(&inner).first() {
        hits.push(Hit { whole: run.clone(), secret: run, name: *name, holds: true });
    }
    true
}

fn runs(text: &str, is_digit: fn(u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + bytes[at..].iter().position(|byte| is_digit(*byte))?;
            let digits = bytes[start..].iter().take_while(|byte| is_digit(**byte)).count();
            let padding =
                bytes[start + digits..].iter().take(2).take_while(|b| **b == b'=').count();
            at = start + digits + padding;
            if digits >= ENCODED_MIN_BYTES {
                return Some(start..at);
            }
            if at >= bytes.len() {
                return None;
            }
        }
    })
}

fn decode(run: &str) -> Option<String> {
    let is_hex = run.len().is_multiple_of(2) && run.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && let Some(clear) = as_text(unhex(run)) {
        return Some(clear);
    }
    let head = decode_base64(&run[..16])?;
    if !head.iter().take(11).all(|byte| is_text(*byte)) {
        return None;
    }
    let digits = run.trim_end_matches('=');
    // A last digit that stands for less than a byte is no part of the text.
    let whole = digits.len() - usize::from(digits.len() % 4 == 1);
    as_text(decode_base64(&digits[..whole])?)
}

fn unhex(run: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or(0) as u8;
    run.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn as_text(bytes: Vec<u8>) -> Option<String> {
    if !bytes.iter().all(|byte| is_text(*byte)) {
        return None;
    }
    String::from_utf8(bytes).ok()
}

const fn is_text(byte: u8) -> bool {
    byte >= 0x20 && byte != 0x7f || matches!(byte, b'\t' | b'\r' | b'\n')
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-')
}
