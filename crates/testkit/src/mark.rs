//! Texts that exist once in the world, so that finding one proves where it came from.

use std::fmt;

use uuid::Uuid;

/// A text that no other test, run or machine has: what is counted by it is counted exactly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mark(String);

impl Mark {
    /// A new one that begins with `word`, for the reader of a failure.
    #[must_use]
    pub fn new(word: &str) -> Self {
        Self(format!("{word}-{}", fresh().simple()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A secret in the form of a real credential, made for one test, to be planted and never found.
#[derive(Clone, PartialEq, Eq)]
pub struct Planted(String);

impl Planted {
    /// A GitHub personal access token, by its form.
    #[must_use]
    pub fn github_token() -> Self {
        Self::of(github_token_of(fresh().as_bytes(), fresh().as_bytes()))
    }

    /// An AWS secret access key's id, by its form.
    #[must_use]
    pub fn aws_key_id() -> Self {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let tail = fresh().as_bytes().iter().map(|byte| letters[usize::from(byte % 32)]).collect();
        Self::of(format!("AKIA{}", text(tail)))
    }

    /// The words of a secret that is known elsewhere: a value after `password=`, say.
    #[must_use]
    pub fn of(text: String) -> Self {
        Self(text)
    }

    /// The clear secret.
    #[must_use]
    pub fn clear(&self) -> &str {
        &self.0
    }

    /// The forms in which it would be a leak: clear, base64 (its three alignments, without their
    /// edges), hex, percent-encoded, JSON-escaped, reversed.
    #[must_use]
    pub fn forms(&self) -> Vec<(&'static str, Vec<u8>)> {
        let clear = self.0.as_bytes();
        let hex: String = clear.iter().map(|byte| format!("{byte:02x}")).collect();
        let percent: String = clear.iter().map(|byte| format!("%{byte:02X}")).collect();
        let escaped: String = self.0.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
        let mut forms = vec![
            ("clear", clear.to_vec()),
            ("hex", hex.clone().into_bytes()),
            ("upper hex", hex.to_uppercase().into_bytes()),
            ("percent", percent.into_bytes()),
            ("json escapes", escaped.into_bytes()),
            ("reversed", clear.iter().rev().copied().collect()),
        ];
        for skip in 0..3 {
            forms.push(("base64", base64_inside(&clear[skip..])));
        }
        forms
    }

    /// The form in which `haystack` holds it, if it does.
    #[must_use]
    pub fn found_in(&self, haystack: &[u8]) -> Option<&'static str> {
        self.forms()
            .into_iter()
            .find(|(_, form)| memchr::memmem::find(haystack, form).is_some())
            .map(|(name, _)| name)
    }
}

impl fmt::Debug for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Planted(a secret)")
    }
}

#[expect(clippy::disallowed_methods, reason = "a mark must differ from run to run")]
fn fresh() -> Uuid {
    Uuid::new_v4()
}

// `ghp_`, 30 letters and digits, and the CRC-32 of those in six base-62 digits: GitHub's own form,
// which a detector that checks the sum accepts.
fn github_token_of(first: &[u8; 16], second: &[u8; 16]) -> String {
    let digits = first.iter().chain(second).take(30);
    let body = text(digits.map(|byte| BASE62[usize::from(byte % 62)]).collect());
    let mut rest = crc32(body.as_bytes());
    let mut sum = [0_u8; 6];
    for digit in sum.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    format!("ghp_{body}{}", text(sum.to_vec()))
}

fn text(ascii: Vec<u8>) -> String {
    ascii.into_iter().map(char::from).collect()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 }
        })
    })
}

// Whole groups of three bytes only: what stands before and after decides the other letters.
fn base64_inside(bytes: &[u8]) -> Vec<u8> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks_exact(3)
        .flat_map(|three| {
            let bits = three.iter().fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte));
            [18, 12, 6, 0].map(|shift| letters[(bits >> shift & 63) as usize])
        })
        .collect()
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_marks_differ_and_say_their_word() {
        let (one, other) = (Mark::new("order"), Mark::new("order"));
        assert_ne!(one, other);
        assert!(one.as_str().starts_with("order-"));
    }

    #[test]
    fn a_github_token_has_its_checksum() {
        // The published example of the form: a zero body has this sum.
        let token = github_token_of(&[0; 16], &[0; 16]);
        assert_eq!(token.len(), 40);
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_planted_secret_is_found_in_every_form() {
        let secret = Planted::of("hunter2-hunter2".to_owned());
        for haystack in [
            "x hunter2-hunter2 y",
            "68756e746572322d68756e74657232",
            "aHVudGVyMi1odW50ZXIy",
            "eGh1bnRlcjItaHVudGVyMg==",
            "eHhodW50ZXIyLWh1bnRlcjI=",
            "2retnuh-2retnuh",
        ] {
            assert!(secret.found_in(haystack.as_bytes()).is_some(), "{haystack}");
        }
        assert_eq!(secret.found_in(b"hunter3"), None);
    }
}
