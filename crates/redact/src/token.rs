//! What stands in place of a secret: `[rule:KKKKXXXXXXXXXXXXXXXXXXXXXXXX.YYYYYYYY]`, all of it hex digits
//! behind the rule's name. Four tell which key it was. 24 are a keyed hash of the secret: equal secrets
//! have equal ones, however they are written, and without the key nobody can try guesses against them. The
//! last eight are a keyed hash of what stands before them, so that a token that was not made with the key
//! is told from one that was.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use aws_lc_rs::hmac;

use crate::rules::Class;

/// The key of the tokens: the same wherever tokens are to be comparable.
#[derive(Clone)]
pub struct TokenKey {
    /// Which it is, in four hex digits.
    id: [u8; ID_DIGITS],
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
        let tokens = hmac::Key::new(hmac::HMAC_SHA256, tokens.as_ref());
        let mut id = [0; ID_DIGITS];
        id.copy_from_slice(
            &hex(&tokens, &[b"trailgate: which key it is"], ID_DIGITS).as_bytes()[..ID_DIGITS],
        );
        Self { id, secrets, tokens }
    }

    pub(crate) fn token(&self, rule: &str, class: Class, secret: &str) -> String {
        let value = normal(class, secret);
        let parts = [class.word().as_bytes(), b"\0", value.as_bytes()];
        let id = std::str::from_utf8(&self.id).unwrap_or_default();
        let told = format!("{rule}:{id}{}", hex(&self.secrets, &parts, HASH_DIGITS));
        format!("[{told}.{}]", self.check(&told))
    }

    fn check(&self, told: &str) -> String {
        hex(&self.tokens, &[told.as_bytes()], CHECK_DIGITS)
    }

    /// Whether a token was made with this key.
    fn has_made(&self, token: &str) -> bool {
        let inner = token.trim_start_matches('[').trim_end_matches(']');
        let told = inner.split_once('.');
        told.is_some_and(|(told, check)| self.check(told) == check)
    }

    /// The tokens in a text that were not made with this key.
    pub(crate) fn forged(&self, text: &str) -> Vec<Range<usize>> {
        ends(text.as_bytes())
            .filter_map(|end| token_before(text, end))
            .filter(|token| !self.has_made(&text[token.clone()]))
            .collect()
    }
}

/// The first digits of a keyed hash, in hex.
fn hex(key: &hmac::Key, parts: &[&[u8]], digits: usize) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hash = hmac::Context::with_key(key);
    parts.iter().for_each(|part| hash.update(part));
    let tag = hash.sign();
    let halves = tag.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.take(digits).map(|half| char::from(DIGITS[usize::from(half)])).collect()
}

/// A value as it is compared: of numbers, digits and letters alone; of an address of e-mail the case does
/// not count.
fn normal(class: Class, value: &str) -> Cow<'_, str> {
    let value = value.trim();
    match class {
        Class::Credential | Class::Account => Cow::Borrowed(value),
        Class::Network => Cow::Owned(value.to_ascii_lowercase()),
        Class::Contact if value.contains('@') => Cow::Owned(value.to_lowercase()),
        Class::Contact
        | Class::Financial
        | Class::National
        | Class::Health
        | Class::Vehicle
        | Class::Company => {
            let counts = value.chars().filter(|c| c.is_alphanumeric() || *c == '+');
            Cow::Owned(counts.flat_map(char::to_uppercase).collect())
        }
    }
}

/// Where tokens may end in a text: at each `]` with as many hex digits before it.
pub(crate) fn ends(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    memchr::memchr_iter(b']', bytes).map(|at| at + 1).filter(|end| {
        end.checked_sub(CHECK_DIGITS + 2).is_some_and(|sign| matches!(bytes[sign], b'.' | b':'))
            && bytes[end - CHECK_DIGITS - 1..end - 1].iter().all(is_hex)
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
    parts(text).and_then(|(rule, hashes)| Some((rule, hashes.split_once('.')?))).is_some_and(
        |(rule, (hash, check))| {
            is_rule(rule)
                && is_digits(hash, ID_DIGITS + HASH_DIGITS)
                && is_digits(check, CHECK_DIGITS)
        },
    )
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
        is_rule(rule) && is_name && is_digits(hash, CHECK_DIGITS)
    })
}

fn parts(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('[')?.strip_suffix(']')?.split_once(':')
}

fn is_rule(rule: &str) -> bool {
    !rule.is_empty()
        && rule.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| is_hex(&byte))
}

/// What a token tells of its value: the key's id and the keyed hash; none if a text is no token.
#[must_use]
pub fn hash_of(token: &str) -> Option<&str> {
    let (_, hashes) = parts(token).filter(|_| is_token(token))?;
    hashes.split_once('.').map(|(hash, _)| hash)
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
/// Of the key's id: enough to tell a few keys apart.
const ID_DIGITS: usize = 4;
/// Of the value's hash: 96 bits, so that no two values share one by chance.
const HASH_DIGITS: usize = 24;
/// Of the check: a forged one passes once in four thousand millions.
const CHECK_DIGITS: usize = 8;
/// Longest name of a rule in a token, and what stands around it.
pub(crate) const TOKEN_MAX_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123abcd0123abcd0123abcd0123";

    #[test]
    fn equal_secrets_have_equal_tokens_under_one_key_only() {
        let key = TokenKey::new(&[1; 32]);
        let token = key.token("jwt", Class::Credential, "a secret");
        assert!(is_token(&token), "{token}");
        assert_eq!(token, key.token("jwt", Class::Credential, "a secret"));
        assert_ne!(token, key.token("jwt", Class::Credential, "another"));
        assert_ne!(token, TokenKey::new(&[2; 32]).token("jwt", Class::Credential, "a secret"));
        assert!(!is_token("[jwt:secret!!]") && !is_token("[jwt:0123abcd]"));
        assert!(is_tokens(&format!("{token}{token}")) && !is_tokens("") && !is_tokens("a[b:c]"));
    }

    #[test]
    fn one_value_has_one_hash_however_it_is_written() {
        let key = TokenKey::new(&[1; 32]);
        let hash = |rule, class, value| {
            let token = key.token(rule, class, value);
            hash_of(&token).unwrap().to_owned()
        };
        let card = hash("payment_card", Class::Financial, "4111 1111 1111 1111");
        assert_eq!(card, hash("card_number", Class::Financial, "4111-1111-1111-1111"));
        assert_ne!(card, hash("payment_card", Class::National, "4111111111111111"));
        let mail = hash("email", Class::Contact, "Ada@Example.com");
        assert_eq!(mail, hash("email", Class::Contact, "ada@example.com"));
        assert_ne!(
            hash("ip_v4", Class::Network, "1.11.1.1"),
            hash("ip_v4", Class::Network, "11.1.1.1")
        );
        assert_ne!(hash("jwt", Class::Credential, "aB"), hash("jwt", Class::Credential, "ab"));
        assert_eq!(card.len(), ID_DIGITS + HASH_DIGITS);
        assert_eq!((hash_of("[jwt:0123abcd]"), hash_of("so")), (None, None));
    }

    #[test]
    fn a_token_that_was_not_made_with_the_key_is_told() {
        let key = TokenKey::new(&[1; 32]);
        let token = key.token("jwt", Class::Credential, "a secret");
        let text = format!("so {token} it [jwt:{HASH}.0123abcd] is [github_token:1f0c9a77] [a:b]");
        let forged = key.forged(&text);
        let told: Vec<&str> = forged.into_iter().map(|range| &text[range]).collect();
        let one = format!("[jwt:{HASH}.0123abcd]");
        assert_eq!(told, [one.as_str(), "[github_token:1f0c9a77]"]);
        assert_eq!(TokenKey::new(&[2; 32]).forged(&token).len(), 1);
        // Neither under another name nor with the check of another.
        for wrong in [token.replace("jwt", "pat"), token.replace(&token[5..33], HASH)] {
            assert_eq!(key.forged(&wrong).len(), 1, "{wrong}");
        }
        // A secret that is chosen so that its hash would be a check.
        let chosen = key.token("a", Class::Credential, &format!("jwt:{HASH}"));
        let check = &chosen[3 + ID_DIGITS..][..CHECK_DIGITS];
        assert_eq!(key.forged(&format!("[jwt:{HASH}.{check}]")).len(), 1);
        assert!(key.forged("[commit:1f0c9a77] [1,2] []").is_empty());
    }
}
