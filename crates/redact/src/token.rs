//! What stands in place of a secret: `[rule:XXXXXXXX.YYYYYYYY]`. The first eight hex digits are a keyed
//! hash of the secret: equal secrets have equal tokens, and without the key nobody can try guesses
//! against them. The other eight are a keyed hash of what stands before them, so that a token that was
//! not made with the key is told from one that was.

use std::fmt;
use std::ops::Range;

use aws_lc_rs::hmac;

/// The key of the tokens: the same wherever tokens are to be comparable.
#[derive(Clone)]
pub struct TokenKey {
    secrets: hmac::Key,
    /// Another, or a secret could be chosen so that its hash is the check of a token.
    tokens: hmac::Key,
}

impl TokenKey {
    /// A key from 32 secret bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        let secrets = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let tokens = hmac::sign(&secrets, b"trailgate: the check of a token");
        Self { secrets, tokens: hmac::Key::new(hmac::HMAC_SHA256, tokens.as_ref()) }
    }

    pub(crate) fn token(&self, rule: &str, secret: &str) -> String {
        let told = format!("{rule}:{}", hash(&self.secrets, secret));
        format!("[{told}.{}]", hash(&self.tokens, &told))
    }

    /// Whether a token was made with this key.
    fn has_made(&self, token: &str) -> bool {
        let inner = token.trim_start_matches('[').trim_end_matches(']');
        let told = inner.split_once('.');
        told.is_some_and(|(told, check)| hash(&self.tokens, told) == check)
    }

    /// The tokens in a text that were not made with this key.
    pub(crate) fn forged(&self, text: &str) -> Vec<Range<usize>> {
        ends(text.as_bytes())
            .filter_map(|end| token_before(text, end))
            .filter(|token| !self.has_made(&text[token.clone()]))
            .collect()
    }
}

/// Eight hex digits.
fn hash(key: &hmac::Key, text: &str) -> String {
    let tag = hmac::sign(key, text.as_bytes());
    tag.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where tokens may end in a text: at each `]` with as many hex digits before it.
pub(crate) fn ends(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    memchr::memchr_iter(b']', bytes).map(|at| at + 1).filter(|end| {
        end.checked_sub(HASH_BYTES + 2).is_some_and(|sign| matches!(bytes[sign], b'.' | b':'))
            && bytes[end - HASH_BYTES - 1..end - 1].iter().all(is_hex)
    })
}

/// The token that ends at a place, also one without a check as they were made before.
fn token_before(text: &str, end: usize) -> Option<Range<usize>> {
    let from = end.saturating_sub(TOKEN_MAX_BYTES);
    let start = from + memchr::memrchr(b'[', &text.as_bytes()[from..end])?;
    let token = text.get(start..end)?;
    (is_token(token) || is_unchecked(token)).then_some(start..end)
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey")
    }
}

/// Whether a text has the form of a token: masked again, that would hide that two are equal. Whether it
/// is one is told apart from that, by [`TokenKey::forged`].
pub(crate) fn is_token(text: &str) -> bool {
    parts(text)
        .and_then(|(rule, hashes)| Some((rule, hashes.split_once('.')?)))
        .is_some_and(|(rule, (hash, check))| is_rule(rule) && is_hash(hash) && is_hash(check))
}

/// Whether a text is tokens, one after the other: what is longer than what is looked at at once has
/// several.
pub(crate) fn is_tokens(text: &str) -> bool {
    !text.is_empty() && text.split_inclusive(']').all(is_token)
}

/// Whether a text has the form that tokens had without a check, under one of the names that most have.
fn is_unchecked(text: &str) -> bool {
    parts(text).is_some_and(|(rule, hash)| {
        let is_name = COMMON.contains(&rule) || COMMON_ENDS.iter().any(|end| rule.ends_with(end));
        is_rule(rule) && is_name && is_hash(hash)
    })
}

fn parts(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('[')?.strip_suffix(']')?.split_once(':')
}

fn is_rule(rule: &str) -> bool {
    !rule.is_empty()
        && rule.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn is_hash(hash: &str) -> bool {
    hash.len() == HASH_BYTES && hash.bytes().all(|byte| is_hex(&byte))
}

const fn is_hex(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Told where what has the form of a token was not made with the key.
pub(crate) const FORGED: &str = "forged";

const COMMON: &[&str] = &[
    "password",
    "secret",
    "code",
    "held",
    "email",
    "phone",
    "private_key",
    "jwt",
    "payment_card",
    "iban",
    "forged",
    "ip_v4",
    "ip_v6",
];
const COMMON_ENDS: &[&str] = &["_key", "_token", "_secret", "_password", "_pat"];
/// Digits of each of the two hashes.
const HASH_BYTES: usize = 8;
/// Longest name of a rule in a token, and what stands around it.
const TOKEN_MAX_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_secrets_have_equal_tokens_under_one_key_only() {
        let key = TokenKey::new(&[1; 32]);
        let token = key.token("jwt", "a secret");
        assert!(is_token(&token), "{token}");
        assert_eq!(token, key.token("jwt", "a secret"));
        assert_ne!(token, key.token("jwt", "another"));
        assert_ne!(token, TokenKey::new(&[2; 32]).token("jwt", "a secret"));
        assert!(!is_token("[jwt:secret!!]") && !is_token("[jwt:0123abcd]"));
        assert!(is_tokens(&format!("{token}{token}")) && !is_tokens("") && !is_tokens("a[b:c]"));
    }

    #[test]
    fn a_token_that_was_not_made_with_the_key_is_told() {
        let key = TokenKey::new(&[1; 32]);
        let token = key.token("jwt", "a secret");
        let text =
            format!("so {token} it [jwt:0123abcd.0123abcd] is [github_token:1f0c9a77] [a:b]");
        let forged = key.forged(&text);
        let told: Vec<&str> = forged.into_iter().map(|range| &text[range]).collect();
        assert_eq!(told, ["[jwt:0123abcd.0123abcd]", "[github_token:1f0c9a77]"]);
        assert_eq!(TokenKey::new(&[2; 32]).forged(&token).len(), 1);
        // Neither under another name nor with the check of another.
        for wrong in [token.replace("jwt", "pat"), token.replace(&token[5..13], "0123abcd")] {
            assert_eq!(key.forged(&wrong).len(), 1, "{wrong}");
        }
        // A secret that is chosen so that its hash would be a check.
        let chosen = key.token("a", "jwt:0123abcd");
        let check = &chosen[3..11];
        assert_eq!(key.forged(&format!("[jwt:0123abcd.{check}]")).len(), 1);
        assert!(key.forged("[commit:1f0c9a77] [1,2] []").is_empty());
    }
}
