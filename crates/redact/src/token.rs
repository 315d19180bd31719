//! What stands in place of a secret: `[rule:XXXXXXXX]`, eight hex digits of a keyed hash. Equal
//! secrets have equal tokens, and without the key nobody can try guesses against them.

use std::fmt;

use aws_lc_rs::hmac;

/// The key of the tokens: the same wherever tokens are to be comparable.
#[derive(Clone)]
pub struct TokenKey(hmac::Key);

impl TokenKey {
    /// A key from 32 secret bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    pub(crate) fn token(&self, rule: &str, secret: &str) -> String {
        let tag = hmac::sign(&self.0, secret.as_bytes());
        let [a, b, c, d, ..] = tag.as_ref() else { return format!("[{rule}:00000000]") };
        format!("[{rule}:{a:02x}{b:02x}{c:02x}{d:02x}]")
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey")
    }
}

/// Whether a text is a token already; masking it again would hide that two are equal.
pub(crate) fn is_token(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let Some((rule, hash)) = inner.and_then(|inner| inner.split_once(':')) else { return false };
    !rule.is_empty()
        && rule.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && hash.len() == 8
        && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

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
        assert!(!is_token("[jwt:secret!!]"));
    }
}
